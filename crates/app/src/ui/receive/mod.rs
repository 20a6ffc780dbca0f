//! The receiver's window: a [`view`] of the pipeline that a task runs ([`control`], [`crate::ui::control`]).

pub(super) mod control;
pub(super) mod graphs;
mod picture_content;
pub(super) mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use self::control::ReceiveRole;
use self::graphs::LastMinute;
use self::view::{Action, ReceiveView, Shown};
use super::control::Control;
use super::picture::{PictureArea, PictureContent};
use super::remember::Remembered;
use super::screen::Screen;
use super::words::Words;
use crate::cli::ReceiveArgs;
use crate::figures::window::Cost;
use crate::pipeline::origin::Origin;
use crate::report::{Reporter, one_line};
use crate::snapshot::write_png;
use crate::ui::recording::{self, make_folder};

/// How often the window is redrawn while no picture comes, so that it shows when the stream has stalled.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

/// The receiver's window.
pub(super) struct ReceiveWindow {
    runtime: Handle,
    control: Control<ReceiveRole>,
    screen: Arc<Screen>,
    picture: PictureArea,
    view: ReceiveView,
    minute: LastMinute,
    message: Arc<Mutex<Option<String>>>,
    /// Folder for snapshots and recordings; `None`: the user's folders for pictures and videos.
    save_to: Option<PathBuf>,
}

impl ReceiveWindow {
    /// A window that plays the stream named on the command line, or waits for an address.
    pub(super) fn new(
        context: &egui::Context,
        runtime: &Handle,
        args: &ReceiveArgs,
        remembered: &mut Remembered,
    ) -> Self {
        let screen = Screen::new(context.clone());
        let reporter = args.run.stats.map(|format| Reporter { format, stdout_is_taken: false });
        let role = ReceiveRole { once: args.once, source_timeout: args.source_timeout, record: args.record.clone() };
        let mut window = ReceiveWindow {
            runtime: runtime.clone(),
            control: Control::new(runtime, Arc::clone(&screen), role, reporter),
            picture: PictureArea::new(Arc::clone(&screen)),
            screen,
            view: ReceiveView::default(),
            minute: LastMinute::default(),
            message: Arc::default(),
            save_to: args.save_to.clone(),
        };
        window.view.url = remembered.watched.first().cloned().unwrap_or_default();
        match args.origin() {
            Ok(Some(origin)) => {
                window.view.url = origin.to_text();
                window.play(origin, remembered);
            }
            Ok(None) => {}
            Err(error) => window.show_message(error.to_string()),
        }
        window
    }

    /// Shows the window and carries out what was clicked.
    pub(super) fn show(&mut self, ui: &mut egui::Ui, remembered: &mut Remembered, words: &'static Words) {
        let status = self.control.status();
        if let Some(figures) = &status.figures {
            self.minute.add(figures);
        }
        if !status.is_stopped() {
            ui.ctx().request_repaint_after(REDRAW_INTERVAL);
        }
        let message = self.message.lock().clone();
        let shown = Shown {
            status: &status,
            content: picture_content::of(&status, self.screen.newest_at(), Instant::now(), words),
            message: message.as_deref(),
            picture: &self.picture,
            minute: &self.minute,
            words,
        };
        let has_picture = shown.content == PictureContent::Picture;
        for action in self.view.show(ui, remembered, shown) {
            match action {
                Action::Play => match self.view.url.trim().parse::<Origin>() {
                    Ok(target) => self.play(target, remembered),
                    Err(error) => self.show_message(error.to_string()),
                },
                Action::Stop => self.control.stop(),
                Action::Snapshot if has_picture => self.snapshot(words),
                Action::Snapshot => self.show_message(words.nothing_to_save.to_owned()),
                Action::Record if status.is_recording() => self.control.stop_recording(),
                Action::Record if status.is_running() => self.record(),
                Action::Record => {}
            }
        }
    }

    fn show_message(&self, text: String) {
        *self.message.lock() = Some(text);
        self.screen.wake();
    }

    fn play(&self, origin: Origin, remembered: &mut Remembered) {
        *self.message.lock() = None;
        remembered.add_watched(&origin.to_text());
        remembered.save();
        self.control.start(origin);
    }

    /// Saves the newest picture, on a thread of its own.
    fn snapshot(&self, words: &'static Words) {
        let Some((_, picture)) = self.screen.newest() else { return };
        let path = self.new_file(dirs::picture_dir(), "png");
        let (message, screen) = (Arc::clone(&self.message), Arc::clone(&self.screen));
        self.runtime.spawn_blocking(move || {
            let text = match make_folder(&path).and_then(|()| write_png(&picture, &path)) {
                Ok(()) => words.saved.replace("{file}", &path.display().to_string()),
                Err(error) => one_line(&error),
            };
            *message.lock() = Some(text);
            screen.wake();
        });
    }

    fn record(&self) {
        let path = self.new_file(dirs::video_dir(), "mp4");
        match make_folder(&path) {
            Ok(()) => self.control.record(path),
            Err(error) => self.show_message(one_line(&error)),
        }
    }

    /// A name that no file has yet, in the folder that was chosen or else in the `usual` one.
    fn new_file(&self, usual: Option<PathBuf>, extension: &str) -> PathBuf {
        recording::new_file(self.save_to.clone().or(usual), extension)
    }

    /// The processor time that copying and drawing pictures has taken.
    pub(super) fn cost(&self) -> Cost {
        self.picture.cost()
    }

    /// Stops the pipeline.
    pub(super) async fn close(self) {
        self.control.close().await;
    }
}
