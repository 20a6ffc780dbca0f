//! `hevcast serve`

use anyhow::Result;
use hevcast_net::Clock;
use hevcast_server::Server;

use super::after;
use super::signals::Signals;
use crate::cli::ServeArgs;
use crate::figures::report::{Format, Reporter};
use crate::pipeline::session::addresses;

/// Runs until the time is over or a signal comes.
///
/// # Errors
/// When the address cannot be had.
pub async fn run(args: ServeArgs) -> Result<()> {
    let mut signals = Signals::catch()?;
    let server = Server::bind(args.listen, Clock::default()).await?;
    let reporter = Reporter { format: Format::Text, stdout_is_taken: false };
    reporter.say(&format!("listening on {}", server.address()));
    for address in addresses(server.address()) {
        reporter.say(&format!("publish to and read from rtsp://{address}/PATH"));
    }
    tokio::select! {
        () = after(args.duration) => {}
        () = signals.recv() => {}
    }
    server.stop().await;
    reporter.say("stopped");
    Ok(())
}
