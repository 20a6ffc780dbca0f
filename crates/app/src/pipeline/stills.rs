//! Stills of live streams for the server's status page.
//!
//! While somebody asks for a stream's still, a maker reads it like any reader, decodes it, and keeps its last picture as a
//! JPEG, made anew at most once a second. Five seconds after the last question it is gone. Its thread stands behind all
//! others: a still may stutter, a stream may not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use hevcast_media::codec::Decoder;
use hevcast_media::picture::Picture;
use hevcast_net::Clock;
use hevcast_server::budget::{Budget, Kind, Reservation};
use hevcast_server::hub::stream::Stream;
use hevcast_server::status::stills::Stills;
use hevcast_wire::h265::{NalHeader, NalType, SpsInfo, parse_sps};
use jpeg_encoder::{ColorType, Encoder};
use tokio::runtime::Handle;

use super::gap::DropToIrap;
use super::hub_units::HubUnits;
use super::stage::lower_priority;

/// Queue `stills`: coded pictures between a maker's task and its thread. A joining burst passes in a few moments.
const DEPTH: usize = 256;
/// Least time between two stills of a stream.
const INTERVAL: Duration = Duration::from_secs(1);
/// A maker that nobody has asked for so long ends.
const PATIENCE: Duration = Duration::from_secs(5);
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

/// All makers.
#[derive(Debug)]
pub struct StillMakers {
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
    asked: Instant,
    jpeg: Option<Bytes>,
}

impl Maker {
    fn lock(&self) -> MutexGuard<'_, MakerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StillMakers {
    /// None yet; their tasks will run on this runtime.
    pub fn new(runtime: Handle, clock: Clock) -> StillMakers {
        StillMakers { runtime, clock, makers: Arc::default() }
    }

