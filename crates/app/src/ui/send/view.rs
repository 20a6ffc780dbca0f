//! The sender's face: top left the picture as pushed, top right three figures and the QP, at the bottom two buttons.
//!
//! It shows what it is given and returns what was pressed; it knows no pipeline.

use std::time::{Duration, Instant};

use eframe::egui::{
    Align, Button, CentralPanel, Color32, Frame, Key, Label, Layout, Modifiers, Panel, RichText, Stroke, TextEdit, Ui,
    vec2,
};

use super::control::{Phase, SendStatus};
use super::qp;
use super::settings::{self, Devices};
use crate::figures::send::SendFigures;
use crate::figures::text;
use crate::pipeline::capture::Away;
use crate::ui::figure::figure;
use crate::ui::picture::{PictureArea, Seen};
use crate::ui::recording::record_words;
use crate::ui::remember::Remembered;
use crate::ui::words::Words;

/// How long a button says that it has copied.
const COPIED: Duration = Duration::from_secs(2);

/// What is shown.
pub struct Shown<'a> {
    /// How the sender stands.
    pub status: &'a SendStatus,
    /// What this computer has; `None` while that is looked for.
    pub devices: Option<&'a Devices>,
    /// Why it does not start, in one line.
    pub trouble: Option<&'a str>,
    /// The picture as pushed.
    pub picture: &'a PictureArea,
    /// In which language.
    pub words: &'static Words,
}

/// What was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// 开始推流
    Start,
    /// 关闭推流
    Stop,
    /// Another QP, CRF or bitrate.
    ChangeRate,
    /// Devices are to be looked for.
    LookForDevices,
    /// Begin a recording, or end it.
    Record,
}

/// The face, and what of it is open.
#[derive(Debug, Default)]
pub struct SendView {
    settings_open: bool,
    copied: Option<Instant>,
}

impl SendView {
    /// Shows everything.
    pub fn show(&mut self, ui: &mut Ui, remembered: &mut Remembered, shown: &Shown<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        if !ui.ctx().text_edit_focused() && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::R)) {
            actions.push(Action::Record);
        }
        Panel::bottom("buttons").frame(frame(ui, 10)).show(ui, |ui| {
            self.buttons(ui, shown, &mut actions);
            self.address(ui, shown);
        });
        let width = (ui.available_width() * 0.3).clamp(180.0, 460.0);
        Panel::right("figures")
            .exact_size(width)
            .resizable(false)
            .frame(frame(ui, 12))
            .show(ui, |ui| figures(ui, shown));
        if self.settings_open {
            let width = 280.0_f32.min(ui.available_width() * 0.62);
            Panel::right("settings").exact_size(width).resizable(false).frame(frame(ui, 12)).show(ui, |ui| {
                let is_open = shown.status.is_stopped();
                let changes = settings::panel(ui, remembered, shown.devices, is_open, shown.words);
                actions.extend(changes.rate.then_some(Action::ChangeRate));
                actions.extend(changes.refresh.then_some(Action::LookForDevices));
            });
        }
        CentralPanel::no_frame().show(ui, |ui| {
            let (seen, waiting) = seen(shown.status, shown.words);
            shown.picture.show(ui, seen, waiting, shown.words);
        });
        actions
    }

    fn buttons(&mut self, ui: &mut Ui, shown: &Shown<'_>, actions: &mut Vec<Action>) {
        let Shown { status, words, .. } = shown;
        ui.horizontal(|ui| {
            let size = vec2((ui.available_width() * 0.24).clamp(110.0, 220.0), 44.0);
            let button = |text: &str, colour| {
                Button::new(RichText::new(text).size(20.0).color(Color32::WHITE)).fill(colour).min_size(size)
            };
            let start = button(words.start, Color32::from_rgb(35, 134, 54));
            if ui.add_enabled(status.is_stopped(), start).clicked() {
                actions.push(Action::Start);
            }
            let stop = button(words.stop, Color32::from_rgb(182, 35, 36));
            if ui.add_enabled(matches!(status.phase, Phase::Starting | Phase::Pushing), stop).clicked() {
                actions.push(Action::Stop);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let word = if status.is_recording() { words.stop_recording } else { words.record };
                let record = Button::selectable(status.is_recording(), word).min_size(vec2(0.0, 32.0));
                if ui.add_enabled(status.is_pushing(), record).clicked() {
                    actions.push(Action::Record);
                }
                let settings = Button::selectable(self.settings_open, words.settings).min_size(vec2(0.0, 32.0));
                if ui.add(settings).clicked() {
                    self.settings_open = !self.settings_open;
                    if self.settings_open && shown.devices.is_none() {
                        actions.push(Action::LookForDevices);
                    }
                }
            });
        });
    }

    /// One line under the buttons: what went wrong, or where the stream is to be had.
    fn address(&mut self, ui: &mut Ui, shown: &Shown<'_>) {
        let Shown { status, words, .. } = shown;
        let failed = match &status.phase {
            Phase::Failed(why) => Some(why.as_str()),
            _ => shown.trouble.or(status.rate_error.as_deref()),
        };
        if let Some(why) = failed {
            ui.add(Label::new(RichText::new(why).color(ui.visuals().error_fg_color)).wrap());
            return;
        }
        if !status.is_pushing() {
            ui.add(Label::new(RichText::new(" ").weak()));
            return;
        }
        ui.horizontal(|ui| {
            let Some(url) = status.watch_at.first() else {
                ui.label(RichText::new(words.pushing_to).weak());
                ui.add(Label::new(status.urls.join(" ")).truncate());
                return;
            };
            ui.label(RichText::new(words.watch_at).weak());
            let is_copied = self.copied.is_some_and(|at| at.elapsed() < COPIED);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button(if is_copied { words.copied } else { words.copy }).clicked() {
                    ui.ctx().copy_text(url.clone());
                    self.copied = Some(Instant::now());
                    ui.ctx().request_repaint_after(COPIED);
                }
                // A field that takes no changes: it can be selected with mouse and keyboard.
                ui.add(TextEdit::singleline(&mut url.as_str()).desired_width(f32::INFINITY));
            });
        });
    }
}

