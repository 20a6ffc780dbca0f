//! Whether a description's H.265 track is encrypted by SRTP (RFC 3711), which is not spoken: its `m=` line names a profile
//! such as `RTP/SAVP` (RFC 4568) or `UDP/TLS/RTP/SAVPF` (RFC 5764).

/// Whether the first section with an H.265 `rtpmap` is encrypted. Reads lines alone, so that it does not matter what else of
/// the description is odd.
pub fn is_encrypted(description: &[u8]) -> bool {
    let mut is_secure = false;
    for line in description.split(|byte| matches!(byte, b'\n' | b'\r')) {
        let line = line.trim_ascii();
        if let Some(media) = line.strip_prefix(b"m=") {
            let profile = media.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(2);
            is_secure = profile.is_some_and(|profile| contains(profile, b"SAVP"));
        } else if contains(line, b"rtpmap:") && (contains(line, b" H265/") || contains(line, b" HEVC/")) {
            return is_secure;
        }
    }
    false
}

/// Whether one is part of the other, in capitals or not.
fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdp(lines: &[&str]) -> Vec<u8> {
        ["v=0", "s=x"].iter().chain(lines).flat_map(|line| format!("{line}\r\n").into_bytes()).collect()
    }

    #[test]
    fn the_profile_of_the_pictures_track_decides() {
        let map = "a=rtpmap:96 H265/90000";
        for profile in ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "rtp/savp"] {
            assert!(is_encrypted(&sdp(&[&format!("m=video 0 {profile} 96"), map])), "{profile}");
        }
        for profile in ["RTP/AVP", "RTP/AVP/TCP", "RTP/AVPF", "TCP/RTP/AVP"] {
            assert!(!is_encrypted(&sdp(&[&format!("m=video 0 {profile} 96"), map])), "{profile}");
        }
        let sound = ["m=audio 0 RTP/SAVP 97", "a=rtpmap:97 OPUS/48000/2", "m=video 0 RTP/AVP 96", map];
        assert!(!is_encrypted(&sdp(&sound)), "another track's profile");
        let lower = ["m=audio 0 RTP/AVP 0", "m=video  0  RTP/SAVP  98", "a=rtpmap:98 hevc/90000", "a=crypto:1 x"];
        assert!(is_encrypted(&sdp(&lower)));
        assert!(!is_encrypted(b"") && !is_encrypted(b"m=\nm=video\na=rtpmap:96 H265/90000"));
    }
}
