//! The publish stage of the sender: one output, its queue, and its reconnects.
//!
//! Queue `output`: coded pictures between the encoder's thread and the output's task, at most [`OUTPUT_DEPTH`]. It only
//! fills when the link stalls, and then the capture side skips raw pictures long before; should it fill all the same,
//! coded pictures are dropped up to the next IRAP picture, which is asked for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, bail};
use bytes::Bytes;
use hevcast_net::backlog::Backlog;
use hevcast_net::publish::{OutgoingPicture, PublishNews, Publisher};
use hevcast_net::reconnect::Backoff;
use hevcast_net::{Clock, NetError, Target};
use hevcast_wire::rtp::tmmbr::UNLIMITED_BPS;
use hevcast_wire::rtsp::clock::ClockOffset;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::gap::DropToIrap;
use super::stage::EndGuard;
use crate::USER_AGENT;

/// Depth of the queue `output`, in pictures.
pub const OUTPUT_DEPTH: usize = 32;

/// What the encoder's thread and the output's task tell each other.
#[derive(Debug, Default)]
pub struct OutputState {
    /// Pictures that have not left.
    pub backlog: Backlog,
    connected: AtomicBool,
    keyframe_wanted: AtomicBool,
    /// What the server says that its readers take, bits/s; 0: not limited.
    readers_limit_bps: AtomicU64,
    server_clock: Mutex<Option<ClockOffset>>,
    sent_pictures: AtomicU64,
    sent_bytes: AtomicU64,
    reconnects: AtomicU64,
    dropped: AtomicU64,
}

impl OutputState {
    /// Whether the server takes pictures now.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Whether the next picture should be an IRAP picture; asking clears it.
    pub fn take_keyframe_wanted(&self) -> bool {
        self.keyframe_wanted.swap(false, Ordering::AcqRel)
    }

    /// The most that the server's readers take, bits/s, if they are limited.
    pub fn readers_limit_bps(&self) -> Option<u64> {
        Some(self.readers_limit_bps.load(Ordering::Relaxed)).filter(|&limit| limit != 0)
    }

    fn limit_readers(&self, limit_bps: u64) {
        let limit_bps = if limit_bps >= UNLIMITED_BPS { 0 } else { limit_bps.max(1) };
        self.readers_limit_bps.store(limit_bps, Ordering::Relaxed);
    }

    /// The server's clock as last measured.
    pub fn server_clock(&self) -> Option<ClockOffset> {
        *self.server_clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pictures whose last byte the kernel has taken.
    pub fn sent_pictures(&self) -> u64 {
        self.sent_pictures.load(Ordering::Relaxed)
    }

    /// Bytes the kernel has taken, framing included.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Times the connection came back.
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Coded pictures given up because the queue was full or the connection broke.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Stamps are in this server's time from now on.
    fn go_by(&self, publisher: &Publisher) {
        *self.server_clock.lock().unwrap_or_else(PoisonError::into_inner) = publisher.clock();
    }

    fn give_up(&self, pictures: u64) {
        self.dropped.fetch_add(pictures, Ordering::Relaxed);
        self.keyframe_wanted.store(true, Ordering::Release);
    }
}

/// The encoder's end of an output.
#[derive(Debug)]
pub struct OutputQueue {
    state: Arc<OutputState>,
    queue: mpsc::Sender<OutgoingPicture>,
    rule: DropToIrap,
}

impl OutputQueue {
    /// Hands over a picture; drops it, and counts that, when it cannot be sent or would not decode.
    pub fn offer(&mut self, picture: OutgoingPicture, is_irap: bool, now: Instant) {
        let Self { state, queue, rule } = self;
        let sent = rule.offer(is_irap, || {
            state.backlog.enter(picture.size_bytes(), now);
            let sent = queue.try_send(picture).is_ok();
            if !sent {
                state.backlog.withdraw();
            }
            sent
        });
        if !sent {
            state.give_up(1);
        }
    }
}

/// Everything needed to open an output, again and again.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    /// Where to.
    pub target: Target,
    /// SDP of the stream.
    pub description: Bytes,
    /// SSRC of its packets.
    pub ssrc: u32,
    /// Clock for stamps and time-outs.
    pub clock: Clock,
}

impl OutputSettings {
    async fn connect(&self) -> std::result::Result<Publisher, NetError> {
        Publisher::connect(&self.target, USER_AGENT, self.description.clone(), self.ssrc, self.clock).await
    }
}

/// A running output: its queue, its state and its task.
#[derive(Debug)]
pub struct Output {
    /// The encoder's end.
    pub queue: OutputQueue,
    /// Shared figures.
    pub state: Arc<OutputState>,
    /// Ends when the queue is closed and sent, or `stop` says so.
    pub task: JoinHandle<Result<()>>,
}