/// What stands in the picture's place.
fn seen<'w>(status: &SendStatus, words: &'w Words) -> (Seen, &'w str) {
    let black = |text: &str| Seen::Black(text.to_owned());
    let seen = match &status.phase {
        Phase::Stopped | Phase::Failed(_) => black(words.stopped),
        Phase::Starting => black(words.starting),
        Phase::Stopping => black(words.stopping),
        Phase::Pushing if !status.is_connected => black(words.no_connection),
        Phase::Pushing => match status.away {
            None => Seen::Picture,
            Some(Away::Unplugged) => black(words.camera_unplugged),
            Some(Away::Silent) => black(words.camera_silent),
            Some(Away::Busy) => black(words.camera_busy),
            Some(Away::Failing) => black(words.camera_failing),
        },
    };
    (seen, words.waiting_for_picture)
}

fn figures(ui: &mut Ui, shown: &Shown<'_>) {
    let Shown { status, words, .. } = shown;
    let figures = status.figures.as_ref().filter(|_| status.is_pushing());
    let (width, height) = (ui.available_width(), ((ui.available_height() - 96.0) / 3.0).clamp(44.0, 150.0));
    let size = vec2(width, height);
    let of = |show: &dyn Fn(&SendFigures) -> Option<String>| text::optional(figures.and_then(show), |value| value);
    let ratio = of(&|f| Some(format!("{:.0}:1", f.compression_ratio?)));
    figure(ui, words.compression_ratio, &ratio, "", size);
    let rate = of(&|f| Some(format!("{:.1} {}", f.frame_rate, words.frames_per_second)));
    let skipped = figures.map_or(0, |f| f.frames.dropped.total());
    let note = if skipped > 0 { format!("{skipped} {}", words.dropped_pictures) } else { String::new() };
    figure(ui, words.frame_rate, &rate, &note, size);
    let bitrate = of(&|f| Some(text::bits_per_second(f.bitrate_bps)));
    figure(ui, words.bitrate, &bitrate, "", size);
    qp::bar(ui, figures.and_then(|f| f.qp), width, words);
    if let Some(said) = record_words(&status.record, words) {
        ui.add(Label::new(RichText::new(said).small().weak()).wrap());
    }
    if status.is_pushing() && ui.available_height() > 30.0 {
        ui.add(Label::new(RichText::new(&status.source).small().weak()).wrap());
    }
}

fn frame(ui: &Ui, margin: i8) -> Frame {
    Frame::new().fill(ui.visuals().panel_fill).inner_margin(margin).stroke(Stroke::NONE)
}
