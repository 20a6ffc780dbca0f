//! The layout of the sender's window: the picture as sent on the left, three figures and the QP on the right, the buttons at
//! the bottom.
//!
//! It shows what it is given and returns what was clicked; it knows no pipeline.

use std::time::{Duration, Instant};

use eframe::egui::{
    Align, Button, CentralPanel, Color32, Frame, Key, Label, Layout, Modifiers, Panel, RichText, Stroke, TextEdit, Ui,
    vec2,
};

use super::control::SendStatus;
use super::qp;
use super::settings::{self, Devices};
use crate::figures::send::SendFigures;
use crate::figures::text;
use crate::pipeline::capture::Away;
use crate::ui::control::Phase;
use crate::ui::figure::figure;
use crate::ui::picture::{PictureArea, PictureContent};
use crate::ui::recording::record_words;
use crate::ui::remember::Remembered;
use crate::ui::words::Words;

/// How long the button says "Copied".
const COPIED: Duration = Duration::from_secs(2);

/// What was clicked, or asked for by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start sending.
    Start,
    /// Stop sending.
    Stop,
    /// Go on with the rate control of the settings.
    ChangeRate,
    /// List the devices of this computer.
    ListDevices,
    /// Start a recording, or end it.
    Record,
}

/// What is shown.
pub(crate) struct Shown<'a> {
    /// The sender's status.
    pub status: &'a SendStatus,
    /// The devices of this computer; `None` while they are being listed.
    pub devices: Option<&'a Devices>,
    /// Why the last action failed, in one line.
    pub error: Option<&'a str>,
    /// The picture as sent.
    pub picture: &'a PictureArea,
    /// The texts in the language that was chosen.
    pub words: &'static Words,
}

/// The state of the layout: what is unfolded, and when the address was copied.
#[derive(Debug, Default)]
pub(crate) struct SendView {
    settings_open: bool,
    copied: Option<Instant>,
}

impl SendView {
    /// Lays out the window; returns what was clicked.
    pub(crate) fn show(&mut self, ui: &mut Ui, remembered: &mut Remembered, shown: &Shown<'_>) -> Vec<Action> {
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
                let is_stopped = shown.status.is_stopped();
                let changes = settings::panel(ui, remembered, shown.devices, is_stopped, shown.words);
                actions.extend(changes.rate.then_some(Action::ChangeRate));
                actions.extend(changes.rescan.then_some(Action::ListDevices));
            });
        }
        CentralPanel::no_frame().show(ui, |ui| {
            let content = content(shown.status, shown.words);
            shown.picture.show(ui, content, shown.words.waiting_for_picture, shown.words);
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
            if ui.add_enabled(matches!(status.phase, Phase::Starting | Phase::Running), stop).clicked() {
                actions.push(Action::Stop);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let word = if status.is_recording() { words.stop_recording } else { words.record };
                let record = Button::selectable(status.is_recording(), word).min_size(vec2(0.0, 32.0));
                if ui.add_enabled(status.is_running(), record).clicked() {
                    actions.push(Action::Record);
                }
                let settings = Button::selectable(self.settings_open, words.settings).min_size(vec2(0.0, 32.0));
                if ui.add(settings).clicked() {
                    self.settings_open = !self.settings_open;
                    if self.settings_open && shown.devices.is_none() {
                        actions.push(Action::ListDevices);
                    }
                }
            });
        });
    }

    /// The line below the buttons: what failed, or where to watch the stream.
    fn address(&mut self, ui: &mut Ui, shown: &Shown<'_>) {
        let Shown { status, words, .. } = shown;
        let failed = match &status.phase {
            Phase::Failed(why) => Some(why.as_str()),
            _ => shown.error.or(status.details.rate_error.as_deref()),
        };
        if let Some(why) = failed {
            ui.add(Label::new(RichText::new(why).color(ui.visuals().error_fg_color)).wrap());
            return;
        }
        if !status.is_running() {
            ui.add(Label::new(RichText::new(" ").weak()));
            return;
        }
        if status.details.is_walled_off {
            ui.add(Label::new(RichText::new(words.walled_off).color(ui.visuals().warn_fg_color)).wrap());
        }
        ui.horizontal(|ui| {
            let Some(url) = status.details.watch_at.first() else {
                ui.label(RichText::new(words.pushing_to).weak());
                ui.add(Label::new(status.details.urls.join(" ")).truncate());
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
                // A field that cannot be edited, but can be selected by mouse and keyboard.
                ui.add(TextEdit::singleline(&mut url.as_str()).desired_width(f32::INFINITY));
            });
        });
    }
}

/// What the picture area shows.
fn content(status: &SendStatus, words: &Words) -> PictureContent {
    let text = match &status.phase {
        Phase::Stopped | Phase::Ended | Phase::Failed(_) => words.stopped,
        Phase::Starting => words.starting,
        Phase::Stopping => words.stopping,
        Phase::Running if !status.details.is_connected => words.no_connection,
        Phase::Running => match status.details.away {
            None => return PictureContent::Picture,
            Some(Away::Unplugged) => words.camera_unplugged,
            Some(Away::Silent) => words.camera_silent,
            Some(Away::Busy) => words.camera_busy,
            Some(Away::Failing) => words.camera_failing,
        },
    };
    PictureContent::Message(text.to_owned())
}

fn figures(ui: &mut Ui, shown: &Shown<'_>) {
    let Shown { status, words, .. } = shown;
    let figures = status.figures.as_ref().filter(|_| status.is_running());
    let (width, height) = (ui.available_width(), ((ui.available_height() - 96.0) / 3.0).clamp(44.0, 150.0));
    let size = vec2(width, height);
    let of = |show: &dyn Fn(&SendFigures) -> Option<String>| text::optional(figures.and_then(show), |value| value);
    let ratio = of(&|f| Some(format!("{:.0}:1", f.compression_ratio?)));
    figure(ui, words.compression_ratio, &ratio, "", size);
    let rate = of(&|f| Some(format!("{:.1} {}", f.frame_rate, words.frames_per_second)));
    let dropped = figures.map_or(0, |f| f.frames.dropped.total());
    let note = match figures.and_then(SendFigures::encoder_limit) {
        Some((coded, given)) => {
            words.encoder_limit.replace("{coded}", &format!("{coded:.0}")).replace("{given}", &format!("{given:.0}"))
        }
        None if dropped > 0 => words.dropped_frames.replace("{count}", &dropped.to_string()),
        None => String::new(),
    };
    figure(ui, words.frame_rate, &rate, &note, size);
    let bitrate = of(&|f| Some(text::bits_per_second(f.bitrate_bps)));
    figure(ui, words.bitrate, &bitrate, "", size);
    qp::bar(ui, figures.and_then(|f| f.qp), width, words);
    if let Some(text) = record_words(&status.record, words) {
        ui.add(Label::new(RichText::new(text).small().weak()).wrap());
    }
    if status.is_running() && ui.available_height() > 30.0 {
        ui.add(Label::new(RichText::new(&status.details.source).small().weak()).wrap());
    }
}

fn frame(ui: &Ui, margin: i8) -> Frame {
    Frame::new().fill(ui.visuals().panel_fill).inner_margin(margin).stroke(Stroke::NONE)
}
