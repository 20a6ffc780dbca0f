//! Reserves file descriptors for the status page and for recordings: RTSP connections get none of the last descriptors
//! that the process may open.
//!
//! The system assigns the lowest free number (POSIX), so that the number of a connection's own descriptor tells how
//! many are in use, by whatever part of the process.

/// How many descriptors RTSP connections may not use, where the limit is large enough: for the status page's
/// connections, recording files and stills.
const RESERVED: u64 = 128;

/// The range of file descriptors that RTSP connections may not use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorReserve {
    /// The lowest reserved number; `None` where the process has no limit.
    first: Option<u64>,
}

impl DescriptorReserve {
    /// The reserve of a process that may open `limit` descriptors: the last `RESERVED` of them, and at most a quarter.
    pub fn of_limit(limit: Option<u64>) -> DescriptorReserve {
        DescriptorReserve { first: limit.map(|limit| limit - RESERVED.min(limit / 4)) }
    }

    /// The reserve of this process, by its resource limit RLIMIT_NOFILE.
    #[cfg(unix)]
    pub fn of_process() -> DescriptorReserve {
        use rustix::process::{Resource, getrlimit};
        DescriptorReserve::of_limit(getrlimit(Resource::Nofile).current)
    }

    /// An empty reserve: systems other than Unix have no such limit.
    #[cfg(not(unix))]
    pub fn of_process() -> DescriptorReserve {
        DescriptorReserve::of_limit(None)
    }

    /// Whether this socket has a reserved descriptor, so that its connection must be refused.
    #[cfg(unix)]
    pub fn contains(&self, socket: &impl std::os::fd::AsRawFd) -> bool {
        let number = u64::try_from(socket.as_raw_fd()).unwrap_or_default();
        self.first.is_some_and(|first| number >= first)
    }

    /// Always false: systems other than Unix have no such limit.
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
