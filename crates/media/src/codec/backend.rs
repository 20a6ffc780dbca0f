//! The table of encoders: names, order of preference, and the options that make each return a picture in the call that
//! brought it in.

use std::time::Duration;

use super::encoder::Encoder;
use super::limits::Qp;
use super::settings::{EncoderChoice, EncoderOptions, EncoderSettings, RateControl};
use super::threads::Threads;
use super::tree_units::TreeUnits;
use crate::av::AVPixelFormat;
use crate::frame_rate::FrameRate;
use crate::picture::{Depth, PictureFormat};

/// An encoder with what is needed to open it.
pub(crate) struct Backend {
    /// FFmpeg's name.
    pub(crate) name: &'static str,
    /// Its short name on the command line.
    pub(crate) short: &'static str,
    /// Pixel format of its 8-bit input in main memory.
    pub(crate) pixels: AVPixelFormat,
    /// Whether it reads pictures from graphics memory, to which they are uploaded by VAAPI.
    pub(crate) vaapi_upload: bool,
    /// Its speed presets, fastest first; empty when it has none. The first is the default.
    pub(crate) presets: &'static [&'static str],
    options: fn(&EncoderSettings, preset: &str) -> Options,
}

/// Options by FFmpeg's name.
pub(crate) type Options = Vec<(&'static str, String)>;

/// Size of the rate control buffer, as time at the bitrate. It bounds the largest picture: at 30 pictures/s a keyframe may take
/// the bits of seven others, which then compensate for it.
const RATE_BUFFER: Duration = Duration::from_millis(250);

/// All encoders. Hardware comes first, in order of how reliably each returns one picture per picture; libx265 is last.
pub(crate) const TABLE: &[Backend] = &[
    Backend {
        name: "hevc_nvenc",
        short: "nvenc",
        pixels: AVPixelFormat::YUV420P,
        vaapi_upload: false,
        presets: &["p1", "p2", "p3", "p4", "p5", "p6", "p7"],
        options: nvenc,
    },
    Backend {
        name: "hevc_mf",
        short: "mf",
        pixels: AVPixelFormat::NV12,
        vaapi_upload: false,
        presets: &[],
        options: media_foundation,
    },
    Backend {
        name: "hevc_videotoolbox",
        short: "videotoolbox",
        pixels: AVPixelFormat::NV12,
        vaapi_upload: false,
        presets: &[],
        options: videotoolbox,
    },
    Backend {
        name: "hevc_qsv",
        short: "qsv",
        pixels: AVPixelFormat::NV12,
        vaapi_upload: false,
        presets: &["veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"],
        options: qsv,
    },
    Backend {
        name: "hevc_vaapi",
        short: "vaapi",
        pixels: AVPixelFormat::NV12,
        vaapi_upload: true,
        presets: &[],
        options: vaapi,
    },
    Backend {
        name: "hevc_amf",
        short: "amf",
        pixels: AVPixelFormat::NV12,
        vaapi_upload: false,
        presets: &["speed", "balanced", "quality"],
        options: amf,
    },
    Backend {
        name: "hevc_v4l2m2m",
        short: "v4l2m2m",
        pixels: AVPixelFormat::NV12,
        vaapi_upload: false,
        presets: &[],
        options: |_, _| Vec::new(),
    },
    Backend {
        name: SOFTWARE,
        short: "x265",
        pixels: AVPixelFormat::YUV420P,
        vaapi_upload: false,
        presets: &[
            "ultrafast",
            "superfast",
            "veryfast",
            "faster",
            "fast",
            "medium",
            "slow",
            "slower",
            "veryslow",
            "placebo",
        ],
        // It is not called through FFmpeg: see `x265_params`.
        options: |_, _| Vec::new(),
    },
];

/// Parameters that improve on `ultrafast`, chosen by `hevcast-bench encoder` over natural footage, together with small coding
/// tree units ([`TreeUnits`]): these take less time to search and give the wavefront's rows more parallel work, for a few
/// bits more. The first step of sub-pixel refinement saves several times those bits for next to no time. Psycho-visual
/// optimisation costs time and bits for a grain which a live picture at these QPs does not have.
const X265_TUNING: &str = "subme=1:psy-rd=0";

/// The encoder that works on every computer.
pub(crate) const SOFTWARE: &str = "libx265";

/// The encoder with this name of FFmpeg's or short name.
pub(crate) fn find(name: &str) -> Option<&'static Backend> {
    TABLE.iter().find(|backend| backend.name == name || backend.short == name)
}

