//! Peers that are too many, too fast, too slow or too curious: the limits hold them, and nobody else notices.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::beside::Beside;
use crate::support::guarded::{Proof, user};
use crate::support::raw::{HEVC, Raw, frame};
use crate::support::{LIMIT, real_time, say};

/// By so much a server may grow meanwhile, KiB.
const MOST_KIB: u64 = 8 * 1024;

/// Lets this process open as many files as the system allows; says what is skipped where that is too few.
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
    let _turn = real_time();
    let beside = Beside::start("requests_per_second = 20\n");
    for _ in 0..10 {
        let mut raw = beside.connect();
        let flood: String = (0..2000).map(|_| raw.text("OPTIONS", "healthy", &[], "")).collect();
        raw.say(flood.as_bytes());
        raw.wait_for_close();
    }
    // A burst within the limit is answered, every one of it.
    let mut raw = beside.connect();
    let burst: String = (0..40).map(|_| raw.text("OPTIONS", "healthy", &[], "")).collect();
    assert!(raw.say(burst.as_bytes()));
    for number in 1..=40 {
        let answer = raw.answer().unwrap_or_else(|| panic!("closed before answer {number}"));
        assert_eq!(answer.value("CSeq"), Some(&*number.to_string()), "{}", answer.header);
    }
    beside.wait_for_counter("hevcast_connections_ended_total{why=\"too_often\"}", 10);
    beside.assert_unmoved("a flood of requests", MOST_KIB);
}

#[test]
fn who_asks_without_reading_the_answers_is_closed() {
    let _turn = real_time();
    let mut beside = Beside::start("requests_per_second = 1000000\nreader_stall_s = 3600\n");
    let mut raw = Raw::connect_from(Ipv4Addr::LOCALHOST, beside.server.server.port, Some(4096));
    let flood: String = (0..100_000).map(|_| raw.text("OPTIONS", "healthy", &[], "")).collect();
    raw.say(flood.as_bytes());
    raw.wait_for_close();
    // The same by a reader, whose answers wait behind its media.
    let mut reader = Raw::connect_from(Ipv4Addr::LOCALHOST, beside.server.server.port, Some(4096));
    reader.read("healthy");
    let flood: String = (0..100_000).map(|_| reader.text("OPTIONS", "healthy", &[], "")).collect();
    reader.say(flood.as_bytes());
    beside.expect_log("no longer reads healthy: it asks without reading the answers");
    reader.wait_for_close();
    beside.wait_for_counter("hevcast_connections_ended_total{why=\"answers_unread\"}", 2);
    beside.assert_unmoved("answers that nobody reads", 2 * MOST_KIB);
}

