//! Writes a snapshot as OpenMetrics text for Prometheus. `docs/metrics.md` documents every name, which a test checks.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::status::snapshot::{Snapshot, StreamView};

/// The media type of the text, for the header Content-Type.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes the snapshot as OpenMetrics text.
///
/// # Errors
/// None in practice, since the text is written to memory.
pub(super) fn text(snapshot: &Arc<Snapshot>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(SnapshotCollector(Arc::clone(snapshot))));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// Encodes the metrics of a snapshot.
#[derive(Debug)]
struct SnapshotCollector(Arc<Snapshot>);

/// Returns the value of a metric of a stream.
type OfStream = fn(&StreamView) -> f64;

/// The metrics of each stream, with the label `path`: name, help text, whether it is a counter (otherwise a gauge), and
/// value.
const STREAMS: [(&str, &str, bool, OfStream); 16] = [
    ("hevcast_stream_received_bytes", "Bytes received, framing included", true, |s| s.received_bytes as f64),
    ("hevcast_stream_packets", "RTP packets received", true, |s| s.packets as f64),
    ("hevcast_stream_keyframes", "Keyframes received", true, |s| s.keyframes as f64),
    ("hevcast_stream_lost_packets", "RTP packets that the publisher left out", true, |s| s.lost_packets as f64),
    ("hevcast_stream_bad_packets", "Frames on an RTP channel that were no RTP", true, |s| s.bad_packets as f64),
    ("hevcast_stream_publishers", "Publishers it has had", true, |s| s.publishers as f64),
    ("hevcast_stream_recorded_pictures", "Pictures in the recording's files, if there is one", false, |s| {
        s.recording.as_ref().map_or(0.0, |recording| recording.pictures as f64)
    }),
    ("hevcast_stream_recorded_bytes", "Coded bytes of the pictures recorded", true, |s| {
        s.recording.as_ref().map_or(0.0, |recording| recording.bytes as f64)
    }),
    ("hevcast_stream_recorded_files", "Files of recordings begun", true, |s| {
        s.recording.as_ref().map_or(0.0, |recording| recording.files as f64)
    }),
    ("hevcast_stream_recording", "1 while a file is being written", false, |s| {
        f64::from(u8::from(s.recording.as_ref().is_some_and(|recording| recording.file.is_some())))
    }),
    ("hevcast_stream_dropped_packets", "Packets given up for slow readers", true, |s| s.dropped_packets as f64),
    ("hevcast_stream_jumps", "Jumps to a keyframe of slow readers", true, |s| s.jumps as f64),
    ("hevcast_stream_readers", "Readers now", false, |s| s.readers.len() as f64),
    ("hevcast_stream_queued_packets", "Packets that wait for readers now", false, |s| {
        s.readers.iter().map(|reader| reader.queued_packets as f64).sum()
    }),
    ("hevcast_stream_received_bits_per_second", "Bits received in the last second", false, |s| s.bitrate_bps),
    ("hevcast_stream_sent_bits_per_second", "Bits sent to all readers in the last second", false, |s| {
        s.readers.iter().map(|reader| reader.bitrate_bps).sum()
    }),
];