impl Backend {
    /// Pixel format of its input for samples of this depth. An encoder that does not code 10 bits fails to open with it.
    pub(crate) fn pixels_of(&self, depth: Depth) -> AVPixelFormat {
        match depth {
            Depth::Eight => self.pixels,
            Depth::Ten => AVPixelFormat::P010LE,
        }
    }

    /// Its options by FFmpeg's names for these settings.
    pub(crate) fn options(&self, settings: &EncoderSettings, preset: &str) -> Options {
        (self.options)(settings, preset)
    }

    /// Bitrate in bits/s and size of the rate control buffer in bits, to be set on the codec context; 0 for other rate controls.
    pub(crate) fn context_rate(&self, settings: &EncoderSettings) -> (u64, u64) {
        match settings.options.rate {
            RateControl::Bitrate(rate) => (rate.get(), rate.get() * RATE_BUFFER.as_millis() as u64 / 1000),
            _ => (0, 0),
        }
    }
}

/// x265's parameters. Without reordering and look-ahead, and with one frame thread, a picture is returned in the call that
/// brought it in. One slice keeps a picture within few NAL units; its rows are still coded in parallel, by wavefront.
/// `ipratio=1` gives keyframes the same constant QP, where x265 would choose 3 less, and a burst. `info=0` keeps x265's
/// settings out of the stream. The default preset is `ultrafast` with [`X265_TUNING`]. A bitrate is controlled from outside by
/// the QP of every picture ([`super::rate_controller`]), so that x265 is opened with a constant QP.
pub(crate) fn x265_params(settings: &EncoderSettings) -> Vec<(String, String)> {
    let keyframes = settings.keyframe_pictures();
    let mut params = format!(
        "frame-threads=1:bframes=0:rc-lookahead=0:scenecut=0:slices=1:aud=0:\
         info=0:repeat-headers=1:open-gop=0:keyint={keyframes}:min-keyint=1"
    );
    match settings.options.rate {
        RateControl::Qp(qp) | RateControl::Best(qp) => params.push_str(&format!(":ipratio=1.0:qp={qp}")),
        RateControl::Crf(crf) => params.push_str(&format!(":crf={crf}")),
        RateControl::Bitrate(_) => params.push_str(":ipratio=1.0:qp=28"),
    }
    let TreeUnits { size, breaks_level } = TreeUnits::of(settings);
    params.push_str(&format!(":ctu={size}"));
    if breaks_level {
        params.push_str(":allow-non-conformance=1");
    }
    let tuning = if settings.options.preset.is_none() { X265_TUNING } else { "" };
    let threads = match settings.options.threads.unwrap_or_default() {
        Threads::Wavefront => "",
        // Without a pool of workers the frame's own thread codes the rows.
        Threads::Single => "wpp=0:pools=none",
    };
    let all = [&params, tuning, threads, &settings.options.x265_params];
    let pairs = all.iter().flat_map(|list| list.split(':')).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "1"))).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn nvenc(settings: &EncoderSettings, preset: &str) -> Options {
    let mut options =
        pairs(&[("preset", preset), ("tune", "ull"), ("zerolatency", "1"), ("delay", "0"), ("forced-idr", "1")]);
    match settings.options.rate {
        RateControl::Qp(qp) | RateControl::Best(qp) => {
            options.extend(pairs(&[("rc", "constqp")]));
            options.push(("qp", qp.to_string()));
        }
        RateControl::Crf(crf) => {
            options.extend(pairs(&[("rc", "vbr")]));
            options.push(("cq", crf.to_string()));
        }
        RateControl::Bitrate(_) => options.extend(pairs(&[("rc", "cbr")])),
    }
    options
}

