//! The least of RTSP with which a server plays: DESCRIBE, SETUP over the connection itself, PLAY (RFC 2326 section 10).
//!
//! Written out by hand so that a reader costs the benchmark nothing beyond its bytes once it plays.

use anyhow::{Context, Result, bail, ensure};

/// Most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// A reader that asks its way to PLAY.
#[derive(Debug)]
pub struct Handshake {
    url: String,
    request: Request,
    session: String,
    input: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Describe,
    Setup,
    Play,
}

/// What comes of what the server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Its answer is not whole.
    Waiting,
    /// Send this.
    Ask(String),
    /// It plays; these bytes stood behind its answer.
    Playing(Vec<u8>),
}

impl Handshake {
    /// A handshake for `url`, and what to send first.
    pub fn new(url: &str) -> (Handshake, String) {
        let handshake =
            Handshake { url: url.to_owned(), request: Request::Describe, session: String::new(), input: Vec::new() };
        let request = handshake.request();
        (handshake, request)
    }

    /// Takes what one read brought.
    ///
    /// # Errors
    /// When the server refuses, or does not speak RTSP.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Progress> {
        self.input.extend_from_slice(bytes);
        let Some(head_len) = self.input.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4) else {
            ensure!(self.input.len() <= MAX_ANSWER_BYTES, "an answer without an end");
            return Ok(Progress::Waiting);
        };
        let head = std::str::from_utf8(&self.input[..head_len]).context("an answer that is not text")?;
        let status = head.lines().next().unwrap_or_default();
        ensure!(status.starts_with("RTSP/1.0 200"), "{:?} is answered with {status}", self.request);
        let body_len = match header(head, "content-length") {
            Some(len) => len.parse().context("a Content-Length that is no number")?,
            None => 0,
        };
        ensure!(body_len <= MAX_ANSWER_BYTES, "an answer of {body_len} bytes");
        if let Some(session) = header(head, "session") {
            self.session = session.split(';').next().unwrap_or_default().to_owned();
        }
        if self.input.len() < head_len + body_len {
            return Ok(Progress::Waiting);
        }
        let rest = self.input.split_off(head_len + body_len);
        self.input.clear();
        self.request = match self.request {
            Request::Play => return Ok(Progress::Playing(rest)),
            _ if !rest.is_empty() => bail!("more than an answer to {:?}", self.request),
            Request::Describe => Request::Setup,
            Request::Setup => Request::Play,
        };
        Ok(Progress::Ask(self.request()))
    }

    fn request(&self) -> String {
        let Handshake { url, session, .. } = self;
        match self.request {
            Request::Describe => format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"),
            Request::Setup => format!(
                "SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
            ),
            Request::Play => format!("PLAY {url} RTSP/1.0\r\nCSeq: 3\r\nSession: {session}\r\n\r\n"),
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    headers.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_parts_and_frames_behind_the_last() {
        let (mut handshake, first) = Handshake::new("rtsp://h/p");
        assert!(first.starts_with("DESCRIBE rtsp://h/p RTSP/1.0\r\n"));
        let feed = |handshake: &mut Handshake, text: &str| handshake.feed(text.as_bytes()).unwrap();
        assert_eq!(feed(&mut handshake, "RTSP/1.0 200 OK\r\ncontent-length: 4\r\n\r"), Progress::Waiting);
        assert_eq!(feed(&mut handshake, "\nv=0"), Progress::Waiting);
        let Progress::Ask(setup) = feed(&mut handshake, "\n") else { panic!("SETUP is next") };
        assert!(setup.starts_with("SETUP rtsp://h/p/trackID=0 "));
        let answer = "RTSP/1.0 200 OK\r\nSession: abc;timeout=60\r\n\r\n";
        let Progress::Ask(play) = feed(&mut handshake, answer) else { panic!("PLAY is next") };
        assert!(play.contains("\r\nSession: abc\r\n"), "{play}");
        assert_eq!(feed(&mut handshake, "RTSP/1.0 200 OK\r\n\r\n$..."), Progress::Playing(b"$...".to_vec()));
    }

    #[test]
    fn a_refusal_is_told() {
        let (mut handshake, _) = Handshake::new("rtsp://h/p");
        let error = handshake.feed(b"RTSP/1.0 404 Not Found\r\n\r\n").unwrap_err().to_string();
        assert!(error.contains("Describe") && error.contains("404"), "{error}");
    }
}
