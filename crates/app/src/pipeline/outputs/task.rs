//! An output's task: connects, sends, and connects again.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hevcast_net::publish::PublishNews;
use hevcast_net::reconnect::Backoff;
use hevcast_wire::rtp::Packetizer;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::line::{CodedPicture, Line, LineError};
use super::state::OutputState;
use super::{Arc, OutputSettings};

/// Why a connection was left.
enum Left {
    /// The queue was closed, and all that was in it has left.
    Done,
    /// The user stopped.
    Stopped,
    /// The server or the network; worth trying again.
    Lost(String),
    /// The server said goodbye. Coming back at once would throw out whoever took over, and be thrown out again.
    Dismissed,
}

/// For this long pictures have to be taken before a lost connection counts as one that sent any: what the system took of
/// the others may never have been read.
const PROVEN: Duration = Duration::from_secs(1);

/// A server that takes not one byte for so long, though a picture waits for it, is lost: it hangs, or its end of the
/// connection is gone. Far above what a network stands still for.
const TAKES_NOTHING: Duration = Duration::from_secs(10);

/// How a connection went.
struct Sent {
    /// Pictures were taken for so long.
    lasted: Duration,
    /// Any were.
    any: bool,
}

/// What became of the first try to connect.
pub(super) enum First {
    Connected(Line),
    /// It takes long.
    Connecting(JoinHandle<Result<Line, LineError>>),
    Failed(LineError),
}

/// One output's.
pub(super) struct Task {
    pub(super) settings: OutputSettings,
    /// Counts on over connections.
    pub(super) packetizer: Packetizer,
    pub(super) queue: mpsc::Receiver<CodedPicture>,
    pub(super) state: Arc<OutputState>,
    pub(super) stop: watch::Receiver<bool>,
    /// Over all connections.
    pub(super) backoff: Backoff,
}

impl Task {
    /// Sends by the first line, or by one still to be had, for as long as there is something to send.
    ///
    /// # Errors
    /// What another try cannot help; or, when the end comes while there is no connection, that no picture is known to have arrived.
    pub(super) async fn run(mut self, first: First) -> Result<()> {
        let is_connected = matches!(first, First::Connected(_));
        let mut line = match first {
            First::Connected(line) => Some(line),
            First::Failed(_) => None,
            First::Connecting(connecting) => self.wait_for(connecting).await,
        };
        // Of a line that was there at the start, `start` has told.
        let (mut is_told, mut is_first) = (is_connected, true);
        let mut has_sent = false;
        loop {
            let mut connected = match line.take() {
                Some(line) => line,
                None => match self.connect_again().await {
                    Some(line) => line,
                    None if has_sent => return Ok(()),
                    None => return self.nothing_sent(),
                },
            };
            if !std::mem::take(&mut is_first) {
                tracing::info!("connected to {} again", self.settings.target.shown());
                self.state.reconnected();
            }
            if !std::mem::take(&mut is_told) {
                self.state.connected(connected.clock());
            }
            let (left, sent) = self.publish(&mut connected).await;
            self.backoff.ended(sent.lasted);
            has_sent |= sent.any && (sent.lasted >= PROVEN || matches!(left, Left::Done | Left::Stopped));
            let why = match left {
                Left::Lost(why) => why,
                Left::Done => {
                    self.state.disconnected(None);
                    tokio::select! {
                        () = connected.close() => {}
                        _ = self.stop.changed() => {}
                    }
                    return Ok(());
                }
                Left::Stopped => {
                    self.state.disconnected(None);
                    connected.close_now().await;
                    return Ok(());
                }
                Left::Dismissed => {
                    let why =
                        "the server ended the session; another sender may have taken over, or somebody ended it there";
                    self.state.disconnected(Some(why.to_owned()));
                    bail!("{}: {why}", self.settings.target.shown())
                }
            };
            tracing::warn!("{why}; trying again");
            self.state.disconnected(Some(why));
        }
    }

    /// The end has come, and no server has taken pictures for longer than a moment.
    fn nothing_sent(&self) -> Result<()> {
        match self.state.trouble() {
            Some(why) => bail!("{}: no picture is known to have arrived: {why}", self.settings.target.shown()),
            None => Ok(()),
        }
    }

