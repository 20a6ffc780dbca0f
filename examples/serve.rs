//! A server on a port, on which anyone may publish and read any path, until Ctrl-C.
//!
//! ```sh
//! cargo run --release --example serve -- 127.0.0.1:8554
//! ```
//!
//! Needs no feature: `--no-default-features` builds it without FFmpeg.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use hevcast::{Clock, Server};

/// How often it is told what is live.
const INTERVAL: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = match std::env::args().nth(1) {
        Some(address) => address.parse()?,
        None => SocketAddr::from(([127, 0, 0, 1], 8554)),
    };
    let server = Server::bind(address, Clock::default()).await?;
    println!("publish to and read from rtsp://{}/PATH", server.address());
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                for stream in server.state().hub.streams() {
                    let metrics = stream.metrics();
                    println!("{}: {} packets, {} keyframes", stream.path(), metrics.packets, metrics.keyframes);
                }
            }
            ended = tokio::signal::ctrl_c() => {
                ended?;
                break;
            }
        }
    }
    server.stop().await;
    Ok(())
}
