//! File descriptors left for the status page: those of RTSP stop before the process has none.
//!
//! The system gives the lowest free number, so a connection's own number tells how near the end is, whoever has the others.

/// Descriptors kept free of RTSP connections where there are many: the page's connections, recordings' files, stills.
const RESERVED: u64 = 128;

/// Which descriptors are not for RTSP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// The first of them; `None` where there is no limit.
    first: Option<u64>,
}

impl Reserve {
    /// That of a process which may have so many; a quarter where that is little.
    pub fn of_limit(limit: Option<u64>) -> Reserve {
        Reserve { first: limit.map(|limit| limit - RESERVED.min(limit / 4)) }
    }

    /// That of this process, as its limit stands.
    #[cfg(unix)]
    pub fn of_process() -> Reserve {
        use rustix::process::{Resource, getrlimit};
        Reserve::of_limit(getrlimit(Resource::Nofile).current)
    }

    /// Other systems have no such limit.
    #[cfg(not(unix))]
    pub fn of_process() -> Reserve {
        Reserve::of_limit(None)
    }

    /// Whether a connection's socket has taken one of them.
    #[cfg(unix)]
    pub fn is_touched_by(&self, socket: &impl std::os::fd::AsRawFd) -> bool {
        let number = u64::try_from(socket.as_raw_fd()).unwrap_or_default();
        self.first.is_some_and(|first| number >= first)
    }

    /// Other systems have no such limit.
    #[cfg(not(unix))]
    pub fn is_touched_by<S>(&self, _socket: &S) -> bool {
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
            let reserve = Reserve::of_limit(Some(limit));
            assert!(!reserve.is_touched_by(&Numbered(first_reserved - 1)), "of {limit}");
            assert!(reserve.is_touched_by(&Numbered(first_reserved)), "of {limit}");
        }
        assert!(!Reserve::of_limit(None).is_touched_by(&Numbered(i32::MAX)));
    }
}
