//! Time stamps of a sent picture: RTP's, and the SEI messages by which the far end computes the delay.

use std::time::{Duration, Instant};

use hevcast_net::Clock;
use hevcast_wire::CodedFrame;
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::sei::{CaptureStamp, SendStages};
use hevcast_wire::time::{RtpTicks, UtcMicros};

/// Makes the time stamps of one stream from its capture instants.
#[derive(Debug)]
pub struct Stamper {
    clock: Clock,
    start: Instant,
    offset: RtpTicks,
    last: Option<RtpTicks>,
}

impl Stamper {
    /// A stamper whose RTP time stamps begin at a random `offset` (RFC 3550 section 5.1).
    pub fn new(clock: Clock, offset: RtpTicks) -> Stamper {
        Stamper { clock, start: clock.now().instant, offset, last: None }
    }

    /// The RTP time stamp of a picture captured at `at`; always later than the one before, since equal stamps mean one
    /// picture.
    pub fn rtp(&mut self, at: Instant) -> RtpTicks {
        let since = at.saturating_duration_since(self.start).as_micros() as i64;
        let mut ticks = RtpTicks::at(UtcMicros(since), self.offset);
        if let Some(last) = self.last
            && ticks.0.wrapping_sub(last.0) as i32 <= 0
        {
            ticks = RtpTicks(last.0.wrapping_add(1));
        }
        self.last = Some(ticks);
        ticks
    }

    /// Our own clock's reading at `at`, as sender reports state it.
    pub fn utc(&self, at: Instant) -> UtcMicros {
        self.clock.utc_at(at)
    }

    /// Stamps a frame captured at `at`: in the server's timescale where `server` is known, else in ours and marked so.
    pub fn stamp(&self, frame: &mut CodedFrame, at: Instant, server: Option<ClockOffset>, stages: &SentStages) {
        let own = self.clock.utc_at(at);
        let server = server.map(|server| server.at(at));
        let stamp = match server {
            Some(server) => {
                CaptureStamp { captured: own.offset_by(server.offset_micros), status: CaptureStamp::LOCKED }
            }
            None => CaptureStamp { captured: own, status: CaptureStamp::UNLOCKED },
        };
        let stages = SendStages {
            capture_wait: stages.capture_wait,
            encode: stages.encode,
            previous_send_queue: stages.previous_send_queue,
            clock_bound: server.map(|server| server.bound),
            clock: server.and_then(|server| server.clock),
            relayed: stages.is_relayed,
        };
        frame.stamp(&stamp, Some(&stages));
    }
}

/// The times that a picture spent in the sender's stages before it was packetized, as its stamp states them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SentStages {
    /// From capture until the encoder took it.
    pub capture_wait: Duration,
    /// From there until the coded frame was there.
    pub encode: Duration,
    /// How long the picture before waited for the socket.
    pub previous_send_queue: Duration,
    /// It was coded elsewhere and captured at an unknown time: the stamp is that of its arrival here.
    pub is_relayed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use hevcast_wire::CodecId;
    use hevcast_wire::time::ClockId;

    #[test]
    fn rtp_time_stamps_always_advance() {
        let mut stamper = Stamper::new(Clock::default(), RtpTicks(u32::MAX - 10));
        let at = stamper.start + Duration::from_secs(1);
        let first = stamper.rtp(at);
        let second = stamper.rtp(at);
        assert_eq!(second.0.wrapping_sub(first.0), 1);
        let third = stamper.rtp(at + Duration::from_secs(1));
        assert_eq!(third.since(first), Duration::from_secs(1));
    }

    #[test]
    fn stamps_are_in_the_servers_time_where_it_is_known() {
        let stamper = Stamper::new(Clock::default(), RtpTicks(0));
        let at = stamper.start;
        let stamp = |server| {
            let mut frame = CodedFrame::new(CodecId::H265, RtpTicks(0), Vec::new());
            stamper.stamp(&mut frame, at, server, &SentStages::default());
            frame.capture_stamp().unwrap()
        };
        let own = stamp(None);
        let server = ClockOffset {
            measured: at,
            offset_micros: 5_000_000,
            bound: Duration::from_micros(50),
            drift_ppb: 0,
            drift_bound_ppb: 0,
            clock: ClockId::new(7),
        };
        let shared = stamp(Some(server));
        let difference = shared.0.captured.micros_since(own.0.captured);
        assert!((4_900_000..=5_100_000).contains(&difference), "{difference}");
        assert_eq!((own.0.status, shared.0.status), (CaptureStamp::UNLOCKED, CaptureStamp::LOCKED));
        let (own, shared) = (own.1.unwrap(), shared.1.unwrap());
        assert_eq!((shared.clock_bound, shared.clock), (Some(Duration::from_micros(51)), ClockId::new(7)));
        assert_eq!((own.clock_bound, own.clock), (None, None));
    }
}
