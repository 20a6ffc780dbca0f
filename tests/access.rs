//! Logins, rights and TLS with hevcast's own sender and receiver: who may, gets access; who may not, gets one line that
//! says what to do.

use crate::bad_input::assert_one_line;
use crate::support::configured_server::{ConfiguredServer, Hashes, LISTEN, LISTEN_SECURELY, user};
use crate::support::hevcast::{command, count, expect_figures, run, send_pattern, start, summary};
use crate::support::process::{Exit, Process};
use crate::support::real_time_shared;

/// A login whose password must be escaped in a URL and contains colons.
const CAMERA: (&str, &str, &str) = ("camera", "s:cret@1/ü", "camera:s%3Acret%401%2F%C3%BC");
/// A login that may read everything.
const VIEWER: (&str, &str, &str) = ("viewer", "look", "viewer:look");

/// A server with a user who may send `cameras/*` and `lobby`, a viewer, and the path `lobby` that everybody may read;
/// with RTSP and RTSPS.
fn configured_server() -> ConfiguredServer {
    let camera = user(CAMERA.0, CAMERA.1, Hashes::Both, &["cameras/*", "lobby"], &[]);
    let viewer = user(VIEWER.0, VIEWER.1, Hashes::Both, &[], &["*"]);
    ConfiguredServer::start(&format!("{LISTEN}anyone = {{ read = [\"lobby\"] }}\n{LISTEN_SECURELY}{camera}{viewer}"))
}

