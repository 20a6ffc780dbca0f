//! What the handlers of all requests need.

use std::sync::Arc;

use tokio::sync::watch;

use super::rendered_snapshot::RenderedSnapshot;
use crate::state::State;
use crate::status::stills::Stills;

/// What the handlers of all requests need.
#[derive(Clone)]
pub(super) struct Context {
    pub state: Arc<State>,
    /// The last snapshot.
    pub snapshot: watch::Receiver<Arc<RenderedSnapshot>>,
    pub stills: Option<Arc<dyn Stills>>,
    /// Others than this computer can connect.
    pub is_open: bool,
}
