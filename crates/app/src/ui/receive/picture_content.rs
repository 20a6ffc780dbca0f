//! What the receiver's picture area shows: the picture, or the reason why there is none.

use std::time::{Duration, Instant};

use hevcast_wire::live::NoPicture;

use super::control::ReceiveStatus;
use crate::figures::delay::STALE;
use crate::figures::receive::ReceiveCounters;
use crate::pipeline::play::PlayState;
use crate::ui::control::Phase;
use crate::ui::picture::PictureContent;
use crate::ui::words::Words;

/// What to show at `now`; the newest picture was decoded at `decoded`.
pub(super) fn of(status: &ReceiveStatus, decoded: Option<Instant>, now: Instant, words: &Words) -> PictureContent {
    let message = |text: &str| PictureContent::Message(text.to_owned());
    match &status.phase {
        Phase::Stopped => message(words.stopped),
        Phase::Ended => message(words.ended),
        Phase::Failed(why) => message(why),
        Phase::Starting => message(words.connecting),
        Phase::Stopping => message(words.stopping),
        Phase::Running => match (&status.details.state, &status.details.counters) {
            (Some(PlayState::Retrying { why, at }), _) => {
                let left = at.saturating_duration_since(now).as_secs_f32().ceil();
                let reconnecting = words.reconnecting_in.replace("{seconds}", &left.to_string());
                PictureContent::Message(format!("{} ({why})\n{reconnecting}", words.no_signal))
            }
            (Some(PlayState::Playing { since }), Some(counters)) => match reception(counters, decoded, *since, now) {
                Reception::Live => PictureContent::Picture,
                missing => match (counters.no_picture(), missing) {
                    (Some(why), _) => message(reason(why, words)),
                    (None, Reception::NoSignal) => message(words.no_signal),
                    (None, _) => message(words.waiting_for_keyframe),
                },
            },
            _ => message(words.connecting),
        },
    }
}

/// Why no picture can be shown, in the window's language.
fn reason(why: NoPicture, words: &Words) -> &'static str {
    match why {
        NoPicture::Nothing => words.no_picture_nothing,
        NoPicture::OnlySound => words.no_picture_only_sound,
        NoPicture::H264 => words.no_picture_h264,
        NoPicture::NotHevc => words.no_picture_not_hevc,
        NoPicture::NoWholePicture => words.no_picture_no_whole_picture,
        NoPicture::NoKeyframe => words.no_picture_no_keyframe,
        NoPicture::DamagedKeyframes => words.no_picture_damaged_keyframes,
        NoPicture::NoParameterSets => words.no_picture_no_parameter_sets,
        NoPicture::Undecodable => words.no_picture_undecodable,
    }
}

/// What comes from a server that plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reception {
    /// Pictures come and are decoded.
    Live,
    /// They come, but none can be decoded yet; or the server has just begun.
    WaitingForKeyframe,
    /// No pictures come.
    NoSignal,
}

fn reception(counters: &ReceiveCounters, decoded: Option<Instant>, since: Instant, now: Instant) -> Reception {
    let is_fresh = |at: Option<Instant>| at.is_some_and(|at| at >= since && age(at, now) < STALE);
    if is_fresh(decoded) {
        Reception::Live
    } else if is_fresh(counters.last_received()) || age(since, now) < STALE {
        Reception::WaitingForKeyframe
    } else {
        Reception::NoSignal
    }
}

fn age(at: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::ui::receive::control::ReceiveDetails;
    use hevcast_net::Clock;
    use std::sync::Arc;

    #[test]
    fn a_picture_of_this_connection_is_live_until_it_is_stale() {
        let counters = ReceiveCounters::new(Clock::default());
        let since = Instant::now();
        let at = |ms| since + Duration::from_millis(ms);
        let reception = |decoded, since, now| reception(&counters, decoded, since, now);
        assert_eq!(reception(None, since, at(100)), Reception::WaitingForKeyframe);
        assert_eq!(reception(None, since, at(5000)), Reception::NoSignal, "nothing ever came");
        counters.received(at(4900));
        assert_eq!(reception(None, since, at(5000)), Reception::WaitingForKeyframe, "what comes cannot be decoded");
        assert_eq!(reception(Some(at(5000)), since, at(5100)), Reception::Live);
        assert_eq!(reception(Some(at(5000)), since, at(7100)), Reception::NoSignal);
        let last_connections = reception(Some(at(5000)), at(5050), at(5100));
        assert_eq!(last_connections, Reception::WaitingForKeyframe, "that picture was the last connection's");
    }

    #[test]
    fn where_no_picture_can_be_shown_the_reason_is() {
        let words = Language::Zh.words();
        let since = Instant::now();
        let counters = Arc::new(ReceiveCounters::new(Clock::default()));
        let details =
            ReceiveDetails { state: Some(PlayState::Playing { since }), counters: Some(Arc::clone(&counters)) };
        let status = ReceiveStatus { phase: Phase::Running, details, ..ReceiveStatus::default() };
        let message = |after| match of(&status, None, since + Duration::from_secs(after), words) {
            PictureContent::Message(text) => text,
            PictureContent::Picture => panic!("a picture"),
        };
        assert_eq!(message(5), words.no_signal);
        for (why, part) in
            [(NoPicture::H264, "H.264"), (NoPicture::NoParameterSets, "参数集"), (NoPicture::Nothing, "没有数据")]
        {
            counters.set_no_picture(why);
            assert!(message(5).contains(part), "{}", message(5));
        }
        counters.clear_no_picture();
        assert_eq!(message(5), words.no_signal);
    }

    #[test]
    fn without_a_picture_the_phase_is_shown() {
        let words = Language::Zh.words();
        let now = Instant::now();
        let at = now + Duration::from_millis(1500);
        let cases = [
            (Phase::Stopped, None, "已停止"),
            (Phase::Ended, None, "视频流已结束"),
            (Phase::Failed("no such host".to_owned()), None, "no such host"),
            (Phase::Starting, None, "正在连接"),
            (Phase::Stopping, Some(PlayState::Playing { since: now }), "正在停止"),
            (Phase::Running, Some(PlayState::Connecting), "正在连接"),
            (Phase::Running, Some(PlayState::Retrying { why: "gone".to_owned(), at }), "2 秒后重连"),
            (Phase::Running, Some(PlayState::Playing { since: now }), "等待关键帧"),
        ];
        for (phase, state, expected) in cases {
            let counters = Some(Arc::new(ReceiveCounters::new(Clock::default())));
            let details = ReceiveDetails { state, counters };
            let status = ReceiveStatus { phase, details, ..ReceiveStatus::default() };
            match of(&status, None, now, words) {
                PictureContent::Message(text) => assert!(text.contains(expected), "{text}"),
                PictureContent::Picture => panic!("a picture instead of {expected}"),
            }
        }
    }
}
