//! The resources of the Windows program: its icon, its version as the file's properties show it, and its manifest.

use std::env;

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/windows");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={folder}");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("windows") {
        return;
    }
    let mut resources = winresource::WindowsResource::new();
    resources
        .set_icon(&format!("{folder}/hevcast.ico"))
        .set_manifest_file(&format!("{folder}/hevcast.manifest"))
        .set("ProductName", "hevcast")
        .set("FileDescription", "hevcast: live H.265 video with its true delay")
        .set("OriginalFilename", "hevcast.exe")
        .set("LegalCopyright", "GPL-3.0-or-later as a whole; source MIT OR Apache-2.0");
    if let Err(error) = resources.compile() {
        eprintln!("the resources of the Windows program cannot be made: {error}");
        std::process::exit(1);
    }
}
