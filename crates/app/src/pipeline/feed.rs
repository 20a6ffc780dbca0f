//! Access units from what FFmpeg takes apart, SRT and files: its calls wait, so they have a thread.
//!
//! Queue `feed`: at most [`FEED_DEPTH`] units between the thread and the play stage; when it is full the thread waits, and
//! with it the network or the disk.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use hevcast_media::Stop;
use hevcast_media::coded_file::{CodedFile, CodedFileError};
use hevcast_media::srt::{ReadUnit, SrtError, SrtReader};
use hevcast_net::Target;
use hevcast_wire::h265::AccessUnit;
use hevcast_wire::time::RtpTicks;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::outputs::srt::address;

/// A gap in a file's time stamps, or a step back, that is not waited for: an odd stamp must not stop it for hours.
const LONGEST_GAP: i64 = 10 * RtpTicks::HZ as i64;

/// Depth of the queue `feed`, in access units.
pub const FEED_DEPTH: usize = 4;

/// Why there are no more units.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// SRT's.
    #[error(transparent)]
    Srt(#[from] SrtError),
    /// The file's.
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
    units: mpsc::Receiver<Result<ReadUnit, FeedError>>,
    stop: Stop,
    pace: Option<Pace>,
    received_bytes: u64,
}

/// Gives a file's units out in their own time.
#[derive(Debug, Default)]
struct Pace {
    /// When the file's first unit was given out, and its time stamp; that of the first behind a gap.
    begun: Option<(Instant, i64)>,
    /// The last one's time stamp.
    last: i64,
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
    pub async fn srt(target: &Target) -> Result<Feed, FeedError> {
        let (mut address, stop) = (address(target), Stop::new());
        // How long nothing may come, the play stage decides; a peer that is gone libsrt notices itself.
        address.options.retain(|(name, _)| *name != "timeout");
        let ends_by = stop.clone();
        let open = move || Ok(SrtReader::connect(address, ends_by)?);
        Feed::start("srt", stop, None, open, |reader| Ok(reader.read()?)).await
    }

    /// Opens a file, whose units come in their own time.
    ///
    /// # Errors
    /// When it cannot be opened, or holds no H.265.
    pub async fn file(path: &Path) -> Result<Feed, FeedError> {
        let path = path.to_owned();
        let open = move || Ok(CodedFile::open(&path)?);
        Feed::start("file", Stop::new(), Some(Pace::default()), open, |file| Ok(file.read()?)).await
    }

    async fn start<R>(
        name: &str,
        stop: Stop,
        pace: Option<Pace>,
        open: impl FnOnce() -> Result<R, FeedError> + Send + 'static,
        read: impl Fn(&mut R) -> Result<Option<ReadUnit>, FeedError> + Send + 'static,
    ) -> Result<Feed, FeedError> {
        let (sender, units) = mpsc::channel(FEED_DEPTH);
        let (opened, is_open) = tokio::sync::oneshot::channel();
        // Before the thread: should this call be given up, the thread is told.
        let feed = Feed { units, stop, pace, received_bytes: 0 };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
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
            while let Some(unit) = read(&mut reader).transpose() {
                let failed = unit.is_err();
                if sender.blocking_send(unit).is_err() || failed {
                    return;
                }
            }
        })?;
        match is_open.await {
            Ok(opened) => opened.map(|()| feed),
            // The thread has panicked, which its own message tells.
            Err(_) => Err(std::io::Error::other("the reader ended").into()),
        }
    }

    /// Waits for the next unit; `None` at the end. Cancelling it may lose a file's unit.
    ///
    /// # Errors
    /// The stream is lost, or the file cannot be read on.
    pub async fn next(&mut self) -> Result<Option<AccessUnit>, FeedError> {
        let Some(unit) = self.units.recv().await.transpose()? else { return Ok(None) };
        self.received_bytes += unit.annexb.len() as u64;
        if let Some(pace) = &mut self.pace {
            pace.wait(unit.ticks).await;
        }
        Ok(Some(access_unit(unit.ticks, &unit.annexb)))
    }

    /// Bytes of the units given out.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Whether this is a file.
    pub fn is_file(&self) -> bool {
        self.pace.is_some()
    }
}

/// As RTP would bring it: its time stamp wraps.
fn access_unit(ticks: i64, annexb: &Bytes) -> AccessUnit {
    AccessUnit::from_annexb(RtpTicks(ticks as u32), annexb)
}

impl Pace {
    /// Where the unit at `ticks` counts from.
    fn line(&mut self, ticks: i64, now: Instant) -> (Instant, i64) {
        let step = ticks.saturating_sub(self.last);
        self.last = ticks;
        let begun = self.begun.filter(|_| (-LONGEST_GAP..=LONGEST_GAP).contains(&step));
        *self.begun.insert(begun.unwrap_or((now, ticks)))
    }

    async fn wait(&mut self, ticks: i64) {
        let (begun, first) = self.line(ticks, Instant::now());
        let since = u64::try_from(ticks - first).unwrap_or(0);
        tokio::time::sleep_until(begun + Duration::from_micros(since * 1_000_000 / RtpTicks::HZ)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_time_stamp_does_not_stop_a_file_for_hours() {
        const HOUR: i64 = 3600 * RtpTicks::HZ as i64;
        let (mut pace, now) = (Pace::default(), Instant::now());
        let begun = (now, 500);
        assert_eq!([500, 3500, 2000, 9500].map(|ticks| pace.line(ticks, now)), [begun; 4]);
        assert_eq!(pace.line(9500 + 3 * HOUR, now), (now, 9500 + 3 * HOUR), "it is shown at once");
        assert_eq!(pace.line(12_500, now), (now, 12_500), "and so is what follows it");
        assert_eq!(pace.line(15_500, now), (now, 12_500));
    }
}
