//! In place of the status page, where this crate is built without it.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::stills::Stills;
use crate::access::certificate::ServedCertificate;
use crate::state::State;

/// What it would take to serve the page.
#[allow(dead_code, reason = "the page's fields, which nobody reads here")]
pub(crate) struct Page {
    pub listener: TcpListener,
    pub tls: Option<Arc<ServedCertificate>>,
    pub stills: Option<Arc<dyn Stills>>,
}

/// Serves nothing.
///
/// # Errors
/// Always: there is no page.
pub(crate) fn run(_: Page, _: Arc<State>, _: watch::Receiver<bool>) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this server was built without the feature status"))
}
