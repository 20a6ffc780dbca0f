//! Finds the same camera after it was unplugged and plugged in again: often as another `/dev/videoN`, perhaps at another port.

use std::path::PathBuf;

use super::super::{CaptureError, Reopen, Source, Wanted};
use super::device::{Device, Identity};
use super::{Camera, device_error, nodes, start};

/// Opens a camera again that was unplugged.
pub(super) struct CameraReopener {
    own: Identity,
    path: PathBuf,
    label: String,
    wanted: Wanted,
    /// Ports of other cameras of its model, which were present when it was unplugged, and so are not it.
    others: Vec<String>,
}

impl CameraReopener {
    /// A reopener for `camera`, which has just failed.
    pub(super) fn of(camera: &Camera) -> CameraReopener {
        let own = camera.identity.clone();
        let others = present().into_iter().map(|(_, identity)| identity);
        let others = others.filter(|other| other.card == own.card && other.bus != own.bus).map(|other| other.bus);
        CameraReopener {
            others: others.collect(),
            own,
            path: camera.path.clone(),
            label: camera.label.clone(),
            wanted: camera.wanted,
        }
    }
}

impl Reopen for CameraReopener {
    fn reopen(&mut self) -> Result<Box<dyn Source>, CaptureError> {
        let present = present();
        let nodes: Vec<_> = present.iter().map(|(path, identity)| (path, identity)).collect();
        let Some(path) = choose(&self.own, &self.path, &self.others, &nodes) else {
            return Err(CaptureError::Gone(self.label.clone()));
        };
        let label = path.display().to_string();
        let device = Device::open(path).map_err(|error| device_error(&label, "open", &error))?;
        start(path.clone(), device, &self.wanted)
    }
}

/// Capture nodes that can be opened, by number.
fn present() -> Vec<(PathBuf, Identity)> {
    let identity = |path: PathBuf| {
        let identity = Device::open(&path).and_then(|device| device.identity()).ok()??;
        Some((path, identity))
    };
    nodes().into_iter().filter_map(identity).collect()
}

/// The node of the camera `own`: one with its name, at its port, or at a port where none of its model was before.
fn choose<'a>(
    own: &Identity,
    path: &PathBuf,
    others: &[String],
    present: &[(&'a PathBuf, &Identity)],
) -> Option<&'a PathBuf> {
    let may_be_it =
        |(_, identity): &&(&PathBuf, &Identity)| identity.card == own.card && !others.contains(&identity.bus);
    let preference = |(node, identity): &&(&PathBuf, &Identity)| (identity.bus == own.bus, *node == path);
    // Of equal ones the first is taken: `max_by_key` takes the last.
    present.iter().rev().filter(may_be_it).max_by_key(preference).map(|(node, _)| *node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(others: &[&str], present: &[(&str, &str, &str)]) -> Option<String> {
        let own = Identity { card: "HD Webcam".to_owned(), bus: "usb-1".to_owned() };
        let others: Vec<String> = others.iter().map(|bus| (*bus).to_owned()).collect();
        let nodes: Vec<_> = present
            .iter()
            .map(|(path, card, bus)| {
                (PathBuf::from(path), Identity { card: (*card).to_owned(), bus: (*bus).to_owned() })
            })
            .collect();
        let nodes: Vec<_> = nodes.iter().map(|(path, identity)| (path, identity)).collect();
        choose(&own, &PathBuf::from("/dev/video0"), &others, &nodes).map(|path| path.display().to_string())
    }

    #[test]
    fn it_comes_back_under_another_number_or_at_another_port() {
        assert_eq!(found(&[], &[]), None);
        assert_eq!(found(&[], &[("/dev/video2", "HD Webcam", "usb-1")]).unwrap(), "/dev/video2");
        assert_eq!(found(&[], &[("/dev/video1", "HD Webcam", "usb-7")]).unwrap(), "/dev/video1");
        let both = [("/dev/video0", "HD Webcam", "usb-7"), ("/dev/video4", "HD Webcam", "usb-1")];
        assert_eq!(found(&[], &both).unwrap(), "/dev/video4", "its own port goes before its number");
        let twice = [("/dev/video0", "HD Webcam", "usb-1"), ("/dev/video2", "HD Webcam", "usb-1")];
        assert_eq!(found(&[], &twice).unwrap(), "/dev/video0", "its own number where a camera has two nodes");
    }

    #[test]
    fn no_other_camera_is_taken_for_it() {
        assert_eq!(found(&[], &[("/dev/video0", "Other Webcam", "usb-1")]), None);
        // A second one of the same model, which was there all the time.
        assert_eq!(found(&["usb-2"], &[("/dev/video1", "HD Webcam", "usb-2")]), None);
        let came = [("/dev/video1", "HD Webcam", "usb-2"), ("/dev/video2", "HD Webcam", "usb-3")];
        assert_eq!(found(&["usb-2"], &came).unwrap(), "/dev/video2");
    }
}
