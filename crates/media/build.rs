//! Bindings to the x265 that is installed: its structures differ from release to release, so they are read from its own
//! header.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let library = match pkg_config::Config::new().atleast_version("3.0").probe("x265") {
        Ok(library) => library,
        Err(error) => {
            eprintln!("hevcast needs x265 with its headers (Debian: libx265-dev; `make setup` installs it): {error}");
            std::process::exit(1);
        }
    };
    // Libraries that are loaded by their first call: see src/on_demand.rs, which has instructions for x86-64.
    println!("cargo:rustc-check-cfg=cfg(on_demand)");
    let of_target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let is_glibc = of_target("OS") == "linux" && of_target("ENV") == "gnu" && of_target("POINTER_WIDTH") == "64";
    let is_static = env::var_os("CARGO_FEATURE_STATIC").is_some();
    if is_glibc && !is_static && of_target("ARCH") == "x86_64" {
        println!("cargo:rustc-cfg=on_demand");
    }
    // Where FFmpeg keeps what stands beside a file's stream: its structure before version 8 (libavformat 62).
    println!("cargo:rustc-check-cfg=cfg(stream_side_data)");
    let libavformat = pkg_config::Config::new().cargo_metadata(false).probe("libavformat");
    let major = libavformat.ok().and_then(|library| library.version.split('.').next()?.parse::<u32>().ok());
    if major.is_some_and(|major| major < 62) {
        println!("cargo:rustc-cfg=stream_side_data");
    }
    let includes = library.include_paths.iter().map(|path| format!("-I{}", path.display()));
    let bindings = bindgen::Builder::default()
        .header_contents("hevcast-x265.h", "#include <stdint.h>\n#include <stdio.h>\n#include <x265.h>\n")
        .clang_args(includes)
        .allowlist_type("x265_api")
        .allowlist_function("x265_api_query")
        .allowlist_var("X265_(BUILD|TYPE_AUTO|TYPE_IDR|CSP_I420|LOG_NONE|PARAM_BAD_NAME)")
        .derive_default(false)
        .layout_tests(false)
        .generate_comments(false)
        .generate();
    let file = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("x265.rs");
    let written =
        bindings.map_err(|error| error.to_string()).and_then(|b| b.write_to_file(&file).map_err(|e| e.to_string()));
    if let Err(error) = written {
        eprintln!("no bindings to x265: {error}");
        std::process::exit(1);
    }
}
