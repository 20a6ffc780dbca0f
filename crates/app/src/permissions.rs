//! Whether files of secrets are for those alone who need them.

use std::path::Path;

/// Permissions of anybody but the owner and the group.
#[cfg(unix)]
const OTHERS: u32 = 0o007;
/// Those of the group.
#[cfg(unix)]
const GROUP: u32 = 0o070;
/// The administrator's user id.
#[cfg(unix)]
const ROOT: u32 = 0;

/// A warning if others than those it is for can read this file, which has secrets in it. A group may where the file is
/// somebody else's, such as root's for a service: that is how it is given to us.
pub fn open_to_others(path: &Path) -> Option<String> {
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

/// Whether this mode lets others read a file of secrets.
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
    fn a_file_that_others_can_read_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("hevcast-login-{}", std::process::id()));
        std::fs::write(&path, "word\n").unwrap();
        for (mode, told) in [(0o644, true), (0o604, true), (0o600, false), (0o400, false), (0o700, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(open_to_others(&path).is_some(), told, "{mode:o}");
            assert_eq!((is_too_wide(mode, true), is_too_wide(mode, false)), (told, told), "{mode:o}");
        }
        // A group may read what is somebody else's, such as root's for a service.
        assert!(is_too_wide(0o640, true) && !is_too_wide(0o640, false));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(open_to_others(&path), None, "what is not there is told elsewhere");
    }
}
