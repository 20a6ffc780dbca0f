//! Access: who may connect, how many connections and requests are allowed, and what each user may do.
//!
//! [`connection_slots`] bounds the number of connections, [`request_rate`] the requests on one, and [`rights`] decides
//! what a user may do. [`authenticator`] checks logins: [`login_throttle`] delays those who guess passwords, with one
//! [`login_queue`] for each address; [`password_checker`] computes argon2 hashes; [`login_cache`] remembers which
//! logins were right; [`claimed_login`] is what these know of a login before it is checked. [`peer_network`] defines
//! what counts as one address, [`certificate`] loads the certificate for TLS, and [`descriptor_reserve`] keeps file
//! descriptors for the status page. Only the authenticator and the password checker wait; the others take the time as
//! an argument, and none uses a socket.

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
