//! Several outputs of one encoder, in virtual time, with links that take what the test says.

use std::collections::VecDeque;

use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame};

use super::*;
use crate::figures::outputs::OutputStatus;

const INTERVAL: Duration = Duration::from_millis(33);
const PICTURE_BYTES: usize = 8_000;

/// A link at the far end of an output's queue.
struct Link {
    state: Arc<OutputState>,
    queue: mpsc::Receiver<CodedFrame>,
    /// Bytes a second; 0 stands still.
    bytes_per_second: f64,
    credit: f64,
    waiting: VecDeque<(u32, usize)>,
    /// Time stamps of what arrived.
    arrived: Vec<u32>,
}

impl Link {
    fn new(bytes_per_second: f64) -> (OutputQueue, Link) {
        let state = Arc::new(OutputState::new(String::new()));
        let (sender, queue) = mpsc::channel(OUTPUT_DEPTH);
        let link = Link {
            state: Arc::clone(&state),
            queue,
            bytes_per_second,
            credit: 0.0,
            waiting: VecDeque::new(),
            arrived: Vec::new(),
        };
        link.state.set_connected(None);
        (OutputQueue::new(state, sender), link)
    }

    fn pass(&mut self, now: Instant, time: Duration) {
        while let Ok(frame) = self.queue.try_recv() {
            self.waiting.push_back((frame.timestamp.0, frame.size_bytes()));
        }
        self.credit += self.bytes_per_second * time.as_secs_f64();
        while let Some((timestamp, left)) = self.waiting.front_mut() {
            let taken = (*left).min(self.credit as usize);
            self.credit -= taken as f64;
            self.state.count_sent_bytes(taken as u64);
            *left -= taken;
            if *left > 0 {
                return;
            }
            self.arrived.push(*timestamp);
            self.waiting.pop_front();
            self.state.backlog.leave(now);
        }
        self.credit = 0.0;
    }
}

struct Rig {
    outputs: Outputs,
    links: Vec<Link>,
    now: Instant,
    number: u32,
    /// Time stamps of the IRAP pictures, and how many pictures were not worth coding.
    iraps: Vec<u32>,
    skipped: Vec<Skip>,
}

impl Rig {
    fn new(speeds: &[f64]) -> Rig {
        let (queues, links) = speeds.iter().map(|speed| Link::new(*speed)).unzip();
        let outputs = Outputs { queues, allowance: Allowance::default(), interval: INTERVAL };
        Rig { outputs, links, now: Instant::now(), number: 0, iraps: Vec::new(), skipped: Vec::new() }
    }

    fn run(&mut self, pictures: u32) {
        for _ in 0..pictures {
            self.number += 1;
            self.now += INTERVAL;
            match self.outputs.bit_budget(self.now, false) {
                Err(skip) => self.skipped.push(skip),
                Ok(_) => self.code(),
            }
            let now = self.now;
            self.links.iter_mut().for_each(|link| link.pass(now, INTERVAL));
        }
    }

    fn code(&mut self) {
        let number = self.number;
        let is_irap = self.outputs.take_keyframe_request();
        if is_irap {
            self.iraps.push(number);
        }
        // IDR_N_LP and TRAIL_R, each followed by as many bytes as a picture has.
        let mut nal = vec![0; PICTURE_BYTES];
        nal[0] = if is_irap { 20 << 1 } else { 1 << 1 };
        let frame = CodedFrame::new(CodecId::H265, RtpTicks(number), vec![nal.into()]);
        self.outputs.offer(&frame, self.now, |_| frame.clone());
    }
}

/// Twenty times what is sent.
const FAST: f64 = 20.0 * PICTURE_BYTES as f64 * 30.0;

#[test]
fn a_link_that_stands_still_takes_nothing_from_the_others() {
    let mut rig = Rig::new(&[FAST, 0.0, FAST]);
    rig.run(600);
    assert_eq!(rig.skipped, []);
    for link in [0, 2] {
        assert_eq!(rig.links[link].arrived, (1..=600).collect::<Vec<_>>());
    }
    assert!(rig.links[1].arrived.is_empty());
    assert!(rig.links[1].state.counts().dropped > 500);
    // Only the first picture was requested: an output that takes nothing has no use for another.
    assert_eq!(rig.iraps, [1]);
}

#[test]
fn a_slow_link_gets_what_fits_from_irap_to_irap_and_the_encoder_goes_by_the_fast_one() {
    let mut rig = Rig::new(&[FAST, PICTURE_BYTES as f64 * 10.0]);
    rig.run(900);
    assert_eq!(rig.skipped, []);
    assert_eq!(rig.links[0].arrived.len(), 900);
    let slow = &rig.links[1].arrived;
    // A third would fit; but what builds on a picture that was missed is useless, and IRAP pictures are rare.
    assert!((45..=320).contains(&slow.len()), "{} pictures came", slow.len());
    // What it missed, it took up again with an IRAP picture.
    let gaps = slow.windows(2).filter(|pair| pair[1] != pair[0] + 1);
    assert!(gaps.clone().count() > 0);
    gaps.for_each(|pair| assert!(rig.iraps.contains(&pair[1]), "{pair:?}"));
    // The first was for the connections, the others for the slow link.
    let requested = rig.iraps[1..].windows(2);
    requested.for_each(|pair| assert!(pair[1] - pair[0] >= 60, "IRAP pictures {pair:?}"));
}

#[test]
fn a_single_output_decides_what_is_worth_coding() {
    let mut rig = Rig::new(&[FAST]);
    rig.links[0].state.set_disconnected(None);
    rig.run(3);
    assert_eq!(rig.skipped, [Skip::NoConnection; 3]);
    rig.links[0].state.set_connected(None);
    rig.run(30);
    assert_eq!(rig.links[0].arrived, (4..=33).collect::<Vec<_>>());
    rig.links[0].bytes_per_second = 0.0;
    rig.run(60);
    assert!(rig.skipped.iter().filter(|skip| **skip == Skip::Backlog).count() > 30);
    assert_eq!(rig.links[0].state.counts().dropped, 0, "what is skipped before it is coded breaks nothing");
}

#[test]
fn an_output_that_comes_back_begins_with_an_irap_picture_that_is_made_for_it() {
    let mut rig = Rig::new(&[FAST, FAST]);
    rig.run(10);
    rig.links[1].state.set_disconnected(Some("gone".to_owned()));
    rig.run(10);
    rig.links[1].state.set_connected(None);
    rig.run(10);
    assert_eq!(rig.links[0].arrived, (1..=30).collect::<Vec<_>>());
    assert_eq!(rig.links[1].arrived, (1..=10).chain(21..=30).collect::<Vec<_>>());
    assert_eq!(rig.iraps, [1, 21]);
}

#[test]
fn where_all_links_are_slow_the_encoder_goes_by_the_fastest() {
    let takes = |pictures_per_second: f64| PICTURE_BYTES as f64 * pictures_per_second;
    let mut alone = Rig::new(&[takes(20.0)]);
    alone.run(900);
    let mut rig = Rig::new(&[takes(20.0), takes(8.0)]);
    rig.run(900);
    let [fast, slow] = [0, 1].map(|link| rig.links[link].arrived.len());
    let alone = alone.links[0].arrived.len();
    assert!(fast * 10 > alone * 9, "{fast} pictures by a link that takes {alone} alone, {slow} by a slower one");
}
