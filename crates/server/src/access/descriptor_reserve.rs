//! File descriptors left for the status page: RTSP connections get none of the last ones that the process may have.
//!
//! The system gives out the lowest free number, so that a connection's own number tells how many are left, whoever has
//! them.

/// Descriptors kept free of RTSP connections where there are many: the page's connections, recordings' files, stills.
const RESERVED: u64 = 128;

/// The file descriptors that are not for RTSP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorReserve {
    /// The first of them; `None` where there is no limit.
    first: Option<u64>,
}

impl DescriptorReserve {
    /// That of a process that may have `limit` descriptors: the last `RESERVED`, at most a quarter.
    pub fn of_limit(limit: Option<u64>) -> DescriptorReserve {
        DescriptorReserve { first: limit.map(|limit| limit - RESERVED.min(limit / 4)) }
    }

    /// That of this process, by its limit (RLIMIT_NOFILE).
    #[cfg(unix)]
    pub fn of_process() -> DescriptorReserve {
        use rustix::process::{Resource, getrlimit};
        DescriptorReserve::of_limit(getrlimit(Resource::Nofile).current)
    }

    /// Other systems have no such limit.
    #[cfg(not(unix))]
    pub fn of_process() -> DescriptorReserve {
        DescriptorReserve::of_limit(None)
    }

    /// Whether a connection's socket has one of them.
    #[cfg(unix)]
    pub fn contains(&self, socket: &impl std::os::fd::AsRawFd) -> bool {
        let number = u64::try_from(socket.as_raw_fd()).unwrap_or_default();
        self.first.is_some_and(|first| number >= first)
    }

    /// Other systems have no such limit.
    #[cfg(not(unix))]
    pub fn contains<S>(&self, _socket: &S) -> bool {
        false
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    struct Numbered(i32);

    impl std::os::fd::AsRawFd for Numbered {
        fn as_raw_fd(&self) -> i32 {
            self.0
        }
    }

    #[test]
    fn the_last_numbers_are_not_for_connections() {
        for (limit, first_reserved) in [(1024, 896), (256, 192), (64, 48), (4096, 3968)] {
            let reserve = DescriptorReserve::of_limit(Some(limit));
            assert!(!reserve.contains(&Numbered(first_reserved - 1)), "of {limit}");
            assert!(reserve.contains(&Numbered(first_reserved)), "of {limit}");
        }
        assert!(!DescriptorReserve::of_limit(None).contains(&Numbered(i32::MAX)));
    }
}
