//! A sender as a user starts it: the pipeline, and the built-in server if no other server is named.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result};
use hevcast_media::capture::{self, Input, Wanted};
use hevcast_media::codec::EncoderOptions;
use hevcast_net::{Clock, Target};
use hevcast_server::Server;
use hevcast_wire::rtsp::path::{self, StreamPath};

use super::preview::Show;
use super::record::Recorder;
use super::relay::{self, RelaySettings};
use super::send::{self, SendSettings, Sending};
use crate::addresses::addresses;
use crate::descriptors;
use crate::firewall;
use crate::login::LoginArgs;

/// Connections for which the built-in server raises the limit of open files.
const BUILT_IN_CONNECTIONS: usize = 256;

/// What a sender sends.
#[derive(Clone, Debug)]
pub enum SendInput {
    /// Pictures, which it encodes.
    Pictures(Input),
    /// A stream, which it relays without encoding it again.
    Stream(Box<Target>),
}

impl SendInput {
    /// The same; a file starts over at its end if `looped`.
    pub fn looped(self, looped: bool) -> SendInput {
        match self {
            SendInput::Pictures(Input::File { path, .. }) => SendInput::Pictures(Input::File { path, looped }),
            other => other,
        }
    }

    /// The same, with this login for a stream that has none of its own.
    pub fn completed_by(self, login: &LoginArgs) -> SendInput {
        match self {
            SendInput::Stream(target) => SendInput::Stream(Box::new(login.complete(*target))),
            pictures => pictures,
        }
    }

    /// The stream; `None` for pictures.
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
            let target = Target::parse(text).map_err(|error| error.to_string())?;
            return Ok(SendInput::Stream(Box::new(target)));
        }
        let named: Result<Input, _> = text.parse();
        named.map(SendInput::Pictures).map_err(|error| error.to_string())
    }
}

/// What to send, how and where to.
#[derive(Clone, Debug)]
pub struct SendPlan {
    /// Where pictures come from; `None`: the first camera, or the test pattern if there is none.
    pub input: Option<SendInput>,
    /// Size and frame rate that the source is asked for.
    pub wanted: Wanted,
    /// The encoder and what it is asked for.
    pub encoder: EncoderOptions,
    /// Where it is published.
    pub destination: Destination,
    /// The file to record to, if it is to be recorded.
    pub record: Option<PathBuf>,
}

/// Where a sender publishes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// At one or more servers.
    Servers(Vec<Target>),
    /// At the built-in server.
    BuiltIn {
        /// Address and port that it listens on.
        listen: SocketAddr,
        /// Path of the stream.
        path: String,
    },
}

/// A running sender, with the built-in server if there is one.
#[derive(Debug)]
pub struct SendSession {
    /// The pipeline.
    pub sending: Sending,
    /// Where it publishes, without passwords.
    pub urls: Vec<String>,
    /// Where to watch it, best first; empty without the built-in server.
    pub watch_at: Vec<String>,
    /// Whether a firewall on this computer keeps other computers from the built-in server.
    pub is_walled_off: bool,
    /// The recording that the plan asks for, until it is taken.
    pub recorder: Option<Recorder>,
    server: Option<Server>,
}

impl SendSession {
    /// Starts the built-in server, if the plan asks for it, and the pipeline; `show` gets the pictures as they are sent.
    ///
    /// # Errors
    /// The first part that cannot be started, and why, in one line.
    pub async fn start(plan: SendPlan, show: Option<Show>, clock: Clock) -> Result<SendSession> {
        let (server, targets) = match plan.destination.clone() {
            Destination::Servers(targets) => (None, targets),
            Destination::BuiltIn { listen, path } => {
                descriptors::raise_limit(BUILT_IN_CONNECTIONS);
                let server = Server::bind(listen, clock).await?;
                let target = local_target(server.address(), &path)?;
                (Some(server), vec![target])
            }
        };
        let is_walled_off = match &server {
            Some(server) => firewall::keeps_out(server.address()).await,
            None => false,
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
            Ok((sending, recorder)) => Ok(SendSession { sending, urls, watch_at, is_walled_off, recorder, server }),
            Err(error) => {
                // Frees the port for another start.
                if let Some(server) = server {
                    server.stop().await;
                }
                Err(error)
            }
        }
    }

    /// Stops the pipeline, the recording, then the server.
    ///
    /// # Errors
    /// Why a stage or the recording had ended by itself.
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

/// The first camera, or the test pattern if there is none. Blocks: listing the cameras may take a moment.
fn default_input() -> Input {
    if capture::cameras().is_empty() { Input::Pattern } else { Input::Camera(None) }
}

/// The settings of a pipeline that encodes.
fn settings(plan: SendPlan, input: Input, targets: Vec<Target>) -> SendSettings {
    SendSettings { input, wanted: plan.wanted, encoder: plan.encoder, targets }
}

/// The URL by which this process reaches its built-in server.
fn local_target(address: SocketAddr, path: &str) -> Result<Target> {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    let path = StreamPath::parse(path).with_context(|| format!("--path {path:?} names no stream"))?;
    Ok(Target::parse(&format!("rtsp://{}/{}", SocketAddr::new(ip, address.port()), path::encoded(&path)))?)
}

/// The URL by which others reach a stream at the built-in server.
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
