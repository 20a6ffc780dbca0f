//! Whether the receiver shows a picture, and if not, which black it is.

use std::time::{Duration, Instant};

use hevcast_wire::live::NoPicture;

use super::control::{Phase, ReceiveStatus};
use crate::figures::delay::STALE;
use crate::figures::receive::ReceiveCounters;
use crate::pipeline::play::PlayState;
use crate::ui::picture::Seen;
use crate::ui::words::Words;

/// What is to be seen at `now`, with the newest picture decoded at `decoded`.
pub fn seen(status: &ReceiveStatus, decoded: Option<Instant>, now: Instant, words: &Words) -> Seen {
    let black = |text: &str| Seen::Black(text.to_owned());
    match (&status.phase, &status.counters) {
        (Phase::Stopped, _) => black(words.stopped),
        (Phase::Ended, _) => black(words.ended),
        (Phase::Failed(why), _) => black(why),
        (Phase::Playing(PlayState::Connecting), _) | (Phase::Playing(_), None) => black(words.connecting),
        (Phase::Playing(PlayState::Retrying { why, at }), _) => {
            let left = at.saturating_duration_since(now).as_secs_f32().ceil();
            Seen::Black(format!("{} ({why})\n{} {left:.0} {}", words.no_signal, words.reconnecting_in, words.seconds))
        }
        (Phase::Playing(PlayState::Playing { since }), Some(counters)) => match playing(counters, decoded, *since, now)
        {
            Playing::Live => Seen::Picture,
            dark => match (counters.no_picture(), dark) {
                (Some(why), _) => black(reason(why, words)),
                (None, Playing::NoSignal) => black(words.no_signal),
                (None, _) => black(words.waiting_for_keyframe),
            },
        },
    }
}

/// Why no picture can be shown, in the window's language.
fn reason(why: NoPicture, words: &Words) -> &'static str {
    match why {
        NoPicture::Nothing => words.dark_nothing,
        NoPicture::OnlySound => words.dark_only_sound,
        NoPicture::H264 => words.dark_h264,
        NoPicture::NotHevc => words.dark_not_hevc,
        NoPicture::NoWholePicture => words.dark_no_whole_picture,
        NoPicture::NoKeyframe => words.dark_no_keyframe,
        NoPicture::DamagedKeyframes => words.dark_damaged_keyframes,
        NoPicture::NoParameterSets => words.dark_no_parameter_sets,
        NoPicture::Undecodable => words.dark_undecodable,
    }
}

/// How a server's stream is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Playing {
    /// Pictures come and are decoded.
    Live,
    /// They come, but none can be decoded yet; or the server has only just begun.
    WaitingForKeyframe,
    /// None come.
    NoSignal,
}

fn playing(counters: &ReceiveCounters, decoded: Option<Instant>, since: Instant, now: Instant) -> Playing {
    let is_fresh = |at: Option<Instant>| at.is_some_and(|at| at >= since && age(at, now) < STALE);
    if is_fresh(decoded) {
        Playing::Live
    } else if is_fresh(counters.last_received()) || age(since, now) < STALE {
        Playing::WaitingForKeyframe
    } else {
        Playing::NoSignal
    }
}

fn age(at: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::words::Language;
    use hevcast_net::Clock;
    use std::sync::Arc;

    #[test]
    fn a_picture_of_this_connection_is_live_until_it_is_stale() {
        let counters = ReceiveCounters::new(Clock::default());
        let since = Instant::now();
        let at = |ms| since + Duration::from_millis(ms);
        let playing = |decoded, since, now| playing(&counters, decoded, since, now);
        assert_eq!(playing(None, since, at(100)), Playing::WaitingForKeyframe);
        assert_eq!(playing(None, since, at(5000)), Playing::NoSignal, "nothing ever came");
        counters.received(at(4900));
        assert_eq!(playing(None, since, at(5000)), Playing::WaitingForKeyframe, "what comes cannot be decoded");
        assert_eq!(playing(Some(at(5000)), since, at(5100)), Playing::Live);
        assert_eq!(playing(Some(at(5000)), since, at(7100)), Playing::NoSignal);
        let last_connections = playing(Some(at(5000)), at(5050), at(5100));
        assert_eq!(last_connections, Playing::WaitingForKeyframe, "that picture was the last connection's");
    }

    #[test]
    fn where_no_picture_can_be_shown_the_reason_is() {
        let words = Language::Zh.words();
        let since = Instant::now();
        let counters = Arc::new(ReceiveCounters::new(Clock::default()));
        let phase = Phase::Playing(PlayState::Playing { since });
        let status = ReceiveStatus { phase, counters: Some(Arc::clone(&counters)), ..ReceiveStatus::default() };
        let said = |after| match seen(&status, None, since + Duration::from_secs(after), words) {
            Seen::Black(text) => text,
            Seen::Picture => panic!("a picture"),
        };
        assert_eq!(said(5), words.no_signal);
        for (why, part) in
            [(NoPicture::H264, "H.264"), (NoPicture::NoParameterSets, "参数集"), (NoPicture::Nothing, "没有数据")]
        {
            counters.set_no_picture(why);
            assert!(said(5).contains(part), "{}", said(5));
        }
        counters.clear_no_picture();
        assert_eq!(said(5), words.no_signal);
    }

    #[test]
    fn every_black_says_which_it_is() {
        let words = Language::Zh.words();
        let now = Instant::now();
        let counters = Some(Arc::new(ReceiveCounters::new(Clock::default())));
        let at = now + Duration::from_millis(1500);
        let cases = [
            (Phase::Stopped, "已停止"),
            (Phase::Ended, "视频流已结束"),
            (Phase::Failed("no such host".to_owned()), "no such host"),
            (Phase::Playing(PlayState::Connecting), "正在连接"),
            (Phase::Playing(PlayState::Retrying { why: "gone".to_owned(), at }), "即将重连，剩余 2 秒"),
            (Phase::Playing(PlayState::Playing { since: now }), "等待关键帧"),
        ];
        for (phase, said) in cases {
            let status = ReceiveStatus { phase, counters: counters.clone(), ..ReceiveStatus::default() };
            match seen(&status, None, now, words) {
                Seen::Black(text) => assert!(text.contains(said), "{text}"),
                Seen::Picture => panic!("a picture instead of {said}"),
            }
        }
    }
}
