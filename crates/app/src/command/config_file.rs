//! The file with a server's configuration, read when it starts, and again while it runs.
//!
//! Once there was a file, a reload without one fails: the file is missing by mistake (an editor that replaces it, a link to a
//! disk that is not mounted), and without it the server would accept everybody.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hevcast_server::config::Config;

use super::serve_media;
use crate::cli::ServeArgs;
use crate::permissions::open_to_others;

/// The file that is read if no other is named and it exists.
const DEFAULT_CONFIG: &str = "hevcast.toml";
/// Largest file read, bytes: thousands of users.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A server's configuration file, and what the command line overrides in it.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// The file; `None` while no file was named and the default one does not exist.
    path: Option<PathBuf>,
    /// The file that is read if no other is named.
    default: PathBuf,
    /// `--listen`, which overrides the file's address.
    listen: Option<SocketAddr>,
}

impl ConfigFile {
    /// The file that the arguments name, or the default one if anything of that name exists.
    pub(crate) fn of(args: &ServeArgs) -> ConfigFile {
        ConfigFile::new(args.config.clone(), DEFAULT_CONFIG.into(), args.listen)
    }

    fn new(named: Option<PathBuf>, default: PathBuf, listen: Option<SocketAddr>) -> ConfigFile {
        let path = named.or_else(|| is_there(&default).then(|| default.clone()));
        ConfigFile { path, default, listen }
    }

    /// The file, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The folder to which relative file names in the configuration refer.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path().and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
    }

    /// Reads the file when the server starts; without one, the default configuration.
    ///
    /// # Errors
    /// When the file cannot be read or is wrong.
    pub(crate) fn read(&self) -> Result<Config> {
        match self.path() {
            None => self.completed(Config::default()),
            Some(path) => self.parsed(path, &text_of(path)?),
        }
    }

    /// Reads the file again while the server runs.
    ///
    /// # Errors
    /// When it does not exist, is not a file, cannot be read, is empty, or is wrong.
    pub(crate) fn read_again(&mut self) -> Result<Config> {
        if self.path.is_none() {
            self.path = is_there(&self.default).then(|| self.default.clone());
        }
        let path = self.path().with_context(|| format!("there is no {}", self.default.display()))?;
        let name = path.display();
        let about = std::fs::metadata(path).with_context(|| format!("cannot read {name}"))?;
        // Reading a pipe would block the server.
        if !about.is_file() {
            bail!("{name} is not a file");
        }
        let text = text_of(path)?;
        if text.trim().is_empty() {
            bail!("{name} is empty");
        }
        self.parsed(path, &text)
    }

    fn parsed(&self, path: &Path, text: &str) -> Result<Config> {
        let config = Config::parse(text, &path.display().to_string())?;
        if let Some(warning) = open_to_others(path).filter(|_| config.has_secrets()) {
            tracing::warn!("{warning}");
        }
        self.completed(config)
    }

    /// The configuration with `--listen`, and with absolute file names.
    fn completed(&self, mut config: Config) -> Result<Config> {
        serve_media::check(&config)?;
        if config.http.listen.is_some() && !cfg!(feature = "status") {
            bail!(
                "[http] needs the status page, which this hevcast was built without; build it with the feature status"
            );
        }
        config.listen = self.listen.or(config.listen);
        // Relative to the configuration's folder, not to `--state`.
        let folder = std::env::current_dir().unwrap_or_default().join(self.folder());
        for file in config.rtsps.iter_mut().flat_map(|rtsps| [&mut rtsps.certificate, &mut rtsps.key]).flatten() {
            *file = folder.join(&*file);
        }
        Ok(config)
    }
}

