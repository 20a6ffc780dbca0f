//! File descriptors: every connection takes one, and systems give few by default.

/// Descriptors beside those of connections: the program's own files, cameras and displays.
#[cfg(unix)]
const BESIDE: u64 = 64;

/// Raises the limit of open files as far as the system lets us, and says when that is too little for so many
/// connections.
#[cfg(unix)]
pub fn raise_limit(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!("the limit of open files stays as it is: {error}");
    }
    let wanted = connections as u64 + BESIDE;
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < wanted => tracing::warn!(
            "only {current} files may be open, so fewer than {connections} connections fit; raise it with ulimit -n"
        ),
        _ => {}
    }
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub fn raise_limit(_connections: usize) {}
