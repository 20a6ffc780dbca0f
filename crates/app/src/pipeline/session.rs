//! A sender as people start one: the pipeline, and the server inside where no other is named.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use hevcast_media::capture::{self, Input, Wanted};
use hevcast_media::codec::{EncoderChoice, RateControl};
use hevcast_net::{Clock, Target};
use hevcast_server::Server;
use hevcast_wire::rtsp::path::{self, StreamPath};

use super::preview::Show;
use super::record::Recorder;
use super::relay::{self, RelaySettings};
use super::send::{self, SendSettings, Sending};
use crate::addresses::addresses;
use crate::login::LoginArgs;
use crate::{descriptors, units};

/// Viewers that a server inside should have room for.
const VIEWERS: usize = 256;

/// What a sender sends.
#[derive(Clone, Debug)]
pub enum SendInput {
    /// Pictures, which it codes.
    Pictures(Input),
    /// A stream, which it passes on.
    Stream(Box<Target>),
}

impl SendInput {
    /// The same, where a file starts over at its end.
    pub fn looped(self, looped: bool) -> SendInput {
        match self {
            SendInput::Pictures(Input::File { path, .. }) => SendInput::Pictures(Input::File { path, looped }),
            other => other,
        }
    }

    /// The same, with this login where a stream has none of its own.
    pub fn completed_by(self, login: &LoginArgs) -> SendInput {
        match self {
            SendInput::Stream(target) => SendInput::Stream(Box::new(login.complete(*target))),
            pictures => pictures,
        }
    }

    /// The stream, if it is one.
    pub fn stream(&self) -> Option<&Target> {
        match self {
            SendInput::Stream(target) => Some(target),
            SendInput::Pictures(_) => None,
        }
    }
}

impl FromStr for SendInput {
    type Err = String;

    fn from_str(text: &str) -> Result<SendInput, String> {
        if text.contains("://") {
            return units::target(text).map(|target| SendInput::Stream(Box::new(target)));
        }
        let named: Result<Input, _> = text.parse();
        named.map(SendInput::Pictures).map_err(|error| error.to_string())
    }
}

/// What to send, how, and to whom.
#[derive(Clone, Debug)]
pub struct SendPlan {
    /// Where pictures come from; `None`: the first camera, or the pattern where there is none.
    pub input: Option<SendInput>,
    /// Size and rate asked of it.
    pub wanted: Wanted,
    /// Which encoder.
    pub encoder: EncoderChoice,
    /// What stays constant.
    pub rate: RateControl,
    /// The encoder's speed preset, if not our own choice.
    pub preset: Option<String>,
    /// Time between keyframes nobody asked for; `None`: as rare as the server allows.
    pub keyframe_interval: Option<Duration>,
    /// To whom.
    pub destination: Destination,
    /// Where it is recorded, too.
    pub record: Option<PathBuf>,
}

/// Where a sender publishes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// At servers that are there, one or more.
    Servers(Vec<Target>),
    /// At one inside, which listens here and has the stream at this path.
    Inside {
        /// Address and port.
        listen: SocketAddr,
        /// Path of the stream.
        path: String,
    },
}

/// A running sender, with its server if that is inside.
#[derive(Debug)]
pub struct SendSession {
    /// The pipeline.
    pub sending: Sending,
    /// Where it publishes, without passwords.
    pub urls: Vec<String>,
    /// Where to watch it, best first; empty where the server is another's.
    pub watch_at: Vec<String>,
    /// The recording that was asked for, if nobody has taken it.
    pub recorder: Option<Recorder>,
    server: Option<Server>,
}

