//! A small RTMP server for the tests, made with `rml_rtmp`, which is independent of this crate. It passes what one
//! connection publishes to all that play. It refuses a key named `taken`, and the application `locked` requires Adobe
//! authentication.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hevcast_wire::rtmp::adobe_auth::AdobeChallenge;
use hevcast_wire::rtsp::auth::Credentials;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ServerSession, ServerSessionConfig, ServerSessionEvent as Event, ServerSessionResult as Outcome, StreamMetadata,
};
use rml_rtmp::time::RtmpTimestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_rustls::TlsAcceptor;

use crate::tls::Fingerprint;

/// A video message: its time stamp in ms, and its body.
type Video = (u32, Bytes);

/// A running server, and what the tests need of it.
pub(super) struct Relay {
    /// The address and port on which it listens.
    pub address: SocketAddr,
    /// The metadata that publishers have sent.
    pub metadata: Receiver<StreamMetadata>,
}

impl Relay {
    /// Starts a server that ends with the test's runtime.
    pub(super) async fn start() -> Relay {
        Relay::start_behind(None).await
    }

    /// Starts a server under TLS; also returns the fingerprint of its certificate.
    pub(super) async fn start_secure() -> (Relay, Fingerprint) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let pin = Fingerprint::of(&certificate);
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        (Relay::start_behind(Some(TlsAcceptor::from(Arc::new(config)))).await, pin)
    }

    async fn start_behind(tls: Option<TlsAcceptor>) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (videos, _) = broadcast::channel(4096);
        let (described, metadata) = broadcast::channel(16);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (videos, described) = (videos.clone(), described.clone());
                match &tls {
                    None => drop(tokio::spawn(serve(socket, videos, described))),
                    Some(tls) => {
                        let handshake = tls.accept(socket);
                        tokio::spawn(async move { serve(handshake.await.unwrap(), videos, described).await });
                    }
                }
            }
        });
        Relay { address, metadata }
    }
}

async fn serve<S>(mut socket: S, videos: Sender<Video>, described: Sender<StreamMetadata>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut handshake = Handshake::new(PeerType::Server);
    let mut buffer = vec![0; 64 * 1024];
    let rest = loop {
        let read = socket.read(&mut buffer).await.unwrap();
        if read == 0 {
            return;
        }
        match handshake.process_bytes(&buffer[..read]).unwrap() {
            HandshakeProcessResult::InProgress { response_bytes } => {
                socket.write_all(&response_bytes).await.unwrap();
                socket.flush().await.unwrap();
            }
            HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                socket.write_all(&response_bytes).await.unwrap();
                break remaining_bytes;
            }
        }
    };
    let (mut session, mut outcomes) = ServerSession::new(ServerSessionConfig::new()).unwrap();
    outcomes.extend(session.handle_input(&rest).unwrap());
    let mut playing: Option<(u32, Receiver<Video>)> = None;
    loop {
        let mut next = std::mem::take(&mut outcomes).into_iter();
        while let Some(outcome) = next.next() {
            match outcome {
                Outcome::OutboundResponse(packet) => {
                    socket.write_all(&packet.bytes).await.unwrap();
                    socket.flush().await.unwrap();
                }
                Outcome::RaisedEvent(event) => {
                    let answers = answer(&mut session, event, &videos, &described, &mut playing);
                    next = answers.into_iter().chain(next).collect::<Vec<_>>().into_iter();
                }
                Outcome::UnhandleableMessageReceived(_) => {}
            }
        }
        let received = async {
            match &mut playing {
                Some((stream, receiver)) => (*stream, receiver.recv().await.unwrap()),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = socket.read(&mut buffer) => match read {
                Ok(1..) => outcomes = session.handle_input(&buffer[..read.unwrap()]).unwrap(),
                _ => return,
            },
            (stream, (timestamp, data)) = received => {
                let packet = session.send_video_data(stream, data, RtmpTimestamp::new(timestamp), false).unwrap();
                socket.write_all(&packet.bytes).await.unwrap();
                socket.flush().await.unwrap();
            }
        }
    }
}

fn answer(
    session: &mut ServerSession,
    event: Event,
    videos: &Sender<Video>,
    described: &Sender<StreamMetadata>,
    playing: &mut Option<(u32, Receiver<Video>)>,
) -> Vec<Outcome> {
    match event {
        Event::ConnectionRequested { request_id, app_name } if app_name.starts_with("locked") => {
            match login(app_name.trim_start_matches("locked")) {
                None => session.accept_request(request_id).unwrap(),
                Some(reason) => session.reject_request(request_id, "NetConnection.Connect.Rejected", reason).unwrap(),
            }
        }
        Event::PublishStreamRequested { request_id, stream_key, .. } if stream_key.starts_with("taken") => {
            session.reject_request(request_id, "NetStream.Publish.BadName", "Somebody is here").unwrap()
        }
        Event::PlayStreamRequested { request_id, stream_id, .. } => {
            *playing = Some((stream_id, videos.subscribe()));
            session.accept_request(request_id).unwrap()
        }
        Event::ConnectionRequested { request_id, .. }
        | Event::ReleaseStreamRequested { request_id, .. }
        | Event::PublishStreamRequested { request_id, .. } => session.accept_request(request_id).unwrap(),
        Event::VideoDataReceived { timestamp, data, .. } => {
            // The send fails when no connection plays.
            let _ = videos.send((timestamp.value, data));
            Vec::new()
        }
        Event::StreamMetadataChanged { metadata, .. } => {
            let _ = described.send(metadata);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// The reason with which a client is refused that sends this login, until it proves that it knows the password.
fn login(sent: &str) -> Option<&'static str> {
    const CHALLENGE: &str = "[ authmod=adobe ] : ?reason=needauth&user=cam&salt=s4lt&challenge=ch&opaque=0p";
    if sent.is_empty() {
        return Some("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ");
    }
    let field = |name: &str| sent.split('&').find_map(|pair| pair.strip_prefix(name));
    let Some(nonce) = field("challenge=") else { return Some(CHALLENGE) };
    let nonce = u32::from_str_radix(nonce, 16).unwrap();
    let known = Credentials { user: "cam".to_owned(), password: "secret".into() };
    let right = AdobeChallenge::of(CHALLENGE).unwrap().answer(&known, nonce);
    (sent != right).then_some("[ authmod=adobe ] : ?reason=authfailed&opaque=0p")
}
