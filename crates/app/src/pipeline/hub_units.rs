//! A live stream of our own server, access unit by access unit: for stills and recordings, which read it like any reader.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use anyhow::{Context, Result};
use bytes::Bytes;
use hevcast_net::Clock;
use hevcast_server::hub::reader::{Reader, WritePermit};
use hevcast_server::hub::stream::Stream;
use hevcast_wire::h265::{AccessUnit, ParameterSets};
use hevcast_wire::rtp::{Depacketizer, ReceivedPacket, interleave};
use hevcast_wire::rtsp::transport::Channels;

/// Bytes taken from the stream at a time.
const TAKE_BYTES: usize = 1024 * 1024;

/// A reader of one stream, which leaves it when dropped. To be used by one task.
#[derive(Debug)]
pub struct HubUnits {
    stream: Arc<Stream>,
    reader: Arc<Reader>,
    depacketizer: Depacketizer,
    sets: ParameterSets,
    ready: VecDeque<HubUnit>,
    /// The stream is over, and what was left of it has been taken.
    is_over: bool,
    missed_pictures: u64,
    jumps: u64,
    unreadable: u64,
}

/// A picture as it passed through the server.
#[derive(Debug)]
pub struct HubUnit {
    /// With its parameter sets, if it is an IRAP picture.
    pub unit: AccessUnit,
    /// Something of it is missing.
    pub is_damaged: bool,
    /// Something is missing between the one before and this.
    pub is_after_loss: bool,
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

impl Drop for HubUnits {
    fn drop(&mut self) {
        self.stream.leave(&self.reader);
    }
}

impl HubUnits {
    /// Joins a stream to record it, like a reader with a fast link: what it could have had is not taken from it for the
    /// sake of slower ones.
    ///
    /// # Errors
    /// When it is not H.265.
    pub fn record(stream: Arc<Stream>, clock: Clock) -> Result<HubUnits> {
        HubUnits::join_by(stream, clock, Reader::recording)
    }

    /// Joins it to look on: what the publisher is asked for does not change.
    ///
    /// # Errors
    /// When it is not H.265.
    pub fn look_on(stream: Arc<Stream>, clock: Clock) -> Result<HubUnits> {
        HubUnits::join_by(stream, clock, Reader::looking_on)
    }

    fn join_by(
        stream: Arc<Stream>,
        clock: Clock,
        reader: impl FnOnce(Vec<Option<Channels>>) -> Reader,
    ) -> Result<HubUnits> {
        let description = stream.description();
        let (index, track) = description.hevc_track().context("the stream is not H.265")?;
        let (sets, format) = (track.parameter_sets.clone(), description.payload_format(index));
        let channels = (0..=index).map(|at| Channels::of_track(at).filter(|_| at == index)).collect();
        let reader = Arc::new(reader(channels));
        stream.join(Arc::clone(&reader), clock.now());
        Ok(HubUnits {
            stream,
            reader,
            depacketizer: Depacketizer::of(format),
            sets,
            ready: VecDeque::new(),
            is_over: false,
            missed_pictures: 0,
            jumps: 0,
            unreadable: 0,
        })
    }

    /// The stream's path.
    pub fn path(&self) -> &str {
        self.stream.path()
    }

    /// What is missing since the last call.
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

    /// Waits for the next picture; `None` when the stream is over. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<HubUnit> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            let permit = poll_fn(|cx| match self.reader.poll_write(cx, false) {
                WritePermit::Idle | WritePermit::Busy | WritePermit::NeedsKeyframe => Poll::Pending,
                other => Poll::Ready(other),
            });
            match permit.await {
                WritePermit::Granted => self.take(),
                _ if std::mem::replace(&mut self.is_over, true) => return None,
                _ => {
                    // A picture without a marker waits for the next, which does not come.
                    self.depacketizer.flush();
                    self.take_units();
                }
            }
        }
    }

    fn take(&mut self) {
        let mut frames = Vec::new();
        self.reader.take(TAKE_BYTES, |bytes| frames.push(bytes));
        for (channel, packet) in frames.iter().flat_map(packets) {
            if channel % 2 == 1 {
                continue;
            }
            if let Ok(packet) = ReceivedPacket::parse(packet)
                && let Err(error) = self.depacketizer.push(&packet)
            {
                tracing::trace!("{}: {error}", self.stream.path());
            }
            self.take_units();
        }
    }

    fn take_units(&mut self) {
        while let Some(depacketized) = self.depacketizer.poll() {
            let mut unit = depacketized.unit;
            for nal in &unit.nals {
                self.sets.update(nal);
            }
            unit.ensure_parameter_sets(&self.sets);
            let (is_damaged, is_after_loss) = (depacketized.damaged, depacketized.lost_before > 0);
            self.ready.push_back(HubUnit { unit, is_damaged, is_after_loss });
        }
    }
}

/// The packets of frames read together, with their channels.
fn packets(frames: &Bytes) -> Vec<(u8, Bytes)> {
    let of = |(channel, range): (u8, std::ops::Range<usize>)| {
        (channel, frames.slice(range.start + interleave::HEADER_LEN..range.end))
    };
    interleave::frames(frames).map(of).collect()
}
