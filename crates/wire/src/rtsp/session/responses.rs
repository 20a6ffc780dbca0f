//! Matching responses to requests, and reading their headers as servers write them.
//!
//! A response repeats the CSeq of its request (RFC 2326 section 12.17). Some cameras omit it, always write 0, or repeat that of
//! the request before. A response that can only mean one request is taken all the same.

use rtsp_types::headers;

use super::client::Purpose;
use crate::rtsp::message::Response;

/// The CSeq of a response; `None` where it has none that is a number.
pub(super) fn cseq(response: &Response) -> Option<u32> {
    response.header(&headers::CSEQ)?.as_str().trim().parse().ok()
}

/// The index of the request that a response belongs to, among the `pending` ones (by CSeq and purpose, the oldest first).
/// `last_cseq` is the CSeq of the response before.
pub(super) fn request_of(response: &Response, pending: &[(u32, Purpose)], last_cseq: Option<u32>) -> Option<usize> {
    // A provisional response (RFC 2326 section 7.1.1): another follows.
    if u16::from(response.status()) < 200 {
        return None;
    }
    let number = cseq(response);
    if let Some(index) = pending.iter().position(|(cseq, _)| number == Some(*cseq)) {
        return Some(index);
    }
    let &(_, oldest) = pending.first()?;
    // Responses come in the order of requests (section 9.1), so without a number the oldest is meant. A number that is none of
    // ours might mean any of several; and one that repeats the number before may be that response once more.
    let is_repeated = number.is_some_and(|number| number != 0 && last_cseq == Some(number));
    match number {
        None | Some(0) => Some(0),
        Some(_) if pending.len() == 1 && (!is_repeated || fits(oldest, response)) => Some(0),
        Some(_) => None,
    }
}

/// Whether a response has what one to this request must have and one to another has not.
fn fits(purpose: Purpose, response: &Response) -> bool {
    let has = |name| response.header(&name).is_some();
    if !response.status().is_success() {
        return true;
    }
    match purpose {
        Purpose::Options => has(headers::PUBLIC),
        Purpose::Describe => !response.body().is_empty(),
        Purpose::Setup => has(headers::TRANSPORT),
        Purpose::Play => !has(headers::TRANSPORT) && response.body().is_empty(),
        Purpose::Announce | Purpose::Record => !has(headers::PUBLIC) && !has(headers::TRANSPORT),
        Purpose::Teardown | Purpose::KeepAlive | Purpose::Clock => true,
    }
}

/// The id and the time-out in seconds of a Session header (RFC 2326 section 12.37), with blanks and quotes anywhere.
pub(super) fn session(header: &str) -> (Option<String>, Option<u64>) {
    let bare = |text: &str| text.trim().trim_matches('"').trim().to_owned();
    let mut parts = header.split(';');
    let id = parts.next().map(bare).filter(|id| !id.is_empty());
    let seconds = parts.filter_map(|part| part.split_once('=')).find_map(|(key, value)| {
        let digits: String = bare(value).chars().take_while(char::is_ascii_digit).collect();
        let seconds = digits.parse().ok().filter(|&seconds| seconds > 0)?;
        key.trim().eq_ignore_ascii_case("timeout").then_some(seconds)
    });
    (id, seconds)
}

#[cfg(test)]
mod tests {
    use rtsp_types::{StatusCode, Version};

    use super::*;

    fn response(status: StatusCode, cseq: &str, more: &[(rtsp_types::HeaderName, &str)]) -> Response {
        let mut response = rtsp_types::Response::builder(Version::V1_0, status).build(Vec::new());
        if !cseq.is_empty() {
            response.insert_header(headers::CSEQ, cseq);
        }
        more.iter().for_each(|(name, value)| response.insert_header(name.clone(), *value));
        response
    }

    const ONE: &[(u32, Purpose)] = &[(7, Purpose::Setup)];
    const TWO: &[(u32, Purpose)] = &[(7, Purpose::KeepAlive), (8, Purpose::Clock)];

    #[test]
    fn one_open_request_is_answered_whatever_the_number() {
        for cseq in ["7", " 7", "0", "", "6", "8", "4294967295", "99999999999", "-1", "x"] {
            let answer = response(StatusCode::Ok, cseq, &[]);
            assert_eq!(request_of(&answer, ONE, Some(5)), Some(0), "{cseq:?}");
        }
        assert_eq!(request_of(&response(StatusCode::Ok, "7", &[]), &[], None), None);
    }

    #[test]
    fn an_answer_that_comes_twice_answers_nothing_else() {
        let transport = [(headers::TRANSPORT, "RTP/AVP/TCP")];
        let again = response(StatusCode::Ok, "6", &[(headers::PUBLIC, "PLAY")]);
        assert_eq!(request_of(&again, ONE, Some(6)), None);
        let misnumbered = response(StatusCode::Ok, "6", &transport);
        assert_eq!(request_of(&misnumbered, ONE, Some(6)), Some(0), "always one behind");
        let refused = response(StatusCode::BadRequest, "6", &[]);
        assert_eq!(request_of(&refused, &[(7, Purpose::KeepAlive)], Some(6)), Some(0));
    }

    #[test]
    fn of_several_open_requests_the_number_tells_or_else_the_order() {
        let to = |cseq| request_of(&response(StatusCode::Ok, cseq, &[]), TWO, None);
        assert_eq!([to("8"), to("7"), to(""), to("0")], [1, 0, 0, 0].map(Some));
        assert_eq!(to("3"), None);
        let provisional = response(StatusCode::Continue, "7", &[]);
        assert_eq!(request_of(&provisional, ONE, None), None);
    }

    #[test]
    fn a_session_is_read_with_blanks_and_quotes() {
        for header in ["a1;timeout=60", " a1 ; timeout = 60 ", "a1;Timeout=\"60\"", "\"a1\"; x=1; timeout=60s"] {
            assert_eq!(session(header), (Some("a1".to_owned()), Some(60)), "{header}");
        }
        for header in ["a1", "a1;", "a1;timeout", "a1;timeout=", "a1;timeout=0", "a1;timeout=x"] {
            assert_eq!(session(header), (Some("a1".to_owned()), None), "{header}");
        }
        assert_eq!(session(" ;timeout=5"), (None, Some(5)));
    }
}
