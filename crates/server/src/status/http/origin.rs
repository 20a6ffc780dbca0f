//! Checks by the header whether a browser's request comes from the status page itself. Other pages must neither read
//! the status under another host name (DNS rebinding) nor change anything (cross-site request forgery).

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri};
use std::net::IpAddr;

/// The header in which browsers state the origin of a request (W3C Fetch Metadata).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The hosts that a request is addressed to, in lower case: the authority of its URI (RFC 9112 section 3.2.2) and its
/// Host header. `Err` where there are several Host headers, or one that is invalid.
fn addressed_to(uri: &Uri, headers: &HeaderMap) -> Result<Vec<Authority>, ()> {
    let mut hosts = Vec::new();
    if headers.get_all(HOST).iter().count() > 1 {
        return Err(());
    }
    if let Some(host) = headers.get(HOST) {
        hosts.push(host.to_str().map_err(drop)?.to_ascii_lowercase().parse::<Authority>().map_err(drop)?);
    }
    hosts.extend(uri.authority().and_then(|authority| authority.as_str().to_ascii_lowercase().parse().ok()));
    match hosts.iter().any(|host| host.as_str().contains('@')) {
        true => Err(()),
        false => Ok(hosts),
    }
}

/// Whether a request is addressed to this computer: by an IP address, as `localhost`, or by one of `names`. A request
/// that names no host, as HTTP/1.0 allows, does not come from a browser and is accepted.
pub(super) fn names_this_computer(uri: &Uri, headers: &HeaderMap, names: &[String]) -> bool {
    let is_ours = |authority: &Authority| {
        let host = authority.host();
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_address = address.parse::<IpAddr>().is_ok();
        is_address || host == "localhost" || names.iter().any(|name| name.eq_ignore_ascii_case(host))
    };
    addressed_to(uri, headers).is_ok_and(|hosts| hosts.iter().all(is_ours))
}

/// Whether a request may change something, since it comes from the status page itself or not from a browser.
pub(super) fn may_change(uri: &Uri, headers: &HeaderMap) -> bool {
    let site = headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes());
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return false;
    }
    let Ok(hosts) = addressed_to(uri, headers) else { return false };
    headers.get_all(ORIGIN).iter().all(|origin| {
        let authority =
            origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        authority.is_some_and(|origin| {
            !hosts.is_empty() && hosts.iter().all(|host| host.as_str().eq_ignore_ascii_case(origin))
        })
    })
}

/// Whether a method is safe, so that requests with it change nothing (RFC 9110 section 9.2.1).
pub(super) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn header(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn names(uri: &'static str, hosts: &[&'static str]) -> bool {
        let lines: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        names_this_computer(&Uri::from_static(uri), &header(&lines), &["Status.example".to_owned()])
    }

    #[test]
    fn other_names_for_this_computer_are_not_answered_to() {
        for host in [
            "127.0.0.1:8580",
            "127.0.0.1",
            "localhost:8580",
            "LOCALHOST",
            "[::1]:8580",
            "[::1]",
            "10.0.0.1",
            "status.example",
            "STATUS.example:80",
        ] {
            assert!(names("/", &[host]), "{host}");
        }
        for host in [
            "evil.example:8580",
            "127.0.0.1.evil.example",
            "127.0.0.1:1@evil.example",
            "evil.example@127.0.0.1",
            "[evil.example]",
            "[evil",
            "2130706433",
            "0x7f.1",
            "127.1",
            "localhost.evil.example",
            "evil.localhost",
            "localhost:80:evil",
            "",
            "::1",
            "127.0.0.1 evil",
            "xstatus.example",
            "127.0.0.1,evil.example",
            "ü",
        ] {
            assert!(!names("/", &[host]), "{host:?}");
        }
        assert!(names("/", &[]), "HTTP/1.0");
        assert!(!names("/", &["127.0.0.1", "evil.example"]) && !names("/", &["127.0.0.1", "127.0.0.1"]));
        assert!(!names("http://evil.example/", &["127.0.0.1"]) && !names("http://evil.example/", &[]));
        assert!(!names("http://127.0.0.1/", &["evil.example"]) && names("http://127.0.0.1/", &["127.0.0.1"]));
    }

    #[test]
    fn only_our_own_page_may_change_something() {
        let may = |lines: &[(&'static str, &'static str)]| may_change(&Uri::from_static("/"), &header(lines));
        for lines in [
            &[("host", "127.0.0.1:8580")][..],
            &[("host", "127.0.0.1:8580"), ("origin", "http://127.0.0.1:8580")],
            &[("host", "cam.example"), ("origin", "https://cam.example"), ("sec-fetch-site", "same-origin")],
            &[("host", "cam.example"), ("sec-fetch-site", "none")],
            &[],
        ] {
            assert!(may(lines), "{lines:?}");
        }
        for lines in [
            &[("host", "127.0.0.1:8580"), ("origin", "http://evil.example")][..],
            &[("host", "127.0.0.1:8580"), ("origin", "null")],
            &[("host", "127.0.0.1:8580"), ("origin", "")],
            &[("host", "127.0.0.1:8580"), ("origin", "http://127.0.0.1")],
            &[("host", "127.0.0.1:8580"), ("origin", "http://127.0.0.1:8581")],
            &[("host", "127.0.0.1:8580"), ("origin", "http://localhost:8580")],
            &[("host", "127.0.0.1:8580"), ("origin", "http://127.0.0.1:8580"), ("origin", "http://evil.example")],
            &[("host", "127.0.0.1:8580"), ("sec-fetch-site", "cross-site")],
            &[("host", "127.0.0.1:8580"), ("sec-fetch-site", "same-site")],
            &[("host", "127.0.0.1"), ("host", "evil.example"), ("origin", "http://evil.example")],
            &[("origin", "http://evil.example")],
        ] {
            assert!(!may(lines), "{lines:?}");
        }
        assert!(is_safe(&Method::GET) && is_safe(&Method::HEAD));
        assert!(![Method::DELETE, Method::POST, Method::PUT, Method::PATCH].iter().any(is_safe));
    }
}
