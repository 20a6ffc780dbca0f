//! The system's allocator, told that threads come and go here, and that what was freed is wanted back.

/// Arenas, which all threads share.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: std::ffi::c_int = 1;

/// Blocks from this size on are mapped each for itself, and unmapped when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES: std::ffi::c_int = 128 * 1024;

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

/// Lets large blocks go back to the system as they are freed. glibc maps them at first, but no longer once one was freed: it
/// raises the size up to 32 MiB then. For a server, whose peers decide how much it holds and when; elsewhere the same few
/// large blocks come and go with every picture, and mapping them anew would take time.
pub fn map_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt may be called at any time; it only sets a limit for blocks to come.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
    }
}

/// Gives freed memory back to the system, as far as whole pages are free. Takes a moment for each GiB of it, in which
/// other threads wait to allocate: not for threads that must not wait, nor often.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim may be called at any time; it touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
