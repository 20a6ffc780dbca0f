//! How long a message's body is: by its Content-Length or, where a description comes without one, by its lines.

use super::{MAX_BODY_BYTES, MessageError, head};

/// Bytes of the body that `head` announces and `rest`, what has come behind it, begins with; `None` while that cannot be
/// told yet.
pub(super) fn len(head: &[u8], rest: &[u8]) -> Result<Option<usize>, MessageError> {
    match announced(head)? {
        Some(len) => Ok((rest.len() >= len).then_some(len)),
        None if is_description(head) => description_len(rest),
        None => Ok(Some(0)),
    }
}

/// The Content-Length; `None` where there is none, or nothing stands behind its colon.
fn announced(head: &[u8]) -> Result<Option<usize>, MessageError> {
    let mut length = None;
    for value in head::values(head, b"content-length") {
        let text = String::from_utf8_lossy(value).into_owned();
        if text.is_empty() {
            continue;
        }
        let announced: u64 = match text.parse() {
            Ok(n) if length.is_none_or(|l| l == n) => n,
            _ => return Err(MessageError::ContentLength(text)),
        };
        if announced > MAX_BODY_BYTES as u64 {
            return Err(MessageError::BodyTooLong { announced });
        }
        length = Some(announced);
    }
    Ok(length.map(|len| len as usize))
}

/// Whether a message without Content-Length has a session description by its Content-Type.
fn is_description(head: &[u8]) -> bool {
    head::values(head, b"content-type").any(|value| {
        let kind = value.split(|&byte| byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"application/sdp")
    })
}

/// Length of a session description without Content-Length, bytes: lines of a small letter, `=` and a text. It ends before
/// the first line that is none, or where what came so far ends with a line and has a medium: its sender waits for us then.
fn description_len(rest: &[u8]) -> Result<Option<usize>, MessageError> {
    let mut end = 0;
    let mut has_medium = false;
    while let Some(line_len) = rest[end..].iter().position(|&byte| byte == b'\n').map(|at| at + 1) {
        let line = rest[end..end + line_len].trim_ascii();
        let is_field = matches!(line, [b'a'..=b'z', b'=', ..]);
        if !is_field && !line.is_empty() {
            return Ok(Some(end));
        }
        has_medium |= line.starts_with(b"m=");
        end += line_len;
        if end > MAX_BODY_BYTES {
            return Err(MessageError::BodyTooLong { announced: end as u64 });
        }
    }
    if rest.len() - end > MAX_BODY_BYTES {
        return Err(MessageError::BodyTooLong { announced: rest.len() as u64 });
    }
    let is_other = rest.get(end).is_some_and(|byte| !byte.is_ascii_lowercase());
    Ok((is_other || (has_medium && end == rest.len())).then_some(end))
}
