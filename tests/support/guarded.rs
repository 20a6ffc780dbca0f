//! A server with a configuration of its own in a folder of its own, and users made as people make them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::hevcast::{Server, command};
use super::process::Process;
use super::{LIMIT, Scratch};

/// The lines that a configuration needs to be run by a test.
pub const LISTEN: &str = "listen = \"127.0.0.1:0\"\n";
/// The same for RTSPS; keep it behind all that belongs to no table.
pub const LISTEN_SECURELY: &str = "[rtsps]\nlisten = \"127.0.0.1:0\"\n";

/// And for the status page.
pub const LISTEN_HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

/// How often the server's figures are asked for while a change of theirs is awaited; they are made once a second.
const LOOK: Duration = Duration::from_millis(50);

/// Which of a user's lines are kept, and so which logins it can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proof {
    /// Both lines, as they are printed.
    Both,
    /// `ha1` only: Digest, and Basic.
    Ha1,
    /// `argon2` only: Basic.
    Argon2,
}

/// A `[[user]]` block as `hevcast password` prints it, with these rights.
pub fn user(name: &str, password: &str, proof: Proof, publish: &[&str], read: &[&str]) -> String {
    let (process, mut stdin) = Process::start_fed("password", &mut command(&["password", name]));
    writeln!(stdin, "{password}").unwrap();
    drop(stdin);
    let printed = process.wait().succeeded().stdout;
    let mut block = String::new();
    for line in &printed {
        let is_wanted = match line.split(' ').next() {
            Some("ha1") => proof != Proof::Argon2,
            Some("argon2") => proof != Proof::Ha1,
            Some("publish" | "read") => false,
            _ => true,
        };
        if is_wanted {
            block.push_str(&format!("{line}\n"));
        }
    }
    format!("{block}publish = {publish:?}\nread = {read:?}\n")
}

/// A running server with a configuration.
pub struct Guarded {
    /// The server.
    pub server: Server,
    /// Port of RTSPS and fingerprint, if it is spoken.
    secure: Option<(u16, String)>,
    /// Port of HTTP, if it is spoken.
    http: Option<u16>,
    folder: Scratch,
}

impl Guarded {
    /// Starts one with the text of its configuration.
    pub fn start(config: &str) -> Guarded {
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
        Guarded { server, secure, http, folder }
    }

    /// The URL of a path on it; `login` is `USER:PASSWORD`, or empty.
    pub fn url(&self, login: &str, path: &str) -> String {
        format!("rtsp://{}127.0.0.1:{}/{path}", before_host(login), self.server.port)
    }

    /// The same by RTSPS.
    pub fn secure_url(&self, login: &str, path: &str) -> String {
        format!("rtsps://{}127.0.0.1:{}/{path}", before_host(login), self.secure_port())
    }

    /// Port of RTSPS.
    pub fn secure_port(&self) -> u16 {
        self.secure().0
    }

    /// The fingerprint that it printed.
    pub fn pin(&self) -> &str {
        &self.secure().1
    }

    fn secure(&self) -> &(u16, String) {
        self.secure.as_ref().expect("a configuration with [rtsps]")
    }

    /// Port of HTTP.
    pub fn http_port(&self) -> u16 {
        self.http.expect("a configuration with [http]")
    }

    /// Gets a page, and returns its text, status and header included.
    pub fn get(&self, page: &str) -> String {
        get(self.http_port(), page)
    }

    /// Waits until one of the server's counters, named with its labels as `/metrics` writes it, is at least this.
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
            std::thread::sleep(LOOK);
        }
    }

    /// Writes another configuration, tells the server, and returns the line that it says about it.
    pub fn reload(&mut self, config: &str) -> String {
        self.reload_after(|file| std::fs::write(file, config).unwrap())
    }

    /// The same after whatever is done to the file.
    pub fn reload_after(&mut self, change: impl FnOnce(&Path)) -> String {
        change(&self.folder.file("hevcast.toml"));
        self.server.process.hang_up();
        self.server.process.stderr.expect("a word about the configuration", |line| line.contains("the configuration "))
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
