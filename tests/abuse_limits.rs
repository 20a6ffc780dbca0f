//! Peers that open too many connections, send too fast, read too slowly or guess passwords: the limits hold, and nobody
//! else is affected.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::configured_server::{Hashes, user};
use crate::support::healthy_stream::HealthyStream;
use crate::support::raw::{HEVC, Raw, frame};
use crate::support::{LIMIT, real_time_shared, say};

/// By how much the server's memory may grow, in KiB.
const MOST_KIB: u64 = 8 * 1024;

/// Raises this process's limit of open files as far as the system allows. False where that is too few; then prints what
/// is skipped.
fn may_open(files: u64, scenario: &str) -> bool {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let is_enough = limit.maximum.is_none_or(|most| most >= files);
    if !is_enough {
        say(&format!("skipped: {scenario}: only {:?} files may be open", limit.maximum));
    }
    is_enough
}

#[test]
fn a_flood_of_requests_is_closed() {
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start("requests_per_second = 20\n");
    for _ in 0..10 {
        let mut raw = healthy.connect();
        let flood: String = (0..2000).map(|_| raw.text("OPTIONS", "healthy", &[], "")).collect();
        raw.send(flood.as_bytes());
        raw.wait_for_close();
    }
    // Every request of a burst within the limit gets a response.
    let mut raw = healthy.connect();
    let burst: String = (0..40).map(|_| raw.text("OPTIONS", "healthy", &[], "")).collect();
    assert!(raw.send(burst.as_bytes()));
    for number in 1..=40 {
        let answer = raw.answer().unwrap_or_else(|| panic!("closed before answer {number}"));
        assert_eq!(answer.value("CSeq"), Some(&*number.to_string()), "{}", answer.header);
    }
    healthy.wait_for_counter("hevcast_connections_ended_total{why=\"too_often\"}", 10);
    healthy.assert_unaffected("a flood of requests", MOST_KIB);
}

#[test]
fn a_client_that_does_not_read_responses_is_closed() {
    let _real_time = real_time_shared();
    let mut healthy = HealthyStream::start("requests_per_second = 1000000\nreader_stall_s = 3600\n");
    let mut raw = Raw::connect_from(Ipv4Addr::LOCALHOST, healthy.server.server.port, Some(4096));
    let flood: String = (0..100_000).map(|_| raw.text("OPTIONS", "healthy", &[], "")).collect();
    raw.send(flood.as_bytes());
    raw.wait_for_close();
    // The same by a reader, whose responses wait behind its media.
    let mut reader = Raw::connect_from(Ipv4Addr::LOCALHOST, healthy.server.server.port, Some(4096));
    reader.read("healthy");
    let flood: String = (0..100_000).map(|_| reader.text("OPTIONS", "healthy", &[], "")).collect();
    reader.send(flood.as_bytes());
    healthy.expect_log("no longer reads healthy: it asks without reading the answers");
    reader.wait_for_close();
    healthy.wait_for_counter("hevcast_connections_ended_total{why=\"answers_unread\"}", 2);
    healthy.assert_unaffected("answers that nobody reads", 2 * MOST_KIB);
}

