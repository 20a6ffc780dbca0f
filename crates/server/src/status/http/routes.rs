//! The routes of the status page and its API.

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Router, middleware};

use super::context::Context;
use super::{authorization, metrics};

/// The status page: one file that loads nothing from other servers.
const PAGE: &str = include_str!("../page.html");
/// The content security policy of the page, which allows only what the page needs (W3C Content Security Policy).
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' blob: \
                      data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The router of all requests, behind authorization. No response may be stored by caches.
pub(super) fn router(context: Context) -> Router {
    let authorize = middleware::from_fn_with_state(context.clone(), authorization::authorize);
    Router::new()
        .route("/", get(|| async { ([(CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE)) }))
        .route("/api/v1/status", get(status))
        .route("/api/v1/streams/{*rest}", get(still))
        .route("/api/v1/sessions/{id}", delete(end))
        .route("/metrics", get(prometheus))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(authorize)
        .layer(middleware::map_response(|mut response: Response| async move {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }))
        .with_state(context)
}

/// `GET /api/v1/status`: the latest snapshot as JSON.
async fn status(State(context): State<Context>) -> Response {
    let snapshot = context.snapshot.borrow().clone();
    ([(CONTENT_TYPE, "application/json")], snapshot.json()).into_response()
}

/// `GET /api/v1/streams/PATH/still.jpg`: the last still of a stream.
async fn still(State(context): State<Context>, Path(rest): Path<String>) -> Response {
    let stream = rest.strip_suffix("/still.jpg").and_then(|path| context.state.hub.find(path));
    let (Some(stream), Some(stills)) = (stream, &context.stills) else {
        return (StatusCode::NOT_FOUND, "no such stream\n").into_response();
    };
    match stills.still(&stream) {
        Some(jpeg) => ([(CONTENT_TYPE, "image/jpeg")], jpeg).into_response(),
        None => (StatusCode::NOT_FOUND, "no picture yet; ask again in a second\n").into_response(),
    }
}

/// `DELETE /api/v1/sessions/ID`: ends a session. [`authorization`] refuses such requests of other sites' pages.
async fn end(State(context): State<Context>, Path(id): Path<u64>) -> Response {
    match context.state.sessions.end(id) {
        true => {
            tracing::info!("session {id} was ended by the API");
            StatusCode::NO_CONTENT.into_response()
        }
        false => (StatusCode::NOT_FOUND, "no such session\n").into_response(),
    }
}

/// `GET /metrics`: the latest snapshot for Prometheus.
async fn prometheus(State(context): State<Context>) -> Response {
    let snapshot = context.snapshot.borrow().clone();
    match snapshot.metrics() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
