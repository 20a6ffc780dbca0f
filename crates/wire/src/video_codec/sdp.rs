//! What a session description says of a track in a codec, and what may be taken from it.

use super::VideoCodec;
use crate::nal::SetKind;

/// The parameters of `a=fmtp` in a codec's payload format.
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
