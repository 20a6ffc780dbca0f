//! MPEG-TS over SRT, through FFmpeg's muxer and libsrt.
//!
//! SRT has a fixed latency, within which it retransmits lost datagrams; what arrives later is dropped by the protocol itself. A
//! call that waits for the network ends within a tenth of a second after its [`Stop`] was stopped.
//!
//! A frame is one PES packet with its length in the header, so that the receiver has it complete with its last byte and need
//! not wait for the next packet.

use std::fmt;

use bytes::Bytes;
use hevcast_wire::shown::shown;
use hevcast_wire::time::RtpTicks;
use hevcast_wire::{CodecId, CodedFrame, ParameterSets};

use crate::av::AvError;
use crate::av::demux::Demuxer;
use crate::av::mux::{Muxer, MuxerSetup};
use crate::av::options::Interrupt;
use crate::av::packet::Packet;
use crate::av::srt_log;
use crate::mux::TICKS_PER_SECOND;
use crate::stop::Stop;

/// Address and options of a connection: `srt://HOST:PORT`, and libsrt's options by FFmpeg's names.
#[derive(Clone)]
pub struct SrtAddress {
    /// `srt://HOST:PORT`, without options, so that it can be shown.
    pub url: String,
    /// Options by name, such as `streamid` or `passphrase`.
    pub options: Vec<(&'static str, String)>,
}

// Values are not shown: the passphrase must not be logged, and a stream id may contain a password.
impl fmt::Debug for SrtAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.options.iter().map(|(name, _)| *name).collect();
        f.debug_struct("SrtAddress").field("url", &self.url).field("options", &names).finish()
    }
}

impl SrtAddress {
    fn pairs(&self) -> Vec<(&str, &str)> {
        self.options.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// The error of a connection that failed, from FFmpeg's error and libsrt's log.
    fn failed(&self, error: AvError) -> SrtError {
        let url = self.url.clone();
        match (error, srt_log::take_refusal()) {
            (AvError::PROTOCOL_NOT_FOUND, _) => SrtError::Missing { url },
            (_, Some(reason)) if is_about_passphrase(&reason) => SrtError::Passphrase { url, reason },
            (_, Some(reason)) => SrtError::Refused { url, reason },
            // FFmpeg reports no more than this of a peer that does not answer.
            (error, None) if error.is_system() => SrtError::NoAnswer { url },
            (error, None) => SrtError::Failed { url, why: error.to_string() },
        }
    }
}

fn is_about_passphrase(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    ["passphrase", "password", "badsecret", "unsecure"].iter().any(|word| reason.contains(word))
}

/// Why an SRT connection could not be made, or was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtError {
    /// FFmpeg was built without libsrt.
    #[error("{url}: the FFmpeg of this computer does not support srt://; rtsp:// and rtmp:// work without it")]
    Missing {
        /// The address, without options.
        url: String,
    },
    /// The peer does not answer.
    #[error(
        "no SRT with {url}: nobody answers there; check the address and the port, which is one of UDP, and whether the \
             server or the other end is up"
    )]
    NoAnswer {
        /// The address, without options.
        url: String,
    },
    /// The passphrases of both ends do not agree.
    #[error("no SRT with {url}: it refused the passphrase ({}); both ends need the same, or none", shown(reason))]
    Passphrase {
        /// The address, without options.
        url: String,
        /// libsrt's reason.
        reason: String,
    },
    /// The peer refused the connection.
    #[error(
        "no SRT with {url}: it refused the connection ({}); check the stream id, what it says of the login, and the \
         passphrase, and to receive, whether anybody sends there",
        shown(reason)
    )]
    Refused {
        /// The address, without options.
        url: String,
        /// libsrt's reason.
        reason: String,
    },
    /// The connection failed for another reason.
    #[error("no SRT with {url}: {why}; check the address, the stream id and the passphrase")]
    Failed {
        /// The address, without options.
        url: String,
        /// FFmpeg's message.
        why: String,
    },
    /// A connection that had been made was lost.
    #[error("the SRT connection with {url} is lost: {why}")]
    Lost {
        /// The address, without options.
        url: String,
        /// FFmpeg's message.
        why: String,
    },
    /// The stream is in none of the codecs that are known.
    #[error("{url}: the stream is {}; hevcast shows {}", shown(codec), CodecId::names(" and "))]
    Codec {
        /// The address, without options.
        url: String,
        /// FFmpeg's name of its codec.
        codec: String,
    },
}

