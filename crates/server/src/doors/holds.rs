//! Paths that are published, by address and by user: nobody holds all that there may be.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use super::network;
use crate::config::Limits;

/// Which limit keeps somebody from another path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoPath {
    /// `limits.paths_per_address`
    #[error("{0} paths are published from its address, the limit (limits.paths_per_address)")]
    Address(usize),
    /// `limits.paths_per_user`
    #[error("its user publishes {0} paths, the limit (limits.paths_per_user)")]
    User(usize),
}

/// The paths held.
#[derive(Debug, Default)]
pub struct Holds {
    held: Mutex<HashMap<Holder, Paths>>,
}

/// The paths of one holder, and how often each is held: twice while a lost publisher's return replaces it.
type Paths = HashMap<String, usize>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Address(IpAddr),
    User(String),
}

/// One path held; given up when dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<Holds>,
    holders: Vec<Holder>,
    path: String,
}

impl Holds {
    fn lock(&self) -> MutexGuard<'_, HashMap<Holder, Paths>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a path for this address and, if somebody has logged in, this user. What they hold already counts once.
    ///
    /// # Errors
    /// [`NoPath`], which limit is reached.
    pub fn take(
        self: &Arc<Holds>,
        path: &str,
        address: IpAddr,
        user: Option<&str>,
        limits: &Limits,
    ) -> Result<Hold, NoPath> {
        let mut held = self.lock();
        let is_full = |holder: &Holder, limit: usize| {
            held.get(holder).is_some_and(|paths| paths.len() >= limit && !paths.contains_key(path))
        };
        let mut holders = vec![Holder::Address(network(address))];
        if holders.iter().any(|holder| is_full(holder, limits.paths_per_address)) {
            return Err(NoPath::Address(limits.paths_per_address));
        }
        if let Some(user) = user.map(|user| Holder::User(user.to_owned())) {
            if is_full(&user, limits.paths_per_user) {
                return Err(NoPath::User(limits.paths_per_user));
            }
            holders.push(user);
        }
        for holder in &holders {
            *held.entry(holder.clone()).or_default().entry(path.to_owned()).or_default() += 1;
        }
        Ok(Hold { holds: Arc::clone(self), holders, path: path.to_owned() })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.holds.lock();
        for holder in &self.holders {
            let Some(paths) = held.get_mut(holder) else { continue };
            match paths.get_mut(&self.path) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(paths.remove(&self.path)),
            }
            if paths.is_empty() {
                held.remove(holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_held_by_address_and_by_user_and_come_back() {
        let holds = Arc::new(Holds::default());
        let limits = Limits { paths_per_address: 3, paths_per_user: 2, ..Limits::default() };
        let take = |path: &str, address: &str, user| holds.take(path, address.parse().unwrap(), user, &limits);
        let first = take("1", "10.0.0.1", Some("a")).unwrap();
        let second = take("2", "10.0.0.2", Some("a")).unwrap();
        assert_eq!(take("3", "10.0.0.3", Some("a")).unwrap_err(), NoPath::User(2), "whatever its address");
        let third = (take("3", "10.0.0.1", Some("b")).unwrap(), take("4", "10.0.0.1", None).unwrap());
        assert_eq!(take("5", "10.0.0.1", None).unwrap_err(), NoPath::Address(3));
        assert_eq!(take("5", "10.0.0.1", Some("c")).unwrap_err(), NoPath::Address(3), "whoever it is");
        // The return of a lost publisher, whose path is held for it.
        let again = take("1", "10.0.0.1", Some("a")).unwrap();
        drop(first);
        assert!(take("5", "10.0.0.1", None).is_err() && take("3", "10.0.0.3", Some("a")).is_err());
        drop(again);
        let fifth = take("5", "10.0.0.1", Some("a")).unwrap();
        // One household of IPv6 is one address.
        let six: Vec<_> = (1..=3).map(|n| take(&n.to_string(), &format!("2001:db8::{n}"), None).unwrap()).collect();
        assert!(take("4", "2001:db8::4", None).is_err() && take("4", "2001:db8:0:1::1", None).is_ok());
        drop((second, third, fifth, six));
        assert!(holds.lock().is_empty(), "nothing is kept of those who left");
    }
}
