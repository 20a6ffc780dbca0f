//! Correct messages, and those of other implementations.

use super::*;

fn decode_all(bytes: &[u8]) -> Result<Vec<Inbound>, MessageError> {
    let mut decoder = MessageDecoder::default();
    let mut buffer = BytesMut::from(bytes);
    let mut out = Vec::new();
    while let Some(inbound) = decoder.decode(&mut buffer)? {
        out.push(inbound);
    }
    Ok(out)
}

const OPTIONS: &[u8] = b"OPTIONS rtsp://h/p RTSP/1.0\r\nCSeq: 1\r\n\r\n";

#[test]
fn messages_and_frames_side_by_side() {
    let mut bytes = OPTIONS.to_vec();
    bytes.extend_from_slice(b"$\x02\x00\x03abc\r\nRTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\nhi");
    let all = decode_all(&bytes).unwrap();
    assert!(matches!(&all[0], Inbound::Request(r) if r.method() == rtsp_types::Method::Options));
    assert!(matches!(&all[1], Inbound::Frame(f) if f.channel() == 2 && &f.packet()[..] == b"abc"));
    assert!(matches!(&all[2], Inbound::Response(r) if r.body() == b"hi"));
}

#[test]
fn a_frame_behind_a_stray_line_end_belongs_to_a_run() {
    let mut buffer = BytesMut::from(&b"\r\n$\x00\x00\x01a$\x00\x00\x01b\r\n"[..]);
    let mut decoder = MessageDecoder::default();
    assert_eq!(decoder.decode_run(&mut buffer).as_deref(), Some(&b"$\x00\x00\x01a$\x00\x00\x01b"[..]));
    assert!(decoder.decode_run(&mut buffer).is_none() && decoder.decode(&mut buffer).unwrap().is_none());
}

#[test]
fn a_message_may_come_a_byte_at_a_time() {
    let mut decoder = MessageDecoder::default();
    let mut buffer = BytesMut::new();
    let mut whole = 0;
    for &byte in OPTIONS {
        buffer.extend_from_slice(&[byte]);
        whole += usize::from(decoder.decode(&mut buffer).unwrap().is_some());
    }
    assert_eq!(whole, 1);
    assert!(buffer.is_empty());
}

#[test]
fn what_stands_in_a_cseq_adds_nothing_to_the_answer() {
    let request_of = |cseq: &str| {
        let bytes = format!("OPTIONS rtsp://h/p RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n123456789");
        let mut buffer = BytesMut::from(bytes.as_bytes());
        let decoded = MessageDecoder::default().decode(&mut buffer);
        let Ok(Some(Inbound::Request(request))) = decoded else { panic!("{decoded:?}") };
        response_bytes(&reply(&request, rtsp_types::StatusCode::Ok).replace_body(Vec::new()))
    };
    assert_eq!(&request_of("7")[..], b"RTSP/1.0 200 Ok\r\nCSeq: 7\r\n\r\n");
    for cseq in ["7\nContent-Length: 9", "7\r", "7\x0b\x00", "\x007", "7\r\nX: y"] {
        assert_eq!(&request_of(cseq)[..], b"RTSP/1.0 200 Ok\r\nCSeq: 7\r\n\r\n", "{cseq:?}");
    }
}

