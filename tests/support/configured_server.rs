//! A server with its own configuration in its own folder, and users made by `hevcast password`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::hevcast::{Server, command};
use super::process::Process;
use super::{LIMIT, Scratch};

/// The line that the configuration of a test needs: RTSP listens on a port that the system chooses.
pub const LISTEN: &str = "listen = \"127.0.0.1:0\"\n";
/// The same for RTSPS. It begins a table, so keys of no table must come before it.
pub const LISTEN_SECURELY: &str = "[rtsps]\nlisten = \"127.0.0.1:0\"\n";

/// The same for the status page.
pub const LISTEN_HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

/// How often the metrics are read while a change is awaited. They are made once a second.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Which of the lines that `hevcast password` prints are kept, and so by which schemes the user can log in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hashes {
    /// Both `ha1` and `argon2`, as they are printed.
    Both,
    /// `ha1` only: Digest and Basic.
    Ha1,
    /// `argon2` only: Basic.
    Argon2,
}

/// A `[[user]]` block as `hevcast password` prints it, with these rights.
pub fn user(name: &str, password: &str, hashes: Hashes, publish: &[&str], read: &[&str]) -> String {
    let (process, mut stdin) = Process::start_fed("password", &mut command(&["password", name]));
    writeln!(stdin, "{password}").unwrap();
    drop(stdin);
    let printed = process.wait().succeeded().stdout;
    let mut block = String::new();
    for line in &printed {
        let is_wanted = match line.split(' ').next() {
            Some("ha1") => hashes != Hashes::Argon2,
            Some("argon2") => hashes != Hashes::Ha1,
            Some("publish" | "read") => false,
            _ => true,
        };
        if is_wanted {
            block.push_str(&format!("{line}\n"));
        }
    }
    format!("{block}publish = {publish:?}\nread = {read:?}\n")
}

/// A running server with a configuration file.
pub struct ConfiguredServer {
    /// The server's process and port.
    pub server: Server,
    /// The port of RTSPS and the certificate's fingerprint, if RTSPS is configured.
    secure: Option<(u16, String)>,
    /// The port of HTTP, if it is configured.
    http: Option<u16>,
    folder: Scratch,
}

impl ConfiguredServer {
    /// Starts a server with this text as its configuration.
    pub fn start(config: &str) -> ConfiguredServer {
        let folder = Scratch::new();
        let file = folder.file("hevcast.toml");
        std::fs::write(&file, config).unwrap();
        let process = Process::start("serve", &mut command(&["serve", "--config", file.to_str().unwrap(), "-v"]));
        let mut server = Server::started(process);
        let secure = config.contains("[rtsps]").then(|| {
            let stdout = &mut server.process.stdout;
            let url = stdout.expect("an RTSPS address", |line| line.contains("rtsps://"));
            let pin = stdout.expect("the fingerprint", |line| line.starts_with("certificate: --pin "));
            let port = url.trim_end_matches("/PATH").rsplit(':').next().unwrap().parse().unwrap();
            (port, pin.rsplit(' ').next().unwrap().to_owned())
        });
        let http = config.contains("[http]").then(|| {
            let line = server.process.stdout.expect("an HTTP address", |line| line.starts_with("status page: "));
            line.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap()
        });
        ConfiguredServer { server, secure, http, folder }
    }

    /// The RTSP URL of a path on the server; `login` is `USER:PASSWORD`, or empty.
    pub fn url(&self, login: &str, path: &str) -> String {
        format!("rtsp://{}127.0.0.1:{}/{path}", before_host(login), self.server.port)
    }

    /// The RTSPS URL of a path on the server; `login` is `USER:PASSWORD`, or empty.
    pub fn secure_url(&self, login: &str, path: &str) -> String {
        format!("rtsps://{}127.0.0.1:{}/{path}", before_host(login), self.secure_port())
    }

    /// The port of RTSPS, which must be configured.
    pub fn secure_port(&self) -> u16 {
        self.secure().0
    }

    /// The fingerprint of the certificate, as the server printed it.
    pub fn pin(&self) -> &str {
        &self.secure().1
    }

    fn secure(&self) -> &(u16, String) {
        self.secure.as_ref().expect("a configuration with [rtsps]")
    }

    /// The port of HTTP, which must be configured.
    pub fn http_port(&self) -> u16 {
        self.http.expect("a configuration with [http]")
    }

    /// Gets a page, and returns its text, status and header included.
    pub fn get(&self, page: &str) -> String {
        get(self.http_port(), page)
    }

    /// Waits until one of the server's counters is at least `least`; `name` includes the labels, as in `/metrics`.
    pub fn wait_for_counter(&self, name: &str, least: u64) {
        let begun = Instant::now();
        loop {
            let text = self.get("/metrics");
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value = value.map_or(0.0, |value| value.parse::<f64>().unwrap());
            if value >= least as f64 {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{name} is {value} and not {least} after {LIMIT:?}:\n{text}");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Writes another configuration, makes the server reload it (SIGHUP), and returns the line that it logs about that.
    pub fn reload(&mut self, config: &str) -> String {
        self.reload_after(|file| std::fs::write(file, config).unwrap())
    }

    /// Changes the configuration file by `change`, makes the server reload it, and returns the line that it logs about
    /// that.
    pub fn reload_after(&mut self, change: impl FnOnce(&Path)) -> String {
        change(&self.folder.file("hevcast.toml"));
        self.server.process.hang_up();
        self.server.process.stderr.expect("a line about the configuration", |line| line.contains("the configuration "))
    }
}

/// Gets a page of a server on the loopback, and returns its text, status and header included.
pub fn get(port: u16, page: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET {page} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn before_host(login: &str) -> String {
    if login.is_empty() { String::new() } else { format!("{login}@") }
}
