//! Descriptions of H.264 tracks, as cameras and FFmpeg write them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::h264::test_streams::{BASELINE, BitWriter, HIGH, PPS_OF_BASELINE, PPS_OF_HIGH};

/// What FFmpeg 5.1 announces of an x264 stream.
const FFMPEG: &str = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=No Name\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    a=tool:libavformat\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QAHqzZQKA9pqDAwMgAAAMACAAAAwHgeLFssA==,aOvjyyLA; profile-level-id=64001E\r\n\
    a=control:streamid=0\r\n";

fn sets() -> Vec<Bytes> {
    vec![Bytes::from_static(HIGH), Bytes::from_static(PPS_OF_HIGH)]
}

fn described(rtpmap: &str, fmtp: &str) -> Description {
    let text = format!("m=video 0 RTP/AVP 96\r\n{rtpmap}\r\n{fmtp}\r\na=control:trackID=1\r\n");
    Description::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn with_parameters(parameters: &str) -> Description {
    described("a=rtpmap:96 H264/90000", &format!("a=fmtp:96 {parameters}"))
}

fn h264_of(description: &Description) -> H264Parameters {
    let track = &description.tracks()[0];
    assert_eq!(track.codec, Some(CodecId::H264));
    H264Parameters::of_parameters(track.parameters())
}

fn sets_of(description: &Description) -> Vec<Bytes> {
    description.tracks()[0].parameter_sets.nals().cloned().collect()
}

fn for_readers(description: &Description) -> String {
    String::from_utf8(description.for_readers().to_vec()).expect("a text")
}

#[test]
fn ffmpegs_description() {
    let description = Description::parse(FFMPEG.as_bytes()).unwrap();
    let (index, track) = description.video_track().expect("a track to show");
    assert_eq!((index, track.codec, track.clock_rate_hz), (0, Some(CodecId::H264), 90_000));
    assert!(description.hevc_track().is_none() && !track.is_hevc());
    let h264 = h264_of(&description);
    assert_eq!((h264.packetization_mode, h264.profile_level_id), (1, Some([0x64, 0, 0x1e])));
    assert_eq!(sets_of(&description), sets());
    let read_again = Description::parse(&description.for_readers()).unwrap();
    assert_eq!(h264_of(&read_again), h264);
    let told = for_readers(&description);
    let expected = "a=fmtp:96 packetization-mode=1; profile-level-id=64001E; \
        sprop-parameter-sets=Z2QAHqzZQKA9pqDAwMgAAAMACAAAAwHgeLFssA==,aOvjyyLA\r\n";
    assert!(told.contains(expected) && told.contains("a=rtpmap:96 H264/90000\r\n"), "{told}");
}

#[test]
fn the_codec_is_known_by_its_name() {
    for (name, codec) in [
        ("H264", Some(CodecId::H264)),
        ("h264", Some(CodecId::H264)),
        ("H.264", Some(CodecId::H264)),
        ("AVC", Some(CodecId::H264)),
        ("H265", Some(CodecId::H265)),
        ("hevc", Some(CodecId::H265)),
        // Another payload format (RFC 6190).
        ("H264-SVC", None),
        ("MP4V-ES", None),
        ("JPEG", None),
    ] {
        let parameters = "a=fmtp:96 packetization-mode=1; level=3;blank";
        let description = described(&format!("a=rtpmap:96 {name}/90000"), parameters);
        let track = &description.tracks()[0];
        assert_eq!(track.codec, codec, "{name}");
        let parameters: Vec<_> = track.parameters().collect();
        assert_eq!(parameters, [("packetization-mode", "1"), ("level", "3")], "{name}");
        assert_eq!(description.video_track().is_some(), codec.is_some(), "{name}");
    }
}

#[test]
fn of_two_tracks_h265_is_shown() {
    let h264 = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n";
    let h265 = "m=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\n";
    let audio = "m=audio 0 RTP/AVP 8\r\n";
    for (text, expected) in [
        (format!("{h264}{h265}"), Some((1, CodecId::H265))),
        (format!("{audio}{h264}{h264}"), Some((1, CodecId::H264))),
        (format!("{h265}{h264}"), Some((0, CodecId::H265))),
        (audio.to_owned(), None),
    ] {
        let description = Description::parse(text.as_bytes()).unwrap();
        let shown = description.video_track().map(|(index, track)| (index, track.codec.expect("a codec")));
        assert_eq!(shown, expected, "{text}");
    }
}

#[test]
fn of_several_formats_in_a_line_h265_is_taken_before_h264_and_h264_before_others() {
    let names = [(96, "VP8"), (97, "H264"), (98, "H265")];
    for (formats, expected) in [("96 97 98", 98), ("97 96", 97), ("96 97", 97), ("97 98", 98), ("96", 96)] {
        let rtpmaps: String =
            names.iter().filter(|(of, _)| formats.contains(&of.to_string())).fold(String::new(), |text, (of, name)| {
                format!("{text}a=rtpmap:{of} {name}/90000\r\na=fmtp:{of} x={of}\r\n")
            });
        let description = Description::parse(format!("m=video 0 RTP/AVP {formats}\r\n{rtpmaps}").as_bytes()).unwrap();
        assert_eq!(description.tracks()[0].payload_type, expected, "{formats}");
        let told = for_readers(&description);
        assert!(told.contains(&format!("a=fmtp:{expected} x={expected}\r\n")), "{told}");
    }
}

#[test]
fn a_format_without_a_name_is_h264_where_an_sps_stands_in_its_parameters() {
    let known = described("", &format!("a=fmtp:96 sprop-parameter-sets={}", STANDARD.encode(HIGH)));
    assert_eq!(
        known.video_track().map(|(_, track)| (track.codec, track.clock_rate_hz)),
        Some((Some(CodecId::H264), 90_000))
    );
    assert!(for_readers(&known).contains("a=rtpmap:96 H264/90000\r\n"));
    for unknown in ["packetization-mode=1", "profile-level-id=1; config=000001B001", "sprop-parameter-sets=,"] {
        assert!(described("", &format!("a=fmtp:96 {unknown}")).video_track().is_none(), "{unknown}");
    }
}

#[test]
fn parameter_sets_are_read_however_cameras_write_them() {
    let [sps, pps] = [HIGH, PPS_OF_HIGH].map(|nal| STANDARD.encode(nal));
    let bare = [HIGH, PPS_OF_HIGH].map(|nal| STANDARD_NO_PAD.encode(nal)).join(",");
    let url_safe = [HIGH, PPS_OF_HIGH].map(|nal| URL_SAFE.encode(nal)).join(",");
    let coded = |code: &[u8]| [HIGH, PPS_OF_HIGH].map(|nal| STANDARD.encode([code, nal].concat())).join(",");
    let glued = STANDARD.encode([&[0, 0, 0, 1], HIGH, &[0, 0, 0, 1], PPS_OF_HIGH].concat());
    for value in [
        format!("{sps},{pps}"),
        format!("{pps},{sps}"),
        format!(" {sps} , {pps} "),
        format!("\"{sps},{pps}\""),
        format!("{sps},{pps},"),
        format!(",,{sps},,{pps},!!!,QQ,d29ybGQ="),
        format!("{sps},{pps},{pps}"),
        bare,
        url_safe,
        coded(&[0, 0, 1]),
        coded(&[0, 0, 0, 1]),
        glued,
    ] {
        for parameters in [
            format!("packetization-mode=1;profile-level-id=64001E;sprop-parameter-sets={value}"),
            format!("sprop-parameter-sets={value}; packetization-mode=1; profile-level-id=64001e"),
            format!("Packetization-Mode = 1 ; Sprop-Parameter-Sets = {value} ; PROFILE-LEVEL-ID = 64001E"),
            format!("profile-level-id=64001E;packetization-mode=1 sprop-parameter-sets={value}"),
        ] {
            let description = with_parameters(&parameters);
            assert_eq!(sets_of(&description), sets(), "{parameters}");
            let h264 = h264_of(&description);
            assert_eq!((h264.packetization_mode, h264.profile_level_id), (1, Some([0x64, 0, 0x1e])), "{parameters}");
            let again = Description::parse(&description.for_readers()).unwrap();
            assert_eq!(h264_of(&again), h264, "{parameters}");
        }
    }
}

#[test]
fn parameter_sets_that_are_none_are_left_out_for_readers() {
    // One SPS and nothing behind the comma (Hikvision), nothing at all (Hikvision), and no SPS.
    for (value, kept) in [("Z0IAH5WoPASaEAAAcIAAFfkIQA==,", 1), ("", 0), (",", 0), ("6QAA,aM48gA==", 1)] {
        let description = with_parameters(&format!("packetization-mode=1;sprop-parameter-sets={value}"));
        assert_eq!(sets_of(&description).len(), kept, "{value}");
        let told = for_readers(&description);
        assert!(told.contains("a=fmtp:96 packetization-mode=1"), "{told}");
        assert_eq!(told.contains("sprop-parameter-sets="), kept > 0, "{told}");
        assert!(!told.contains(",\r\n"), "{told}");
    }
    // Two PPS of different ids, and SPS and PPS of the lower nal_ref_idc (Wyze).
    for (value, kept) in [
        ("Z2QAKawTMUB4BEfeA+oCAgPgAAADACAAAAZSgA==,aPqPLA==,aF6jzAMA", 3),
        ("J00AKedAPAET8s1AQEB8AAADAAQAAAMAoNGADqYAFfl//wKA,KO48gA==", 2),
    ] {
        let description = with_parameters(&format!("sprop-parameter-sets={value}"));
        assert_eq!(sets_of(&description).len(), kept, "{value}");
        assert!(for_readers(&description).contains(&format!("sprop-parameter-sets={value}\r\n")));
    }
}

#[test]
fn mode_and_level_are_what_can_be_read_of_them() {
    for (parameters, mode, level) in [
        ("x=y", 0, None),
        ("packetization-mode=2", 2, None),
        ("packetization-mode=x;profile-level-id=42", 0, None),
        ("packetization-mode=-1;profile-level-id=+4001E", 0, None),
        ("profile-level-id=\"42e01f\"", 0, Some([0x42, 0xe0, 0x1f])),
        ("profile-level-id=64001E00", 0, None),
    ] {
        let description = with_parameters(parameters);
        let h264 = h264_of(&description);
        assert_eq!((h264.packetization_mode, h264.profile_level_id), (mode, level), "{parameters}");
        assert!(for_readers(&description).contains(&parameters.replace(';', "; ")), "readers get them as they came");
    }
}

#[test]
fn our_own_description_reads_back() {
    for nals in [sets(), vec![Bytes::from_static(PPS_OF_BASELINE), Bytes::from_static(BASELINE)], vec![]] {
        let text = publisher_description("live", &ParameterSets::of_nals(CodecId::H264, &nals));
        let description = Description::parse(&text).unwrap();
        let (_, track) = description.video_track().expect("a track");
        assert_eq!((track.codec, track.payload_type), (Some(CodecId::H264), VIDEO_PAYLOAD_TYPE));
        assert!(track.keyframe_requests && track.rate_requests);
        let mut expected = nals.clone();
        expected.sort_by_key(|nal| nal[0] & 0x1f);
        assert_eq!(sets_of(&description), expected);
        let level = nals.iter().find(|nal| nal[0] == 0x67).map(|sps| [sps[1], sps[2], sps[3]]);
        assert_eq!((h264_of(&description).packetization_mode, h264_of(&description).profile_level_id), (1, level));
    }
}

#[test]
fn sets_that_came_in_band_stand_in_the_description_that_readers_get() {
    let before = with_parameters("packetization-mode=1;sprop-parameter-sets=Z0IAH5W4PASaEAAAcIAAFfkAQA==,aM48gA==");
    let slice = Bytes::from_static(&[0x65, 0x88]);
    let in_band = ParameterSets::of_nals(CodecId::H264, sets().iter().chain([&slice]));
    let after = before.with_parameter_sets(0, &in_band);
    assert_eq!(sets_of(&after), sets());
    let again = Description::parse(&after.for_readers()).unwrap();
    assert_eq!(sets_of(&again), sets());
    assert!(after.tracks()[0].is_like(&before.tracks()[0]));
}

#[test]
fn what_is_kept_is_bounded() {
    let pps = |id| {
        let mut bits = BitWriter::default();
        bits.ue(id).ue(0);
        STANDARD.encode(bits.nal(0x68))
    };
    let all: Vec<String> = (0..256).chain(0..256).map(pps).collect();
    let description = with_parameters(&format!("sprop-parameter-sets={}", all.join(",")));
    assert_eq!(sets_of(&description).len(), 96);
}

proptest! {
    #[test]
    fn any_parameters_are_told_so_that_they_read_the_same(
        parameters in prop::collection::vec(
            prop_oneof![
                Just("packetization-mode=1".to_owned()),
                "profile-level-id=[0-9a-fA-F]{5,7}",
                "sprop-parameter-sets=(Z2QAHqzZQKA9pqDAwMgAAAMACAAAAwHgeLFssA==|aOvjyyLA|,|[A-Za-z0-9+/=,]{0,20}){0,4}",
                "[a-z=; \"-]{0,12}",
            ],
            0..6,
        ),
        separator in "[; ]{1,2}",
    ) {
        let description = with_parameters(&parameters.join(&separator));
        let written = description.for_readers();
        let again = Description::parse(&written).unwrap();
        prop_assert_eq!(h264_of(&again), h264_of(&description));
        prop_assert_eq!(sets_of(&again), sets_of(&description));
        prop_assert_eq!(again.for_readers(), written);
    }
}
