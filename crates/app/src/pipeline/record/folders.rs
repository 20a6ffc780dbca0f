//! The folder of a path's recordings: one for each path, on any file system, and readable.
//!
//! Letters and digits of any language, `-`, `_` and spaces stand as they are; all else is written as `%` and two
//! hexadecimal digits for each byte of its UTF-8, as in a URL. So are a dot, a space or a `-` where a shell or Windows would
//! misread it, and the first letter of Windows' devices (`con`) and of what looks like a file of ours. Names that some
//! file system would not tell apart (`Cam` and `cam`), or not take (longer than 255 bytes), end in `~` and a part of
//! their SHA-256. As neither `%` nor `~` ever stands for itself, no two paths share a folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::segments::is_ours;

/// Longest name, bytes: file systems take 255.
const MAX_NAME_BYTES: usize = 200;
/// Bytes of a SHA-256 that stand in a name.
const HASH_BYTES: usize = 8;

/// The folder of the files of the stream at `path`, which has no slashes around it.
pub fn folder_of(root: &Path, path: &str) -> PathBuf {
    let mut folder = root.to_owned();
    if !path.is_empty() {
        folder.extend(path.split('/').map(name_of));
    }
    folder
}

/// The path whose recordings are in the folder with these names, as far as they contain it: of one that was too long, its
/// beginning.
pub fn path_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<String> = names.map(text_of).collect();
    texts.join("/")
}

