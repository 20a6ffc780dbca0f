//! A hostile client with a plain socket: requests by hand, and media that no encoder has made.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hevcast_wire::rtp::interleave;
use socket2::{Domain, Socket, Type};

/// How long a server may take for anything.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 128 * 1024;
/// Header of an IDR_W_RADL slice and its first byte; the same of a TRAIL_R slice.
pub const IDR_SLICE: [u8; 3] = [0x26, 0x01, 0xaf];
pub const TRAIL_SLICE: [u8; 3] = [0x02, 0x01, 0xd0];

/// A connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    address: SocketAddr,
    session: String,
    sequence_number: u16,
}

impl Peer {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(address: SocketAddr) -> Result<Peer> {
        Peer::of(TcpStream::connect(address)?, address)
    }

    /// Connects from the loopback address of this number, with a small receive buffer: it does not read.
    ///
    /// # Errors
    /// As [`Peer::connect`].
    pub fn silent(address: SocketAddr, from: u16) -> Result<Peer> {
        const RECEIVE_BYTES: usize = 4096;
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        let [high, low] = from.to_be_bytes();
        let own = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, high, low)), 0);
        socket.bind(&own.into())?;
        socket.connect(&address.into())?;
        Peer::of(socket.into(), address)
    }

    fn of(stream: TcpStream, address: SocketAddr) -> Result<Peer> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Peer { stream, address, session: String::new(), sequence_number: 0 })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the server has closed the connection, or takes nothing.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("it takes nothing more")
    }

    /// What has come so far, thrown away.
    ///
    /// # Errors
    /// The socket's.
    pub fn drain(&mut self) -> Result<()> {
        let mut buffer = [0; 16 * 1024];
        self.stream.set_nonblocking(true)?;
        while self.stream.read(&mut buffer).is_ok_and(|len| len > 0) {}
        self.stream.set_nonblocking(false)?;
        Ok(())
    }

    /// Sends a request without waiting for the answer.
    ///
    /// # Errors
    /// As [`Peer::send`].
    pub fn request(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Result<()> {
        let mut text = format!("{method} rtsp://{}/{path} RTSP/1.0\r\nCSeq: 1\r\n{headers}", self.address);
        if !self.session.is_empty() {
            text += &format!("Session: {}\r\n", self.session);
        }
        if !body.is_empty() {
            text += &format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", body.len());
        }
        self.send(format!("{text}\r\n{body}").as_bytes())
    }

    /// Asks, and waits for the answer's status.
    ///
    /// # Errors
    /// When there is none.
    pub fn ask(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Result<u16> {
        self.request(method, path, headers, body)?;
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") {
            self.stream.read_exact(&mut byte).with_context(|| format!("no answer to {method}"))?;
            answer.push(byte[0]);
            if answer.len() > MAX_ANSWER_BYTES {
                bail!("an answer without an end");
            }
        }
        let text = String::from_utf8_lossy(&answer);
        let header = |name: &str| {
            let mut headers = text.lines().filter_map(|line| line.split_once(':'));
            headers.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned()))
        };
        if let Some(session) = header("session") {
            self.session = session.split(';').next().unwrap_or_default().to_owned();
        }
        let len: usize = header("content-length").and_then(|len| len.parse().ok()).unwrap_or_default();
        self.stream.read_exact(&mut vec![0; len.min(MAX_ANSWER_BYTES)])?;
        text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer without a status")
    }

    /// Publishes one H.265 track, with more lines in its description.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn publish(&mut self, path: &str, lines: &str) -> Result<()> {
        self.expect("ANNOUNCE", path, "", &description(lines))?;
        let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\r\n";
        self.expect("SETUP", &format!("{path}/trackID=0"), transport, "")?;
        self.expect("RECORD", path, "", "")
    }

    /// Reads a path on this channel and the next. The answer to PLAY is not waited for: media may come with it.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn play(&mut self, path: &str, channel: u8) -> Result<()> {
        let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{}\r\n", channel + 1);
        self.expect("SETUP", &format!("{path}/trackID=0"), &transport, "")?;
        self.request("PLAY", path, "", "")
    }

    fn expect(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Result<()> {
        match self.ask(method, path, headers, body)? {
            200 => Ok(()),
            status => bail!("{method} of {path} is answered with {status}"),
        }
    }

    /// Bytes of the first channel: a slice in one packet.
    pub fn slice(&mut self, head: [u8; 3], len: usize, timestamp: u32) -> Vec<u8> {
        self.sequence_number = self.sequence_number.wrapping_add(1);
        let mut packet = vec![0x80, 0x80 | 96];
        packet.extend_from_slice(&self.sequence_number.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&[1, 2, 3, 4]);
        packet.extend_from_slice(&head);
        packet.resize(packet.len() + len, 0x55);
        interleave::frame(0, &packet).to_vec()
    }
}

/// A description of one H.265 track, with more lines.
pub fn description(lines: &str) -> String {
    format!(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n\
         a=control:trackID=0\r\n{lines}"
    )
}
