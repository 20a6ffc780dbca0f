//! The status of a stream by `onStatus` and `_error` (RTMP 1.0 section 7.2.2).

use super::amf::Value;

/// What a status message means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The server has begun to take or send the stream.
    Started,
    /// The stream has ended, or the server closes the connection.
    Ended,
    /// The request failed: level `error` (section 7.2.2).
    Failed,
    /// Any other status, which needs no reaction.
    Note,
}

impl Status {
    /// Reads the values of an `onStatus` or `_error` command.
    pub fn of(values: &[Value]) -> Status {
        let text = |name| field(values, name).unwrap_or_default();
        match text("code") {
            "NetStream.Publish.Start" | "NetStream.Play.Start" => Status::Started,
            "NetStream.Play.UnpublishNotify"
            | "NetStream.Play.Stop"
            | "NetStream.Play.Complete"
            | "NetStream.Unpublish.Success"
            | "NetConnection.Connect.Closed" => Status::Ended,
            _ if text("level") == "error" => Status::Failed,
            _ => Status::Note,
        }
    }
}

/// Code and description of such a command as one text. It is a peer's text: see [`mod@crate::shown`].
pub fn reason(values: &[Value]) -> String {
    let parts = ["code", "description"].map(|name| field(values, name).unwrap_or_default().trim());
    match parts {
        ["", ""] => "it gives no reason".to_owned(),
        ["", description] => description.to_owned(),
        [code, ""] => code.to_owned(),
        [code, description] => format!("{code}: {description}"),
    }
}

/// A property of the information object, which stands last.
fn field<'a>(values: &'a [Value], name: &str) -> Option<&'a str> {
    values.iter().skip(2).rev().find_map(|value| value.get(name))?.as_text()
}
