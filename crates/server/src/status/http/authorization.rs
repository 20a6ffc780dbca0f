//! Authorization of HTTP requests. Requests from this computer need no login where only it can connect; otherwise they
//! need the login of a user with `admin`. Only the status page itself, and clients that are not browsers, may change
//! anything.

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

/// The middleware in front of all routes: passes a request on, or responds with an error.
pub(super) async fn authorize(
    State(context): State<Context>,
    Extension(peer): Extension<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    // Monitoring needs no login to learn that the server runs.
    if path == "/healthz" {
        return next.run(request).await;
    }
    let (uri, headers) = (request.uri(), request.headers());
    if !origin::is_safe(request.method()) && !origin::may_change(uri, headers) {
        return refused(StatusCode::FORBIDDEN, "that is for this page alone, and the request comes from another\n");
    }
    if !context.is_open {
        // A foreign page whose host name resolves to this computer (DNS rebinding) is refused.
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
    /// The login is right, and the user has `admin`.
    Granted,
    /// There is no login, or it is wrong.
    LoginWanted,
    /// The login is right, but the user does not have `admin`.
    Forbidden,
    /// The login was not checked, since too many wait.
    Overloaded,
}

/// Checks the login in the request's header. Whether a user has `admin` shows only if the password is right.
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
