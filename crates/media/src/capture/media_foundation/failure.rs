//! What an HRESULT of a camera means to the user. Sources: mferror.h, winerror.h, and "Media Foundation Error Codes" in Microsoft's
//! documentation.

use super::super::CaptureError;

/// Why a camera gives no more pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A call failed with this HRESULT.
    Code(i32),
    /// Its stream has ended, which a camera's does only with the camera.
    Ended,
}

/// Another program has the camera.
const BUSY: [u32; 6] = [
    0xC00D_3704, // MF_E_HW_MFT_FAILED_START_STREAMING
    0xC00D_3EA3, // MF_E_VIDEO_RECORDING_DEVICE_PREEMPTED
    0x8007_0020, // ERROR_SHARING_VIOLATION
    0x8007_0021, // ERROR_LOCK_VIOLATION
    0x8007_00AA, // ERROR_BUSY
    0x8007_0964, // ERROR_DEVICE_IN_USE
];

/// The camera is not there, or not any more.
const GONE: [u32; 8] = [
    0xC00D_3EA2, // MF_E_VIDEO_RECORDING_DEVICE_INVALIDATED
    0x8007_0002, // ERROR_FILE_NOT_FOUND
    0x8007_0003, // ERROR_PATH_NOT_FOUND
    0x8007_0037, // ERROR_DEV_NOT_EXIST
    0x8007_01B1, // ERROR_NO_SUCH_DEVICE
    0x8007_048F, // ERROR_DEVICE_NOT_CONNECTED
    0x8007_0490, // ERROR_NOT_FOUND
    0x8007_0651, // ERROR_DEVICE_REMOVED
];

/// The user does not let programs use the camera.
const FORBIDDEN: [u32; 1] = [
    0x8007_0005, // E_ACCESSDENIED
];

/// The error for a call that failed with this HRESULT while `doing`, and the system's message for it, which may be empty.
pub(super) fn error(label: &str, doing: &'static str, code: i32, message: &str) -> CaptureError {
    let name = label.to_owned();
    let number = code.cast_unsigned();
    if BUSY.contains(&number) {
        CaptureError::Busy(name)
    } else if GONE.contains(&number) {
        CaptureError::Gone(name)
    } else if FORBIDDEN.contains(&number) {
        CaptureError::Forbidden(name)
    } else {
        CaptureError::Device { name, doing, why: describe(number, message) }
    }
}

/// The system's message in one line, with the number behind it, by which others find it.
fn describe(number: u32, message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    match words.join(" ").trim_end_matches(['.', '。']) {
        "" => format!("error 0x{number:08X}"),
        message => format!("{message} (0x{number:08X})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: u32) -> CaptureError {
        error("HD Webcam", "start", number.cast_signed(), "")
    }

    #[test]
    fn codes_say_what_happened() {
        assert!(matches!(of(0xC00D_3EA2), CaptureError::Gone(_)));
        assert!(matches!(of(0x8007_01B1), CaptureError::Gone(_)));
        assert!(matches!(of(0xC00D_3704), CaptureError::Busy(_)));
        assert!(matches!(of(0x8007_0020), CaptureError::Busy(_)));
        assert!(matches!(of(0x8007_0005), CaptureError::Forbidden(_)));
        assert!(matches!(of(0x8000_4005), CaptureError::Device { .. }));
    }

    #[test]
    fn messages_are_one_line_in_any_language() {
        let shown = |message| error("HD Webcam", "start", 0xC00D_36B4_u32.cast_signed(), message).to_string();
        assert_eq!(shown(""), "HD Webcam failed to start: error 0xC00D36B4");
        assert_eq!(
            shown("The data specified is invalid,\r\ninconsistent.\r\n"),
            "HD Webcam failed to start: The data specified is invalid, inconsistent (0xC00D36B4)"
        );
        assert_eq!(shown("系统找不到指定的文件。\r\n"), "HD Webcam failed to start: 系统找不到指定的文件 (0xC00D36B4)");
    }

    #[test]
    fn no_code_means_two_things() {
        let all: Vec<u32> = [&BUSY[..], &GONE, &FORBIDDEN].concat();
        let mut different = all.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), all.len());
    }
}