/// Connects, and starts the output's task, whose end `guard` tells of.
///
/// # Errors
/// The first connection's failure; later ones are retried.
pub async fn start(
    settings: OutputSettings,
    stop: watch::Receiver<bool>,
    guard: EndGuard,
) -> std::result::Result<Output, NetError> {
    let publisher = settings.connect().await?;
    let state = Arc::new(OutputState::default());
    state.connected.store(true, Ordering::Release);
    let (sender, receiver) = mpsc::channel(OUTPUT_DEPTH);
    let queue = OutputQueue { state: Arc::clone(&state), queue: sender, rule: DropToIrap::default() };
    let running = run(publisher, settings, receiver, Arc::clone(&state), stop);
    let task = tokio::spawn(async move {
        let _guard = guard;
        running.await
    });
    Ok(Output { queue, state, task })
}

/// Why a connection was left.
enum Left {
    /// The queue was closed or the user stopped.
    Done,
    /// The server or the network; worth trying again.
    Lost(String),
    /// The server said goodbye. Coming back at once would throw out whoever took over, and be thrown out again.
    Dismissed,
}

async fn run(
    mut publisher: Publisher,
    settings: OutputSettings,
    mut queue: mpsc::Receiver<OutgoingPicture>,
    state: Arc<OutputState>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    loop {
        let left = publish(&mut publisher, &mut queue, &state, &mut stop).await;
        state.connected.store(false, Ordering::Release);
        let why = match left {
            Left::Lost(why) => why,
            Left::Done => {
                publisher.close().await;
                return Ok(());
            }
            Left::Dismissed => bail!(
                "{}: the server ended the session; another sender may have taken over, or somebody ended it there",
                settings.target.url
            ),
        };
        tracing::warn!("{why}; trying again");
        drop(publisher);
        let again = reconnect(&settings, &mut queue, &mut stop).await;
        // What was coded for the old connection cannot be decoded on the new one.
        while queue.try_recv().is_ok() {}
        state.give_up(state.backlog.clear() as u64);
        match again {
            Some(again) => publisher = again,
            None => return Ok(()),
        }
        tracing::info!("connected to {} again", settings.target.url);
        // Before the first picture: by the lost server's clock its stamp could not be compared.
        state.go_by(&publisher);
        state.reconnects.fetch_add(1, Ordering::Relaxed);
        state.limit_readers(UNLIMITED_BPS);
        state.keyframe_wanted.store(true, Ordering::Release);
        state.connected.store(true, Ordering::Release);
    }
}

/// Sends pictures over one connection for as long as it lasts.
async fn publish(
    publisher: &mut Publisher,
    queue: &mut mpsc::Receiver<OutgoingPicture>,
    state: &OutputState,
    stop: &mut watch::Receiver<bool>,
) -> Left {
    let mut in_flight = false;
    let (before, mut last_bytes) = (state.sent_bytes(), 0);
    loop {
        if last_bytes != publisher.sent_bytes() {
            state.backlog.progress(publisher.sent_bytes() - last_bytes);
            last_bytes = publisher.sent_bytes();
            state.sent_bytes.store(before + last_bytes, Ordering::Relaxed);
        }
        if in_flight && publisher.is_drained() {
            in_flight = false;
            state.backlog.leave(Instant::now());
            state.sent_pictures.fetch_add(1, Ordering::Relaxed);
        }
        state.go_by(publisher);
        tokio::select! {
            picture = queue.recv(), if !in_flight => match picture {
                Some(picture) => {
                    publisher.queue(picture);
                    in_flight = true;
                }
                None => return Left::Done,
            },
            news = publisher.turn() => match news {
                Ok(PublishNews::Sent) => {}
                Ok(PublishNews::RateLimited(limit_bps)) => state.limit_readers(limit_bps),
                Ok(PublishNews::KeyframeRequested) => state.keyframe_wanted.store(true, Ordering::Release),
                Ok(PublishNews::Ended) => return Left::Dismissed,
                Err(error) => return Left::Lost(error.to_string()),
            },
            _ = stop.changed() => return Left::Done,
        }
    }
}

/// Tries until it works; `None` when the user stopped, or the source has ended and nothing is left to send.
async fn reconnect(
    settings: &OutputSettings,
    queue: &mut mpsc::Receiver<OutgoingPicture>,
    stop: &mut watch::Receiver<bool>,
) -> Option<Publisher> {
    let mut backoff = Backoff::default();
    let try_again = async {
        loop {
            tokio::time::sleep(backoff.pause()).await;
            match settings.connect().await {
                Ok(publisher) => return publisher,
                Err(error) => tracing::debug!("{error}"),
            }
        }
    };
    tokio::select! {
        publisher = try_again => Some(publisher),
        () = closed(queue) => None,
        _ = stop.changed() => None,
    }
}

/// Gives pictures up until no more can come.
async fn closed(queue: &mut mpsc::Receiver<OutgoingPicture>) {
    while queue.recv().await.is_some() {}
}
