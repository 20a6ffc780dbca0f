//! The state that all HTTP request handlers share.

use std::sync::Arc;

use tokio::sync::watch;

use super::rendered_snapshot::RenderedSnapshot;
use crate::state::State;
use crate::status::stills::Stills;

/// The state that all HTTP request handlers share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Context {
    pub state: Arc<State>,
    /// The latest snapshot of the server.
    pub snapshot: watch::Receiver<Arc<RenderedSnapshot>>,
    /// Makes stills; `None` where the program cannot.
    pub stills: Option<Arc<dyn Stills>>,
    /// Whether other computers can connect, so that every request needs a login.
    pub is_open: bool,
}
