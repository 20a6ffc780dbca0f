//! The layout of the receiver's window: the picture on the left, delay and throughput on the right, the address above.
//!
//! It shows what it is given and returns what was clicked; it knows no pipeline.

use eframe::egui::{
    Align2, Button, CentralPanel, Color32, Frame, Grid, Key, Label, Modifiers, Panel, RichText, TextEdit, Ui,
    ViewportCommand, vec2,
};

use super::control::ReceiveStatus;
use super::graphs::LastMinute;
use crate::figures::delay::{DelayMs, NoDelay, OverMs, StagesMs, Timescale};
use crate::figures::text;
use crate::ui::appearance;
use crate::ui::figure::figure;
use crate::ui::picture::{PictureArea, PictureContent};
use crate::ui::recording::record_words;
use crate::ui::remember::Remembered;
use crate::ui::words::Words;

/// What is shown.
pub(crate) struct Shown<'a> {
    /// The receiver's status.
    pub status: &'a ReceiveStatus,
    /// The picture, or why there is none.
    pub content: PictureContent,
    /// The result of the last action, such as where a snapshot was saved.
    pub message: Option<&'a str>,
    /// The picture.
    pub picture: &'a PictureArea,
    /// Figures for the graphs.
    pub minute: &'a LastMinute,
    /// The texts in the language that was chosen.
    pub words: &'static Words,
}

/// The state of the layout: the address being typed, and what is unfolded.
#[derive(Debug, Default)]
pub(crate) struct ReceiveView {
    /// The text of the address field.
    pub url: String,
    graphs_open: bool,
    full_screen: bool,
}

/// What was clicked, or asked for by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Play the address in the field.
    Play,
    /// Stop.
    Stop,
    /// Save the picture as a file.
    Snapshot,
    /// Start a recording, or end it.
    Record,
}

impl ReceiveView {
    /// Lays out the window; returns what was clicked.
    pub(crate) fn show(&mut self, ui: &mut Ui, remembered: &mut Remembered, shown: Shown<'_>) -> Vec<Action> {
        let mut actions = self.keys(ui);
        if !self.full_screen {
            let frame = |margin| Frame::new().fill(ui.visuals().panel_fill).inner_margin(margin);
            let (bar, side) = (frame(8), frame(12));
            Panel::top("address").frame(bar).show(ui, |ui| self.address(ui, &remembered.watched, &shown, &mut actions));
            let width = (ui.available_width() * 0.3).clamp(170.0, 420.0);
            let figures = Panel::right("figures").exact_size(width).resizable(false).frame(side);
            figures.show(ui, |ui| self.figures(ui, remembered, &shown, &mut actions));
        }
        if self.graphs_open {
            let height = (ui.available_height() * 0.42).clamp(130.0, 340.0);
            let frame = Frame::new().fill(ui.visuals().panel_fill).inner_margin(8);
            let panel = Panel::bottom("graphs").exact_size(height).resizable(false).frame(frame);
            panel.show(ui, |ui| shown.minute.show(ui, shown.words));
        }
        let picture = CentralPanel::no_frame()
            .show(ui, |ui| shown.picture.show(ui, shown.content, shown.words.waiting_for_keyframe, shown.words));
        if picture.inner.double_clicked() {
            self.set_full_screen(ui, !self.full_screen);
        }
        actions
    }

    /// Handles the keys `f`, `s`, `r`, `i` and Escape, unless a text field has the focus.
    fn keys(&mut self, ui: &Ui) -> Vec<Action> {
        if ui.ctx().text_edit_focused() {
            return Vec::new();
        }
        let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if pressed(Key::F) {
            self.set_full_screen(ui, !self.full_screen);
        }
        if self.full_screen && pressed(Key::Escape) {
            self.set_full_screen(ui, false);
        }
        self.graphs_open ^= pressed(Key::I);
        let actions = [(Key::S, Action::Snapshot), (Key::R, Action::Record)];
        actions.into_iter().filter(|(key, _)| pressed(*key)).map(|(_, action)| action).collect()
    }

    fn set_full_screen(&mut self, ui: &Ui, on: bool) {
        self.full_screen = on;
        ui.ctx().send_viewport_cmd(ViewportCommand::Fullscreen(on));
    }

    fn address(&mut self, ui: &mut Ui, watched: &[String], shown: &Shown<'_>, actions: &mut Vec<Action>) {
        let Shown { status, words, .. } = shown;
        ui.horizontal(|ui| {
            // The field and the menu are as high as the button.
            ui.spacing_mut().interact_size.y = 30.0;
            let field = TextEdit::singleline(&mut self.url).hint_text(words.stream_address_hint);
            let field = field.desired_width((ui.available_width() - 190.0).max(120.0)).align(Align2::LEFT_CENTER);
            let response = ui.add_enabled(status.is_stopped(), field);
            response.ctx.accesskit_node_builder(response.id, |node| node.set_label(words.stream_address));
            let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            ui.add_enabled_ui(status.is_stopped() && !watched.is_empty(), |ui| {
                ui.menu_button(words.history, |ui| {
                    for url in watched {
                        if ui.button(url).clicked() {
                            self.url.clone_from(url);
                            actions.push(Action::Play);
                        }
                    }
                });
            });
            let (name, colour, action) = match status.is_stopped() {
                true => (words.play, Color32::from_rgb(35, 134, 54), Action::Play),
                false => (words.stop_playing, Color32::from_rgb(182, 35, 36), Action::Stop),
            };
            let button = Button::new(RichText::new(name).size(16.0).color(Color32::WHITE)).fill(colour);
            if ui.add(button.min_size(vec2(96.0, 30.0))).clicked() || (entered && status.is_stopped()) {
                actions.push(action);
            }
        });
    }

