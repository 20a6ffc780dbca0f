//! SRT, whose library waits, behind a thread of its own.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use hevcast_media::Stop;
use hevcast_media::srt::{SrtAddress, SrtError, SrtWriter};
use hevcast_net::Target;
use hevcast_net::publish::PublishNews;
use hevcast_net::target::{SrtMode, SrtSettings};
use hevcast_wire::h265::AccessUnit;
use tokio::sync::mpsc;

use super::super::ticks::Unwrapper;

/// How long libsrt may wait for a peer before it gives up.
const CONNECT_TIMEOUT_MS: u32 = 3000;
/// How long a connection may take nothing before it counts as lost.
const WRITE_TIMEOUT_US: u32 = 5_000_000;

/// What the last picture may need on its way beside the latency.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// The address as FFmpeg wants it.
pub fn address(target: &Target) -> SrtAddress {
    let default = SrtSettings::default();
    let SrtSettings { mode, stream_id, latency, passphrase } = target.srt.as_ref().unwrap_or(&default);
    let mode = match mode {
        SrtMode::Caller => "caller",
        SrtMode::Listener => "listener",
    };
    let mut options = vec![
        ("mode", mode.to_owned()),
        ("transtype", "live".to_owned()),
        // FFmpeg counts it in microseconds.
        ("latency", latency.as_micros().to_string()),
        ("connect_timeout", CONNECT_TIMEOUT_MS.to_string()),
        ("timeout", WRITE_TIMEOUT_US.to_string()),
    ];
    options.extend(stream_id.iter().map(|id| ("streamid", id.clone())));
    options.extend(passphrase.iter().map(|phrase| ("passphrase", phrase.reveal().to_owned())));
    SrtAddress { url: format!("srt://{}", target.address()), options }
}

/// A connection whose writing is done by a thread.
#[derive(Debug)]
pub struct SrtLine {
    units: SyncSender<AccessUnit>,
    /// What became of each unit: its bytes.
    written: mpsc::Receiver<Result<u64, SrtError>>,
    url: String,
    in_flight: bool,
    latency: Duration,
    sent_bytes: u64,
    stop: StopOnDrop,
}

/// Ends libsrt's waits when whoever waits for them is gone.
#[derive(Debug, Default)]
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl SrtLine {
    /// Connects; `size` is that of the pictures, in luma samples.
    ///
    /// # Errors
    /// When there is no peer, or it refuses.
    pub async fn connect(target: &Target, size: (u32, u32)) -> Result<SrtLine, SrtError> {
        let (address, stop) = (address(target), StopOnDrop::default());
        let url = address.url.clone();
        let latency = target.srt.as_ref().map_or_else(Duration::default, |srt| srt.latency);
        let (units, queued) = sync_channel(1);
        let (told, mut written) = mpsc::channel(2);
        let failed = |why: &str| SrtError::Failed { url: url.clone(), why: why.to_owned() };
        let ends_by = stop.0.clone();
        std::thread::Builder::new()
            .name("srt".to_owned())
            .spawn(move || match SrtWriter::connect(address, size, ends_by) {
                Ok(writer) => {
                    let _ = told.blocking_send(Ok(0));
                    write_all(writer, &queued, &told);
                }
                Err(error) => _ = told.blocking_send(Err(error)),
            })
            .map_err(|error| failed(&error.to_string()))?;
        match written.recv().await {
            Some(Ok(_)) => Ok(SrtLine { units, written, url, in_flight: false, latency, sent_bytes: 0, stop }),
            Some(Err(error)) => Err(error),
            None => Err(failed("its thread ended")),
        }
    }

    /// Hands a unit over; only when drained.
    pub fn queue(&mut self, unit: AccessUnit) {
        // Where it cannot be handed over the thread has ended, which the next turn tells.
        self.in_flight = self.units.try_send(unit).is_ok();
    }

    /// Whether libsrt has taken all.
    pub fn is_drained(&self) -> bool {
        !self.in_flight
    }

    /// Waits until libsrt has taken a unit. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn turn(&mut self) -> Result<PublishNews, SrtError> {
        match self.written.recv().await {
            Some(Ok(bytes)) => {
                self.in_flight = false;
                self.sent_bytes += bytes;
                Ok(PublishNews::Sent)
            }
            Some(Err(error)) => Err(error),
            None => Err(SrtError::Lost { url: self.url.clone(), why: "it ended".to_owned() }),
        }
    }

    /// Bytes of the units that libsrt has taken.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Ends the connection when the far end has what libsrt has taken: it holds it for the latency that was agreed on, and
    /// drops it when the connection ends before that. Giving this up ends it at once.
    pub async fn close(mut self) {
        while self.in_flight && self.written.recv().await.is_some_and(|written| written.is_ok()) {
            self.in_flight = false;
        }
        tokio::time::sleep(self.latency + ROUND_TRIP).await;
        drop(self.units);
        while self.written.recv().await.is_some() {}
        self.stop.0.stop();
    }
}

/// The thread: until the line is gone, or the connection.
fn write_all(mut writer: SrtWriter, units: &Receiver<AccessUnit>, told: &mpsc::Sender<Result<u64, SrtError>>) {
    let (mut annexb, mut unwrapper) = (Vec::new(), Unwrapper::default());
    while let Ok(unit) = units.recv() {
        annexb.clear();
        unit.write_annexb(&mut annexb);
        let written = writer.write(&annexb, unwrapper.ticks(unit.timestamp), unit.is_irap());
        let failed = written.is_err();
        if told.blocking_send(written.map(|()| annexb.len() as u64)).is_err() || failed {
            return;
        }
    }
}
