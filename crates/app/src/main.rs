//! hevcast: live H.265 from a camera to any number of screens over RTSP/TCP, with the true delay on the label.
//!
//! [`cli`] says what can be asked, [`command`] does it in the terminal and [`ui`] in a window, over the same two
//! [`pipeline`]s; [`figures`] are what both ends show.

mod cli;
mod command;
mod descriptors;
mod figures;
mod pipeline;
mod ui;
mod units;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use cli::{Cli, Command, LogForm};
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;
use ui::Opening;

/// How we introduce ourselves to servers.
pub const USER_AGENT: &str = concat!("hevcast/", env!("CARGO_PKG_VERSION"));

/// Exit status for a command line that cannot be carried out as written.
const USAGE: u8 = 2;

/// How long tasks may linger when everything has been said.
const LINGER: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    log_to_stderr(cli.verbose, cli.log);
    hevcast_media::init(cli.verbose > 1);
    let workers = if matches!(cli.command, Some(Command::Serve(_))) { serve_workers() } else { 2 };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    if let Some(opening) = Opening::of(&cli) {
        match ui::run(opening, runtime.handle()) {
            Ok(()) => return end(runtime, Ok(())),
            Err(why) => tracing::warn!("no window can be opened ({why}); staying in the terminal"),
        }
    }
    let command = match cli.in_terminal() {
        Ok(command) => command,
        Err(error) => return usage(&error),
    };
    let result = runtime.block_on(async {
        match command {
            Command::Send(args) => command::send::run(args).await,
            Command::Serve(args) => command::serve::run(args).await,
            Command::Receive(args) => command::receive::run(args).await,
            Command::Demo(args) => command::demo::run(args).await,
            Command::Devices => command::devices::run(),
            Command::Password(args) => command::password::run(&args),
            Command::Generate(args) => command::generate::run(&args),
        }
    });
    end(runtime, result)
}

/// A server's threads. One writes to some thousand readers, and each further one makes every write dearer, where its
/// readers run on the same processors: half of them at most.
fn serve_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).clamp(1, 8))
}

fn end(runtime: Runtime, result: anyhow::Result<()>) -> ExitCode {
    runtime.shutdown_timeout(LINGER);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// One line, what and what to do, and status 1.
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("hevcast: {}", format!("{error:#}").replace('\n', " "));
    ExitCode::FAILURE
}

/// Help and version as clap has them; errors in one line, and status 2.
fn usage(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        // A closed standard output is no reason to fail.
        let _ = error.print();
        return if error.exit_code() == 0 { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
    }
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:")).collect();
    let what = lines.into_iter().filter(|l| !l.is_empty() && !l.starts_with("For more")).collect::<Vec<_>>().join(" ");
    eprintln!("hevcast: {}; see --help", what.trim_start_matches("error: "));
    ExitCode::from(USAGE)
}

/// Warnings for everyone, news with `-v`, everything with `RUST_LOG`.
fn log_to_stderr(verbose: u8, form: LogForm) {
    let level = match verbose {
        0 => "hevcast=info,hevcast_server=warn,hevcast_net=warn",
        1 => "hevcast=debug,hevcast_server=info,hevcast_net=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    match form {
        LogForm::Text => log.compact().init(),
        LogForm::Json => log.json().flatten_event(true).init(),
    }
}
