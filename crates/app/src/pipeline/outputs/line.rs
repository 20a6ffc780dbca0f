//! One connection of an output, whatever it speaks.
//!
//! A line holds one picture at a time: the next is queued when the last has left ([`Line::is_drained`]), so that what
//! waits, waits where it can be aged.

use hevcast_media::srt::SrtError;
use hevcast_net::publish::{OutgoingPicture, PublishNews, Publisher};
use hevcast_net::{NetError, Protocol, rtmp};
use hevcast_wire::h265::AccessUnit;
use hevcast_wire::rtp::{DEFAULT_MAX_PAYLOAD, PacketizeError, Packetizer};
use hevcast_wire::rtsp::clock::ClockOffset;
use hevcast_wire::time::UtcMicros;

use super::OutputSettings;
use super::srt::SrtLine;
use crate::USER_AGENT;

/// A coded picture as an output gets it.
#[derive(Debug)]
pub struct CodedPicture {
    /// With its parameter sets, if it is an IRAP picture, and the capture-time SEI.
    pub unit: AccessUnit,
    /// When it was captured, by the sender's clock.
    pub captured: UtcMicros,
}

/// Why a line is not to be had, or is lost.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// RTSP's and RTMP's.
    #[error(transparent)]
    Net(#[from] NetError),
    /// SRT's.
    #[error(transparent)]
    Srt(#[from] SrtError),
    /// A picture of more than 65535 packets, or a broken one.
    #[error("a coded picture does not fit into packets: {0}")]
    Packetize(#[from] PacketizeError),
}

impl LineError {
    /// Whether trying again later may help without anybody changing the command.
    pub fn is_temporary(&self) -> bool {
        match self {
            LineError::Net(error) => error.is_temporary(),
            LineError::Srt(error) => error.is_temporary(),
            LineError::Packetize(_) => true,
        }
    }
}

/// A connection that takes pictures.
#[derive(Debug)]
pub enum Line {
    /// RTSP's RECORD.
    Rtsp(Box<Publisher>),
    /// Enhanced RTMP.
    Rtmp(Box<rtmp::Publisher>),
    /// MPEG-TS over SRT.
    Srt(SrtLine),
}

impl Line {
    /// Opens one.
    ///
    /// # Errors
    /// No connection, a refusal, or silence.
    pub async fn connect(settings: &OutputSettings) -> Result<Line, LineError> {
        let OutputSettings { target, description, ssrc, clock, size } = settings;
        Ok(match target.protocol() {
            Protocol::Srt => Line::Srt(SrtLine::connect(target, *size).await?),
            Protocol::Rtmp => Line::Rtmp(Box::new(rtmp::Publisher::connect(target, USER_AGENT, *clock).await?)),
            Protocol::Rtsp => {
                let publisher = Publisher::connect(target, USER_AGENT, description.clone(), *ssrc, *clock);
                Line::Rtsp(Box::new(publisher.await?))
            }
        })
    }

    /// Queues a picture, which RTSP wants in packets.
    ///
    /// # Errors
    /// When it does not fit into packets.
    pub fn queue(&mut self, picture: CodedPicture, packetizer: &mut Packetizer) -> Result<(), LineError> {
        let CodedPicture { unit, captured } = picture;
        match self {
            Line::Rtsp(publisher) => {
                let mut packets = Vec::with_capacity(unit.size_bytes() / DEFAULT_MAX_PAYLOAD + 4);
                packetizer.packetize(&unit, &mut packets)?;
                publisher.queue(OutgoingPicture { packets, timestamp: unit.timestamp, captured });
            }
            Line::Rtmp(publisher) => publisher.queue(&unit, captured)?,
            Line::Srt(srt) => srt.queue(unit),
        }
        Ok(())
    }

    /// Whether all that was queued has left.
    pub fn is_drained(&self) -> bool {
        match self {
            Line::Rtsp(publisher) => publisher.is_drained(),
            Line::Rtmp(publisher) => publisher.is_drained(),
            Line::Srt(srt) => srt.is_drained(),
        }
    }

    /// Waits for the next news. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The line is lost.
    pub async fn turn(&mut self) -> Result<PublishNews, LineError> {
        Ok(match self {
            Line::Rtsp(publisher) => publisher.next_event().await?,
            Line::Rtmp(publisher) => publisher.next_event().await?,
            Line::Srt(srt) => srt.turn().await?,
        })
    }

    /// The server's clock, if it tells.
    pub fn clock(&self) -> Option<ClockOffset> {
        match self {
            Line::Rtsp(publisher) => publisher.clock(),
            Line::Rtmp(_) | Line::Srt(_) => None,
        }
    }

    /// Bytes that have left by this line.
    pub fn sent_bytes(&self) -> u64 {
        match self {
            Line::Rtsp(publisher) => publisher.sent_bytes(),
            Line::Rtmp(publisher) => publisher.sent_bytes(),
            Line::Srt(srt) => srt.sent_bytes(),
        }
    }

    /// Ends without waiting for what is on its way; a server is told, where that goes promptly.
    pub async fn close_now(self) {
        match self {
            Line::Srt(srt) => drop(srt),
            other => other.close().await,
        }
    }

    /// Sends what is queued, for as long as that goes promptly, and ends.
    pub async fn close(self) {
        match self {
            Line::Rtsp(publisher) => publisher.close().await,
            Line::Rtmp(publisher) => publisher.close().await,
            Line::Srt(srt) => srt.close().await,
        }
    }
}
