//! Authentication by Basic (RFC 7617) and Digest (RFC 7616), both ends of it.
//!
//! [`ClientAuth`] answers a server's challenges with [`Credentials`]; [`Authorization`] is what a server makes of the header
//! that a client sends in answer to its [`Challenge`].

mod authorization;
mod client;

pub use authorization::{Authorization, AuthorizationError, Challenge, DigestResponse, Ha1, Ha1Error, REALM};
pub use client::{ClientAuth, Credentials};
