//! Frames by Enhanced RTMP.

use std::sync::Arc;

use hevcast_net::rtmp::{Played, Player};
use hevcast_net::{Clock, Target};

use super::{CodedSource, Ended, SourceError, SourceEvent, SourceStats, is_orderly_end};
use crate::USER_AGENT;
use crate::figures::receive::ReceiveCounters;

/// A playing connection by RTMP.
#[derive(Debug)]
pub struct RtmpSource {
    player: Player,
    /// What comes is evidence of why nothing may be shown.
    counters: Arc<ReceiveCounters>,
    malformed: u64,
}

impl RtmpSource {
    /// Connects and waits until the server plays.
    ///
    /// # Errors
    /// No connection, a refusal, or silence.
    pub async fn open(
        target: &Target,
        clock: Clock,
        counters: Arc<ReceiveCounters>,
    ) -> Result<RtmpSource, SourceError> {
        let player = Player::connect(target, USER_AGENT, clock).await?;
        Ok(RtmpSource { player, counters, malformed: 0 })
    }
}

impl CodedSource for RtmpSource {
    async fn next(&mut self) -> Result<SourceEvent, SourceError> {
        let played = match self.player.next().await {
            Ok(played) => played,
            Err(error) if is_orderly_end(&error) => Played::Ended,
            Err(error) => return Err(error.into()),
        };
        Ok(match played {
            Played::Picture(frame) => {
                self.counters.evidence().message();
                SourceEvent::Frame(frame)
            }
            Played::Other => {
                self.counters.evidence().message();
                SourceEvent::Media
            }
            Played::Malformed(error) => {
                self.counters.evidence().message();
                self.malformed += 1;
                tracing::debug!("{error}");
                SourceEvent::Media
            }
            Played::Sound => {
                self.counters.evidence().sound();
                SourceEvent::Other
            }
            Played::Ended => SourceEvent::Ended(Ended::Session),
        })
    }

    /// RTMP has no such request; a server sends keyframes as its publisher makes them.
    fn request_keyframe(&mut self) -> bool {
        true
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            received_bytes: self.player.received_bytes(),
            malformed: self.malformed,
            ..SourceStats::default()
        }
    }

    async fn close(self) {
        self.player.close().await;
    }
}
