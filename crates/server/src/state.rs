//! What all tasks of a server share.

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

/// A server's state, shared by its tasks.
#[derive(Debug)]
pub struct State {
    /// The memory that peers may make the server hold.
    pub budget: Arc<Budget>,
    /// The live streams.
    pub hub: Arc<Hub>,
    /// The clock of all deadlines and stamps.
    pub clock: Clock,
    /// A random name of that clock for peers that compare theirs with it; `None` where the system had no randomness.
    pub clock_id: Option<ClockId>,
    /// When the server started.
    pub started: Instant,
    /// Port on which RTSP is spoken.
    pub rtsp_port: u16,
    /// The connections that may be open.
    pub slots: Arc<ConnectionSlots>,
    /// File descriptors that RTSP connections leave to the status page.
    pub descriptor_reserve: DescriptorReserve,
    /// Permits of connections that move much at once: one for each of the runtime's threads.
    pub bulk_permits: Arc<Semaphore>,
    /// Checks logins.
    authenticator: Authenticator,
    /// Counters of what went wrong or was refused.
    pub counters: Counters,
    /// The open connections.
    pub sessions: Arc<Sessions>,
    /// The recordings that are being made.
    pub recordings: Recordings,
    /// Paths of sources on demand that somebody wants to read.
    pub demands: Demands,
    config: RwLock<Arc<Config>>,
    config_changes: watch::Sender<()>,
}

impl State {
    /// The state of a server that starts.
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

    /// The configuration in effect.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read())
    }

    /// Puts another configuration into effect for requests from now on.
    pub fn set_config(&self, config: Config) {
        self.budget.set_limit(config.limits.memory_bytes);
        let config = Arc::new(config);
        *self.config.write() = Arc::clone(&config);
        // Afterwards: what the configuration before found right must not be remembered for this one.
        configure_logins(&self.authenticator, &config);
        self.config_changes.send_replace(());
    }

    /// Checks a login, once that may be, by the configuration that is then in effect.
    pub async fn authenticate(&self, request: LoginRequest<'_>) -> LoginOutcome {
        self.authenticator.authenticate(request, || self.config(), self.clock, &self.counters.logins).await
    }

    /// Changes whenever another configuration is put into effect.
    pub fn config_changes(&self) -> watch::Receiver<()> {
        self.config_changes.subscribe()
    }
}

/// Threads of the runtime that this runs on.
fn threads() -> usize {
    Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers())
}

/// Lets logins be checked by this configuration, and reserves the memory for that.
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
