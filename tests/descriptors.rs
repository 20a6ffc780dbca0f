//! A server that runs out of file descriptors logs that, goes on, and accepts connections again when some are free.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::Scratch;
use crate::support::process::Process;

/// How many file descriptors the server may open.
const LIMIT: usize = 40;

/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Whether a connection that is made now gets a response.
fn is_served(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = [0; 12];
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let is_said = stream.write_all(b"OPTIONS rtsp://127.0.0.1/live RTSP/1.0\r\nCSeq: 1\r\n\r\n").is_ok();
    is_said && stream.read_exact(&mut answer).is_ok() && &answer == b"RTSP/1.0 200"
}

#[cfg(target_os = "linux")]
#[test]
fn out_of_descriptors_a_server_says_so_and_goes_on() {
    let folder = Scratch::new();
    let config = folder.file("hevcast.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {LIMIT}; exec \"$0\" serve --config \"$1\" -v");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_hevcast"), config.to_str().unwrap()]).env_remove("RUST_LOG");
    let mut server = Process::start("serve", &mut shell);
    let line = server.stdout.expect("the address", |line| line.starts_with("listening on "));
    let address = line.trim_start_matches("listening on ").to_owned();
    let line = server.stdout.expect("the page", |line| line.starts_with("status page: http://"));
    let page = line.trim_start_matches("status page: http://").trim_end_matches('/').to_owned();
    server.stderr.expect("a word on the limit", |line| line.contains(&format!("only {LIMIT} files")));

    // The system completes connections that the server cannot accept.
    let connections: Vec<TcpStream> = (0..LIMIT + 10).map(|_| TcpStream::connect(&address).unwrap()).collect();
    server.stderr.expect("what is missing", |line| line.contains("the last file descriptors are the status page's"));
    // The status page has reserved descriptors.
    let mut health = TcpStream::connect(&page).unwrap();
    health.set_read_timeout(Some(TIMEOUT)).unwrap();
    health.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut said = String::new();
    health.read_to_string(&mut said).unwrap();
    assert!(said.ends_with("ok\n"), "{said}");
    drop(connections);
    // A new connection is served as soon as the server has handled the closed ones.
    let begun = Instant::now();
    while !is_served(&address) {
        assert!(begun.elapsed() < TIMEOUT, "not served after {TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.interrupt().0.succeeded();
}
