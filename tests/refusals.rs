//! Servers that refuse, do not respond, or have another codec: one line says what is wrong and what to do, with exit
//! status 1.

use crate::bad_input::assert_one_line;
use crate::support::fake_server::{Answer, FakeServer, plain};
use crate::support::footage::ffmpeg;
use crate::support::hevcast::{Server, command, count, run, send_pattern, start, summary};
use crate::support::process::Process;
use crate::support::{Scratch, has_peer};

/// The response of every server to OPTIONS.
const OPTIONS: (&str, Answer) = (
    "OPTIONS",
    Answer { status: "200 OK", headers: &["Public: DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, TEARDOWN"], body: "" },
);
/// A response that requires a login.
const LOGIN: Answer =
    Answer { status: "401 Unauthorized", headers: &[r#"WWW-Authenticate: Basic realm="cameras""#], body: "" };

/// A response with a description that has this media section.
const fn described(body: &'static str) -> Answer {
    Answer { status: "200 OK", headers: &["Content-Type: application/sdp"], body }
}

const HEVC: Answer = described(
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=one\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
     m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:trackID=0\r\n",
);
const SOUND: Answer = described(
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=one\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
     m=audio 0 RTP/AVP 97\r\na=rtpmap:97 OPUS/48000/2\r\na=control:trackID=0\r\n",
);
const ENCRYPTED: Answer = described(
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=one\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
     m=video 0 RTP/SAVP 96\r\na=rtpmap:96 H265/90000\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n",
);

/// Runs a sender to a server with these responses.
fn send_to(case: &str, answers: &[(&'static str, Answer)], words: &[&str]) {
    let server = FakeServer::start(answers);
    let exit = run(&["send", "--input", "pattern", "--size", "64x64", "--encoder", "libx265", "--to", &server.url()]);
    assert_one_line(case, &exit, 1, words);
}

/// Runs a receiver from a server with these responses.
fn receive_from(case: &str, answers: &[(&'static str, Answer)], words: &[&str]) {
    let server = FakeServer::start(answers);
    assert_one_line(case, &run(&["receive", &server.url()]), 1, words);
}

#[test]
fn a_login_is_wanted() {
    let words = ["401", "login", "USER:PASSWORD@"];
    send_to("send: 401", &[OPTIONS, ("ANNOUNCE", LOGIN)], &words);
    receive_from("receive: 401", &[OPTIONS, ("DESCRIBE", LOGIN)], &words);
    let server = FakeServer::start(&[OPTIONS, ("DESCRIBE", LOGIN)]);
    let wrong = server.url().replace("rtsp://", "rtsp://me:guess@");
    let exit = run(&["receive", &wrong]);
    assert_one_line("receive: wrong login", &exit, 1, &["401", "refused the login"]);
    assert!(!exit.stderr[0].contains("guess"), "a password is in the output: {}", exit.stderr[0]);
}

/// Text of a server is shown without control characters of terminals, in the error and in the log.
#[test]
fn a_reason_that_would_rule_the_terminal() {
    let reason = "404 Not\u{1b}]0;PWNED\u{7}\u{1b}[31m Found";
    for words in [["404", "nothing is published"], ["499", r"Strange\u{1b}]0;PWNED"]] {
        let status: &'static str = Box::leak(
            reason.replace("404 Not", if words[0] == "499" { "499 Strange" } else { "404 Not" }).into_boxed_str(),
        );
        let server = FakeServer::start(&[OPTIONS, ("DESCRIBE", plain(status))]);
        let exit = run(&["receive", "-vv", "--headless", "--wait", "--duration", "1s", &server.url()]);
        let said = exit.stderr.iter().chain(&exit.stdout).cloned().collect::<Vec<_>>().join("\n");
        assert!(!said.contains('\u{1b}') && !said.contains('\u{7}'), "{said:?}");
        let exit = run(&["receive", &server.url()]);
        assert_one_line("receive: an odd reason", &exit, 1, &words);
        assert!(exit.stderr[0].chars().all(|c| !c.is_control()), "{:?}", exit.stderr);
    }
}

/// A login from a file or an environment variable is sent like one in the URL, and never shown.
#[test]
fn a_login_that_does_not_stand_in_the_address() {
    let folder = Scratch::new();
    let file = folder.file("password");
    std::fs::write(&file, "hidden word\n").unwrap();
    let server = FakeServer::start(&[OPTIONS, ("DESCRIBE", LOGIN)]);
    let by_file = ["receive", &server.url(), "--user", "me", "--password-file", file.to_str().unwrap()];
    let mut by_variable = command(&["receive", &server.url(), "--user", "me"]);
    by_variable.env("HEVCAST_PASSWORD", "hidden word");
    for exit in [run(&by_file), Process::start("receive", &mut by_variable).wait()] {
        assert_one_line("receive: refused", &exit, 1, &["refused the login: the user \"me\" or the password is wrong"]);
        assert!(!exit.stderr[0].contains("hidden"), "{:?}", exit.stderr);
    }
}

#[test]
fn nothing_is_there() {
    receive_from("receive: 404", &[OPTIONS, ("DESCRIBE", plain("404 Not Found"))], &["404", "check the path"]);
    send_to("send: 404", &[OPTIONS, ("ANNOUNCE", plain("404 Not Found"))], &["404", "path"]);
}

#[test]
fn no_media_over_tcp() {
    let refused = ("SETUP", plain("461 Unsupported Transport"));
    let words = ["461", "TCP"];
    send_to("send: 461", &[OPTIONS, ("ANNOUNCE", plain("200 OK")), refused], &words);
    receive_from("receive: 461", &[OPTIONS, ("DESCRIBE", HEVC), refused], &words);
}

#[test]
fn a_server_that_takes_no_publishers() {
    send_to("send: 405", &[OPTIONS, ("ANNOUNCE", plain("405 Method Not Allowed"))], &["405", "ANNOUNCE", "publishers"]);
}

#[test]
fn an_announce_without_an_answer() {
    send_to("send: silence at ANNOUNCE", &[OPTIONS], &["ANNOUNCE", "does not answer", "use another server"]);
}

#[test]
fn a_server_without_a_word() {
    receive_from("receive: silence", &[], &["OPTIONS", "does not answer", "check the address"]);
}

#[test]
fn answers_that_are_not_rtsp() {
    let html = described("<html>this is a web page</html>");
    receive_from("receive: HTML described", &[OPTIONS, ("DESCRIBE", html)], &["DESCRIBE", "description"]);
}

#[test]
fn an_encrypted_stream() {
    receive_from(
        "receive: SRTP",
        &[OPTIONS, ("DESCRIBE", ENCRYPTED)],
        &["SRTP", "RTP/SAVP", "take its address without"],
    );
}

#[test]
fn a_stream_that_is_neither_h265_nor_h264() {
    receive_from("receive: sound only", &[OPTIONS, ("DESCRIBE", SOUND)], &["neither H.265 nor H.264", "audio OPUS"]);
    if !has_peer("ffmpeg", "an MPEG-4 stream on our server") {
        return;
    }
    let server = Server::start();
    let url = server.url("old");
    let picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-c:v", "mpeg4"];
    let output = ["-f", "rtsp", "-rtsp_transport", "tcp", &url];
    let _publisher = Process::start("ffmpeg", &mut ffmpeg(&[&picture[..], &output].concat()));
    let mut server = server.process;
    server.stderr.expect("FFmpeg to publish", |line| line.contains("publishes old"));
    assert_one_line("receive: MPEG-4", &run(&["receive", &url]), 1, &["neither H.265 nor H.264", "video MP4V-ES"]);
}

/// A response that redirects to `url`.
fn moved_to(url: &str) -> Answer {
    let header: &'static str = Box::leak(format!("Location: {url}").into_boxed_str());
    Answer { status: "302 Moved Temporarily", headers: Box::leak(Box::new([header])), body: "" }
}

#[test]
fn a_stream_that_is_elsewhere_is_followed_there() {
    let mut server = Server::start();
    let url = server.url("moved");
    let elsewhere = FakeServer::start(&[OPTIONS, ("ANNOUNCE", moved_to(&url)), ("DESCRIBE", moved_to(&url))]);
    let sender = send_pattern(&elsewhere.url(), &[]);
    let receiver = start(&["receive", &elsewhere.url(), "--stats", "json", "--duration", "1s"]);
    server.wait_for_reader("moved");
    let exit = receiver.wait();
    assert!(count(&summary(&exit), "/pictures/shown") > 0, "{:?}", exit.stdout);
    exit.succeeded();
    drop(sender);
}

#[test]
fn a_server_that_sends_on_and_on_is_left() {
    let round = FakeServer::start(&[OPTIONS, ("ANNOUNCE", moved_to("/again")), ("DESCRIBE", moved_to("/again"))]);
    let exit = run(&["receive", &round.url()]);
    assert_one_line("receive: moved in circles", &exit, 1, &["DESCRIBE", "/again", "give that address"]);
    let elsewhere = [OPTIONS, ("DESCRIBE", moved_to("http://127.0.0.1/live"))];
    receive_from("receive: moved to HTTP", &elsewhere, &["http://127.0.0.1/live", "does not follow"]);
}
