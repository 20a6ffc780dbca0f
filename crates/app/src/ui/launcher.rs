//! What `hevcast` opens without a command: which of its roles is wanted.

use eframe::egui::{Button, CentralPanel, RichText, Ui, vec2};

use super::look;
use super::remember::Remembered;
use super::words::Words;

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `hevcast send`
    Send,
    /// `hevcast receive`
    Receive,
    /// `hevcast serve`
    Serve,
}

/// Shows the three roles; returns the one that was pressed.
pub fn show(ui: &mut Ui, remembered: &mut Remembered, words: &Words) -> Option<Role> {
    let roles = [
        (Role::Send, words.launcher_send, words.launcher_send_hint),
        (Role::Receive, words.launcher_receive, words.launcher_receive_hint),
        (Role::Serve, words.launcher_serve, words.launcher_serve_hint),
    ];
    let mut chosen = None;
    CentralPanel::default_margins().show(ui, |ui| {
        look::show(ui, remembered, words);
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
