//! A fake RTSP server that gives fixed responses, to test how the program handles foreign servers.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::rtsp_request::{Request, next_request};

/// A fixed response: status, additional header lines, and body.
#[derive(Clone, Copy)]
pub struct Answer {
    /// The status code and reason phrase, such as `200 OK`.
    pub status: &'static str,
    /// Additional header lines, without line ends.
    pub headers: &'static [&'static str],
    /// The body; its Content-Length is added.
    pub body: &'static str,
}

/// A response with a status only.
pub const fn plain(status: &'static str) -> Answer {
    Answer { status, headers: &[], body: "" }
}

/// A running fake server. Dropping it closes its listening socket.
pub struct FakeServer {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    /// Starts a server that responds to each listed method, and not at all to other methods.
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
                    // Fails when the client closes the connection, which is expected.
                    let _ = converse(&stream, &answers);
                }
            }
        });
        FakeServer { address, ended, thread: Some(thread) }
    }

    /// The URL of a stream on the server.
    pub fn url(&self) -> String {
        format!("rtsp://{}/live/one", self.address)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread, which waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Responds to one client until it closes the connection.
fn converse(stream: &TcpStream, answers: &HashMap<&'static str, Answer>) -> std::io::Result<()> {
    let mut input = BufReader::new(stream);
    let mut output = stream;
    while let Some(Request { method, cseq }) = next_request(&mut input)? {
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
