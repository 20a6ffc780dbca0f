//! A server that runs out of file descriptors says so, goes on, and takes connections again when some are free.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::support::process::Process;

/// Descriptors that the server may have.
const LIMIT: usize = 40;

#[cfg(target_os = "linux")]
#[test]
fn out_of_descriptors_a_server_says_so_and_goes_on() {
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {LIMIT}; exec \"$0\" serve --listen 127.0.0.1:0 -v");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_hevcast")]).env_remove("RUST_LOG");
    let mut server = Process::start("serve", &mut shell);
    let line = server.stdout.expect("the address", |line| line.starts_with("listening on "));
    let address = line.trim_start_matches("listening on ").to_owned();
    server.stderr.expect("a word on the limit", |line| line.contains(&format!("only {LIMIT} files")));

    // The system accepts what the server cannot.
    let mut crowd: Vec<TcpStream> = (0..LIMIT + 10).map(|_| TcpStream::connect(&address).unwrap()).collect();
    server.stderr.expect("what is missing", |line| line.contains("no file descriptor is free"));
    let mut last = crowd.pop().unwrap();
    drop(crowd);
    // Who waited is served now.
    last.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    last.write_all(b"OPTIONS rtsp://127.0.0.1/live RTSP/1.0\r\nCSeq: 1\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    last.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"RTSP/1.0 200");
    server.interrupt().0.succeeded();
}
