//! A viewer within the benchmark: play, depacketize, decode, and the instant at which each picture was decoded.
//!
//! One thread does it all. The program's receiver decodes beside its socket; here the socket waits while a picture is
//! decoded, which is never faster.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hevcast_media::codec::{Decoded, Decoder};
use hevcast_net::play::{Played, Player};
use hevcast_net::{Clock, Target};
use hevcast_wire::rtp::{Depacketizer, ReceivedPacket};
use hevcast_wire::{CodecId, CodedFrame, ParameterSetStage};

/// Between two tries for a stream that is not there yet.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a stream may say nothing.
const SILENCE: Duration = Duration::from_secs(5);

/// A decoded picture: its RTP time stamp, and when it was here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Which one.
    pub timestamp: u32,
    /// When the decoder had given it.
    pub at: Instant,
}

/// Joins `target` and tells `each` of every picture, until it says no more. Returns the instant before the connection.
///
/// # Errors
/// When the stream is not to be had, ends or falls silent.
pub fn watch(target: &Target, each: impl FnMut(Shown) -> bool) -> Result<Instant> {
    // Made before the clock is read: a person who joins has them, too.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let viewer = Viewer::new()?;
    runtime.block_on(async {
        let begun = Instant::now();
        let player = Player::connect(target, "hevcast-bench", Clock::default()).await?;
        viewer.play(player, each).await?;
        Ok(begun)
    })
}

/// Waits until `target` plays.
///
/// # Errors
/// When it does not within `patience`.
pub fn wait_for(target: &Target, patience: Duration) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let deadline = Instant::now() + patience;
        loop {
            match Player::connect(target, "hevcast-bench", Clock::default()).await {
                Ok(player) => {
                    player.close().await;
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => return Err(error).context("no stream came"),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    })
}

struct Viewer {
    depacketizer: Depacketizer,
    decoder: Decoder,
    decoded: Vec<Decoded>,
    waiting_for_irap: bool,
}

impl Viewer {
    fn new() -> Result<Viewer> {
        Ok(Viewer {
            depacketizer: Depacketizer::new(),
            decoder: Decoder::new(CodecId::H265)?,
            decoded: Vec::new(),
            waiting_for_irap: true,
        })
    }

    async fn play(mut self, mut player: Player, mut each: impl FnMut(Shown) -> bool) -> Result<()> {
        let mut sets = ParameterSetStage::new(player.parameter_sets().clone());
        loop {
            let played = tokio::time::timeout(SILENCE, player.next()).await.context("the stream fell silent")?;
            let packet = match played? {
                Played::Rtp(packet) => packet,
                Played::Rtcp(_) => continue,
                Played::Ended => bail!("the stream ended"),
            };
            self.depacketizer.push(&ReceivedPacket::parse(packet)?)?;
            while let Some(frame) = self.depacketizer.poll() {
                self.decode(frame, &mut sets)?;
                let at = Instant::now();
                for decoded in self.decoded.drain(..) {
                    if !each(Shown { timestamp: decoded.tag as u32, at }) {
                        player.close().await;
                        return Ok(());
                    }
                }
                // As the program's receiver does for a stream that begins in the middle of a group.
                if self.waiting_for_irap
                    && let Some(ssrc) = self.depacketizer.ssrc()
                {
                    player.request_keyframe(ssrc);
                }
            }
        }
    }

    fn decode(&mut self, mut frame: CodedFrame, sets: &mut ParameterSetStage) -> Result<()> {
        sets.process(&mut frame);
        self.waiting_for_irap |= frame.meta.damaged || frame.meta.lost_before > 0;
        if frame.random_access && !frame.meta.damaged {
            self.waiting_for_irap = false;
        }
        if self.waiting_for_irap {
            return Ok(());
        }
        self.decoder.decode(&frame, i64::from(frame.timestamp.0), &mut self.decoded).context("the decoder")
    }
}
