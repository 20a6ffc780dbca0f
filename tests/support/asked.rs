//! What a client asks of a server that only plays one.

use std::io::{BufRead, Result};

/// A request.
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its number; empty where it has none.
    pub cseq: String,
}

/// The next request; `None` when the client has hung up.
pub fn next_request(input: &mut impl BufRead) -> Result<Option<Asked>> {
    // What else a client sends between its requests is of no interest (RFC 2326 section 10.12).
    while input.fill_buf()?.first() == Some(&b'$') {
        let mut header = [0; 4];
        input.read_exact(&mut header)?;
        input.read_exact(&mut vec![0; u16::from_be_bytes([header[2], header[3]]).into()])?;
    }
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let value = |name: &str| {
        let of = |line: &String| {
            Some(line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name))?.1.trim().to_owned())
        };
        lines.iter().find_map(of)
    };
    let length = value("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(0);
    input.read_exact(&mut vec![0; length])?;
    let method = lines.first().and_then(|line| line.split(' ').next()).unwrap_or_default().to_owned();
    Ok(Some(Asked { method, cseq: value("CSeq").unwrap_or_default() }))
}
