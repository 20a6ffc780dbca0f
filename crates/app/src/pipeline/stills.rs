//! Stills of live streams for the server's status page.
//!
//! While stills of a stream are requested, a maker reads it like any reader, decodes it, and keeps its last picture as a JPEG,
//! made anew at most once a second. It ends five seconds after the last request. Its thread has a lower priority than those
//! of streams.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use hevcast_media::codec::Decoder;
use hevcast_media::picture::Picture;
use hevcast_net::Clock;
use hevcast_server::budget::{Budget, Kind, Reservation};
use hevcast_server::hub::stream::Stream;
use hevcast_server::status::stills::Stills;
use hevcast_wire::{CodecId, CodedFrame, NalKind, SequenceInfo, SetKind};
use jpeg_encoder::{ColorType, Encoder};
use tokio::runtime::Handle;

use super::gap::DropToIrap;
use super::source::hub::HubSource;
use super::source::{CodedSource, SourceEvent};
use crate::priority;

/// Queue `stills`: coded pictures between a maker's task and its thread. A joining burst passes in a few moments.
const DEPTH: usize = 256;
/// Least time between two stills of a stream.
const INTERVAL: Duration = Duration::from_secs(1);
/// A maker without a request for so long ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Streams with stills at the same time; of others there are none.
const MAX_MAKERS: usize = 16;
/// Largest pictures of which there are stills, luma samples: those of H.265's highest level (table A.8).
const MAX_SAMPLES: u64 = 35_651_584;
/// Pictures that a decoder holds beside those that the stream asks for: the one being decoded, and the last one shown.
const MORE_PICTURES: u64 = 2;
/// Bytes for each sample of the picture as RGB.
const RGB_BYTES: u64 = 3;
/// Coded bytes that may wait for a maker's thread.
const MAX_WAITING_BYTES: usize = 32 * 1024 * 1024;
/// Largest width of a still, pixels; larger pictures are thinned out.
const MAX_WIDTH: u32 = 640;
/// Quality of the JPEG, of 100.
const QUALITY: u8 = 80;

/// The makers of a server's stills, one for each stream whose stills are requested.
#[derive(Debug)]
pub(crate) struct StillMakers {
    runtime: Handle,
    clock: Clock,
    makers: Arc<Mutex<HashMap<String, Arc<Maker>>>>,
}

/// The maker of one stream.
#[derive(Debug)]
struct Maker {
    state: Mutex<MakerState>,
}

#[derive(Debug)]
struct MakerState {
    last_request: Instant,
    jpeg: Option<Bytes>,
}

impl Maker {
    fn lock(&self) -> MutexGuard<'_, MakerState> {
        self.state.lock()
    }
}

impl StillMakers {
    /// No makers yet; their tasks will run on this runtime.
    pub(crate) fn new(runtime: Handle, clock: Clock) -> StillMakers {
        StillMakers { runtime, clock, makers: Arc::default() }
    }

    fn start(&self, stream: &Arc<Stream>, maker: &Arc<Maker>) -> Result<()> {
        let source = HubSource::observe(Arc::clone(stream), self.clock)?;
        let decoder = Decoder::new(source.codec())?;
        let (queue, coded) = sync_channel(DEPTH);
        let room = Arc::new(Mutex::new(stream.budget().nothing(Kind::Stills)));
        let gate = Gate { budget: stream.budget(), room: Arc::clone(&room), waiting: Arc::default() };
        let for_thread = Arc::clone(maker);
        let thread = std::thread::Builder::new().name("stills".to_owned());
        thread
            .spawn(move || {
                make(decoder, &coded, &for_thread);
                // What the decoder took is free now.
                drop(room);
            })
            .context("no thread for stills")?;
        let (maker, makers, stream) = (Arc::clone(maker), Arc::clone(&self.makers), Arc::clone(stream));
        self.runtime.spawn(async move {
            read(source, &maker, queue, gate).await;
            let mut makers = makers.lock();
            if makers.get(stream.path()).is_some_and(|there| Arc::ptr_eq(there, &maker)) {
                makers.remove(stream.path());
            }
        });
        Ok(())
    }
}

impl Stills for StillMakers {
    fn still(&self, stream: &Arc<Stream>) -> Option<Bytes> {
        let now = self.clock.now().instant;
        let mut makers = self.makers.lock();
        if let Some(maker) = makers.get(stream.path()) {
            let mut state = maker.lock();
            state.last_request = now;
            return state.jpeg.clone();
        }
        if makers.len() < MAX_MAKERS {
            let maker = Arc::new(Maker { state: Mutex::new(MakerState { last_request: now, jpeg: None }) });
            match self.start(stream, &maker) {
                Ok(()) => drop(makers.insert(stream.path().to_owned(), maker)),
                Err(error) => tracing::debug!("{}: no stills: {error:#}", stream.path()),
            }
        }
        None
    }
}

