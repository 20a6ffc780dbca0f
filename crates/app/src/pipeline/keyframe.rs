//! A request for a keyframe, between the threads and tasks of one pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that stages which need a keyframe set, and the stage that encodes or pulls the stream takes with the next frame.
/// Several requests before that are one, since one keyframe serves all. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct KeyframeRequest(Arc<AtomicBool>);

impl KeyframeRequest {
    /// Requests that the next frame, or one soon after it, be a keyframe.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether a keyframe was requested since the last call.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}
