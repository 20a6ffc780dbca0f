//! Who may see the status page: this computer, and otherwise users with `admin`; who may change something there: our own
//! page, and what is no browser.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hevcast_wire::rtsp::auth::{Authorization as Login, REALM};

use super::{Context, origin};
use crate::doors::login::{self, Verdict};

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
    let (uri, headers) = (request.uri(), request.headers());
    if !origin::is_safe(request.method()) && !origin::may_change(uri, headers) {
        return refused(StatusCode::FORBIDDEN, "that is for this page alone, and the request comes from another\n");
    }
    if !context.is_open {
        // A page from elsewhere whose name was turned to this computer is not this computer.
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
        Admission::Crowded => {
            let what = "too many logins wait; try again\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "5")], what).into_response()
        }
    }
}

fn refused(status: StatusCode, what: &'static str) -> Response {
    (status, what).into_response()
}

/// Whether somebody is an administrator.
enum Admission {
    Granted,
    LoginWanted,
    /// Somebody, and none.
    Forbidden,
    /// Too many logins wait.
    Crowded,
}

/// Looks at the login that came. That a user is no administrator shows only when its password is right.
async fn admission(context: &Context, peer: SocketAddr, headers: &HeaderMap) -> Admission {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(Ok(login @ Login::Basic { .. })) = header.map(Login::parse) else { return Admission::LoginWanted };
    match login::prove(&context.state, peer.ip(), &login, "", "").await {
        Verdict::Crowded => Admission::Crowded,
        Verdict::Wrong => Admission::LoginWanted,
        Verdict::Right => {
            let config = context.state.config();
            let is_admin = config.users().any(|user| user.admin && user.name == login.user());
            if is_admin { Admission::Granted } else { Admission::Forbidden }
        }
    }
}
