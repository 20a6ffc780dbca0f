//! The sender's window: a view ([`view`]) over the pipeline, which a task behind it holds ([`control`]).

pub mod control;
pub mod form;
mod qp;
pub mod settings;
pub mod view;

use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui;
use hevcast_media::capture::{self, Input};
use hevcast_media::codec;
use tokio::runtime::Handle;

use self::control::SendControl;
use self::settings::Devices;
use self::view::{Action, SendView, Shown};
use super::picture::PictureArea;
use super::remember::Remembered;
use super::screen::Screen;
use super::words::Words;
use crate::cli::SendArgs;
use crate::figures::window::Cost;
use crate::pipeline::session::SendInput;
use crate::report::Reporter;
use crate::ui::recording;

/// The sender's window.
pub struct SendWindow {
    runtime: Handle,
    control: SendControl,
    picture: PictureArea,
    view: SendView,
    devices: Arc<Mutex<Option<Devices>>>,
    trouble: Option<String>,
    /// Where a server inside listens, and the path of its stream.
    at_home: (SocketAddr, String),
    /// Pictures from a pipe, or a stream to pass on, which the panel cannot name.
    unnamed_input: Option<SendInput>,
    preset: Option<String>,
    /// Where the first start is recorded.
    record: Option<PathBuf>,
}

impl SendWindow {
    /// A window that is stopped, or starts at once with `--start`.
    pub fn new(context: &egui::Context, runtime: &Handle, args: &SendArgs, remembered: &mut Remembered) -> SendWindow {
        let screen = Screen::new(context.clone());
        let reporter = args.run.stats.map(|format| Reporter { format, stdout_is_taken: false });
        remembered.send.apply(args);
        let mut window = SendWindow {
            runtime: runtime.clone(),
            control: SendControl::new(runtime, Arc::clone(&screen), reporter),
            picture: PictureArea::new(screen),
            view: SendView::default(),
            devices: Arc::default(),
            trouble: None,
            at_home: (args.listen, args.path.clone()),
            unnamed_input: args.source.input().filter(has_no_name).map(|input| input.completed_by(&args.login)),
            preset: args.encode.preset.clone(),
            record: args.record.clone(),
        };
        if args.start {
            window.start(remembered, remembered.language().words());
        }
        window
    }

    /// Shows it, and does what is pressed.
    pub fn show(&mut self, ui: &mut egui::Ui, remembered: &mut Remembered, words: &'static Words) {
        self.take_dropped_file(ui, remembered);
        let status = self.control.status();
        let devices = self.devices.lock().clone();
        let shown = Shown {
            status: &status,
            devices: devices.as_ref(),
            trouble: self.trouble.as_deref(),
            picture: &self.picture,
            words,
        };
        for action in self.view.show(ui, remembered, &shown) {
            match action {
                Action::Start => self.start(remembered, words),
                Action::Stop => self.control.stop(),
                Action::ChangeRate => match remembered.send.rate(words) {
                    Ok(rate) => {
                        self.trouble = None;
                        self.control.set_rate(rate);
                    }
                    Err(why) => self.trouble = Some(why),
                },
                Action::Record if status.is_recording() => self.control.stop_recording(),
                Action::Record if status.is_pushing() => self.record(),
                Action::Record => {}
                Action::LookForDevices => self.look_for_devices(ui.ctx()),
            }
        }
    }

    fn start(&mut self, remembered: &Remembered, words: &Words) {
        remembered.save();
        match remembered.send.plan((self.at_home.0, &self.at_home.1), words) {
            Ok(mut plan) => {
                plan.input = self.unnamed_input.clone().or(plan.input);
                plan.preset.clone_from(&self.preset);
                plan.record = self.record.take();
                self.trouble = None;
                self.control.start(plan);
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    fn record(&mut self) {
        let path = recording::new_file(dirs::video_dir(), "mp4");
        match recording::make_folder(&path) {
            Ok(()) => self.control.record(path),
            Err(error) => self.trouble = Some(super::one_line(&error)),
        }
    }

    /// A file dropped on the window is the input.
    fn take_dropped_file(&self, ui: &egui::Ui, remembered: &mut Remembered) {
        let dropped = ui.input(|input| input.raw.dropped_files.first().map(|file| file.path().to_owned()));
        if let Some(path) = dropped.filter(|_| self.control.status().is_stopped()) {
            remembered.send.input = form::InputKind::File;
            remembered.send.file = path.display().to_string();
        }
    }

    /// Asks drivers and tries encoders, which takes a moment, on a thread of its own.
    fn look_for_devices(&self, context: &egui::Context) {
        let (devices, context) = (Arc::clone(&self.devices), context.clone());
        *devices.lock() = None;
        self.runtime.spawn_blocking(move || {
            let found = Devices { cameras: capture::cameras(), encoders: codec::encoders() };
            *devices.lock() = Some(found);
            context.request_repaint();
        });
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

/// Whether the panel has no place for an input.
fn has_no_name(input: &SendInput) -> bool {
    matches!(input, SendInput::Stream(_) | SendInput::Pictures(Input::Y4mStdin))
}
