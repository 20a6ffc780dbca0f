//! Slots of RTSP connections: they limit how many may be open at the same time, in all and from one address.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::peer_network::peer_network;
use crate::config::Limits;

/// Which limit refused a slot to a new connection, which is then closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotRefused {
    /// The limit for all connections, `limits.connections`, is reached.
    Full,
    /// The limit for the connection's address, `limits.connections_per_address`, is reached.
    AddressFull,
}

/// The slots in use: how many connections are open from each [network](peer_network).
#[derive(Debug, Default)]
pub struct ConnectionSlots {
    used: Mutex<HashMap<IpAddr, usize>>,
}

/// The slot of one connection; dropping it frees the slot.
#[derive(Debug)]
pub struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    network: IpAddr,
}

impl ConnectionSlots {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.used.lock()
    }

    /// Acquires a slot for a connection from this address.
    ///
    /// # Errors
    /// [`SlotRefused`] tells which limit is reached.
    pub fn acquire(
        self: &Arc<ConnectionSlots>,
        address: IpAddr,
        limits: &Limits,
    ) -> Result<ConnectionSlot, SlotRefused> {
        let network = peer_network(address);
        let mut used = self.lock();
        if used.values().sum::<usize>() >= limits.connections {
            return Err(SlotRefused::Full);
        }
        let from_there = used.get(&network).copied().unwrap_or_default();
        if from_there >= limits.connections_per_address {
            return Err(SlotRefused::AddressFull);
        }
        used.insert(network, from_there + 1);
        Ok(ConnectionSlot { slots: Arc::clone(self), network })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut used = self.slots.lock();
        match used.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(used.remove(&self.network)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_few_and_come_back() {
        let slots = Arc::new(ConnectionSlots::default());
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        let acquire = |address: &str| slots.acquire(address.parse().unwrap(), &limits);
        let (first, second) = (acquire("10.0.0.1").unwrap(), acquire("10.0.0.1").unwrap());
        assert_eq!(acquire("10.0.0.1").unwrap_err(), SlotRefused::AddressFull);
        let _third = acquire("10.0.0.2").unwrap();
        assert_eq!(acquire("10.0.0.3").unwrap_err(), SlotRefused::Full);
        drop(first);
        let fourth = acquire("10.0.0.1").unwrap();
        assert_eq!(slots.lock().len(), 2);
        drop((second, fourth));
        assert_eq!(slots.lock().len(), 1, "nothing is kept of those who left");
    }
}
