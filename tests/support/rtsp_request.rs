//! Reads the RTSP requests of a client, for the tests' fake servers.

use std::io::{BufRead, Result};

/// A request, as far as the fake servers need it.
pub struct Request {
    /// The method, such as `DESCRIBE`.
    pub method: String,
    /// The value of the CSeq header; empty where there is none.
    pub cseq: String,
}

/// Reads the next request; `None` when the client has closed the connection.
pub fn next_request(input: &mut impl BufRead) -> Result<Option<Request>> {
    // Interleaved frames between requests are skipped (RFC 2326 section 10.12).
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
    Ok(Some(Request { method, cseq: value("CSeq").unwrap_or_default() }))
}