#[test]
fn a_reader_that_stops_reading_is_closed_and_the_others_go_on() {
    let _real_time = real_time_shared();
    let mut healthy = HealthyStream::start("reader_stall_s = 2\n");
    let mut publisher = healthy.connect();
    publisher.publish("loud");
    let mut reading = healthy.connect();
    reading.read("loud");
    let mut stalled = Raw::connect_from(Ipv4Addr::LOCALHOST, healthy.server.server.port, Some(4096));
    stalled.read("loud");
    // More data than the sockets buffer, in pictures of one packet each, some of which are keyframes.
    let mut packet = [0; 1400];
    for number in 0..20_000_u16 {
        let [high, low] = number.to_be_bytes();
        packet[..8].copy_from_slice(&[0x80, 0x80 | 96, high, low, 0, high, low, 0]);
        packet[12..15].copy_from_slice(&[if number % 50 == 0 { 0x26 } else { 0x02 }, 0x01, 0x80]);
        assert!(publisher.send(&frame(0, &packet)));
        if number % 1000 == 0 {
            assert_eq!(reading.status("GET_PARAMETER", "loud", &[]), 200);
        }
    }
    // The reader that reads is not affected; the other one's connection is closed, which it sees after the data in the
    // socket.
    let begun = Instant::now();
    let is_news = |line: String| line.contains("no longer reads loud: it has read nothing for 2 s");
    while !std::iter::from_fn(|| healthy.server.server.process.stderr.next_now()).any(is_news) {
        assert!(begun.elapsed() < LIMIT, "still open after {LIMIT:?}");
        assert_eq!(reading.status("GET_PARAMETER", "loud", &[]), 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    stalled.wait_for_close();
    assert_eq!(reading.status("GET_PARAMETER", "loud", &[]), 200, "the other reader is still there");
    assert_eq!(publisher.status("OPTIONS", "loud", &[]), 200);
    healthy.wait_for_counter("hevcast_connections_ended_total{why=\"stalled\"}", 1);
    healthy.wait_for_counter("hevcast_stream_dropped_packets_total{path=\"loud\"}", 1);
    healthy.assert_unaffected("a reader that does not read", 4 * MOST_KIB);
}

#[test]
fn readers_of_a_silent_stream_leave_nothing_behind() {
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start("");
    let mut publisher = healthy.connect();
    publisher.publish("mute");
    let before = healthy.server.server.process.open_files().len();
    for _ in 0..300 {
        let mut reader = healthy.connect();
        reader.read("mute");
    }
    healthy.wait_for_counter("hevcast_connections_ended_total{why=\"closed\"}", 300);
    // The reader is removed at once and not at the next packet, which may never come.
    let left = healthy.server.server.process.open_files().len().saturating_sub(before);
    assert!(left < 20, "{left} files are left open by 300 readers that are gone");
    assert_eq!(publisher.status("OPTIONS", "mute", &[]), 200);
    healthy.assert_unaffected("readers of a silent stream", MOST_KIB);
}

/// How many connections are opened.
const CONNECTIONS: usize = 5000;
/// How much memory the server may use for each of them, in KiB.
const MOST_KIB_EACH: u64 = 32;

#[test]
fn five_thousand_idle_connections_take_little_memory() {
    // The test's own limit; the server's process inherits it.
    if !may_open(CONNECTIONS as u64 + 500, "five thousand connections") {
        return;
    }
    let _real_time = real_time_shared();
    let limits = "connections = 5500\nconnections_per_address = 5500\nrequest_timeout_s = 3600\n";
    let healthy = HealthyStream::start(limits);
    let connections: Vec<Raw> = (0..CONNECTIONS).map(|_| healthy.connect()).collect();
    // Connections are accepted in their order: when the last gets a response, all have been accepted.
    let mut last = healthy.connect();
    assert_eq!(last.status("OPTIONS", "healthy", &[]), 200);
    let each = healthy.grown_kib() as f64 / CONNECTIONS as f64;
    say(&format!("{CONNECTIONS} idle connections take {each:.1} KiB each"));
    assert!(each < MOST_KIB_EACH as f64, "{each} KiB for each connection");
    drop(connections);
    // Their slots are free again, for as many connections.
    let again: Vec<Raw> = (0..CONNECTIONS).map(|_| healthy.connect()).collect();
    let mut last = healthy.connect();
    assert_eq!(last.status("OPTIONS", "healthy", &[]), 200);
    drop(again);
    healthy.wait_for_counter("hevcast_connections_ended_total{why=\"closed\"}", 2 * CONNECTIONS);
    healthy.assert_unaffected("many connections", CONNECTIONS as u64 * MOST_KIB_EACH);
}

#[test]
fn connections_of_one_address_are_limited_and_others_not_affected() {
    if !may_open(2000, "more connections than an address may have") {
        return;
    }
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start("");
    // The healthy stream uses two of the 1024 slots.
    let mut connections: Vec<Raw> = (0..1100).map(|_| healthy.connect()).collect();
    let surplus = connections.split_off(1022);
    for mut raw in surplus {
        raw.wait_for_close();
    }
    for raw in [0, 500, 1021] {
        assert_eq!(connections[raw].status("OPTIONS", "healthy", &[]), 200, "connection {raw} was there in time");
    }
    let mut elsewhere = Raw::connect_from(Ipv4Addr::new(127, 0, 0, 2), healthy.server.server.port, None);
    assert_eq!(elsewhere.status("OPTIONS", "healthy", &[]), 200, "another address");
    drop(connections);
    healthy.wait_for_counter("hevcast_connections_refused_total{why=\"address_full\"}", 78);
    healthy.assert_unaffected("more than an address may have", 1022 * MOST_KIB_EACH);
}

/// The Authorization header of a Basic login.
fn basic(login: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(login))
}

#[test]
fn a_client_that_guesses_passwords_is_delayed_and_nobody_else() {
    let _real_time = real_time_shared();
    let user = user("viewer", "right", Hashes::Ha1, &[], &["*"]);
    let open = "anyone = { publish = [\"healthy\"], read = [\"healthy\"] }\n";
    let healthy = HealthyStream::start_with(open, &user);
    let (wrong, right) = (basic("viewer:wrong"), basic("viewer:right"));
    let mut guesser = healthy.connect();
    let begun = Instant::now();
    assert_eq!(guesser.status("DESCRIBE", "secret", &[&wrong]), 401);
    assert_eq!(guesser.status("DESCRIBE", "secret", &[&wrong]), 401);
    assert!(begun.elapsed() >= Duration::from_millis(500), "the second took {:?}", begun.elapsed());
    let begun = Instant::now();
    let third = guesser.text("DESCRIBE", "secret", &[&wrong], "");
    assert!(guesser.send(third.as_bytes()));
    // Another address is not delayed meanwhile, nor are requests that need no login.
    let mut other = Raw::connect_from(Ipv4Addr::new(127, 0, 0, 2), healthy.server.server.port, None);
    assert_eq!(other.status("DESCRIBE", "secret", &[&right]), 404, "logged in, though there is nothing");
    assert_eq!(healthy.connect().status("DESCRIBE", "healthy", &[]), 200);
    assert!(guesser.has_no_unread_input(), "a response came after {:?}", begun.elapsed());
    assert_eq!(guesser.answer().expect("closed").status, 401);
    assert!(begun.elapsed() >= Duration::from_secs(1), "the third took {:?}", begun.elapsed());
    // More connections cannot guess faster, and the queue is bounded: past it the response is 503 at once.
    let mut many: Vec<Raw> = (0..69).map(|_| healthy.connect()).collect();
    for (number, raw) in many.iter_mut().enumerate() {
        let text = raw.text("DESCRIBE", "secret", &[&basic(&format!("viewer:guess {number}"))], "");
        assert!(raw.send(text.as_bytes()));
    }
    healthy.wait_for_counter("hevcast_logins_total{outcome=\"crowded\"}", 4);
    // A client that knows the password is not delayed by those who do not, behind the same address.
    assert_eq!(healthy.connect().status("DESCRIBE", "secret", &[&right]), 404);
    healthy.wait_for_counter("hevcast_logins_total{outcome=\"wrong\"}", 1);
    healthy.wait_for_counter("hevcast_logins_total{outcome=\"repeated\"}", 2);
    healthy.wait_for_counter("hevcast_logins_total{outcome=\"right\"}", 2);
    healthy.assert_unaffected("guesses", MOST_KIB);
}

#[test]
fn many_connections_cannot_block_the_status_page() {
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start("");
    let connect = || {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, healthy.server.http_port())).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    };
    // More connections than there are slots send nothing, or half a request.
    let mut connections: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    connections.iter_mut().step_by(2).for_each(|stream| stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: 1").unwrap());
    assert!(healthy.server.get("/healthz").ends_with("ok\n"));
    drop(connections);
    // Connections that send whole requests, and stay open.
    let mut connections: Vec<TcpStream> = (0..64).map(|_| connect()).collect();
    for stream in &mut connections {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
    }
    assert!(healthy.server.get("/healthz").ends_with("ok\n"));
    drop(connections);
    // Connections that request page after page, and read nothing.
    let mut connections: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    for stream in &mut connections {
        stream.set_nonblocking(true).unwrap();
        // Writes as much as the socket accepts; some of the connections are evicted meanwhile.
        let _ = stream.write(&b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(60));
    }
    assert!(healthy.server.get("/healthz").ends_with("ok\n"));
    assert!(healthy.server.get("/api/v1/status").contains("\"streams\""));
    healthy.wait_for_counter("hevcast_http_closed_total{why=\"displaced\"}", 30);
    healthy.assert_unaffected("many connections to the status page", MOST_KIB);
}

