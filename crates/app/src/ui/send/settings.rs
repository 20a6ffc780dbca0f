//! The sender's settings panel.

use eframe::egui::{Button, ComboBox, DragValue, Response, RichText, ScrollArea, Slider, TextEdit, Ui, WidgetText};
use hevcast_media::capture::CameraInfo;
use hevcast_media::codec::{Crf, EncoderInfo, Qp};

use super::encoder_form::{EncoderForm, RateKind};
use super::form::{InputKind, SendForm};
use crate::ui::appearance;
use crate::ui::remember::Remembered;
use crate::ui::words::Words;

/// The devices of this computer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Devices {
    /// Its cameras.
    pub cameras: Vec<CameraInfo>,
    /// Its encoders, in the order in which they are tried.
    pub encoders: Vec<EncoderInfo>,
}

/// What was changed in the panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The rate control, while pictures are sent.
    pub rate: bool,
    /// The devices are to be listed again.
    pub rescan: bool,
}

/// Shows the panel. While the sender runs (`is_stopped` is false), only what can be changed then is enabled. `devices` is `None`
/// while they are being listed.
pub(crate) fn panel(
    ui: &mut Ui,
    remembered: &mut Remembered,
    devices: Option<&Devices>,
    is_stopped: bool,
    words: &Words,
) -> Changes {
    let mut changes = Changes::default();
    ScrollArea::vertical().auto_shrink([false, true]).show(ui, |ui| {
        let form = &mut remembered.send;
        if !is_stopped {
            ui.label(RichText::new(words.only_while_stopped).weak());
        }
        // Fields fill the panel's width.
        ui.spacing_mut().text_edit_width = ui.available_width();
        ui.add_enabled_ui(is_stopped, |ui| source(ui, form, devices, &mut changes, words));
        ui.separator();
        ui.add_enabled_ui(is_stopped, |ui| encoder(ui, &mut form.encoder, devices, words));
        rate(ui, &mut form.encoder, is_stopped, &mut changes, words);
        ui.add_enabled_ui(is_stopped, |ui| {
            text(ui, words.keyframe_interval, &mut form.encoder.keyframe_interval, "10s");
            ui.separator();
            server(ui, form, words);
        });
        ui.separator();
        appearance::show(ui, remembered, words);
    });
    changes
}

fn source(ui: &mut Ui, form: &mut SendForm, devices: Option<&Devices>, changes: &mut Changes, words: &Words) {
    choice(ui, words.input, form.input.name(words), |ui| {
        for kind in InputKind::ALL {
            ui.selectable_value(&mut form.input, kind, kind.name(words));
        }
    });
    match form.input {
        InputKind::Camera => camera(ui, form, devices, changes, words),
        InputKind::File => {
            text(ui, words.file, &mut form.file, words.choose_file);
            ui.checkbox(&mut form.repeat, words.repeat);
        }
        InputKind::Auto | InputKind::Screen | InputKind::Pattern => {}
    }
    text(ui, words.size, &mut form.size, words.size_hint);
    text(ui, words.frame_rate, &mut form.frame_rate, words.rate_hint);
}

fn camera(ui: &mut Ui, form: &mut SendForm, devices: Option<&Devices>, changes: &mut Changes, words: &Words) {
    let Some(devices) = devices else {
        ui.label(words.scanning);
        return;
    };
    let chosen = devices.cameras.iter().find(|camera| camera.path == form.camera);
    let name = match (chosen, form.camera.as_str()) {
        (Some(camera), _) => camera.name.clone(),
        (None, "") => words.camera_first.to_owned(),
        (None, other) => other.to_owned(),
    };
    choice(ui, words.camera, name, |ui| {
        ui.selectable_value(&mut form.camera, String::new(), words.camera_first);
        for camera in &devices.cameras {
            ui.selectable_value(&mut form.camera, camera.path.clone(), format!("{} ({})", camera.name, camera.path));
        }
    });
    changes.rescan |= ui.button(words.rescan).clicked();
    let Some(camera) = chosen.or(devices.cameras.first()) else {
        ui.label(RichText::new(words.no_camera).weak());
        return;
    };
    choice(ui, words.modes, format!("{} {}", form.size, form.frame_rate), |ui| {
        for mode in &camera.modes {
            let fastest = mode.frame_rates.iter().max_by(|a, b| a.per_second().total_cmp(&b.per_second()));
            let rate = fastest.map(ToString::to_string).unwrap_or_default();
            let name = format!("{} {}x{} {rate} {}", mode.fourcc, mode.width, mode.height, words.frames_per_second);
            if ui.selectable_label(false, name).clicked() {
                form.size = format!("{}x{}", mode.width, mode.height);
                form.frame_rate = rate;
            }
        }
    });
}

