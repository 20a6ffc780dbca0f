//! Names of files that Windows does not take, or takes for something else: `12:30.mp4` would be a hidden part of a file `12`,
//! `con.mp4` the console.

use std::io;
use std::path::Path;

use super::folders::is_device;

/// Fails for a name that Windows would not give the file, on Windows.
///
/// # Errors
/// What about the name is wrong, in one line.
pub(super) fn check(path: &Path) -> io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    match unfit(&name) {
        Some(why) if cfg!(windows) => Err(io::Error::new(io::ErrorKind::InvalidInput, why)),
        _ => Ok(()),
    }
}

/// Why Windows has no file of this name.
fn unfit(name: &str) -> Option<String> {
    if let Some(letter) =
        name.chars().find(|letter| matches!(letter, '<' | '>' | ':' | '"' | '|' | '?' | '*') || *letter < ' ')
    {
        return Some(format!("on Windows a file's name has no {letter:?}; choose another name"));
    }
    if name.ends_with(['.', ' ']) {
        return Some("on Windows a file's name ends in neither a dot nor a space; choose another name".to_owned());
    }
    is_device(name).then(|| format!("{name} is a device of Windows; choose another name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_gives_are_taken_and_no_others() {
        for name in
            ["lesson.mp4", "课堂 录像.mkv", "a%d.mp4", "100 %.mp4", "console.mp4", "com.mp4", ".hidden", "a.b.c", "é"]
        {
            assert_eq!(unfit(name), None, "{name}");
        }
        for name in [
            "12:30.mp4",
            "pipe:1.mp4",
            "a|b.mkv",
            "what?.mp4",
            "*.mp4",
            "a<b",
            "a>b",
            "\"a\"",
            "a\nb",
            "a\0",
            "end.",
            "end ",
            "con",
            "CON.mp4",
            "nul",
            "lpt1.mkv",
            "aux.tar.gz",
        ] {
            assert!(unfit(name).is_some_and(|why| !why.contains('\n')), "{name}");
        }
    }
}
