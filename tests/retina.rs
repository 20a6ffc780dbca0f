//! `retina`, an independent RTSP client in Rust, reads from our server, with a login and without.

use std::time::Duration;

use futures_util::StreamExt;
use retina::client::{Credentials, PlayOptions, Session, SessionOptions, SetupOptions};
use retina::codec::{CodecItem, ParametersRef};

use crate::support::configured_server::{ConfiguredServer, Hashes, LISTEN, user};
use crate::support::hevcast::send_pattern;
use crate::support::{LIMIT, real_time_shared};

/// How many pictures must be read.
const PICTURES: usize = 20;

/// What was read of the stream.
struct Read {
    /// The width and height in the parameter sets.
    size: (u32, u32),
    /// How many random access pictures were read.
    keyframes: usize,
    /// How many RTP packets were missing.
    lost: u32,
}

/// Reads a stream until it has enough pictures.
async fn read(url: &str, login: Option<(&str, &str)>) -> Result<Read, retina::Error> {
    let creds = login.map(|(username, password)| Credentials { username: username.into(), password: password.into() });
    let options = SessionOptions::default().creds(creds);
    let mut session = Session::describe(url.parse().unwrap(), options).await?;
    let video = session.streams().iter().position(|s| s.media() == "video" && s.encoding_name() == "h265");
    let video = video.expect("no H.265 in the description");
    session.setup(video, SetupOptions::default()).await?;
    let mut session = session.play(PlayOptions::default()).await?.demuxed()?;
    let (mut pictures, mut keyframes, mut lost) = (0, 0, 0);
    while pictures < PICTURES {
        match session.next().await.expect("the stream is over")? {
            CodecItem::VideoFrame(picture) => {
                // The first access unit may be incomplete, since the stream is joined there; later ones must be
                // complete.
                assert!(!picture.data().is_empty());
                pictures += 1;
                keyframes += usize::from(picture.is_random_access_point());
                lost += u32::from(picture.loss());
            }
            CodecItem::Rtcp(_) => {}
            other => panic!("not expected in video: {other:?}"),
        }
    }
    let Some(ParametersRef::Video(parameters)) = session.streams()[video].parameters() else {
        panic!("no parameter sets in {PICTURES} pictures");
    };
    Ok(Read { size: parameters.pixel_dimensions(), keyframes, lost })
}

/// Runs the client in a runtime of its own, with a timeout.
fn try_to_read(url: &str, login: Option<(&str, &str)>) -> Result<Read, retina::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limited = async { tokio::time::timeout(LIMIT, read(url, login)).await.expect("no pictures") };
    let read = runtime.block_on(limited);
    runtime.shutdown_timeout(Duration::from_secs(1));
    read
}

fn assert_reads(case: &str, url: &str, login: Option<(&str, &str)>) {
    let read = try_to_read(url, login).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(read.size, (320, 240), "{case}");
    assert!(read.keyframes >= 1, "{case}: no picture to begin with");
    assert_eq!(read.lost, 0, "{case}");
}

#[test]
fn retina_reads_what_we_send_with_a_login_and_without() {
    let _real_time = real_time_shared();
    let peer = user("peer", "secret", Hashes::Ha1, &["*"], &["*"]);
    let server = ConfiguredServer::start(&format!("{LISTEN}anyone = {{ read = [\"open\"] }}\n{peer}"));
    let _senders = ["open", "closed"].map(|path| send_pattern(&server.url("peer:secret", path), &[]));
    let url = |path| server.url("", path);
    assert_reads("without a login", &url("open"), None);
    assert_reads("with a login that is not needed", &url("open"), Some(("peer", "secret")));
    assert_reads("by Digest", &url("closed"), Some(("peer", "secret")));
    for login in [None, Some(("peer", "guess"))] {
        let error = try_to_read(&url("closed"), login).err().expect("it must not come in").to_string();
        assert!(error.contains("401") || error.contains("Unauthorized") || error.contains("credentials"), "{error}");
    }
    // The address has sent wrong logins by now, and the right one is accepted all the same.
    assert_reads("by Digest, later", &url("closed"), Some(("peer", "secret")));
}
