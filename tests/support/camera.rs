//! A camera that is not ours, or a server: it answers every request, and then does as a script says.

use parking_lot::Mutex;
use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::asked::{Asked, next_request};
use super::footage::ffmpeg;

const DESCRIPTION: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=one\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
                           m=video 0 RTP/AVP 96\r\na=rtpmap:96 CODEC/90000\r\na=control:trackID=0\r\n";

/// What a camera codes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Of its second stream, or all that it has.
    H264,
    H265,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Codec::H264 => "H264",
            Codec::H265 => "H265",
        }
    }

    /// Bytes of a NAL unit's header.
    fn header_len(self) -> usize {
        match self {
            Codec::H264 => 1,
            Codec::H265 => 2,
        }
    }

    /// Whether a NAL unit is a slice, and the first of its picture.
    fn slice(self, nal: &[u8]) -> (bool, bool) {
        match self {
            // first_mb_in_slice 0 as ue(v) is a one bit.
            Codec::H264 => ((1..=5).contains(&(nal[0] & 0x1f)), nal.get(1).is_some_and(|byte| byte & 0x80 != 0)),
            Codec::H265 => (nal[0] >> 1 & 0x3f < 32, nal.get(2).is_some_and(|byte| byte & 0x80 != 0)),
        }
    }
}
/// The source of its packets.
pub const SSRC: u32 = 0x1234_5678;
/// Pictures a second, by their time stamps.
pub const RATE: u32 = 20;
/// Payload bytes of a packet at most.
const PAYLOAD: usize = 1200;

/// A running camera. Dropping it ends its listening.
pub struct Camera {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    teardowns: AtomicUsize,
    ended: AtomicBool,
}

/// What a script plays by.
pub struct Playing {
    codec: Codec,
    stream: Arc<Mutex<TcpStream>>,
    sequence_number: u16,
    timestamp: u32,
    left: Arc<AtomicBool>,
}

impl Camera {
    /// Starts one that runs `script` after each PLAY or RECORD, with the number of the connection; then it closes.
    pub fn start(script: impl Fn(usize, &mut Playing) + Send + Sync + 'static) -> Camera {
        Camera::of(Codec::H265, script)
    }

