//! An output's task: connects, sends, and connects again.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hevcast_net::publish::PublishEvent;
use hevcast_net::reconnect::Backoff;
use hevcast_wire::CodedFrame;
use tokio::sync::{mpsc, oneshot, watch};

use super::Arc;
use super::output::{Close, Connector, Output, OutputError};
use super::state::OutputState;

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

/// One output's.
pub(super) struct Task<C: Connector> {
    pub(super) connector: C,
    /// Where to, without a password.
    pub(super) shown: String,
    /// There is no other output: a first connection that fails ends the command.
    pub(super) is_alone: bool,
    pub(super) queue: mpsc::Receiver<CodedFrame>,
    pub(super) state: Arc<OutputState>,
    pub(super) stop: watch::Receiver<bool>,
    /// Over all connections.
    pub(super) backoff: Backoff,
}

impl<C: Connector> Task<C> {
    /// Connects and sends, again and again, for as long as there is something to send. `first` is told what became of the
    /// first connection; where that is an error that another try cannot help, or there is no other output, the task ends.
    ///
    /// # Errors
    /// What another try cannot help; or, when the end comes while there is no connection, that no picture is known to have arrived.
    pub(super) async fn run(mut self, first: oneshot::Sender<Result<(), OutputError>>) -> Result<()> {
        let connected = tokio::select! {
            connected = self.connector.connect() => connected,
            _ = self.stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let mut output = match connected {
            Ok(output) => {
                // Before the source gives its first picture, which would be passed over otherwise.
                self.state.connected(output.server_clock());
                // Who does not wait any longer goes by the state.
                let _ = first.send(Ok(()));
                Some(output)
            }
            Err(error) => {
                let is_over = self.is_alone || !error.is_temporary();
                if !self.is_alone {
                    let what = if is_over { "the other outputs go on without it" } else { "trying again" };
                    tracing::warn!("{error}; {what}");
                }
                self.state.disconnected(Some(error.to_string()));
                let _ = first.send(Err(error));
                if is_over {
                    return Ok(());
                }
                None
            }
        };
        let mut is_first = true;
        let mut has_sent = false;
        loop {
            let mut connected = match output.take() {
                Some(output) => output,
                None => match self.connect_again().await {
                    Some(output) => {
                        if !is_first {
                            tracing::info!("connected to {} again", self.shown);
                            self.state.reconnected();
                        }
                        self.state.connected(output.server_clock());
                        output
                    }
                    None if has_sent => return Ok(()),
                    None => return self.nothing_sent(),
                },
            };
            is_first = false;
            let (left, sent) = self.publish(&mut connected).await;
            self.backoff.ended(sent.lasted);
            has_sent |= sent.any && (sent.lasted >= PROVEN || matches!(left, Left::Done | Left::Stopped));
            let why = match left {
                Left::Lost(why) => why,
                Left::Done => {
                    self.state.disconnected(None);
                    tokio::select! {
                        () = connected.close(Close::AfterLastFrame) => {}
                        _ = self.stop.changed() => {}
                    }
                    return Ok(());
                }
                Left::Stopped => {
                    self.state.disconnected(None);
                    connected.close(Close::Now).await;
                    return Ok(());
                }
                Left::Dismissed => {
                    let why =
                        "the server ended the session; another sender may have taken over, or somebody ended it there";
                    self.state.disconnected(Some(why.to_owned()));
                    bail!("{}: {why}", self.shown)
                }
            };
            tracing::warn!("{why}; trying again");
            self.state.disconnected(Some(why));
        }
    }

    /// The end has come, and no server has taken pictures for longer than a moment.
    fn nothing_sent(&self) -> Result<()> {
        match self.state.trouble() {
            Some(why) => bail!("{}: no picture is known to have arrived: {why}", self.shown),
            None => Ok(()),
        }
    }

    /// Sends pictures over one connection for as long as it lasts.
    async fn publish(&mut self, output: &mut C::Output) -> (Left, Sent) {
        let begun = Instant::now();
        let mut last_sent = None;
        let left = self.publish_until_left(output, &mut last_sent).await;
        let lasted = last_sent.map_or(Duration::ZERO, |last| last - begun);
        (left, Sent { lasted, any: last_sent.is_some() })
    }

    async fn publish_until_left(&mut self, output: &mut C::Output, last_sent: &mut Option<Instant>) -> Left {
        let Self { queue, state, stop, .. } = self;
        let mut in_flight = false;
        let mut last_bytes = 0;
        let mut moved = Instant::now();
        loop {
            if last_bytes != output.sent_bytes() {
                state.sent(output.sent_bytes() - last_bytes);
                (last_bytes, moved) = (output.sent_bytes(), Instant::now());
            }
            if in_flight && output.is_drained() {
                in_flight = false;
                let now = Instant::now();
                *last_sent = Some(now);
                state.backlog.leave(now);
                state.sent_picture();
            }
            state.go_by(output.server_clock());
            tokio::select! {
                frame = queue.recv(), if !in_flight => match frame {
                    Some(frame) => match output.offer(frame) {
                        Ok(()) => (in_flight, moved) = (true, Instant::now()),
                        Err(error) => return Left::Lost(error.to_string()),
                    },
                    None => return Left::Done,
                },
                event = output.event() => match event {
                    Ok(PublishEvent::Sent) => {}
                    Ok(PublishEvent::RateLimited(limit_bps)) => state.limit_readers(limit_bps),
                    Ok(PublishEvent::KeyframeRequested) => state.want_keyframe(),
                    Ok(PublishEvent::Ended) => return Left::Dismissed,
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
    async fn connect_again(&mut self) -> Option<C::Output> {
        let Self { connector, queue, state, stop, backoff, .. } = self;
        let try_again = async {
            loop {
                // Without randomness all come back at once, and that is no reason not to come back.
                tokio::time::sleep(backoff.pause(getrandom::u32().unwrap_or_default())).await;
                match connector.connect().await {
                    Ok(output) => return output,
                    Err(error) => {
                        tracing::debug!("{error}");
                        state.disconnected(Some(error.to_string()));
                    }
                }
            }
        };
        let again = tokio::select! {
            output = try_again => Some(output),
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
async fn closed(queue: &mut mpsc::Receiver<CodedFrame>) {
    while queue.recv().await.is_some() {}
}
