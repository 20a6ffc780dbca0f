//! How far the peer's clock is from ours, measured over the RTSP connection itself.
//!
//! Four time stamps, as NTP takes them (RFC 5905 section 8): the client sends a GET_PARAMETER with `t1`, the server
//! answers with `t1`, its time of arrival `t2` and of departure `t3`, and the client notes the arrival `t4`. Then
//! offset = ((t2 − t1) + (t3 − t4)) / 2, and the true offset lies within half the round trip of it. The exchange with
//! the least round trip of the last [`WINDOW`] wins, since queueing can only lengthen it.
//!
//! A publisher writes the bound of its own estimate into each picture ([`crate::hevc::SendStages`]), so that a reader can
//! state the error of both ends together.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::UtcMicros;

/// Exchanges remembered.
pub const WINDOW: usize = 8;

/// Header of the OPTIONS answer by which a server says that it takes the exchange.
pub const SUPPORT_HEADER: &str = "X-Hevcast-Clock";

/// Media type of the exchange's bodies.
pub const CONTENT_TYPE: &str = "text/x-hevcast-clock";

/// A client's request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRequest {
    /// When the request was sent, by the client's clock.
    pub t1: UtcMicros,
}

/// The server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReply {
    /// As in the request.
    pub t1: UtcMicros,
    /// When the request was read, by the server's clock.
    pub t2: UtcMicros,
    /// When the answer was written, by the server's clock.
    pub t3: UtcMicros,
}

/// The words of a body, each `key: number`.
fn field(body: &[u8], key: &str) -> Option<i64> {
    let text = std::str::from_utf8(body).ok()?;
    text.lines().filter_map(|line| line.split_once(':')).find(|(k, _)| k.trim() == key)?.1.trim().parse().ok()
}

impl ClockRequest {
    /// The body, as text.
    pub fn body(&self) -> Vec<u8> {
        format!("t1: {}\r\n", self.t1.0).into_bytes()
    }

    /// Reads a body; `None` when it is none of ours.
    pub fn parse(body: &[u8]) -> Option<ClockRequest> {
        Some(ClockRequest { t1: UtcMicros(field(body, "t1")?) })
    }
}

impl ClockReply {
    /// The body, as text.
    pub fn body(&self) -> Vec<u8> {
        format!("t1: {}\r\nt2: {}\r\nt3: {}\r\n", self.t1.0, self.t2.0, self.t3.0).into_bytes()
    }

    /// Reads a body; `None` when it is none of ours.
    pub fn parse(body: &[u8]) -> Option<ClockReply> {
        let at = |key| field(body, key).map(UtcMicros);
        Some(ClockReply { t1: at("t1")?, t2: at("t2")?, t3: at("t3")? })
    }
}

/// The server's clock as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// Server time − our time, µs.
    pub offset_micros: i64,
    /// The true offset is within this of [`Self::offset_micros`].
    pub bound: Duration,
}

/// The estimate of one connection.
#[derive(Debug, Default)]
pub struct ClockEstimator {
    exchanges: VecDeque<ClockOffset>,
}

impl ClockEstimator {
    /// Adds an exchange whose answer arrived at `t4` by our clock. Impossible ones (a negative round trip) are ignored.
    pub fn add(&mut self, reply: &ClockReply, t4: UtcMicros) {
        let round_trip = t4.micros_since(reply.t1).saturating_sub(reply.t3.micros_since(reply.t2));
        let Ok(round_trip) = u64::try_from(round_trip) else { return };
        let offset_micros = reply.t2.micros_since(reply.t1).saturating_add(reply.t3.micros_since(t4)) / 2;
        if self.exchanges.len() == WINDOW {
            self.exchanges.pop_front();
        }
        // Half the round trip, and the microsecond that integer division may have lost.
        self.exchanges.push_back(ClockOffset { offset_micros, bound: Duration::from_micros(round_trip / 2 + 1) });
    }

    /// The best of the last [`WINDOW`] exchanges; `None` before the first.
    pub fn best(&self) -> Option<ClockOffset> {
        self.exchanges.iter().min_by_key(|e| e.bound).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exchange(offset: i64, there: i64, back: i64, t1: i64) -> (ClockReply, UtcMicros) {
        let t2 = t1 + there + offset;
        let reply = ClockReply { t1: UtcMicros(t1), t2: UtcMicros(t2), t3: UtcMicros(t2 + 5) };
        (reply, UtcMicros(t1 + there + 5 + back))
    }

    proptest! {
        #[test]
        fn the_true_offset_lies_within_the_bound(
            offset in -3_600_000_000i64..3_600_000_000,
            paths in proptest::collection::vec((0i64..50_000, 0i64..50_000), 1..20),
        ) {
            let mut estimator = ClockEstimator::default();
            for (n, (there, back)) in paths.iter().enumerate() {
                let (reply, t4) = exchange(offset, *there, *back, 1_700_000_000_000_000 + n as i64 * 1_000_000);
                estimator.add(&reply, t4);
            }
            let best = estimator.best().unwrap();
            prop_assert!((best.offset_micros - offset).unsigned_abs() <= best.bound.as_micros() as u64);
        }
    }

    #[test]
    fn the_shortest_round_trip_wins_and_old_ones_leave() {
        let mut estimator = ClockEstimator::default();
        assert_eq!(estimator.best(), None);
        let mut add = |there, back| {
            let (reply, t4) = exchange(1000, there, back, 0);
            estimator.add(&reply, t4);
            estimator.best().unwrap()
        };
        assert_eq!(add(10_000, 0).offset_micros, 6000);
        assert_eq!(add(100, 100), ClockOffset { offset_micros: 1000, bound: Duration::from_micros(101) });
        for _ in 0..WINDOW {
            add(500, 500);
        }
        assert_eq!(add(500, 500).bound, Duration::from_micros(501));
    }

    #[test]
    fn bodies_read_back() {
        let request = ClockRequest { t1: UtcMicros(-5) };
        assert_eq!(ClockRequest::parse(&request.body()), Some(request));
        let reply = ClockReply { t1: UtcMicros(1), t2: UtcMicros(2), t3: UtcMicros(3) };
        assert_eq!(ClockReply::parse(&reply.body()), Some(reply));
        assert_eq!(ClockRequest::parse(b"packets_received"), None);
        assert_eq!(ClockReply::parse(&[0xff, 0xfe]), None);
    }
}