impl SendSession {
    /// Starts the server, if it is to be inside, and the pipeline; `show` gets the picture as pushed.
    ///
    /// # Errors
    /// The first thing that cannot be had, in one line.
    pub async fn start(plan: SendPlan, show: Option<Show>, clock: Clock) -> Result<SendSession> {
        let (server, targets) = match plan.destination.clone() {
            Destination::Servers(targets) => (None, targets),
            Destination::Inside { listen, path } => {
                descriptors::raise_limit(VIEWERS);
                let server = Server::bind(listen, clock).await?;
                let target = local_target(server.address(), &path)?;
                (Some(server), vec![target])
            }
        };
        let urls = targets.iter().map(Target::shown).collect();
        let watch_at = server.iter().zip(&targets).flat_map(|(server, target)| {
            addresses(server.address()).into_iter().map(|address| watch_url(target, address))
        });
        let watch_at = watch_at.collect();
        let started = async {
            let record = plan.record.clone();
            let sending = match plan.input.clone() {
                Some(SendInput::Stream(origin)) => {
                    relay::start(RelaySettings { origin: *origin, targets }, show, clock).await?
                }
                Some(SendInput::Pictures(input)) => send::start(settings(plan, input, targets), show, clock).await?,
                None => {
                    let input = tokio::task::spawn_blocking(default_input).await?;
                    send::start(settings(plan, input, targets), show, clock).await?
                }
            };
            let recorder = record.map(|path| sending.record(path)).transpose()?;
            anyhow::Ok((sending, recorder))
        };
        match started.await {
            Ok((sending, recorder)) => Ok(SendSession { sending, urls, watch_at, recorder, server }),
            Err(error) => {
                // The port must be free for another try.
                if let Some(server) = server {
                    server.stop().await;
                }
                Err(error)
            }
        }
    }

    /// Ends the pipeline, the recording, then the server.
    ///
    /// # Errors
    /// What made a stage end by itself, such as a camera that was unplugged, or the recording.
    pub async fn stop(self) -> Result<()> {
        let result = self.sending.stop().await;
        let recorded = match self.recorder {
            Some(recorder) => recorder.stop_and_report().await,
            None => Ok(()),
        };
        if let Some(server) = self.server {
            server.stop().await;
        }
        result.and(recorded)
    }
}

/// The first camera, or the pattern where there is none. Looking for cameras may take a moment.
fn default_input() -> Input {
    if capture::cameras().is_empty() { Input::Pattern } else { Input::Camera(None) }
}

/// The pipeline's settings.
fn settings(plan: SendPlan, input: Input, targets: Vec<Target>) -> SendSettings {
    SendSettings {
        input,
        wanted: plan.wanted,
        encoder: plan.encoder,
        rate: plan.rate,
        preset: plan.preset,
        keyframe_interval: plan.keyframe_interval,
        targets,
    }
}

/// The URL by which this process reaches its own server.
fn local_target(address: SocketAddr, path: &str) -> Result<Target> {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    let path = StreamPath::parse(path).with_context(|| format!("--path {path:?} names no stream"))?;
    Ok(Target::parse(&format!("rtsp://{}/{}", SocketAddr::new(ip, address.port()), path::encoded(&path)))?)
}

/// The URL by which others reach what is published to a server of ours.
fn watch_url(target: &Target, address: SocketAddr) -> String {
    let mut url = target.url.clone();
    // Both fail only for URLs that have no host.
    let _ = (url.set_ip_host(address.ip()), url.set_port(Some(address.port())));
    path::shown(&url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_letters_is_published_and_shown() {
        let listening: SocketAddr = "0.0.0.0:1".parse().unwrap();
        for (path, url, shown) in [
            ("/live/", "rtsp://127.0.0.1:1/live", "rtsp://[::1]:2/live"),
            ("客厅", "rtsp://127.0.0.1:1/%E5%AE%A2%E5%8E%85", "rtsp://[::1]:2/客厅"),
            ("%e5%ae%a2厅", "rtsp://127.0.0.1:1/%E5%AE%A2%E5%8E%85", "rtsp://[::1]:2/客厅"),
            ("live cam?#1", "rtsp://127.0.0.1:1/live%20cam%3F%231", "rtsp://[::1]:2/live%20cam%3F%231"),
        ] {
            let target = local_target(listening, path).unwrap();
            assert_eq!(target.url.as_str(), url);
            assert_eq!(watch_url(&target, "[::1]:2".parse().unwrap()), shown);
        }
        for path in ["", "/", "%FF", "a\nb", "a/../b"] {
            let error = format!("{:#}", local_target(listening, path).unwrap_err());
            assert!(error.starts_with("--path ") && !error.contains('\n'), "{error}");
        }
    }
}
