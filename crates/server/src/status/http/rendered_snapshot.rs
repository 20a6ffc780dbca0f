//! The last snapshot of the server, and the texts made from it: once each, however many ask.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::metrics;
use crate::status::snapshot::Snapshot;

/// A snapshot with its texts.
#[derive(Debug)]
pub struct RenderedSnapshot {
    snapshot: Arc<Snapshot>,
    json: OnceLock<Bytes>,
    metrics: OnceLock<Result<Bytes, fmt::Error>>,
}

impl RenderedSnapshot {
    /// Without its texts: they are made when somebody asks.
    pub fn new(snapshot: Snapshot) -> RenderedSnapshot {
        RenderedSnapshot { snapshot: Arc::new(snapshot), json: OnceLock::new(), metrics: OnceLock::new() }
    }

    /// As the API shows it.
    pub fn json(&self) -> Bytes {
        // A snapshot has nothing that JSON lacks: numbers, texts, and maps by text.
        let make = || serde_json::to_vec(&*self.snapshot).unwrap_or_default().into();
        self.json.get_or_init(make).clone()
    }

    /// As Prometheus reads it.
    ///
    /// # Errors
    /// None in practice: it is written to memory.
    pub fn metrics(&self) -> Result<Bytes, fmt::Error> {
        self.metrics.get_or_init(|| metrics::text(&self.snapshot).map(Bytes::from)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once() {
        let rendered = RenderedSnapshot::new(Snapshot::default());
        let (first, second) = (rendered.json(), rendered.json());
        assert!(!first.is_empty() && first.as_ptr() == second.as_ptr());
        assert_eq!(rendered.metrics().unwrap().as_ptr(), rendered.metrics().unwrap().as_ptr());
    }
}
