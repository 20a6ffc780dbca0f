//! A fake camera (or server): it accepts every request, and then does what a script says.

use parking_lot::Mutex;
use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::footage::ffmpeg;
use super::rtsp_request::{Request, next_request};

const DESCRIPTION: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=one\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
                           m=video 0 RTP/AVP 96\r\na=rtpmap:96 CODEC/90000\r\na=control:trackID=0\r\n";

/// The codec of a camera's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// H.264, as many cameras use for their second stream, or for all streams.
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

    /// The length of a NAL unit's header, in bytes.
    fn header_len(self) -> usize {
        match self {
            Codec::H264 => 1,
            Codec::H265 => 2,
        }
    }

    /// Whether a NAL unit is a slice, and whether it is the first slice of its picture.
    fn slice(self, nal: &[u8]) -> (bool, bool) {
        match self {
            // first_mb_in_slice = 0 is coded as ue(v) by a single one bit (H.264 section 7.3.3).
            Codec::H264 => ((1..=5).contains(&(nal[0] & 0x1f)), nal.get(1).is_some_and(|byte| byte & 0x80 != 0)),
            Codec::H265 => (nal[0] >> 1 & 0x3f < 32, nal.get(2).is_some_and(|byte| byte & 0x80 != 0)),
        }
    }
}
/// The SSRC of the camera's packets.
pub const SSRC: u32 = 0x1234_5678;
/// Pictures per second, by their RTP time stamps.
pub const RATE: u32 = 20;
/// Most payload bytes of a packet.
const PAYLOAD: usize = 1200;

/// A running camera. Dropping it closes its listening socket.
pub struct Camera {
    address: SocketAddr,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    connections: AtomicUsize,
    teardowns: AtomicUsize,
    ended: AtomicBool,
}

/// One connection on which the camera plays, as a script uses it.
pub struct Playing {
    codec: Codec,
    stream: Arc<Mutex<TcpStream>>,
    sequence_number: u16,
    timestamp: u32,
    left: Arc<AtomicBool>,
}

impl Camera {
    /// Starts an H.265 camera that runs `script` after each PLAY or RECORD, with the number of the connection, and then
    /// closes the connection.
    pub fn start(script: impl Fn(usize, &mut Playing) + Send + Sync + 'static) -> Camera {
        Camera::of(Codec::H265, script)
    }

    /// Starts a camera with streams in `codec`; otherwise like [`Camera::start`].
    pub fn of(codec: Codec, script: impl Fn(usize, &mut Playing) + Send + Sync + 'static) -> Camera {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (counters, script) = (Arc::new(Counters::default()), Arc::new(script));
        let camera = Camera { address, counters: Arc::clone(&counters) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if counters.ended.load(Ordering::Relaxed) {
                    return;
                }
                let number = counters.connections.fetch_add(1, Ordering::Relaxed);
                let (counters, script) = (Arc::clone(&counters), Arc::clone(&script));
                // Fails when the client closes the connection, which is expected.
                std::thread::spawn(move || _ = converse(codec, stream, &counters, |playing| script(number, playing)));
            }
        });
        camera
    }

    /// The URL of the camera's stream.
    pub fn url(&self) -> String {
        format!("rtsp://{}/live/one", self.address)
    }

    /// How many connections the camera has accepted.
    pub fn connections(&self) -> usize {
        self.counters.connections.load(Ordering::Relaxed)
    }

    /// How many sessions were ended by TEARDOWN.
    pub fn teardowns(&self) -> usize {
        self.counters.teardowns.load(Ordering::Relaxed)
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.counters.ended.store(true, Ordering::Relaxed);
        // Wakes the thread, which waits for a connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn converse(
    codec: Codec,
    stream: TcpStream,
    counters: &Counters,
    script: impl Fn(&mut Playing) + Sync,
) -> std::io::Result<()> {
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
        while let Some(Request { method, cseq }) = next_request(&mut input)? {
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
                counters.teardowns.fetch_add(1, Ordering::Relaxed);
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

/// Records when dropped that the client has closed the connection.
struct Gone<'a>(&'a AtomicBool);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Playing {
    /// Whether the client is still connected.
    pub fn goes_on(&self) -> bool {
        !self.left.load(Ordering::Relaxed)
    }

    /// Sends nothing until the client closes the connection.
    pub fn wait_for_leave(&self) {
        while self.goes_on() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends pictures one by one, at their frame rate.
    pub fn singly(&mut self, pictures: &[Picture]) {
        for picture in pictures.iter().take_while(|_| self.goes_on()).collect::<Vec<_>>() {
            self.together(std::slice::from_ref(picture));
        }
    }

    /// Waits for the duration of all these pictures, and then sends them at once.
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
        // Fails when the client has closed the connection.
        let _ = self.stream.lock().write_all(bytes);
    }

    /// The interleaved frames of a picture: single NAL unit packets and fragmentation units (RFC 6184 section 5.8, RFC
    /// 7798 section 4.4).
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

/// A coded picture, as NAL units.
#[derive(Clone)]
pub struct Picture {
    nals: Vec<Vec<u8>>,
}

impl Picture {
    /// Whether the picture is an IRAP picture.
    pub fn is_keyframe(&self) -> bool {
        self.nals.iter().any(|nal| matches!(nal[0] >> 1 & 0x3f, 16..=23))
    }
}

/// Makes small pictures with FFmpeg and x265, with a keyframe and its parameter sets every second.
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

/// The pictures in an Annex B byte stream.
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

/// The NAL units in an Annex B byte stream.
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