#[test]
fn nobody_holds_all_paths_and_none_without_media() {
    let _real_time = real_time_shared();
    let healthy = HealthyStream::start("paths_per_address = 4\nrequest_timeout_s = 1\n");
    // The healthy stream uses one of the four paths.
    let mut publishers: Vec<Raw> = (0..3).map(|_| healthy.connect()).collect();
    for (number, raw) in publishers.iter_mut().enumerate() {
        raw.announce(&format!("publisher/{number}"));
    }
    let announced =
        |raw: &mut Raw, path: &str| raw.request("ANNOUNCE", path, &["Content-Type: application/sdp"], HEVC).status;
    // Where all are taken, the oldest stream without media is ended for a new one.
    let mut fourth = healthy.connect();
    assert_eq!(announced(&mut fourth, "publisher/3"), 200);
    publishers.remove(0).wait_for_close();
    publishers.push(fourth);
    let mut camera = Raw::connect_from(Ipv4Addr::new(127, 0, 0, 2), healthy.server.server.port, None);
    assert_eq!(announced(&mut camera, "camera"), 200, "another address has its own");
    // Requests without media do not keep a path.
    for raw in &mut publishers {
        let begun = Instant::now();
        loop {
            let text = raw.text("OPTIONS", "publisher", &[], "");
            if !raw.send(text.as_bytes()) || raw.answer().is_none() {
                break;
            }
            assert!(begun.elapsed() < LIMIT, "it holds its path still");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    healthy.wait_for_counter("hevcast_connections_ended_total{why=\"no_media\"}", 3);
    assert_eq!(announced(&mut healthy.connect(), "one/more"), 200, "there is room again");
}
