//! Who comes in, how many, how fast, and what they may do.
//!
//! [`places`] bounds connections, [`pace`] the requests on one, [`access`] decides about logins and rights, [`slowdown`]
//! makes those wait who guess passwords, and [`certificate`] is what `rtsps://` shows. All but the last are told the time
//! and touch no socket.

pub mod access;
pub mod certificate;
pub mod owner;
pub mod pace;
pub mod places;
pub mod slowdown;

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one address: an IPv4 address, or an IPv6 network of 64 bits, which is what one household gets.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!((of("10.0.0.1"), of("::ffff:10.0.0.1")), ("10.0.0.1".to_owned(), "10.0.0.1".to_owned()));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
