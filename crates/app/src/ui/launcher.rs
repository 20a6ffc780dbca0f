//! The window that `hevcast` opens without a command, to choose a role.

use eframe::egui::{Button, CentralPanel, RichText, Ui, vec2};

use super::appearance;
use super::remember::Remembered;
use super::words::Words;

/// What the program can do in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// `hevcast send`
    Send,
    /// `hevcast receive`
    Receive,
    /// `hevcast serve`
    Serve,
}

/// Shows a button for each role; returns the role whose button was clicked.
pub(super) fn show(ui: &mut Ui, remembered: &mut Remembered, words: &Words) -> Option<Role> {
    let roles = [
        (Role::Send, words.launcher_send, words.launcher_send_hint),
        (Role::Receive, words.launcher_receive, words.launcher_receive_hint),
        (Role::Serve, words.launcher_serve, words.launcher_serve_hint),
    ];
    let mut chosen = None;
    CentralPanel::default_margins().show(ui, |ui| {
        appearance::show(ui, remembered, words);
        ui.add_space(8.0);
        let height = ((ui.available_height() - 90.0) / 3.0).clamp(40.0, 72.0);
        ui.vertical_centered(|ui| {
            for (role, name, hint) in roles {
                let button = Button::new(RichText::new(name).size(24.0)).min_size(vec2(280.0, height));
                if ui.add(button).clicked() {
                    chosen = Some(role);
                }
                ui.label(RichText::new(hint).weak());
                ui.add_space(4.0);
            }
        });
    });
    chosen
}
