//! Who may see the status page: this computer, and otherwise users with `admin`.

use std::net::{IpAddr, SocketAddr};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hevcast_wire::rtsp::login::{Login, REALM};

use super::Context;
use crate::doors::access;

/// Lets a request through, or answers it.
pub(super) async fn gate(
    State(context): State<Context>,
    Extension(peer): Extension<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    // A monitor need not log in to learn that we live.
    if path == "/healthz" {
        return next.run(request).await;
    }
    if !context.is_open {
        // A page from elsewhere whose name was turned to this computer is not this computer.
        return match names_this_computer(request.headers()) {
            true => next.run(request).await,
            false => (StatusCode::FORBIDDEN, "use this computer's address, such as 127.0.0.1\n").into_response(),
        };
    }
    match is_admin(&context, peer, request.headers()).await {
        Some(true) => next.run(request).await,
        Some(false) => {
            let challenge = format!("Basic realm=\"{REALM}\", charset=\"UTF-8\"");
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)], "log in as a user with admin = true\n")
                .into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "too many logins wait; try again\n").into_response(),
    }
}

/// Whether the Host header is an address or `localhost`: other names are not ours to answer to.
fn names_this_computer(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return true };
    if host.parse::<SocketAddr>().is_ok() {
        return true;
    }
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    address.parse::<IpAddr>().is_ok() || name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

/// Whether the login that came is an administrator's; `None` when too many wait.
async fn is_admin(context: &Context, peer: SocketAddr, headers: &HeaderMap) -> Option<bool> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(Ok(login @ Login::Basic { .. })) = header.map(Login::parse) else { return Some(false) };
    let state = &context.state;
    let Some(user) = access::user_of(&state.config(), &login).filter(|user| user.admin) else {
        return refuse(context, peer).await;
    };
    let attempt = state.slowdown.attempt(peer.ip(), state.clock.now().instant)?;
    tokio::time::sleep_until(attempt.turn.into()).await;
    let is_right = state.look_at_password(move || access::proves(&user, &login, "", "")).await;
    match is_right {
        true => attempt.succeeded(),
        false => attempt.failed(state.clock.now().instant),
    }
    state.counters.logins.count(if is_right { "right" } else { "wrong" });
    Some(is_right)
}

/// A user that may not: as slow as a wrong password.
async fn refuse(context: &Context, peer: SocketAddr) -> Option<bool> {
    let state = &context.state;
    let attempt = state.slowdown.attempt(peer.ip(), state.clock.now().instant)?;
    tokio::time::sleep_until(attempt.turn.into()).await;
    attempt.failed(state.clock.now().instant);
    state.counters.logins.count("wrong");
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn other_names_for_this_computer_are_not_answered_to() {
        let names = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            names_this_computer(&headers)
        };
        for host in ["127.0.0.1:8580", "localhost:8580", "LOCALHOST", "[::1]:8580", "[::1]", "10.0.0.1"] {
            assert!(names(host), "{host}");
        }
        assert!(!names("evil.example:8580") && !names("127.0.0.1.evil.example"));
    }
}
