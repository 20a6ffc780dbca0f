//! The head of a message, parsed leniently: as clients and servers in the field write it.
//!
//! RFC 2326 section 4 wants lines that end in CR LF, one blank between the parts of the first line and a reason phrase
//! behind a status. Cameras and clients deviate from each of these, in ways that can be understood:
//!
//! - lines end in LF, with any number of CRs before it or none, mixed within one message;
//! - a status line may lack its reason phrase; there may be several blanks between parts, and blanks behind the last;
//! - the method and the version may be in small letters;
//! - a line without a colon is skipped; one that begins with a blank continues the header before it, even if it holds
//!   nothing but blanks;
//! - in headers, bytes that are not UTF-8 become U+FFFD, and control characters become blanks; an address that is not UTF-8
//!   is invalid.
//!
//! Of a header that has one value only, the first counts where it is given twice; other repeated headers are joined by
//! commas (RFC 2326 section 4.2). A request whose first line names no address that can be read is still a request, and is
//! answered: [`BadRequest`].

use rtsp_types::{HeaderName, HeaderValue, Method, StatusCode, Url, Version, headers};

use super::{Request, Response};
use crate::rtsp::request_line::quoted;

/// Most headers taken from one message; the rest is skipped. Real ones have 3 to 20.
pub const MAX_HEADERS: usize = 128;

/// A message that is a request but cannot be parsed: it can only be refused (400).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// Its CSeq, which the response has to repeat; empty where it has none.
    pub cseq: String,
    /// What is wrong with it, for a log line.
    pub what: String,
}

/// A head taken apart.
#[derive(Debug)]
pub(super) enum Head {
    Request(Request),
    Response(Response),
    Bad(BadRequest),
}

/// The end of the head in `bytes`, behind its empty line, if that is there. The search begins at `from`, before which no
/// line ended that could be the last.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = bytes.get(at..)?.iter().position(|&byte| byte == b'\n') {
        let line_end = at + found + 1;
        let rest = bytes.get(line_end..)?;
        let returns = rest.iter().take_while(|&&byte| byte == b'\r').count();
        if rest.get(returns) == Some(&b'\n') {
            return Some(line_end + returns + 1);
        }
        at = line_end;
    }
    None
}

/// Where a later search for the end of this unfinished head may begin, if this one began at `from`: at its last line end.
pub(super) fn search_from(bytes: &[u8], from: usize) -> usize {
    let last = bytes.get(from..).and_then(|rest| rest.iter().rposition(|&byte| byte == b'\n'));
    last.map_or(bytes.len(), |at| from + at)
}

/// The value of the first header of this name in a head that is whole, as it stands there.
pub(super) fn values<'h>(head: &'h [u8], name: &'h [u8]) -> impl Iterator<Item = &'h [u8]> {
    head.split(|&byte| byte == b'\n').skip(1).filter_map(move |line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (before, value) = line.split_at(colon);
        before.trim_ascii().eq_ignore_ascii_case(name).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

/// Reads a whole head and gives the message its body. `None`: its first line is that of no RTSP message.
pub(super) fn read(head: &[u8], body: Vec<u8>) -> Option<Head> {
    let is_utf8 = head.split(|&byte| byte == b'\n').next().is_none_or(|first| std::str::from_utf8(first).is_ok());
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split('\n').map(|line| line.trim_end_matches(['\r', '\0']));
    let first = lines.next()?.trim();
    let headers = read_headers(lines);
    if let Some(rest) = strip_prefix_ignoring_case(first, "RTSP/") {
        let (status, reason) = read_status(rest)?;
        let mut response =
            rtsp_types::Response::builder(Version::V1_0, StatusCode::from(status)).reason_phrase(reason).build(body);
        add_headers(response.as_mut(), headers);
        return Some(Head::Response(response));
    }
    let (method, rest) = first.split_once([' ', '\t'])?;
    let (address, version) = rest.trim().rsplit_once([' ', '\t'])?;
    let version = strip_prefix_ignoring_case(version, "RTSP/")?;
    if !method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'-') {
        return None;
    }
    let bad = |what: String| {
        let cseq = headers.iter().find(|(name, _)| *name == headers::CSEQ);
        Some(Head::Bad(BadRequest { cseq: cseq.map(|(_, value)| value.clone()).unwrap_or_default(), what }))
    };
    let url = match address.trim() {
        "*" => None,
        // Two paths that differ in such bytes only would be one.
        address if !is_utf8 => return bad(format!("the address {:?} is not UTF-8", quoted(address.as_bytes()))),
        address => match read_address(address) {
            Some(url) => Some(url),
            None => return bad(format!("{:?} is no address of a stream", quoted(address.as_bytes()))),
        },
    };
    // Whatever calls itself 1 is taken for 1.0; the session refuses other versions (505).
    let version = if version.starts_with("1.") || version == "1" { Version::V1_0 } else { Version::V2_0 };
    let mut request = rtsp_types::Request::builder(read_method(method), version).build(body);
    request.set_request_uri(url);
    add_headers(request.as_mut(), headers);
    Some(Head::Request(request))
}

/// Code and reason phrase behind `RTSP/`.
fn read_status(rest: &str) -> Option<(u16, &str)> {
    let behind_version = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim_start();
    let digits = behind_version.bytes().take_while(u8::is_ascii_digit).count();
    let (code, reason) = behind_version.split_at(digits);
    Some((code.parse().ok().filter(|code| (100..1000).contains(code))?, reason.trim()))
}

/// A method by its name in whatever case.
fn read_method(name: &str) -> Method {
    match Method::from(name.to_ascii_uppercase().as_str()) {
        Method::Extension(_) => Method::from(name),
        known => known,
    }
}

/// The address of a request: a URL, or what stands for one: `/path`, `host:port/path` (as in RFC 2326 section 6.1, taken
/// loosely), `[address%zone]` for a host.
fn read_address(address: &str) -> Option<Url> {
    /// Stands for the server that the request came to, where it names none.
    const HERE: &str = "rtsp://localhost";
    let (before, after) = address.split_at(address.find("://").unwrap_or(0));
    let url = match before {
        "" if address.starts_with('/') => Url::parse(&format!("{HERE}{address}")),
        "" => Url::parse(&format!("rtsp://{}", without_zone(address))),
        _ if !before.bytes().all(|byte| byte.is_ascii_alphanumeric()) => return None,
        // It names no server, and what looks like a host in it may become one only when it is read again.
        _ if before.eq_ignore_ascii_case("file") => return None,
        // RTSP over UDP has another scheme for the same addresses (RFC 2326 section 3.2).
        _ if before.eq_ignore_ascii_case("rtspu") => Url::parse(&format!("rtsp{}", without_zone(after))),
        scheme => Url::parse(&format!("{scheme}{}", without_zone(after))),
    };
    url.ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()))
}

