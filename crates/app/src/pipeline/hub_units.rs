//! A live stream of our own server, access unit by access unit: for stills and recordings, which read it like any reader.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use anyhow::{Context, Result};
use bytes::Bytes;
use hevcast_net::Clock;
use hevcast_server::hub::reader::{Claim, Reader};
use hevcast_server::hub::stream::Stream;
use hevcast_wire::hevc::{AccessUnit, ParameterSets};
use hevcast_wire::rtp::{Depacketiser, ReceivedPacket, interleave};
use hevcast_wire::rtsp::transport::Channels;

/// Bytes taken from the stream at a time.
const TAKE_BYTES: usize = 1024 * 1024;

/// A reader of one stream, which leaves it when dropped. To be used by one task.
#[derive(Debug)]
pub struct HubUnits {
    stream: Arc<Stream>,
    reader: Arc<Reader>,
    depacketiser: Depacketiser,
    sets: ParameterSets,
    ready: VecDeque<HubUnit>,
}

/// A picture as it passed through the server.
#[derive(Debug)]
pub struct HubUnit {
    /// With its parameter sets, if it is an IRAP picture.
    pub unit: AccessUnit,
    /// It is whole, and so is what came between it and the one before.
    pub is_whole: bool,
}

impl Drop for HubUnits {
    fn drop(&mut self) {
        self.stream.leave(&self.reader);
    }
}

impl HubUnits {
    /// Joins a stream like any reader: what it could have had is not taken from it for the sake of slower ones.
    ///
    /// # Errors
    /// When it is not H.265.
    pub fn join(stream: Arc<Stream>, clock: Clock) -> Result<HubUnits> {
        HubUnits::join_by(stream, clock, |channels| Reader::new(channels, None).who_asks())
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
        Ok(HubUnits { stream, reader, depacketiser: Depacketiser::of(format), sets, ready: VecDeque::new() })
    }

    /// The stream's path.
    pub fn path(&self) -> &str {
        self.stream.path()
    }

    /// Waits for the next picture; `None` when the stream is over. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<HubUnit> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            let claim = poll_fn(|cx| match self.reader.claim(cx, false) {
                Claim::Nothing | Claim::Busy | Claim::Resumes => Poll::Pending,
                other => Poll::Ready(other),
            });
            match claim.await {
                Claim::Mine => self.take(),
                _ => return None,
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
                && let Err(error) = self.depacketiser.push(&packet)
            {
                tracing::trace!("{}: {error}", self.stream.path());
            }
            while let Some(depacketised) = self.depacketiser.poll() {
                let mut unit = depacketised.unit;
                for nal in &unit.nals {
                    self.sets.update(nal);
                }
                unit.ensure_parameter_sets(&self.sets);
                let is_whole = !depacketised.damaged && depacketised.lost_before == 0;
                self.ready.push_back(HubUnit { unit, is_whole });
            }
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
