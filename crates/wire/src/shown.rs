//! Text from a peer, made safe to show and to log.
//!
//! What a server or a client writes into a message may hold anything: escape sequences that rewrite a terminal, line ends
//! that forge a line of the log, marks that turn the direction of what follows. [`shown`] is the one way by which such a text
//! enters an error, a log line or a label.

/// What a user types to run the program, before its command: in texts that say what to run.
pub const PROGRAM: &str = if cfg!(windows) { "hevcast.exe" } else { "hevcast" };

/// Most characters of one text of a peer's that are shown. A reason or a name is shorter; whatever is not would only hide
/// what stands behind it.
pub const MOST_SHOWN_CHARS: usize = 300;

/// The text without what a terminal or a log would act on: each such character stands there as `\u{1b}`, and what is longer
/// than [`MOST_SHOWN_CHARS`] ends in `…`.
pub fn shown(text: &str) -> String {
    let mut shown = harmless(text.chars().take(MOST_SHOWN_CHARS));
    if text.chars().nth(MOST_SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// A whole line as it goes to a terminal, whoever wrote parts of it; of any length.
pub fn shown_line(line: &str) -> String {
    harmless(line.chars())
}

fn harmless(text: impl Iterator<Item = char>) -> String {
    let mut shown = String::new();
    for c in text {
        match is_harmless(c) {
            true => shown.push(c),
            false => shown.extend(c.escape_unicode()),
        }
    }
    shown
}

/// Whether a character has no effect beyond being drawn. The joiners U+200C and U+200D count as harmless: some languages
/// need them.
pub fn is_harmless(c: char) -> bool {
    // C0, DEL and C1.
    !c.is_control()
        && !matches!(c,
            // Invisible: soft hyphen, joiner, fillers, spaces of no width, and the byte order mark.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{17b4}' | '\u{17b5}'
            // Marks, embeddings, overrides and isolates of direction, line and paragraph ends, and other format controls.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
            // Noncharacters.
            | '\u{fdd0}'..='\u{fdef}')
        && (c as u32) & 0xfffe != 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_on_a_terminal_is_written_out() {
        for (text, expected) in [
            ("Not\u{1b}]0;title\u{7}\u{1b}[31m Found", r"Not\u{1b}]0;title\u{7}\u{1b}[31m Found"),
            ("a\r\n2026-01-01 ERROR forged", r"a\u{d}\u{a}2026-01-01 ERROR forged"),
            ("\u{9b}2J\u{7f}\0\t\u{85}", r"\u{9b}2J\u{7f}\u{0}\u{9}\u{85}"),
            ("abc\u{202e}gnp.exe\u{2066}\u{200f}\u{61c}", r"abc\u{202e}gnp.exe\u{2066}\u{200f}\u{61c}"),
            ("one\u{2028}two\u{2029}\u{feff}", r"one\u{2028}two\u{2029}\u{feff}"),
        ] {
            assert_eq!(shown(text), expected);
            assert_eq!(shown_line(text), expected);
        }
        let plain = "Nicht gefunden — 找不到 «客厅» café\u{301} עברית می\u{200c}خواهم 👩\u{200d}🔧 \\ \" ' {}%s";
        assert_eq!(shown(plain), plain);
    }

    #[test]
    fn what_is_long_has_an_end() {
        let long = "\u{1b}".repeat(MOST_SHOWN_CHARS + 1);
        let text = shown(&long);
        assert_eq!(text.matches("\\u{1b}").count(), MOST_SHOWN_CHARS);
        assert!(text.ends_with('…') && !shown(&"é".repeat(MOST_SHOWN_CHARS)).ends_with('…'));
    }

    proptest! {
        #[test]
        fn whatever_a_peer_writes_comes_out_harmless(text: String, chars: Vec<char>) {
            for text in [text, chars.into_iter().collect()] {
                prop_assert!(shown(&text).chars().all(is_harmless));
                prop_assert!(shown_line(&text).chars().all(is_harmless));
                if text.chars().all(is_harmless) {
                    prop_assert_eq!(shown_line(&text), text);
                }
            }
        }

        #[test]
        fn bytes_of_any_kind_come_out_harmless(bytes: Vec<u8>) {
            prop_assert!(shown(&String::from_utf8_lossy(&bytes)).chars().all(is_harmless));
        }
    }
}
