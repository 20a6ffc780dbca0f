//! The windows: views over the same pipelines as the terminal's, and nothing else.
//!
//! ```text
//! window's thread                     runtime                        pipeline
//! view ── what was pressed ──▶ control's task ── start, stop ──▶ stages
//!   ▲                               │ status                        │
//!   └───────────────────────────────┘         screen ◀── newest picture
//! ```
//!
//! The window's thread draws and hears; it never waits for a codec, a socket or a disk. A task per window
//! ([`send::control`], [`receive::control`]) holds the pipeline, takes commands and tells how things stand. Pictures meet
//! the window at a [`screen::Screen`], where the newest wins, and are drawn by [`picture`]. [`shell`] is the window
//! itself; [`words`] what it says, in two languages; [`remember`] what it knows of last time.

mod access;
mod figure;
mod fonts;
mod launcher;
#[cfg(test)]
mod layout_tests;
mod look;
mod picture;
mod receive;
mod recording;
mod remember;
mod screen;
mod send;
mod serve;
mod shell;
pub mod words;

use std::time::Duration;

use eframe::egui::{IconData, ViewportBuilder};
use tokio::runtime::Handle;

use self::shell::Shell;
use self::words::Language;
use crate::cli::{Cli, Command, ReceiveArgs, SendArgs};
use crate::pipeline::stage::lower_priority;
use crate::report::Format;

/// A window's size at first, in points.
const SIZE: [f32; 2] = [960.0, 600.0];
/// The size below which not everything has room, in points.
const LEAST_SIZE: [f32; 2] = [480.0, 320.0];
const LAUNCHER_SIZE: [f32; 2] = [480.0, 400.0];

/// What to open.
#[derive(Clone, Debug)]
pub struct Opening {
    role: Option<OpeningRole>,
    language: Option<Language>,
    duration: Option<Duration>,
    stats: Option<Format>,
}

#[derive(Clone, Debug)]
enum OpeningRole {
    Send(Box<SendArgs>),
    Receive(Box<ReceiveArgs>),
}

impl Opening {
    /// The window that a command line asks for; `None` where it asks for the terminal, or there is no display.
    pub fn of(cli: &Cli) -> Option<Opening> {
        let (role, run) = match &cli.command {
            None => (None, None),
            Some(Command::Send(args)) => (Some(OpeningRole::Send(Box::new(args.clone()))), Some(&args.run)),
            // Pictures that go to a file go nowhere else.
            Some(Command::Receive(args)) if args.output.is_none() => {
                (Some(OpeningRole::Receive(Box::new(args.clone()))), Some(&args.run))
            }
            Some(_) => return None,
        };
        let is_wanted = run.is_none_or(|run| !run.headless) && has_display();
        is_wanted.then(|| Opening {
            role,
            language: cli.lang,
            duration: run.and_then(|run| run.duration),
            stats: run.and_then(|run| run.stats),
        })
    }
}

/// Whether windows can be seen here.
fn has_display() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos")) || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// Opens the window and stays until it is closed.
///
/// # Errors
/// When no window can be opened, in one line.
pub fn run(opening: Opening, runtime: &Handle) -> Result<(), String> {
    let (name, size) = match &opening.role {
        None => ("hevcast", LAUNCHER_SIZE),
        Some(OpeningRole::Send(_)) => ("hevcast send", SIZE),
        Some(OpeningRole::Receive(_)) => ("hevcast receive", SIZE),
    };
    // As the desktop entries in packaging/ are called, so that a window has their icon.
    let app_id = name.replace(' ', "-");
    let viewport = ViewportBuilder::default().with_title(name).with_app_id(app_id).with_inner_size(size);
    let viewport = viewport.with_min_inner_size(LEAST_SIZE).with_icon(IconData::default()).with_drag_and_drop(true);
    let options = eframe::NativeOptions {
        viewport,
        // A picture goes to the screen when it is there, not when the screen is next refreshed.
        glow_options: eframe::egui_glow::GlowConfiguration { vsync: false, ..Default::default() },
        ..Default::default()
    };
    if matches!(opening.role, Some(OpeningRole::Send(_))) {
        // A software rasteriser's threads are this one's children: the encoder goes before them.
        lower_priority();
    }
    let runtime = runtime.clone();
    let create = Box::new(move |context: &eframe::CreationContext<'_>| {
        let shell: Box<dyn eframe::App> = Box::new(Shell::new(&context.egui_ctx, &runtime, &opening));
        Ok(shell)
    });
    eframe::run_native(name, options, create).map_err(|error| error.to_string().replace('\n', " "))
}

/// An error as one line.
fn one_line(error: &anyhow::Error) -> String {
    crate::program::one_line(error)
}