#[test]
fn what_is_not_rtsp_is_an_error() {
    assert!(matches!(decode_all(b"\x16\x03\x01\x02"), Err(MessageError::Malformed(_))));
    assert!(matches!(decode_all(b"GET / HTTP/1.1\r\n\r\n"), Err(MessageError::Malformed(_))));
    assert_eq!(decode_all(&[b'A'; MAX_HEADER_BYTES + 1]).unwrap_err(), MessageError::HeaderTooLong);
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_awaited() {
    let huge = b"ANNOUNCE rtsp://h/p RTSP/1.0\r\nContent-Length: 10000000000\r\n\r\n";
    assert_eq!(decode_all(huge).unwrap_err(), MessageError::BodyTooLong { announced: 10_000_000_000 });
    let odd = b"ANNOUNCE rtsp://h/p RTSP/1.0\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n";
    assert!(matches!(decode_all(odd), Err(MessageError::ContentLength(_))));
}

/// What a client reads from a server.
fn heard(bytes: &[u8]) -> Result<Vec<Inbound>, MessageError> {
    let (mut decoder, mut buffer, mut out) = (MessageDecoder::of_server(), BytesMut::from(bytes), Vec::new());
    while let Some(inbound) = decoder.decode(&mut buffer)? {
        out.push(inbound);
    }
    Ok(out)
}

/// An answer's status, CSeq, Session, Public and body.
fn only_response(bytes: &[u8]) -> (u16, String, String, String, Vec<u8>) {
    let all = heard(bytes).unwrap();
    let [Inbound::Response(response)] = &all[..] else { panic!("{all:?} of {:?}", String::from_utf8_lossy(bytes)) };
    let header = |name| response.header(&name).map(|value| value.as_str().to_owned()).unwrap_or_default();
    let status = u16::from(response.status());
    (status, header(headers::CSEQ), header(headers::SESSION), header(headers::PUBLIC), response.body().clone())
}

#[test]
fn an_answer_is_read_however_its_lines_are_written() {
    let right = "RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: a;timeout=60\r\nPublic: PLAY\r\nContent-Length: 2\r\n\r\nhi";
    let expected = only_response(right.as_bytes());
    assert_eq!(expected, (200, "3".into(), "a;timeout=60".into(), "PLAY".into(), b"hi".to_vec()));
    let swap = |from: &str, to: &str| right.replacen(from, to, 1);
    for (what, text) in [
        ("no reason", swap(" OK", "")),
        ("no reason but its blank", swap("OK", "")),
        ("several blanks", swap(" 200 OK", "  200  OK  ")),
        ("small letters", swap("RTSP/1.0", "rtsp/1.0")),
        ("a reason of several words, not ASCII", swap("OK", "sehr schön")),
        ("LF only", right.replace("\r\n", "\n")),
        ("LF in the head, CR LF at its end", swap("\r\n", "\n").replacen("3\r\n", "3\n", 1)),
        ("LF at the end only", swap("\r\n\r\n", "\n\n")),
        ("LF, CR LF at the end", swap("\r\n\r\n", "\n\r\n")),
        ("two CRs", right.replace("\r\n", "\r\r\n")),
        ("a line of a blank", swap("Public", " \r\nPublic")),
        ("a line of a tab after the first", swap("CSeq", "\t\r\nCSeq")),
        ("a line without a colon", swap("Public", "nonsense\r\nPublic")),
        ("a line without a name", swap("Public", ": x\r\nPublic")),
        ("a continued line that was skipped", swap("Public", "nonsense\r\n x\r\nPublic")),
        ("a folded header", swap("Session: a;timeout=60", "Session:\r\n a;timeout=60")),
        ("blanks around the colon", swap("CSeq: 3", "CSeq \t:   3  ")),
        ("no blank behind the colon", swap("CSeq: 3", "CSeq:3")),
        ("another case", swap("CSeq", "Cseq")),
        ("a header that is not UTF-8", swap("Public", "Server: GBK\u{FF}\r\nPublic").replace('\u{FF}', "\u{80}")),
        ("a header twice", swap("Public", "cseq: 9\r\nPublic")),
        ("a length with blanks", swap("Content-Length: 2", "content-length  :  2  ")),
        ("a length twice", swap("Content-Length: 2", "Content-Length: 2\r\nContent-length: 2")),
        ("blank lines before", format!("\r\n\n\r\n{right}")),
        ("zeros and blanks before", format!("\0\0 \t{right}")),
    ] {
        assert_eq!(only_response(text.as_bytes()), expected, "{what}");
        // The same in single bytes.
        let (mut decoder, mut buffer, mut count) = (MessageDecoder::of_server(), BytesMut::new(), 0);
        for byte in text.bytes() {
            buffer.extend_from_slice(&[byte]);
            count += usize::from(decoder.decode(&mut buffer).unwrap().is_some());
        }
        assert!(count == 1 && buffer.is_empty(), "{what}, in single bytes");
    }
    let bytes = right.replacen("Public", "Server: \r\nPublic", 1).into_bytes();
    let at = bytes.windows(8).position(|word| word == b"Server: ").unwrap() + 8;
    let gbk = [&bytes[..at], &[0xc9, 0xe3, 0xcf, 0xf1], &bytes[at..]].concat();
    assert_eq!(only_response(&gbk), expected, "GBK");
}

#[test]
fn a_request_is_read_however_its_first_line_is_written() {
    for line in [
        "DESCRIBE rtsp://h:8554/live RTSP/1.0",
        "DESCRIBE  rtsp://h:8554/live   RTSP/1.0  ",
        "describe rtsp://h:8554/live rtsp/1.0",
        "DESCRIBE RTSP://h:8554/live RTSP/1.1",
        "DESCRIBE rtspu://h:8554/live RTSP/1.0",
        "DESCRIBE h:8554/live RTSP/1.0",
    ] {
        let all = decode_all(format!("{line}\nCSeq: 1\n\n").as_bytes()).unwrap();
        let [Inbound::Request(request)] = &all[..] else { panic!("{all:?} of {line}") };
        assert_eq!(request.request_uri().unwrap().as_str(), "rtsp://h:8554/live", "{line}");
        assert_eq!((request.method(), request.version()), (&rtsp_types::Method::Describe, Version::V1_0), "{line}");
    }
    let path_of = |address: &str| {
        let all = decode_all(format!("SETUP {address} RTSP/1.0\r\n\r\n").as_bytes()).unwrap();
        match &all[..] {
            [Inbound::Request(request)] => request.request_uri().map(|url| url.path().to_owned()),
            [Inbound::BadRequest(_)] => Some("bad".to_owned()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(path_of("*"), None);
    for (address, path) in [
        ("/live/trackID=0", "/live/trackID=0"),
        ("rtsp://[fe80::1%25eth0]:8554/live", "/live"),
        ("rtsp://[fe80::1%eth0]/live", "/live"),
        ("rtsp://my_cam_1:/live", "/live"),
        ("rtsp://h/a?b=%zz|^<>", "/a"),
        ("rtsp://::1/live", "bad"),
        ("rtsp://h:99999/live", "bad"),
        ("rtsp://", "bad"),
        ("://", "bad"),
        ("data:text", "bad"),
    ] {
        assert_eq!(path_of(address).as_deref(), Some(path), "{address}");
    }
}

#[test]
fn another_version_is_known_for_one() {
    for version in ["RTSP/2.0", "RTSP/3.0", "RTSP/x", "RTSP/"] {
        let all = decode_all(format!("OPTIONS * {version}\r\nCSeq: 1\r\n\r\n").as_bytes()).unwrap();
        assert!(matches!(&all[..], [Inbound::Request(r)] if r.version() == Version::V2_0), "{version}");
    }
}

#[test]
fn a_request_that_names_no_address_is_refused_by_its_number() {
    let all = decode_all(b"DESCRIBE rtsp://::1/x RTSP/1.0\r\nCSeq: 5\r\n\r\n").unwrap();
    let [Inbound::BadRequest(bad)] = &all[..] else { panic!("{all:?}") };
    assert!(bad.what.contains("rtsp://::1/x"), "{bad:?}");
    let latin1 = decode_all(b"DESCRIBE rtsp://h/caf\xe9 RTSP/1.0\r\nCSeq: 5\r\n\r\n").unwrap();
    assert!(matches!(&latin1[..], [Inbound::BadRequest(bad)] if bad.what.contains("UTF-8") && bad.cseq == "5"));
    let utf8 = decode_all("DESCRIBE rtsp://h/live cam/客厅 RTSP/1.0\r\n\r\n".as_bytes()).unwrap();
    let [Inbound::Request(request)] = &utf8[..] else { panic!("{utf8:?}") };
    assert_eq!(request.request_uri().unwrap().path(), "/live%20cam/%E5%AE%A2%E5%8E%85");
    assert_eq!(&reply_to_bad(bad)[..], b"RTSP/1.0 400 Bad Request\r\nCSeq: 5\r\n\r\n");
}

#[test]
fn the_number_is_the_first_header() {
    let url = rtsp_types::Url::parse("rtsp://h/live").unwrap();
    let request = rtsp_types::Request::builder(rtsp_types::Method::Describe, Version::V1_0)
        .request_uri(url)
        .header(headers::ACCEPT, "application/sdp")
        .header(headers::AUTHORIZATION, "Basic x")
        .header(headers::CSEQ, "2")
        .build(b"hi".to_vec());
    let text = String::from_utf8(request_bytes(&request).to_vec()).unwrap();
    assert!(text.starts_with("DESCRIBE rtsp://h/live RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp\r\n"), "{text}");
    assert!(text.ends_with("\r\nContent-Length: 2\r\n\r\nhi"), "{text}");
}

const SDP: &str = "v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n";

#[test]
fn a_description_without_its_length_ends_where_its_lines_do() {
    let head = "RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Type: application/sdp\r\n\r\n";
    for behind in ["", "RTSP/1.0 200 OK\r\n\r\n", "$\0\0\x08\u{1}2345678", "OPTIONS * RTSP/1.0\r\n\r\n"] {
        let all = heard(format!("{head}{SDP}{behind}").as_bytes()).unwrap();
        let Inbound::Response(response) = &all[0] else { panic!("{all:?}") };
        assert_eq!(response.body(), SDP.as_bytes(), "{behind:?}");
        assert_eq!(all.len(), 1 + usize::from(!behind.is_empty()), "{behind:?}");
    }
    // As long as it may go on, nothing is taken.
    for so_far in ["", "v=0\r\n", "v=0\r\ns=x\r\nm=vid"] {
        assert!(heard(format!("{head}{so_far}").as_bytes()).unwrap().is_empty(), "{so_far:?}");
    }
    let endless = format!("{head}{}", "a=x\r\n".repeat(MAX_BODY_BYTES / 5 + 1));
    assert!(matches!(heard(endless.as_bytes()), Err(MessageError::BodyTooLong { .. })));
    let long_line = format!("{head}{}", "a".repeat(MAX_BODY_BYTES + 1));
    assert!(matches!(heard(long_line.as_bytes()), Err(MessageError::BodyTooLong { .. })));
}

/// Bytes that look like nothing, `$` included.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(len)
    .collect()
}

fn frame(channel: u8, len: usize) -> Vec<u8> {
    let packet = [&[0x80, 96][..], &vec![channel; len - 2]].concat();
    interleave::frame(channel, &packet).to_vec()
}

/// Statuses and frames' channels; noise is left out, and where it must be is said by `.`.
fn shape(all: &[Inbound]) -> String {
    let one = |inbound: &Inbound| match inbound {
        Inbound::Response(response) => u16::from(response.status()).to_string(),
        Inbound::Frame(frame) => frame.channel().to_string(),
        Inbound::Noise(_) => ".".to_owned(),
        other => panic!("{other:?}"),
    };
    all.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn noise_is_passed_over_up_to_the_next_answer_or_frame() {
    let answer = &b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"[..];
    for seed in 0..50 {
        for len in [1, 80, 300, 3000] {
            // Not one that can be read: the first byte is none that anything begins with.
            let noise = [&[0x9c][..], &noise(len, seed)].concat();
            let before_answer = [&noise, answer, &frame(0, 50)].concat();
            assert_eq!(shape(&heard(&before_answer).unwrap()), ". 200 0", "{len} bytes of {seed}");
            let between = [answer, &frame(0, 50), &noise, &frame(0, 900), &frame(1, 60), answer].concat();
            assert_eq!(shape(&heard(&between).unwrap()), "200 0 . 0 1 200", "{len} bytes of {seed}");
        }
    }
}

#[test]
fn noise_has_an_end() {
    assert!(heard(&noise(MAX_NOISE_AT_START_BYTES / 2, 1)).is_ok());
    let endless = vec![0x9c; MAX_NOISE_AT_START_BYTES + 1];
    assert!(matches!(heard(&endless), Err(MessageError::Malformed(_))));
    let later = [frame(0, 50), vec![0x9c; MAX_NOISE_BYTES]].concat();
    assert_eq!(shape(&heard(&later).unwrap()), "0");
    let later = [frame(0, 50), vec![0x9c; MAX_NOISE_BYTES + 1]].concat();
    assert!(matches!(heard(&later), Err(MessageError::Malformed(_))));
}

#[test]
fn a_hole_in_the_stream_costs_the_frames_it_hit() {
    let frames: Vec<Vec<u8>> = (0..20).map(|at| frame(0, 700 + at)).collect();
    for hole in [1, 3, 4, 300, 705, 1500] {
        let bytes = frames.concat();
        let cut = [&bytes[..2000], &bytes[2000 + hole..]].concat();
        let all = heard(&cut).unwrap();
        let whole =
            all.iter().filter(|i| matches!(i, Inbound::Frame(f) if frames.iter().any(|g| g[..] == f.framed[..])));
        assert!(whole.count() >= 15, "{hole}: {}", shape(&all));
    }
}

#[test]
fn a_client_is_told_at_once_until_frames_of_it_have_come() {
    for bytes in [&b"\x16\x03\x01\x02"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x9c\x9c", b"(hello)\r\n"] {
        assert!(matches!(decode_all(bytes), Err(MessageError::Malformed(_))), "{bytes:?}");
    }
    let later = [frame(2, 50), vec![0x9c; 70], frame(2, 60)].concat();
    assert_eq!(shape(&decode_all(&later).unwrap()), "2 . 2");
}

#[test]
fn a_web_server_is_no_noise() {
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"<!DOCTYPE HTML>\n<html>"] {
        assert!(matches!(heard(bytes), Err(MessageError::Malformed(_))));
    }
}

#[test]
fn a_request_that_cannot_be_made_out_leaves_what_follows_alone() {
    let mut bytes = b"DESCRIBE rtsp://h/caf\xe9 RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\nhi\r\n".to_vec();
    bytes.extend_from_slice(b"DESCRIBE rtsp://[h/p RTSP/1.0\r\nCSeq: 2\r\n\r\n$\x00\x00\x01x");
    bytes.extend_from_slice("DESCRIBE rtsp://h/live cam/客厅 RTSP/1.0\r\nCSeq: 3\r\n\r\n".as_bytes());
    let all = decode_all(&bytes).unwrap();
    for (at, cseq) in [(0, "1"), (1, "2")] {
        let Inbound::BadRequest(bad) = &all[at] else { panic!("{:?}", all[at]) };
        let answer = format!("RTSP/1.0 400 Bad Request\r\nCSeq: {cseq}\r\n\r\n");
        assert_eq!(&reply_to_bad(bad)[..], answer.as_bytes());
    }
    assert!(matches!(&all[2], Inbound::Frame(f) if &f.packet()[..] == b"x"));
    let Inbound::Request(request) = &all[3] else { panic!("{:?}", all[3]) };
    assert_eq!(request.request_uri().unwrap().path(), "/live%20cam/%E5%AE%A2%E5%8E%85");
}
