//! Authentication by Basic (RFC 7617) and Digest (RFC 7616), both ends of it.
//!
//! [`ClientAuth`] answers a server's challenges with [`Credentials`]; [`Authorization`] is the parsed header that a
//! client sends in response to a server's [`Challenge`].

mod authorization;
mod client;

pub use authorization::{Authorization, AuthorizationError, Challenge, DigestResponse, Ha1, Ha1Error, REALM};
pub use client::ClientAuth;

pub use crate::credentials::Credentials;
