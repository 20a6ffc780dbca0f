//! The program of the library `hevcast`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    hevcast::run()
}
