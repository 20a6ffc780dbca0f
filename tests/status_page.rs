//! The server's status page in a browser.

use serde_json::Value;

use crate::support::hevcast::{Server, expect_figures, send_pattern, start};
use crate::support::webdriver::Browser;
use crate::support::{Scratch, has_peer, real_time_shared};

/// A path with a slash and non-ASCII characters.
const PATH: &str = "studio/camera-1";

/// JavaScript that finds the card of the stream, as `card`.
const CARD: &str = "const card = document.querySelector(`[data-stream='${arguments[0]}']`);";

/// The body of a JavaScript function that uses the stream's card as `card`; null while there is none.
fn card(body: &str) -> String {
    format!("{CARD} if (!card) return null; {body}")
}

/// JavaScript that returns the still's pixels, scaled down, as text.
const PIXELS: &str = "const image = card.querySelector('img.still'); const canvas = document.createElement('canvas');
    canvas.width = 64; canvas.height = 48; const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0, 64, 48);
    return Array.from(context.getImageData(0, 0, 64, 48).data).join();";

#[test]
fn the_status_page_shows_a_stream_with_its_picture_ends_a_reader_and_outlives_its_server() {
    let scenario = "the status page";
    if !has_peer("chromedriver", scenario) {
        return;
    }
    let _real_time = real_time_shared();
    let folder = Scratch::new();
    let config = folder.file("hevcast.toml");
    std::fs::write(&config, "[http]\nlisten = \"127.0.0.1:0\"\n[record]\npaths = [\"studio/*\"]\n").unwrap();
    let (mut server, page) = Server::start_with_page(&config);
    let browser = Browser::start();
    browser.open(&page);
    let how = "const shown = document.querySelector('#nothing'); return shown.hidden ? null : shown.textContent;";
    browser.expect("how to publish", how, &[], |value| {
        value.as_str().is_some_and(|text| text.contains(&format!("hevcast send --to {}", server.url("live"))))
    });

    let url = server.url(PATH);
    let _sender = send_pattern(&url, &[]);
    let mut receiver = start(&["receive", &url, "--once", "--stats", "json"]);
    expect_figures(&mut receiver, "a live second", |f| f["state"] == "live" && f["pictures"]["shown"] != 0);
    server.wait_for_reader(PATH);

    let expect =
        |what: &str, body: &str, wanted: &dyn Fn(&Value) -> bool| browser.expect(what, &card(body), &[PATH], wanted);
    expect("one reader", "return card.querySelectorAll('tr[data-session]').length;", &|value| value == 1);
    expect("their number", "return card.querySelector('.readers').textContent;", &|value| value == "1");
    expect("pictures a second", "return parseFloat(card.querySelector('.frame-rate').textContent);", &|value| {
        value.as_f64().is_some_and(|rate| rate > 1.0)
    });
    expect("what is recorded", "return card.querySelector('.recording').textContent;", &|value| {
        value.as_str().is_some_and(|text| text.contains(" pictures, ") && text.ends_with(" MB"))
    });
    let bitrate = "return card.querySelector('.bitrate').textContent;";
    let before = expect("a bitrate", bitrate, &|value| {
        value.as_str().is_some_and(|text| !text.starts_with("0 ") && text.ends_with("bit/s"))
    });
    expect("another bitrate", bitrate, &|value| *value != before);

    let count = "return Number(card.querySelector('img.still').dataset.stillCount);";
    let shown = expect("a still", count, &|value| value.as_u64() > Some(0)).as_u64();
    let before = browser.run(&card(PIXELS), &[PATH]);
    assert_eq!(browser.run(&card("return card.querySelector('img.still').naturalWidth;"), &[PATH]), 320);
    expect("further stills", count, &|value| value.as_u64() > shown.map(|shown| shown + 1));
    expect("another picture", PIXELS, &|value| *value != before);

    let end = "window.confirm = () => true; card.querySelector('tr[data-session] button').click(); return true;";
    assert_eq!(browser.run(&card(end), &[PATH]), true);
    expect("no reader", "return card.querySelectorAll('tr[data-session]').length;", &|value| value == 0);
    server.process.stderr.expect("its end in the log", |line| line.contains("ended by hand"));
    receiver.wait();

    let complaints = browser.complaints();
    let is_first_still = |line: &&String| line.contains("/still.jpg") && line.contains("404");
    assert!(complaints.iter().all(|line| is_first_still(&line)), "the browser complains: {complaints:#?}");

    // The open page shows the next server at the same address.
    server.process.kill();
    let banner = "const banner = document.querySelector('#banner'); return banner.hidden ? null : banner.textContent;";
    browser
        .expect("the banner", banner, &[], |value| value.as_str().is_some_and(|text| text.contains("does not answer")));
    let address = page.trim_start_matches("http://").trim_end_matches('/');
    std::fs::write(&config, format!("[http]\nlisten = \"{address}\"\n")).unwrap();
    let _server = Server::start_with_page(&config);
    browser.expect("no banner", banner, &[], Value::is_null);
    browser.expect("no stream any more", how, &[], Value::is_string);
}
