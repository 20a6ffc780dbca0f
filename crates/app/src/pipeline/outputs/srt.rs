//! SRT, whose library waits, behind a thread of its own.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use hevcast_media::Stop;
use hevcast_media::srt::{SrtAddress, SrtError, SrtWriter};
use hevcast_net::Target;
use hevcast_net::publish::PublishEvent;
use hevcast_net::target::{SrtMode, SrtSettings};
use hevcast_wire::CodedFrame;
use hevcast_wire::rtsp::clock::ClockOffset;
use tokio::sync::mpsc;

use super::OutputSettings;
use super::output::{Close, Connector, Output, OutputError};
use crate::pipeline::ticks::Unwrapper;
use crate::priority;

/// How long libsrt may wait for a peer before it gives up.
const CONNECT_TIMEOUT_MS: u32 = 3000;
/// How long a connection may take nothing before it counts as lost.
const WRITE_TIMEOUT_US: u32 = 5_000_000;

/// What the last picture may need on its way beside the latency.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// The address of `target` with its options, as FFmpeg takes them.
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

/// Connects to one SRT peer, as caller or listener.
#[derive(Debug)]
pub struct SrtConnector {
    settings: OutputSettings,
}

impl SrtConnector {
    /// A connector to the settings' target; nothing is connected yet.
    pub fn new(settings: OutputSettings) -> SrtConnector {
        SrtConnector { settings }
    }
}

impl From<SrtError> for OutputError {
    fn from(error: SrtError) -> OutputError {
        let is_temporary = error.is_temporary();
        OutputError::new(error, is_temporary)
    }
}

impl Connector for SrtConnector {
    type Output = SrtOutput;

    async fn connect(&mut self) -> Result<SrtOutput, OutputError> {
        Ok(SrtOutput::connect(&self.settings).await?)
    }
}

/// A connection by SRT, whose blocking writes are done by a thread.
#[derive(Debug)]
pub struct SrtOutput {
    frames: SyncSender<CodedFrame>,
    /// What became of each frame: its bytes.
    written: mpsc::Receiver<Result<u64, SrtError>>,
    url: String,
    in_flight: bool,
    latency: Duration,
    sent_bytes: u64,
    stop: StopOnDrop,
}

/// Ends libsrt's waits when the output is dropped.
#[derive(Debug, Default)]
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl SrtOutput {
    async fn connect(settings: &OutputSettings) -> Result<SrtOutput, SrtError> {
        let (target, codec, size) = (&settings.target, settings.parameter_sets.codec(), settings.size);
        let (address, stop) = (address(target), StopOnDrop::default());
        let url = address.url.clone();
        let latency = target.srt.as_ref().map_or_else(Duration::default, |srt| srt.latency);
        let (frames, queued) = sync_channel(1);
        let (results, mut written) = mpsc::channel(2);
        let failed = |why: &str| SrtError::Failed { url: url.clone(), why: why.to_owned() };
        let ends_by = stop.0.clone();
        std::thread::Builder::new()
            .name("srt".to_owned())
            .spawn(move || {
                priority::raise();
                match SrtWriter::connect(address, codec, size, ends_by) {
                    Ok(writer) => {
                        let _ = results.blocking_send(Ok(0));
                        write_all(writer, &queued, &results);
                    }
                    Err(error) => _ = results.blocking_send(Err(error)),
                }
            })
            .map_err(|error| failed(&error.to_string()))?;
        match written.recv().await {
            Some(Ok(_)) => Ok(SrtOutput { frames, written, url, in_flight: false, latency, sent_bytes: 0, stop }),
            Some(Err(error)) => Err(error),
            None => Err(failed("its thread ended")),
        }
    }
}

impl Output for SrtOutput {
    fn offer(&mut self, frame: CodedFrame) -> Result<(), OutputError> {
        // Where it cannot be handed over the thread has ended, which the next event returns.
        self.in_flight = self.frames.try_send(frame).is_ok();
        Ok(())
    }

    async fn event(&mut self) -> Result<PublishEvent, OutputError> {
        match self.written.recv().await {
            Some(Ok(bytes)) => {
                self.in_flight = false;
                self.sent_bytes += bytes;
                Ok(PublishEvent::Sent)
            }
            Some(Err(error)) => Err(error.into()),
            None => Err(SrtError::Lost { url: self.url.clone(), why: "it ended".to_owned() }.into()),
        }
    }

    /// Whether libsrt has taken all.
    fn is_drained(&self) -> bool {
        !self.in_flight
    }

    /// Bytes of the frames that libsrt has taken.
    fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// SRT has no clock to compare.
    fn server_clock(&self) -> Option<ClockOffset> {
        None
    }

    /// Ends the connection when the far end has what libsrt has taken: it holds it for the latency that was agreed on, and
    /// drops it when the connection ends before that. Giving this up ends it at once.
    async fn close(mut self, how: Close) {
        if how == Close::Now {
            return;
        }
        while self.in_flight && self.written.recv().await.is_some_and(|written| written.is_ok()) {
            self.in_flight = false;
        }
        tokio::time::sleep(self.latency + ROUND_TRIP).await;
        drop(self.frames);
        while self.written.recv().await.is_some() {}
        self.stop.0.stop();
    }
}

/// The thread: until the output is gone, or the connection.
fn write_all(mut writer: SrtWriter, frames: &Receiver<CodedFrame>, results: &mpsc::Sender<Result<u64, SrtError>>) {
    let mut unwrapper = Unwrapper::default();
    while let Ok(frame) = frames.recv() {
        let written = writer.write(&frame, unwrapper.ticks(frame.timestamp));
        let failed = written.is_err();
        if results.blocking_send(written.map(|()| frame.annexb_bytes() as u64)).is_err() || failed {
            return;
        }
    }
}
