//! `hevcast generate`, which help does not show: writes the man pages and the shell completions for packages.
//!
//! Both are generated from the definition of the command line, so that they agree with `--help`.

use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::{Cli, GenerateArgs, Generated};

/// The shells for which the packages install completions.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes the files.
///
/// # Errors
/// When the folder cannot be written to.
pub(crate) fn run(args: &GenerateArgs) -> Result<()> {
    let written = match args.what {
        Generated::Man => clap_mangen::generate_to(Cli::command(), &args.folder),
        Generated::Completions => completions(&args.folder),
    };
    written.with_context(|| format!("cannot write to {}", args.folder.display()))
}

fn completions(folder: &Path) -> std::io::Result<()> {
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut shown(&Cli::command()), "hevcast", folder)?;
    }
    Ok(())
}

/// The command without hidden arguments and commands, which clap_complete would offer, too.
fn shown(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let subcommands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let shown = Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .args(arguments.cloned())
        .subcommands(subcommands.map(shown));
    match command.get_version() {
        Some(version) => shown.version(version.to_owned()),
        None => shown,
    }
}

#[cfg(all(test, feature = "media", feature = "serve"))]
mod tests {
    use super::*;

    fn written(what: Generated) -> Vec<(String, String)> {
        let folder = std::env::temp_dir().join(format!("hevcast-generate-{what:?}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        run(&GenerateArgs { what, folder: folder.clone() }).unwrap();
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let files = files.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap())).collect();
        std::fs::remove_dir_all(&folder).unwrap();
        files
    }

    fn subcommands() -> Vec<String> {
        let shown = shown(&Cli::command());
        shown.get_subcommands().map(|command| command.get_name().to_owned()).collect()
    }

    #[test]
    fn every_command_has_a_man_page_that_the_first_page_names() {
        let pages = written(Generated::Man);
        let page = |name: &str| pages.iter().find(|(page, _)| page == name).map(|(_, text)| text.as_str());
        let first = page("hevcast.1").unwrap();
        assert!(subcommands().len() >= 6, "{:?}", subcommands());
        for command in subcommands() {
            assert!(first.contains(&format!("hevcast\\-{command}(1)")), "hevcast.1 does not name {command}:\n{first}");
            assert!(page(&format!("hevcast-{command}.1")).is_some(), "no page for {command}");
        }
        assert!(page("hevcast-send.1").unwrap().contains("\\-\\-bitrate"), "an option is missing");
        assert!(page("hevcast-generate.1").is_none(), "a page for what is hidden");
    }

    #[test]
    fn every_shell_completes_every_command_and_nothing_hidden() {
        let scripts = written(Generated::Completions);
        assert_eq!(scripts.len(), SHELLS.len());
        for (name, script) in scripts {
            for command in subcommands() {
                assert!(script.contains(&command), "{name} does not name {command}");
            }
            assert!(script.contains("bitrate"), "{name} has no options of the commands");
            assert!(!script.contains("clock-skew") && !script.contains("generate"), "{name} names what is hidden");
        }
    }
}
