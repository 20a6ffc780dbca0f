//! The memory budget: one limit for all the memory that peers can make the server hold (`[limits] memory`).
//!
//! Code that is about to hold bytes for a peer makes a [`Reservation`] of them first, in coarse steps, and drops it
//! when the bytes are freed. Where too few bytes are available, the request is refused, or nothing is cached. Some
//! kinds of memory may fill only a part of the budget ([`Kind::share_percent`]): caches must leave memory for new
//! publishers, and queues must leave memory for logins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

/// What reserved memory is used for. Each kind is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Connections: their tasks, buffered parts of incomplete messages and frames, and responses that wait to be sent.
    Connections,
    /// Live streams: their descriptions and tables.
    Streams,
    /// The current group of pictures of each stream, cached for readers that join.
    Groups,
    /// Packets in the queues of readers that are behind.
    Queues,
    /// Still pictures for the status page.
    Stills,
    /// Pictures that wait to be written into recordings.
    Recordings,
    /// The memory in which argon2 hashes of passwords are computed.
    Logins,
    /// HTTP requests to the status page, and the responses to them.
    Http,
}

impl Kind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Kind; 8] = [
        Kind::Connections,
        Kind::Streams,
        Kind::Groups,
        Kind::Queues,
        Kind::Stills,
        Kind::Recordings,
        Kind::Logins,
        Kind::Http,
    ];

    /// The kind's name in the metrics and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Connections => "connections",
            Kind::Streams => "streams",
            Kind::Groups => "groups",
            Kind::Queues => "queues",
            Kind::Stills => "stills",
            Kind::Recordings => "recordings",
            Kind::Logins => "logins",
            Kind::Http => "http",
        }
    }

    /// How full the whole budget may become by a reservation of this kind, in percent. Kinds that the server can do
    /// without leave memory for those that it cannot do without.
    pub fn share_percent(self) -> u64 {
        match self {
            Kind::Groups | Kind::Stills => 75,
            Kind::Queues | Kind::Recordings => 85,
            Kind::Streams => 90,
            Kind::Logins | Kind::Http => 95,
            Kind::Connections => 100,
        }
    }
}

/// The budget has too few available bytes for a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the server's memory is used up ({used} of {limit} MiB); see limits.memory", used = .used_bytes >> 20, limit = .limit_bytes >> 20)]
pub struct OverBudget {
    /// What the memory was needed for.
    pub kind: Kind,
    /// Bytes that were reserved by all kinds when the reservation was refused.
    pub used_bytes: u64,
    /// The limit of the whole budget, in bytes.
    pub limit_bytes: u64,
}

/// The budget. Each of its methods takes a few atomic operations and never waits.
#[derive(Debug)]
pub struct Budget {
    limit_bytes: AtomicU64,
    used_bytes: AtomicU64,
    /// The sum of all bytes that were ever released.
    freed_bytes: AtomicU64,
    kinds: [KindCounters; Kind::ALL.len()],
}

#[derive(Debug, Default)]
struct KindCounters {
    /// Bytes that are reserved for this kind.
    used_bytes: AtomicU64,
    /// How many reservations of this kind were refused.
    refused: AtomicU64,
}

/// How much of a budget is used, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The limit of the budget (`[limits] memory`), in bytes.
    pub limit_bytes: u64,
    /// The sum of all reservations, in bytes.
    pub used_bytes: u64,
    /// For each kind: bytes reserved, and how many reservations were refused.
    pub kinds: Vec<(Kind, u64, u64)>,
}

/// The limit of the budget where the configuration sets none: 1 GiB.
pub const DEFAULT_LIMIT_BYTES: u64 = 1 << 30;

impl Default for Budget {
    fn default() -> Budget {
        Budget::new(DEFAULT_LIMIT_BYTES)
    }
}

impl Budget {
    /// A budget of `limit_bytes`, of which nothing is reserved yet.
    pub fn new(limit_bytes: u64) -> Budget {
        Budget {
            limit_bytes: AtomicU64::new(limit_bytes),
            used_bytes: AtomicU64::new(0),
            freed_bytes: AtomicU64::new(0),
            kinds: Default::default(),
        }
    }