/// A coded picture on its way to a maker's thread, and its place in the budget.
struct Waiting {
    frame: CodedFrame,
    bytes: usize,
    all: Arc<AtomicUsize>,
    _room: Reservation,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What lets pictures pass to a maker's thread: those for which there is room, coded and decoded.
struct Gate {
    budget: Arc<Budget>,
    /// What the decoder takes.
    room: Arc<Mutex<Reservation>>,
    /// Bytes that wait for the thread.
    waiting: Arc<AtomicUsize>,
}

impl Gate {
    /// Whether the decoder may be given a frame of these NAL units, as far as there are parameter sets among them.
    fn has_room_to_decode(&self, codec: CodecId, nals: &[Bytes]) -> bool {
        let is_own_sps = |nal: &&Bytes| {
            let is_sps = codec.nal_kind(nal) == NalKind::ParameterSet(SetKind::Sps);
            // Those of upper layers nobody decodes.
            is_sps && codec.is_base_layer(nal)
        };
        nals.iter().filter(is_own_sps).all(|nal| {
            let Some(bytes) = codec.sequence_info(nal).and_then(|info| decoder_bytes(&info)) else { return false };
            let mut room = self.room.lock();
            // A smaller picture after a larger one leaves the decoder with what it has.
            bytes <= room.bytes() || room.resize(bytes).is_ok()
        })
    }

    /// The frame with its place, if there is one: copied, since its NAL units may be small parts of large receive buffers.
    fn admit(&self, frame: &CodedFrame) -> Option<Waiting> {
        let bytes = frame.memory_bytes();
        let room = self.budget.reserve(Kind::Stills, bytes as u64).ok()?;
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let waiting = Waiting { frame: frame.compacted(), bytes, all: Arc::clone(&self.waiting), _room: room };
        (before <= MAX_WAITING_BYTES).then_some(waiting)
    }
}

/// What decoding takes, and the still; `None` for pictures that are too large for any.
fn decoder_bytes(info: &SequenceInfo) -> Option<u64> {
    if info.coded_samples > MAX_SAMPLES {
        return None;
    }
    let sample_bytes = if info.bit_depth > 8 { 2 } else { 1 };
    // In halves: chroma has as many samples as luma together in 4:2:2, half in 4:2:0.
    let halves = [2, 3, 4, 6].get(usize::from(info.chroma_format_idc)).copied().unwrap_or(6);
    let picture = info.coded_samples * halves / 2 * sample_bytes;
    Some(picture * (u64::from(info.held) + MORE_PICTURES) + info.coded_samples * RGB_BYTES)
}

/// Hands pictures to the thread until the stream ends or nobody asks any more.
async fn read(mut source: HubSource, maker: &Maker, queue: SyncSender<Waiting>, gate: Gate) {
    let (mut rule, mut is_logged) = (DropToIrap::default(), false);
    loop {
        let deadline = maker.lock().last_request + IDLE_TIMEOUT;
        let frame = match tokio::time::timeout_at(deadline.into(), source.next()).await {
            Ok(Ok(SourceEvent::Frame(frame))) => frame,
            Ok(Ok(SourceEvent::Media | SourceEvent::Other)) => continue,
            Ok(Ok(SourceEvent::Ended(_)) | Err(_)) => return,
            Err(_) if maker.lock().last_request + IDLE_TIMEOUT <= deadline => return,
            Err(_) => continue,
        };
        if !gate.has_room_to_decode(frame.codec, &frame.nals) {
            if !std::mem::replace(&mut is_logged, true) {
                tracing::warn!(
                    "no stills of {}: the pictures are too large, or limits.memory is used up",
                    source.path()
                );
            }
            rule.break_off();
            continue;
        }
        rule.offer(frame.random_access, || gate.admit(&frame).is_some_and(|waiting| queue.try_send(waiting).is_ok()));
    }
}

/// Decodes, and makes a still of the last picture once in a while.
fn make(mut decoder: Decoder, frames: &Receiver<Waiting>, maker: &Maker) {
    priority::lower();
    let mut decoded = Vec::new();
    let mut made: Option<Instant> = None;
    while let Ok(waiting) = frames.recv() {
        if let Err(error) = decoder.decode(&waiting.frame, 0, &mut decoded) {
            tracing::trace!("stills: {error}");
        }
        let Some(last) = decoded.drain(..).next_back() else { continue };
        let is_due = made.is_none_or(|at| at.elapsed() >= INTERVAL);
        if is_due && !last.damaged {
            made = Some(Instant::now());
            match jpeg(&last.picture) {
                Ok(jpeg) => maker.lock().jpeg = Some(jpeg),
                Err(error) => tracing::debug!("stills: {error:#}"),
            }
        }
    }
}

/// The picture as JPEG, every nth pixel of it where it is large.
fn jpeg(picture: &Picture) -> Result<Bytes> {
    let picture = picture.squared()?;
    let format = picture.format();
    let step = format.width.div_ceil(MAX_WIDTH).max(1) as usize;
    let rgb = picture.to_rgb24()?;
    let (width, height) = (format.width as usize, format.height as usize);
    let thin = |row: &[u8]| row.chunks_exact(3).step_by(step).flatten().copied().collect::<Vec<u8>>();
    let pixels: Vec<u8> = rgb.chunks_exact(width * 3).step_by(step).flat_map(thin).collect();
    let (width, height) = (width.div_ceil(step), height.div_ceil(step));
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, QUALITY).encode(&pixels, width as u16, height as u16, ColorType::Rgb)?;
    Ok(jpeg.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hevcast_media::picture::PictureFormat;
    use hevcast_wire::time::RtpTicks;

    /// The SPS of x265's 640x480 pictures.
    const SPS: [u8; 42] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a,
        0xa0, 0x05, 0x02, 0x01, 0xe1, 0x65, 0x92, 0xa4, 0x93, 0x2b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02,
        0x00, 0x00, 0x03, 0x00, 0x3c, 0x10,
    ];

