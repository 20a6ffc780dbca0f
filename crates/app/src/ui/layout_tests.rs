//! Both windows laid out without a display, in both languages, small and large: by their accessible names, each element is
//! where it belongs, none is cut off or covered, and the fonts have every character.

use eframe::egui::accesskit::Role;
use eframe::egui::{Rect, Vec2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use super::control::Phase;
use super::fonts;
use super::picture::{PictureArea, PictureContent};
use super::receive::control::{ReceiveDetails, ReceiveStatus};
use super::receive::graphs::LastMinute;
use super::receive::view::{self as receive_view, ReceiveView};
use super::remember::Remembered;
use super::screen::Screen;
use super::send::control::{SendDetails, SendStatus};
use super::send::settings::Devices;
use super::send::view::{self as send_view, SendView};
use super::words::Words;
use crate::figures::capture_wait::CaptureMs;
use crate::figures::delay::{DelayMs, OverMs, StagesMs, Timescale};
use crate::figures::receive::{ReceiveFigures, ReceivePictures};
use crate::figures::send::{SendDropped, SendFigures, SendFrames};
use crate::language::Language;
use crate::pipeline::capture::Away;
use crate::pipeline::play::PlayState;
use crate::pipeline::record::RecordState;

const SIZES: [Vec2; 3] = [vec2(640.0, 400.0), vec2(960.0, 600.0), vec2(1920.0, 1080.0)];

/// The widest figures that are usual.
fn send_status() -> SendStatus {
    let dropped = SendDropped { backlog: 12, ..SendDropped::default() };
    let figures = SendFigures {
        role: "send",
        kind: "second",
        time_s: 1.0,
        compression_ratio: Some(1234.0),
        frame_rate: 29.97,
        bitrate_bps: 18_340_000,
        network_bps: 18_900_000,
        qp: Some(23.4),
        capture_ms: CaptureMs::default(),
        encode_ms: Some(8.0),
        backlog_ms: 0.0,
        frames: SendFrames { captured: 30, encoded: 30, keyframes: 1, sent: 30, dropped },
        reconnects: 0,
        source_away: false,
        source_returns: 0,
        not_recorded: 0,
        outputs: Vec::new(),
    };
    SendStatus {
        phase: Phase::Running,
        figures: Some(figures),
        record: RecordState::Off,
        details: SendDetails {
            is_connected: true,
            urls: vec!["rtsp://127.0.0.1:8554/live".to_owned()],
            watch_at: vec!["rtsp://192.168.100.200:8554/live".to_owned()],
            is_walled_off: false,
            source: "USB Camera (/dev/video0) MJPG 1280x720 at 30 fps; libx265".to_owned(),
            away: None,
            rate_error: None,
        },
    }
}

fn receive_figures() -> ReceiveFigures {
    let over = OverMs { p50: 143.2, p95: 180.0, max: 200.0 };
    let delay = DelayMs {
        relayed: false,
        last: 143.2,
        median: 143.2,
        p95: 180.0,
        bound: Some(12.21),
        timescale: Timescale::Server,
        over_1s: over,
        over_10s: over,
        over_60s: over,
    };
    let stages = StagesMs {
        capture_wait: 1.0,
        encode: 9.0,
        send_queue: 0.3,
        network_and_server: 120.0,
        hold: 5.0,
        decode: 3.0,
        present: 2.0,
    };
    ReceiveFigures {
        role: "receive",
        kind: "second",
        time_s: 1.0,
        state: "live",
        no_picture: None,
        size: Some((1280, 720)),
        delay_ms: Some(delay),
        delay_unknown: None,
        stages_ms: Some(stages),
        throughput_bps: 18_340_000,
        frame_rate: 29.97,
        frame_interval_jitter_ms: Some(1.5),
        pictures: ReceivePictures::default(),
        rtp_gaps: 0,
        malformed_packets: 0,
        reconnects: 0,
    }
}

struct State {
    send: SendView,
    receive: ReceiveView,
    remembered: Remembered,
    minute: LastMinute,
    picture: Option<PictureArea>,
    pressed: Vec<String>,
}

fn harness(size: Vec2, show: impl FnMut(&mut eframe::egui::Ui, &mut State) + 'static) -> Harness<'static, State> {
    let state = State {
        send: SendView::default(),
        receive: ReceiveView::default(),
        remembered: Remembered::default(),
        minute: LastMinute::default(),
        picture: None,
        pressed: Vec::new(),
    };
    let builder = Harness::builder().with_size(size).with_max_steps(20);
    builder.with_context_setup(|context| context.set_fonts(fonts::definitions())).build_ui_state(show, state)
}

fn sender(size: Vec2, status: SendStatus, words: &'static Words) -> Harness<'static, State> {
    harness(size, move |ui, state| {
        let picture = state.picture.get_or_insert_with(|| PictureArea::new(Screen::new(ui.ctx().clone())));
        let devices = Devices::default();
        let shown = send_view::Shown { status: &status, devices: Some(&devices), error: None, picture, words };
        let actions = state.send.show(ui, &mut state.remembered, &shown);
        state.pressed.extend(actions.iter().map(|action| format!("{action:?}")));
    })
}

fn receiver(size: Vec2, words: &'static Words) -> Harness<'static, State> {
    let details = ReceiveDetails { state: Some(PlayState::Connecting), counters: None };
    let figures = Some(receive_figures());
    let status = ReceiveStatus { phase: Phase::Running, figures, details, ..ReceiveStatus::default() };
    harness(size, move |ui, state| {
        let picture = state.picture.get_or_insert_with(|| PictureArea::new(Screen::new(ui.ctx().clone())));
        state.minute.add(&receive_figures());
        let content = PictureContent::Picture;
        let shown =
            receive_view::Shown { status: &status, content, message: None, picture, minute: &state.minute, words };
        let actions = state.receive.show(ui, &mut state.remembered, shown);
        state.pressed.extend(actions.iter().map(|action| format!("{action:?}")));
    })
}

/// The places of elements; each must lie within the window and cover none of the others.
fn places(harness: &Harness<'_, State>, names: &[(Role, &str)], size: Vec2) -> Vec<Rect> {
    let place = |&(role, name): &(Role, &str)| harness.get_by_role_and_label(role, name).rect();
    let places: Vec<Rect> = names.iter().map(place).collect();
    let window = Rect::from_min_size(Default::default(), size).expand(0.5);
    for (n, (place, (_, name))) in places.iter().zip(names).enumerate() {
        assert!(window.contains_rect(*place), "{name} at {place:?} is cut off in {size:?}");
        assert!(place.width() > 20.0 && place.height() > 12.0, "{name} at {place:?} cannot be seen");
        for (other, (_, other_name)) in places.iter().zip(names).skip(n + 1) {
            let covered = place.shrink(0.5).intersects(other.shrink(0.5));
            assert!(!covered, "{name} at {place:?} and {other_name} at {other:?} cover each other in {size:?}");
        }
    }
    places
}

#[test]
fn the_senders_three_blocks_are_where_they_belong() {
    for language in [Language::En, Language::Zh] {
        let words = language.words();
        for size in SIZES {
            let mut harness = sender(size, send_status(), words);
            harness.run();
            let names = [
                (Role::Image, words.picture),
                (Role::Status, words.compression_ratio),
                (Role::Status, words.frame_rate),
                (Role::Status, words.bitrate),
                (Role::Status, "QP"),
                (Role::Button, words.start),
                (Role::Button, words.stop),
                (Role::Button, words.settings),
                (Role::Button, words.copy),
            ];
            let at = places(&harness, &names, size);
            let [picture, ratio, rate, bitrate, qp, start, stop, ..] = at[..] else { unreachable!() };
            assert!(picture.left() < 10.0 && picture.top() < 10.0, "top left the picture");
            assert!(picture.width() > size.x * 0.5 && picture.height() > size.y * 0.6, "{picture:?} in {size:?}");
            assert!(ratio.left() >= picture.right() && ratio.top() < size.y * 0.1, "top right the figures");
            assert!(ratio.bottom() <= rate.top() && rate.bottom() <= bitrate.top() && bitrate.bottom() <= qp.top());
            assert!(start.top() >= picture.bottom() && stop.top() >= picture.bottom(), "at the bottom the buttons");
            let value = harness.get_by_role_and_label(Role::Status, words.compression_ratio).value();
            assert_eq!(value.as_deref(), Some("1234:1"));
        }
    }
}

#[test]
fn the_senders_picture_says_that_the_camera_is_away() {
    for language in [Language::En, Language::Zh] {
        let words = language.words();
        for (away, expected) in [
            (Away::Unplugged, words.camera_unplugged),
            (Away::Silent, words.camera_silent),
            (Away::Busy, words.camera_busy),
            (Away::Failing, words.camera_failing),
        ] {
            let mut status = send_status();
            status.details.away = Some(away);
            let mut harness = sender(SIZES[0], status, words);
            harness.run();
            let message = harness.get_by_role_and_label(Role::Image, words.picture).value();
            assert_eq!(message.as_deref(), Some(expected));
        }
    }
}

#[test]
fn the_receivers_blocks_are_where_they_belong_with_and_without_graphs() {
    for language in [Language::En, Language::Zh] {
        let words = language.words();
        for size in SIZES {
            let mut harness = receiver(size, words);
            harness.run();
            let names = [
                (Role::Image, words.picture),
                (Role::Status, words.delay),
                (Role::Status, words.throughput),
                (Role::TextInput, words.stream_address),
                (Role::Button, words.stop_playing),
                (Role::Button, words.snapshot),
                (Role::Button, words.record),
                (Role::Button, words.graphs),
                (Role::Button, words.full_screen),
                (Role::Button, words.settings),
            ];
            let at = places(&harness, &names, size);
            let [picture, delay, throughput, ..] = at[..] else { unreachable!() };
            assert!(picture.left() < 10.0 && delay.left() >= picture.right(), "left the picture, right the figures");
            assert!(delay.bottom() <= throughput.top());
            let value = harness.get_by_role_and_label(Role::Status, words.delay).value();
            assert_eq!(value.as_deref(), Some("143 ms ±12.3 ms"));

            harness.get_by_role_and_label(Role::Button, words.graphs).click();
            harness.run();
            let graphs = [words.delay, words.throughput, words.frame_rate, words.jitter].map(|n| (Role::Image, n));
            let at = places(&harness, &[&names[..], &graphs].concat(), size);
            assert!(at[names.len()].top() >= at[0].bottom(), "graphs are below the picture");
        }
    }
}

#[test]
fn settings_unfold_and_each_has_a_name() {
    for language in [Language::En, Language::Zh] {
        let words = language.words();
        for size in SIZES {
            let mut harness = sender(size, SendStatus::default(), words);
            harness.run();
            assert!(harness.query_by_role_and_label(Role::TextInput, words.size).is_none(), "folded away at first");
            harness.get_by_role_and_label(Role::Button, words.settings).click();
            harness.run();
            for (role, name) in [
                (Role::ComboBox, words.input),
                (Role::TextInput, words.size),
                (Role::TextInput, words.frame_rate),
                (Role::ComboBox, words.encoder),
                (Role::ComboBox, words.rate_control),
                (Role::Slider, words.best_qp),
                (Role::TextInput, words.keyframe_interval),
                (Role::TextInput, words.address),
            ] {
                assert!(!harness.get_by_role_and_label(role, name).accesskit_node().is_disabled(), "{name}");
            }
            places(&harness, &[(Role::Image, words.picture), (Role::Status, words.compression_ratio)], size);
        }
    }
}

#[test]
fn the_sender_is_used_by_keyboard_alone() {
    let words = Language::En.words();
    let mut harness = sender(SIZES[1], SendStatus::default(), words);
    harness.run();
    for _ in 0..10 {
        harness.key_press(eframe::egui::Key::Tab);
        harness.run();
        if harness.get_by_role_and_label(Role::Button, words.start).is_focused() {
            break;
        }
    }
    harness.key_press(eframe::egui::Key::Space);
    harness.run();
    assert_eq!(harness.state().pressed, ["Start"]);
}

#[test]
fn what_takes_effect_later_is_grey_while_pictures_are_pushed() {
    let words = Language::En.words();
    let mut harness = sender(SIZES[2], send_status(), words);
    harness.run();
    harness.get_by_role_and_label(Role::Button, words.settings).click();
    harness.run();
    let is_grey = |role, name| harness.get_by_role_and_label(role, name).accesskit_node().is_disabled();
    assert!(is_grey(Role::TextInput, words.size) && is_grey(Role::ComboBox, words.encoder));
    assert!(!is_grey(Role::Slider, words.best_qp) && !is_grey(Role::ComboBox, words.rate_control));
    assert!(is_grey(Role::Button, words.start) && !is_grey(Role::Button, words.stop));
}

#[test]
fn the_delay_explains_itself() {
    let words = Language::Zh.words();
    let mut harness = receiver(SIZES[1], words);
    harness.run();
    harness.get_by_role_and_label(Role::Status, words.delay).hover();
    // A tooltip takes its time.
    for _ in 0..60 {
        harness.step();
    }
    for text in [words.stages, words.network_and_server, words.bound_note, words.camera_note] {
        assert!(harness.query_by_label(text).is_some(), "the delay does not tell of {text}");
    }
}
