//! Runs nginx with its RTMP module in a folder of its own, and finds an FFmpeg that supports Enhanced RTMP.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::{Scratch, free_port, is_there, root, runs};

/// The path of the module in Debian.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

/// The configuration in docs/interop.md, which passes H.265 on. Its applications differ for readers of a stream that
/// nobody publishes: `live` closes their connections, `waiting` lets them wait.
const CONFIGURATION: &str = "
load_module MODULE;
daemon off;
master_process off;
error_log stderr notice;
pid nginx.pid;
events { worker_connections 64; }
rtmp {
    access_log off;
    max_message 16M;
    server {
        listen 127.0.0.1:PORT;
        application live { live on; wait_key off; idle_streams off; }
        application waiting { live on; wait_key off; }
        application default { live on; }
    }
}
";

/// A running nginx. Dropping it ends the process.
pub struct Nginx {
    port: u16,
    program: &'static str,
    /// The process; `None` after it was killed.
    process: Option<Process>,
    folder: Scratch,
}

impl Nginx {
    /// Starts nginx; `None` where it is absent, and then prints what is skipped.
    pub fn start(scenario: &str) -> Option<Nginx> {
        // The folder of the program may not be in the user's PATH.
        let program = ["nginx", "/usr/sbin/nginx"].into_iter().find(|program| starts(program));
        let found = program.is_some() && Path::new(MODULE).exists();
        if !is_there(found, "nginx with its RTMP module", scenario) {
            return None;
        }
        let folder = Scratch::new();
        let port = free_port();
        let text = CONFIGURATION.replace("MODULE", MODULE).replace("PORT", &port.to_string());
        std::fs::write(folder.file("nginx.conf"), text).unwrap();
        let mut nginx = Nginx { port, program: program?, process: None, folder };
        nginx.run();
        Some(nginx)
    }

    /// Starts nginx again on the same port.
    pub fn run(&mut self) {
        let file = self.folder.file("nginx.conf");
        let mut command = Command::new(self.program);
        command.arg("-p").arg(file.parent().unwrap()).arg("-c").arg(&file);
        let mut process = Process::start("nginx", &mut command);
        // Printed when the sockets are open. A test connection would prove nothing, since a socket can connect to
        // itself on such a port.
        process.stderr.expect("nginx to listen", |line| line.contains("getrlimit"));
        self.process = Some(process);
    }

    /// Kills nginx, like a crash.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// The RTMP URL of a stream of this application.
    pub fn url(&self, app: &str, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{app}/{stream}", self.port)
    }
}

/// The FFmpeg that scripts/fetch-ffmpeg has downloaded; `None` where it is absent, and then prints what is skipped.
pub fn new_ffmpeg(scenario: &str) -> Option<PathBuf> {
    let program = root().join("target/peers/ffmpeg");
    let found = program.to_str().is_some_and(runs);
    is_there(found, "a new FFmpeg (scripts/fetch-ffmpeg)", scenario).then_some(program)
}

fn starts(nginx: &str) -> bool {
    Command::new(nginx).arg("-v").output().is_ok()
}
