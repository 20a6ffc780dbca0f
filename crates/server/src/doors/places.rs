//! Connections at once: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::network;
use crate::config::Limits;

/// Why a connection is closed at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The server is full.
    Full,
    /// Too many from this address.
    AddressFull,
}

/// The places taken.
#[derive(Debug, Default)]
pub struct Places {
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One place, free again when dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    network: IpAddr,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`NoPlace`], which limit is reached.
    pub fn take(self: &Arc<Places>, address: IpAddr, limits: &Limits) -> Result<Place, NoPlace> {
        let network = network(address);
        let mut taken = self.lock();
        if taken.values().sum::<usize>() >= limits.connections {
            return Err(NoPlace::Full);
        }
        let from_there = taken.get(&network).copied().unwrap_or_default();
        if from_there >= limits.connections_per_address {
            return Err(NoPlace::AddressFull);
        }
        taken.insert(network, from_there + 1);
        Ok(Place { places: Arc::clone(self), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        match taken.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.network)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_come_back() {
        let places = Arc::new(Places::default());
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        let take = |address: &str| places.take(address.parse().unwrap(), &limits);
        let (first, _second) = (take("10.0.0.1").unwrap(), take("10.0.0.1").unwrap());
        assert_eq!(take("10.0.0.1").unwrap_err(), NoPlace::AddressFull);
        let _third = take("10.0.0.2").unwrap();
        assert_eq!(take("10.0.0.3").unwrap_err(), NoPlace::Full);
        drop(first);
        let _fourth = take("10.0.0.1").unwrap();
        assert_eq!(places.lock().len(), 2);
        drop((_second, _fourth));
        assert_eq!(places.lock().len(), 1, "nothing is kept of those who left");
    }
}
