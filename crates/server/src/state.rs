//! The state that all tasks of a server share: configuration, hub, budget, registries and counters.

use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Instant;

use hevcast_net::Clock;
use hevcast_wire::time::ClockId;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::access::authenticator::{Authenticator, LoginOutcome, LoginRequest};
use crate::access::connection_slots::ConnectionSlots;
use crate::access::descriptor_reserve::DescriptorReserve;
use crate::budget::Budget;
use crate::config::Config;
use crate::counters::Counters;
use crate::demands::Demands;
use crate::hub::Hub;
use crate::recordings::Recordings;
use crate::sessions::Sessions;

/// A server's state, shared by all its tasks. Each field is safe for concurrent use.
#[derive(Debug)]
pub struct State {
    /// The budget of the memory that peers can make the server hold.
    pub budget: Arc<Budget>,
    /// The live streams, with their publishers and readers.
    pub hub: Arc<Hub>,
    /// The clock by which all deadlines and time stamps are taken.
    pub clock: Clock,
    /// A random identifier of that clock, sent to peers that compare their clocks with it; `None` where the system had
    /// no randomness.
    pub clock_id: Option<ClockId>,
    /// When the server was started, for its uptime.
    pub started: Instant,
    /// The TCP port on which RTSP listens.
    pub rtsp_port: u16,
    /// The slots of RTSP connections, which bound how many are open.
    pub slots: Arc<ConnectionSlots>,
    /// The last file descriptors of the process, which RTSP connections leave to the status page and to recordings.
    pub descriptor_reserve: DescriptorReserve,
    /// Permits for connections that move much data without a pause: one for each thread of the runtime.
    pub bulk_permits: Arc<Semaphore>,
    /// Checks the logins of RTSP and HTTP requests.
    authenticator: Authenticator,
    /// Counters of errors and refusals that belong to no stream.
    pub counters: Counters,
    /// The registry of the open RTSP connections.
    pub sessions: Arc<Sessions>,
    /// The recordings in progress, for the status page.
    pub recordings: Recordings,
    /// Which sources on demand somebody wants to read.
    pub demands: Demands,
    config: RwLock<Arc<Config>>,
    config_changes: watch::Sender<()>,
}

impl State {
    /// The state of a server that starts with this configuration and listens for RTSP on `rtsp_port`.
    pub fn new(config: Config, rtsp_port: u16, clock: Clock) -> State {
        let budget = Arc::new(Budget::new(config.limits.memory_bytes));
        let authenticator = Authenticator::new(&budget);
        configure_logins(&authenticator, &config);
        State {
            hub: Arc::new(Hub::new(Arc::clone(&budget))),
            budget,
            rtsp_port,
            clock,
            clock_id: random_clock_id(),
            started: clock.now().instant,
            slots: Arc::default(),
            descriptor_reserve: DescriptorReserve::of_process(),
            bulk_permits: Arc::new(Semaphore::new(threads())),
            authenticator,
            counters: Counters::default(),
            sessions: Arc::default(),
            recordings: Recordings::default(),
            demands: Demands::default(),
            config_changes: watch::Sender::default(),
            config: RwLock::new(Arc::new(config)),
        }
    }

    /// The configuration that is in effect now.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read())
    }

    /// Puts another configuration into effect for later requests, and notifies
    /// [`config_changes`](State::config_changes).
    pub fn set_config(&self, config: Config) {
        self.budget.set_limit(config.limits.memory_bytes);
        let config = Arc::new(config);
        *self.config.write() = Arc::clone(&config);
        // After the exchange: a login that was right by the configuration before must not be cached for this one.
        configure_logins(&self.authenticator, &config);
        self.config_changes.send_replace(());
    }

    /// Checks a login as soon as the throttle allows it, against the configuration that is in effect then.
    pub async fn authenticate(&self, request: LoginRequest<'_>) -> LoginOutcome {
        self.authenticator.authenticate(request, || self.config(), self.clock, &self.counters.logins).await
    }

    /// A receiver that is notified whenever another configuration is put into effect.
    pub fn config_changes(&self) -> watch::Receiver<()> {
        self.config_changes.subscribe()
    }
}

/// The number of worker threads of the current tokio runtime; 1 outside of one.
fn threads() -> usize {
    Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers())
}

/// Configures the authenticator, and reserves the memory that the configuration's argon2 hashes need.
fn configure_logins(authenticator: &Authenticator, config: &Config) {
    if let Err(error) = authenticator.configure(config) {
        tracing::warn!(
            "the memory for logins is not counted in the budget until the configuration is read again: {error}"
        );
    }
}

fn random_clock_id() -> Option<ClockId> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).ok()?;
    ClockId::new(u64::from_ne_bytes(bytes))
}
