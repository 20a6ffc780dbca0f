//! The sender's window: a [`view`] of the pipeline that a task runs ([`control`], [`crate::ui::control`]).

pub(super) mod control;
pub(super) mod encoder_form;
pub(super) mod form;
mod qp;
pub(super) mod settings;
pub(super) mod view;

use std::sync::Arc;

use eframe::egui;
use hevcast_media::capture;
use hevcast_media::codec::{self, RateControl};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::control::SendRole;
use self::settings::Devices;
use self::view::{Action, SendView, Shown};
use super::control::Control;
use super::picture::PictureArea;
use super::remember::Remembered;
use super::screen::Screen;
use super::words::Words;
use crate::cli::SendArgs;
use crate::figures::window::Cost;
use crate::pipeline::session::SendPlan;
use crate::report::{Reporter, one_line};
use crate::ui::recording;

/// The sender's window.
pub(super) struct SendWindow {
    runtime: Handle,
    control: Control<SendRole>,
    /// The rate control that a running sender is to go on with.
    rate: watch::Sender<Option<RateControl>>,
    picture: PictureArea,
    view: SendView,
    devices: Arc<Mutex<Option<Devices>>>,
    /// Why the last action failed, in one line.
    error: Option<String>,
    /// The command line's arguments: the settings that the panel has no field for.
    args: SendArgs,
}

impl SendWindow {
    /// A window that is stopped, or starts immediately with `--start`.
    pub(super) fn new(
        context: &egui::Context,
        runtime: &Handle,
        args: &SendArgs,
        remembered: &mut Remembered,
    ) -> SendWindow {
        let screen = Screen::new(context.clone());
        let reporter = args.run.stats.map(|format| Reporter { format, stdout_is_taken: false });
        remembered.send.apply(args);
        let (rate, rates) = watch::channel(None);
        let mut window = SendWindow {
            runtime: runtime.clone(),
            control: Control::new(runtime, Arc::clone(&screen), SendRole { rates }, reporter),
            rate,
            picture: PictureArea::new(screen),
            view: SendView::default(),
            devices: Arc::default(),
            error: None,
            args: args.clone(),
        };
        if args.start {
            window.start(remembered, remembered.language().words());
        }
        window
    }

    /// Shows the window and carries out what was clicked.
    pub(super) fn show(&mut self, ui: &mut egui::Ui, remembered: &mut Remembered, words: &'static Words) {
        self.take_dropped_file(ui, remembered);
        let status = self.control.status();
        let devices = self.devices.lock().clone();
        let shown = Shown {
            status: &status,
            devices: devices.as_ref(),
            error: self.error.as_deref(),
            picture: &self.picture,
            words,
        };
        for action in self.view.show(ui, remembered, &shown) {
            match action {
                Action::Start => self.start(remembered, words),
                Action::Stop => self.control.stop(),
                Action::ChangeRate => match remembered.send.encoder.rate(words) {
                    Ok(rate) => {
                        self.error = None;
                        self.rate.send_replace(Some(rate));
                    }
                    Err(error) => self.error = Some(error),
                },
                Action::Record if status.is_recording() => self.control.stop_recording(),
                Action::Record if status.is_running() => self.record(),
                Action::Record => {}
                Action::ListDevices => self.list_devices(ui.ctx()),
            }
        }
    }

    fn start(&mut self, remembered: &Remembered, words: &Words) {
        remembered.save();
        match remembered.send.plan(&self.args, words) {
            Ok(plan) => {
                self.error = None;
                // `--record` is for the first start; another one would overwrite the file.
                self.control.start(SendPlan { record: self.args.record.take(), ..plan });
            }
            Err(error) => self.error = Some(error),
        }
    }

    fn record(&mut self) {
        let path = recording::new_file(dirs::video_dir(), "mp4");
        match recording::make_folder(&path) {
            Ok(()) => self.control.record(path),
            Err(error) => self.error = Some(one_line(&error)),
        }
    }

    /// Makes a file that was dropped on the window the input.
    fn take_dropped_file(&self, ui: &egui::Ui, remembered: &mut Remembered) {
        let dropped = ui.input(|input| input.raw.dropped_files.first().map(|file| file.path().to_owned()));
        if let Some(path) = dropped.filter(|_| self.control.status().is_stopped()) {
            remembered.send.input = form::InputKind::File;
            remembered.send.file = path.display().to_string();
        }
    }

    /// Lists cameras and encoders, on a thread of its own: drivers are asked and encoders are tried, which takes a moment.
    fn list_devices(&self, context: &egui::Context) {
        let (devices, context) = (Arc::clone(&self.devices), context.clone());
        *devices.lock() = None;
        self.runtime.spawn_blocking(move || {
            let found = Devices { cameras: capture::cameras(), encoders: codec::encoders() };
            *devices.lock() = Some(found);
            context.request_repaint();
        });
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
