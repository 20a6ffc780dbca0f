//! The program: reads the command line, opens a window or runs the command, and returns the exit status.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use hevcast_wire::redact::redacted;
use hevcast_wire::shown::shown_line;
use tokio::runtime::Runtime;

use crate::cli::Cli;
use crate::report::one_line;
use crate::{command, log, priority};

/// Exit status for a wrong command line.
const USAGE: u8 = 2;

/// How long to wait at the end for tasks that still run.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(50);

/// Tasks that a worker runs before it polls the sockets again: a picture that has arrived waits for them. Polling costs less
/// than a microsecond, a task up to a hundred.
const EVENT_INTERVAL: u32 = 1;

/// Runs the command in this process's arguments; returns the exit status.
pub fn run() -> ExitCode {
    #[cfg(all(windows, feature = "media"))]
    let _fine_timer = hevcast_media::system::FineTimer::start();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            ensure_console();
            return usage(&error);
        }
    };
    #[cfg(feature = "gui")]
    let opening = crate::ui::Opening::of(&cli);
    #[cfg(not(feature = "gui"))]
    let opening: Option<()> = None;
    match opening {
        #[cfg(all(windows, feature = "gui"))]
        Some(_) => hevcast_media::system::release_console(),
        #[cfg(not(all(windows, feature = "gui")))]
        Some(_) => {}
        None => ensure_console(),
    }
    log::to_stderr(cli.verbose, cli.log);
    #[cfg(feature = "media")]
    hevcast_media::init(cli.verbose > 1);
    if let Some(error) = cli.command.as_ref().and_then(command::usage_error) {
        eprintln!("hevcast: {}", shown_line(&error.to_string()));
        return ExitCode::from(USAGE);
    }
    let workers = cli.command.as_ref().map_or(command::WORKERS, command::workers);
    #[cfg(all(windows, feature = "media"))]
    hevcast_net::send_buffer::set_window_query(hevcast_media::system::send_window_bytes);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime
        .worker_threads(workers)
        .event_interval(EVENT_INTERVAL)
        .on_thread_start(priority::raise)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    #[cfg(feature = "gui")]
    if let Some(opening) = opening {
        match crate::ui::run(opening, runtime.handle()) {
            Ok(()) => return end(runtime, Ok(())),
            Err(why) => tracing::warn!("no window can be opened ({why}); staying in the terminal"),
        }
    }
    let command = match cli.in_terminal() {
        Ok(command) => command,
        Err(error) => return usage(&error),
    };
    priority::raise();
    let result = runtime.block_on(command::run(command));
    end(runtime, result)
}

/// Opens a console where Windows gives a command none to print to.
fn ensure_console() {
    #[cfg(all(windows, feature = "media"))]
    hevcast_media::system::ensure_console();
}

fn end(runtime: Runtime, result: anyhow::Result<()>) -> ExitCode {
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Writes the error in one line; status 1.
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("hevcast: {}", one_line(error));
    ExitCode::FAILURE
}

/// Writes help and version as clap has them, and errors in one line; status 2 for errors.
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        // A closed standard output is no error.
        let _ = error.print();
        return if error.exit_code() == 0 { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
    }
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
    let what = lines.into_iter().filter(|l| !l.is_empty() && !l.starts_with("For more")).collect::<Vec<_>>().join(" ");
    let what = without_passwords(what.trim_start_matches("error: "), std::env::args_os());
    eprintln!("hevcast: {}; see --help", shown_line(&what));
    ExitCode::from(USAGE)
}

/// Removes passwords from an error of clap's, which repeats the arguments with the URLs in them.
fn without_passwords(text: &str, arguments: impl Iterator<Item = OsString>) -> String {
    let mut text = text.to_owned();
    for argument in arguments {
        let argument = argument.to_string_lossy().into_owned();
        // Also in `--to=URL`.
        for word in
            [argument.split_once('=').filter(|_| argument.starts_with('-')).map(|(_, word)| word), Some(&argument)]
        {
            let Some(word) = word.filter(|word| word.contains("://") || word.contains('@')) else { continue };
            text = text.replace(word, &redacted(word));
        }
    }
    text
}

#[cfg(all(test, feature = "media"))]
mod tests {
    use super::*;

    #[test]
    fn errors_of_clap_are_written_without_passwords() {
        for arguments in [
            vec!["hevcast", "rtsp://u:secret@h/x"],
            vec!["hevcast", "receive", "http://u:secret@h/x"],
            vec!["hevcast", "receive", "rtsp://u:secret@[h/x"],
            vec!["hevcast", "receive", "u:secret@h/x"],
            vec!["hevcast", "receive", "rtsp://h/x", "rtsp://u:secret@h/x"],
            vec!["hevcast", "send", "rtsp://u:secret@h/x"],
            vec!["hevcast", "send", "--to=http://u:secret@h/x"],
            vec!["hevcast", "send", "--to", "rtsp://u:12/secret@h/x"],
            vec!["hevcast", "send", "--too=rtsp://u:secret@h/x"],
            vec!["hevcast", "send", "--input", "http://u:secret@h/x"],
            vec!["hevcast", "send", "--to", "srt://h:1?passphrase=secret"],
            vec!["hevcast", "serve", "--listen", "rtsp://u:secret@h/x"],
        ] {
            let text = Cli::try_parse_from(&arguments).unwrap_err().to_string();
            let text = without_passwords(&text, arguments.iter().map(OsString::from));
            assert!(!text.contains("secret"), "{arguments:?}: {text}");
        }
    }
}