/// The name of a folder for one part of a path.
fn name_of(part: &str) -> String {
    if part.is_empty() {
        // Between two slashes.
        return "%".to_owned();
    }
    let last = part.chars().count() - 1;
    let escapes_first = is_device(part) || is_ours(part);
    let mut name = String::with_capacity(part.len() + 8);
    for (at, letter) in part.chars().enumerate() {
        let stands = match letter {
            '.' | ' ' => at > 0 && at < last,
            '-' => at > 0,
            '_' => true,
            letter => letter.is_alphanumeric(),
        };
        if stands && !(at == 0 && escapes_first) {
            name.push(letter);
        } else {
            for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string does not fail.
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    if name.len() > MAX_NAME_BYTES || part.chars().any(is_folded) {
        shorten(&mut name, MAX_NAME_BYTES - 1 - 2 * HASH_BYTES);
        let hash = Sha256::digest(part.as_bytes());
        name.push('~');
        for byte in &hash[..HASH_BYTES] {
            let _ = write!(name, "{byte:02x}");
        }
    }
    name
}

/// Takes letters from the end, and no half of an escape stays.
fn shorten(name: &mut String, bytes: usize) {
    while name.len() > bytes {
        name.pop();
    }
    let whole = name.trim_end_matches(|c: char| c.is_ascii_hexdigit());
    if whole.ends_with('%') && name.len() - whole.len() < 2 {
        name.truncate(whole.len() - 1);
    }
}

/// What a folder's name says.
fn text_of(name: &str) -> String {
    let name = name.rsplit_once('~').map_or(name, |(name, _)| name);
    percent_encoding::percent_decode_str(if name == "%" { "" } else { name }).decode_utf8_lossy().into_owned()
}

/// Whether some file system takes this letter for another: by its case, or by another way to write it in Unicode.
fn is_folded(letter: char) -> bool {
    let folded = letter.to_uppercase().flat_map(char::to_lowercase);
    // Hangul in parts, compatibility ideographs.
    let has_twin = matches!(letter, '\u{1100}'..='\u{11ff}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}');
    has_twin || !folded.eq([letter])
}

/// Whether Windows has a device of this name, whatever its ending.
pub(super) fn is_device(part: &str) -> bool {
    let stem = part.split(['.', ' ']).next().unwrap_or_default().to_lowercase();
    if matches!(&stem[..], "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$") {
        return true;
    }
    let number = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    number.is_some_and(|number| {
        matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn folder(path: &str) -> String {
        folder_of(Path::new("r"), path).to_str().unwrap().to_owned()
    }

    #[test]
    fn names_stay_readable() {
        for (path, wanted) in [
            ("cameras/1", "r/cameras/1"),
            ("客厅", "r/客厅"),
            ("客厅/门口 2", "r/客厅/门口 2"),
            ("café", "r/café"),
            ("front-door_2.sub", "r/front-door_2.sub"),
            ("", "r"),
            ("cam:1", "r/cam%3A1"),
            ("cam;1", "r/cam%3B1"),
            ("cam_1", "r/cam_1"),
            ("cam%201", "r/cam%25201"),
            ("../../etc/passwd", "r/%2E%2E/%2E%2E/etc/passwd"),
            ("a/./b", "r/a/%2E/b"),
            ("a//b", "r/a/%/b"),
            ("a\\..\\b", "r/a%5C..%5Cb"),
            (".hidden", "r/%2Ehidden"),
            ("end.", "r/end%2E"),
            ("end ", "r/end%20"),
            ("-rf", "r/%2Drf"),
            ("con", "r/%63on"),
            ("lpt1.txt", "r/%6Cpt1.txt"),
            ("con/aux.h265/com", "r/%63on/%61ux.h265/com"),
        ] {
            assert_eq!(folder(path), wanted, "{path}");
        }
        for (path, wanted) in
            [("Front Door", "r/Front Door~"), ("2026-11-26T12-30-05Z.mp4", "r/%32026-11-26T12-30-05Z.mp4~")]
        {
            assert!(folder(path).starts_with(wanted), "{}", folder(path));
        }
    }

    #[test]
    fn no_two_paths_share_a_folder_though_the_file_system_folds_names() {
        let paths = [
            "cam:1",
            "cam;1",
            "cam_1",
            "cam%201",
            "cam_201",
            "cam 1",
            "cam%3A1",
            "Cam_1",
            "CAM_1",
            "cAm_1",
            "cam~1",
            "cam",
            "Cam",
            "cam/1",
            "cam//1",
            "cam/",
            "/cam",
            "é",
            "e\u{301}",
            "É",
            "ß",
            "ss",
            "ſ",
            "s",
            "S",
            "K",
            "\u{212a}",
            "k",
            "Å",
            "\u{212b}",
            "å",
            "σ",
            "ς",
            "Σ",
            "µ",
            "μ",
            "가",
            "\u{1100}\u{1161}",
            "豈",
            "\u{f900}",
            "cam.",
            "cam ",
            " cam",
            ".cam",
            "CON",
            "con",
            "%63on",
            "客厅",
            "客 厅",
            "x",
            "x\0",
            "a\nb",
            "a%0Ab",
            "dotless ı",
            "dotless i",
            "İ",
            "i̇",
        ];
        let mut folders = BTreeMap::new();
        for path in paths {
            let folded: String =
                folder(path).chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
            if let Some(other) = folders.insert(folded.clone(), path) {
                panic!("{path:?} and {other:?} share {folded:?}");
            }
        }
    }

    #[test]
    fn long_names_are_cut_and_still_their_own() {
        for letter in ["a", "客", "/", "%", "A", "\u{1f3a5}"] {
            let (one, other) = (letter.repeat(256 / letter.len()), letter.repeat(256 / letter.len() - 1));
            assert_ne!(folder(&one), folder(&other));
            for name in Path::new(&folder(&one)).iter() {
                assert!(name.len() <= MAX_NAME_BYTES, "{name:?}");
            }
        }
        let (one, other) = (format!("{}1", "b".repeat(250)), format!("{}2", "b".repeat(250)));
        assert_ne!(folder(&one), folder(&other));
    }

    proptest! {
        #[test]
        fn a_folder_is_one_paths_and_stays_below_its_root(one in "\\PC{0,40}", other in "[%~A-Ca-c_./ :客]{0,6}", last in "[%~A-Ca-c_./ :客]{0,6}") {
            for path in [&one, &other] {
                let folder = folder_of(Path::new("r"), path);
                prop_assert!(folder.starts_with("r"));
                prop_assert!(folder.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert_eq!(folder.components().count(), if path.is_empty() { 1 } else { path.split('/').count() + 1 });
                let names: Vec<&str> = folder.iter().skip(1).map(|name| name.to_str().unwrap()).collect();
                if names.iter().all(|name| name.len() < MAX_NAME_BYTES / 2) {
                    prop_assert_eq!(&path_of(names.into_iter()), path, "it says whose it is");
                }
            }
            prop_assert_eq!(folder(&other).to_lowercase() == folder(&last).to_lowercase(), other == last);
        }
    }
}
