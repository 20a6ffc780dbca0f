//! The owner of a stream: whose streams are counted together where their number is limited.

// From `core`, since the hub uses addresses as values only and does no I/O.
use core::net::IpAddr;

/// Who publishes a stream: a user, or a network without a login.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The publisher logged in as this user.
    User(String),
    /// The publisher did not log in: its IPv4 address, or the /64 network of its IPv6 address.
    Address(IpAddr),
}

impl Default for Owner {
    fn default() -> Owner {
        Owner::Address(IpAddr::from([127, 0, 0, 1]))
    }
}
