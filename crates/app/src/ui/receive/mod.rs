//! The receiver's window: a view ([`view`]) over the pipeline, which a task behind it holds ([`control`]).

mod black;
pub mod control;
pub mod graphs;
pub mod view;

use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui;
use tokio::runtime::Handle;

use self::control::{ReceiveControl, ReceivePlan};
use self::graphs::LastMinute;
use self::view::{Action, ReceiveView, Shown};
use super::picture::{PictureArea, Seen};
use super::remember::Remembered;
use super::screen::Screen;
use super::words::Words;
use crate::cli::ReceiveArgs;
use crate::command::sinks::write_png;
use crate::figures::window::Cost;
use crate::pipeline::origin::Origin;
use crate::report::Reporter;
use crate::ui::recording::{self, make_folder};

/// How often the window looks whether its stream is still alive, while nothing else wakes it.
const LOOK: Duration = Duration::from_millis(200);

/// The receiver's window.
pub struct ReceiveWindow {
    runtime: Handle,
    control: ReceiveControl,
    screen: Arc<Screen>,
    picture: PictureArea,
    view: ReceiveView,
    minute: LastMinute,
    message: Arc<Mutex<Option<String>>>,
    /// Where snapshots and recordings go, if not to the user's own folders.
    save_to: Option<PathBuf>,
}

impl ReceiveWindow {
    /// A window that plays the stream named on the command line, or waits for an address.
    pub fn new(context: &egui::Context, runtime: &Handle, args: &ReceiveArgs, remembered: &mut Remembered) -> Self {
        let screen = Screen::new(context.clone());
        let reporter = args.run.stats.map(|format| Reporter { format, stdout_is_taken: false });
        let plan = ReceivePlan { once: args.once, source_timeout: args.source_timeout, record: args.record.clone() };
        let mut window = ReceiveWindow {
            runtime: runtime.clone(),
            control: ReceiveControl::new(runtime, Arc::clone(&screen), plan, reporter),
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
            Err(error) => window.say(error.to_string()),
        }
        window
    }

    /// Shows it, and does what is pressed.
    pub fn show(&mut self, ui: &mut egui::Ui, remembered: &mut Remembered, words: &'static Words) {
        let status = self.control.status();
        if let Some(figures) = &status.figures {
            self.minute.add(figures);
        }
        if status.is_playing() {
            ui.ctx().request_repaint_after(LOOK);
        }
        let message = self.message.lock().clone();
        let shown = Shown {
            status: &status,
            seen: black::seen(&status, self.screen.newest_at(), Instant::now(), words),
            message: message.as_deref(),
            picture: &self.picture,
            minute: &self.minute,
            words,
        };
        let is_seen = shown.seen == Seen::Picture;
        for action in self.view.show(ui, remembered, shown) {
            match action {
                Action::Play => match self.view.url.trim().parse::<Origin>() {
                    Ok(target) => self.play(target, remembered),
                    Err(error) => self.say(error.to_string()),
                },
                Action::Stop => self.control.stop(),
                Action::Snapshot if is_seen => self.snapshot(words),
                Action::Snapshot => self.say(words.nothing_to_save.to_owned()),
                Action::Record if status.is_recording() => self.control.stop_recording(),
                Action::Record if status.is_playing() => self.record(),
                Action::Record => {}
            }
        }
    }

    fn say(&self, text: String) {
        *self.message.lock() = Some(text);
        self.screen.wake();
    }

    fn play(&self, origin: Origin, remembered: &mut Remembered) {
        *self.message.lock() = None;
        remembered.add_watched(&origin.to_text());
        remembered.save();
        self.control.play(origin);
    }

    /// Saves the newest picture, on a thread of its own.
    fn snapshot(&self, words: &'static Words) {
        let Some((_, picture)) = self.screen.newest() else { return };
        let path = self.new_file(dirs::picture_dir(), "png");
        let (message, screen) = (Arc::clone(&self.message), Arc::clone(&self.screen));
        self.runtime.spawn_blocking(move || {
            let said = match make_folder(&path).and_then(|()| write_png(&picture, &path)) {
                Ok(()) => format!("{}: {}", words.saved, path.display()),
                Err(error) => super::one_line(&error),
            };
            *message.lock() = Some(said);
            screen.wake();
        });
    }

    fn record(&self) {
        let path = self.new_file(dirs::video_dir(), "mp4");
        match make_folder(&path) {
            Ok(()) => self.control.record(path),
            Err(error) => self.say(super::one_line(&error)),
        }
    }

    /// A name that no file has yet, in the folder asked for or the usual one.
    fn new_file(&self, usual: Option<PathBuf>, extension: &str) -> PathBuf {
        recording::new_file(self.save_to.clone().or(usual), extension)
    }

    /// What copying and drawing pictures has cost.
    pub fn cost(&self) -> Cost {
        self.picture.cost()
    }

    /// Ends the pipeline.
    pub async fn close(self) {
        self.control.close().await;
    }
}
