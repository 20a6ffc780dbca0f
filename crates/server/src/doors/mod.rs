//! Who comes in, how many, how fast, and what they may do.
//!
//! [`places`] bounds connections, [`pace`] the requests on one, [`access`] decides
//! about rights, [`login`] about logins: [`slowdown`] makes those wait who guess passwords, one [`line`](mod@line) for each address,
//! [`passwords`] looks at hashes and [`memo`] remembers what was right. [`certificate`] is what TLS shows, [`descriptors`] what
//! is left for the status page. Apart from those that wait for others, they are told the time and touch no socket.

pub mod access;
pub mod certificate;
pub mod descriptors;
pub mod line;
pub mod login;
pub mod memo;
pub mod pace;
pub mod passwords;
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