/// Windows' own interface to the encoders of AMD's, Intel's, NVIDIA's and Qualcomm's drivers. Its software encoder is not used:
/// it is slower than x265 and holds pictures back.
fn media_foundation(settings: &EncoderSettings, _: &str) -> Options {
    let mut options = pairs(&[("hw_encoding", "1"), ("bf", "0"), ("scenario", "display_remoting")]);
    match settings.options.rate.constant_qp() {
        Some(qp) => {
            // It takes a quality from 0 (worst) to 100 (best).
            let quality = 100 - u32::from(qp.get()) * 100 / u32::from(Qp::COARSEST.get());
            options.extend(pairs(&[("rate_control", "quality")]));
            options.push(("quality", quality.to_string()));
        }
        None => options.extend(pairs(&[("rate_control", "ld_vbr")])),
    }
    options
}

fn qsv(settings: &EncoderSettings, preset: &str) -> Options {
    let mut options = pairs(&[("preset", preset), ("async_depth", "1"), ("forced_idr", "1")]);
    constant_quality(settings, &mut options, "global_quality");
    options
}

fn vaapi(settings: &EncoderSettings, _: &str) -> Options {
    // Later FFmpegs submit two pictures before they wait for the first; 1 waits for each.
    let mut options = pairs(&[("async_depth", "1")]);
    match settings.options.rate {
        RateControl::Bitrate(_) => options.extend(pairs(&[("rc_mode", "CBR")])),
        _ => options.extend(pairs(&[("rc_mode", "CQP")])),
    }
    constant_quality(settings, &mut options, "qp");
    options
}

fn amf(settings: &EncoderSettings, preset: &str) -> Options {
    let mut options = pairs(&[("usage", "ultralowlatency"), ("quality", preset)]);
    let qp = match settings.options.rate {
        RateControl::Bitrate(_) => {
            options.extend(pairs(&[("rc", "cbr")]));
            return options;
        }
        RateControl::Qp(qp) | RateControl::Best(qp) => qp.get(),
        RateControl::Crf(crf) => crf.get().round() as u8,
    };
    options.extend(pairs(&[("rc", "cqp")]));
    options.push(("qp_i", qp.to_string()));
    options.push(("qp_p", qp.to_string()));
    options
}

fn videotoolbox(settings: &EncoderSettings, _: &str) -> Options {
    let mut options = pairs(&[("realtime", "1"), ("allow_sw", "0")]);
    if let Some(qp) = settings.options.rate.constant_qp() {
        // It takes a quality from 1 (worst) to 100 (best), in units of FF_QP2LAMBDA (118).
        let quality = 100 - u32::from(qp.get()) * 99 / u32::from(Qp::COARSEST.get());
        options.extend(pairs(&[("flags", "+qscale")]));
        options.push(("global_quality", (quality * 118).to_string()));
    }
    options
}

fn constant_quality(settings: &EncoderSettings, options: &mut Options, name: &'static str) {
    match settings.options.rate {
        RateControl::Qp(qp) | RateControl::Best(qp) => options.push((name, qp.to_string())),
        RateControl::Crf(crf) => options.push((name, (crf.get().round() as u8).to_string())),
        RateControl::Bitrate(_) => {}
    }
}

fn pairs(pairs: &[(&'static str, &str)]) -> Options {
    pairs.iter().map(|&(name, value)| (name, value.to_owned())).collect()
}

/// Whether libx265 on this computer codes samples of 10 bits.
pub(crate) fn codes_ten_bits() -> bool {
    crate::x265::has_depth(Depth::Ten)
}

/// An encoder that hevcast supports, and whether it works on this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderInfo {
    /// FFmpeg's name, such as `hevc_nvenc`.
    pub name: String,
    /// `Ok` if it coded two test pictures, each at once; else the reason in one line.
    pub works: Result<(), String>,
}

/// Tests every supported encoder with two small pictures, in order of preference. It takes up to seconds.
pub fn encoders() -> Vec<EncoderInfo> {
    let settings = |backend: &Backend| EncoderSettings {
        format: PictureFormat::limited(640, 480),
        frame_rate: FrameRate::whole(30),
        options: EncoderOptions {
            choice: EncoderChoice::Named(backend.name.to_owned()),
            rate: RateControl::Qp(Qp::clamped(23)),
            keyframe_interval: Some(Duration::from_secs(2)),
            ..EncoderOptions::default()
        },
    };
    TABLE
        .iter()
        .map(|backend| EncoderInfo {
            name: backend.name.to_owned(),
            works: match Encoder::open(&settings(backend)) {
                Ok(_) => Ok(()),
                Err(error) => Err(error.reason()),
            },
        })
        .collect()
}
