//! URLs as readable text: percent-escapes of letters decoded, everything else left as it is.

use percent_encoding::percent_decode_str;
use url::Url;

/// A URL as readable text: percent-encoded letters of all languages are decoded. Encoded ASCII, white space and invisible
/// characters stay encoded, so
/// that the text parses as the same URL again.
pub fn shown(url: &Url) -> String {
    let text = url.as_str();
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, escapes) = rest.split_at(at);
        shown.push_str(before);
        let len = escapes_len(escapes.as_bytes());
        // All ASCII up to there, so this is a character boundary.
        let (run, behind) = escapes.split_at(len.max(1));
        show_run(run, &mut shown);
        rest = behind;
    }
    shown + rest
}

/// Length, bytes, of the run of percent-escapes that `text` begins with.
fn escapes_len(text: &[u8]) -> usize {
    let is_escape =
        |triple: &&[u8]| matches!(triple, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    text.chunks(3).take_while(is_escape).count() * 3
}

/// Appends a run of percent-escapes to `shown`, decoded where it is readable text.
fn show_run(run: &str, shown: &mut String) {
    let bytes: Vec<u8> = percent_decode_str(run).collect();
    let mut escapes = run.as_bytes().chunks(3).map(String::from_utf8_lossy);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let escaped: String = escapes.by_ref().take(c.len_utf8()).collect();
            match c.is_ascii() || c.is_whitespace() || is_out_of_place(c) {
                true => shown.push_str(&escaped),
                false => shown.push(c),
            }
        }
        shown.extend(escapes.by_ref().take(chunk.invalid().len()));
    }
    shown.extend(escapes);
}

/// Whether a character is invisible or affects the text around it, as controls and direction marks do.
pub(crate) fn is_out_of_place(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Line and paragraph ends.
            '\u{2028}' | '\u{2029}'
            // Marks, embeddings, overrides and isolates of direction (UAX 9): behind them a line of a log reads backwards.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Invisible: two names would look alike. The joiners U+200C and U+200D belong to the spelling of some languages.
            | '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}
