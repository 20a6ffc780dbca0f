//! Changes among how many threads the encoder divides a picture, while it runs: one on a busy computer.
//!
//! [`ThreadsPolicy`] says when. Another encoder is opened on a thread of its own, beside the one at work, and takes over before
//! a picture; its first is an IDR picture.

use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use hevcast_media::codec::{EncodeError, Encoder, PictureTimes, Threads, ThreadsPolicy};

use crate::priority;

/// What the encode stage knows of its encoder's threads.
#[derive(Debug)]
pub struct EncoderThreads {
    policy: ThreadsPolicy,
    /// The encoder that is being opened: a hand-off of depth 1, which nothing is dropped from.
    opening: Option<Receiver<Result<Encoder, EncodeError>>>,
    /// The last one could not be opened; none is tried again.
    has_failed: bool,
}

impl EncoderThreads {
    /// For a stage that begins at `now`.
    pub fn new(now: Instant) -> EncoderThreads {
        EncoderThreads { policy: ThreadsPolicy::new(now), opening: None, has_failed: false }
    }

    /// Lets an encoder that has been opened meanwhile take over; whether it did. To be called before each picture.
    pub fn change(&mut self, encoder: &mut Encoder) -> bool {
        let opened = match self.opening.as_ref().map(Receiver::try_recv) {
            None | Some(Err(TryRecvError::Empty)) => return false,
            Some(Ok(opened)) => opened,
            // Its thread has panicked.
            Some(Err(TryRecvError::Disconnected)) => {
                (self.opening, self.has_failed) = (None, true);
                return false;
            }
        };
        self.opening = None;
        match opened {
            Ok(next) => {
                let threads = next.settings().options.threads;
                // Where its settings have been changed meanwhile, the policy asks again.
                let has_changed = encoder.go_on_with(next).is_ok();
                if has_changed {
                    match threads {
                        Threads::Single => {
                            tracing::info!("the computer is busy: one thread codes pictures from now on")
                        }
                        Threads::Wavefront => tracing::info!("all processors code pictures from now on"),
                    }
                }
                has_changed
            }
            Err(error) => {
                tracing::info!("no other encoder opens beside the one at work: {error}");
                self.has_failed = true;
                false
            }
        }
    }

    /// Takes note of a picture that `encoder` has coded; opens another encoder where that is due.
    pub fn coded(&mut self, encoder: &Encoder, now: Instant, took: Duration) {
        let Some(waited) = encoder.longest_wait() else { return };
        let times = PictureTimes { threads: encoder.settings().options.threads, took, waited };
        let Some(threads) = self.policy.after_picture(now, times) else { return };
        if self.opening.is_some() || self.has_failed {
            return;
        }
        let (opened, opening) = mpsc::sync_channel(1);
        let open = encoder.opener(threads);
        let spawned = std::thread::Builder::new().name("open-encoder".to_owned()).spawn(move || {
            // Nobody waits for it where the stage has ended.
            let _ = opened.send(priority::while_raised(open));
        });
        match spawned {
            Ok(_) => self.opening = Some(opening),
            Err(error) => {
                tracing::info!("no thread to open another encoder: {error}");
                self.has_failed = true;
            }
        }
    }
}