    /// Waits for the first line, which takes long; `None` when it is not to be had, or the user has stopped.
    async fn wait_for(&mut self, connecting: JoinHandle<Result<Line, LineError>>) -> Option<Line> {
        let connected = tokio::select! {
            connected = connecting => connected,
            _ = self.stop.wait_for(|stop| *stop) => return None,
        };
        match connected {
            Ok(Ok(line)) => Some(line),
            Ok(Err(error)) => {
                tracing::warn!("{error}; trying again");
                self.state.disconnected(Some(error.to_string()));
                None
            }
            // It panicked, which its own message tells.
            Err(_) => None,
        }
    }

    /// Sends pictures over one connection for as long as it lasts.
    async fn publish(&mut self, line: &mut Line) -> (Left, Sent) {
        let begun = Instant::now();
        let mut last_sent = None;
        let left = self.publish_until_left(line, &mut last_sent).await;
        let lasted = last_sent.map_or(Duration::ZERO, |last| last - begun);
        (left, Sent { lasted, any: last_sent.is_some() })
    }

    async fn publish_until_left(&mut self, line: &mut Line, last_sent: &mut Option<Instant>) -> Left {
        let Self { packetizer, queue, state, stop, .. } = self;
        let mut in_flight = false;
        let mut last_bytes = 0;
        let mut moved = Instant::now();
        loop {
            if last_bytes != line.sent_bytes() {
                state.sent(line.sent_bytes() - last_bytes);
                (last_bytes, moved) = (line.sent_bytes(), Instant::now());
            }
            if in_flight && line.is_drained() {
                in_flight = false;
                let now = Instant::now();
                *last_sent = Some(now);
                state.backlog.leave(now);
                state.sent_picture();
            }
            state.go_by(line.clock());
            tokio::select! {
                picture = queue.recv(), if !in_flight => match picture {
                    Some(picture) => match line.queue(picture, packetizer) {
                        Ok(()) => (in_flight, moved) = (true, Instant::now()),
                        Err(error) => return Left::Lost(error.to_string()),
                    },
                    None => return Left::Done,
                },
                news = line.turn() => match news {
                    Ok(PublishNews::Sent) => {}
                    Ok(PublishNews::RateLimited(limit_bps)) => state.limit_readers(limit_bps),
                    Ok(PublishNews::KeyframeRequested) => state.want_keyframe(),
                    Ok(PublishNews::Ended) => return Left::Dismissed,
                    Err(error) => return Left::Lost(error.to_string()),
                },
                () = tokio::time::sleep_until((moved + TAKES_NOTHING).into()), if in_flight => {
                    let seconds = TAKES_NOTHING.as_secs();
                    return Left::Lost(format!("the server takes nothing for {seconds} s, though the connection stands"));
                }
                _ = stop.changed() => return Left::Stopped,
            }
        }
    }

    /// Tries until it works; `None` when the user stopped, or the source has ended and nothing is left to send.
    async fn connect_again(&mut self) -> Option<Line> {
        let Self { settings, queue, state, stop, backoff, .. } = self;
        let try_again = async {
            loop {
                // Without randomness all come back at once, and that is no reason not to come back.
                tokio::time::sleep(backoff.pause(getrandom::u32().unwrap_or_default())).await;
                match Line::connect(settings).await {
                    Ok(line) => return line,
                    Err(error) => {
                        tracing::debug!("{error}");
                        state.disconnected(Some(error.to_string()));
                    }
                }
            }
        };
        let again = tokio::select! {
            line = try_again => Some(line),
            () = closed(queue) => None,
            _ = stop.changed() => None,
        };
        // What was coded for the old connection cannot be decoded on the new one.
        while queue.try_recv().is_ok() {}
        state.drop_pictures(state.backlog.clear() as u64);
        again
    }
}

/// Gives pictures up until no more can come.
async fn closed(queue: &mut mpsc::Receiver<CodedPicture>) {
    while queue.recv().await.is_some() {}
}
