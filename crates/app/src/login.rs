//! Logins that do not stand in an address: from a file, a variable, or asked for.
//!
//! What stands on a command line can be read in the list of processes by everybody on the computer, for as long as the
//! program runs. So a password is better given otherwise, and who gives it there is told so once.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use hevcast_net::Target;
use hevcast_net::target::srt_passphrase;
use hevcast_wire::redact::holds_secret;
use hevcast_wire::rtsp::auth::Credentials;
use hevcast_wire::secret::Secret;

use crate::permissions::open_to_others;

/// The variable that a password is taken from, where no file is named.
pub const PASSWORD_VARIABLE: &str = "HEVCAST_PASSWORD";
/// The variable that a passphrase of SRT's is taken from, where none is given otherwise.
pub const PASSPHRASE_VARIABLE: &str = "HEVCAST_PASSPHRASE";

/// The login for addresses without one of their own.
#[derive(Clone, Debug, Default, Args)]
#[group(requires = "address")]
pub struct LoginArgs {
    /// User for every address without a login of its own
    #[arg(long)]
    pub user: Option<String>,
    /// File whose first line is the user's password (default: the variable HEVCAST_PASSWORD, else it is asked for)
    #[arg(long, value_name = "FILE", value_parser = secret_file)]
    pub password_file: Option<SecretFile>,
    /// With srt://: file whose first line is the passphrase (default: the variable HEVCAST_PASSPHRASE)
    #[arg(long, value_name = "FILE", value_parser = passphrase_file)]
    pub passphrase_file: Option<SecretFile>,
    /// The password that was asked for.
    #[arg(skip)]
    asked: Option<Secret>,
}

/// A secret and the file that it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The file.
    pub path: PathBuf,
    /// Its first line.
    pub secret: Secret,
}

impl LoginArgs {
    /// The password that is known, from wherever it came.
    fn password(&self) -> Option<Secret> {
        let file = self.password_file.as_ref().map(|file| file.secret.clone());
        file.or_else(|| variable(PASSWORD_VARIABLE)).or_else(|| self.asked.clone())
    }

    /// The login, if a user was named.
    pub fn login(&self) -> Option<Credentials> {
        let user = self.user.clone()?;
        Some(Credentials { user, password: self.password().unwrap_or_default() })
    }

    /// The same stream, with the login and the passphrase where it has none of its own.
    pub fn complete(&self, target: Target) -> Target {
        let passphrase = self.passphrase_file.as_ref().map(|file| file.secret.clone());
        let passphrase = passphrase.or_else(|| variable(PASSPHRASE_VARIABLE));
        target.with_login(self.login()).with_password(self.password().as_ref()).with_passphrase(passphrase.as_ref())
    }

    /// Asks for the password where a user is named without one, and somebody sits at a terminal.
    ///
    /// # Errors
    /// When the terminal cannot be asked.
    pub fn ask(&mut self, targets: &[&Target]) -> Result<()> {
        let lacking = targets.iter().map(|target| self.complete((*target).clone())).find(Target::lacks_password);
        let Some(target) = lacking.filter(|_| std::io::stdin().is_terminal()) else { return Ok(()) };
        let user = target.credentials.as_ref().map(|login| login.user.as_str()).unwrap_or_default();
        let prompt = hevcast_wire::shown::shown_line(&format!("Password of {user} at {}: ", target.address()));
        self.asked = Some(rpassword::prompt_password(prompt).context("cannot ask for a password")?.into());
        Ok(())
    }