fn encoder(ui: &mut Ui, form: &mut EncoderForm, devices: Option<&Devices>, words: &Words) {
    let name = if form.encoder == "auto" { words.automatic.to_owned() } else { form.encoder.clone() };
    choice(ui, words.encoder, name, |ui| {
        ui.selectable_value(&mut form.encoder, "auto".to_owned(), words.automatic);
        for encoder in devices.iter().flat_map(|devices| &devices.encoders) {
            let button = Button::selectable(form.encoder == encoder.name, &encoder.name);
            let response = ui.add_enabled(encoder.works.is_ok(), button);
            let response = match &encoder.works {
                Ok(()) => response,
                Err(why) => response.on_disabled_hover_text(why),
            };
            if response.clicked() {
                form.encoder.clone_from(&encoder.name);
            }
        }
    });
}

/// The rate control, which can be changed while pictures are sent.
fn rate(ui: &mut Ui, form: &mut EncoderForm, is_stopped: bool, changes: &mut Changes, words: &Words) {
    let before = (form.rate, form.qp, form.crf);
    let name = match form.rate {
        RateKind::Best => words.adaptive,
        RateKind::Qp => words.constant_qp,
        RateKind::Crf => words.constant_quality,
        RateKind::Bitrate => words.constant_bitrate,
    };
    choice(ui, words.rate_control, name, |ui| {
        ui.selectable_value(&mut form.rate, RateKind::Best, words.adaptive);
        ui.selectable_value(&mut form.rate, RateKind::Qp, words.constant_qp);
        ui.selectable_value(&mut form.rate, RateKind::Crf, words.constant_quality);
        ui.selectable_value(&mut form.rate, RateKind::Bitrate, words.constant_bitrate);
    });
    match form.rate {
        RateKind::Best | RateKind::Qp => {
            let name = if form.rate == RateKind::Best { words.best_qp } else { "QP" };
            named(ui, name, |ui| ui.add(Slider::new(&mut form.qp, Qp::FINEST.get()..=Qp::COARSEST.get())));
        }
        RateKind::Crf => {
            named(ui, "CRF", |ui| {
                ui.add(DragValue::new(&mut form.crf).range(Crf::BEST.get()..=Crf::WORST.get()).speed(0.1))
            });
        }
        RateKind::Bitrate => {
            let response = text(ui, words.bitrate, &mut form.bitrate, "2M");
            // Not before the number is complete.
            changes.rate |= response.lost_focus() && !is_stopped;
        }
    }
    changes.rate |= before != (form.rate, form.qp, form.crf) && !is_stopped;
}

fn server(ui: &mut Ui, form: &mut SendForm, words: &Words) {
    text(ui, words.address, &mut form.url, words.address_hint);
    if form.url.trim().is_empty() {
        return;
    }
    text(ui, words.user, &mut form.user, "");
    named(ui, words.password, |ui| {
        ui.add(TextEdit::singleline(&mut form.password).password(true).desired_width(f32::INFINITY))
    });
    ui.checkbox(&mut form.remember_password, words.remember_password);
}

/// A widget below its name, by which screen readers know it.
fn named(ui: &mut Ui, name: &str, widget: impl FnOnce(&mut Ui) -> Response) -> Response {
    let label = ui.label(name);
    widget(ui).labelled_by(label.id)
}

fn text(ui: &mut Ui, name: &str, value: &mut String, hint: &str) -> Response {
    let edit = TextEdit::singleline(value).hint_text(hint.to_owned()).desired_width(f32::INFINITY);
    named(ui, name, |ui| ui.add(edit))
}

fn choice(ui: &mut Ui, name: &str, chosen: impl Into<WidgetText>, menu: impl FnOnce(&mut Ui)) {
    let width = ui.available_width();
    named(ui, name, |ui| {
        ComboBox::from_id_salt(name).selected_text(chosen).width(width).truncate().show_ui(ui, menu).response
    });
}
