//! Bytes that are neither a message nor a frame, and where the next message or frame begins behind them.
//!
//! Some cameras break the framing: the rest of a frame that a full socket did not take is never sent, or the first response
//! after a reconnect comes behind the remains of an older stream. FFmpeg and VLC then look for the next `$` or message. This
//! module does the same with more checks, since coded pictures contain many bytes of the value `$`.

use crate::rtp::interleave;

/// Methods by which a request is recognised amid noise.
const METHODS: [&[u8]; 11] = [
    b"OPTIONS",
    b"DESCRIBE",
    b"ANNOUNCE",
    b"SETUP",
    b"PLAY",
    b"PAUSE",
    b"RECORD",
    b"TEARDOWN",
    b"GET_PARAMETER",
    b"SET_PARAMETER",
    b"REDIRECT",
];
/// The first bytes of each RTSP response.
const ANSWER: &[u8] = b"RTSP/1.";
/// The longest beginning of a message that is searched for, bytes: a method's name and a blank.
const LONGEST_START: usize = 14;
/// The shortest packet: RTCP's of one report-less header.
const MIN_PACKET_BYTES: usize = 8;

/// The channels on which frames have come so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Channels([u64; 4]);

impl Channels {
    /// A frame came on this one; its RTCP or RTP may come on the neighbour.
    pub(super) fn note(&mut self, channel: u8) {
        for channel in [channel, channel ^ 1] {
            if let Some(word) = self.0.get_mut(usize::from(channel / 64)) {
                *word |= 1 << (channel % 64);
            }
        }
    }

    fn has(&self, channel: u8) -> bool {
        let is_seen = self.0.get(usize::from(channel / 64)).is_some_and(|word| word & 1 << (channel % 64) != 0);
        // Before the first frame, those that are granted to the first tracks.
        is_seen || (self.0 == [0; 4] && channel < 8)
    }
}

/// Whether bytes can be the beginning of a message or frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// They can, as far as they have come.
    Yes,
    /// Not decided: more bytes are needed.
    Perhaps,
    /// They cannot.
    No,
}

/// Whether a text message may begin here.
pub(super) fn text_start(bytes: &[u8]) -> Start {
    let mut start = match bytes.len() {
        len if len < ANSWER.len() && is_prefix(bytes, ANSWER) => Start::Perhaps,
        _ if bytes.get(..ANSWER.len()).is_some_and(|found| found.eq_ignore_ascii_case(ANSWER)) => Start::Yes,
        _ => Start::No,
    };
    for method in METHODS {
        match bytes.get(method.len()) {
            Some(b' ' | b'\t') if is_prefix(method, bytes) => return Start::Yes,
            None if is_prefix(bytes, method) => start = Start::Perhaps,
            _ => {}
        }
    }
    start
}

fn is_prefix(prefix: &[u8], of: &[u8]) -> bool {
    of.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

/// Where parsing continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A message or a frame begins there.
    At(usize),
    /// No message or frame begins before this offset. More bytes have to come before the rest can be judged.
    NotBefore(usize),
}

/// Looks for the first message or frame in `bytes`, of which the first `from` are known to be none.
///
/// A frame is believed when it is whole, holds RTP or RTCP of version 2, came on a channel that frames come on, and
/// something that can be read follows it. A text is believed at its first words, and before any frame that is not whole:
/// its sender may be waiting for us.
pub(super) fn find(bytes: &[u8], channels: &Channels, from: usize) -> Found {
    let text = (from..bytes.len()).find(|&at| text_start(&bytes[at..]) == Start::Yes);
    let limit = text.unwrap_or(bytes.len());
    let mut undecided = None;
    for at in from..limit {
        if bytes[at] != interleave::MAGIC {
            continue;
        }
        match frame_start(&bytes[at..], channels) {
            // Also behind a frame that is not whole yet, which is the less likely of the two.
            Start::Yes => return Found::At(at),
            Start::Perhaps => {
                undecided.get_or_insert(at);
            }
            Start::No => {}
        }
    }
    match (text, undecided) {
        (Some(text), _) => Found::At(text),
        (None, Some(undecided)) => Found::NotBefore(undecided),
        // The beginning of a text may be cut off at the end.
        (None, None) => {
            let tail = bytes.len().saturating_sub(LONGEST_START).max(from);
            let begun = (tail..bytes.len()).find(|&at| text_start(&bytes[at..]) == Start::Perhaps);
            Found::NotBefore(begun.unwrap_or(bytes.len()))
        }
    }
}

/// Whether a frame begins here, where a `$` stands.
fn frame_start(bytes: &[u8], channels: &Channels) -> Start {
    let Some(&[_, channel, high, low]) = bytes.first_chunk() else { return Start::Perhaps };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len < MIN_PACKET_BYTES || !channels.has(channel) {
        return Start::No;
    }
    match bytes.get(interleave::HEADER_LEN) {
        None => return Start::Perhaps,
        Some(first) if first >> 6 != 2 => return Start::No,
        Some(_) => {}
    }
    let end = interleave::HEADER_LEN + len;
    match bytes.get(end..) {
        None => Start::Perhaps,
        Some([]) => Start::Yes,
        Some([b'\r' | b'\n', ..] | [interleave::MAGIC]) => Start::Yes,
        Some([interleave::MAGIC, channel, ..]) if channels.has(*channel) => Start::Yes,
        Some(behind) if text_start(behind) != Start::No => Start::Yes,
        Some(_) => Start::No,
    }
}
