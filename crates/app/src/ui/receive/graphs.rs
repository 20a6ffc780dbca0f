//! Graphs of the receiver's figures over the last minute.

use std::collections::VecDeque;

use eframe::egui::{Color32, Ui, accesskit, vec2};
use egui_plot::{Line, Plot, PlotPoints};

use crate::figures::receive::ReceiveFigures;
use crate::ui::figure::describe;
use crate::ui::words::Words;

/// Seconds kept.
const MINUTE: f64 = 60.0;

/// Figures of the last minute, one a second.
#[derive(Debug, Default)]
pub(crate) struct LastMinute(VecDeque<ReceiveFigures>);

impl LastMinute {
    /// Adds the newest figures. The same ones again are ignored; those of a new run replace all before them.
    pub(crate) fn add(&mut self, figures: &ReceiveFigures) {
        match self.0.back() {
            Some(last) if last.time_s == figures.time_s => return,
            Some(last) if last.time_s > figures.time_s => self.0.clear(),
            _ => {}
        }
        self.0.push_back(*figures);
        while self.0.front().is_some_and(|first| figures.time_s - first.time_s > MINUTE) {
            self.0.pop_front();
        }
    }

    /// Shows four graphs in a row, or in two rows if the window is narrow.
    pub(crate) fn show(&self, ui: &mut Ui, words: &Words) {
        let fps = words.frames_per_second;
        let graphs: [Graph<'_>; 4] = [
            Graph { name: words.delay, unit: "ms", of: &|f| Some(f.delay_ms?.median) },
            Graph { name: words.throughput, unit: "Mbit/s", of: &|f| Some(f.throughput_bps as f64 / 1e6) },
            Graph { name: words.frame_rate, unit: fps, of: &|f| Some(f.frame_rate) },
            Graph { name: words.jitter, unit: "ms", of: &|f| f.frame_interval_jitter_ms },
        ];
        let columns = if ui.available_width() < 720.0 { 2 } else { 4 };
        let rows = graphs.len() / columns;
        let gap = ui.spacing().item_spacing;
        let size = vec2(
            (ui.available_width() - gap.x * (columns - 1) as f32) / columns as f32,
            (ui.available_height() - gap.y * rows as f32) / rows as f32,
        );
        for row in graphs.chunks(columns) {
            ui.horizontal(|ui| {
                for graph in row {
                    ui.allocate_ui(size, |ui| self.graph(ui, graph, size.y));
                }
            });
        }
    }

    fn graph(&self, ui: &mut Ui, graph: &Graph<'_>, height: f32) {
        let Graph { name, unit, of } = graph;
        let last = self.0.back();
        let (end, newest) = (last.map_or(0.0, |f| f.time_s), last.and_then(of));
        ui.vertical(|ui| {
            let value = newest.map_or_else(|| "—".to_owned(), |value| format!("{value:.1} {unit}"));
            let label = ui.small(format!("{name}: {value}"));
            let points: Vec<[f64; 2]> = self.0.iter().filter_map(|f| Some([f.time_s - end, of(f)?])).collect();
            let plot = Plot::new(*name)
                .height((height - label.rect.height() - 6.0).max(24.0))
                .include_x(-MINUTE)
                .include_x(0.0)
                .include_y(0.0)
                .show_x(false)
                .allow_drag(false)
                .allow_zoom(false)
                .allow_scroll(false)
                .allow_boxed_zoom(false)
                .set_margin_fraction(vec2(0.0, 0.1));
            let line = Line::new(*name, PlotPoints::from(points)).color(Color32::from_rgb(88, 166, 255));
            let drawn = plot.show(ui, |plot| plot.line(line));
            describe(&drawn.response, accesskit::Role::Image, name, &format!("{value}, {}", self.0.len()));
        });
    }
}

struct Graph<'a> {
    name: &'a str,
    unit: &'a str,
    of: &'a dyn Fn(&ReceiveFigures) -> Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::receive::{ReceiveCounters, ReceiveReporter};
    use hevcast_net::Clock;
    use std::time::{Duration, Instant};

    #[test]
    fn a_minute_is_kept_and_a_new_stream_replaces_it() {
        let counters = ReceiveCounters::new(Clock::default());
        let begun = Instant::now();
        let mut reporter = ReceiveReporter::new(begun);
        let mut minute = LastMinute::default();
        for second in 1..=90 {
            let figures = reporter.second(&counters, begun + Duration::from_secs(second));
            minute.add(&figures);
            minute.add(&figures);
        }
        assert_eq!(minute.0.len(), 61);
        minute.add(&ReceiveReporter::new(begun).second(&counters, begun + Duration::from_secs(1)));
        assert_eq!(minute.0.len(), 1);
    }
}
