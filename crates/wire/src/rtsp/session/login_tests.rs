//! A player logs in at a server session, over a pipe in memory.

use std::time::Instant;

use bytes::BytesMut;
use rtsp_types::Url;

use super::client::MAX_UNREAD_RESPONSES;
use super::player::PlayerSession;
use super::server::{Accepted, ServerEvent, ServerSession};
use super::tests::{World, decode, drain, url};
use super::{ClientSession, SessionError};
use crate::rtsp::auth::Credentials;
use crate::rtsp::auth::{Authorization, Challenge, Ha1};
use crate::rtsp::message::{Inbound, MessageDecoder};
use crate::session::Session;
use crate::time::{Now, UtcMicros};

fn now() -> Now {
    Now { instant: Instant::now(), utc: UtcMicros(0) }
}

fn messages(mut poll: impl FnMut() -> Option<bytes::Bytes>) -> Vec<Inbound> {
    let mut buffer = BytesMut::new();
    std::iter::from_fn(&mut poll).for_each(|bytes| buffer.extend_from_slice(&bytes));
    let mut decoder = MessageDecoder::default();
    std::iter::from_fn(|| decoder.decode(&mut buffer).unwrap()).collect()
}

/// Lets a player with this password ask for a description; what came of it, and what its questions brought.
fn describe(password: Option<&str>, challenge: &Challenge) -> (Result<(), SessionError>, Vec<String>) {
    let credentials = password.map(|password| Credentials { user: "me".into(), password: password.into() });
    let mut player = PlayerSession::new(Url::parse("rtsp://h/live").unwrap(), credentials, "test", now());
    let mut server = ServerSession::new("c0ffee".into(), now());
    let ha1 = Ha1::new("me", "secret");
    let mut log = Vec::new();
    loop {
        let requests = messages(|| player.poll_transmit());
        if requests.is_empty() {
            return (Ok(()), log);
        }
        for request in requests {
            server.handle_input(request, now()).unwrap();
            if let Some(ServerEvent::Describe { .. }) = server.poll_event() {
                let may = match server.authorization() {
                    Some(Authorization::Digest(digest)) => digest.proves(ha1, server.method(), &challenge.nonce),
                    Some(Authorization::Basic { user, password }) => ha1.is_of(&user, &password),
                    None => false,
                };
                log.push(format!(
                    "{} {:?} {may}",
                    server.method(),
                    server.authorization().map(|l| l.user().to_owned())
                ));
                match may {
                    true => server.accept(Accepted::Yes),
                    false => server.challenge(challenge),
                }
            }
        }
        for answer in messages(|| server.poll_transmit()) {
            // An "accept" of the wrong kind counts as a server's fault: enough to see that it got there.
            match player.handle_input(answer, now()) {
                Err(SessionError::Refused { status: 500, .. }) => return (Ok(()), log),
                Err(error) => return (Err(error), log),
                Ok(()) => {}
            }
        }
    }
}

#[test]
fn a_player_logs_in_by_digest_where_both_are_offered_and_by_basic_where_that_is_all() {
    for digest in [true, false] {
        let challenge = Challenge { nonce: "n0nce".into(), digest, basic: true };
        let (result, log) = describe(Some("secret"), &challenge);
        result.unwrap();
        assert_eq!(log, ["DESCRIBE None false", "DESCRIBE Some(\"me\") true"]);
    }
}

/// A player that is asked for its login by whatever `challenge` says of each request; how many it sent, and how it ended.
fn challenged(credentials: Credentials, challenge: impl Fn(usize) -> String) -> (usize, SessionError) {
    let mut player = PlayerSession::new(Url::parse("rtsp://h/live").unwrap(), Some(credentials), "test", now());
    for asked in 1.. {
        let request = messages(|| player.poll_transmit());
        assert_eq!(request.len(), 1);
        let answer = format!("RTSP/1.0 401 Unauthorized\r\nCSeq: {asked}\r\n{}\r\n\r\n", challenge(asked));
        let answer = messages({
            let mut once = Some(bytes::Bytes::from(answer));
            move || once.take()
        });
        for answer in answer {
            if let Err(error) = player.handle_input(answer, now()) {
                return (asked, error);
            }
        }
    }
    unreachable!("the loop has no end")
}

