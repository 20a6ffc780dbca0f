//! Why no picture can be shown, found out beside the play stage: one line in the log for each reason and connection.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use hevcast_wire::live::NoPicture;

use crate::figures::receive::ReceiveCounters;

/// Time without a decoded picture after which the reason is given. Together with connecting it is within five seconds.
const REASON_AFTER: Duration = Duration::from_secs(4);
/// How often it is checked whether pictures are decoded.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// Why a stream ended without a picture, as far as that is known, for people.
pub fn why_it_ended(why: NoPicture) -> String {
    match why {
        NoPicture::Nothing => {
            "the server ended it before anything came: it may want a login or a key, or nobody sends there".to_owned()
        }
        other => other.to_string(),
    }
}

/// Watches one connection for pictures, and notes in `counters` and the log why there are none. Runs until it is dropped with
/// the connection.
pub async fn watch_pictures(counters: &ReceiveCounters, shown: &str) -> Infallible {
    let mut watch = PictureWatch::since(Instant::now(), counters.decoded_count());
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        match watch.check(Instant::now(), counters.decoded_count(), || counters.evidence().why()) {
            Check::Pictures => counters.clear_no_picture(),
            Check::NotYet => {}
            Check::NoPicture { why, is_news } => {
                counters.set_no_picture(why);
                if is_news {
                    tracing::warn!("{shown}: {why}");
                }
            }
        }
    }
}

/// What a check has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// Pictures were decoded since the last check.
    Pictures,
    /// None were, for less than [`REASON_AFTER`].
    NotYet,
    /// None were for longer.
    NoPicture {
        why: NoPicture,
        /// The log should say so.
        is_news: bool,
    },
}

#[derive(Debug)]
struct PictureWatch {
    /// When a picture was last decoded, or the connection made.
    since: Instant,
    decoded: u64,
    logged: Vec<NoPicture>,
    /// A picture was decoded on this connection: where nothing more comes, that is a pause, until the source counts as lost.
    has_decoded: bool,
}

impl PictureWatch {
    fn since(since: Instant, decoded: u64) -> PictureWatch {
        PictureWatch { since, decoded, logged: Vec::new(), has_decoded: false }
    }

    fn check(&mut self, now: Instant, decoded: u64, why: impl FnOnce() -> NoPicture) -> Check {
        if std::mem::replace(&mut self.decoded, decoded) != decoded {
            (self.since, self.has_decoded) = (now, true);
            return Check::Pictures;
        }
        if now.saturating_duration_since(self.since) < REASON_AFTER {
            return Check::NotYet;
        }
        let why = why();
        let is_pause = why == NoPicture::Nothing && self.has_decoded;
        let is_new = !self.logged.contains(&why);
        if is_new {
            self.logged.push(why);
        }
        Check::NoPicture { why, is_news: is_new && !is_pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_without_anything_is_no_question_of_the_camera() {
        assert!(why_it_ended(NoPicture::Nothing).contains("login or a key"));
        assert_eq!(why_it_ended(NoPicture::H264), NoPicture::H264.to_string());
    }

    #[test]
    fn each_reason_is_given_once_within_five_seconds_without_pictures() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut watch = PictureWatch::since(start, 7);
        let why = || NoPicture::NoKeyframe;
        let no_keyframe = |is_news| Check::NoPicture { why: NoPicture::NoKeyframe, is_news };
        let nothing = |is_news| Check::NoPicture { why: NoPicture::Nothing, is_news };
        assert_eq!(watch.check(at(3900), 7, why), Check::NotYet);
        assert_eq!(watch.check(at(4600), 7, why), no_keyframe(true));
        assert_eq!(watch.check(at(4800), 7, why), no_keyframe(false));
        assert_eq!(watch.check(at(5000), 8, why), Check::Pictures);
        assert_eq!(watch.check(at(8800), 8, why), Check::NotYet, "it counts from the last picture");
        let pause = watch.check(at(9100), 8, || NoPicture::Nothing);
        assert_eq!(pause, nothing(false), "pictures have come: it is a pause");
        let mut silent = PictureWatch::since(start, 0);
        assert_eq!(silent.check(at(4500), 0, || NoPicture::Nothing), nothing(true));
        assert_eq!(watch.check(at(9300), 8, why), no_keyframe(false));
    }
}