/// Whether anything has this name, even a dangling link; also true if that cannot be found out.
fn is_there(path: &Path) -> bool {
    !matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

fn text_of(path: &Path) -> Result<String> {
    let name = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    read.with_context(|| format!("cannot read {name}"))?;
    if text.len() as u64 > MAX_BYTES {
        bail!("{name} is larger than {} MiB", MAX_BYTES / (1024 * 1024));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use hevcast_server::config::Right;

    use super::*;

    const USERS: &str = "takeover = [\"live\"]\n\n[[user]]\nname = \"u\"\nha1 = \"c59d6b97a0f1e2f8e0b7b6d0f4a3c2e1\"\n\
                         publish = [\"*\"]\n";

    /// A folder that goes away with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("hevcast-config-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join(DEFAULT_CONFIG)
        }

        fn config(&self, named: bool) -> ConfigFile {
            ConfigFile::new(named.then(|| self.file()), self.file(), None)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn is_open(config: &Config) -> bool {
        config.anyone_may(Right::Publish, "x") || config.anyone_may(Right::Read, "x")
    }

    /// Reads again as a server does: what holds afterwards, and why it is the old one, if it is.
    fn reloaded(before: Config, file: &mut ConfigFile) -> (Config, Option<String>) {
        let next = file.read_again().and_then(|next| Ok(before.may_become(&next).map(|()| next)?));
        match next {
            Ok(next) => (next, None),
            Err(error) => (before, Some(format!("{error:#}"))),
        }
    }

    type Change = (&'static str, fn(&Path), Option<&'static str>);

    /// What may happen to the file, and a part of the error if the reload is to fail.
    const CHANGES: &[Change] = &[
        ("untouched", |_| {}, None),
        ("removed", |file| fs::remove_file(file).unwrap(), Some("cannot read")),
        ("renamed", |file| fs::rename(file, file.with_extension("toml~")).unwrap(), Some("cannot read")),
        ("its folder renamed", |file| move_folder(file), Some("cannot read")),
        ("emptied", |file| fs::write(file, "").unwrap(), Some("is empty")),
        ("blank", |file| fs::write(file, " \n\r\n\t\n").unwrap(), Some("is empty")),
        ("all of it comments", |file| fs::write(file, USERS.replace('\n', "\n#")).unwrap(), Some("let in everybody")),
        ("comments only", |file| fs::write(file, "# none yet\n").unwrap(), Some("let in everybody")),
        ("without its users", |file| fs::write(file, "takeover = [\"live\"]\n").unwrap(), Some("let in everybody")),
        ("half written", |file| fs::write(file, "[[user]]\nname = ").unwrap(), Some("hevcast.toml:2:")),
        ("zeros after a crash", |file| fs::write(file, [0; 4096]).unwrap(), Some("hevcast.toml:1:")),
        ("a folder", |file| fs::remove_file(file).and_then(|()| fs::create_dir(file)).unwrap(), Some("is not a file")),
        ("UTF-16", |file| fs::write(file, utf16(USERS)).unwrap(), Some("UTF-8")),
        ("endless", |file| fs::write(file, "#".repeat(MAX_BYTES as usize + 9)).unwrap(), Some("larger than")),
        ("CRLF", |file| fs::write(file, USERS.replace('\n', "\r\n")).unwrap(), None),
        ("replaced", |file| fs::rename(copy_beside(file), file).unwrap(), None),
        #[cfg(unix)]
        ("a link to nothing", |file| link(file, "/nowhere/hevcast.toml"), Some("cannot read")),
        #[cfg(unix)]
        ("a link to itself", |file| link(file, file), Some("cannot read")),
        #[cfg(unix)]
        ("a device", |file| link(file, "/dev/zero"), Some("is not a file")),
        #[cfg(unix)]
        ("a link to the same", |file| link(file, copy_beside(file)), None),
    ];

    fn move_folder(file: &Path) {
        let folder = file.parent().unwrap();
        fs::rename(folder, folder.with_extension("moved")).unwrap();
        fs::remove_dir_all(folder.with_extension("moved")).unwrap();
    }

    fn copy_beside(file: &Path) -> PathBuf {
        let copy = file.with_extension("new");
        fs::write(&copy, USERS).unwrap();
        copy
    }

    #[cfg(unix)]
    fn link(file: &Path, to: impl AsRef<Path>) {
        fs::remove_file(file).unwrap();
        std::os::unix::fs::symlink(to, file).unwrap();
    }

    fn utf16(text: &str) -> Vec<u8> {
        // With its mark, as editors write it.
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn whatever_happens_to_the_file_access_stays_restricted_and_the_log_says_why() {
        for named in [false, true] {
            for (what, change, word) in CHANGES {
                let folder = Folder::new(&format!("changed-{named}"));
                fs::write(folder.file(), USERS).unwrap();
                let mut file = folder.config(named);
                let before = file.read().unwrap();
                assert!(!is_open(&before));
                change(&folder.file());
                // Nor at a second try.
                let (now, why) = reloaded(before, &mut file);
                let (now, again) = reloaded(now, &mut file);
                assert!(!is_open(&now), "{what}");
                assert_eq!(now.users().count(), 1, "{what}");
                assert_eq!(why, again, "{what}");
                match word {
                    None => assert_eq!(why, None, "{what}"),
                    Some(word) => {
                        let why = why.unwrap_or_else(|| panic!("{what}: taken"));
                        assert!(why.contains(word), "{what}: {why}");
                        assert!(!why.contains('\n'), "{what}: {why}");
                    }
                }
                // What is right again is taken again.
                let _ = fs::remove_dir_all(&folder.0);
                fs::create_dir_all(&folder.0).unwrap();
                fs::write(folder.file(), format!("{USERS}read = [\"x\"]\n")).unwrap();
                let (now, why) = reloaded(now, &mut file);
                assert_eq!(why, None, "{what}");
                assert!(now.users().all(|user| user.may(Right::Read, "x")), "{what}");
            }
        }
    }

    #[test]
    fn a_file_that_comes_later_is_taken_and_must_stay() {
        let folder = Folder::new("later");
        let mut file = folder.config(false);
        let before = file.read().unwrap();
        assert!(is_open(&before) && file.path().is_none());
        let (now, why) = reloaded(before, &mut file);
        assert!(why.unwrap().contains("there is no "));
        fs::write(folder.file(), USERS).unwrap();
        let (now, why) = reloaded(now, &mut file);
        assert_eq!((is_open(&now), why), (false, None));
        fs::remove_file(folder.file()).unwrap();
        let (now, why) = reloaded(now, &mut file);
        assert!(!is_open(&now) && why.unwrap().contains("cannot read"));
    }

    #[test]
    fn a_server_starts_without_a_file_only_where_nothing_has_its_name() {
        let folder = Folder::new("start");
        assert!(is_open(&folder.config(false).read().unwrap()));
        let error = format!("{:#}", folder.config(true).read().unwrap_err());
        assert!(error.contains("cannot read") && error.contains("hevcast.toml"), "{error}");
        fs::create_dir(folder.file()).unwrap();
        assert!(folder.config(false).read().is_err());
        #[cfg(unix)]
        {
            fs::remove_dir(folder.file()).unwrap();
            std::os::unix::fs::symlink("/nowhere/hevcast.toml", folder.file()).unwrap();
            assert!(folder.config(false).read().is_err(), "a link to nothing is no reason for an open server");
        }
    }

    #[test]
    fn files_named_in_it_stand_beside_it_at_every_reading() {
        let folder = Folder::new("beside");
        let rtsps = "[rtsps]\nlisten = \"127.0.0.1:1\"\ncertificate = \"c.pem\"\nkey = \"/k.pem\"\n";
        fs::write(folder.file(), rtsps).unwrap();
        let mut file = folder.config(true);
        let (first, second) = (file.read().unwrap(), file.read_again().unwrap());
        assert_eq!(first.rtsps, second.rtsps, "nothing has changed, and nothing needs a restart");
        let rtsps = second.rtsps.unwrap();
        assert_eq!((rtsps.certificate, rtsps.key), (Some(folder.0.join("c.pem")), Some("/k.pem".into())));
    }
}
