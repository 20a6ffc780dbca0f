//! The server's window: a button to start and stop it, and its addresses.

use std::sync::Arc;

use eframe::egui::{self, Button, CentralPanel, Color32, Label, RichText, TextEdit, vec2};
use hevcast_server::Server;
use hevcast_server::config::RTSP_LISTEN;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::words::Words;
use crate::addresses::addresses;
use crate::cli::ServeArgs;
use crate::command::serve;
use crate::firewall;
use crate::report::one_line;

/// The server's window.
pub(super) struct ServeWindow {
    runtime: Handle,
    args: ServeArgs,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
enum State {
    #[default]
    Stopped,
    /// Being started or stopped.
    Busy,
    Running {
        server: Server,
        /// Whether a firewall on this computer keeps other computers out.
        is_walled_off: bool,
    },
    Failed(String),
}

impl ServeWindow {
    /// A window whose server is stopped.
    pub(super) fn new(runtime: &Handle, args: ServeArgs) -> ServeWindow {
        ServeWindow { runtime: runtime.clone(), args, state: Arc::default() }
    }

    /// Shows the window and carries out what was clicked.
    pub(super) fn show(&self, ui: &mut egui::Ui, words: &'static Words) {
        let mut toggle = false;
        CentralPanel::default_margins().show(ui, |ui| {
            let state = self.state.lock();
            ui.add_space(12.0);
            let (name, colour) = match &*state {
                State::Running { .. } => (words.stop_serving, Color32::from_rgb(182, 35, 36)),
                _ => (words.start_serving, Color32::from_rgb(35, 134, 54)),
            };
            let button = Button::new(RichText::new(name).size(20.0).color(Color32::WHITE)).fill(colour);
            let button = button.min_size(vec2(200.0, 44.0));
            toggle = ui.add_enabled(!matches!(*state, State::Busy), button).clicked();
            ui.add_space(12.0);
            match &*state {
                State::Running { server, is_walled_off } => {
                    if *is_walled_off {
                        ui.add(Label::new(RichText::new(words.walled_off).color(ui.visuals().warn_fg_color)).wrap());
                    }
                    ui.label(words.serving);
                    for address in addresses(server.address()) {
                        let url = format!("rtsp://{address}/{}", words.path_word);
                        ui.add(TextEdit::singleline(&mut url.as_str()).desired_width(f32::INFINITY));
                    }
                    ui.label(RichText::new(words.path_hint).weak());
                }
                State::Failed(why) => {
                    ui.add(Label::new(RichText::new(why).color(ui.visuals().error_fg_color)).wrap());
                }
                State::Stopped | State::Busy => {
                    let listen = self.args.listen.unwrap_or(RTSP_LISTEN);
                    ui.label(words.listen.replace("{address}", &listen.to_string()));
                }
            }
        });
        if toggle {
            self.toggle(ui.ctx().clone());
        }
    }

    fn toggle(&self, context: egui::Context) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Busy);
        let (state, args) = (Arc::clone(&self.state), self.args.clone());
        self.runtime.spawn(async move {
            let after = match before {
                State::Running { server, .. } => {
                    server.stop().await;
                    State::Stopped
                }
                State::Busy => State::Busy,
                State::Stopped | State::Failed(_) => match serve::start(&args).await {
                    Ok(server) => {
                        let is_walled_off = firewall::keeps_out(server.address()).await;
                        State::Running { server, is_walled_off }
                    }
                    Err(error) => State::Failed(one_line(&error)),
                },
            };
            *state.lock() = after;
            context.request_repaint();
        });
    }

    /// Stops the server.
    pub(super) async fn close(self) {
        let state = std::mem::take(&mut *self.state.lock());
        if let State::Running { server, .. } = state {
            server.stop().await;
        }
    }
}
