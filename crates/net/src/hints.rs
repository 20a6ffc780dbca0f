//! Hints: what a user can do about an error, as the end of the sentence that an error of `hevcast-wire` begins.
//!
//! The sessions of `hevcast-wire` report what a server did; the program's options and settings that may help are known
//! here. [`crate::NetError`] puts both together.

use hevcast_wire::shown::PROGRAM;
use std::io;
use std::time::Duration;

use hevcast_wire::rtmp::RtmpError;
use hevcast_wire::rtsp::session::{AuthFailure, SessionError};
use rustls::CertificateError;

use crate::tls::Fingerprint;

/// The hint for an RTSP session's error, to be appended to its text; empty where there is none.
pub fn of_session(error: &SessionError) -> &'static str {
    match error {
        SessionError::Unauthorized { why, .. } => match why {
            AuthFailure::NoCredentials => {
                ": give one with --user and --password-file, or in the URL as in rtsp://USER:PASSWORD@HOST/PATH"
            }
            AuthFailure::Refused { .. } => {
                ": check both; in a URL, characters such as @ / # ? % of a password are written %40 %2F %23 %3F %25"
            }
            AuthFailure::UnsupportedSchemes { .. } => {
                ": hevcast knows Digest (MD5, SHA-256, SHA-512-256) and Basic; allow one of them there"
            }
            _ => "",
        },
        SessionError::NotFound { .. } => ": check the path, or start the sender first",
        SessionError::Transport { .. } => ": allow TCP (interleaved) transport at the server",
        SessionError::Moved { .. } => ", where hevcast does not follow: give that address, if you trust it",
        SessionError::Refused { status, .. } => of_status(*status),
        SessionError::NoResponse { request, has_responded, .. } => of_silence(request, *has_responded),
        SessionError::NotHevc { .. } => ": hevcast plays H.265 only",
        SessionError::Encrypted { .. } => {
            ", which hevcast does not speak: take its address without SRTP (at UniFi Protect, without ?enableSrtp), \
             or one of rtsps://"
        }
        _ => "",
    }
}

/// The hint for a response with this RTSP status code.
fn of_status(status: u16) -> &'static str {
    match status {
        403 => ": another sender may hold this path, or you may not use it",
        405 | 501 => ": the server may not take publishers by RTSP",
        453 => ": the server is out of bandwidth or places",
        503 => ": the server is busy; try again",
        _ => "",
    }
}

/// The hint for a request without a response; `has_responded` says whether the server responded to an earlier request.
fn of_silence(request: &str, has_responded: bool) -> &'static str {
    match (request, has_responded) {
        ("ANNOUNCE", _) => ": it may not take publishers by RTSP; check the address, or use another server or protocol",
        ("DESCRIBE", true) => {
            ": it answers other requests, so it may be waiting for the stream itself; see whether the camera or the sender \
             behind it is on, or wait for it with --wait"
        }
        ("OPTIONS" | "DESCRIBE", _) => {
            ": is that an RTSP port, and is the server well? check the address, or try again"
        }
        (_, _) => ": it answered before; the server may be overloaded or stuck; try again",
    }
}

/// The hint for an RTMP session's error, to be appended to its text; empty where there is none.
pub fn of_rtmp(error: &RtmpError) -> &'static str {
    match error {
        RtmpError::NoStream { .. } => "; give an address like rtmp://HOST/APP/STREAM",
        RtmpError::NotRtmp { .. } => "; is this an RTMP port?",
        RtmpError::NoResponse { .. } => "; check the address, or try again later",
        RtmpError::CredentialsRequired { .. } => {
            ": give one with --user and --password-file, or as rtmp://USER:PASSWORD@HOST/…"
        }
        RtmpError::CredentialsRefused { .. } => ": check the user and the password",
        RtmpError::Refused { reason, .. } => of_reason(reason),
        RtmpError::NotHevc { .. } => ": hevcast plays H.265 only",
        RtmpError::TooLong { .. } => "; lower the bitrate",
        _ => "",
    }
}

