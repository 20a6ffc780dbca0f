//! The limit of open file descriptors: every connection takes one, and the default limit is low.

/// Descriptors besides those of connections: files, cameras and displays.
#[cfg(unix)]
const OTHER_FILES: u64 = 64;

/// Raises the limit of open files as far as the system permits, and warns if that is too low for this many connections.
#[cfg(unix)]
pub(crate) fn raise_limit(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("the limit of open files cannot be raised: {error}");
    }
    let wanted = connections as u64 + OTHER_FILES;
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < wanted => tracing::warn!(
            "only {current} files may be open, so fewer than {connections} connections fit; raise it with ulimit -n"
        ),
        _ => {}
    }
}

/// Does nothing: other systems have no such limit.
#[cfg(not(unix))]
pub(crate) fn raise_limit(_connections: usize) {}
