//! Whose streams there are.

use std::net::IpAddr;

/// Who publishes: a user, or those of an address who have none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Who logged in.
    User(String),
    /// Who did not: an address or, of IPv6, a network of 64 bits.
    Address(IpAddr),
}

impl Default for Owner {
    fn default() -> Owner {
        Owner::Address(IpAddr::from([127, 0, 0, 1]))
    }
}
