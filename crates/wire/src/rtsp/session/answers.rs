//! Which request an answer belongs to, and what its headers say, as servers write them.
//!
//! An answer repeats the request's CSeq (RFC 2326 section 12.17). Cameras leave it out, always write 0, or that of the request
//! before. One that nobody can mistake is taken all the same: while one request is open, there is nothing else to answer.

use rtsp_types::headers;

use super::client::Purpose;
use crate::rtsp::message::Response;

/// What an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerTo {
    /// The open request with this index.
    Open(usize),
    /// Nothing that is open.
    Nothing,
}

/// The CSeq of an answer; `None` where it has none that is a number.
pub(super) fn cseq(response: &Response) -> Option<u32> {
    response.header(&headers::CSEQ)?.as_str().trim().parse().ok()
}

/// Which of the `open` requests (by CSeq and purpose, the oldest first) an answer is to, where `last_answered` is the CSeq
/// of the answer before.
pub(super) fn answer_to(response: &Response, open: &[(u32, Purpose)], last_answered: Option<u32>) -> AnswerTo {
    // A provisional answer (RFC 2326 section 7.1.1): another follows.
    if u16::from(response.status()) < 200 {
        return AnswerTo::Nothing;
    }
    let named = cseq(response);
    if let Some(index) = open.iter().position(|(cseq, _)| named == Some(*cseq)) {
        return AnswerTo::Open(index);
    }
    let Some(&(_, oldest)) = open.first() else { return AnswerTo::Nothing };
    // Without a number answers come in order (section 10.1), so the oldest request is meant. One with a number that is none of
    // ours might be to any of several; and one that repeats the number before may be that answer once more.
    let is_repeated = named.is_some_and(|named| named != 0 && last_answered == Some(named));
    match named {
        None | Some(0) => AnswerTo::Open(0),
        Some(_) if open.len() == 1 && (!is_repeated || fits(oldest, response)) => AnswerTo::Open(0),
        Some(_) => AnswerTo::Nothing,
    }
}

/// Whether an answer says what one to this request must say, and one to another does not.
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
            assert_eq!(answer_to(&answer, ONE, Some(5)), AnswerTo::Open(0), "{cseq:?}");
        }
        assert_eq!(answer_to(&response(StatusCode::Ok, "7", &[]), &[], None), AnswerTo::Nothing);
    }

    #[test]
    fn an_answer_that_comes_twice_answers_nothing_else() {
        let transport = [(headers::TRANSPORT, "RTP/AVP/TCP")];
        let again = response(StatusCode::Ok, "6", &[(headers::PUBLIC, "PLAY")]);
        assert_eq!(answer_to(&again, ONE, Some(6)), AnswerTo::Nothing);
        let misnumbered = response(StatusCode::Ok, "6", &transport);
        assert_eq!(answer_to(&misnumbered, ONE, Some(6)), AnswerTo::Open(0), "always one behind");
        let refused = response(StatusCode::BadRequest, "6", &[]);
        assert_eq!(answer_to(&refused, &[(7, Purpose::KeepAlive)], Some(6)), AnswerTo::Open(0));
    }

    #[test]
    fn of_several_open_requests_the_number_tells_or_else_the_order() {
        let to = |cseq| answer_to(&response(StatusCode::Ok, cseq, &[]), TWO, None);
        assert_eq!([to("8"), to("7"), to(""), to("0")], [1, 0, 0, 0].map(AnswerTo::Open));
        assert_eq!(to("3"), AnswerTo::Nothing);
        let provisional = response(StatusCode::Continue, "7", &[]);
        assert_eq!(answer_to(&provisional, ONE, None), AnswerTo::Nothing);
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
