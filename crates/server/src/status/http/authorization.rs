//! Who may see the status page: this computer, or else users with `admin`; and who may change something through it: the
//! page itself, and what is no browser.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hevcast_wire::rtsp::auth::{Authorization, REALM};

use super::context::Context;
use super::origin;
use crate::access::authenticator::{LoginOutcome, LoginRequest};

/// Lets a request through, or answers it with an error.
pub(super) async fn authorize(
    State(context): State<Context>,
    Extension(peer): Extension<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    // A monitor needs no login to learn that the server runs.
    if path == "/healthz" {
        return next.run(request).await;
    }
    let (uri, headers) = (request.uri(), request.headers());
    if !origin::is_safe(request.method()) && !origin::may_change(uri, headers) {
        return refused(StatusCode::FORBIDDEN, "that is for this page alone, and the request comes from another\n");
    }
    if !context.is_open {
        // A page from elsewhere whose name resolves to this computer (DNS rebinding) is not this computer's.
        let names = &context.state.config().http.names;
        return match origin::names_this_computer(uri, headers, names) {
            true => next.run(request).await,
            false => {
                let what = "use this computer's address, such as 127.0.0.1, or give this name in [http] names\n";
                refused(StatusCode::FORBIDDEN, what)
            }
        };
    }
    match admission(&context, peer, headers).await {
        Admission::Granted => next.run(request).await,
        Admission::LoginWanted => {
            let challenge = format!("Basic realm=\"{REALM}\", charset=\"UTF-8\"");
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)], "log in as a user with admin = true\n")
                .into_response()
        }
        Admission::Forbidden => refused(StatusCode::FORBIDDEN, "this is for users with admin = true\n"),
        Admission::Overloaded => {
            let what = "too many logins wait; try again\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], what).into_response()
        }
    }
}

fn refused(status: StatusCode, what: &'static str) -> Response {
    (status, what).into_response()
}

/// Whether a request comes from an administrator.
enum Admission {
    Granted,
    LoginWanted,
    /// Logged in, but no administrator.
    Forbidden,
    /// Too many logins wait.
    Overloaded,
}

/// Checks the login that came. That a user is no administrator shows only when its password is right.
async fn admission(context: &Context, peer: SocketAddr, headers: &HeaderMap) -> Admission {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(Ok(login @ Authorization::Basic { .. })) = header.map(Authorization::parse) else {
        return Admission::LoginWanted;
    };
    match context.state.authenticate(LoginRequest { peer: peer.ip(), login: &login, method: "", nonce: "" }).await {
        LoginOutcome::Overloaded => Admission::Overloaded,
        LoginOutcome::Wrong => Admission::LoginWanted,
        LoginOutcome::Right => {
            let config = context.state.config();
            let is_admin = config.users().any(|user| user.admin && user.name == login.user());
            if is_admin { Admission::Granted } else { Admission::Forbidden }
        }
    }
}
