//! nginx with its RTMP module, on a port of its own.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use super::process::Process;
use super::{LIMIT, Scratch, has_peer};

/// Where Debian keeps the module.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

/// A running nginx.
pub struct Nginx {
    process: Option<Process>,
    config: PathBuf,
    folder: Scratch,
    /// Where it speaks RTMP, on the loopback.
    pub port: u16,
}

impl Nginx {
    /// Starts one, or says what is skipped.
    pub fn start(scenario: &str) -> Option<Nginx> {
        let has_module = std::path::Path::new(MODULE).exists();
        if !has_module {
            assert!(std::env::var_os("HEVCAST_REQUIRE_PEERS").is_none(), "{scenario}: nginx's RTMP module is required");
            super::say(&format!("skipped: {scenario}: libnginx-mod-rtmp is not installed (make setup installs it)"));
            return None;
        }
        if !has_peer("nginx", scenario) {
            return None;
        }
        let folder = Scratch::new();
        let port = super::free_port();
        let config = folder.file("nginx.conf");
        let place = folder.file("");
        let place = place.display();
        // Its module knows a keyframe of AVC only: without `wait_key off` a viewer would wait for one for ever.
        let text = format!(
            "load_module {MODULE};\ndaemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/error.log;\n\
             events {{ worker_connections 64; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; wait_key off; }} }} }}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut nginx = Nginx { process: None, config, folder, port };
        nginx.run();
        Some(nginx)
    }

    /// Starts it, again, at the same port.
    pub fn run(&mut self) {
        let mut command = Command::new("nginx");
        command.arg("-p").arg(self.folder.file("")).arg("-c").arg(&self.config);
        command.arg("-e").arg(self.folder.file("error.log"));
        self.process = Some(Process::start("nginx", &mut command));
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let said = std::fs::read_to_string(self.folder.file("error.log")).unwrap_or_default();
            assert!(begun.elapsed() < LIMIT, "nginx does not listen; it said {said}");
            std::thread::yield_now();
        }
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// The URL of a stream on it.
    pub fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.port)
    }
}
