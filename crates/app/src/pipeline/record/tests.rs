//! A recording through the trait of outputs, with real files and its real thread.

use std::path::PathBuf;
use std::time::Duration;

use hevcast_media::coded_file::CodedFile;
use hevcast_media::mux::{Form, MakeFile, RecordError};
use hevcast_net::publish::PublishEvent;
use hevcast_wire::CodedFrame;
use hevcast_wire::time::RtpTicks;
use jiff::Timestamp;

use super::files::create_numbered;
use super::sum_tests::streams;
use super::*;
use crate::figures::recorded::MissingCause;
use crate::pipeline::outputs::output::{Close, Output, OutputError};

/// A keyframe and the pictures behind it.
fn frames(count: u32) -> impl Iterator<Item = CodedFrame> {
    (0..count).map(|n| {
        let frame = streams()[0][usize::from(n > 0)].clone();
        CodedFrame { timestamp: RtpTicks(n * 3000), ..frame }
    })
}

/// As a stage does that knows nothing of what kind of output it has.
async fn offer_all(output: &mut impl Output, count: u32) -> Result<(), OutputError> {
    for frame in frames(count) {
        output.offer(frame)?;
    }
    while !output.is_drained() {
        assert_eq!(output.event().await?, PublishEvent::Sent);
    }
    Ok(())
}

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("hevcast-recording-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Files in a folder that may not be there.
struct In(PathBuf);

impl FileNames for In {
    fn form(&self) -> Form {
        Form::Mp4
    }

    fn maker(&self, _: Timestamp) -> MakeFile {
        let base = self.0.join("x.mp4");
        Box::new(move || match base.parent().is_some_and(|folder| folder.exists()) {
            true => create_numbered(&base, 1).map(|(path, _)| path),
            false => Err(RecordError { path: base.clone(), why: "no disk".to_owned() }),
        })
    }
}

#[tokio::test]
async fn a_recording_takes_frames_as_any_output_does() {
    let folder = scratch("output");
    let (mut output, counters) = (RecordOutput::default(), Arc::new(RecordCounters::default()));
    offer_all(&mut output, 3).await.unwrap();
    assert_eq!((counters.read().came, output.sent_bytes()), (0, 0), "nobody records");
    let path = folder.join("x.mp4");
    let recorder = Recorder::start(&output, path.clone(), Arc::clone(&counters)).unwrap();
    assert_eq!(output.event().await.unwrap(), PublishEvent::KeyframeRequested);
    offer_all(&mut output, 10).await.unwrap();
    assert_eq!((counters.read().recorded, output.sent_bytes()), (10, counters.read().bytes));
    output.clone().close(Close::AfterLastFrame).await;
    assert!(!output.is_recording());
    assert_eq!(recorder.stop().await, RecordState::Done { path: path.clone(), pictures: 10 });
    let mut file = CodedFile::open(&path).unwrap();
    assert_eq!(std::iter::from_fn(|| file.read().unwrap()).count(), 10);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn after_a_failure_another_recording_goes_on_in_the_same_output() {
    let folder = scratch("again");
    let (mut output, counters) = (RecordOutput::default(), Arc::new(RecordCounters::default()));
    let budget = Arc::new(Budget::new(u64::MAX));
    let target = output.clone();
    let start =
        |folder: PathBuf| Recorder::start_files(&target, Box::new(In(folder)), Arc::clone(&counters), &budget).unwrap();
    let failed = start(folder.join("nowhere"));
    // A file fails when its first fragment is written, or at its end.
    let keyframe = &streams()[0][0];
    let failure = loop {
        output.offer(keyframe.clone()).unwrap();
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_millis(1), output.event()).await {
            break error;
        }
    };
    assert!(failure.is_temporary() && failure.to_string().contains("no disk"), "{failure}");
    output.offer(keyframe.clone()).unwrap();
    assert!(counters.read().missing_by(MissingCause::Failed) > 0, "what comes before the next try is missing");
    let recorder = start(folder.clone());
    drop(failed);
    assert!(output.is_recording(), "the end of the failed one is not the end of this one");
    let before = counters.read();
    offer_all(&mut output, 5).await.unwrap();
    assert!(matches!(recorder.stop().await, RecordState::Done { pictures: 5, .. }));
    let counts = counters.read();
    assert_eq!((counts.since(before).recorded, counts.came), (5, counts.recorded + counts.missing()));
    std::fs::remove_dir_all(folder).unwrap();
}
