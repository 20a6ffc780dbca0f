//! `hevcast password`: makes the configuration's entry of a user with a password.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, Result, ensure};
use hevcast_server::config::users::argon2_of;
use hevcast_wire::rtsp::auth::Ha1;

use crate::cli::PasswordArgs;

/// Asks for a password, without showing it, and prints a user for `hevcast.toml`. Without a terminal it reads the password
/// from standard input.
///
/// # Errors
/// When no password is given, or it is typed differently the second time.
pub(crate) fn run(args: &PasswordArgs) -> Result<()> {
    let password = match std::io::stdin().is_terminal() {
        true => {
            let first = rpassword::prompt_password("Password: ").context("cannot ask for a password")?;
            let again = rpassword::prompt_password("Again: ").context("cannot ask for a password")?;
            ensure!(first == again, "the two passwords differ; run the command again");
            first
        }
        false => {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).context("cannot read a password")?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    ensure!(!password.is_empty(), "the password is empty; type one, or write it to standard input");
    let hash = argon2_of(&password).context("the password cannot be hashed")?;
    println!("# Both hashes are of the same password: ha1 for Digest, argon2 for Basic (see docs/config.md).");
    println!("[[user]]");
    println!("name = {}", toml::Value::from(args.name.as_str()));
    println!("ha1 = \"{}\"", Ha1::new(&args.name, &password));
    println!("argon2 = \"{hash}\"");
    println!("publish = []");
    println!("read = [\"*\"]");
    Ok(())
}