    fn figures(&mut self, ui: &mut Ui, remembered: &mut Remembered, shown: &Shown<'_>, actions: &mut Vec<Action>) {
        let Shown { status, words, .. } = shown;
        let figures = status.figures.as_ref().filter(|_| shown.content == PictureContent::Picture);
        let size = vec2(ui.available_width(), ((ui.available_height() - 150.0) / 2.0).clamp(56.0, 170.0));
        let delay = figures.and_then(|f| f.delay_ms);
        let unknown = figures.and_then(|f| f.delay_unknown);
        let (value, note) = delay_words(delay, unknown, words);
        let response = figure(ui, words.delay, &value, &note, size);
        response.on_hover_ui(|ui| explain(ui, delay, figures.and_then(|f| f.stages_ms), words));
        let throughput = text::optional(status.figures.as_ref().filter(|_| status.is_running()), |f| {
            text::bits_per_second(f.throughput_bps)
        });
        figure(ui, words.throughput, &throughput, "", size);
        if let Some(figures) = figures {
            let (width, height) = figures.size.unwrap_or_default();
            let rate = format!("{width}×{height}  {:.1} {}", figures.frame_rate, words.frames_per_second);
            ui.add(Label::new(RichText::new(rate).weak()).wrap());
        }
        self.tools(ui, remembered, shown, actions);
        for text in record_words(&status.record, words).into_iter().chain(shown.message.map(str::to_owned)) {
            ui.add(Label::new(RichText::new(text).small().weak()).wrap());
        }
    }

    fn tools(&mut self, ui: &mut Ui, remembered: &mut Remembered, shown: &Shown<'_>, actions: &mut Vec<Action>) {
        let Shown { status, words, .. } = shown;
        ui.horizontal_wrapped(|ui| {
            if ui.button(words.snapshot).clicked() {
                actions.push(Action::Snapshot);
            }
            let record = if status.is_recording() { words.stop_recording } else { words.record };
            let record = Button::selectable(status.is_recording(), record);
            if ui.add_enabled(status.is_running(), record).clicked() {
                actions.push(Action::Record);
            }
            if ui.add(Button::selectable(self.graphs_open, words.graphs)).clicked() {
                self.graphs_open = !self.graphs_open;
            }
            if ui.button(words.full_screen).clicked() {
                self.set_full_screen(ui, true);
            }
            ui.menu_button(words.settings, |ui| appearance::show(ui, remembered, words));
        });
    }
}

/// The delay, and below it its bound and the clock; or why there is none.
fn delay_words(delay: Option<DelayMs>, unknown: Option<NoDelay>, words: &Words) -> (String, String) {
    let Some(delay) = delay else {
        let why = match unknown {
            None => "",
            Some(NoDelay::NoStamps) => words.no_stamps,
            Some(NoDelay::Future) => words.future_stamps,
            Some(NoDelay::TooOld) => words.old_stamps,
            Some(NoDelay::Jump) => words.clock_was_set,
            Some(NoDelay::Recording) => words.is_recording,
        };
        return ("—".to_owned(), why.to_owned());
    };
    let value = match delay.median {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    };
    let note = match (delay.timescale, delay.bound) {
        // Rounded up, so that it remains a bound.
        (Timescale::Server, Some(bound)) => format!("±{:.1} ms", (bound * 10.0).ceil() / 10.0),
        _ => words.system_clocks.to_owned(),
    };
    let note = if delay.relayed { format!("{note}, {}", words.since_relay) } else { note };
    (value, note)
}

/// The tooltip of the delay: its stages, its distribution, and what it includes.
fn explain(ui: &mut Ui, delay: Option<DelayMs>, stages: Option<StagesMs>, words: &Words) {
    ui.set_max_width(320.0);
    if let Some(stages) = stages {
        ui.strong(words.stages);
        Grid::new("stages").num_columns(2).show(ui, |ui| {
            for (name, ms) in [
                (words.capture_wait, stages.capture_wait),
                (words.encode, stages.encode),
                (words.send_queue, stages.send_queue),
                (words.network_and_server, stages.network_and_server),
                (words.hold, stages.hold),
                (words.decode, stages.decode),
                (words.present, stages.present),
            ] {
                ui.label(name);
                ui.label(format!("{ms:.1} ms"));
                ui.end_row();
            }
        });
    }
    if stages.is_some_and(|stages| stages.hold > 0.0) {
        ui.label(words.hold_note);
    }
    if let Some(delay) = delay {
        ui.strong(words.delay);
        Grid::new("windows").num_columns(4).show(ui, |ui| {
            for heading in ["", "p50", "p95", "max"] {
                ui.weak(heading);
            }
            ui.end_row();
            for (span, over) in [("1 s", delay.over_1s), ("10 s", delay.over_10s), ("60 s", delay.over_60s)] {
                let OverMs { p50, p95, max } = over;
                ui.label(span);
                for ms in [p50, p95, max] {
                    ui.label(format!("{ms:.1} ms"));
                }
                ui.end_row();
            }
        });
    }
    match delay {
        Some(delay) if delay.timescale == Timescale::Server => drop(ui.label(words.bound_note)),
        Some(_) => drop(ui.label(words.system_clocks_note)),
        None => {}
    }
    ui.weak(if delay.is_some_and(|delay| delay.relayed) { words.relay_note } else { words.camera_note });
}
