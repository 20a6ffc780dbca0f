//! A player logs in at a server session, over a pipe in memory.

use std::time::Instant;

use bytes::BytesMut;
use rtsp_types::Url;

use super::player::PlayerSession;
use super::server::{Accepted, ServerEvent, ServerSession};
use super::{ClientSession, SessionError};
use crate::rtsp::digest::Credentials;
use crate::rtsp::login::{Challenge, Ha1, Login};
use crate::rtsp::message::{Inbound, MessageDecoder};
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
            if let Some(ServerEvent::Describe { .. }) = server.handle_message(request, now()) {
                let may = match server.login() {
                    Some(Login::Digest(digest)) => digest.proves(ha1, server.method(), &challenge.nonce),
                    Some(Login::Basic { user, password }) => ha1.is_of(&user, &password),
                    None => false,
                };
                log.push(format!("{} {:?} {may}", server.method(), server.login().map(|l| l.user().to_owned())));
                match may {
                    true => server.accept(Accepted::Yes),
                    false => server.challenge(challenge),
                }
            }
        }
        for answer in messages(|| server.poll_transmit()) {
            // An "accept" of the wrong kind counts as a server's fault: enough to see that it got there.
            match player.handle_message(answer, now()) {
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

#[test]
fn without_the_right_password_it_is_told_to_give_one() {
    let challenge = Challenge { nonce: "n0nce".into(), digest: true, basic: true };
    for password in [None, Some("guess")] {
        let (result, log) = describe(password, &challenge);
        assert!(matches!(result, Err(SessionError::Unauthorized { .. })), "{result:?}");
        assert_eq!(log.len(), 1 + usize::from(password.is_some()));
    }
}
