//! nginx with its RTMP module, in a folder of its own, and the new FFmpeg that speaks Enhanced RTMP.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::{Scratch, free_port, is_there, root, runs};

/// Where Debian puts the module.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

/// The configuration of docs/interop.md, which lets H.265 through, and how readers before and after a stream are met:
/// `live` sends them away, `patient` lets them wait.
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
        application patient { live on; wait_key off; }
        application default { live on; }
    }
}
";

/// A running nginx. Dropping it ends it.
pub struct Nginx {
    port: u16,
    program: &'static str,
    /// None while it is dead.
    process: Option<Process>,
    folder: Scratch,
}

impl Nginx {
    /// Starts one, or says what is skipped.
    pub fn start(scenario: &str) -> Option<Nginx> {
        // Outside of the path of many users.
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

    /// Starts it again, where it was.
    pub fn run(&mut self) {
        let file = self.folder.file("nginx.conf");
        let mut command = Command::new(self.program);
        command.arg("-p").arg(file.parent().unwrap()).arg("-c").arg(&file);
        let mut process = Process::start("nginx", &mut command);
        // Said when its sockets are open. Connecting to see would be no proof: a socket can meet itself on a port like this.
        process.stderr.expect("nginx to listen", |line| line.contains("getrlimit"));
        self.process = Some(process);
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// The URL of a stream.
    pub fn url(&self, app: &str, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{app}/{stream}", self.port)
    }
}

/// The new FFmpeg that scripts/fetch-ffmpeg has brought; says what is skipped where it is absent.
pub fn new_ffmpeg(scenario: &str) -> Option<PathBuf> {
    let program = root().join("target/peers/ffmpeg");
    let found = program.to_str().is_some_and(runs);
    is_there(found, "a new FFmpeg (scripts/fetch-ffmpeg)", scenario).then_some(program)
}

fn starts(nginx: &str) -> bool {
    Command::new(nginx).arg("-v").output().is_ok()
}
