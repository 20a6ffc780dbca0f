//! Codes the test pattern, or another input, as H.265 and publishes it for ten seconds.
//!
//! ```sh
//! cargo run --release --example serve &
//! cargo run --release --example publish -- rtsp://127.0.0.1:8554/live
//! cargo run --release --example publish -- rtsp://127.0.0.1:8554/live file:FOOTAGE.y4m
//! ```
//!
//! The second argument is what `hevcast send --input` takes: `camera`, `screen`, `file:PATH`, `pattern`, `y4m:-`.

use std::error::Error;
use std::time::Duration;

use hevcast::media::capture::{Input, Wanted};
use hevcast::media::codec::EncoderOptions;
use hevcast::pipeline::send::{self, SendSettings};
use hevcast::{Clock, Target};

/// How long it sends, unless the input ends before.
const DURATION: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("the URL to publish to is missing, such as rtsp://127.0.0.1:8554/live")?;
    let input = arguments.next().map_or(Ok(Input::Pattern), |input| input.parse())?;
    hevcast::media::init(false);
    let settings = SendSettings {
        input,
        wanted: Wanted::default(),
        encoder: EncoderOptions::default(),
        targets: vec![Target::parse(&url)?],
    };
    let sending = send::start(settings, None, Clock::default()).await?;
    println!("{} by {}", sending.source.description, sending.encoder);
    tokio::select! {
        () = sending.finished() => {}
        () = tokio::time::sleep(DURATION) => {}
    }
    let counters = sending.counters.clone();
    sending.stop().await?;
    println!("{} pictures captured", counters.captured.get());
    Ok(())
}
