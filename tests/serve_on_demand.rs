//! A server loads FFmpeg's libraries and x265 when it needs them: not at its start, but for a still.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::Scratch;
use crate::support::hevcast::{Server, send_pattern};
use crate::support::process::Process;

/// Parts of the names of files that a server without stills and recordings has no use for.
const UNUSED: [&str; 7] = ["libav", "libsw", "libx265", "libX11", "libGL", "libva", "libdrm"];

/// Those of [`UNUSED`] that a process has in its memory.
fn loaded(process: &Process) -> Vec<&'static str> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", process.id())).unwrap();
    UNUSED.into_iter().filter(|name| maps.lines().any(|line| line.contains(&format!("/{name}")))).collect()
}

#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[test]
fn a_server_loads_ffmpeg_for_its_first_still() {
    let folder = Scratch::new();
    let config = folder.file("hevcast.toml");
    std::fs::write(&config, "[http]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let (server, page) = Server::start_with_page(&config);
    assert_eq!(loaded(&server.process), [""; 0], "at the start");
    let _sender = send_pattern(&server.url("live"), &[]);
    assert_eq!(loaded(&server.process), [""; 0], "with a stream");
    // The first still is made when it is asked for.
    let address = page.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let is_loaded = || loaded(&server.process).contains(&"libav");
    let deadline = std::time::Instant::now() + crate::support::LIMIT;
    while !is_loaded() {
        assert!(std::time::Instant::now() < deadline, "no still was made");
        let mut request = TcpStream::connect(&address).unwrap();
        request
            .write_all(
                format!("GET /api/v1/streams/live/still.jpg HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            )
            .unwrap();
        let mut answer = Vec::new();
        request.read_to_end(&mut answer).unwrap();
        let status = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        // Until there is one, it is not found.
        assert!(["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"].contains(&status.as_str()), "{status}");
    }
}
