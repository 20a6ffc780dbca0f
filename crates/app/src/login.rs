//! Logins that are not part of a URL: from a file, from an environment variable, or typed at a prompt.
//!
//! While the program runs, everybody on the computer can read its command line in the list of processes. So a password in a URL
//! on the command line causes a warning.

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

/// The environment variable with the password, if no file is given.
pub(crate) const PASSWORD_VARIABLE: &str = "HEVCAST_PASSWORD";
/// The environment variable with SRT's passphrase, if neither a file nor the URL has it.
pub(crate) const PASSPHRASE_VARIABLE: &str = "HEVCAST_PASSPHRASE";

/// The login for URLs without one of their own.
#[derive(Clone, Debug, Default, Args)]
#[group(requires = "address")]
pub struct LoginArgs {
    /// User for every URL without a login of its own
    #[arg(long)]
    pub user: Option<String>,
    /// File whose first line is the user's password (default: the environment variable HEVCAST_PASSWORD, else a prompt)
    #[arg(long, value_name = "FILE", value_parser = secret_file)]
    pub password_file: Option<SecretFile>,
    /// With srt://: file whose first line is the passphrase (default: the environment variable HEVCAST_PASSPHRASE)
    #[arg(long, value_name = "FILE", value_parser = passphrase_file)]
    pub passphrase_file: Option<SecretFile>,
    /// The password that was typed at the prompt.
    #[arg(skip)]
    prompted: Option<Secret>,
}

/// A secret and the file that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile {
    /// The file.
    pub path: PathBuf,
    /// Its first line.
    pub secret: Secret,
}

impl LoginArgs {
    /// The password from the file, the variable or the prompt, in this order.
    fn password(&self) -> Option<Secret> {
        let file = self.password_file.as_ref().map(|file| file.secret.clone());
        file.or_else(|| variable(PASSWORD_VARIABLE)).or_else(|| self.prompted.clone())
    }

    /// The login; `None` without `--user`.
    pub fn login(&self) -> Option<Credentials> {
        let user = self.user.clone()?;
        Some(Credentials { user, password: self.password().unwrap_or_default() })
    }

    /// The same target with the login and the passphrase, unless it has its own.
    pub fn complete(&self, target: Target) -> Target {
        let passphrase = self.passphrase_file.as_ref().map(|file| file.secret.clone());
        let passphrase = passphrase.or_else(|| variable(PASSPHRASE_VARIABLE));
        target.with_login(self.login()).with_password(self.password().as_ref()).with_passphrase(passphrase.as_ref())
    }

    /// Asks for the password at the terminal, if there is one and a target has a user without a password.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub fn prompt(&mut self, targets: &[&Target]) -> Result<()> {
        let lacking = targets.iter().map(|target| self.complete((*target).clone())).find(Target::lacks_password);
        let Some(target) = lacking.filter(|_| std::io::stdin().is_terminal()) else { return Ok(()) };
        let user = target.credentials.as_ref().map(|login| login.user.as_str()).unwrap_or_default();
        let prompt = hevcast_wire::shown::shown_line(&format!("Password of {user} at {}: ", target.address()));
        self.prompted = Some(rpassword::prompt_password(prompt).context("cannot ask for a password")?.into());
        Ok(())
    }

    /// Warnings about secrets that others can read, a line each; `targets` are as they were on the command line.
    pub fn warnings(&self, targets: &[&Target]) -> Vec<String> {
        let files = [&self.password_file, &self.passphrase_file].into_iter().flatten();
        let mut warnings: Vec<String> = files.filter_map(|file| open_to_others(&file.path)).collect();
        let has_password = |target: &&Target| {
            let has_passphrase = target.srt.as_ref().is_some_and(|srt| srt.passphrase.is_some());
            has_passphrase || target.credentials.as_ref().is_some_and(|login| !login.password.is_empty())
        };
        // A key in the query or the path, which a file cannot replace.
        let has_key = |target: &&Target| !has_password(target) && holds_secret(&target.url);
        if targets.iter().any(has_key) {
            warnings.push(
                "the key in the URL is visible to everybody on this computer in the list of processes; a URL typed into the \
                 window is not"
                    .to_owned(),
            );
        }
        if targets.iter().any(has_password) {
            warnings.push(format!(
                "the password in the URL is visible to everybody on this computer in the list of processes; use --password-file \
                 or {PASSWORD_VARIABLE} instead (for SRT: --passphrase-file or {PASSPHRASE_VARIABLE})"
            ));
        }
        warnings
    }
}

fn variable(name: &str) -> Option<Secret> {
    std::env::var(name).ok().filter(|word| !word.is_empty()).map(Secret::from)
}

/// Reads a secret from the first line of a file.
///
/// # Errors
/// When the file cannot be read, or its first line is empty.
pub(crate) fn secret_file(path: &str) -> Result<SecretFile, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{error}; the first line must be the password or passphrase"))?;
    match text.lines().next() {
        None | Some("") => Err("its first line is empty; it must be the password or passphrase".to_owned()),
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
    fn a_password_file_is_for_urls_without_a_password() {
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
    fn a_password_on_the_command_line_causes_a_warning() {
        for (url, expected) in [
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
            assert_eq!(warnings.len(), expected, "{url}: {warnings:?}");
            assert!(!warnings.concat().contains("secret"));
        }
    }
}
