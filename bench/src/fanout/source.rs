//! The one sender: synthetic [`Pictures`] at a camera's frame rate, on a thread of its own, to a server over RTSP or as bare
//! bytes to a [`super::bare_writer`]. Both get the same bytes, and both notes are taken at the same point: before the
//! first byte is written. To a server, a picture goes in one write or packet by packet: see [`Publishing`].
//!
//! What cannot be written waits here. That has no bound of its own: a run lasts some seconds.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::ValueEnum;
use hevcast_media::FrameRate;
use hevcast_net::publish::{OutgoingPicture, PublishEvent, Publisher};
use hevcast_net::{Clock, Target};
use hevcast_wire::rtp::interleave;
use hevcast_wire::rtsp::sdp::publisher_description;

use super::pictures::{PICTURES_PER_SECOND, Picture, Pictures, SSRC, parameter_sets};
use super::queued::QueuedAt;
use crate::frame_schedule::FrameSchedule;

/// How long a server may take to record.
const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes before each picture that say how long it is, for the bare writer.
pub const LENGTH_BYTES: usize = 4;
/// The RTP channel of a bare picture's frames.
const RTP_CHANNEL: u8 = 0;

/// How a publisher writes a picture to its socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Publishing {
    /// All packets in one write, as hevcast does.
    #[default]
    Picture,
    /// Each packet by a write of its own, one right after another, as FFmpeg does.
    Packets,
}

impl Publishing {
    /// As it is named on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Publishing::Picture => "picture",
            Publishing::Packets => "packets",
        }
    }
}

/// A running sender.
#[derive(Debug)]
pub struct Source {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Sent>>,
}

/// What it did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// Pictures sent.
    pub pictures: u64,
    /// How often the machine was too busy for the schedule.
    pub moved: u64,
    /// Keyframes that the server requested.
    pub keyframe_requests: u64,
}

impl Source {
    /// Publishes to a server; it records when this returns.
    ///
    /// # Errors
    /// When it does not.
    pub fn publish(url: &str, publishing: Publishing, queued: Arc<QueuedAt>) -> Result<Source> {
        let target = Target::parse(url)?;
        Source::start(move |stop, ready| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(publish(&target, publishing, &queued, stop, ready))
        })
    }

    /// Gives pictures to the bare writer that listens for them at `address`.
    ///
    /// # Errors
    /// When it does not listen.
    pub fn feed(address: SocketAddr, queued: Arc<QueuedAt>) -> Result<Source> {
        Source::start(move |stop, ready| feed(address, &queued, stop, ready))
    }

    fn start(run: impl FnOnce(&AtomicBool, SyncSender<()>) -> Result<Sent> + Send + 'static) -> Result<Source> {
        let (ready, is_ready) = mpsc::sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let source = Source { stop, thread: std::thread::spawn(move || run(&stopped, ready)) };
        match is_ready.recv_timeout(READY_TIMEOUT) {
            Ok(()) => Ok(source),
            Err(mpsc::RecvTimeoutError::Timeout) => bail!("nobody takes the pictures"),
            Err(mpsc::RecvTimeoutError::Disconnected) => match source.stop() {
                Err(error) => Err(error),
                Ok(_) => bail!("the sender ended before it began"),
            },
        }
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// When it had ended before by a failure.
    pub fn stop(self) -> Result<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the sender's thread panicked"))?.context("the sender")
    }
}

impl Sent {
    /// Counts what an event of the connection asks for; true where that is a keyframe.
    fn take(&mut self, event: PublishEvent) -> Result<bool> {
        match event {
            PublishEvent::KeyframeRequested => {
                self.keyframe_requests += 1;
                Ok(true)
            }
            PublishEvent::Sent | PublishEvent::RateLimited(_) => Ok(false),
            PublishEvent::Ended => bail!("the server ended the session"),
        }
    }
}

