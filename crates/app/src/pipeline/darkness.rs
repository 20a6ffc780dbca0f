//! Says why no picture can be shown, beside the play stage: once for each reason and connection, in one line.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use hevcast_wire::live::NoPicture;

use crate::figures::receive::ReceiveCounters;

/// Without a decoded picture for so long, the reason is told. Together with connecting it is within five seconds.
const TOLD_AFTER: Duration = Duration::from_secs(4);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(200);

/// Why a stream ended without anything to see, as far as that is known.
pub fn why_it_ended(why: NoPicture) -> String {
    match why {
        NoPicture::Nothing => {
            "the server ended it before anything came: it may want a login or a key, or nobody sends there".to_owned()
        }
        other => other.to_string(),
    }
}

/// Watches one connection; it ends with whoever waits for it.
pub async fn tell_why(counters: &ReceiveCounters, shown: &str) -> Infallible {
    let mut darkness = Darkness::since(Instant::now(), counters.decoded_count());
    loop {
        tokio::time::sleep(LOOK).await;
        match darkness.look(Instant::now(), counters.decoded_count(), || counters.evidence().why()) {
            Look::Light => counters.light(),
            Look::Dark(None) => {}
            Look::Dark(Some((why, is_new))) => {
                counters.set_dark(why);
                if is_new {
                    tracing::warn!("{shown}: {why}");
                }
            }
        }
    }
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Pictures were decoded since the last look.
    Light,
    /// None were; why, if that is so for some time, and whether it was not told before.
    Dark(Option<(NoPicture, bool)>),
}

#[derive(Debug)]
struct Darkness {
    since: Instant,
    decoded: u64,
    told: Vec<NoPicture>,
    /// A picture was decoded on this connection: where nothing more comes, that is a pause, until the source counts as lost.
    has_been_light: bool,
}

impl Darkness {
    fn since(since: Instant, decoded: u64) -> Darkness {
        Darkness { since, decoded, told: Vec::new(), has_been_light: false }
    }

    fn look(&mut self, now: Instant, decoded: u64, why: impl FnOnce() -> NoPicture) -> Look {
        if std::mem::replace(&mut self.decoded, decoded) != decoded {
            (self.since, self.has_been_light) = (now, true);
            return Look::Light;
        }
        if now.saturating_duration_since(self.since) < TOLD_AFTER {
            return Look::Dark(None);
        }
        let why = why();
        let is_pause = why == NoPicture::Nothing && self.has_been_light;
        let is_new = !self.told.contains(&why);
        if is_new {
            self.told.push(why);
        }
        Look::Dark(Some((why, is_new && !is_pause)))
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
    fn each_reason_is_told_once_within_five_seconds_of_darkness() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut darkness = Darkness::since(start, 7);
        let why = || NoPicture::NoKeyframe;
        assert_eq!(darkness.look(at(3900), 7, why), Look::Dark(None));
        assert_eq!(darkness.look(at(4600), 7, why), Look::Dark(Some((NoPicture::NoKeyframe, true))));
        assert_eq!(darkness.look(at(4800), 7, why), Look::Dark(Some((NoPicture::NoKeyframe, false))));
        assert_eq!(darkness.look(at(5000), 8, why), Look::Light);
        assert_eq!(darkness.look(at(8800), 8, why), Look::Dark(None), "it is dark since the last picture");
        let pause = darkness.look(at(9100), 8, || NoPicture::Nothing);
        assert_eq!(pause, Look::Dark(Some((NoPicture::Nothing, false))), "pictures have come: it is a pause");
        let mut silent = Darkness::since(start, 0);
        assert_eq!(silent.look(at(4500), 0, || NoPicture::Nothing), Look::Dark(Some((NoPicture::Nothing, true))));
        assert_eq!(darkness.look(at(9300), 8, why), Look::Dark(Some((NoPicture::NoKeyframe, false))));
    }
}
