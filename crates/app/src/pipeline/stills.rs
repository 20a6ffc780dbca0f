//! Stills of live streams for the server's status page.
//!
//! While somebody asks for a stream's still, a maker reads it like any reader, decodes it, and keeps its last picture as a
//! JPEG, made anew at most once a second. Five seconds after the last question it is gone. Its thread stands behind all
//! others: a still may stutter, a stream may not.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use hevcast_media::codec::Decoder;
use hevcast_media::picture::Picture;
use hevcast_net::Clock;
use hevcast_server::hub::stream::Stream;
use hevcast_server::sight::stills::Stills;
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
        let for_thread = Arc::clone(maker);
        let thread = std::thread::Builder::new().name("stills".to_owned());
        thread.spawn(move || make(decoder, &coded, &for_thread)).context("no thread for stills")?;
        let (maker, makers, stream) = (Arc::clone(maker), Arc::clone(&self.makers), Arc::clone(stream));
        self.runtime.spawn(async move {
            read(units, &maker, queue).await;
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

/// Hands pictures to the thread until the stream ends or nobody asks any more.
async fn read(mut units: HubUnits, maker: &Maker, queue: SyncSender<Bytes>) {
    let mut rule = DropToIrap::default();
    loop {
        let deadline = maker.lock().asked + PATIENCE;
        let unit = match tokio::time::timeout_at(deadline.into(), units.next()).await {
            Ok(Some(unit)) => unit.unit,
            Ok(None) => return,
            Err(_) if maker.lock().asked + PATIENCE <= deadline => return,
            Err(_) => continue,
        };
        let mut annexb = Vec::with_capacity(unit.size_bytes() + 64);
        unit.write_annexb(&mut annexb);
        rule.offer(unit.is_irap(), || queue.try_send(annexb.into()).is_ok());
    }
}

/// Decodes, and makes a still of the last picture once in a while.
fn make(mut decoder: Decoder, units: &Receiver<Bytes>, maker: &Maker) {
    lower_priority();
    let mut decoded = Vec::new();
    let mut made: Option<Instant> = None;
    while let Ok(unit) = units.recv() {
        if let Err(error) = decoder.decode(&unit, 0, &mut decoded) {
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
