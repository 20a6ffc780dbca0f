//! What differs from codec to codec, as traits: the seam for a further one.
//!
//! A codec is a folder of its own. Its `codec.rs` implements [`VideoCodec`], its `payload.rs` `RtpPayload`, its `sdp.rs`
//! `SdpFormat`. [`CodecId`](crate::CodecId) names the codecs, and has the one `match` that leads to these implementations; all
//! other code asks `CodecId` and knows no codec. The calls are resolved when compiling: there is no table of functions.

#[cfg(feature = "rtp")]
pub mod payload;

use bytes::Bytes;

#[cfg(feature = "rtp")]
pub(crate) use self::payload::RtpPayload;
use crate::nal::{MAX_PARAMETER_SET_BYTES, NalError, NalKind, SetKind};
use crate::sei::{self, CaptureStamp, DisplayOrientation, SendStages, Uuid};
use crate::sequence_info::SequenceInfo;
use crate::syntax::rbsp::{BitReader, remove_emulation_prevention};

/// What an RTP payload would be if it were of a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// It begins with a sequence parameter set.
    ParameterSet,
    /// Its header is one that the codec's payload format allows.
    Header,
}

/// A codec, whose pictures come as NAL units.
pub(crate) trait VideoCodec {
    /// As people write it: `H.265`.
    const NAME: &'static str;
    /// The encoding name in `a=rtpmap`, in capitals, as its payload format registers it.
    const ENCODING_NAME: &'static str;
    /// Bytes of a NAL unit's header.
    const NAL_HEADER_LEN: usize;
    /// The kinds of parameter sets that decoding needs, in the order in which they have to come.
    const PARAMETER_SETS: &'static [SetKind];
    /// The header of a NAL unit with messages that stands before a picture's slices.
    const PREFIX_SEI_HEADER: &'static [u8];
    /// The UUIDs under which a capture time is read (MISB ST 0604). It is written under the first.
    const CAPTURE_UUIDS: [Uuid; 2];
    /// The five bits that end a display orientation message that holds until further notice: what says so, the extension flag
    /// where there is one, and the payload's stop bit where it is not aligned.
    const ORIENTATION_PERSISTS: u8;

    /// The kind of a NAL unit; [`NalKind::Other`] for one without a header. Called for each packet.
    fn nal_kind(nal: &[u8]) -> NalKind;

    /// Checks that a NAL unit has a valid header.
    fn check_header(nal: &[u8]) -> Result<(), NalError>;

    /// Whether a NAL unit is of the layer that a decoder of the plain profiles decodes. True where the codec's header has no
    /// layers.
    fn is_base_layer(_nal: &[u8]) -> bool {
        true
    }

    /// Whether a slice is the first of its picture. False for other NAL units.
    fn is_first_slice(nal: &[u8]) -> bool;

    /// Reads the id of a parameter set of this kind from its payload behind the header; `None` where it is out of range.
    fn parameter_set_id(kind: SetKind, payload: &mut BitReader<'_>) -> Option<u8>;

    /// Reads a sequence parameter set; `None` for another NAL unit, and for one that cannot be read.
    fn sequence_info(sps: &[u8]) -> Option<SequenceInfo>;

    /// Where a message in this NAL unit says that decoding can start at its picture, though the picture's slices do not: so many
    /// pictures later all is right. `None` in a codec whose slices say it always.
    fn recovery_frames(_nal: &[u8]) -> Option<u32> {
        None
    }

    /// Whether an RTP payload can be of this codec by its first bytes.
    fn likeness(payload: &[u8]) -> Option<Likeness>;

    /// The kind of a parameter set of the base layer, and its id within the kind. `None` for other NAL units, for overlong ones
    /// and for those whose id cannot be read or is out of range.
    fn parameter_set(nal: &[u8]) -> Option<(SetKind, u8)> {
        /// More than enough to reach the id, which in an SPS of H.265 stands behind up to 72 bytes of sub-layer profiles.
        const ID_WITHIN_BYTES: usize = 128;
        let NalKind::ParameterSet(kind) = Self::nal_kind(nal) else { return None };
        if Self::check_header(nal).is_err() || !Self::is_base_layer(nal) || nal.len() > MAX_PARAMETER_SET_BYTES {
            return None;
        }
        let payload = remove_emulation_prevention(nal.get(Self::NAL_HEADER_LEN..)?);
        let payload: Vec<u8> = payload.take(ID_WITHIN_BYTES).collect();
        Some((kind, Self::parameter_set_id(kind, &mut BitReader::new(&payload))?))
    }

    /// Builds the NAL unit that carries a picture's capture time and, if given, its stages.
    fn capture_sei(stamp: &CaptureStamp, stages: Option<&SendStages>) -> Bytes {
        let [uuid, _] = &Self::CAPTURE_UUIDS;
        sei::nal_unit(Self::PREFIX_SEI_HEADER, &sei::capture_rbsp(uuid, stamp, stages))
    }

    /// Finds the capture time, and the stages if they are there, in a NAL unit; the twin of [`VideoCodec::capture_sei`].
    fn find_capture_stamp(nal: &[u8]) -> Option<(CaptureStamp, Option<SendStages>)> {
        sei::find_capture(Self::sei_payload(nal)?, &Self::CAPTURE_UUIDS)
    }

    /// Builds the NAL unit that tells how pictures are to be turned from here on.
    fn orientation_sei(orientation: DisplayOrientation) -> Bytes {
        sei::nal_unit(Self::PREFIX_SEI_HEADER, &sei::orientation_rbsp(orientation, Self::ORIENTATION_PERSISTS))
    }

    /// The messages of an SEI NAL unit without emulation prevention; `None` for other NAL units.
    fn sei_payload(nal: &[u8]) -> Option<impl Iterator<Item = u8>> {
        let is_sei = matches!(Self::nal_kind(nal), NalKind::PrefixSei | NalKind::SuffixSei);
        (is_sei && Self::check_header(nal).is_ok()).then_some(())?;
        Some(remove_emulation_prevention(nal.get(Self::NAL_HEADER_LEN..)?))
    }
}

/// What a session description says of a track in a codec: the parameters of `a=fmtp` in its payload format.
#[cfg(feature = "rtsp")]
pub(crate) trait SdpFormat: VideoCodec {
    /// Names that cameras write in `a=rtpmap` in place of the registered one, in capitals.
    const ALIASES: &'static [&'static str];
    /// The parameters that hold parameter sets, in small letters, and the kinds that each holds, in the order in which they are
    /// written.
    const SET_PARAMETERS: &'static [(&'static str, &'static [SetKind])];
    /// Parameters of other codecs in which cameras put this codec's sets, in small letters.
    const BORROWED_SET_PARAMETERS: &'static [&'static str] = &[];
    /// Whether a track without an encoding name is of this codec as soon as it has one of
    /// [`SET_PARAMETERS`](SdpFormat::SET_PARAMETERS). Where not, an SPS must be found in them.
    const IS_NAMED_BY_PARAMETERS: bool = false;

    /// The parameters of a track of our own beside those that hold parameter sets; `sps` is its first SPS.
    fn own_parameters(_sps: Option<&[u8]>) -> Vec<String> {
        Vec::new()
    }
}
