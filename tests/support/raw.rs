//! An RTSP client that sends exactly the bytes that a test chooses, and returns everything that it receives.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::LIMIT;

/// A description (SDP) with one H.265 track.
pub const HEVC: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=raw\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
                    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:trackID=0\r\n";
/// The pause after each byte of a client that writes slowly.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection to a server, with its RTSP session.
pub struct Raw {
    stream: TcpStream,
    /// Bytes that were read and not parsed yet.
    input: Vec<u8>,
    base: String,
    cseq: u32,
    /// The session id, once a response has given it.
    pub session: Option<String>,
}

/// A response of the server.
#[derive(Debug)]
pub struct Answer {
    /// The status code of the response.
    pub status: u16,
    /// The status line and all header lines, as text.
    pub header: String,
}

impl Answer {
    /// The value of a header; `None` where it is absent.
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

    /// Connects from this address of the loopback, with this size of the socket's receive buffer, if given.
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

    /// Sends bytes; false if the server has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends bytes one by one, with a pause after each, until the server closes the connection.
    pub fn send_slowly(mut self, bytes: &[u8]) {
        self.stream.set_read_timeout(Some(PAUSE)).unwrap();
        for byte in bytes {
            // The pause is a read with a timeout, which ends early when something comes.
            match self.stream.read(&mut [0; 1024]) {
                Ok(0) => return,
                Ok(_) => panic!("an answer to half a request"),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("{error}"),
            }
            self.send(&[*byte]);
        }
        panic!("still open after {} bytes", bytes.len());
    }

    /// The text of a request for a path, with the next CSeq and the session id, if there is one.
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

    /// Sends a request and returns the response. Interleaved frames before it are skipped.
    pub fn request(&mut self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let text = self.text(method, path, headers, body);
        assert!(self.send(text.as_bytes()), "{method} {path}: the server has closed the connection");
        self.answer().unwrap_or_else(|| panic!("{method} {path}: the server has closed the connection"))
    }

    /// Sends a request and returns the status code of the response.
    pub fn status(&mut self, method: &str, path: &str, headers: &[&str]) -> u16 {
        self.request(method, path, headers, "").status
    }

    /// Sends a request, and fails unless the response is 200 OK.
    fn request_ok(&mut self, method: &str, path: &str, headers: &[&str], body: &str) {
        let answer = self.request(method, path, headers, body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.header);
    }

    /// Announces a path and sets up its track, without RECORD.
    pub fn announce(&mut self, path: &str) {
        self.request_ok("ANNOUNCE", path, &["Content-Type: application/sdp"], HEVC);
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record";
        self.request_ok("SETUP", &format!("{path}/trackID=0"), &[transport], "");
    }

    /// Publishes a path. Frames that are sent afterwards on the channels 0 and 1 are media.
    pub fn publish(&mut self, path: &str) {
        self.announce(path);
        self.request_ok("RECORD", path, &[], "");
    }

    /// Sets up the first track of a path for reading, without PLAY.
    pub fn set_up(&mut self, path: &str) {
        self.request_ok("DESCRIBE", path, &[], "");
        self.request_ok("SETUP", &format!("{path}/trackID=0"), &["Transport: RTP/AVP/TCP;unicast;interleaved=0-1"], "");
    }

    /// Begins to read a path, up to PLAY.
    pub fn read(&mut self, path: &str) {
        self.set_up(path);
        self.request_ok("PLAY", path, &[], "");
    }

    /// Waits for the next response; `None` when the server has closed the connection.
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

    /// Waits until `count` frames have come. Fails if a response is among them.
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

    /// Takes a response off the input, and the frames before it; `None` where it is incomplete.
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

    /// Waits until the server has closed the connection, and discards what it sends before; returns how long that took.
    pub fn wait_for_close(&mut self) -> Duration {
        let begun = Instant::now();
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return begun.elapsed(),
                Ok(_) => assert!(begun.elapsed() < LIMIT, "still open after {LIMIT:?}"),
                // A reset: the connection was closed before the server had read everything.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return begun.elapsed(),
                Err(error) => panic!("still open: {error}"),
            }
        }
    }

    /// Sends `bytes` again and again until the server closes the connection, which must be a close and not a reset.
    pub fn send_until_end(&mut self, bytes: &[u8]) {
        let begun = Instant::now();
        self.stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        loop {
            self.send(bytes);
            match self.stream.read(&mut [0; 16 * 1024]) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("no end but {error}"),
            }
            assert!(begun.elapsed() < LIMIT, "still open after {LIMIT:?}");
        }
    }

    /// Whether there is no input that has not been returned yet.
    pub fn has_no_unread_input(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        self.input.is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// An interleaved frame (RFC 2326 section 10.12).
pub fn frame(channel: u8, packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
    [&[b'$', channel], &length[..], packet].concat()
}