#[test]
fn a_reader_that_stops_reading_is_closed_and_the_others_go_on() {
    let _turn = real_time();
    let mut beside = Beside::start("reader_stall_s = 2\n");
    let mut publisher = beside.connect();
    publisher.publish("loud");
    let mut reading = beside.connect();
    reading.read("loud");
    let mut stalled = Raw::connect_from(Ipv4Addr::LOCALHOST, beside.server.server.port, Some(4096));
    stalled.read("loud");
    // More than the sockets between them hold, in pictures of a packet each, some of which others may begin with.
    let mut packet = [0; 1400];
    for number in 0..20_000_u16 {
        let [high, low] = number.to_be_bytes();
        packet[..8].copy_from_slice(&[0x80, 0x80 | 96, high, low, 0, high, low, 0]);
        packet[12..15].copy_from_slice(&[if number % 50 == 0 { 0x26 } else { 0x02 }, 0x01, 0x80]);
        assert!(publisher.say(&frame(0, &packet)));
        if number % 1000 == 0 {
            assert_eq!(reading.status("GET_PARAMETER", "loud", &[]), 200);
        }
    }
    // Whoever reads goes on reading; the other is closed, which it sees when it has read what was on its way.
    let begun = Instant::now();
    let is_news = |line: String| line.contains("no longer reads loud: it has read nothing for 2 s");
    while !std::iter::from_fn(|| beside.server.server.process.stderr.next_now()).any(is_news) {
        assert!(begun.elapsed() < LIMIT, "still open after {LIMIT:?}");
        assert_eq!(reading.status("GET_PARAMETER", "loud", &[]), 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    stalled.wait_for_close();
    assert_eq!(reading.status("GET_PARAMETER", "loud", &[]), 200, "the other reader is still there");
    assert_eq!(publisher.status("OPTIONS", "loud", &[]), 200);
    beside.wait_for_counter("hevcast_connections_ended_total{why=\"stalled\"}", 1);
    beside.wait_for_counter("hevcast_stream_dropped_packets_total{path=\"loud\"}", 1);
    beside.assert_unmoved("a reader that does not read", 4 * MOST_KIB);
}

#[test]
fn readers_of_a_silent_stream_leave_nothing_behind() {
    let _turn = real_time();
    let beside = Beside::start("");
    let mut publisher = beside.connect();
    publisher.publish("mute");
    let before = beside.server.server.process.open_files().len();
    for _ in 0..300 {
        let mut reader = beside.connect();
        reader.read("mute");
    }
    beside.wait_for_counter("hevcast_connections_ended_total{why=\"closed\"}", 300);
    // Not when the next packet comes, which may be never.
    let left = beside.server.server.process.open_files().len().saturating_sub(before);
    assert!(left < 20, "{left} files are left open by 300 readers that are gone");
    assert_eq!(publisher.status("OPTIONS", "mute", &[]), 200);
    beside.assert_unmoved("readers of a silent stream", MOST_KIB);
}

/// Connections of the crowd, and what each may take of the server's memory, KiB.
const CROWD: usize = 5000;
const MOST_KIB_EACH: u64 = 32;

#[test]
fn five_thousand_that_say_nothing_take_little() {
    // Ours and, in its own process, the server's.
    if !may_open(CROWD as u64 + 500, "five thousand connections") {
        return;
    }
    let _turn = real_time();
    let limits = "connections = 5500\nconnections_per_address = 5500\nrequest_timeout_s = 3600\n";
    let beside = Beside::start(limits);
    let crowd: Vec<Raw> = (0..CROWD).map(|_| beside.connect()).collect();
    // They are taken in the order in which they came: when the last is answered, all are in.
    let mut last = beside.connect();
    assert_eq!(last.status("OPTIONS", "healthy", &[]), 200);
    let each = beside.grown_kib() as f64 / CROWD as f64;
    say(&format!("{CROWD} connections that say nothing take {each:.1} KiB each"));
    assert!(each < MOST_KIB_EACH as f64, "{each} KiB for each connection");
    drop(crowd);
    // Their places are free again, for as many.
    let again: Vec<Raw> = (0..CROWD).map(|_| beside.connect()).collect();
    let mut last = beside.connect();
    assert_eq!(last.status("OPTIONS", "healthy", &[]), 200);
    drop(again);
    beside.wait_for_counter("hevcast_connections_ended_total{why=\"closed\"}", 2 * CROWD);
    beside.assert_unmoved("a crowd", CROWD as u64 * MOST_KIB_EACH);
}

#[test]
fn one_address_has_so_many_places_and_others_have_theirs() {
    if !may_open(2000, "more connections than an address may have") {
        return;
    }
    let _turn = real_time();
    let beside = Beside::start("");
    // The healthy stream has two of the 1024.
    let mut crowd: Vec<Raw> = (0..1100).map(|_| beside.connect()).collect();
    let surplus = crowd.split_off(1022);
    for mut raw in surplus {
        raw.wait_for_close();
    }
    for raw in [0, 500, 1021] {
        assert_eq!(crowd[raw].status("OPTIONS", "healthy", &[]), 200, "connection {raw} was there in time");
    }
    let mut elsewhere = Raw::connect_from(Ipv4Addr::new(127, 0, 0, 2), beside.server.server.port, None);
    assert_eq!(elsewhere.status("OPTIONS", "healthy", &[]), 200, "another address");
    drop(crowd);
    beside.wait_for_counter("hevcast_connections_refused_total{why=\"address_full\"}", 78);
    beside.assert_unmoved("more than an address may have", 1022 * MOST_KIB_EACH);
}

/// A Basic login.
fn basic(login: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(login))
}

#[test]
fn who_guesses_passwords_waits_and_nobody_else_does() {
    let _turn = real_time();
    let user = user("viewer", "right", Proof::Ha1, &[], &["*"]);
    let open = "anyone = { publish = [\"healthy\"], read = [\"healthy\"] }\n";
    let beside = Beside::start_with(open, &user);
    let (wrong, right) = (basic("viewer:wrong"), basic("viewer:right"));
    let mut guesser = beside.connect();
    let begun = Instant::now();
    assert_eq!(guesser.status("DESCRIBE", "secret", &[&wrong]), 401);
    assert_eq!(guesser.status("DESCRIBE", "secret", &[&wrong]), 401);
    assert!(begun.elapsed() >= Duration::from_millis(500), "the second took {:?}", begun.elapsed());
    let begun = Instant::now();
    let third = guesser.text("DESCRIBE", "secret", &[&wrong], "");
    assert!(guesser.say(third.as_bytes()));
    // Another address comes in meanwhile, and what needs no login needs no patience.
    let mut other = Raw::connect_from(Ipv4Addr::new(127, 0, 0, 2), beside.server.server.port, None);
    assert_eq!(other.status("DESCRIBE", "secret", &[&right]), 404, "logged in, though there is nothing");
    assert_eq!(beside.connect().status("DESCRIBE", "healthy", &[]), 200);
    assert!(guesser.is_quiet(), "answered after {:?}", begun.elapsed());
    assert_eq!(guesser.answer().expect("closed").status, 401);
    assert!(begun.elapsed() >= Duration::from_secs(1), "the third took {:?}", begun.elapsed());
    // On more connections it goes no faster, and the line is short: 503 beyond it, at once.
    let mut many: Vec<Raw> = (0..69).map(|_| beside.connect()).collect();
    for (number, raw) in many.iter_mut().enumerate() {
        let text = raw.text("DESCRIBE", "secret", &[&basic(&format!("viewer:guess {number}"))], "");
        assert!(raw.say(text.as_bytes()));
    }
    beside.wait_for_counter("hevcast_logins_total{outcome=\"crowded\"}", 4);
    // Who knows the password is not kept waiting by those who do not, behind the same address.
    assert_eq!(beside.connect().status("DESCRIBE", "secret", &[&right]), 404);
    beside.wait_for_counter("hevcast_logins_total{outcome=\"wrong\"}", 1);
    beside.wait_for_counter("hevcast_logins_total{outcome=\"repeated\"}", 2);
    beside.wait_for_counter("hevcast_logins_total{outcome=\"right\"}", 2);
    beside.assert_unmoved("guesses", MOST_KIB);
}

#[test]
fn a_crowd_at_the_status_page_cannot_keep_it() {
    let _turn = real_time();
    let beside = Beside::start("");
    let connect = || {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, beside.server.http_port())).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    };
    // More than have places say nothing, or half a request.
    let mut crowd: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    crowd.iter_mut().step_by(2).for_each(|stream| stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: 1").unwrap());
    assert!(beside.server.get("/healthz").ends_with("ok\n"));
    drop(crowd);
    // As many ask properly, and stay.
    let mut crowd: Vec<TcpStream> = (0..64).map(|_| connect()).collect();
    for stream in &mut crowd {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
    }
    assert!(beside.server.get("/healthz").ends_with("ok\n"));
    drop(crowd);
    // As many ask for page upon page, and read nothing of them.
    let mut crowd: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    for stream in &mut crowd {
        stream.set_nonblocking(true).unwrap();
        // As much of it as goes; places are few, and some of the crowd lose theirs meanwhile.
        let _ = stream.write(&b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(60));
    }
    assert!(beside.server.get("/healthz").ends_with("ok\n"));
    assert!(beside.server.get("/api/v1/status").contains("\"streams\""));
    beside.wait_for_counter("hevcast_http_closed_total{why=\"displaced\"}", 30);
    beside.assert_unmoved("a crowd at the status page", MOST_KIB);
}

