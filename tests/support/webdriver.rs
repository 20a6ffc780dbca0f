//! A browser that a test controls: headless Chromium, driven by chromedriver over the WebDriver protocol (W3C), which
//! is JSON over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process::Process;
use super::{LIMIT, Scratch, say};

/// How often a page is checked while something is awaited on it.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How many times chromedriver is started until it gets a port.
const TRIES: usize = 10;

/// A browser with one page. Dropping it ends the processes.
pub struct Browser {
    driver: Process,
    port: u16,
    /// The path of the WebDriver session, `/session/ID`.
    session: String,
    /// The folder for the browser's profile.
    _profile: Scratch,
}

impl Browser {
    /// Starts chromedriver and a browser.
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
        let begun = browser.request("POST", "/session", &wanted);
        let id = begun["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {begun}"));
        browser.session = format!("/session/{id}");
        browser
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    /// Runs the body of a JavaScript function on the page, with these `arguments`; returns its result.
    pub fn run(&self, body: &str, arguments: &[&str]) -> Value {
        self.command("/execute/sync", &json!({ "script": body, "args": arguments }))
    }

    /// Runs a function on the page repeatedly until `wanted` holds for its result.
    pub fn expect(&self, what: &str, body: &str, arguments: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let value = self.run(body, arguments);
            if wanted(&value) {
                return value;
            }
            assert!(begun.elapsed() < LIMIT, "waiting for {what} on the page: time is up; last value: {value}");
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// The errors and warnings in the browser's console since the last call.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.command("/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().unwrap_or_else(|| panic!("no log: {entries}"));
        let grave = entries.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        grave.filter_map(|entry| entry["message"].as_str()).map(str::to_owned).collect()
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        self.request("POST", &format!("{}{path}", self.session), body)
    }

    /// Sends a command to chromedriver, and fails if it returns an error.
    fn request(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = exchange(self.port, method, path, &body.to_string());
        let (status, mut answer) = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends its processes on request; what remains ends with chromedriver.
        if !self.session.is_empty()
            && let Err(error) = exchange(self.port, "DELETE", &self.session, "")
        {
            say(&format!("chromedriver ({}) does not end its browser: {error}", self.driver.id()));
        }
    }
}

/// Starts chromedriver on a port that the system chooses, and returns the port. It takes an IPv6 port and needs the
/// same port for IPv4, which may be in use; then this returns `None`.
fn start_driver(folder: &Scratch) -> Option<(Process, u16)> {
    let started = "started successfully on port ";
    let mut command = Command::new("chromedriver");
    // The browser leaves empty folders in the temporary folder.
    command.arg("--port=0").env("TMPDIR", folder.file(""));
    let mut driver = Process::start("chromedriver", &mut command);
    let line = driver.stdout.expect("its port", |line| line.contains(started) || line.contains("port not available"));
    let port = line.split_once(started)?.1.trim_end_matches('.').parse();
    Some((driver, port.unwrap_or_else(|_| panic!("no port in {line:?}"))))
}

/// Sends one HTTP request on a new connection; returns the status and the JSON of the response.
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