impl SrtError {
    /// Whether a later attempt may succeed without a change of the command.
    pub fn is_temporary(&self) -> bool {
        !matches!(self, SrtError::Missing { .. } | SrtError::Passphrase { .. } | SrtError::Codec { .. })
    }
}

/// A connection over which a stream is sent.
pub struct SrtWriter {
    muxer: Muxer,
    address: SrtAddress,
}

impl SrtWriter {
    /// Connects to send a stream in this codec; `size` is the pictures' width and height in luma samples.
    ///
    /// # Errors
    /// When there is no peer, when it refuses, or when `stop` is stopped while waiting.
    pub fn connect(address: SrtAddress, codec: CodecId, size: (u32, u32), stop: Stop) -> Result<SrtWriter, SrtError> {
        let options =
            [("omit_video_pes_length", "0"), ("pat_period", "0.5"), ("flush_packets", "1"), ("max_delay", "0")];
        let setup = MuxerSetup {
            size,
            is_mp4: false,
            parameter_sets: &ParameterSets::new(codec),
            ticks_per_second: TICKS_PER_SECOND,
            options: &options,
            metadata: &[],
        };
        srt_log::forget_refusal();
        let muxer = Muxer::connect(&address.url, "mpegts", &setup, &address.pairs(), Interrupt::new(stop));
        match muxer {
            Ok(muxer) => Ok(SrtWriter { muxer, address }),
            Err(error) => Err(address.failed(error)),
        }
    }

    /// Sends a frame with its capture time in ticks of the 90 kHz clock. Waits while libsrt's buffer is full.
    ///
    /// # Errors
    /// When the connection is lost.
    pub fn write(&mut self, frame: &CodedFrame, ticks: i64) -> Result<(), SrtError> {
        let written = Packet::of_frame(frame).and_then(|mut packet| {
            packet.set_pts(ticks);
            self.muxer.write(&mut packet, frame.random_access, 0)
        });
        written.map_err(|error| SrtError::Lost { url: self.address.url.clone(), why: error.to_string() })
    }
}

/// A connection over which a stream is received: a caller that pulls it, or a listener to which it is pushed.
pub struct SrtReader {
    demuxer: Demuxer,
    packet: Packet,
    address: SrtAddress,
}

impl SrtReader {
    /// Connects; as a listener (`mode` among the options), waits for a caller.
    ///
    /// # Errors
    /// When there is no peer, when it refuses, or when `stop` is stopped while waiting.
    pub fn connect(address: SrtAddress, stop: Stop) -> Result<SrtReader, SrtError> {
        let mut options = address.pairs();
        // Without FFmpeg's parser, which would hold each access unit back until the next one begins.
        options.extend([("fflags", "nobuffer+noparse+nofillin"), ("probesize", "32")]);
        srt_log::forget_refusal();
        let opened = Demuxer::open_live(&address.url, "mpegts", &options, Interrupt::new(stop))
            .and_then(|demuxer| Ok((demuxer, Packet::empty()?)));
        match opened {
            Ok((demuxer, packet)) => Ok(SrtReader { demuxer, packet, address }),
            Err(error) => Err(address.failed(error)),
        }
    }

    /// Waits for the next frame, with the time stamp of MPEG-TS, whose start is arbitrary; `None` when the stream has ended, or
    /// after `stop` was stopped.
    ///
    /// # Errors
    /// When what comes makes no sense, or is neither H.264 nor H.265.
    pub fn read(&mut self) -> Result<Option<CodedFrame>, SrtError> {
        match self.demuxer.read_live(&mut self.packet) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let stamp = self.packet.stamp().unwrap_or_default();
                let ticks = self.demuxer.rescaled(stamp, TICKS_PER_SECOND);
                let data = Bytes::copy_from_slice(self.packet.data());
                let codec = self.demuxer.codec().1.unwrap_or(CodecId::H265);
                let mut frame = CodedFrame::from_annexb(codec, RtpTicks(ticks as u32), &data);
                frame.meta.is_live = true;
                Ok(Some(frame))
            }
            Err(AvError::STREAM_NOT_FOUND) => {
                Err(SrtError::Codec { url: self.address.url.clone(), codec: self.demuxer.codec().0.to_owned() })
            }
            // libsrt reports the same for a peer that closed the connection and for one that disappeared.
            Err(error) if error.is_system() => Ok(None),
            Err(error) => Err(SrtError::Lost { url: self.address.url.clone(), why: error.to_string() }),
        }
    }
}
