//! `hevcast serve`

use anyhow::Result;
use hevcast_net::Clock;
use hevcast_server::Server;

use super::after;
use super::signals::Signals;
use crate::cli::ServeArgs;

/// Runs until the time is over or a signal comes.
///
/// # Errors
/// When the address cannot be had.
pub async fn run(args: ServeArgs) -> Result<()> {
    let mut signals = Signals::catch()?;
    let server = Server::bind(args.listen, Clock::default()).await?;
    println!("listening on {}: publish to and read from rtsp://{}/PATH", server.address(), server.address());
    tokio::select! {
        () = after(args.duration) => {}
        () = signals.recv() => {}
    }
    server.stop().await;
    println!("stopped");
    Ok(())
}
