//! Who may connect, how many, how fast, and what they may do.
//!
//! [`connection_slots`] bounds connections, [`request_rate`] the requests on one, [`rights`] decides what a user may
//! do. [`authenticator`] takes logins: [`login_throttle`] delays those who guess passwords, with one [`login_queue`]
//! for each address, [`password_checker`] checks hashes, and [`login_cache`] remembers what was right; a
//! [`claimed_login`] is what they know of a login. [`certificate`] is what TLS shows, [`descriptor_reserve`] what is
//! left for the status page. All but those that wait for others are told the time, and none touches a socket.

pub mod authenticator;
pub mod certificate;
pub mod claimed_login;
pub mod connection_slots;
pub mod descriptor_reserve;
pub mod login_cache;
pub mod login_queue;
pub mod login_throttle;
pub mod password_checker;
pub mod peer_network;
pub mod request_rate;
pub mod rights;