/// Fails unless a receiver with these arguments gets pictures and ends with status 0.
fn assert_receives(case: &str, arguments: &[&str]) {
    let mut receiver = start(&[&["receive", "--stats", "json"], arguments].concat());
    expect_figures(&mut receiver, case, |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
    let received = summary(&receiver.interrupt().0.succeeded());
    assert_eq!(count(&received, "/pictures/damaged"), 0, "{case}: {received}");
}

/// Runs a sender that should be refused.
fn send_to(arguments: &[&str]) -> Exit {
    let source = ["send", "--input", "pattern", "--size", "64x64", "--encoder", "libx265", "--to"];
    run(&[&source[..], arguments].concat())
}

/// Fails if the password is in the output of the program.
fn assert_keeps_secret(exit: &Exit, password: &str) {
    let leak = exit.stderr.iter().chain(&exit.stdout).find(|line| line.contains(password));
    assert!(leak.is_none(), "a password is in the output: {leak:?}");
}

#[test]
fn both_ends_log_in_over_rtsp_and_rtsps() {
    let _real_time = real_time_shared();
    let server = configured_server();
    let (pin, pinned) = (server.pin(), |url: String| format!("{url}#pin={}", server.pin()));
    let path = "cameras/1";
    let plain = server.url(VIEWER.2, path);
    let secure = server.secure_url(VIEWER.2, path);
    let ways: [(String, &[&str]); 3] = [
        (server.url(CAMERA.2, path), &[]),
        (server.secure_url(CAMERA.2, path), &["--pin", pin]),
        (pinned(server.secure_url(CAMERA.2, path)), &[]),
    ];
    for (to, more) in &ways {
        let sender = send_pattern(to, more);
        assert_receives("rtsp", &[&plain]);
        assert_receives("rtsps, --pin", &[&secure, "--pin", pin]);
        assert_receives("rtsps, #pin=", &[&pinned(secure.clone())]);
        let sent = sender.interrupt().0.succeeded();
        assert_keeps_secret(&sent, CAMERA.1);
        assert_keeps_secret(&sent, "s%3Acret");
    }
}

#[test]
fn a_fingerprint_with_colons_in_capitals_is_the_same() {
    let _real_time = real_time_shared();
    let server = configured_server();
    let digits: Vec<&str> = (0..64).step_by(2).map(|at| &server.pin()[at..at + 2]).collect();
    let _sender = send_pattern(&server.url(CAMERA.2, "lobby"), &[]);
    let url = server.secure_url("", "lobby");
    assert_receives("as OpenSSL prints it", &[&url, "--pin", &digits.join(":").to_uppercase()]);
}

#[test]
fn without_a_login_or_with_a_wrong_one_the_error_says_what_to_do() {
    let server = configured_server();
    let words = ["401", "login", "USER:PASSWORD@"];
    let path = "cameras/1";
    assert_one_line("send: no login", &send_to(&[&server.url("", path)]), 1, &words);
    assert_one_line("receive: no login", &run(&["receive", &server.url("", path)]), 1, &words);
    let over_tls = run(&["receive", &server.secure_url("", path), "--pin", server.pin()]);
    assert_one_line("receive: no login, rtsps", &over_tls, 1, &words);
    // Wrong logins: each delays the next check of the address for longer.
    let words = ["401", "refused the login", "password is wrong"];
    let exit = send_to(&[&server.url("camera:guess", path)]);
    assert_one_line("send: wrong password", &exit, 1, &words);
    assert_keeps_secret(&exit, "guess");
    let exit = run(&["receive", &server.url("viewer:guess", path)]);
    assert_one_line("receive: wrong password", &exit, 1, &words);
    assert_keeps_secret(&exit, "guess");
    let exit = run(&["receive", &server.secure_url("nobody:guess", path), "--pin", server.pin()]);
    assert_one_line("receive: nobody of that name", &exit, 1, &words);
}

#[test]
fn an_untrusted_certificate_needs_the_right_pin() {
    let server = configured_server();
    let (from, to) = (server.secure_url(VIEWER.2, "cameras/1"), server.secure_url(CAMERA.2, "cameras/1"));
    // The error states the fingerprint, so that the user can compare it, and the option to give then.
    let exact = format!("--pin {}", server.pin());
    let no_pin = ["no TLS", "not trusted by this computer", &exact];
    assert_one_line("receive: no pin", &run(&["receive", &from]), 1, &no_pin);
    assert_one_line("send: no pin", &send_to(&[&to]), 1, &no_pin);
    let other = "0".repeat(64);
    let wrong_pin = ["no TLS", "its certificate is another", &exact];
    assert_one_line("receive: wrong pin", &run(&["receive", &from, "--pin", &other]), 1, &wrong_pin);
    assert_one_line("send: wrong pin", &send_to(&[&to, "--pin", &other]), 1, &wrong_pin);
    let plain_port = from.replace("rtsps://", "rtsp://");
    assert_eq!(run(&["receive", &plain_port]).status.code(), Some(1), "plain words at the TLS port");
    let tls_port = server.url(VIEWER.2, "cameras/1").replace("rtsp://", "rtsps://");
    assert_one_line("receive: TLS at the plain port", &run(&["receive", &tls_port]), 1, &["no TLS", "rtsps://"]);
}

#[test]
fn a_user_without_the_right_is_refused() {
    let _real_time = real_time_shared();
    let server = configured_server();
    let words = ["403", "you may not"];
    assert_one_line("send: a viewer", &send_to(&[&server.url(VIEWER.2, "cameras/1")]), 1, &words);
    assert_one_line("send: another path", &send_to(&[&server.url(CAMERA.2, "studio")]), 1, &words);
    let _sender = send_pattern(&server.url(CAMERA.2, "cameras/1"), &[]);
    assert_one_line("receive: a camera", &run(&["receive", &server.url(CAMERA.2, "cameras/1")]), 1, &words);
}

#[test]
fn what_anyone_may_needs_no_login() {
    let _real_time = real_time_shared();
    let server = configured_server();
    let exit = send_to(&[&server.url("", "lobby")]);
    assert_one_line("send: no login", &exit, 1, &["401", "login"]);
    let _sender = send_pattern(&server.url(CAMERA.2, "lobby"), &[]);
    assert_receives("the lobby", &[&server.url("", "lobby")]);
    assert_receives("the lobby, rtsps", &[&server.secure_url("", "lobby"), "--pin", server.pin()]);
    // A login is also accepted where none is needed.
    assert_receives("the lobby, with a login", &[&server.url(VIEWER.2, "lobby")]);
}

#[test]
fn a_server_shows_the_same_certificate_at_its_next_start() {
    let config = format!("{LISTEN}{LISTEN_SECURELY}");
    let folder = crate::support::Scratch::new();
    let file = folder.file("hevcast.toml");
    std::fs::write(&file, config).unwrap();
    let mut pins = [(); 2].map(|()| {
        let mut server = Process::start("serve", &mut command(&["serve", "--config", file.to_str().unwrap()]));
        let pin = server.stdout.expect("the fingerprint", |line| line.starts_with("certificate: --pin "));
        server.interrupt().0.succeeded();
        pin
    });
    assert_eq!(pins[0], pins[1]);
    // The file of the key is readable by its owner only.
    let key = std::fs::metadata(folder.file("hevcast-key.pem")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o077, 0);
    std::fs::remove_file(folder.file("hevcast-cert.pem")).unwrap();
    let mut server = Process::start("serve", &mut command(&["serve", "--config", file.to_str().unwrap()]));
    pins[1] = server.stdout.expect("the fingerprint", |line| line.starts_with("certificate: --pin "));
    assert_ne!(pins[0], pins[1], "another certificate, another fingerprint");
}

#[test]
fn a_certificate_is_made_where_state_is_kept_and_named_beside_the_configuration() {
    let (folder, state) = (crate::support::Scratch::new(), crate::support::Scratch::new());
    let file = folder.file("hevcast.toml");
    let (made, made_key) = (state.file("hevcast-cert.pem"), state.file("hevcast-key.pem"));
    let kept = made.parent().unwrap();
    let pin_with = |config: String| {
        std::fs::write(&file, config).unwrap();
        let arguments = ["serve", "--config", file.to_str().unwrap(), "--state", kept.to_str().unwrap()];
        let mut server = Process::start("serve", &mut command(&arguments));
        let pin = server.stdout.expect("the fingerprint", |line| line.starts_with("certificate: --pin "));
        server.interrupt().0.succeeded();
        pin
    };
    let first = pin_with(format!("{LISTEN}{LISTEN_SECURELY}"));
    assert!(made.exists() && made_key.exists(), "no certificate among the state");
    assert!(!folder.file("hevcast-cert.pem").exists(), "a certificate in the configuration's folder");

    std::fs::rename(&made, folder.file("own.pem")).unwrap();
    std::fs::rename(&made_key, folder.file("own-key.pem")).unwrap();
    let named = LISTEN_SECURELY.replace("[rtsps]\n", "[rtsps]\ncertificate = \"own.pem\"\nkey = \"own-key.pem\"\n");
    assert_ne!(named, LISTEN_SECURELY);
    assert_eq!(pin_with(format!("{LISTEN}{named}")), first);
}
