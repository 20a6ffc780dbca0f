//! Patterns of paths in the configuration, as in a user's rights and in `[record]`.

use hevcast_wire::rtsp::path::{self, StreamPath};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A list of patterns, each of which matches paths: `live` matches that path alone, `cameras/*` all paths that begin
/// with `cameras/`, `*` every path. Patterns are normalized as the paths of URLs are, so that `客厅` and
/// `%E5%AE%A2%E5%8E%85` are the same.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Whether one of the patterns matches this path.
    pub fn match_path(&self, path: &str) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Pattern::Beginning(beginning) => path.starts_with(beginning),
            Pattern::Path(one) => path == &**one,
        })
    }
}

/// One pattern, in the normal form of [`StreamPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Matches this path alone.
    Path(StreamPath),
    /// Matches every path that begins with this text.
    Beginning(String),
}

impl<'de> Deserialize<'de> for Pattern {
    // Each pattern is deserialized by itself, so that toml reports an error at that pattern's line and column.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pattern, D::Error> {
        let text = String::deserialize(deserializer)?;
        let path = text.trim_matches('/');
        let pattern = match path.strip_suffix('*') {
            Some(before) if before.contains('*') => None,
            Some(before) => Some(path::beginning(before).map(Pattern::Beginning)),
            None if path.is_empty() || path.contains('*') => None,
            None => Some(StreamPath::parse(path).map(Pattern::Path)),
        };
        match pattern {
            Some(Ok(pattern)) => Ok(pattern),
            Some(Err(error)) => Err(D::Error::custom(format!("a pattern is a path, or the beginning of one: {error}"))),
            None => Err(D::Error::custom("a pattern's * stands at its end, and it is not empty")),
        }
    }
}

#[cfg(test)]
mod tests {
    use rtsp_types::Url;

    use super::*;

    fn patterns(text: &str) -> Result<Patterns, String> {
        #[derive(Deserialize)]
        struct Table {
            paths: Patterns,
        }
        toml::from_str(&format!("paths = {text}")).map(|table: Table| table.paths).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pattern_is_in_the_form_of_what_it_matches() {
        for (pattern, matched, not) in [
            ("客厅", &["客厅", "%e5%ae%a2%E5%8E%85", "客厅/?x=1"][..], &["客", "客厅a", "客厅/1"][..]),
            ("%E5%AE%A2%E5%8E%85", &["客厅"], &["%25E5%25AE%25A2%25E5%258E%2585"]),
            ("%25E5", &["%25E5"], &["x"]),
            ("café", &["caf%C3%A9", "cafe%CC%81"], &["cafe"]),
            ("live cam", &["live cam", "live%20cam"], &["live+cam"]),
            ("cam(1)", &["cam%281%29"], &["cam1"]),
            ("客厅/*", &["客厅/1", "%E5%AE%A2%E5%8E%85/a/b", "客厅%2F1"], &["客厅", "客厅1"]),
            ("客*", &["客", "客厅"], &["厅"]),
            ("é*", &["e%CC%81t%C3%A9"], &["e"]),
            ("%E5%AE%A2*", &["客厅"], &["厅"]),
            ("/live/", &["live", "//live//"], &["live/2", "LIVE"]),
            ("a%2Ab", &["a*b"], &["ab"]),
            ("cam*", &["cam", "cam1", "cam/1", "cam*"], &["ca"]),
            ("*", &["x", "客厅"], &[]),
            ("/*", &["x", "客厅"], &[]),
        ] {
            let patterns = patterns(&format!("[\"nothing\", \"{pattern}\"]")).unwrap();
            let matches = |written: &&&str| {
                let url = Url::parse(&format!("rtsp://h/{written}")).unwrap();
                patterns.match_path(&StreamPath::of_url(&url).unwrap())
            };
            assert!(matched.iter().all(|written| matches(&written)), "{pattern} is to match {matched:?}");
            assert!(!not.iter().any(|written| matches(&written)), "{pattern} is not to match {not:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_an_error_and_never_a_panic() {
        for text in ["", "/", "a*b", "*é", "**", "客*厅", "*/a"] {
            assert!(patterns(&format!("[\"{text}\"]")).unwrap_err().contains("* stands at its end"), "{text}");
        }
        for (text, word) in
            [("%FF", "UTF-8"), ("%E5*", "UTF-8"), ("a/../b", "segment"), ("../*", "segment"), ("a%0Ab", "U+000A")]
        {
            assert!(patterns(&format!("[\"{text}\"]")).unwrap_err().contains(word), "{text}");
        }
        // Characters of one to four bytes in UTF-8, alone and combined.
        for letters in ["a", "é", "客", "😀", "\u{301}", "a😀", "é客"] {
            for text in [letters.to_owned(), format!("{letters}*"), format!("*{letters}"), format!("{letters}/*")] {
                assert_eq!(patterns(&format!("[\"{text}\"]")).is_ok(), !text.starts_with('*'), "{text}");
            }
        }
    }
}
