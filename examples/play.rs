//! Plays a stream for ten seconds, decodes it and counts its pictures.
//!
//! ```sh
//! cargo run --release --example play -- rtsp://127.0.0.1:8554/live
//! ```
//!
//! Also takes the name of a recording.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hevcast::Clock;
use hevcast::media::picture::Picture;
use hevcast::pipeline::receive::{self, ReceiveSettings, Sink};

/// How long it plays, unless the stream ends before.
const DURATION: Duration = Duration::from_secs(10);

/// Counts pictures in place of showing them.
struct Counter(Arc<AtomicU64>);

impl Sink for Counter {
    /// All of them, not only the newest.
    fn takes_all(&self) -> bool {
        true
    }

    fn present(&mut self, picture: &Picture) -> anyhow::Result<Option<Instant>> {
        if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            println!("the first picture has {}x{} pixels", picture.format().width, picture.format().height);
        }
        Ok(Some(Instant::now()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let origin = std::env::args().nth(1).ok_or("the stream's URL is missing, such as rtsp://127.0.0.1:8554/live")?;
    hevcast::media::init(false);
    let pictures = Arc::new(AtomicU64::new(0));
    let settings = ReceiveSettings { origin: origin.parse()?, once: true, wait: true, source_timeout: None };
    let receiving = receive::start(settings, Box::new(Counter(Arc::clone(&pictures))), Clock::default())?;
    tokio::select! {
        () = receiving.finished() => {}
        () = tokio::time::sleep(DURATION) => {}
    }
    receiving.stop().await?;
    println!("{} pictures", pictures.load(Ordering::Relaxed));
    Ok(())
}
