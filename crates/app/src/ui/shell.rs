//! The program's window, with the launcher, the sender, the receiver or the server in it.

use std::time::Duration;

use eframe::egui::{self, Ui, ViewportCommand, vec2};
use tokio::runtime::Handle;

use super::access::AccessLog;
use super::launcher::{self, Role};
use super::receive::ReceiveWindow;
use super::remember::Remembered;
use super::send::SendWindow;
use super::serve::ServeWindow;
use super::{Opening, OpeningRole, SIZE, appearance, fonts};
use crate::cli::{ReceiveArgs, SendArgs, ServeArgs};
use crate::figures::window::{Cost, WindowFigures, thread_cpu_time};
use crate::report::Reporter;
use crate::signals::{Signals, after};

/// How long to wait for the pipeline to stop when the window closes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The width that the texture of glyphs may have, in pixels, and the height to which it may grow. egui makes it as wide as the
/// graphics driver allows, up to 16384, where 64 rows are 4 MiB, in its own memory and in the driver's.
const GLYPHS_SIDE: usize = 2048;

/// What the window contains.
enum Content {
    Launcher,
    Send(Box<SendWindow>),
    Receive(Box<ReceiveWindow>),
    Serve(ServeWindow),
}

/// The window.
pub(super) struct Shell {
    runtime: Handle,
    content: Content,
    remembered: Remembered,
    reporter: Option<Reporter>,
    frames: Cost,
    /// This thread's processor time when the last frame was begun.
    cpu_time: Option<Duration>,
}

impl Shell {
    /// Fills the window of `context` with what is asked for. It closes after the duration asked for, or at a signal.
    pub(super) fn new(context: &egui::Context, runtime: &Handle, opening: &Opening) -> Shell {
        context.set_fonts(fonts::definitions());
        AccessLog::install(context);
        let mut remembered = Remembered { asked_language: opening.language, ..Remembered::load() };
        appearance::apply(context, &remembered);
        let content = match &opening.role {
            None => Content::Launcher,
            Some(OpeningRole::Send(args)) => {
                Content::Send(Box::new(SendWindow::new(context, runtime, args, &mut remembered)))
            }
            Some(OpeningRole::Receive(args)) => {
                Content::Receive(Box::new(ReceiveWindow::new(context, runtime, args, &mut remembered)))
            }
        };
        close_later(context.clone(), runtime, opening.duration);
        let reporter = opening.stats.map(|format| Reporter { format, stdout_is_taken: false });
        let (frames, cpu_time) = (Cost::default(), None);
        Shell { runtime: runtime.clone(), content, remembered, reporter, frames, cpu_time }
    }

    fn open(&mut self, ui: &Ui, role: Role) {
        self.content = match role {
            Role::Send => {
                let args = SendArgs::default();
                Content::Send(Box::new(SendWindow::new(ui.ctx(), &self.runtime, &args, &mut self.remembered)))
            }
            Role::Receive => {
                let args = ReceiveArgs::default();
                Content::Receive(Box::new(ReceiveWindow::new(ui.ctx(), &self.runtime, &args, &mut self.remembered)))
            }
            Role::Serve => Content::Serve(ServeWindow::new(&self.runtime, ServeArgs::default())),
        };
        if role != Role::Serve {
            ui.ctx().send_viewport_cmd(ViewportCommand::InnerSize(vec2(SIZE[0], SIZE[1])));
        }
    }
}

impl eframe::App for Shell {
    fn raw_input_hook(&mut self, _: &egui::Context, input: &mut egui::RawInput) {
        input.max_texture_side = input.max_texture_side.map(|side| side.min(GLYPHS_SIDE));
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        let now = thread_cpu_time();
        if let Some(before) = self.cpu_time.replace(now) {
            self.frames.add(now.saturating_sub(before));
        }
        let words = self.remembered.language().words();
        let appearance_of = |remembered: &Remembered| (remembered.language, remembered.theme);
        let before = appearance_of(&self.remembered);
        match &mut self.content {
            Content::Launcher => {
                if let Some(role) = launcher::show(ui, &mut self.remembered, words) {
                    self.open(ui, role);
                }
            }
            Content::Send(window) => window.show(ui, &mut self.remembered, words),
            Content::Receive(window) => window.show(ui, &mut self.remembered, words),
            Content::Serve(window) => window.show(ui, words),
        }
        // Choices are saved immediately; texts when they are used.
        if appearance_of(&self.remembered) != before {
            appearance::apply(ui.ctx(), &self.remembered);
            self.remembered.save();
        }
    }

    fn on_exit(&mut self, _: Option<&eframe::glow::Context>) {
        self.remembered.save();
        let content = std::mem::replace(&mut self.content, Content::Launcher);
        let pictures = match &content {
            Content::Send(window) => window.cost(),
            Content::Receive(window) => window.cost(),
            Content::Launcher | Content::Serve(_) => Cost::default(),
        };
        let closing = async {
            match content {
                Content::Launcher => {}
                Content::Send(window) => window.close().await,
                Content::Receive(window) => window.close().await,
                Content::Serve(window) => window.close().await,
            }
        };
        if self.runtime.block_on(async { tokio::time::timeout(CLOSE_TIMEOUT, closing).await }).is_err() {
            tracing::warn!("not everything has stopped within {} s", CLOSE_TIMEOUT.as_secs());
        }
        if let Some(reporter) = &self.reporter {
            reporter.write(&WindowFigures::new(pictures, self.frames));
        }
    }
}

/// Closes the window after `duration`, or at a signal.
fn close_later(context: egui::Context, runtime: &Handle, duration: Option<Duration>) {
    runtime.spawn(async move {
        match Signals::catch_with_hangup() {
            Ok(mut signals) => tokio::select! {
                () = after(duration) => {}
                () = signals.recv() => {}
            },
            Err(error) => {
                tracing::warn!("{error:#}");
                after(duration).await;
            }
        }
        context.send_viewport_cmd(ViewportCommand::Close);
    });
}