    /// The same of a camera that codes in `codec`.
    pub fn of(codec: Codec, script: impl Fn(usize, &mut Playing) + Send + Sync + 'static) -> Camera {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, script) = (Arc::new(Seen::default()), Arc::new(script));
        let camera = Camera { address, seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if seen.ended.load(Ordering::Relaxed) {
                    return;
                }
                let number = seen.connections.fetch_add(1, Ordering::Relaxed);
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                // The client hangs up when it has heard enough, which is an error here.
                std::thread::spawn(move || _ = converse(codec, stream, &seen, |playing| script(number, playing)));
            }
        });
        camera
    }

    /// The URL of its stream.
    pub fn url(&self) -> String {
        format!("rtsp://{}/live/one", self.address)
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::Relaxed)
    }

    /// How many sessions were ended in order.
    pub fn teardowns(&self) -> usize {
        self.seen.teardowns.load(Ordering::Relaxed)
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.seen.ended.store(true, Ordering::Relaxed);
        // Wakes the thread out of its wait for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn converse(codec: Codec, stream: TcpStream, seen: &Seen, script: impl Fn(&mut Playing) + Sync) -> std::io::Result<()> {
    let description = DESCRIPTION.replace("CODEC", codec.name());
    let mut input = BufReader::new(stream.try_clone()?);
    let (output, left) = (Arc::new(Mutex::new(stream.try_clone()?)), Arc::new(AtomicBool::new(false)));
    let mut playing = Some(Playing {
        codec,
        stream: Arc::clone(&output),
        sequence_number: 7,
        timestamp: 9000,
        left: Arc::clone(&left),
    });
    std::thread::scope(|scope| {
        let _gone = Gone(&left);
        while let Some(Asked { method, cseq }) = next_request(&mut input)? {
            let body = if method == "DESCRIBE" { description.as_str() } else { "" };
            let headers = match method.as_str() {
                "SETUP" => "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
                "OPTIONS" => "Public: DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, TEARDOWN, GET_PARAMETER\r\n",
                _ => "",
            };
            let answer =
                format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
            output.lock().write_all(answer.as_bytes())?;
            if method == "TEARDOWN" {
                seen.teardowns.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            if matches!(method.as_str(), "PLAY" | "RECORD")
                && let Some(mut playing) = playing.take()
            {
                let (script, stream) = (&script, &stream);
                scope.spawn(move || {
                    script(&mut playing);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        }
        Ok(())
    })
}

/// Tells a script that its client has left.
struct Gone<'a>(&'a AtomicBool);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Playing {
    /// Whether the client has not left.
    pub fn goes_on(&self) -> bool {
        !self.left.load(Ordering::Relaxed)
    }

    /// Says nothing until the client leaves.
    pub fn fall_silent(&self) {
        while self.goes_on() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends pictures one after the other, at their rate.
    pub fn singly(&mut self, pictures: &[Picture]) {
        for picture in pictures.iter().take_while(|_| self.goes_on()).collect::<Vec<_>>() {
            self.together(std::slice::from_ref(picture));
        }
    }

    /// Sends pictures at once, when the time of all has passed.
    pub fn together(&mut self, pictures: &[Picture]) {
        std::thread::sleep(Duration::from_millis(1000 / u64::from(RATE)) * pictures.len() as u32);
        let bytes: Vec<u8> = pictures.iter().flat_map(|picture| self.packets(picture)).collect();
        self.write(&bytes);
    }

    /// Sends a compound RTCP packet.
    pub fn rtcp(&mut self, packet: &[u8]) {
        self.write(&frame(1, packet));
    }

    fn write(&self, bytes: &[u8]) {
        // Who has left hears nothing more.
        let _ = self.stream.lock().write_all(bytes);
    }

    /// Single NAL units and fragments (RFC 6184 section 5.8, RFC 7798 section 4.4).
    fn packets(&mut self, picture: &Picture) -> Vec<u8> {
        let mut payloads = Vec::new();
        for nal in &picture.nals {
            if nal.len() <= PAYLOAD {
                payloads.push(nal.clone());
                continue;
            }
            let parts: Vec<_> = nal[self.codec.header_len()..].chunks(PAYLOAD - 3).collect();
            for (index, part) in parts.iter().enumerate() {
                let flags = u8::from(index == 0) << 7 | u8::from(index + 1 == parts.len()) << 6;
                let head = match self.codec {
                    Codec::H264 => vec![nal[0] & 0x60 | 28, flags | nal[0] & 0x1f],
                    Codec::H265 => vec![nal[0] & 0x81 | 49 << 1, nal[1], flags | nal[0] >> 1 & 0x3f],
                };
                payloads.push([&head[..], part].concat());
            }
        }
        self.timestamp += 90_000 / RATE;
        let mut out = Vec::new();
        for (index, payload) in payloads.iter().enumerate() {
            let marker = u8::from(index + 1 == payloads.len()) << 7;
            let mut packet = vec![0x80, marker | 96];
            packet.extend(self.sequence_number.to_be_bytes());
            packet.extend(self.timestamp.to_be_bytes());
            packet.extend(SSRC.to_be_bytes());
            packet.extend(payload);
            out.extend(frame(0, &packet));
            self.sequence_number = self.sequence_number.wrapping_add(1);
        }
        out
    }
}

fn frame(channel: u8, packet: &[u8]) -> Vec<u8> {
    [&[b'$', channel][..], &(packet.len() as u16).to_be_bytes(), packet].concat()
}

/// A coded picture.
#[derive(Clone)]
pub struct Picture {
    nals: Vec<Vec<u8>>,
}

impl Picture {
    /// Whether it is an IRAP picture.
    pub fn is_keyframe(&self) -> bool {
        self.nals.iter().any(|nal| matches!(nal[0] >> 1 & 0x3f, 16..=23))
    }
}

/// Small pictures by FFmpeg and x265, a keyframe with its parameter sets in each second.
pub fn pictures(count: usize) -> Vec<Picture> {
    let source = format!("testsrc2=size=160x128:rate={RATE}");
    let codec = ["-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"];
    let settings = format!("log-level=none:keyint={RATE}:min-keyint={RATE}:scenecut=0:repeat-headers=1");
    let (frames, output) = (count.to_string(), ["-x265-params", &settings, "-f", "hevc", "-"]);
    let arguments = [&["-f", "lavfi", "-i", &source, "-frames:v", &frames], &codec[..], &output].concat();
    let made = ffmpeg(&arguments).output().unwrap();
    let pictures = pictures_of(Codec::H265, &made.stdout);
    assert_eq!(pictures.len(), count, "{}", String::from_utf8_lossy(&made.stderr));
    pictures
}

/// The pictures of a stream of NAL units between start codes.
pub fn pictures_of(codec: Codec, stream: &[u8]) -> Vec<Picture> {
    let mut pictures: Vec<Picture> = Vec::new();
    let mut head = Vec::new();
    for nal in nals(stream) {
        match (codec.slice(&nal), pictures.last_mut()) {
            ((true, false), Some(last)) => last.nals.push(nal),
            ((true, true), _) => {
                head.push(nal);
                pictures.push(Picture { nals: std::mem::take(&mut head) });
            }
            _ => head.push(nal),
        }
    }
    pictures
}

/// NAL units between start codes.
fn nals(data: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> =
        (0..data.len().saturating_sub(3)).filter(|at| data[*at..].starts_with(&[0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([data.len()]);
    let nal = |(start, end): (&usize, usize)| {
        let nal = &data[start + 3..end];
        let len = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        nal[..len].to_vec()
    };
    starts.iter().zip(ends).map(nal).filter(|nal| nal.len() > 2).collect()
}
