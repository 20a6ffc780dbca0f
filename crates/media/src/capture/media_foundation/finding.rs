//! Which of the cameras that are present is meant: by what the user wrote, or as the one that was unplugged.

use super::super::CaptureError;

/// A camera that is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Present {
    /// Its friendly name, the same for all of a model.
    pub(super) name: String,
    /// Its symbolic link, such as `\\?\usb#vid_046d&pid_0825&mi_00#7&1c2d#{e5323777-f976-4f5b-9b94-b55b3a9ec5d2}\global`, which
    /// depends on the port. Upper and lower case are one.
    pub(super) link: String,
}

impl Present {
    /// Whether `link` is this camera's.
    pub(super) fn is_at(&self, link: &str) -> bool {
        self.link.eq_ignore_ascii_case(link)
    }
}

/// How a symbolic link begins, by which it is told from a name.
const LINK: &str = r"\\";

/// The camera that `wanted` names by number, symbolic link or a part of its name; without it the first.
pub(super) fn find<'a>(present: &'a [Present], wanted: Option<&str>) -> Result<&'a Present, CaptureError> {
    let Some(wanted) = wanted else { return present.first().ok_or(CaptureError::NoCamera) };
    let by_number = wanted.parse::<usize>().ok().and_then(|number| present.get(number));
    let found = match wanted.starts_with(LINK) {
        true => present.iter().find(|camera| camera.is_at(wanted)),
        false => by_number.or_else(|| present.iter().find(|camera| matches(&camera.name, wanted))),
    };
    match found {
        Some(camera) => Ok(camera),
        None if present.is_empty() => Err(CaptureError::NoCamera),
        None => Err(CaptureError::UnknownCamera { wanted: wanted.to_owned(), present: listed(present) }),
    }
}

/// The name under which DirectShow may know what Media Foundation does not: some cameras that are programs are known to it alone.
/// `None` for a link or a number.
pub(super) fn name_elsewhere(wanted: &str) -> Option<&str> {
    let is_name = !wanted.starts_with(LINK) && wanted.parse::<usize>().is_err();
    is_name.then_some(wanted)
}

fn matches(name: &str, wanted: &str) -> bool {
    name.to_lowercase().contains(&wanted.to_lowercase())
}

/// Names and numbers, for an error message. Links would fill lines.
fn listed(present: &[Present]) -> String {
    let names: Vec<String> =
        present.iter().enumerate().map(|(number, camera)| format!("{} ({number})", camera.name)).collect();
    names.join(", ")
}

/// A camera that was unplugged, and how it is told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unplugged {
    own: Present,
    /// Links of other cameras of its name, which were present when it was unplugged, and so are not it.
    others: Vec<String>,
}

impl Unplugged {
    /// `own`, when `present` was found after it had failed.
    pub(super) fn new(own: &Present, present: &[Present]) -> Unplugged {
        let others = present.iter().filter(|other| other.name == own.name && !other.is_at(&own.link));
        Unplugged { own: own.clone(), others: others.map(|other| other.link.clone()).collect() }
    }

    /// The same camera among those present: at its port, or else at a port where none of its name was before.
    pub(super) fn find<'a>(&self, present: &'a [Present]) -> Option<&'a Present> {
        let may_be_it =
            |camera: &&Present| camera.name == self.own.name && !self.others.iter().any(|other| camera.is_at(other));
        let at_its_port = present.iter().find(|camera| camera.is_at(&self.own.link));
        at_its_port.or_else(|| present.iter().find(may_be_it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present(cameras: &[(&str, &str)]) -> Vec<Present> {
        cameras.iter().map(|(name, link)| Present { name: (*name).to_owned(), link: (*link).to_owned() }).collect()
    }

    fn found(cameras: &[Present], wanted: Option<&str>) -> Result<String, String> {
        find(cameras, wanted).map(|camera| camera.link.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_camera_is_named_in_several_ways() {
        let two = present(&[("HD Webcam", r"\\?\usb#1"), ("罗技 C920 摄像头", r"\\?\usb#2")]);
        assert_eq!(found(&two, None).unwrap(), r"\\?\usb#1");
        assert_eq!(found(&two, Some("1")).unwrap(), r"\\?\usb#2");
        assert_eq!(found(&two, Some("hd web")).unwrap(), r"\\?\usb#1");
        assert_eq!(found(&two, Some("罗技")).unwrap(), r"\\?\usb#2");
        assert_eq!(found(&two, Some("920")).unwrap(), r"\\?\usb#2", "a part of a name, as no camera has this number");
        assert_eq!(found(&two, Some(r"\\?\USB#2")).unwrap(), r"\\?\usb#2");
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let two = present(&[("HD Webcam", r"\\?\usb#1"), ("HD Webcam", r"\\?\usb#2")]);
        let error = found(&two, Some("phone")).unwrap_err();
        assert_eq!(error, "no camera matches `phone`; there is: HD Webcam (0), HD Webcam (1)");
        assert!(found(&two, Some(r"\\?\usb#3")).is_err());
        assert!(matches!(find(&[], Some("phone")), Err(CaptureError::NoCamera)));
        assert!(matches!(find(&[], None), Err(CaptureError::NoCamera)));
        assert_eq!(name_elsewhere("OBS Virtual Camera"), Some("OBS Virtual Camera"));
        assert_eq!((name_elsewhere("3"), name_elsewhere(r"\\?\usb#3")), (None, None));
    }

    #[test]
    fn it_comes_back_at_its_port_or_at_another() {
        let own = &present(&[("HD Webcam", r"\\?\usb#1")])[0];
        let other = present(&[("HD Webcam", r"\\?\usb#2"), ("Phone", r"\\?\usb#9")]);
        let unplugged = Unplugged::new(own, &other);
        let link = |cameras: &[(&str, &str)]| unplugged.find(&present(cameras)).map(|camera| camera.link.clone());
        assert_eq!(link(&[]), None);
        assert_eq!(link(&[("Phone", r"\\?\usb#9")]), None);
        assert_eq!(link(&[("HD Webcam", r"\\?\USB#2")]), None, "the other one was there all the time");
        assert_eq!(link(&[("HD Webcam", r"\\?\usb#2"), ("HD Webcam", r"\\?\usb#3")]).unwrap(), r"\\?\usb#3");
        let both = [("HD Webcam", r"\\?\usb#3"), ("HD Webcam", r"\\?\USB#1")];
        assert_eq!(link(&both).unwrap(), r"\\?\USB#1", "its own port goes first");
    }

    #[test]
    fn one_that_is_present_and_silent_is_not_taken_for_another() {
        let own = &present(&[("HD Webcam", r"\\?\usb#1")])[0];
        let unplugged = Unplugged::new(own, std::slice::from_ref(own));
        assert_eq!(unplugged.find(std::slice::from_ref(own)), Some(own));
    }
}
