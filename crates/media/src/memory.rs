//! Settings of the system's allocator (glibc's) for a process whose threads come and go and whose peaks are short, so that
//! freed memory returns to the system. Elsewhere these functions do nothing.

/// Number of arenas, which all threads share.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: std::ffi::c_int = 1;

/// Blocks of this size in bytes and larger ones have a mapping each, which is unmapped when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES: std::ffi::c_int = 128 * 1024;

/// Limits the number of glibc's arenas to one. By default each new thread has one of its own, up to eight per processor, and
/// each keeps the most that it ever contained: where a pipeline's threads are started again and again, the process grows to
/// several times what it uses. One arena is as fast here, since pictures come from pools.
pub(crate) fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt may be called at any time; it only sets a limit for arenas to come.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// Makes blocks of 128 KiB and more return to the system when they are freed. By default glibc raises that threshold to the
/// size of each such block that is freed, up to 32 MiB. This is for a server, whose peers decide how much it holds and when;
/// in other roles the same few large blocks are allocated for every picture, and mapping them each time would be slow.
pub fn map_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt may be called at any time; it only sets a limit for blocks to come.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
    }
}

/// Returns freed memory to the system, as far as whole pages are free (`malloc_trim`). Other threads' allocations wait
/// meanwhile, the longer the more is free: call it rarely, and not from a thread with deadlines.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim may be called at any time; it touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
