//! The sizes of coded pictures, taken from what passes: a finer trace of the sender's bitrate than it states itself.
//!
//! The direction that carries video is interleaved frames (RFC 2326 section 10.12) with RTSP messages between them. A
//! picture's bytes are those of its packets with their framing. RTP's time stamp tells when a picture was captured,
//! however long it then waited for the link.

use std::time::Duration;

use hevcast_wire::rtp::RtpHeader;
use hevcast_wire::rtp::interleave::{HEADER_LEN, MAGIC};

/// The channel of video, in every session that is measured here.
const RTP_CHANNEL: u8 = 0;
/// The front of a frame that is looked at.
const HEAD_LEN: usize = HEADER_LEN + RtpHeader::LEN;
/// The longest line of a message that is remembered.
const LINE_BYTES: usize = 512;
/// RTP's clock for video, Hz (RFC 7798 section 4.1).
const CLOCK_HZ: f64 = 90_000.0;

/// A coded picture that passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passed {
    /// RTP's time stamp.
    pub timestamp: u32,
    /// With framing.
    pub bytes: usize,
    /// When its first packet was whole, since the pipe was opened.
    pub first: Duration,
}

/// Where in the connection the tap stands.
#[derive(Debug)]
enum State {
    /// Between messages, or in the head of a frame.
    Head,
    /// In a frame, with this much to come.
    Frame(usize),
    /// In the lines of an RTSP message, whose body is this long as far as is known.
    Lines(usize),
    /// In its body, with this much to come.
    Body(usize),
}

/// Follows one direction of a connection.
#[derive(Debug)]
pub struct Tap {
    state: State,
    /// Of a frame's head or a message's line.
    kept: Vec<u8>,
    pictures: Vec<Passed>,
}

impl Default for Tap {
    fn default() -> Tap {
        Tap { state: State::Head, kept: Vec::new(), pictures: Vec::new() }
    }
}

impl Tap {
    /// Takes what has been read at `now`.
    pub fn feed(&mut self, mut bytes: &[u8], now: Duration) {
        while let Some(&byte) = bytes.first() {
            match &mut self.state {
                State::Frame(left) | State::Body(left) => {
                    let taken = (*left).min(bytes.len());
                    *left -= taken;
                    bytes = &bytes[taken..];
                    if *left == 0 {
                        self.state = State::Head;
                    }
                }
                State::Lines(body) => {
                    bytes = &bytes[1..];
                    if byte != b'\n' {
                        if self.kept.len() < LINE_BYTES {
                            self.kept.push(byte);
                        }
                        continue;
                    }
                    let line = std::mem::take(&mut self.kept);
                    let line = String::from_utf8_lossy(&line);
                    match line.split_once(':') {
                        _ if line.trim().is_empty() => {
                            self.state = if *body > 0 { State::Body(*body) } else { State::Head };
                        }
                        Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                            *body = value.trim().parse().unwrap_or(0);
                        }
                        _ => {}
                    }
                }
                State::Head if self.kept.is_empty() && byte != MAGIC => self.state = State::Lines(0),
                State::Head => {
                    self.kept.push(byte);
                    bytes = &bytes[1..];
                    self.head(now);
                }
            }
        }
    }

    /// Looks at the head of a frame, once it is there.
    fn head(&mut self, now: Duration) {
        let [_, channel, high, low, ref rtp @ ..] = self.kept[..] else { return };
        let packet_len = usize::from(u16::from_be_bytes([high, low]));
        if self.kept.len() < HEADER_LEN + packet_len.min(RtpHeader::LEN) {
            return;
        }
        if let (RTP_CHANNEL, [_, _, _, _, t0, t1, t2, t3, ..]) = (channel, rtp) {
            let timestamp = u32::from_be_bytes([*t0, *t1, *t2, *t3]);
            let bytes = HEADER_LEN + packet_len;
            match self.pictures.last_mut() {
                Some(last) if last.timestamp == timestamp => last.bytes += bytes,
                _ => self.pictures.push(Passed { timestamp, bytes, first: now }),
            }
        }
        let left = (HEADER_LEN + packet_len).saturating_sub(self.kept.len().min(HEAD_LEN));
        self.state = if left > 0 { State::Frame(left) } else { State::Head };
        self.kept.clear();
    }

    /// The pictures so far, in the order in which they passed.
    pub fn pictures(&self) -> &[Passed] {
        &self.pictures
    }
}