/// The hint for the reason that an RTMP server gave: codes of RTMP 1.0 section 7.2.2, and texts of MediaMTX.
fn of_reason(reason: &str) -> &'static str {
    const MEDIAMTX_LOGIN: &str =
        "; the login is missing or wrong; MediaMTX reads it in the query: ?user=USER&pass=PASSWORD";
    const HINTS: [(&str, &str); 7] = [
        ("Unauthorized", MEDIAMTX_LOGIN),
        ("authentication failed", MEDIAMTX_LOGIN),
        ("Publish.BadName", "; another sender may hold this stream, or its name or key is not known there"),
        ("Publish.Denied", "; check the stream's key"),
        ("Play.StreamNotFound", "; is anybody sending there?"),
        ("Connect.InvalidApp", "; check the application, the part of the address before the stream"),
        ("Connect.Rejected", "; check the application and the login"),
    ];
    HINTS.iter().find(|(code, _)| reason.contains(code)).map_or("", |(_, hint)| hint)
}

/// What failed in connecting by TCP within `timeout`, and what the user can do; `is_ours` where the server may be
/// `hevcast serve` on this computer.
pub fn of_connect(error: &io::Error, is_ours: bool, timeout: Duration) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused if is_ours => {
            format!("nothing listens there; start the server ({PROGRAM} serve), or check the port")
        }
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there; see whether the server or the camera runs, and check the port".to_owned()
        }
        io::ErrorKind::TimedOut => {
            format!("no answer within {} s; check the address and the firewall", timeout.as_secs())
        }
        _ => format!("{error}; check the address and the network"),
    }
}

/// What failed in a TLS handshake, and what the user can do; `pin` is the fingerprint that the user requires, and
/// `shown` that of the certificate which the server sent.
pub fn of_tls(error: &io::Error, scheme: &str, pin: Option<Fingerprint>, shown: Option<Fingerprint>) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, shown, pin) {
        (Some(rustls::Error::InvalidCertificate(_)), Some(found), Some(_)) => format!(
            "its certificate is another, with the fingerprint {found}; if that is what the server prints, \
             give it with --pin {found}"
        ),
        (Some(rustls::Error::InvalidCertificate(why)), Some(found), None) => format!(
            "{}; its fingerprint is {found}: compare that with what the server prints at its start, \
             and if it is the same, give --pin {found}",
            distrust(why)
        ),
        _ => format!("{error}; is this a port of {scheme}://?"),
    }
}

/// What is wrong with a certificate, as the beginning of a sentence.
fn distrust(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "its certificate is not trusted by this computer".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is this computer's clock right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name".to_owned()
        }
        other => format!("its certificate is not trusted ({other})"),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;
    use crate::NetError;

    fn url() -> String {
        "rtsp://h/live".to_owned()
    }

    fn silence(request: &'static str, has_responded: bool) -> String {
        NetError::from(SessionError::NoResponse { request, url: url(), has_responded }).to_string()
    }

    #[test]
    fn a_missing_response_says_what_it_may_mean() {
        assert!(silence("OPTIONS", false).contains("OPTIONS within 5 s: is that an RTSP port"));
        let held = silence("DESCRIBE", true);
        assert!(held.contains("DESCRIBE within 5 s: it answers other requests") && held.contains("--wait"), "{held}");
        assert!(silence("ANNOUNCE", true).contains("may not take publishers by RTSP"));
    }

    #[test]
    fn a_hint_ends_the_sentence_that_the_error_begins() {
        let moved = SessionError::Moved { request: "DESCRIBE", url: url(), to: "rtsp://other/live".into() };
        let refused = |reason: &str| RtmpError::Refused { url: url(), request: "publish", reason: reason.to_owned() };
        let encrypted = SessionError::Encrypted { url: url() };
        for (error, text) in [
            (
                NetError::from(SessionError::NotFound { request: "DESCRIBE", url: url() }),
                "nothing is published at rtsp://h/live (DESCRIBE: 404): check the path, or start the sender first",
            ),
            (
                moved.into(),
                "rtsp://h/live sends DESCRIBE on to rtsp://other/live, where hevcast does not follow: give that address, \
                 if you trust it",
            ),
            (
                encrypted.into(),
                "the stream at rtsp://h/live is encrypted by SRTP (RTP/SAVP), which hevcast does not speak: take its \
                 address without SRTP (at UniFi Protect, without ?enableSrtp), or one of rtsps://",
            ),
            (
                refused("NetStream.Publish.BadName: Stream already publishing").into(),
                "rtsp://h/live: the server refused to publish: NetStream.Publish.BadName: Stream already publishing; \
                 another sender may hold this stream, or its name or key is not known there",
            ),
            (refused("no").into(), "rtsp://h/live: the server refused to publish: no"),
        ] {
            assert_eq!(error.to_string(), text);
            assert!(error.source().is_none(), "one sentence, printed once");
        }
    }
}
