//! A snapshot with the texts that HTTP responses contain: each is made once, however many requests come.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::metrics;
use crate::status::snapshot::Snapshot;

/// A snapshot, and its representations as text, which are made on first use.
#[derive(Debug)]
pub struct RenderedSnapshot {
    snapshot: Arc<Snapshot>,
    json: OnceLock<Bytes>,
    metrics: OnceLock<Result<Bytes, fmt::Error>>,
}

impl RenderedSnapshot {
    /// Wraps a snapshot. Its texts are made when they are first requested.
    pub fn new(snapshot: Snapshot) -> RenderedSnapshot {
        RenderedSnapshot { snapshot: Arc::new(snapshot), json: OnceLock::new(), metrics: OnceLock::new() }
    }

    /// The snapshot as JSON, for the API.
    pub fn json(&self) -> Bytes {
        // Serialization cannot fail: a snapshot contains only numbers, strings, and maps with string keys.
        let make = || serde_json::to_vec(&*self.snapshot).unwrap_or_default().into();
        self.json.get_or_init(make).clone()
    }

    /// The snapshot as OpenMetrics text, for Prometheus.
    ///
    /// # Errors
    /// None in practice, since the text is written to memory.
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
