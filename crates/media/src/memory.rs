//! The system's allocator, told that threads come and go here.

/// Arenas, which all threads share.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: std::ffi::c_int = 1;

/// Limits glibc's arenas. It gives each new thread one of its own, up to eight for each processor, and each keeps the most
/// that it has ever held: with a pipeline's threads started anew at every press of a button, a program that was stopped
/// and started for an hour would hold several times what it uses. One is as fast here, as pictures come from pools.
pub(crate) fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt may be called at any time; it only sets a limit for arenas to come.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}
