//! Wrong and changed configurations of a server: errors are reported with line and column, and changes take effect
//! without affecting other connections.

use std::path::Path;

use crate::bad_input::assert_one_line;
use crate::support::configured_server::{ConfiguredServer, Hashes, LISTEN, user};
use crate::support::hevcast::{count, expect_figures, run, send_pattern, start, summary};
use crate::support::process::Process;
use crate::support::raw::Raw;
use crate::support::{Scratch, real_time_shared};

/// Waits for figures of a second with pictures.
fn expect_live(receiver: &mut Process) {
    expect_figures(receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
}

/// Waits for figures of a second with pictures that begins from now on.
fn expect_live_from_now(receiver: &mut Process) {
    while receiver.stdout.next_now().is_some() {}
    // The first figures may be of a second that began earlier.
    expect_live(receiver);
    expect_live(receiver);
}

/// Ends a receiver; fails if its stream was disturbed.
fn assert_undisturbed(receiver: Process) {
    let summary = summary(&receiver.interrupt().0.succeeded());
    let faults = ["/reconnects", "/pictures/damaged", "/rtp_gaps"].map(|name| count(&summary, name));
    assert_eq!(faults, [0, 0, 0], "{summary}");
}

#[test]
fn users_come_and_go_while_readers_see_no_gap() {
    let _real_time = real_time_shared();
    let camera = user("camera", "c", Hashes::Both, &["*"], &[]);
    let viewer = user("viewer", "v", Hashes::Both, &[], &["*"]);
    let guest = user("guest", "g", Hashes::Both, &[], &["live"]);
    let before = format!("{LISTEN}{camera}{viewer}");
    let mut server = ConfiguredServer::start(&before);
    let _sender = send_pattern(&server.url("camera:c", "live"), &[]);
    let (live, wrong_yet) = (server.url("viewer:v", "live"), server.url("guest:g", "live"));
    let mut receiver = start(&["receive", &live, "--stats", "json"]);
    expect_live(&mut receiver);
    assert_one_line("receive: a guest, too early", &run(&["receive", &wrong_yet]), 1, &["401"]);

    let said = server.reload(&format!("{before}{guest}"));
    assert!(said.contains("was read again"), "{said}");
    let mut second = start(&["receive", &wrong_yet, "--stats", "json"]);
    expect_live(&mut second);
    assert_undisturbed(second);

    // A wrong file changes nothing, and the error has line and column.
    let lines = before.lines().count();
    let said = server.reload(&format!("{before}{guest}colour = \"red\"\n"));
    let place = format!("hevcast.toml:{}:", lines + guest.lines().count() + 1);
    assert!(said.contains("ERROR") && said.contains("stays as it was") && said.contains(&place), "{place}: {said}");
    let mut second = start(&["receive", &wrong_yet, "--stats", "json"]);
    expect_live(&mut second);
    assert_undisturbed(second);

    // After its user is removed again, the guest gets no access.
    let said = server.reload(&before);
    assert!(said.contains("was read again"), "{said}");
    assert_one_line("receive: a guest, too late", &run(&["receive", &wrong_yet]), 1, &["401"]);
    expect_live_from_now(&mut receiver);
    assert_undisturbed(receiver);
}

#[test]
fn a_configuration_that_is_gone_gives_no_access() {
    let before = format!("{LISTEN}{}", user("camera", "c", Hashes::Ha1, &["*"], &["*"]));
    let mut server = ConfiguredServer::start(&before);
    let status_without_login =
        |server: &ConfiguredServer| Raw::connect(server.server.port).status("DESCRIBE", "x", &[]);
    assert_eq!(status_without_login(&server), 401);
    type Change = fn(&Path);
    let changes: [(Change, &str); 4] = [
        (|file| std::fs::write(file, "").unwrap(), "is empty"),
        (|file| std::fs::write(file, "# [[user]]\n").unwrap(), "let in everybody"),
        (|file| std::fs::remove_file(file).unwrap(), "cannot read"),
        (|file| std::os::unix::fs::symlink("/nowhere/hevcast.toml", file).unwrap(), "cannot read"),
    ];
    for (change, word) in changes {
        let said = server.reload_after(change);
        assert!(said.contains("ERROR") && said.contains("stays as it was") && said.contains("hevcast.toml"), "{said}");
        assert!(said.contains(word), "{said}");
        assert_eq!(status_without_login(&server), 401, "{said}");
    }
    let said = server.reload_after(|file| {
        std::fs::remove_file(file).unwrap();
        std::fs::write(file, format!("takeover = [\"客厅\", \"é*\"]\n{before}[anyone]\nread = [\"x\"]\n")).unwrap();
    });
    assert!(said.contains("was read again"), "{said}");
    assert_eq!(status_without_login(&server), 404);
}

#[test]
fn a_new_address_needs_a_restart_and_the_log_says_so() {
    let mut server = ConfiguredServer::start(LISTEN);
    let said = server.reload("listen = \"127.0.0.1:1\"\n");
    assert!(said.contains("WARN") && said.contains("restart") && said.contains("listen"), "{said}");
    // The server still listens on the old address.
    assert_one_line("receive", &run(&["receive", &server.url("", "live")]), 1, &["404"]);
}

#[test]
fn a_wrong_configuration_is_reported_in_one_line_with_its_position() {
    let folder = Scratch::new();
    let file = folder.file("hevcast.toml");
    let name = file.to_str().unwrap();
    let serve = |text: &str| {
        std::fs::write(&file, text).unwrap();
        run(&["serve", "--config", name])
    };
    let user = user("camera", "c", Hashes::Both, &["*"], &[]);
    for (text, place, words) in [
        ("listen = 8554\n", "1:10", "socket address"),
        ("\nlisden = \"0.0.0.0:8554\"\n", "2:1", "lisden"),
        ("[limits]\nrequest_timeout_s = 0\n", "2:21", "0.1 to 86400"),
        ("\ntakeover = [\"a*b\"]\n", "2:12", "*"),
        ("[[user]]\nname = \"a\"\nha1 = \"secret\"\n", "3:7", "hevcast password"),
        ("[[user]]\nname = \"a\"\n", "1:1", "hevcast password a"),
        ("listen = \"127.0.0.1:0\n", "1:", ""),
        (&format!("{user}{user}"), "9:1", "two users called camera"),
        ("[http]\nlisten = \"0.0.0.0:8580\"\n", "", "admin = true"),
    ] {
        let place = format!("hevcast.toml:{place}");
        let case = format!("serve with {text:?}");
        assert_one_line(&case, &serve(text), 1, &[&place, words]);
    }
    std::fs::remove_file(&file).unwrap();
    assert_one_line("serve without its file", &run(&["serve", "--config", name]), 1, &["hevcast.toml", "cannot read"]);
    let absent = format!("{LISTEN}[rtsps]\nlisten = \"127.0.0.1:0\"\ncertificate = \"none.pem\"\nkey = \"none.pem\"\n");
    assert_one_line("serve without its certificate", &serve(&absent), 1, &["none.pem", "[rtsps]"]);
}

#[test]
fn a_second_publisher_takes_over_and_the_reader_stays() {
    let _real_time = real_time_shared();
    let mut server = ConfiguredServer::start(&format!("{LISTEN}takeover = [\"live\"]\n"));
    let url = server.url("", "live");
    let first = send_pattern(&url, &["--stats", "json"]);
    let mut receiver = start(&["receive", &url, "--stats", "json"]);
    expect_live(&mut receiver);
    let second = send_pattern(&url, &[]);
    server
        .server
        .process
        .stderr
        .expect("the change", |line| line.contains("no longer publishes live: another publisher took over"));
    // The first publisher does not come back and take the path again.
    let exit = first.wait();
    assert!(
        exit.status.code() == Some(1) && exit.stderr.iter().any(|line| line.contains("taken over")),
        "{:?}",
        exit.stderr
    );
    expect_live_from_now(&mut receiver);
    assert_undisturbed(receiver);
    second.interrupt().0.succeeded();
}

#[test]
fn elsewhere_a_second_publisher_is_refused() {
    let _real_time = real_time_shared();
    let server = ConfiguredServer::start(&format!("{LISTEN}takeover = [\"live\"]\n"));
    let url = server.url("", "other");
    let _first = send_pattern(&url, &[]);
    let source = ["send", "--input", "pattern", "--size", "64x64", "--encoder", "libx265", "--to"];
    let exit = run(&[&source[..], &[&url]].concat());
    assert_one_line("send: a second", &exit, 1, &["403", "another sender"]);
}
