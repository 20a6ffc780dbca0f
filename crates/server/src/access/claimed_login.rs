//! What is known of a login before it is checked.

/// A user's name, hashed with a key of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserKey(pub u64);

/// A user's name and password, hashed with a key of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(super) [u8; 16]);

/// What a login claims, as far as it matters for when it is checked.
#[derive(Clone, Copy, Debug)]
pub struct ClaimedLogin {
    /// Whose login it is.
    pub user: UserKey,
    /// Name and password; `None` for a Digest login, which differs each time.
    pub password: Option<Fingerprint>,
    /// The password is known to be right, so that checking it costs nothing.
    pub is_known_right: bool,
}