async fn publish(
    target: &Target,
    publishing: Publishing,
    queued: &QueuedAt,
    stop: &AtomicBool,
    ready: SyncSender<()>,
) -> Result<Sent> {
    let clock = Clock::default();
    let description = publisher_description("hevcast-bench", &parameter_sets());
    let mut publisher = Publisher::connect(target, "hevcast-bench", description, SSRC, clock).await?;
    let _ = ready.try_send(());
    let (mut sent, mut pictures) = (Sent::default(), Pictures::new());
    let mut schedule = FrameSchedule::new(FrameRate::whole(PICTURES_PER_SECOND));
    let mut keyframe_wanted = false;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let deadline = now + schedule.next(now).unwrap_or_default();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(deadline.into()) => break,
                event = publisher.next_event() => keyframe_wanted |= sent.take(event?)?,
            }
        }
        let Picture { packets, timestamp, first_sequence_number } = pictures.next(keyframe_wanted)?;
        keyframe_wanted = false;
        queued.note(first_sequence_number, packets.len());
        let captured = clock.now().utc;
        match publishing {
            Publishing::Picture => publisher.queue(OutgoingPicture { packets, timestamp, captured }),
            Publishing::Packets => {
                for packet in packets {
                    publisher.queue(OutgoingPicture { packets: vec![packet], timestamp, captured });
                    while !publisher.is_drained() {
                        keyframe_wanted |= sent.take(publisher.next_event().await?)?;
                    }
                }
            }
        }
        sent.pictures += 1;
    }
    publisher.close().await;
    Ok(Sent { moved: schedule.moved(), ..sent })
}

fn feed(address: SocketAddr, queued: &QueuedAt, stop: &AtomicBool, ready: SyncSender<()>) -> Result<Sent> {
    let mut stream = TcpStream::connect(address).context("the bare writer does not take pictures")?;
    stream.set_nodelay(true)?;
    let _ = ready.try_send(());
    let (mut sent, mut pictures) = (Sent::default(), Pictures::new());
    let mut schedule = FrameSchedule::new(FrameRate::whole(PICTURES_PER_SECOND));
    let mut framed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        schedule.wait();
        let picture = pictures.next(false)?;
        frame(&picture, &mut framed)?;
        queued.note(picture.first_sequence_number, picture.packets.len());
        stream.write_all(&framed).context("the bare writer has gone")?;
        sent.pictures += 1;
    }
    Ok(Sent { moved: schedule.moved(), ..sent })
}

/// A picture as a server sends it to a reader, behind its length.
fn frame(picture: &Picture, framed: &mut Vec<u8>) -> Result<()> {
    framed.clear();
    framed.extend_from_slice(&[0; LENGTH_BYTES]);
    for packet in &picture.packets {
        ensure!(packet.size_bytes() <= usize::from(u16::MAX), "a packet that no frame can hold");
        framed.extend_from_slice(&interleave::frame_header(RTP_CHANNEL, packet.size_bytes() as u16));
        framed.extend_from_slice(&packet.prefix);
        framed.extend_from_slice(&packet.payload);
    }
    let len = (framed.len() - LENGTH_BYTES) as u32;
    framed[..LENGTH_BYTES].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::framing::Framing;
    use super::*;

    #[test]
    fn a_bare_picture_is_what_a_reader_of_a_server_gets() {
        let picture = Pictures::new().next(false).unwrap();
        let mut framed = vec![1, 2, 3];
        frame(&picture, &mut framed).unwrap();
        let (length, frames) = framed.split_at(LENGTH_BYTES);
        assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, frames.len());
        let mut numbers = Vec::new();
        Framing::default().feed(frames, |packet| numbers.push((packet.sequence_number, packet.marker))).unwrap();
        assert_eq!(numbers.len(), picture.packets.len());
        assert_eq!(numbers.iter().position(|(_, marker)| *marker), Some(numbers.len() - 1));
    }
}
