//! Stands in for the module `http` where this crate is built without the feature `status`.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::stills::Stills;
use crate::access::certificate::ServedCertificate;
use crate::state::State;

/// The arguments of [`run`], as in the module `http`.
#[allow(dead_code, reason = "the page's fields, which nobody reads here")]
pub(crate) struct Page {
    pub listener: TcpListener,
    pub tls: Option<Arc<ServedCertificate>>,
    pub stills: Option<Arc<dyn Stills>>,
}

/// Reports that there is no status page in this build.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub(crate) fn run(_: Page, _: Arc<State>, _: watch::Receiver<bool>) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this server was built without the feature status"))
}
