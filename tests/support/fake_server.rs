//! A server that answers as it is told to: the strangers whom a program meets.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::asked::{Asked, next_request};

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
    while let Some(Asked { method, cseq }) = next_request(&mut input)? {
        if let Some(Answer { status, headers, body }) = answers.get(method.as_str()) {
            let mut text = format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n");
            headers.iter().for_each(|header| text.extend([header, "\r\n"]));
            if !body.is_empty() {
                text.push_str(&format!("Content-Length: {}\r\n", body.len()));
            }
            output.write_all(format!("{text}\r\n{body}").as_bytes())?;
        }
    }
    Ok(())
}