#[test]
fn a_server_that_calls_every_nonce_stale_is_left() {
    let me = || Credentials { user: "me".into(), password: "secret".into() };
    let stale = |n| format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"n{n}\", stale=true");
    let (requests, error) = challenged(me(), stale);
    assert_eq!(requests, 4, "without, with, and twice more");
    assert!(error.to_string().contains("or the password is wrong"), "{error}");
    let (requests, _) = challenged(me(), |n| format!("WWW-Authenticate: Digest realm=\"x\", nonce=\"n{n}\""));
    assert_eq!(requests, 2, "a new nonce alone is no reason to try a refused login again");
    let (requests, error) = challenged(me(), |_| "WWW-Authenticate: Kerberos\u{1b}[31m".to_owned());
    assert!(requests == 1 && error.to_string().contains("asks for a login by"), "{error}");
    assert!(!error.to_string().contains('\u{1b}'));
}

#[test]
fn what_is_sent_is_not_in_what_a_session_shows_of_itself() {
    let me = Credentials { user: "me".into(), password: "secret".into() };
    let mut player = PlayerSession::new(Url::parse("rtsp://h/live?token=secret").unwrap(), Some(me), "test", now());
    while player.poll_transmit().is_some() {}
    let mut challenge =
        Some(bytes::Bytes::from("RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n"));
    player.handle_input(messages(|| challenge.take()).remove(0), now()).unwrap();
    let shown = format!("{:?} {:?}", player.client(), player.client().auth());
    assert!(!shown.contains("secret") && !shown.contains("bWU6c2VjcmV0") && shown.contains("token=…"), "{shown}");
}

#[test]
fn a_server_that_asks_and_reads_nothing_is_left() {
    let mut player = PlayerSession::new(Url::parse("rtsp://h/live").unwrap(), None, "test", now());
    let ask = |player: &mut PlayerSession, cseq: &str| {
        let request = format!("OPTIONS * RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n");
        let mut once = Some(bytes::Bytes::from(request));
        let request = messages(move || once.take()).remove(0);
        player.handle_input(request, now())
    };
    for _ in 0..10 {
        for _ in 0..MAX_UNREAD_RESPONSES {
            ask(&mut player, "1").unwrap();
        }
        player.handle_drained();
    }
    while player.poll_transmit().is_some() {}
    let left = (0..).map(|n| (n, ask(&mut player, "1"))).find(|(_, asked)| asked.is_err());
    assert!(matches!(left, Some((MAX_UNREAD_RESPONSES, Err(SessionError::Unread { .. })))), "{left:?}");
    assert_eq!(std::iter::from_fn(|| player.poll_transmit()).count(), MAX_UNREAD_RESPONSES);
    player.handle_drained();
    let long = "1".repeat(10_000);
    let left = (0..).map(|n| (n, ask(&mut player, &long))).find(|(_, asked)| asked.is_err()).unwrap();
    assert!(left.0 < 10, "answers are bounded by their bytes, too");
}

#[test]
fn without_the_right_password_it_is_told_to_give_one() {
    let challenge = Challenge { nonce: "n0nce".into(), digest: true, basic: true };
    for password in [None, Some("guess")] {
        let (result, log) = describe(password, &challenge);
        let error = result.unwrap_err();
        assert!(matches!(error, SessionError::Unauthorized { .. }), "{error:?}");
        let words = if password.is_some() { "\"me\" or the password is wrong" } else { "asks for a login" };
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(log.len(), 1 + usize::from(password.is_some()));
    }
}

#[test]
fn a_stale_nonce_is_answered_anew() {
    let world = World::new(0);
    let credentials = Credentials { user: "u".into(), password: "p".into() };
    let mut player = PlayerSession::new(url(), Some(credentials), "test", world.client());
    drain(|| player.poll_transmit());
    for (cseq, nonce, stale) in [(1, "a", ""), (2, "b", ", stale=true"), (3, "c", ", stale=\"TRUE\"")] {
        let challenge = format!(
            "RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n\
             WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\"{stale}\r\n\r\n"
        );
        player.handle_input(decode(challenge.as_bytes()).remove(0), world.client()).unwrap();
        let again = String::from_utf8(drain(|| player.poll_transmit())).unwrap();
        assert!(again.contains(&format!("nonce=\"{nonce}\"")), "{again}");
    }
}
