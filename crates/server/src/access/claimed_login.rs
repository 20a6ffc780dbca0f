//! What is known of a login before it is checked: hashes of what it claims.

/// A hash of a user's name with a random key of this process. Names that collide are treated as one user by the
/// throttle, nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserKey(pub u64);

/// A hash of a user's name and password with a random key of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(super) [u8; 16]);

/// What a login claims, as far as the order of checks depends on it.
#[derive(Clone, Copy, Debug)]
pub struct ClaimedLogin {
    /// The user whom the login names.
    pub user: UserKey,
    /// The name and password of a Basic login; `None` for a Digest login, which is different each time.
    pub password: Option<Fingerprint>,
    /// Whether the password is known to be right, so that checking it costs nothing.
    pub is_known_right: bool,
}