    /// Sets another limit for later reservations. Existing reservations stay, even if they exceed the new limit.
    pub fn set_limit(&self, limit_bytes: u64) {
        self.limit_bytes.store(limit_bytes, Ordering::Relaxed);
    }

    /// Reserves bytes until the [`Reservation`] is dropped.
    ///
    /// # Errors
    /// [`OverBudget`] when too few bytes are available; that is counted as a refusal of this kind.
    pub fn reserve(self: &Arc<Budget>, kind: Kind, bytes: u64) -> Result<Reservation, OverBudget> {
        self.take(kind, bytes)?;
        Ok(Reservation { budget: Arc::clone(self), kind, bytes })
    }

    /// A reservation of no bytes, to be grown by [`Reservation::resize`]. It always succeeds.
    pub fn nothing(self: &Arc<Budget>, kind: Kind) -> Reservation {
        Reservation { budget: Arc::clone(self), kind, bytes: 0 }
    }

    fn counters(&self, kind: Kind) -> &KindCounters {
        &self.kinds[kind as usize]
    }

    fn take(&self, kind: Kind, bytes: u64) -> Result<(), OverBudget> {
        let limit_bytes = self.limit_bytes.load(Ordering::Relaxed);
        // Divided first, so that the multiplication cannot overflow; a limit is far more than a hundred bytes.
        let most = limit_bytes / 100 * kind.share_percent();
        let taken = self.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|&after| after <= most || bytes == 0)
        });
        match taken {
            Ok(_) => {
                self.counters(kind).used_bytes.fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(used_bytes) => {
                self.counters(kind).refused.fetch_add(1, Ordering::Relaxed);
                Err(OverBudget { kind, used_bytes, limit_bytes })
            }
        }
    }

    fn release(&self, kind: Kind, bytes: u64) {
        self.counters(kind).used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.freed_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The sum of all bytes that were ever released. Its growth tells how much freed memory the allocator may be
    /// holding.
    pub fn freed_bytes(&self) -> u64 {
        self.freed_bytes.load(Ordering::Relaxed)
    }

    /// Whether more than 7/8 of what this kind may fill of the budget is reserved, by all kinds together.
    pub fn is_pressed(&self, kind: Kind) -> bool {
        let most = self.limit_bytes.load(Ordering::Relaxed) / 100 * kind.share_percent();
        self.used_bytes.load(Ordering::Relaxed) > most - most / 8
    }

    /// Bytes that are reserved for one kind now.
    pub fn used_by(&self, kind: Kind) -> u64 {
        self.counters(kind).used_bytes.load(Ordering::Relaxed)
    }

    /// How much of the budget is used now, in all and by kind.
    pub fn usage(&self) -> Usage {
        let of = |kind: Kind| {
            let counts = self.counters(kind);
            (kind, counts.used_bytes.load(Ordering::Relaxed), counts.refused.load(Ordering::Relaxed))
        };
        Usage {
            limit_bytes: self.limit_bytes.load(Ordering::Relaxed),
            used_bytes: self.used_bytes.load(Ordering::Relaxed),
            kinds: Kind::ALL.map(of).to_vec(),
        }
    }
}

/// Reserved bytes of a budget; dropping it releases them.
#[derive(Debug)]
#[must_use = "dropping it releases the bytes"]
pub struct Reservation {
    budget: Arc<Budget>,
    kind: Kind,
    bytes: u64,
}

