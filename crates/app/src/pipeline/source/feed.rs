//! Frames from what FFmpeg takes apart, SRT and files: its calls wait, so they have a thread.
//!
//! Queue `feed`: at most [`FEED_DEPTH`] frames between the thread and the play stage; when it is full the thread waits, and
//! with it the network or the disk.

use std::path::Path;
use std::time::Duration;

use hevcast_media::Stop;
use hevcast_media::coded_file::{CodedFile, CodedFileError};
use hevcast_media::srt::SrtError;
#[cfg(feature = "srt")]
use hevcast_media::srt::SrtReader;
#[cfg(feature = "srt")]
use hevcast_net::Target;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodedFrame, ParameterSetStage, ParameterSets};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{CodedSource, Ended, SourceError, SourceEvent, SourceStats};
#[cfg(feature = "srt")]
use crate::pipeline::outputs::srt::address;
use crate::priority;

/// A gap in a file's time stamps, or a step back, that is not waited for: an odd stamp must not stop it for hours.
const LONGEST_GAP: i32 = 10 * RtpTicks::HZ as i32;

/// Depth of the queue `feed`, in frames.
pub const FEED_DEPTH: usize = 4;

/// Why there are no more frames.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The SRT connection failed or was refused.
    #[error(transparent)]
    Srt(#[from] SrtError),
    /// The file cannot be opened or read.
    #[error(transparent)]
    File(#[from] CodedFileError),
    /// The system has no thread.
    #[error("no thread to read by: {0}")]
    Thread(#[from] std::io::Error),
}

impl FeedError {
    /// Whether trying again later may help without anybody changing the command.
    pub fn is_temporary(&self) -> bool {
        matches!(self, FeedError::Srt(error) if error.is_temporary())
    }
}

/// A stream or a file that is read by a thread, which ends when this is dropped.
#[derive(Debug)]
pub struct Feed {
    frames: mpsc::Receiver<Result<CodedFrame, FeedError>>,
    stop: Stop,
    playout_clock: Option<PlayoutClock>,
    /// Made with the first frame, which says the codec.
    parameter_sets: Option<ParameterSetStage>,
    received_bytes: u64,
}

/// Delays a file's frames until their time stamps are due.
#[derive(Debug, Default)]
struct PlayoutClock {
    /// When the file's first frame was due; after a gap, the first behind it.
    begun: Option<Instant>,
    /// From that to the last one, in ticks of 90 kHz.
    elapsed_ticks: i64,
    /// The last one's time stamp.
    last: Option<RtpTicks>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl Feed {
    /// Opens a stream by SRT.
    ///
    /// # Errors
    /// When there is no peer, or it refuses.
    #[cfg(feature = "srt")]
    pub async fn srt(target: &Target) -> Result<Feed, FeedError> {
        let (mut address, stop) = (address(target), Stop::new());
        // How long nothing may come, the play stage decides; a peer that is gone libsrt notices itself.
        address.options.retain(|(name, _)| *name != "timeout");
        let ends_by = stop.clone();
        let open = move || Ok(SrtReader::connect(address, ends_by)?);
        Feed::start("srt", stop, None, open, |reader| Ok(reader.read()?)).await
    }

    /// Opens a file, whose frames come in their own time.
    ///
    /// # Errors
    /// When it cannot be opened, or holds neither H.264 nor H.265.
    pub async fn file(path: &Path) -> Result<Feed, FeedError> {
        let path = path.to_owned();
        let open = move || Ok(CodedFile::open(&path)?);
        Feed::start("file", Stop::new(), Some(PlayoutClock::default()), open, |file| Ok(file.read()?)).await
    }

    async fn start<R>(
        name: &str,
        stop: Stop,
        playout_clock: Option<PlayoutClock>,
        open: impl FnOnce() -> Result<R, FeedError> + Send + 'static,
        read: impl Fn(&mut R) -> Result<Option<CodedFrame>, FeedError> + Send + 'static,
    ) -> Result<Feed, FeedError> {
        let (sender, frames) = mpsc::channel(FEED_DEPTH);
        let (opened, is_open) = tokio::sync::oneshot::channel();
        // Before the thread, so that dropping this call ends the thread.
        let feed = Feed { frames, stop, playout_clock, parameter_sets: None, received_bytes: 0 };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            priority::raise();
            let mut reader = match open() {
                Ok(reader) => reader,
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            if opened.send(Ok(())).is_err() {
                return;
            }
            while let Some(frame) = read(&mut reader).transpose() {
                let failed = frame.is_err();
                if sender.blocking_send(frame).is_err() || failed {
                    return;
                }
            }
        })?;
        match is_open.await {
            Ok(opened) => opened.map(|()| feed),
            // The thread has panicked, with a message of its own.
            Err(_) => Err(std::io::Error::other("the reader ended").into()),
        }
    }
}

impl CodedSource for Feed {
    async fn next(&mut self) -> Result<SourceEvent, SourceError> {
        let Some(mut frame) = self.frames.recv().await.transpose()? else {
            return Ok(SourceEvent::Ended(Ended::Session));
        };
        self.received_bytes += frame.annexb_bytes() as u64;
        if let Some(clock) = &mut self.playout_clock {
            clock.wait(frame.timestamp).await;
        }
        let codec = frame.codec;
        let stage = self.parameter_sets.get_or_insert_with(|| ParameterSetStage::new(ParameterSets::new(codec)));
        stage.process(&mut frame);
        Ok(SourceEvent::Frame(frame))
    }

    /// Nothing is requested: a file has no encoder, and SRT no such message.
    fn request_keyframe(&mut self) -> bool {
        true
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            received_bytes: self.received_bytes,
            is_paced: self.playout_clock.is_some(),
            ..SourceStats::default()
        }
    }

    async fn close(self) {}
}

impl PlayoutClock {
    /// When the frame of this time stamp is due.
    fn due(&mut self, timestamp: RtpTicks, now: Instant) -> Instant {
        let step = self.last.map_or(0, |last| timestamp.0.wrapping_sub(last.0) as i32);
        self.last = Some(timestamp);
        self.elapsed_ticks += i64::from(step);
        let begun = self.begun.filter(|_| (-LONGEST_GAP..=LONGEST_GAP).contains(&step));
        if begun.is_none() {
            self.elapsed_ticks = 0;
        }
        let begun = *self.begun.insert(begun.unwrap_or(now));
        let elapsed = u64::try_from(self.elapsed_ticks).unwrap_or(0);
        begun + Duration::from_micros(elapsed * 1_000_000 / RtpTicks::HZ)
    }

    async fn wait(&mut self, timestamp: RtpTicks) {
        tokio::time::sleep_until(self.due(timestamp, Instant::now())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_time_stamp_does_not_stop_a_file_for_hours() {
        const HOUR: u32 = 3600 * RtpTicks::HZ as u32;
        let (mut clock, now) = (PlayoutClock::default(), Instant::now());
        let mut due = |ticks: u32| clock.due(RtpTicks(ticks), now).saturating_duration_since(now).as_millis();
        assert_eq!([500, 3500, 2000, 9500].map(&mut due), [0, 33, 16, 100]);
        assert_eq!(due(9500 + 3 * HOUR), 0, "it is shown at once");
        assert_eq!(due(12_500), 0, "and so is what follows it");
        assert_eq!(due(15_500), 33);
        let mut clock = PlayoutClock::default();
        let over_the_wrap = [u32::MAX - 2999, 0, 3000].map(|ticks| clock.due(RtpTicks(ticks), now));
        assert_eq!(over_the_wrap.map(|due| (due - now).as_millis()), [0, 33, 66]);
    }
}
