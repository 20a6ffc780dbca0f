//! Frames of a live stream of the server in this process: for stills and recordings, which read it like any reader.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use anyhow::{Context, Result};
use bytes::Bytes;
use hevcast_net::Clock;
use hevcast_server::hub::reader::{Reader, WritePermit};
use hevcast_server::hub::stream::Stream;
use hevcast_wire::rtp::{Depacketizer, ReceivedPacket, interleave};
use hevcast_wire::rtsp::transport::Channels;
use hevcast_wire::{CodecId, CodedFrame, ParameterSetStage};

use super::{CodedSource, Ended, SourceError, SourceEvent, SourceStats};

/// Bytes taken from the stream at a time.
const TAKE_BYTES: usize = 1024 * 1024;

/// A reader of one stream, which leaves it when dropped. To be used by one task.
#[derive(Debug)]
pub struct HubSource {
    stream: Arc<Stream>,
    reader: Arc<Reader>,
    clock: Clock,
    /// Taken from the reader, with their channels.
    packets: VecDeque<(u8, Bytes)>,
    depacketizer: Depacketizer,
    parameter_sets: ParameterSetStage,
    /// The stream is over, and what was left of it has been taken.
    is_over: bool,
    missed_pictures: u64,
    jumps: u64,
    unreadable: u64,
}

/// Pictures that came to the server and will not come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// They came before a keyframe.
    pub before_keyframe: u64,
    /// The reader's queue was full, and what builds on what it had to give up.
    pub overrun: u64,
    /// They could not be put together.
    pub unreadable: u64,
}

impl Drop for HubSource {
    fn drop(&mut self) {
        self.stream.leave(&self.reader);
    }
}

impl HubSource {
    /// Joins a stream to record it, like a reader with a fast link: what it could have had is not taken from it for the
    /// sake of slower ones.
    ///
    /// # Errors
    /// When it is neither H.265 nor H.264.
    pub fn record(stream: Arc<Stream>, clock: Clock) -> Result<HubSource> {
        HubSource::join_by(stream, clock, Reader::recording)
    }

    /// Joins a stream to show it, without effect on what is requested of the publisher.
    ///
    /// # Errors
    /// When it is neither H.265 nor H.264.
    pub fn observe(stream: Arc<Stream>, clock: Clock) -> Result<HubSource> {
        HubSource::join_by(stream, clock, Reader::observer)
    }

    fn join_by(
        stream: Arc<Stream>,
        clock: Clock,
        reader: impl FnOnce(Vec<Option<Channels>>) -> Reader,
    ) -> Result<HubSource> {
        let description = stream.description();
        let refusal = || format!("the stream is neither {}", CodecId::names(" nor "));
        let (index, track) = description.video_track().with_context(refusal)?;
        let (sets, format) = (track.parameter_sets.clone(), description.payload_format(index));
        let channels = (0..=index).map(|at| Channels::of_track(at).filter(|_| at == index)).collect();
        let reader = Arc::new(reader(channels));
        stream.join(Arc::clone(&reader), clock.now());
        Ok(HubSource {
            stream,
            reader,
            clock,
            packets: VecDeque::new(),
            depacketizer: Depacketizer::of(format),
            parameter_sets: ParameterSetStage::new(sets),
            is_over: false,
            missed_pictures: 0,
            jumps: 0,
            unreadable: 0,
        })
    }

    /// The codec of the stream's video track.
    pub fn codec(&self) -> CodecId {
        self.depacketizer.codec()
    }

    /// The path at which the stream is published.
    pub fn path(&self) -> &str {
        self.stream.path()
    }

    /// The pictures that have become missing since the last call.
    pub fn missed(&mut self) -> Missed {
        let metrics = self.reader.metrics();
        let dropped = self.depacketizer.stats().dropped_units;
        let new = metrics.missed_pictures - self.missed_pictures;
        // It was overrun, and what is missing since then builds on what was given up.
        let overrun = if metrics.jumps > self.jumps { new } else { 0 };
        let missed = Missed { before_keyframe: new - overrun, overrun, unreadable: dropped - self.unreadable };
        (self.missed_pictures, self.jumps, self.unreadable) = (metrics.missed_pictures, metrics.jumps, dropped);
        missed
    }

    /// Takes what waits in the reader's queue to the depacketizer.
    fn take(&mut self) {
        let mut frames = Vec::new();
        self.reader.take(TAKE_BYTES, |bytes| frames.push(bytes));
        self.packets.extend(frames.iter().flat_map(packets).filter(|(channel, _)| channel % 2 == 0));
    }

    /// The next frame of the packets taken so far.
    fn poll_frame(&mut self) -> Option<CodedFrame> {
        loop {
            if let Some(mut frame) = self.depacketizer.poll() {
                self.parameter_sets.process(&mut frame);
                return Some(frame);
            }
            let (_, packet) = self.packets.pop_front()?;
            if let Ok(packet) = ReceivedPacket::parse(packet)
                && let Err(error) = self.depacketizer.push(&packet)
            {
                tracing::trace!("{}: {error}", self.stream.path());
            }
        }
    }
}

impl CodedSource for HubSource {
    async fn next(&mut self) -> Result<SourceEvent, SourceError> {
        loop {
            if let Some(frame) = self.poll_frame() {
                return Ok(SourceEvent::Frame(frame));
            }
            let permit = poll_fn(|cx| match self.reader.poll_write(cx, false) {
                WritePermit::Idle | WritePermit::Busy | WritePermit::NeedsKeyframe => Poll::Pending,
                other => Poll::Ready(other),
            });
            match permit.await {
                WritePermit::Granted => self.take(),
                _ if std::mem::replace(&mut self.is_over, true) => return Ok(SourceEvent::Ended(Ended::Session)),
                // A frame without a marker waits for the next, which does not come.
                _ => self.depacketizer.flush(),
            }
        }
    }

    fn request_keyframe(&mut self) -> bool {
        self.stream.request_keyframe(self.clock.now().instant);
        true
    }

    fn stats(&self) -> SourceStats {
        let stats = self.depacketizer.stats();
        SourceStats {
            received_bytes: stats.payload_bytes,
            gaps: stats.gaps,
            malformed: stats.malformed,
            dropped_frames: stats.dropped_units,
            ..SourceStats::default()
        }
    }

    async fn close(self) {}
}

/// The packets of frames read together, with their channels.
fn packets(frames: &Bytes) -> Vec<(u8, Bytes)> {
    let of = |(channel, range): (u8, std::ops::Range<usize>)| {
        (channel, frames.slice(range.start + interleave::HEADER_LEN..range.end))
    };
    interleave::frames(frames).map(of).collect()
}