    fn gate(limit_bytes: u64) -> Gate {
        let budget = Arc::new(Budget::new(limit_bytes));
        let room = Arc::new(Mutex::new(budget.nothing(Kind::Stills)));
        Gate { budget, room, waiting: Arc::default() }
    }

    #[test]
    fn pictures_are_decoded_where_there_is_room_for_them() {
        let info = CodecId::H265.sequence_info(&SPS).unwrap();
        let small = decoder_bytes(&info).unwrap();
        assert!((640 * 480 * 4..640 * 480 * 16).contains(&small), "{small}");
        let at = |coded_samples| decoder_bytes(&SequenceInfo { coded_samples, ..info });
        assert!(at(8192 * 4320).is_some() && at(16_000 * 16_000).is_none());
        let deep = SequenceInfo { bit_depth: 10, chroma_format_idc: 3, ..info };
        assert!(decoder_bytes(&deep).unwrap() > small * 2);
        let sps = Bytes::copy_from_slice(&SPS);
        assert!(gate(100 << 20).has_room_to_decode(CodecId::H265, std::slice::from_ref(&sps)));
        assert!(gate(100 << 20).has_room_to_decode(CodecId::H265, &[]), "what has none adds nothing");
        assert!(!gate(1 << 20).has_room_to_decode(CodecId::H265, std::slice::from_ref(&sps)), "no room");
        assert!(!gate(100 << 20).has_room_to_decode(CodecId::H265, &[sps.slice(..20)]), "who knows how large they are");
        let gate = gate(100 << 20);
        for _ in 0..9 {
            assert!(gate.has_room_to_decode(CodecId::H265, std::slice::from_ref(&sps)));
        }
        assert_eq!(gate.budget.usage().used_bytes, small, "once");
    }

    #[test]
    fn coded_pictures_that_wait_are_bounded_and_counted() {
        let gate = gate(1 << 30);
        let mut waiting = Vec::new();
        let frame = |bytes: usize| CodedFrame::new(CodecId::H265, RtpTicks(0), vec![vec![0; bytes].into()]);
        let large = frame(7 << 20);
        while let Some(picture) = gate.admit(&large) {
            waiting.push(picture);
        }
        assert!((4..7).contains(&waiting.len()), "{}", waiting.len());
        drop(waiting);
        assert_eq!((gate.budget.usage().used_bytes, gate.waiting.load(Ordering::Relaxed)), (0, 0));
        assert!(gate.admit(&frame(100)).is_some());
    }

    #[test]
    fn a_large_picture_becomes_a_small_jpeg() {
        let picture = Picture::new(PictureFormat::limited(1922, 1080)).unwrap();
        let jpeg = jpeg(&picture).unwrap();
        assert_eq!(&jpeg[..2], [0xff, 0xd8], "it begins as a JPEG does");
        // The frame header tells height and width (ITU-T T.81 section B.2.2).
        let at = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        let size = |at: usize| u16::from_be_bytes([jpeg[at], jpeg[at + 1]]);
        assert_eq!((size(at + 7), size(at + 5)), (481, 270));
    }
}
