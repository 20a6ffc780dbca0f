//! Why a client sends a request.

use rtsp_types::Method;

/// What a request in flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// OPTIONS at the start.
    Options,
    /// DESCRIBE.
    Describe,
    /// ANNOUNCE.
    Announce,
    /// SETUP.
    Setup,
    /// PLAY.
    Play,
    /// RECORD.
    Record,
    /// TEARDOWN; its answer ends the session.
    Teardown,
    /// A request that keeps the session alive.
    KeepAlive,
    /// A clock exchange.
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

    /// The method's name, for errors.
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
