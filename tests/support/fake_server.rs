//! A server that answers as it is told to: the strangers whom a program meets.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// An answer: the status line's end, more header lines, and a body.
#[derive(Clone, Copy)]
pub struct Answer {
    /// Such as `200 OK`.
    pub status: &'static str,
    /// Header lines without their ends.
    pub headers: &'static [&'static str],
    /// Body, with its length stated.
    pub body: &'static str,
}

/// An answer without anything beside its status.
pub const fn plain(status: &'static str) -> Answer {
    Answer { status, headers: &[], body: "" }
}

/// A running server. Dropping it ends it.
pub struct FakeServer {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    /// Starts one that answers each method as listed, and methods that are not listed not at all.
    pub fn start(answers: &[(&'static str, Answer)]) -> FakeServer {
        let answers: HashMap<&'static str, Answer> = answers.iter().copied().collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                    // The client hangs up when it has heard enough, which is the end of the loop within.
                    let _ = converse(&stream, &answers);
                }
            }
        });
        FakeServer { address, ended, thread: Some(thread) }
    }

    /// The URL of some stream on it.
    pub fn url(&self) -> String {
        format!("rtsp://{}/live/one", self.address)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread out of its wait for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one client until it hangs up.
fn converse(stream: &TcpStream, answers: &HashMap<&'static str, Answer>) -> std::io::Result<()> {
    let mut input = BufReader::new(stream);
    let mut output = stream;
    loop {
        // What a publisher sends between its requests is of no interest (RFC 2326 section 10.12).
        while input.fill_buf()?.first() == Some(&b'$') {
            let mut header = [0; 4];
            input.read_exact(&mut header)?;
            input.read_exact(&mut vec![0; u16::from_be_bytes([header[2], header[3]]).into()])?;
        }
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let value = |name: &str| {
            let prefix = format!("{name}:");
            let same =
                |line: &&String| line.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(&prefix));
            lines.iter().find(same).map(|line| line[prefix.len()..].trim().to_owned())
        };
        let length = value("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
        input.read_exact(&mut vec![0; length])?;
        let method = lines.first().and_then(|line| line.split(' ').next()).unwrap_or_default();
        if let Some(Answer { status, headers, body }) = answers.get(method) {
            let mut text = format!("RTSP/1.0 {status}\r\nCSeq: {}\r\n", value("CSeq").unwrap_or_default());
            headers.iter().for_each(|header| text.extend([header, "\r\n"]));
            if !body.is_empty() {
                text.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
            output.write_all(format!("{text}\r\n{body}").as_bytes())?;
        }
    }
}