    /// What is worth telling whoever gave these secrets, a line each; `targets` are as they stood on the command line.
    pub fn warnings(&self, targets: &[&Target]) -> Vec<String> {
        let files = [&self.password_file, &self.passphrase_file].into_iter().flatten();
        let mut warnings: Vec<String> = files.filter_map(|file| open_to_others(&file.path)).collect();
        let has_word = |target: &&Target| {
            let has_passphrase = target.srt.as_ref().is_some_and(|srt| srt.passphrase.is_some());
            has_passphrase || target.credentials.as_ref().is_some_and(|login| !login.password.is_empty())
        };
        // In the query or the path, where no file's word can be put.
        let has_key = |target: &&Target| !has_word(target) && holds_secret(&target.url);
        if targets.iter().any(has_key) {
            warnings.push(
                "the key in the address can be read by everybody on this computer, in its list of processes; an address \
                 typed into the window cannot"
                    .to_owned(),
            );
        }
        if targets.iter().any(has_word) {
            warnings.push(format!(
                "the password in the address can be read by everybody on this computer, in its list of processes; better \
                 give it by --password-file or {PASSWORD_VARIABLE} (for SRT: --passphrase-file or {PASSPHRASE_VARIABLE})"
            ));
        }
        warnings
    }
}

fn variable(name: &str) -> Option<Secret> {
    std::env::var(name).ok().filter(|word| !word.is_empty()).map(Secret::from)
}

/// A secret from a file's first line.
///
/// # Errors
/// Why there is none.
pub fn secret_file(path: &str) -> Result<SecretFile, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{error}; the first line is to be the password or passphrase"))?;
    match text.lines().next() {
        None | Some("") => Err("its first line is empty; it is to be the password or passphrase".to_owned()),
        Some(line) => Ok(SecretFile { path: path.into(), secret: line.into() }),
    }
}

fn passphrase_file(path: &str) -> Result<SecretFile, String> {
    let file = secret_file(path)?;
    srt_passphrase(file.secret.reveal())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_is_for_addresses_without_a_password() {
        let file = SecretFile { path: "file".into(), secret: "fromfile".into() };
        let args = LoginArgs { user: Some("me".to_owned()), password_file: Some(file), ..LoginArgs::default() };
        for (url, user, password) in [
            ("rtsp://h/x", "me", "fromfile"),
            ("rtsp://you@h/x", "you", "fromfile"),
            ("rtsp://you:own@h/x", "you", "own"),
            ("rtmp://h/x", "me", "fromfile"),
        ] {
            let login = args.complete(Target::parse(url).unwrap()).credentials.unwrap();
            assert_eq!((login.user.as_str(), login.password.reveal()), (user, password), "{url}");
        }
        assert!(!format!("{args:?}").contains("fromfile"));
        assert!(LoginArgs::default().complete(Target::parse("rtsp://h/x").unwrap()).credentials.is_none());
        let passphrase = SecretFile { path: "file".into(), secret: "0123456789".into() };
        let args = LoginArgs { passphrase_file: Some(passphrase), ..LoginArgs::default() };
        for (url, expected) in [("srt://h:1", "0123456789"), ("srt://h:1?passphrase=abcdefghijk", "abcdefghijk")] {
            let srt = args.complete(Target::parse(url).unwrap()).srt.unwrap();
            assert_eq!(srt.passphrase.unwrap().reveal(), expected);
        }
    }

    #[test]
    fn who_gives_a_password_on_the_command_line_is_told() {
        for (url, told) in [
            ("rtsp://me:secret@h/x", 1),
            ("rtsp://:secret@h/x", 1),
            ("srt://h:1?passphrase=secretsecret", 1),
            ("rtmp://h/live/x?user=me&pass=secret", 1),
            ("srt://h:1?streamid=publish:x:me:secret", 1),
            ("rtsp://me@h/x", 0),
            ("rtsp://h/x?channel=1", 0),
            ("rtsp://h/客厅", 0),
            ("rtsp://h/live cam/caf%C3%A9?name=%E5%AE%A2", 0),
            ("rtsp://h/客厅?token=secret", 1),
            ("rtmp://me:secret@h/live/x?secret=other", 1),
            ("rtsp://h/x", 0),
        ] {
            let target = Target::parse(url).unwrap();
            let warnings = LoginArgs::default().warnings(&[&target, &target]);
            assert_eq!(warnings.len(), told, "{url}: {warnings:?}");
            assert!(!warnings.concat().contains("secret"));
        }
    }
}