/// An address without the zone of an IPv6 host (RFC 6874), which means something to the sender only.
fn without_zone(address: &str) -> String {
    let (before, rest) = match address.strip_prefix("://") {
        Some(rest) => ("://", rest),
        None => ("", address),
    };
    // Only in the authority: the same characters behind it belong to the path.
    let (place, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if let Some((login, rest)) = place.split_once('[')
        && let Some((host, port)) = rest.split_once(']')
        && let Some((host, _zone)) = host.split_once('%')
    {
        return format!("{before}{login}[{host}]{port}{behind}");
    }
    address.to_owned()
}

fn read_headers<'t>(lines: impl Iterator<Item = &'t str>) -> Vec<(HeaderName, String)> {
    let mut headers: Vec<(HeaderName, String)> = Vec::new();
    // The line before was skipped, and what continues it is, too.
    let mut is_skipping = true;
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let more = printable(line);
            if let Some((_, value)) = headers.last_mut().filter(|_| !is_skipping && !more.is_empty()) {
                if !value.is_empty() {
                    value.push(' ');
                }
                value.push_str(&more);
            }
            continue;
        }
        let name = line.split_once(':').and_then(|(name, value)| {
            let name = name.trim();
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let name = Some(name).filter(|name| !name.is_empty() && name.bytes().all(is_token))?;
            Some((HeaderName::try_from(name).ok()?, value))
        });
        is_skipping = name.is_none() || headers.len() >= MAX_HEADERS;
        if let Some((name, value)) = name.filter(|_| !is_skipping) {
            headers.push((name, printable(value.trim())));
        }
    }
    headers
}

/// `text` with blanks for its control characters, which could otherwise end a line of an answer.
fn printable(text: &str) -> String {
    let blank = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(blank).collect::<String>().trim().to_owned()
}

fn add_headers(to: &mut rtsp_types::Headers, headers: Vec<(HeaderName, String)>) {
    // The body decides how long it is.
    let headers = headers.into_iter().filter(|(name, _)| *name != headers::CONTENT_LENGTH);
    // `rtsp-types` takes a name for the same as one that begins with it (`Co` and `Content-Base`). What is looked at comes first,
    // and what it would mix up with that is skipped.
    let (known, others): (Vec<_>, Vec<_>) =
        headers.partition(|(name, _)| SINGLE.contains(name) || LISTS.contains(name));
    for (name, value) in known.into_iter().chain(others) {
        if to.iter().any(|(there, _)| *there != name && there.cmp(&name).is_eq()) {
            continue;
        }
        let is_single = SINGLE.contains(&name);
        match to.get(&name).map(HeaderValue::as_str) {
            None | Some("") => to.insert(name, HeaderValue::from(value)),
            Some(_) if is_single || value.is_empty() => {}
            Some(_) => to.append(name, HeaderValue::from(value)),
        }
    }
}

/// Headers with one value, in which a comma may be part of it.
const SINGLE: [HeaderName; 8] = [
    headers::CSEQ,
    headers::SESSION,
    headers::CONTENT_BASE,
    headers::CONTENT_LOCATION,
    headers::CONTENT_TYPE,
    headers::LOCATION,
    headers::AUTHORIZATION,
    headers::RANGE,
];

/// Further headers that sessions look at.
const LISTS: [HeaderName; 7] = [
    headers::ACCEPT,
    headers::PROXY_AUTHENTICATE,
    headers::PUBLIC,
    headers::REQUIRE,
    headers::SERVER,
    headers::TRANSPORT,
    headers::WWW_AUTHENTICATE,
];

fn strip_prefix_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (before, rest) = text.split_at_checked(prefix.len())?;
    before.eq_ignore_ascii_case(prefix).then_some(rest)
}
