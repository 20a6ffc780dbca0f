//! A link that is too slow: quality or frame rate become lower, and recover when the link is fast again.

use serde_json::Value;

use crate::support::hevcast::{Server, count, expect_figures, number, start, summary, wait_until_sending};
use crate::support::process::Process;
use crate::support::real_time;
use crate::support::slow_link::{Slow, SlowLink};

/// A bit rate that is too low for the pattern, which takes 0.9 Mbit/s at the lowest QP.
const TOO_SLOW: u64 = 400_000;
/// A bit rate that is more than enough for the pattern.
const FAST: u64 = 50_000_000;

/// Starts a sender of the pattern, with arguments that make it take enough bits.
fn send(url: &str, more: &[&str]) -> Process {
    let pattern = ["send", "--input", "pattern", "--size", "640x480", "--fps", "30", "--encoder", "libx265"];
    start(&[&pattern[..], &["--to", url, "--duration", "60s", "--stats", "json"], more].concat())
}

/// Waits for figures of a second for which `wanted` holds.
fn expect(process: &mut Process, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    expect_figures(process, what, |figures| figures["kind"] == "second" && figures["qp"].is_number() && wanted(figures))
}

/// Waits until the pictures fit the slow link by lower quality, and then, on a fast link, until the quality is as
/// before.
fn follows_down_and_up(sender: &mut Process, link: &SlowLink) {
    let qp = |figures: &Value| number(figures, "/qp");
    expect(sender, "the finest pictures", |figures| qp(figures) < 8.0);
    link.set_rate(TOO_SLOW);
    let fits = |figures: &Value| number(figures, "/bitrate_bps") < 1.2 * TOO_SLOW as f64;
    let slow = expect(sender, "a bitrate that fits the link", fits);
    assert!(qp(&slow) > 12.0, "{slow}");
    link.set_rate(FAST);
    expect(sender, "the quality from before", |figures| qp(figures) < 8.0);
}

#[test]
fn a_slow_link_to_the_server_makes_pictures_coarser_for_as_long_as_it_lasts() {
    let _place = real_time();
    let server = Server::start();
    let link = SlowLink::start(server.port, Slow::Up, FAST);
    let mut sender = send(&link.url("live"), &["--bitrate", "2M"]);
    follows_down_and_up(&mut sender, &link);
    sender.interrupt().0.succeeded();
}

#[test]
fn a_slow_link_to_the_only_reader_does_the_same() {
    let _place = real_time();
    let mut server = Server::start();
    let mut sender = send(&server.url("live"), &["--bitrate", "2M"]);
    wait_until_sending(&mut sender, true);
    let link = SlowLink::start(server.port, Slow::Down, FAST);
    let reader = start(&["receive", &link.url("live"), "--headless", "--duration", "60s", "--stats", "json"]);
    server.wait_for_reader("live");
    follows_down_and_up(&mut sender, &link);
    let reader_summary = summary(&reader.interrupt().0.succeeded());
    assert_eq!(count(&reader_summary, "/pictures/damaged"), 0, "{reader_summary}");
    assert_eq!(count(&reader_summary, "/rtp_gaps"), 0, "no packet was discarded on the way: {reader_summary}");
    sender.interrupt().0.succeeded();
}

#[test]
fn with_a_fixed_qp_there_are_fewer_pictures_instead() {
    let _place = real_time();
    let server = Server::start();
    let link = SlowLink::start(server.port, Slow::Up, TOO_SLOW);
    let mut sender = send(&link.url("live"), &["--qp", "10"]);
    let slow = expect(&mut sender, "fewer pictures", |figures| (1.0..20.0).contains(&number(figures, "/frame_rate")));
    assert_eq!(number(&slow, "/qp"), 10.0);
    assert!(count(&slow, "/frames/dropped/backlog") > 0, "{slow}");
    link.set_rate(FAST);
    let fast = expect(&mut sender, "all pictures", |figures| number(figures, "/frame_rate") > 27.0);
    assert_eq!(number(&fast, "/qp"), 10.0);
    sender.interrupt().0.succeeded();
}
