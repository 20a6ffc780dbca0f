//! The picture as pushed: what the encoder gave, decoded again, for whoever watches the sender.
//!
//! Queue `preview`: coded pictures between the encoder's thread and the preview's, at most [`PREVIEW_DEPTH`]. The encoder
//! never waits for it: what does not fit is dropped up to the next IRAP picture, and costs the stream nothing. Its
//! thread stands behind the stream's where processors are scarce.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Result;
use bytes::Bytes;
use hevcast_media::codec::Decoder;
use hevcast_media::picture::Picture;

use super::gap::DropToIrap;
use super::stage::{Stages, lower_priority};

/// Depth of the queue `preview`, in coded pictures.
pub const PREVIEW_DEPTH: usize = 8;

/// Shows a picture; must return at once.
pub type Show = Box<dyn FnMut(Picture) + Send>;

/// The encoder's end.
#[derive(Debug)]
pub struct PreviewQueue {
    queue: SyncSender<Bytes>,
    rule: DropToIrap,
}

impl PreviewQueue {
    /// Hands over an access unit in Annex B format; false when it was dropped.
    pub fn offer(&mut self, annexb: &Bytes, is_irap: bool) -> bool {
        let Self { queue, rule } = self;
        rule.offer(is_irap, || queue.try_send(annexb.clone()).is_ok())
    }
}

/// Starts the stage `preview`. It ends when its queue is dropped.
///
/// # Errors
/// When there is no decoder, or no thread for it.
pub fn start(stages: &mut Stages, show: Show) -> Result<PreviewQueue> {
    let (queue, units) = sync_channel(PREVIEW_DEPTH);
    let decoder = Decoder::new()?;
    stages.spawn("preview", move || {
        run(decoder, &units, show);
        Ok(())
    })?;
    Ok(PreviewQueue { queue, rule: DropToIrap::default() })
}

fn run(mut decoder: Decoder, units: &Receiver<Bytes>, mut show: Show) {
    lower_priority();
    let mut decoded = Vec::new();
    while let Ok(unit) = units.recv() {
        if let Err(error) = decoder.decode(&unit, 0, &mut decoded) {
            tracing::debug!("preview: {error}");
        }
        if let Some(last) = decoded.drain(..).next_back() {
            show(last.picture);
        }
    }
}
