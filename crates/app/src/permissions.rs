//! Checks that files with secrets cannot be read by other users.

use std::path::Path;

/// Permission bits of users who are neither the owner nor in the group.
#[cfg(unix)]
const OTHERS: u32 = 0o007;
/// Permission bits of the group.
#[cfg(unix)]
const GROUP: u32 = 0o070;
/// The user id of root.
#[cfg(unix)]
const ROOT: u32 = 0;

/// A warning if other users can read this file, which has secrets in it. The group may read a file that belongs to another
/// user, such as root: that is how a service gets its file.
pub(crate) fn open_to_others(path: &Path) -> Option<String> {
    #[cfg(not(unix))]
    let _ = path;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.uid() != ROOT;
        if is_too_wide(metadata.mode(), is_ours) {
            let path = path.display();
            return Some(format!("{path} holds secrets and is readable by others: chmod 600 {path}"));
        }
    }
    None
}

/// Whether this mode lets other users read the file.
#[cfg(unix)]
fn is_too_wide(mode: u32, is_ours: bool) -> bool {
    let too_wide = if is_ours { OTHERS | GROUP } else { OTHERS };
    mode & too_wide & 0o444 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_causes_a_warning() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("hevcast-login-{}", std::process::id()));
        std::fs::write(&path, "word\n").unwrap();
        for (mode, is_wide) in [(0o644, true), (0o604, true), (0o600, false), (0o400, false), (0o700, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open_to_others(&path).is_some(), is_wide, "{mode:o}");
            assert_eq!((is_too_wide(mode, true), is_too_wide(mode, false)), (is_wide, is_wide), "{mode:o}");
        }
        // The group may read a file of another user.
        assert!(is_too_wide(0o640, true) && !is_too_wide(0o640, false));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(open_to_others(&path), None, "a missing file is reported by its reader");
    }
}