impl Collector for SnapshotCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let (snapshot, counters) = (&self.0, &self.0.counters);
        for (name, help, value) in [
            ("hevcast_uptime_seconds", "How long the server has run", snapshot.uptime_s),
            ("hevcast_connections", "RTSP connections open", snapshot.connections as f64),
            ("hevcast_streams", "Live streams", snapshot.streams.len() as f64),
            (
                "hevcast_memory_limit_bytes",
                "Memory that peers may make the server hold",
                snapshot.memory.limit_bytes as f64,
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        for (name, help, value) in [
            ("hevcast_connections_accepted", "RTSP connections taken", counters.accepted),
            ("hevcast_stray_frames", "Frames on channels that belong to no track", counters.stray_frames),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        for (name, help, label, counts) in [
            ("hevcast_connections_refused", "RTSP connections refused", "why", &counters.refused),
            ("hevcast_connections_ended", "Connections ended", "why", &counters.ended),
            ("hevcast_requests_refused", "Requests refused", "status", &counters.refused_requests),
            ("hevcast_logins", "Logins, by outcome", "outcome", &counters.logins),
            ("hevcast_http_closed", "HTTP connections closed by the server", "why", &counters.http_closed),
            (
                "hevcast_memory_refused",
                "Reservations of memory refused, by what they were for",
                "kind",
                &snapshot.memory.refused,
            ),
        ] {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (kind, count) in counts {
                ConstCounter::new(*count).encode(metric.encode_family(&[(label, *kind)])?)?;
            }
        }
        let (name, help) = ("hevcast_memory_reserved_bytes", "Memory that peers make the server hold");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (kind, bytes) in &snapshot.memory.reserved {
            ConstGauge::new(*bytes as f64).encode(metric.encode_family(&[("kind", *kind)])?)?;
        }
        let (name, help) = ("hevcast_stream_not_recorded_pictures", "Pictures missing in recordings");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for stream in &snapshot.streams {
            for (cause, pictures) in stream.recording.iter().flat_map(|recording| &recording.not_recorded_by) {
                let labels = [("path", stream.path.clone()), ("cause", (*cause).to_owned())];
                ConstCounter::new(*pictures).encode(metric.encode_family(&labels)?)?;
            }
        }
        for (name, help, is_counter, value) in STREAMS {
            let kind = if is_counter { MetricType::Counter } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for stream in &snapshot.streams {
                let labels = [("path", stream.path.clone())];
                let metric = metric.encode_family(&labels)?;
                match is_counter {
                    true => ConstCounter::new(value(stream)).encode(metric)?,
                    false => ConstGauge::new(value(stream)).encode(metric)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn stream(path: &str) -> StreamView {
        StreamView {
            path: path.to_owned(),
            tracks: Vec::new(),
            publisher: None,
            publishers: 2,
            received_bytes: 1234,
            bitrate_bps: 8.5,
            frame_rate: 30.0,
            packets: 9,
            keyframes: 1,
            lost_packets: 0,
            bad_packets: 0,
            dropped_packets: 3,
            jumps: 1,
            recording: None,
            readers: Vec::new(),
        }
    }

    fn text_of(path: &str) -> String {
        let mut snapshot = Snapshot { streams: vec![stream(path)], ..Snapshot::default() };
        snapshot.counters.ended = BTreeMap::from([("idle", 7)]);
        snapshot.memory = crate::budget::Budget::new(1 << 30).usage().into();
        text(&Arc::new(snapshot)).unwrap()
    }

    #[test]
    fn the_text_is_openmetrics() {
        let text = text_of("live");
        for line in [
            "# TYPE hevcast_stream_received_bytes counter",
            "hevcast_stream_received_bytes_total{path=\"live\"} 1234.0",
            "hevcast_stream_received_bits_per_second{path=\"live\"} 8.5",
            "hevcast_connections_ended_total{why=\"idle\"} 7",
            "hevcast_memory_limit_bytes 1073741824.0",
            "hevcast_memory_reserved_bytes{kind=\"groups\"} 0.0",
            "hevcast_memory_refused_total{kind=\"logins\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is not in\n{text}");
        }
        for (path, label) in [("a\"} 1\nb\\", r#"a\"} 1\nb\\"#), ("客厅/live cam", "客厅/live cam")] {
            let line = format!("hevcast_stream_publishers_total{{path=\"{label}\"}} ");
            let text = text_of(path);
            assert!(text.lines().any(|there| there.starts_with(&line)), "{text}");
        }
    }

    #[test]
    fn every_name_is_in_the_manual() {
        let manual = include_str!("../../../../../docs/metrics.md");
        let text = text_of("live");
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(names.len() > 15);
        for name in names.iter().filter_map(|line| line.split(' ').next()) {
            assert!(manual.contains(&format!("`{name}")), "{name} is not in docs/metrics.md");
        }
    }
}
