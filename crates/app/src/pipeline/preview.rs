//! The picture as pushed: what the encoder gave, decoded again, for the sender's own window.
//!
//! Queue `preview`: frames between the encoder's thread and the preview's, at most [`PREVIEW_DEPTH`]. The encoder
//! never waits for it: what does not fit is dropped up to the next IRAP picture, and costs the stream nothing. Its
//! thread has a lower priority than the stream's.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Result;
use hevcast_media::codec::Decoder;
use hevcast_media::picture::Picture;
use hevcast_wire::{CodecId, CodedFrame};

use super::gap::DropToIrap;
use super::stage::Stages;
use crate::priority;

/// Depth of the queue `preview`, in frames.
pub const PREVIEW_DEPTH: usize = 8;

/// Shows a picture; must return at once.
pub type Show = Box<dyn FnMut(Picture) + Send>;

/// The encoder's end of the queue `preview`.
#[derive(Debug)]
pub struct PreviewQueue {
    queue: SyncSender<CodedFrame>,
    rule: DropToIrap,
}

impl PreviewQueue {
    /// Hands over a frame; false when it was dropped.
    pub fn offer(&mut self, frame: &CodedFrame) -> bool {
        let Self { queue, rule } = self;
        rule.offer(frame.random_access, || queue.try_send(frame.clone()).is_ok())
    }
}

/// Starts the stage `preview` for frames of this codec. It ends when its queue is dropped.
///
/// # Errors
/// When there is no decoder, or no thread for it.
pub fn start(stages: &mut Stages, codec: CodecId, show: Show) -> Result<PreviewQueue> {
    let (queue, frames) = sync_channel(PREVIEW_DEPTH);
    let decoder = Decoder::new(codec)?;
    stages.spawn("preview", move || {
        run(decoder, &frames, show);
        Ok(())
    })?;
    Ok(PreviewQueue { queue, rule: DropToIrap::default() })
}

fn run(mut decoder: Decoder, frames: &Receiver<CodedFrame>, mut show: Show) {
    priority::lower();
    let mut decoded = Vec::new();
    while let Ok(frame) = frames.recv() {
        if let Err(error) = decoder.decode(&frame, 0, &mut decoded) {
            tracing::debug!("preview: {error}");
        }
        if let Some(last) = decoded.drain(..).next_back() {
            show(last.picture);
        }
    }
}
