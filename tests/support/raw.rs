//! An RTSP client that says exactly what a test wants said, in whatever order, and hears everything.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::LIMIT;

/// A description with one track of H.265.
pub const HEVC: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=raw\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
                    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:trackID=0\r\n";
/// How long it takes a pause to be one, for those who write slowly.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection.
pub struct Raw {
    stream: TcpStream,
    /// What was read and not yet understood.
    input: Vec<u8>,
    base: String,
    cseq: u32,
    /// The session's id, once an answer has told it.
    pub session: Option<String>,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The header, whole.
    pub header: String,
}

impl Answer {
    /// The value of a header.
    pub fn value(&self, name: &str) -> Option<&str> {
        let lines = self.header.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl Raw {
    /// Connects to a server on the loopback.
    pub fn connect(port: u16) -> Raw {
        Raw::connect_from(Ipv4Addr::LOCALHOST, port, None)
    }

    /// Connects from another address of the loopback, and perhaps with so small a buffer for what it gets.
    pub fn connect_from(from: Ipv4Addr, port: u16, receive_buffer: Option<usize>) -> Raw {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Raw { stream, input: Vec::new(), base: format!("rtsp://127.0.0.1:{port}"), cseq: 0, session: None }
    }

    /// Says something; false if the server no longer listens.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says it byte by byte, with a pause behind each, until the server closes the connection.
    pub fn dribble(mut self, bytes: &[u8]) {
        self.stream.set_read_timeout(Some(PAUSE)).unwrap();
        for byte in bytes {
            // The pause is a read: it ends early when there is something to hear.
            match self.stream.read(&mut [0; 1024]) {
                Ok(0) => return,
                Ok(_) => panic!("an answer to half a request"),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("{error}"),
            }
            self.say(&[*byte]);
        }
        panic!("still open after {} bytes", bytes.len());
    }

    /// The text of a request for a path, numbered, in the session if there is one.
    pub fn text(&mut self, method: &str, path: &str, headers: &[&str], body: &str) -> String {
        self.cseq += 1;
        let mut text = format!("{method} {}/{path} RTSP/1.0\r\nCSeq: {}\r\n", self.base, self.cseq);
        if let Some(session) = self.session.as_deref().filter(|_| !headers.iter().any(|h| h.starts_with("Session:"))) {
            text.push_str(&format!("Session: {session}\r\n"));
        }
        headers.iter().for_each(|header| text.extend([header, "\r\n"]));
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        format!("{text}\r\n{body}")
    }

    /// Asks, and hears the answer; media in between is passed over.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let text = self.text(method, path, headers, body);
        assert!(self.say(text.as_bytes()), "{method} {path}: the server has closed the connection");
        self.answer().unwrap_or_else(|| panic!("{method} {path}: the server has closed the connection"))
    }

    /// Asks, and tells the status alone.
    pub fn status(&mut self, method: &str, path: &str, headers: &[&str]) -> u16 {
        self.ask(method, path, headers, "").status
    }

    /// Asks for what must be granted.
    fn granted(&mut self, method: &str, path: &str, headers: &[&str], body: &str) {
        let answer = self.ask(method, path, headers, body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.header);
    }

    /// Announces a path and sets up its track, short of RECORD.
    pub fn announce(&mut self, path: &str) {
        self.granted("ANNOUNCE", path, &["Content-Type: application/sdp"], HEVC);
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record";
        self.granted("SETUP", &format!("{path}/trackID=0"), &[transport], "");
    }

    /// Publishes a path; what it says from now on in frames on the channels 0 and 1 is media.
    pub fn publish(&mut self, path: &str) {
        self.announce(path);
        self.granted("RECORD", path, &[], "");
    }

    /// Sets up the first track of a path for reading, short of PLAY.
    pub fn set_up(&mut self, path: &str) {
        self.granted("DESCRIBE", path, &[], "");
        self.granted("SETUP", &format!("{path}/trackID=0"), &["Transport: RTP/AVP/TCP;unicast;interleaved=0-1"], "");
    }

    /// Reads a path.
    pub fn read(&mut self, path: &str) {
        self.set_up(path);
        self.granted("PLAY", path, &[], "");
    }

    /// The next answer; `None` when the server has closed the connection.
    pub fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.take_answer() {
                return Some(answer);
            }
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    /// Waits until so many frames have come; no answer may be among them.
    pub fn wait_for_frames(&mut self, count: usize) {
        for _ in 0..count {
            loop {
                if let Some((&[b'$', _, high, low], _)) = self.input.split_first_chunk() {
                    let whole = 4 + usize::from(u16::from_be_bytes([high, low]));
                    if self.input.len() >= whole {
                        self.input.drain(..whole);
                        break;
                    }
                }
                let mut bytes = [0; 16 * 1024];
                let read = self.stream.read(&mut bytes).unwrap();
                assert!(read > 0, "closed before a frame came");
                self.input.extend_from_slice(&bytes[..read]);
            }
        }
    }

    /// Takes an answer off what was read, and the frames before it.
    fn take_answer(&mut self) -> Option<Answer> {
        while let Some((&[b'$', _, high, low], _)) = self.input.split_first_chunk() {
            let whole = 4 + usize::from(u16::from_be_bytes([high, low]));
            if self.input.len() < whole {
                return None;
            }
            self.input.drain(..whole);
        }
        let end = self.input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let header = String::from_utf8_lossy(&self.input[..end]).into_owned();
        let status = header.split(' ').nth(1).and_then(|status| status.parse().ok());
        let answer = Answer { status: status.unwrap_or_else(|| panic!("no status in {header:?}")), header };
        let body = answer.value("Content-Length").map_or(0, |length| length.parse().unwrap());
        if self.input.len() < end + body {
            return None;
        }
        self.input.drain(..end + body);
        if let Some(session) = answer.value("Session") {
            self.session = Some(session.split(';').next().unwrap().to_owned());
        }
        Some(answer)
    }

    /// Waits until the server has closed the connection, whatever it says before; tells how long that took.
    pub fn wait_for_close(&mut self) -> Duration {
        let begun = Instant::now();
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return begun.elapsed(),
                Ok(_) => assert!(begun.elapsed() < LIMIT, "still open after {LIMIT:?}"),
                // It was closed while something of ours was on its way.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return begun.elapsed(),
                Err(error) => panic!("still open: {error}"),
            }
        }
    }

    /// Says `bytes` again and again until the server ends the connection, which must be an end and no reset.
    pub fn chatter_to_the_end(&mut self, bytes: &[u8]) {
        let begun = Instant::now();
        self.stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        loop {
            self.say(bytes);
            match self.stream.read(&mut [0; 16 * 1024]) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("no end but {error}"),
            }
            assert!(begun.elapsed() < LIMIT, "still open after {LIMIT:?}");
        }
    }

    /// Whether nothing has come that was not heard yet.
    pub fn is_quiet(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let looked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        self.input.is_empty() && looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// An interleaved frame.
pub fn frame(channel: u8, packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    [&[b'$', channel], &length[..], packet].concat()
}
