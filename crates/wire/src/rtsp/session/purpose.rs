//! Why a client sends a request.

use rtsp_types::Method;

/// What a request in flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// OPTIONS at the start, to learn what the server can do (RFC 2326 section 10.1).
    Options,
    /// DESCRIBE: asks for the session description (RFC 2326 section 10.2).
    Describe,
    /// ANNOUNCE: sends the session description (RFC 2326 section 10.3).
    Announce,
    /// SETUP: agrees on the channels of a track (RFC 2326 section 10.4).
    Setup,
    /// PLAY: media is to flow to the client (RFC 2326 section 10.5).
    Play,
    /// RECORD: media is to flow to the server (RFC 2326 section 10.11).
    Record,
    /// TEARDOWN; its answer ends the session.
    Teardown,
    /// A request that keeps the session alive.
    KeepAlive,
    /// GET_PARAMETER with a clock exchange in its body, see [`crate::rtsp::clock`].
    Clock,
}

impl Purpose {
    /// Its method.
    pub(super) fn method(self) -> Method {
        match self {
            Purpose::Options => Method::Options,
            Purpose::Describe => Method::Describe,
            Purpose::Announce => Method::Announce,
            Purpose::Setup => Method::Setup,
            Purpose::Play => Method::Play,
            Purpose::Record => Method::Record,
            Purpose::Teardown => Method::Teardown,
            Purpose::KeepAlive | Purpose::Clock => Method::GetParameter,
        }
    }

    /// The name of the request's method, for error texts.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Options => "OPTIONS",
            Purpose::Describe => "DESCRIBE",
            Purpose::Announce => "ANNOUNCE",
            Purpose::Setup => "SETUP",
            Purpose::Play => "PLAY",
            Purpose::Record => "RECORD",
            Purpose::Teardown => "TEARDOWN",
            Purpose::KeepAlive | Purpose::Clock => "GET_PARAMETER",
        }
    }
}
