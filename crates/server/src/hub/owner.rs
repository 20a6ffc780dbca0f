//! Whose stream it is, by which streams are limited in number.

// An address as a value; what does I/O is in `std` alone.
use core::net::IpAddr;

/// Who publishes a stream: a user, or an address without a login.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The user that logged in.
    User(String),
    /// The address of a publisher that did not log in or, of IPv6, its network of 64 bits.
    Address(IpAddr),
}

impl Default for Owner {
    fn default() -> Owner {
        Owner::Address(IpAddr::from([127, 0, 0, 1]))
    }
}