#[test]
fn nobody_holds_all_paths_and_none_without_media() {
    let _turn = real_time();
    let beside = Beside::start("paths_per_address = 4\nrequest_timeout_s = 1\n");
    // One is the healthy stream's.
    let mut strangers: Vec<Raw> = (0..3).map(|_| beside.connect()).collect();
    for (number, raw) in strangers.iter_mut().enumerate() {
        raw.announce(&format!("stranger/{number}"));
    }
    let announced =
        |raw: &mut Raw, path: &str| raw.ask("ANNOUNCE", path, &["Content-Type: application/sdp"], HEVC).status;
    // Where all are taken, the oldest without media gives its own to who comes.
    let mut fourth = beside.connect();
    assert_eq!(announced(&mut fourth, "stranger/3"), 200);
    strangers.remove(0).wait_for_close();
    strangers.push(fourth);
    let mut camera = Raw::connect_from(Ipv4Addr::new(127, 0, 0, 2), beside.server.server.port, None);
    assert_eq!(announced(&mut camera, "camera"), 200, "another address has its own");
    // Asking this and that does not keep a path.
    for raw in &mut strangers {
        let begun = Instant::now();
        loop {
            let text = raw.text("OPTIONS", "stranger", &[], "");
            if !raw.say(text.as_bytes()) || raw.answer().is_none() {
                break;
            }
            assert!(begun.elapsed() < LIMIT, "it holds its path still");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    beside.wait_for_counter("hevcast_connections_ended_total{why=\"no_media\"}", 3);
    assert_eq!(announced(&mut beside.connect(), "one/more"), 200, "there is room again");
}
