//! A camera that is none, behind Media Foundation's own source reader: only on Windows.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use windows::Win32::Media::MediaFoundation::{
    MEEndOfStream, MF_E_VIDEO_RECORDING_DEVICE_INVALIDATED, MFVideoFormat_MJPG, MFVideoFormat_NV12, MFVideoFormat_RGB24,
};
use windows_core::HRESULT;

use super::super::{CaptureError, Source, StampSource, Wanted};
use super::camera::Camera;
use super::device::{Device, present};
use super::fake::{Control, Offer, camera, fail, rows_sample, sample};
use super::finding::Present;
use super::reception::Reception;
use crate::stop::Stop;

const SIZE: (u32, u32) = (64, 48);
const AGE: Option<Duration> = Some(Duration::from_millis(20));

fn offers() -> [Offer; 3] {
    [MFVideoFormat_MJPG, MFVideoFormat_NV12, MFVideoFormat_RGB24].map(|subtype| Offer { subtype, size: SIZE, fps: 30 })
}

fn own() -> Present {
    Present { name: "假摄像头".to_owned(), link: r"\\?\none".to_owned() }
}

/// A running camera, and what it is of.
struct Running {
    camera: Camera,
    control: Arc<Control>,
    reception: Weak<Reception>,
}

/// Starts a camera; its first picture is of this age.
fn start(offers: &[Offer], age: Option<Duration>) -> Running {
    let (source, control) = camera(offers);
    let reception = Reception::new();
    let device = Device::of(source, &reception.callback()).unwrap();
    let weak = Arc::downgrade(&reception);
    let camera = std::thread::scope(|scope| {
        scope.spawn(|| assert!(control.give(&rows_sample(SIZE, |row, _| row as u8, age))));
        Camera::run(&own(), &Wanted::default(), None, reception, device).unwrap()
    });
    Running { camera, control, reception: weak }
}

#[test]
fn the_newest_picture_comes_with_the_drivers_time() {
    let Running { mut camera, control, .. } = start(&offers(), AGE);
    assert_eq!(camera.info().description, "假摄像头 NV12 64x48 at 30 fps");
    assert_eq!(camera.info().stamps, StampSource::Driver);
    for picture in 1..=3 {
        assert!(control.give(&rows_sample(SIZE, |row, column| (row * 2 + column + picture) as u8, AGE)));
    }
    // Until the last one has gone through the reader's thread.
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    let captured = camera.next(&Stop::new()).unwrap().unwrap();
    let age = begun - captured.at;
    assert!((Duration::from_millis(110)..Duration::from_millis(500)).contains(&age), "{age:?}");
    assert!(captured.times.queue >= age);
    assert_eq!(captured.lost.drained, 3);
    let (luma, stride) = captured.picture.plane(0);
    assert_eq!((luma[0], luma[1], luma[stride], luma[stride * 40 + 10]), (3, 4, 5, 93));
}

#[test]
fn a_camera_without_stamps_is_stamped_on_arrival() {
    let Running { mut camera, .. } = start(&offers()[..2], None);
    assert_eq!(camera.info().stamps, StampSource::Receipt);
    let captured = camera.next(&Stop::new()).unwrap().unwrap();
    assert!(captured.at.elapsed() < Duration::from_secs(3));
    assert_eq!(captured.times.queue, Duration::ZERO);
}

#[test]
fn rows_from_the_bottom_up_are_turned() {
    let Running { mut camera, control, .. } = start(&offers()[2..], AGE);
    let bytes: Vec<u8> = (0..48_u8).rev().flat_map(|row| vec![row * 5; 64 * 3]).collect();
    assert!(control.give(&sample(&bytes, AGE)));
    let captured = camera.next(&Stop::new()).unwrap().unwrap();
    let (luma, stride) = captured.picture.plane(0);
    assert!(luma[0] < 20 && luma[stride * 47] > 200, "{} {}", luma[0], luma[stride * 47]);
}

#[test]
fn damaged_and_missing_pictures_are_counted() {
    let Running { mut camera, control, .. } = start(&offers(), AGE);
    let stop = Stop::new();
    assert!(camera.next(&stop).unwrap().is_some());
    assert!(control.give(&sample(&[1; 100], AGE)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            assert!(control.tick());
            std::thread::sleep(Duration::from_millis(100));
            assert!(control.give(&rows_sample(SIZE, |_, _| 7, AGE)));
        });
        let captured = camera.next(&stop).unwrap().unwrap();
        assert_eq!((captured.lost.damaged, captured.lost.driver), (1, 1));
        assert_eq!(captured.picture.plane(0).0[0], 7);
    });
}

#[test]
fn a_stop_ends_the_wait_and_the_end_closes_everything() {
    let Running { mut camera, control, reception } = start(&offers(), AGE);
    let stop = Stop::new();
    assert!(camera.next(&stop).unwrap().is_some());
    std::thread::scope(|scope| {
        let stopped = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            stop.stop();
            Instant::now()
        });
        assert!(camera.next(&stop).unwrap().is_none());
        let late = stopped.join().unwrap().elapsed();
        assert!(late < Duration::from_millis(100), "{late:?}");
    });
    // Used on another thread than the one that opened it, and dropped there.
    std::thread::spawn(move || drop(camera)).join().unwrap();
    assert!(control.is_shut_down.load(Ordering::Acquire));
    let deadline = Instant::now() + Duration::from_secs(2);
    while reception.upgrade().is_some() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(reception.upgrade().is_none(), "reader and callback refer to each other still");
}

#[test]
fn a_camera_that_is_unplugged_has_gone() {
    let Running { mut camera, reception, .. } = start(&offers(), AGE);
    let stop = Stop::new();
    assert!(camera.next(&stop).unwrap().is_some());
    fail(&reception.upgrade().unwrap().callback(), MF_E_VIDEO_RECORDING_DEVICE_INVALIDATED);
    let error = camera.next(&stop).unwrap_err();
    assert!(matches!(error, CaptureError::Gone(_)), "{error}");
    assert!(camera.reopener().unwrap().reopen().is_err());
    let Running { mut camera, control, .. } = start(&offers(), AGE);
    assert!(control.tell(MEEndOfStream, HRESULT(0), None));
    let error = std::iter::from_fn(|| Some(camera.next(&stop))).find_map(Result::err).unwrap();
    assert!(matches!(error, CaptureError::Gone(_)), "{error}");
}

#[test]
fn the_list_of_cameras_can_be_had_on_any_thread() {
    for _ in 0..3 {
        std::thread::spawn(|| present().unwrap()).join().unwrap();
    }
    assert!(super::cameras().len() <= present().unwrap().len());
    assert!(super::open(Some("no such camera"), &Wanted::default()).is_err());
}
