//! Follows redirections of RTSP servers (RFC 2326 section 11.2), as load balancers and moved cameras send them.

use hevcast_wire::rtsp::session::SessionError;

use crate::{NetError, Target};

/// How many redirections are followed for one stream.
pub const MAX_REDIRECTS: usize = 3;

/// The present address of a stream, after the redirections so far.
#[derive(Debug)]
pub struct Redirects {
    at: Target,
    remaining: usize,
}

impl Redirects {
    /// Begins at `target`, the address that the user gave.
    pub fn from(target: &Target) -> Redirects {
        Redirects { at: target.clone(), remaining: MAX_REDIRECTS }
    }

    /// The address to which the next attempt should connect.
    pub fn at(&self) -> &Target {
        &self.at
    }

    /// Handles the error of an attempt to connect: a redirection that may be followed changes [`at`](Redirects::at).
    ///
    /// # Errors
    /// The same error, unless it is a redirection that may be followed. [`SessionError::Moved`] when the new address
    /// cannot be trusted, or there have been too many redirections.
    pub fn follow(&mut self, error: NetError) -> Result<(), NetError> {
        let NetError::Session(SessionError::Moved { request, url, to }) = error else { return Err(error) };
        match self.at.moved(&to).filter(|_| self.remaining > 0) {
            Some(elsewhere) => {
                tracing::debug!("{url} sends us on to {}", elsewhere.shown());
                self.at = elsewhere;
                self.remaining -= 1;
                Ok(())
            }
            None => Err(SessionError::Moved { request, url, to }.into()),
        }
    }
}

impl Target {
    /// The same stream at another address; `None` if that is not an RTSP address, or lacks TLS where the present
    /// address has it. The login is sent to the same scheme, host and port only, since another port of the host may
    /// belong to somebody else. A login or pin that the server wrote into the address is ignored.
    fn moved(&self, to: &str) -> Option<Target> {
        // RFC 2326 requires an absolute URL, but not every server sends one.
        let to = self.url.join(to).ok()?;
        let elsewhere = Target::parse(to.as_str()).ok()?;
        if elsewhere.protocol() != self.protocol() || (self.is_tls() && !elsewhere.is_tls()) {
            return None;
        }
        let host = |target: &Target| target.url.host_str().map(str::to_ascii_lowercase);
        let origin = |target: &Target| (target.is_tls(), host(target), target.port());
        let credentials = self.credentials.clone().filter(|_| origin(&elsewhere) == origin(self));
        let pin = self.pin.filter(|_| elsewhere.is_tls());
        Some(Target { credentials, pin, ..elsewhere })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_stays_with_its_origin_and_tls_is_never_dropped() {
        let at = Target::parse("rtsp://u:p@one/live").unwrap();
        for (to, url, has_login) in [
            ("rtsp://one/b", "rtsp://one/b", true),
            ("rtsp://ONE:554/b", "rtsp://ONE:554/b", true),
            ("/elsewhere", "rtsp://one/elsewhere", true),
            ("rtsp://one:9000/b", "rtsp://one:9000/b", false),
            ("rtsps://one:554/b", "rtsps://one:554/b", false),
            ("rtsps://one/b", "rtsps://one/b", false),
            ("rtsp://two/b", "rtsp://two/b", false),
            ("rtsp://one.two/b", "rtsp://one.two/b", false),
            ("//two/b", "rtsp://two/b", false),
            ("rtsp://x:y@two/b", "rtsp://two/b", false),
            ("rtsp://x:y@one/b", "rtsp://one/b", true),
        ] {
            let moved = at.moved(to).unwrap();
            assert_eq!((moved.url.as_str(), moved.credentials.is_some()), (url, has_login), "{to}");
            assert!(moved.credentials.is_none_or(|login| login.user == "u"), "{to}");
        }
        for to in ["http://one/b", "srt://one:1", "file:///etc/passwd", "rtmp://one/a/b", "rtsp://"] {
            assert!(at.moved(to).is_none(), "{to}");
        }
        let safe = Target::parse("rtsps://u:p@one/live").unwrap();
        assert!(safe.moved("rtsp://one:322/live").is_none() && safe.moved("rtsps://two/live").is_some());
    }

    #[test]
    fn a_pin_is_the_users_and_goes_along() {
        let (ours, theirs) = ("ab".repeat(32), "cd".repeat(32));
        let at = Target::parse(&format!("rtsps://one/live#pin={ours}")).unwrap();
        for to in ["rtsps://two/live".to_owned(), format!("rtsps://two/live#pin={theirs}")] {
            assert_eq!(at.moved(&to).unwrap().pin.unwrap().to_string(), ours);
        }
        let plain = Target::parse("rtsps://one/live").unwrap();
        assert_eq!(plain.moved(&format!("rtsps://two/live#pin={theirs}")).unwrap().pin, None);
    }
}
