//! The HTTP server as its clients see it: over HTTPS, with a replaced certificate, and from foreign pages.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use hevcast_net::Clock;
use hevcast_net::tls::{self, Fingerprint};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Server;
use crate::access::certificate::{OWN_CERTIFICATE, OWN_KEY};
use crate::config::Config;

/// A temporary folder that is deleted when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("hevcast-page-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const BASE: &str = "listen = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n";

fn config(http: &str) -> Config {
    Config::parse(&format!("{BASE}{http}"), "test").unwrap()
}

async fn start(config: Config, folder: &Folder) -> (Server, SocketAddr) {
    let server = Server::start(config, &folder.0, None, Clock::default()).await.unwrap();
    let address = server.http().unwrap();
    (server, address)
}

/// Sends a request's header, and returns everything received until the connection is closed.
async fn send_request(address: SocketAddr, header: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{header}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// The same over TLS, where only the certificate with this fingerprint is trusted.
async fn send_request_over_tls(address: SocketAddr, pin: Fingerprint) -> std::io::Result<String> {
    let connector = TlsConnector::from(tls::client_config(Some(pin)).unwrap().0);
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn https_has_the_certificate_of_rtsps_and_another_when_it_is_read_again() {
    let folder = Folder::new();
    let secure = "tls = true\n[rtsps]\nlisten = \"127.0.0.1:0\"\n";
    let (server, address) = start(config(secure), &folder).await;
    let (_, before) = server.rtsps().unwrap();
    assert!(send_request_over_tls(address, before).await.unwrap().ends_with("ok\n"));
    // A request without TLS gets no response there.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    assert!(!String::from_utf8_lossy(&said).contains("ok\n"));

    for file in [OWN_CERTIFICATE, OWN_KEY] {
        std::fs::remove_file(folder.0.join(file)).unwrap();
    }
    assert!(server.reload(config(secure)).unwrap().is_empty(), "no restart is needed for that");
    let after = server.fingerprint().unwrap();
    assert!(before != after);
    assert!(send_request_over_tls(address, after).await.unwrap().ends_with("ok\n"));
    assert!(send_request_over_tls(address, before).await.is_err());

    // A certificate that cannot be read does not replace the one before.
    std::fs::write(folder.0.join(OWN_CERTIFICATE), "no certificate").unwrap();
    server.reload(config(secure)).unwrap();
    assert!(send_request_over_tls(address, after).await.unwrap().ends_with("ok\n"));
    server.stop().await;
}

#[tokio::test]
async fn https_needs_no_rtsps() {
    let folder = Folder::new();
    let (server, address) = start(config("tls = true\n"), &folder).await;
    assert!(send_request_over_tls(address, server.fingerprint().unwrap()).await.unwrap().ends_with("ok\n"));
    assert!(server.rtsps().is_none() && folder.0.join(OWN_CERTIFICATE).exists());
    server.stop().await;
}

#[tokio::test]
async fn a_foreign_page_neither_reads_nor_changes_anything() {
    let folder = Folder::new();
    let (server, address) = start(config("names = [\"cam.example\"]\n"), &folder).await;
    let reader = TcpStream::connect(server.address()).await.unwrap();
    let id = loop {
        if let Some(session) = server.state().sessions.all().first() {
            break session.id;
        }
        tokio::task::yield_now().await;
    };
    let delete = format!("DELETE /api/v1/sessions/{id} HTTP/1.1\r\nHost: {address}\r\n");
    for (header, status) in [
        (format!("{delete}Origin: http://evil.example\r\n"), "403"),
        (format!("{delete}Origin: null\r\n"), "403"),
        (format!("{delete}Sec-Fetch-Site: cross-site\r\n"), "403"),
        (format!("GET /api/v1/status HTTP/1.1\r\nHost: evil.example:{}\r\n", address.port()), "403"),
        ("GET / HTTP/1.1\r\nHost: cam.example\r\n".to_owned(), "200"),
        ("GET /healthz HTTP/1.1\r\nHost: evil.example\r\n".to_owned(), "200"),
        (format!("{delete}Origin: http://{address}\r\nSec-Fetch-Site: same-origin\r\n"), "204"),
    ] {
        let answer = send_request(address, &header).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{header} brought {answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control-"), "{answer}");
    }
    drop(reader);
    server.stop().await;
}

#[tokio::test]
async fn requests_of_a_connection_are_limited() {
    let folder = Folder::new();
    let text = format!("{BASE}[limits]\nrequests_per_second = 5\n");
    let (server, address) = start(Config::parse(&text, "test").unwrap(), &folder).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..100 {
        if stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.is_err() {
            break;
        }
    }
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(said.matches("HTTP/1.1 200").count() >= 10 && said.matches("HTTP/1.1 429").count() == 1, "{said}");
    assert!(send_request(address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n").await.starts_with("HTTP/1.1 200"));
    server.stop().await;
}
