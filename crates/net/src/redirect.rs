//! Servers that send their clients elsewhere (RFC 2326 section 11.2): load balancers, and cameras that have moved.

use hevcast_wire::rtsp::session::SessionError;

use crate::{NetError, Target};

/// How often a client lets itself be sent on for one stream.
pub const MOST_REDIRECTS: usize = 3;

/// Where a stream is, as far as its servers have said.
#[derive(Debug)]
pub struct Redirects {
    at: Target,
    left: usize,
}

impl Redirects {
    /// Begins at `target`.
    pub fn from(target: &Target) -> Redirects {
        Redirects { at: target.clone(), left: MOST_REDIRECTS }
    }

    /// Where to try now.
    pub fn at(&self) -> &Target {
        &self.at
    }

    /// Takes what became of that try, if it failed.
    ///
    /// # Errors
    /// The failure, unless it says where else to try; [`SessionError::Moved`] when the new place is not to be trusted, or
    /// there have been too many.
    pub fn follow(&mut self, error: NetError) -> Result<(), NetError> {
        let NetError::Session(SessionError::Moved { request, url, to }) = error else { return Err(error) };
        match self.at.moved(&to).filter(|_| self.left > 0) {
            Some(elsewhere) => {
                tracing::debug!("{url} sends us on to {}", elsewhere.url);
                self.at = elsewhere;
                self.left -= 1;
                Ok(())
            }
            None => Err(SessionError::Moved { request, url, to }.into()),
        }
    }
}

impl Target {
    /// The same stream elsewhere; `None` if that is no address of RTSP, or would give up TLS. A login goes along to the
    /// same host only.
    fn moved(&self, to: &str) -> Option<Target> {
        // RFC 2326 wants it whole, not every server writes it so.
        let to = self.url.join(to).ok()?;
        let elsewhere = Target::parse(to.as_str()).ok()?;
        if elsewhere.protocol() != self.protocol() || (self.is_tls() && !elsewhere.is_tls()) {
            return None;
        }
        let is_same_host = elsewhere.url.host_str() == self.url.host_str();
        let login = self.credentials.clone().filter(|_| is_same_host);
        Some(elsewhere.pinned(self.pin).with_login(login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_stays_with_its_host_and_tls_is_never_given_up() {
        let at = Target::parse("rtsp://u:p@one:8554/live").unwrap();
        let same = at.moved("rtsp://one:9000/b").unwrap();
        assert_eq!((same.url.as_str(), same.credentials.is_some()), ("rtsp://one:9000/b", true));
        assert!(at.moved("rtsp://two/b").unwrap().credentials.is_none());
        assert_eq!(at.moved("/elsewhere").unwrap().url.as_str(), "rtsp://one:8554/elsewhere");
        assert!(at.moved("http://one/b").is_none() && at.moved("srt://one:1").is_none());
        let safe = Target::parse("rtsps://one/live").unwrap();
        assert!(safe.moved("rtsp://one/live").is_none() && safe.moved("rtsps://two/live").is_some());
    }
}
