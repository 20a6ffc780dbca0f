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

/// Why publishing over a connection ended.
enum PublishEnd {
    /// The queue was closed, and all that was in it has left.
    Done,
    /// The user stopped.
    Stopped,
    /// The server or the network failed, in one line; worth trying again.
    Lost(String),
    /// The server ended the session. Connecting again at once would end the session of a sender that took over, which would do the same.
    EndedByServer,
}

/// For this long frames have to be taken before a lost connection counts as one that sent any: what the kernel took of a
/// shorter one may never have been read.
const PROVEN_AFTER: Duration = Duration::from_secs(1);

/// A server that takes not one byte for so long, though a picture waits for it, is lost: it hangs, or its end of the
/// connection is gone. Far above what a network stands still for.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// What was sent over one connection.
struct Sent {
    /// From its beginning to the last frame that was taken.
    lasted: Duration,
    /// Any frame was taken.
    any: bool,
}

/// The task of one output, which owns its connections.
pub(super) struct Task<C: Connector> {
    pub(super) connector: C,
    /// Where to, without a password.
    pub(super) shown: String,
    /// There is no other output, so that a first connection that fails ends the command.
    pub(super) is_alone: bool,
    pub(super) queue: mpsc::Receiver<CodedFrame>,
    pub(super) state: Arc<OutputState>,
    pub(super) stop: watch::Receiver<bool>,
    /// The pauses between connections, which grow while they fail.
    pub(super) backoff: Backoff,
}

impl<C: Connector> Task<C> {
    /// Connects and sends, again and again, for as long as there is something to send. What became of the first connection goes to
    /// `first`; where that is an error that another try cannot help, or there is no other output, the task ends.
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
                // Before the source gives its first picture, which would be skipped otherwise.
                self.state.set_connected(output.server_clock());
                // Whoever does not wait any longer reads the state.
                let _ = first.send(Ok(()));
                Some(output)
            }
            Err(error) => {
                let is_over = self.is_alone || !error.is_temporary();
                if !self.is_alone {
                    let what = if is_over { "the other outputs go on without it" } else { "trying again" };
                    tracing::warn!("{error}; {what}");
                }
                self.state.set_disconnected(Some(error.to_string()));
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
                            self.state.count_reconnect();
                        }
                        self.state.set_connected(output.server_clock());
                        output
                    }
                    None if has_sent => return Ok(()),
                    None => return self.end_without_connection(),
                },
            };
            is_first = false;
            let (end, sent) = self.publish(&mut connected).await;
            self.backoff.ended(sent.lasted);
            has_sent |=
                sent.any && (sent.lasted >= PROVEN_AFTER || matches!(end, PublishEnd::Done | PublishEnd::Stopped));
            let why = match end {
                PublishEnd::Lost(why) => why,
                PublishEnd::Done => {
                    self.state.set_disconnected(None);
                    tokio::select! {
                        () = connected.close(Close::AfterLastFrame) => {}
                        _ = self.stop.changed() => {}
                    }
                    return Ok(());
                }
                PublishEnd::Stopped => {
                    self.state.set_disconnected(None);
                    connected.close(Close::Now).await;
                    return Ok(());
                }
                PublishEnd::EndedByServer => {
                    let why =
                        "the server ended the session; another sender may have taken over, or somebody ended it there";
                    self.state.set_disconnected(Some(why.to_owned()));
                    bail!("{}: {why}", self.shown)
                }
            };
            tracing::warn!("{why}; trying again");
            self.state.set_disconnected(Some(why));
        }
    }

    /// The end has come while there is no connection, and no server has taken frames for [`PROVEN_AFTER`].
    fn end_without_connection(&self) -> Result<()> {
        match self.state.trouble() {
            Some(why) => bail!("{}: no picture is known to have arrived: {why}", self.shown),
            None => Ok(()),
        }
    }

    /// Sends frames over one connection for as long as it lasts.
    async fn publish(&mut self, output: &mut C::Output) -> (PublishEnd, Sent) {
        let begun = Instant::now();
        let mut last_sent = None;
        let end = self.publish_until_end(output, &mut last_sent).await;
        let lasted = last_sent.map_or(Duration::ZERO, |last| last - begun);
        (end, Sent { lasted, any: last_sent.is_some() })
    }

    async fn publish_until_end(&mut self, output: &mut C::Output, last_sent: &mut Option<Instant>) -> PublishEnd {
        let Self { queue, state, stop, .. } = self;
        let mut in_flight = false;
        let mut last_bytes = 0;
        let mut progressed = Instant::now();
        loop {
            if last_bytes != output.sent_bytes() {
                state.count_sent_bytes(output.sent_bytes() - last_bytes);
                (last_bytes, progressed) = (output.sent_bytes(), Instant::now());
            }
            if in_flight && output.is_drained() {
                in_flight = false;
                let now = Instant::now();
                *last_sent = Some(now);
                state.backlog.leave(now);
                state.count_sent_frame();
            }
            state.set_server_clock(output.server_clock());
            tokio::select! {
                frame = queue.recv(), if !in_flight => match frame {
                    Some(frame) => match output.offer(frame) {
                        Ok(()) => (in_flight, progressed) = (true, Instant::now()),
                        Err(error) => return PublishEnd::Lost(error.to_string()),
                    },
                    None => return PublishEnd::Done,
                },
                event = output.event() => match event {
                    Ok(PublishEvent::Sent) => {}
                    Ok(PublishEvent::RateLimited(limit_bps)) => state.set_readers_limit(limit_bps),
                    Ok(PublishEvent::KeyframeRequested) => state.request_keyframe(),
                    Ok(PublishEvent::Ended) => return PublishEnd::EndedByServer,
                    Err(error) => return PublishEnd::Lost(error.to_string()),
                },
                () = tokio::time::sleep_until((progressed + SEND_TIMEOUT).into()), if in_flight => {
                    let seconds = SEND_TIMEOUT.as_secs();
                    return PublishEnd::Lost(format!("the server takes nothing for {seconds} s, though the connection stands"));
                }
                _ = stop.changed() => return PublishEnd::Stopped,
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
                        state.set_disconnected(Some(error.to_string()));
                    }
                }
            }
        };
        let again = tokio::select! {
            output = try_again => Some(output),
            () = drop_until_closed(queue) => None,
            _ = stop.changed() => None,
        };
        // What was coded for the old connection cannot be decoded on the new one.
        while queue.try_recv().is_ok() {}
        state.count_dropped(state.backlog.clear() as u64);
        again
    }
}

/// Drops what comes until the queue is closed.
async fn drop_until_closed(queue: &mut mpsc::Receiver<CodedFrame>) {
    while queue.recv().await.is_some() {}
}