    fn start(&self, stream: &Arc<Stream>, maker: &Arc<Maker>) -> Result<()> {
        let units = HubUnits::look_on(Arc::clone(stream), self.clock)?;
        let decoder = Decoder::new()?;
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
            read(units, &maker, queue, gate).await;
            let mut makers = makers.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut makers = self.makers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(maker) = makers.get(stream.path()) {
            let mut state = maker.lock();
            state.asked = now;
            return state.jpeg.clone();
        }
        if makers.len() < MAX_MAKERS {
            let maker = Arc::new(Maker { state: Mutex::new(MakerState { asked: now, jpeg: None }) });
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
    annexb: Bytes,
    all: Arc<AtomicUsize>,
    _room: Reservation,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.fetch_sub(self.annexb.len(), Ordering::Relaxed);
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
    /// Whether the decoder may be given a picture with these parameter sets, as far as it has any.
    fn has_room_to_decode(&self, nals: &[Bytes]) -> bool {
        let is_own_sps = |nal: &&Bytes| {
            NalHeader::parse(nal).is_ok_and(|header| header.nal_unit_type == NalType::SPS && header.layer_id == 0)
        };
        nals.iter().filter(is_own_sps).all(|nal| {
            let Some(bytes) = parse_sps(nal).ok().and_then(|info| decoder_bytes(&info)) else { return false };
            let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
            // A smaller picture after a larger one leaves the decoder with what it has.
            bytes <= room.bytes() || room.resize(bytes).is_ok()
        })
    }

    /// The picture with its place, if there is one.
    fn admit(&self, annexb: Vec<u8>) -> Option<Waiting> {
        let room = self.budget.reserve(Kind::Stills, annexb.capacity() as u64).ok()?;
        let before = self.waiting.fetch_add(annexb.len(), Ordering::Relaxed);
        let waiting = Waiting { annexb: annexb.into(), all: Arc::clone(&self.waiting), _room: room };
        (before <= MAX_WAITING_BYTES).then_some(waiting)
    }
}

/// What decoding takes, and the still; `None` for pictures that are too large for any.
fn decoder_bytes(info: &SpsInfo) -> Option<u64> {
    if info.coded_samples > MAX_SAMPLES {
        return None;
    }
    let sample_bytes = if info.bit_depth_luma.max(info.bit_depth_chroma) > 8 { 2 } else { 1 };
    // In halves: chroma has as many samples as luma together in 4:2:2, half in 4:2:0.
    let halves = [2, 3, 4, 6].get(usize::from(info.chroma_format_idc)).copied().unwrap_or(6);
    let picture = info.coded_samples * halves / 2 * sample_bytes;
    Some(picture * (u64::from(info.held) + MORE_PICTURES) + info.coded_samples * RGB_BYTES)
}

/// Hands pictures to the thread until the stream ends or nobody asks any more.
async fn read(mut units: HubUnits, maker: &Maker, queue: SyncSender<Waiting>, gate: Gate) {
    let (mut rule, mut is_said) = (DropToIrap::default(), false);
    loop {
        let deadline = maker.lock().asked + PATIENCE;
        let unit = match tokio::time::timeout_at(deadline.into(), units.next()).await {
            Ok(Some(unit)) => unit.unit,
            Ok(None) => return,
            Err(_) if maker.lock().asked + PATIENCE <= deadline => return,
            Err(_) => continue,
        };
        if !gate.has_room_to_decode(&unit.nals) {
            if !std::mem::replace(&mut is_said, true) {
                tracing::warn!(
                    "no stills of {}: the pictures are too large, or limits.memory is used up",
                    units.path()
                );
            }
            rule.break_off();
            continue;
        }
        rule.offer(unit.is_irap(), || {
            let mut annexb = Vec::with_capacity(unit.size_bytes() + 64);
            unit.write_annexb(&mut annexb);
            gate.admit(annexb).is_some_and(|waiting| queue.try_send(waiting).is_ok())
        });
    }
}

/// Decodes, and makes a still of the last picture once in a while.
fn make(mut decoder: Decoder, units: &Receiver<Waiting>, maker: &Maker) {
    lower_priority();
    let mut decoded = Vec::new();
    let mut made: Option<Instant> = None;
    while let Ok(unit) = units.recv() {
        if let Err(error) = decoder.decode(&unit.annexb, 0, &mut decoded) {
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
        let info = parse_sps(&SPS).unwrap();
        let small = decoder_bytes(&info).unwrap();
        assert!((640 * 480 * 4..640 * 480 * 16).contains(&small), "{small}");
        let at = |coded_samples| decoder_bytes(&SpsInfo { coded_samples, ..info });
        assert!(at(8192 * 4320).is_some() && at(16_000 * 16_000).is_none());
        let deep = SpsInfo { bit_depth_luma: 10, chroma_format_idc: 3, ..info };
        assert!(decoder_bytes(&deep).unwrap() > small * 2);
        let sps = Bytes::copy_from_slice(&SPS);
        assert!(gate(100 << 20).has_room_to_decode(std::slice::from_ref(&sps)));
        assert!(gate(100 << 20).has_room_to_decode(&[]), "what has none adds nothing");
        assert!(!gate(1 << 20).has_room_to_decode(std::slice::from_ref(&sps)), "no room");
        assert!(!gate(100 << 20).has_room_to_decode(&[sps.slice(..20)]), "who knows how large they are");
        let gate = gate(100 << 20);
        for _ in 0..9 {
            assert!(gate.has_room_to_decode(std::slice::from_ref(&sps)));
        }
        assert_eq!(gate.budget.usage().used_bytes, small, "once");
    }

    #[test]
    fn coded_pictures_that_wait_are_bounded_and_counted() {
        let gate = gate(1 << 30);
        let mut waiting = Vec::new();
        while let Some(picture) = gate.admit(vec![0; 7 << 20]) {
            waiting.push(picture);
        }
        assert!((4..7).contains(&waiting.len()), "{}", waiting.len());
        drop(waiting);
        assert_eq!((gate.budget.usage().used_bytes, gate.waiting.load(Ordering::Relaxed)), (0, 0));
        assert!(gate.admit(vec![0; 100]).is_some());
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
