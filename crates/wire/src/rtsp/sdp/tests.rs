//! Descriptions of other implementations: what is needed is found among everything else.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const FFMPEG: &[u8] = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    a=tool:libavformat\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n\
    a=fmtp:96 sprop-vps=QAEMAf//AWAAAAMAkAAAAwAAAwA8lZgJ; sprop-sps=QgEB; sprop-pps=RAHBcrRiQA==\r\n\
    a=control:streamid=0\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/44100/1\r\n\
    a=fmtp:97 config=1208;mode=AAC-hbr\r\na=control:streamid=1\r\n";

const NALS: [&[u8]; 3] = [
    &[0x40, 1, 12, 1, 0xff, 0xff],
    &[0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x5a, 0xa0, 0xfb, 0xff],
    &[0x44, 1, 0xc1, 0x72],
];

fn sets() -> ParameterSets {
    ParameterSets::of_nals(crate::CodecId::H265, &NALS.map(Bytes::from_static))
}

/// A description of one H.265 track, a line each.
fn right() -> Vec<String> {
    let [vps, sps, pps] = NALS.map(|nal| STANDARD.encode(nal));
    [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=x",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        "m=video 0 RTP/AVP 96",
        "a=rtpmap:96 H265/90000",
        &format!("a=fmtp:96 sprop-vps={vps}; sprop-sps={sps}; sprop-pps={pps}"),
        "a=control:trackID=1",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// What must be found in it, however it is written.
fn assert_right(text: &[u8], what: &str) {
    let shown = String::from_utf8_lossy(text);
    let description = Description::parse(text).unwrap_or_else(|error| panic!("{what}: {error}\n{shown}"));
    let (_, track) = description.hevc_track().unwrap_or_else(|| panic!("{what}: no H.265\n{shown}"));
    assert_eq!((track.payload_type, track.clock_rate_hz), (96, 90_000), "{what}");
    assert_eq!(track.control.as_deref(), Some("trackID=1"), "{what}");
    assert_eq!(track.parameter_sets, sets(), "{what}");
    let again = Description::parse(&description.for_readers()).unwrap();
    let (_, again) = again.hevc_track().unwrap();
    assert!(again.is_like(track) && again.parameter_sets == sets(), "{what}, for readers");
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

/// The right description with each line that begins so as another, or several, or none.
fn with(begin: &str, lines: &[&str]) -> String {
    let replaced = right().into_iter().flat_map(|line| match line.starts_with(begin) {
        true => lines.iter().map(|&line| line.to_owned()).collect(),
        false => vec![line],
    });
    joined(&replaced.collect::<Vec<_>>())
}

#[test]
fn lines_that_say_nothing_to_us_may_say_anything() {
    assert_right(joined(&right()).as_bytes(), "as it should be");
    let anything = [
        "",
        "x",
        "-1",
        "IN",
        "IN ",
        "- 1001 1 IN",
        "- 0xABCDEF 1 IN IP4 10.0.0.1",
        "My Cam 1 1 IN IP4 10.0.0.1",
        "IN IPV4 1",
        "- 1700000000000000000000 1 IN IP4 h",
        "0",
        "-1 -1",
        "IN IP4 '&\u{f1}\u{9f}\u{5}",
        "=",
        "==x",
        " ",
        "\u{6444}",
    ];
    for field in ["v=", "o=", "s=", "c=", "t="] {
        assert_right(with(field, &[]).as_bytes(), &format!("no {field}"));
        for value in anything {
            let line = format!("{field}{value}");
            assert_right(with(field, &[&line]).as_bytes(), &line);
            assert_right(with(field, &[&line, &line]).as_bytes(), &format!("{line} twice"));
        }
    }
    for more in [
        "b=AS:-1",
        "b=TIAS:10000",
        "b=AS:1000kbps",
        "i=late",
        "y=0100000001",
        "f=v/5/6/25/1/4000a///",
        "e=NONE",
        "a=",
        "a=:",
        "=",
        "a",
        "nonsense",
        "a=x-dimensions:1,2",
        "a=framerate:-1",
        "z=0",
        "k=",
        "\u{0}\u{1}\u{2}",
        "a=range:clock=20200908T132728Z-",
        "a=rtpmap",
        "a=rtpmap:",
        "a=fmtp",
        "a=fmtp:",
        "a=rtpmap:x y",
        "a=rtpmap:300 H264/90000",
        "a=control",
        "a=control:",
    ] {
        for begin in ["v=", "t=", "a=rtpmap", "a=control"] {
            let lines = right();
            let own = lines.iter().find(|line| line.starts_with(begin)).unwrap();
            assert_right(with(begin, &[more, own]).as_bytes(), &format!("{more} before {begin}"));
        }
    }
}

#[test]
fn the_lines_that_decide_may_be_written_with_liberties() {
    for line in [
        "m=video 0/2 RTP/AVP 96",
        "m=video 70000 RTP/AVP 96",
        "m=video -1200000001 RTP/AVP 96",
        "m=video 0 RTP/AVP/TCP 96",
        "m=video 0 RTP/AVPF 96",
        "m=video  0   RTP/AVP\t96 ",
        " m = video 0 RTP/AVP 96",
        "M=Video 0 rtp/avp 96",
        "m=video RTP/AVP 96",
        "m=video 0 RTP/AVP",
        "m=video 0 RTP/AVP 96 97 98",
        "m=video 0 RTP/AVP 97, 96",
        "m=video",
        "m=",
        "\u{feff}m=video 0 RTP/AVP 96",
    ] {
        assert_right(with("m=", &[line]).as_bytes(), line);
    }
    for line in [
        "a=rtpmap: 96 H265/90000",
        "a=rtpmap:96  H265/90000 ",
        "a=rtpmap:96\tH265/90000",
        "a = rtpmap : 96 H265 / 90000",
        "A=RTPMAP:96 h265/90000",
        "a=rtpmap:96 HEVC/90000",
        "a=rtpmap:96 hevc/90000/1",
        "a=rtpmap:96 H.265/90000",
    ] {
        assert_right(with("a=rtpmap", &[line]).as_bytes(), line);
    }
    for line in ["a=control: trackID=1 ", "A=Control:trackID=1", "a=control :trackID=1"] {
        assert_right(with("a=control", &[line]).as_bytes(), line);
    }
}

#[test]
fn lines_may_end_in_any_way() {
    let text = joined(&right());
    for (what, text) in [
        ("LF", text.replace("\r\n", "\n")),
        ("CR", text.replace("\r\n", "\r")),
        ("CR CR LF", text.replace("\r\n", "\r\r\n")),
        ("NUL", text.replace("\r\n", "\0")),
        ("no last end", text.trim_end().to_owned()),
        ("trailing NULs", format!("{text}\0\0")),
        ("trailing junk", format!("{text}\r\n\u{1}\u{2}junk")),
        ("blank lines", text.replace("\r\n", "\r\n\r\n")),
        ("blanks before and behind", text.replace("\r\n", " \t\r\n \t")),
    ] {
        assert_right(text.as_bytes(), what);
    }
    let begin = [&[0xef, 0xbb, 0xbf][..], text.as_bytes()].concat();
    assert_right(&begin, "a byte order mark");
    for junk in [&[0xff, 0xfe][..], &[0xc9, 0xe3, 0xcf, 0xf1], b"caf\xe9", &[0, 1, 2, 0x80]] {
        let with_junk = [junk, b"\r\ns=", junk, b"\r\n", junk, b"=", junk, b"\r\n", text.as_bytes(), junk].concat();
        assert_right(&with_junk, "bytes that are no text");
    }
}

#[test]
fn lines_of_a_section_may_come_in_any_order() {
    let lines = right();
    let (head, section) = lines.split_at(6);
    for turn in 0..section.len() {
        for reversed in [false, true] {
            let mut section = section.to_vec();
            section.rotate_left(turn);
            if reversed {
                section.reverse();
            }
            assert_right(joined(&[head, &section].concat()).as_bytes(), &format!("{section:?}"));
        }
    }
    // The lines of the only format may even stand before the medium.
    let (mapping, medium) = (&lines[6..8], [&lines[5], &lines[8]].map(Clone::clone));
    assert_right(joined(&[mapping, &medium].concat()).as_bytes(), "mapping first");
}

#[test]
fn each_format_of_a_line_has_its_own_lines() {
    let own = &right()[6..8];
    let other_lines = [
        [
            "a=rtpmap:97 H264/90000",
            "a=fmtp:97 packetization-mode=1;sprop-parameter-sets=Z00AKp2oHgCJ+WbgICAoAAAfQAAGGoBA,aO48gA==",
        ],
        ["a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96;rtx-time=500"],
        ["a=rtpmap:97 ulpfec/90000", "a=rtcp-fb:97 nack pli"],
    ];
    for other in other_lines {
        for formats in ["96 97", "97 96"] {
            for own_first in [true, false] {
                let other = other.map(str::to_owned).to_vec();
                let lines = if own_first { [own, &other].concat() } else { [&other, own].concat() };
                let medium = vec![format!("m=video 0 RTP/AVP {formats}"), "a=control:trackID=1".to_owned()];
                let text = joined(&[medium, lines].concat());
                assert_right(text.as_bytes(), &text);
                let description = Description::parse(text.as_bytes()).unwrap();
                let (index, track) = description.hevc_track().unwrap();
                assert_eq!((track.other_payload_types.as_slice(), track.keyframe_requests), (&[97][..], false));
                let format = description.payload_format(index);
                assert!(format.is_anothers(97) && !format.is_anothers(96));
                let rewritten = String::from_utf8(description.for_readers().to_vec()).unwrap();
                assert!(rewritten.contains("m=video 0 RTP/AVP 96\r\n") && !rewritten.contains(":97 "), "{rewritten}");
            }
        }
    }
}

#[test]
fn h265_is_known_by_its_parameters_where_nobody_names_it() {
    assert_right(with("a=rtpmap", &[]).as_bytes(), "no rtpmap");
    let other = Description::parse(b"m=video 0 RTP/AVP 96\r\na=fmtp:96 packetization-mode=1\r\n").unwrap();
    assert!(other.hevc_track().is_none());
}

#[test]
fn parameter_sets_are_read_however_they_are_written() {
    let codes = [&[0, 0, 1][..], &[0, 0, 0, 1]];
    let three = |write: &dyn Fn(&[u8]) -> String| {
        let [vps, sps, pps] = NALS.map(write);
        format!("sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}")
    };
    let all = |code: &[u8]| NALS.map(|nal| [code, nal].concat()).concat();
    let plain = three(&|nal| STANDARD.encode(nal));
    let parameters = [
        three(&|nal| STANDARD_NO_PAD.encode(nal)),
        three(&|nal| URL_SAFE.encode(nal)),
        three(&|nal| format!(" \"{}\" ", STANDARD.encode(nal))),
        three(&|nal| STANDARD.encode(nal).chars().flat_map(|c| [c, ' ']).collect()),
        three(&|nal| STANDARD.encode([codes[0], nal].concat())),
        three(&|nal| STANDARD.encode([codes[1], nal].concat())),
        three(&|nal| format!("{0},{0}", STANDARD.encode(nal))),
        plain.replace(';', " ; "),
        plain.replace(';', ", "),
        plain.replace(';', " "),
        plain.replace("sprop", "Sprop"),
        plain.replace('=', " = ").replace(" = ;", "=;"),
        format!("profile-id=1;{plain};level-id=93"),
        format!("profile-id=1 {plain}"),
        format!("sprop-parameter-sets={}", NALS.map(|nal| STANDARD.encode(nal)).join(",")),
        format!("sprop-vps={}", STANDARD.encode(all(codes[1]))),
        format!("sprop-sps={};sprop-vps=", STANDARD.encode(&all(codes[0])[3..])),
        format!("{plain};sprop-sps=!!!;sprop-pps=QQ"),
    ];
    for parameters in parameters {
        for begin in ["96 ", "96   ", "", "99 ", "* "] {
            let line = format!("a=fmtp:{begin}{parameters}");
            assert_right(with("a=fmtp", &[&line]).as_bytes(), &line);
        }
    }
    let lines: Vec<String> = plain.split(';').map(|one| format!("a=fmtp:96 {one}")).collect();
    assert_right(with("a=fmtp", &lines.iter().map(String::as_str).collect::<Vec<_>>()).as_bytes(), "a line each");
}

#[test]
fn decoding_order_numbers_are_announced_above_0() {
    for (value, expected) in [("0", false), ("1", true), (" 32767 ", true), ("x", false), ("-1", false)] {
        let line = format!("a=fmtp:96 sprop-max-don-diff={value};sprop-depack-buf-nalus=0");
        let description = Description::parse(with("a=fmtp", &[&line]).as_bytes()).unwrap();
        assert_eq!(description.payload_format(0).has_decoding_order_numbers, expected, "{value:?}");
    }
}

#[test]
fn a_foreign_description() {
    let description = Description::parse(FFMPEG).unwrap();
    let (index, video) = description.hevc_track().unwrap();
    assert_eq!((index, video.clock_rate_hz, video.payload_type), (0, 90_000, 96));
    assert_eq!(video.control.as_deref(), Some("streamid=0"));
    assert!(video.parameter_sets.vps().is_some() && video.parameter_sets.pps().is_some());
    assert!(!video.keyframe_requests && !video.rate_requests);
    assert_eq!(description.offer(), "video H265, audio MPEG4-GENERIC");
}

#[test]
fn readers_get_our_control_urls_and_the_publishers_formats() {
    let rewritten = Description::parse(FFMPEG).unwrap().for_readers();
    let text = String::from_utf8(rewritten.to_vec()).unwrap();
    assert!(text.contains("a=control:trackID=0") && text.contains("a=control:trackID=1"), "{text}");
    assert!(text.contains("sprop-vps=QAEMAf//") && !text.contains("streamid"), "{text}");
    assert!(
        text.contains("a=fmtp:97 config=1208;mode=AAC-hbr\r\n") && text.contains("a=tool:libavformat\r\n"),
        "{text}"
    );
    assert_eq!(Description::parse(&rewritten).unwrap().tracks().len(), 2);
}

#[test]
fn our_own_description_reads_back() {
    let description = Description::parse(&publisher_description("live\r\nm=x", &sets())).unwrap();
    let (_, track) = description.hevc_track().unwrap();
    assert_eq!((&track.parameter_sets, description.tracks().len()), (&sets(), 1));
    assert!(track.keyframe_requests && track.rate_requests);
}

#[test]
fn feedback_is_of_the_format_or_of_all() {
    for (line, takes) in [
        ("a=rtcp-fb:96 nack pli", true),
        ("a=rtcp-fb:* ccm fir", true),
        ("a=rtcp-fb: 96  NACK  PLI ", true),
        ("a=rtcp-fb:97 nack pli", false),
        ("a=rtcp-fb:96 nack", false),
    ] {
        let description = Description::parse(with("a=control", &[line]).as_bytes()).unwrap();
        assert_eq!(description.tracks()[0].keyframe_requests, takes, "{line}");
    }
}

#[test]
fn what_cannot_be_used_is_an_error_that_says_why() {
    assert!(matches!(Description::parse(b"hello"), Err(SdpError::Malformed(begin)) if begin == "hello"));
    for empty in [&b""[..], b"\r\n", b"\0\0 "] {
        assert_eq!(Description::parse(empty).unwrap_err(), SdpError::Empty);
    }
    assert_eq!(Description::parse(b"v=0\r\ns=-\r\nt=0 0\r\n").unwrap_err(), SdpError::TrackCount(0));
    let many = b"m=video 0 RTP/AVP 96\r\n".repeat(17);
    assert_eq!(Description::parse(&many).unwrap_err(), SdpError::TrackCount(17));
}

#[test]
fn what_is_kept_is_bounded() {
    let lines =
        ["a=x:y\r\n", "a=fmtp:96 a=b\r\n", "a=rtpmap:97 x/1\r\n", "a=rtcp-fb:96 x\r\n"].map(|line| line.repeat(2000));
    let text = format!("m=video 0 RTP/AVP 96\r\na={}\r\n{}", "x".repeat(60_000), lines.concat());
    let written = Description::parse(text.as_bytes()).unwrap().for_readers();
    assert!(written.len() < 8 * 1024, "{} bytes", written.len());
}

proptest! {
    /// Right lines between any others are found.
    #[test]
    fn any_lines_beside_the_right_ones_change_nothing(
        junk in prop::collection::vec("[b-ln-zB-LN-Z0-9]=?.{0,30}", 0..12), at in prop::collection::vec(0_usize..9, 12),
    ) {
        let mut lines = right();
        for (line, at) in junk.iter().zip(at) {
            lines.insert(at.min(lines.len()), line.replace(['\r', '\n', '\0'], " "));
        }
        assert_right(joined(&lines).as_bytes(), "junk");
    }
}
