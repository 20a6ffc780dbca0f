//! Logs what screen readers get: one JSON line for each element that is new or has changed, and one for the window's size.
//!
//! It serves to check accessibility, and tests find elements by it. It is logged at the level `trace` under the target
//! [`TARGET`], as with `RUST_LOG=hevcast::access=trace`.

use std::collections::HashMap;

use eframe::egui::{Context, FullOutput, Plugin, Rect, accesskit};
use serde::Serialize;

/// The log's target.
const TARGET: &str = "hevcast::access";

/// An egui plugin that writes the log; installed only if the log is enabled.
#[derive(Debug)]
pub(super) struct AccessLog {
    known: HashMap<accesskit::NodeId, Element>,
    window: Rect,
}

/// An element as screen readers get it. Its place is in points from the window's top left.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Element {
    id: u64,
    role: String,
    name: String,
    value: String,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    disabled: bool,
    focused: bool,
    /// The element was removed.
    gone: bool,
}

impl AccessLog {
    /// Adds the log to a window, if it is enabled.
    pub(super) fn install(context: &Context) {
        if tracing::enabled!(target: TARGET, tracing::Level::TRACE) {
            context.enable_accesskit();
            context.add_plugin(AccessLog { known: HashMap::new(), window: Rect::NOTHING });
        }
    }

    fn update(&mut self, update: &accesskit::TreeUpdate, window: Rect) {
        if self.window != window {
            self.window = window;
            write(&Element {
                role: "Window".to_owned(),
                name: "Window".to_owned(),
                width: window.width().into(),
                height: window.height().into(),
                ..Element::default()
            });
        }
        for (id, node) in &update.nodes {
            let bounds = node.bounds().unwrap_or_default();
            let element = Element {
                id: id.0,
                role: format!("{:?}", node.role()),
                name: name(update, node),
                value: node.value().unwrap_or_default().to_owned(),
                x: bounds.x0,
                y: bounds.y0,
                width: bounds.width(),
                height: bounds.height(),
                disabled: node.is_disabled(),
                focused: update.focus == *id,
                gone: false,
            };
            if self.known.get(id) != Some(&element) {
                write(&element);
                self.known.insert(*id, element);
            }
        }
        // Each update lists all elements of the window.
        self.known.retain(|id, element| {
            let is_there = update.nodes.iter().any(|(there, _)| there == id);
            if !is_there {
                write(&Element { gone: true, ..element.clone() });
            }
            is_there
        });
    }
}

/// An element's name: its own label, or the text of the elements that label it.
fn name(update: &accesskit::TreeUpdate, node: &accesskit::Node) -> String {
    let labels = node.labelled_by().iter().filter_map(|id| {
        let (_, label) = update.nodes.iter().find(|(known, _)| known == id)?;
        label.label().or(label.value())
    });
    node.label().map_or_else(|| labels.collect(), str::to_owned)
}

fn write(element: &Element) {
    // The runs of a text repeat the text.
    if (element.name.is_empty() && element.value.is_empty()) || element.role == "TextRun" {
        return;
    }
    tracing::trace!(target: TARGET, "{}", serde_json::to_string(element).unwrap_or_default());
}

impl Plugin for AccessLog {
    fn debug_name(&self) -> &'static str {
        "access log"
    }

    fn output_hook(&mut self, context: &Context, output: &mut FullOutput) {
        // In the first pass the sizes of elements are not known yet.
        let is_laid_out = context.cumulative_frame_nr() > 0;
        if let Some(update) = output.platform_output.accesskit_update.as_ref().filter(|_| is_laid_out) {
            self.update(update, context.content_rect());
        }
    }
}
