//! A server that listens on `[::]` is reached by addresses of both families.

use crate::support::hevcast::{Server, expect_figures, send_pattern, start};
use crate::support::{real_time_shared, say};

#[test]
fn all_addresses_are_those_of_both_families() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return say("skipped: a server on [::]: this computer has no IPv6");
    }
    let _real_time = real_time_shared();
    let server = Server::started(start(&["serve", "--listen", "[::]:0", "-v"]));
    let _sender = send_pattern(&server.url("live"), &[]);
    for host in ["127.0.0.1", "[::1]"] {
        let url = format!("rtsp://{host}:{}/live", server.port);
        let mut receiver = start(&["receive", &url, "--once", "--stats", "json"]);
        expect_figures(&mut receiver, "pictures", |f| f["pictures"]["shown"].as_u64() > Some(0));
        receiver.interrupt().0.succeeded();
    }
}
