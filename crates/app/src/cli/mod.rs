//! The command line.
//!
//! Commands of features that this program was built without are left out, so that neither help nor the man pages name them.

#[cfg(feature = "media")]
mod media;

#[cfg(feature = "serve")]
use std::net::SocketAddr;
use std::path::PathBuf;
#[cfg(feature = "serve")]
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use hevcast_net::Clock;

#[cfg(feature = "media")]
pub(crate) use self::media::*;
#[cfg(feature = "gui")]
use crate::language::Language;
use crate::log::LogFormat;
use crate::units;

/// Live H.265 video from a camera to any number of screens, with the true delay on the label.
#[derive(Debug, Parser)]
#[command(name = "hevcast", version)]
pub(crate) struct Cli {
    /// What to do; without a command a window opens to choose it, where there is a display.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Language of the windows (default: the system's)
    #[cfg(feature = "gui")]
    #[arg(long, global = true, value_enum)]
    pub lang: Option<Language>,
    /// Log more on standard error; twice: FFmpeg's own messages too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Format of the log on standard error
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log: LogFormat,
}

impl Cli {
    /// The command to run in the terminal, where nothing that is missing can be asked for, as it can in a window.
    ///
    /// # Errors
    /// Without a command, and without the address of the stream to receive.
    pub(crate) fn in_terminal(self) -> Result<Command, clap::Error> {
        let missing = |what: &str| Cli::command().error(ErrorKind::MissingRequiredArgument, what);
        match self.command {
            None => Err(missing(&format!("a command is missing: {}", names(&Cli::command())))),
            #[cfg(feature = "media")]
            Some(Command::Receive(ReceiveArgs { url: None, .. })) => {
                Err(missing("the stream's URL is missing, such as rtsp://HOST:8554/live"))
            }
            Some(command) => Ok(command),
        }
    }
}

/// The commands that help shows, as a list such as `send, serve or receive`.
fn names(cli: &clap::Command) -> String {
    let shown = cli.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<&str> = shown.map(clap::Command::get_name).collect();
    match &names[..] {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        names => names.concat(),
    }
}

/// The program's roles.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Send a camera, the screen, a file or a test pattern to a server, by default the built-in one
    #[cfg(feature = "media")]
    Send(SendArgs),
    /// Run a server; without a hevcast.toml anyone may publish and read on any path
    #[cfg(feature = "serve")]
    Serve(ServeArgs),
    /// Receive a stream and show it
    #[cfg(feature = "media")]
    Receive(ReceiveArgs),
    /// Run server, sender and receiver in one process, to see that it works and how fast
    #[cfg(feature = "media")]
    Demo(DemoArgs),
    /// List the cameras with their modes, and the encoders that work here
    #[cfg(feature = "media")]
    Devices(DevicesArgs),
    /// Ask for a password and print a user with it for hevcast.toml
    #[cfg(feature = "serve")]
    Password(PasswordArgs),
    /// Write the man pages or the shell completions into a folder
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// The clock that a command runs by.
#[derive(Clone, Debug, Args)]
pub(crate) struct SkewArgs {
    /// Run by a clock that is off by so many seconds and gains so many ppm: for tests of the delay
    #[arg(long, value_name = "SECONDS,PPM", value_parser = units::clock_skew, allow_hyphen_values = true, hide = true)]
    pub clock_skew: Option<Clock>,
}

impl SkewArgs {
    /// The computer's clock, unless `--clock-skew` makes it wrong.
    pub(crate) fn clock(&self) -> Clock {
        self.clock_skew.unwrap_or_default()
    }
}

/// Arguments of `hevcast serve`.
#[cfg(feature = "serve")]
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address and port to listen on (default: as configured, else 0.0.0.0:8554)
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Configuration file (default: hevcast.toml in this folder, if there is one)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// End after this time
    #[arg(long, value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// Folder for recordings and for the certificate that the server makes (default: that of the configuration)
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// The clock that senders and receivers compare theirs with.
    #[command(flatten)]
    pub skew: SkewArgs,
}

/// Arguments of `hevcast password`.
#[cfg(feature = "serve")]
#[derive(Clone, Debug, Args)]
pub(crate) struct PasswordArgs {
    /// The user's name
    pub name: String,
}

/// Arguments of `hevcast generate`, which is for packagers.
#[derive(Clone, Debug, Args)]
pub(crate) struct GenerateArgs {
    /// What to write
    #[arg(value_enum)]
    pub what: Generated,
    /// The folder to write into, which must exist
    pub folder: PathBuf,
}

/// What `hevcast generate` can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Generated {
    /// hevcast.1, and a page for each command.
    Man,
    /// For bash, zsh and fish.
    Completions,
}

/// `Default` for arguments: what clap makes of an empty command line, so that defaults stand in one place.
macro_rules! defaults {
    ($($args:ident),*) => {$(
        impl Default for $args {
            fn default() -> $args {
                let command = $args::augment_args(clap::Command::new("hevcast"));
                let matches = command.get_matches_from(["hevcast"]);
                // Cannot fail: each argument has a default or is optional, which a unit test checks.
                $args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
            }
        }
    )*};
}

#[cfg(feature = "media")]
defaults!(SendArgs, ReceiveArgs);
#[cfg(feature = "serve")]
defaults!(ServeArgs);