/// A coded picture by its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CodedSize {
    /// When it was captured, or passed, since the pipe was opened.
    pub at: Duration,
    /// With framing.
    pub bytes: usize,
}

/// Puts pictures at their times of capture. The one that came soonest after its stamp stands for no delay at all, so that all
/// times are later than the truth by what the quickest took from capture to the pipe: some ms.
pub fn by_capture(pictures: &[Passed]) -> Vec<CodedSize> {
    let Some(first) = pictures.first() else { return Vec::new() };
    // Stamps wrap around every 13 hours; a run is shorter.
    let stamps = pictures.iter().map(|p| f64::from(p.timestamp.wrapping_sub(first.timestamp) as i32) / CLOCK_HZ);
    let lead = pictures.iter().zip(stamps.clone()).map(|(p, stamp)| p.first.as_secs_f64() - stamp);
    let least = lead.fold(f64::INFINITY, f64::min);
    let at = |stamp: f64| Duration::from_secs_f64((stamp + least).max(0.0));
    pictures.iter().zip(stamps).map(|(p, stamp)| CodedSize { at: at(stamp), bytes: p.bytes }).collect()
}

/// Puts pictures at the times of their passing, for senders whose stamps are none of capture.
pub fn by_passing(pictures: &[Passed]) -> Vec<CodedSize> {
    pictures.iter().map(|picture| CodedSize { at: picture.first, bytes: picture.bytes }).collect()
}

#[cfg(test)]
mod tests {
    use hevcast_wire::rtp::interleave::frame_header;

    use super::*;

    fn frame(channel: u8, timestamp: u32, len: usize) -> Vec<u8> {
        let mut packet = vec![0; len];
        if len >= 8 {
            packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        }
        [&frame_header(channel, len as u16)[..], &packet].concat()
    }

    #[test]
    fn pictures_are_told_from_messages_however_they_are_cut() {
        let announce = b"ANNOUNCE rtsp://a/b RTSP/1.0\r\ncontent-length: 6\r\nCSeq: 1\r\n\r\n$1234\n".to_vec();
        let options = b"OPTIONS * RTSP/1.0\r\nCSeq: 2\r\n\r\n".to_vec();
        let frames = [frame(0, 9000, 100), frame(1, 5, 28), frame(0, 9000, 50), options, frame(0, 12_000, 40)];
        let all = [announce, frames.concat(), frame(0, 15_000, 4), frame(0, 18_000, 12)].concat();
        let expected = [(9000, 158), (12_000, 44), (18_000, 16)];
        for piece in [1, 3, 7, 64, all.len()] {
            let mut tap = Tap::default();
            all.chunks(piece).for_each(|piece| tap.feed(piece, Duration::ZERO));
            assert_eq!(tap.pictures().iter().map(|p| (p.timestamp, p.bytes)).collect::<Vec<_>>(), expected, "{piece}");
        }
    }

    #[test]
    fn a_picture_stands_at_its_capture() {
        let ms = Duration::from_millis;
        let passed = |timestamp, first| Passed {
            timestamp: 4_294_967_000u32.wrapping_add(timestamp),
            bytes: 1,
            first: ms(first),
        };
        let sized = by_capture(&[passed(0, 115), passed(9000, 205), passed(18_000, 900)]);
        let at: Vec<_> = sized.iter().map(|sized| sized.at.as_millis()).collect();
        assert_eq!(at, [105, 205, 305]);
        assert_eq!(by_capture(&[]), []);
    }
}
