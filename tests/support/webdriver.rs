//! A browser that a test looks through: headless Chromium, driven by chromedriver over the WebDriver protocol, which is
//! JSON over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process::Process;
use super::{LIMIT, Scratch, say};

/// How often a page is looked at while something is awaited on it.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How often chromedriver is started until it has its port.
const TRIES: usize = 10;

/// A browser with one page. Dropping it ends it.
pub struct Browser {
    driver: Process,
    port: u16,
    /// `/session/ID`
    session: String,
    /// What the browser keeps of its run.
    _profile: Scratch,
}

impl Browser {
    /// Starts one.
    pub fn start() -> Browser {
        let profile = Scratch::new();
        let (driver, port) = (0..TRIES).find_map(|_| start_driver(&profile)).expect("chromedriver finds a port");
        let folder = format!("--user-data-dir={}", profile.file("profile").display());
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,1000", "--lang=en", &folder];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let mut browser = Browser { driver, port, session: String::new(), _profile: profile };
        let begun = browser.ask("POST", "/session", &wanted);
        let id = begun["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {begun}"));
        browser.session = format!("/session/{id}");
        browser
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    /// What the body of a function returns on the page; its `arguments` are given.
    pub fn run(&self, body: &str, arguments: &[&str]) -> Value {
        self.command("/execute/sync", &json!({ "script": body, "args": arguments }))
    }

    /// Looks again and again until what the function returns is `wanted`.
    pub fn expect(&self, what: &str, body: &str, arguments: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let seen = self.run(body, arguments);
            if wanted(&seen) {
                return seen;
            }
            assert!(begun.elapsed() < LIMIT, "waiting for {what} on the page: time is up; last seen: {seen}");
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// What the browser has complained of since the last time.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.command("/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().unwrap_or_else(|| panic!("no log: {entries}"));
        let grave = entries.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        grave.filter_map(|entry| entry["message"].as_str()).map(str::to_owned).collect()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", &format!("{}{path}", self.session), body)
    }

    /// Asks chromedriver, and fails if it refuses.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = exchange(self.port, method, path, &body.to_string());
        let (status, mut answer) = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to, the browser ends whole; what is left then ends with the driver.
        if !self.session.is_empty()
            && let Err(error) = exchange(self.port, "DELETE", &self.session, "")
        {
            say(&format!("chromedriver ({}) does not end its browser: {error}", self.driver.id()));
        }
    }
}

/// Starts chromedriver on a port that the system chooses, and tells it. It takes a port of IPv6 and wants the same of IPv4,
/// which may be somebody else's; then there is none.
fn start_driver(folder: &Scratch) -> Option<(Process, u16)> {
    let started = "started successfully on port ";
    let mut command = Command::new("chromedriver");
    // The browser leaves empty folders behind.
    command.arg("--port=0").env("TMPDIR", folder.file(""));
    let mut driver = Process::start("chromedriver", &mut command);
    let line = driver.stdout.expect("its port", |line| line.contains(started) || line.contains("port not available"));
    let port = line.split_once(started)?.1.trim_end_matches('.').parse();
    Some((driver, port.unwrap_or_else(|_| panic!("no port in {line:?}"))))
}

/// One request on a connection of its own, and its answer: the status and the JSON.
fn exchange(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Value)> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(LIMIT))?;
    let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    let content = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    socket.write_all(format!("{head}{content}").as_bytes())?;

    let mut input = BufReader::new(socket);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let mut length = 0;
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("Content-Length")
        {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
    }
    let mut answer = vec![0; length];
    input.read_exact(&mut answer)?;
    Ok((status, serde_json::from_slice(&answer)?))
}