impl Reservation {
    /// How many bytes it reserves now.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Changes the reservation to `bytes` in all. Making it smaller always succeeds.
    ///
    /// # Errors
    /// [`OverBudget`] where too few bytes are available to grow; then the reservation stays as it was.
    pub fn resize(&mut self, bytes: u64) -> Result<(), OverBudget> {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.budget.take(self.kind, more)?,
            None => self.budget.release(self.kind, self.bytes - bytes),
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.release(self.kind, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One operation on a budget, in a generated test case.
    #[derive(Clone, Debug)]
    enum Operation {
        DescriptorReserve(usize, u64),
        Resize(usize, u64),
        Drop(usize),
        Limit(u64),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let bytes = prop_oneof![0..2000u64, Just(u64::MAX), Just(u64::MAX / 2)];
        prop_oneof![
            4 => (0..Kind::ALL.len(), bytes.clone()).prop_map(|(kind, bytes)| Operation::DescriptorReserve(kind, bytes)),
            4 => (any::<usize>(), bytes).prop_map(|(at, bytes)| Operation::Resize(at, bytes)),
            2 => any::<usize>().prop_map(Operation::Drop),
            1 => (0..20_000u64).prop_map(Operation::Limit),
        ]
    }

    proptest! {
        #[test]
        fn reservations_never_exceed_the_budget_and_leave_nothing_behind(
            operations in prop::collection::vec(operation(), 0..200),
        ) {
            let budget = Arc::new(Budget::new(10_000));
            let (mut held, mut limit, mut refused) = (Vec::<(usize, Reservation)>::new(), 10_000, 0);
            for operation in operations {
                let before = budget.usage();
                match operation {
                    Operation::DescriptorReserve(kind, bytes) => match budget.reserve(Kind::ALL[kind], bytes) {
                        Ok(reservation) => held.push((kind, reservation)),
                        Err(over) => {
                            refused += 1;
                            prop_assert_eq!((over.used_bytes, over.limit_bytes), (before.used_bytes, limit));
                        }
                    },
                    Operation::Resize(at, bytes) if !held.is_empty() => {
                        let at = at % held.len();
                        let (was, wanted) = (held[at].1.bytes(), bytes);
                        let resized = held[at].1.resize(wanted);
                        refused += u64::from(resized.is_err());
                        prop_assert!(resized.is_ok() || wanted > was, "less is always possible");
                        prop_assert_eq!(held[at].1.bytes(), if resized.is_ok() { wanted } else { was });
                    }
                    Operation::Drop(at) if !held.is_empty() => drop(held.swap_remove(at % held.len())),
                    Operation::Limit(bytes) => {
                        limit = bytes;
                        budget.set_limit(bytes);
                    }
                    _ => {}
                }
                let usage = budget.usage();
                let sum: u64 = held.iter().map(|(_, reservation)| reservation.bytes()).sum();
                prop_assert_eq!(usage.used_bytes, sum);
                for (at, (_, used, _)) in usage.kinds.iter().enumerate() {
                    let of_kind = held.iter().filter(|(kind, _)| *kind == at);
                    prop_assert_eq!(*used, of_kind.map(|(_, reservation)| reservation.bytes()).sum::<u64>());
                }
                // A lowered limit holds for new reservations; existing ones may exceed it.
                prop_assert!(sum <= limit || sum <= before.used_bytes, "{} of {}", sum, limit);
                prop_assert_eq!(usage.kinds.iter().map(|(_, _, refused)| refused).sum::<u64>(), refused);
            }
            drop(held);
            let usage = budget.usage();
            prop_assert_eq!(usage.used_bytes, 0);
            prop_assert!(usage.kinds.iter().all(|(_, used, _)| *used == 0));
        }
    }

    #[test]
    fn many_threads_together_stay_within_it() {
        let budget = Arc::new(Budget::new(1000));
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let budget = Arc::clone(&budget);
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let reserved = budget.reserve(Kind::Connections, 100 + thread * 50 + round % 7);
                        assert!(budget.usage().used_bytes <= 1000);
                        drop(reserved);
                    }
                });
            }
        });
        assert_eq!(budget.usage().used_bytes, 0);
    }

    #[test]
    fn caches_leave_memory_for_what_cannot_be_done_without() {
        let budget = Arc::new(Budget::new(1000));
        let groups = budget.reserve(Kind::Groups, 750).unwrap();
        assert!(budget.is_pressed(Kind::Groups) && !budget.is_pressed(Kind::Connections));
        assert_eq!(budget.reserve(Kind::Groups, 1).unwrap_err().kind, Kind::Groups);
        let queues = budget.reserve(Kind::Queues, 100).unwrap();
        assert!(budget.reserve(Kind::Queues, 1).is_err());
        let streams = budget.reserve(Kind::Streams, 50).unwrap();
        let connections = budget.reserve(Kind::Connections, 100).unwrap();
        let over = budget.reserve(Kind::Connections, 1).unwrap_err();
        assert!(over.to_string().ends_with("see limits.memory"), "{over}");
        drop((groups, queues, streams, connections));
        assert_eq!((budget.usage().used_bytes, budget.freed_bytes()), (0, 1000));
    }
}
