//! The command line.
//!
//! A command that this program was built without is no command here, so that neither help nor the man pages name it.

#[cfg(feature = "media")]
mod media;

#[cfg(feature = "serve")]
use std::net::SocketAddr;
#[cfg(feature = "serve")]
use std::path::PathBuf;
#[cfg(feature = "serve")]
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use hevcast_net::Clock;

#[cfg(feature = "media")]
pub use self::media::*;
use crate::command::generate::GenerateArgs;
#[cfg(feature = "gui")]
use crate::ui::words::Language;
use crate::units;

/// Live H.265 video from a camera to any number of screens, with the true delay on the label.
#[derive(Debug, Parser)]
#[command(name = "hevcast", version)]
pub struct Cli {
    /// What to do; without a command a window asks, where there is a display.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Language of the windows (default: the system's)
    #[cfg(feature = "gui")]
    #[arg(long, global = true, value_enum)]
    pub lang: Option<Language>,
    /// Say more on standard error; twice for FFmpeg's own words too.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How the log on standard error is written.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log: LogForm,
}

/// Forms of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogForm {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line, with the ids of connection and session as fields.
    Json,
}

impl Cli {
    /// The command for the terminal, which cannot ask for what is missing as a window can.
    ///
    /// # Errors
    /// Without a command, and without the address of the stream to receive.
    pub fn in_terminal(self) -> Result<Command, clap::Error> {
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

/// The commands that help shows, as people would list them.
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
pub enum Command {
    /// Send a camera's picture (or a screen, a file, a pattern) to a server, by default one inside.
    #[cfg(feature = "media")]
    Send(SendArgs),
    /// Run a server; without a hevcast.toml anyone may publish on any path, and anyone may read it.
    #[cfg(feature = "serve")]
    Serve(ServeArgs),
    /// Receive a stream.
    #[cfg(feature = "media")]
    Receive(ReceiveArgs),
    /// Server, sender and receiver in one, to see that it works and how fast.
    #[cfg(feature = "media")]
    Demo(DemoArgs),
    /// List cameras with their modes, and the encoders that work here.
    #[cfg(feature = "media")]
    Devices,
    /// Ask for a password and print a user with it for hevcast.toml.
    #[cfg(feature = "serve")]
    Password(PasswordArgs),
    /// Write the man pages or the shells' completions into a folder
    #[command(hide = true)]
    Generate(GenerateArgs),
}

/// By which clock a command goes.
#[derive(Clone, Debug, Args)]
pub struct SkewArgs {
    /// Run by a clock that is wrong, by so many seconds and gaining so many ppm: for tests of the delay
    #[arg(long, value_name = "SECONDS,PPM", value_parser = units::clock_skew, allow_hyphen_values = true, hide = true)]
    pub clock_skew: Option<Clock>,
}

impl SkewArgs {
    /// The computer's, unless it is to be wrong.
    pub fn clock(&self) -> Clock {
        self.clock_skew.unwrap_or_default()
    }
}

/// `hevcast serve`
#[cfg(feature = "serve")]
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Address and port to listen on (default: the configuration's, else 0.0.0.0:8554)
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// The configuration (default: hevcast.toml in this folder, if there is one)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// End after this time
    #[arg(long, value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// Where the server keeps what it makes, recordings and its own certificate (default: beside the configuration)
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// The clock that peers compare theirs with.
    #[command(flatten)]
    pub skew: SkewArgs,
}

/// `hevcast password`
#[cfg(feature = "serve")]
#[derive(Clone, Debug, Args)]
pub struct PasswordArgs {
    /// The user's name
    pub name: String,
}

/// Arguments as they are where none are given: by clap itself, so that there is one place of defaults.
macro_rules! defaults {
    ($($args:ident),*) => {$(
        impl Default for $args {
            fn default() -> $args {
                let command = $args::augment_args(clap::Command::new("hevcast"));
                let matches = command.get_matches_from(["hevcast"]);
                // Every argument of these has a default or is optional; a unit test makes each once.
                $args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
            }
        }
    )*};
}

#[cfg(feature = "media")]
defaults!(SendArgs, ReceiveArgs);
#[cfg(feature = "serve")]
defaults!(ServeArgs);
