//! The program of the library `hevcast`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hevcast::run()
}
