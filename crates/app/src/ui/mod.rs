//! The windows: views of the same pipelines that the terminal runs.
//!
//! ```text
//! window's thread                     runtime                        pipeline
//! view ── what was clicked ──▶ control's task ── start, stop ──▶ stages
//!   ▲                               │ status                        │
//!   └───────────────────────────────┘         screen ◀── newest picture
//! ```
//!
//! The window's thread draws and takes input; it never waits for a codec, a socket or a disk. A task per window ([`control`])
//! owns the pipeline, takes commands and publishes the status. Pictures reach the window by a [`screen::Screen`], which keeps
//! the newest one, and are drawn by [`picture`]. [`shell`] is the window itself; [`words`] has its texts in two languages;
//! [`remember`] keeps its settings.

mod access;
mod appearance;
mod control;
mod figure;
mod fonts;
mod launcher;
#[cfg(test)]
mod layout_tests;
mod picture;
mod receive;
mod recording;
mod remember;
mod screen;
mod send;
mod serve;
mod shell;
mod words;

use std::time::Duration;

use eframe::egui::{IconData, ViewportBuilder};
use tokio::runtime::Handle;

use self::shell::Shell;
use crate::cli::{Cli, Command, ReceiveArgs, SendArgs};
use crate::language::Language;
use crate::priority;
use crate::report::Format;

/// The initial size of a window, in points.
const SIZE: [f32; 2] = [960.0, 600.0];
/// The smallest size of a window, in points: below it not everything fits.
const MIN_SIZE: [f32; 2] = [480.0, 320.0];
/// The initial size of the launcher, in points.
const LAUNCHER_SIZE: [f32; 2] = [480.0, 400.0];

/// The window that a command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
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
    /// `None` if the command line asks for the terminal, or there is no display.
    pub(crate) fn of(cli: &Cli) -> Option<Opening> {
        let (role, run) = match &cli.command {
            None => (None, None),
            Some(Command::Send(args)) => (Some(OpeningRole::Send(Box::new(args.clone()))), Some(&args.run)),
            // With `--output` the pictures are written to a file, not shown.
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

/// The icon of a window. Linux's desktops take it from the desktop entry.
fn icon() -> IconData {
    #[cfg(windows)]
    {
        static PNG: &[u8] = include_bytes!("../../../../packaging/windows/hevcast.png");
        if let Some(icon) = decode_icon(PNG) {
            return icon;
        }
    }
    IconData::default()
}

/// Decodes a PNG with 8 bits for each of red, green, blue and alpha.
#[cfg(windows)]
fn decode_icon(bytes: &[u8]) -> Option<IconData> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().ok()?;
    let mut rgba = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut rgba).ok()?;
    let is_rgba = (info.color_type, info.bit_depth) == (png::ColorType::Rgba, png::BitDepth::Eight);
    is_rgba.then_some(IconData { rgba, width: info.width, height: info.height })
}

/// Whether this process has a display.
fn has_display() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos")) || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

/// Opens the window; returns when it is closed.
///
/// # Errors
/// Why no window can be opened, in one line.
pub(crate) fn run(opening: Opening, runtime: &Handle) -> Result<(), String> {
    let (name, size) = match &opening.role {
        None => ("hevcast", LAUNCHER_SIZE),
        Some(OpeningRole::Send(_)) => ("hevcast send", SIZE),
        Some(OpeningRole::Receive(_)) => ("hevcast receive", SIZE),
    };
    // The names of the desktop entries in packaging/, from which the desktop takes the icon.
    let app_id = name.replace(' ', "-");
    let viewport = ViewportBuilder::default().with_title(name).with_app_id(app_id).with_inner_size(size);
    let viewport = viewport.with_min_inner_size(MIN_SIZE).with_icon(icon()).with_drag_and_drop(true);
    let options = eframe::NativeOptions {
        viewport,
        // Without vsync a picture is shown when it is decoded, not at the next refresh of the display.
        glow_options: eframe::egui_glow::GlowConfiguration { vsync: false, ..Default::default() },
        ..Default::default()
    };
    if matches!(opening.role, Some(OpeningRole::Send(_))) {
        // The threads of a software rasteriser inherit it: the encoder is to be scheduled before them.
        priority::lower();
    }
    let runtime = runtime.clone();
    let create = Box::new(move |context: &eframe::CreationContext<'_>| {
        let shell: Box<dyn eframe::App> = Box::new(Shell::new(&context.egui_ctx, &runtime, &opening));
        Ok(shell)
    });
    eframe::run_native(name, options, create).map_err(|error| error.to_string().replace('\n', " "))
}
