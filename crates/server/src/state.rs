//! What all connections share.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use hevcast_net::Clock;
use hevcast_wire::time::ClockId;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use crate::budget::{Budget, Kind, Reservation};
use crate::config::Config;
use crate::doors::descriptors::Reserve;
use crate::doors::memo::Memo;
use crate::doors::passwords::{self, Passwords};
use crate::doors::places::Places;
use crate::doors::slowdown::Slowdown;
use crate::hub::Hub;
use crate::sight::counters::Counters;
use crate::sight::recordings::Recordings;
use crate::sight::sessions::Sessions;

/// A server's state, shared by its tasks.
#[derive(Debug)]
pub struct State {
    /// The memory that all of it may take.
    pub budget: Arc<Budget>,
    /// What is live.
    pub hub: Arc<Hub>,
    /// What time it is.
    pub clock: Clock,
    /// Which clock that is, to those who compare theirs with it; `None` where the system had no randomness to name it by.
    pub clock_id: Option<ClockId>,
    /// When the server started.
    pub started: Instant,
    /// Port on which RTSP is spoken.
    pub rtsp_port: u16,
    /// Places taken at the door.
    pub places: Arc<Places>,
    /// File descriptors that connections leave to the status page.
    pub reserve: Reserve,
    /// Turns of connections that move much at once: one for each of the runtime's threads.
    pub bulk_turns: Arc<Semaphore>,
    /// Who has failed to log in.
    pub slowdown: Arc<Slowdown>,
    /// Looks at passwords.
    pub passwords: Passwords,
    /// The memory that they take.
    logins: Mutex<Reservation>,
    /// Passwords that were right.
    pub memo: Memo,
    /// What went wrong so far.
    pub counters: Counters,
    /// Who is here.
    pub sessions: Arc<Sessions>,
    /// What is recorded.
    pub recordings: Recordings,
    config: RwLock<Arc<Config>>,
    config_changes: watch::Sender<()>,
}

impl State {
    /// A server in which nothing has happened yet.
    pub fn new(config: Config, rtsp_port: u16, clock: Clock) -> State {
        let budget = Arc::new(Budget::new(config.limits.memory_bytes));
        let mut logins = budget.nothing(Kind::Logins);
        reserve_logins(&mut logins, &config);
        State {
            hub: Arc::new(Hub::new(Arc::clone(&budget))),
            budget,
            rtsp_port,
            clock,
            clock_id: random_clock_id(),
            started: clock.now().instant,
            places: Arc::default(),
            reserve: Reserve::of_process(),
            bulk_turns: Arc::new(Semaphore::new(threads())),
            slowdown: Arc::default(),
            passwords: Passwords::default(),
            logins: Mutex::new(logins),
            memo: Memo::default(),
            counters: Counters::default(),
            sessions: Arc::default(),
            recordings: Recordings::default(),
            config_changes: watch::Sender::default(),
            config: RwLock::new(Arc::new(config)),
        }
    }

    /// The configuration that holds now.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another configuration holds from now on: for what is asked from now on.
    pub fn set_config(&self, config: Config) {
        self.budget.set_limit(config.limits.memory_bytes);
        reserve_logins(&mut self.logins.lock().unwrap_or_else(PoisonError::into_inner), &config);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.memo.forget();
        self.config_changes.send_replace(());
    }

    /// Changes with every such call.
    pub fn config_changes(&self) -> watch::Receiver<()> {
        self.config_changes.subscribe()
    }
}

/// Threads of the runtime that this runs on.
fn threads() -> usize {
    Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers())
}

/// Reserves the memory in which passwords are looked at.
fn reserve_logins(logins: &mut Reservation, config: &Config) {
    if let Err(error) = logins.resize(passwords::memory_bytes(config) as u64) {
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
