//! Delay over time as a picture: SVG, written by hand.
//!
//! The scale is logarithmic, as one program's delay may be a hundred times another's. Time is when a picture was shown.
//! For each step of time there is the median as a line, and the range up to the greatest as a shade behind it; where
//! nothing was shown there is neither.

use std::ops::Range;
use std::time::Duration;

use super::camera::Sample;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 380.0;
/// Around the field: left, top, right, bottom.
const LEFT: f64 = 64.0;
const TOP: f64 = 46.0;
const RIGHT: f64 = 16.0;
const BOTTOM: f64 = 44.0;
/// The scale's ends, ms. What is beyond is drawn at its edge.
const LEAST_MS: f64 = 5.0;
const MOST_MS: f64 = 20_000.0;
/// Delays with a line and a name.
const MARKS: [(f64, &str); 8] = [
    (10.0, "10 ms"),
    (30.0, "30 ms"),
    (100.0, "100 ms"),
    (300.0, "300 ms"),
    (1000.0, "1 s"),
    (3000.0, "3 s"),
    (10_000.0, "10 s"),
    (MOST_MS, ""),
];
/// Steps of time in the picture, at most.
const STEPS: f64 = 480.0;
/// A step is at least this long, s: three pictures.
const LEAST_STEP_S: f64 = 0.1;
/// Without a picture for this long the line is broken, s.
const BREAK_S: f64 = 0.3;

/// A line of the plot.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// As the legend calls it.
    pub name: &'a str,
    /// Its colour, as SVG writes it.
    pub colour: &'a str,
    /// Its pictures.
    pub samples: &'a [Sample],
}

/// A step of time in which pictures were shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    at_s: f64,
    median_ms: f64,
    max_ms: f64,
}

fn steps(samples: &[Sample], length_s: f64) -> Vec<Step> {
    let step_s = step_s(length_s);
    let index = |sample: &Sample| (sample.shown_s / step_s) as usize;
    let shown: Vec<&Sample> = samples.iter().filter(|s| (0.0..=length_s).contains(&s.shown_s)).collect();
    let groups = shown.chunk_by(|a, b| index(a) == index(b));
    groups
        .map(|group| {
            let mut delays: Vec<f64> = group.iter().map(|sample| sample.delay_ms()).collect();
            delays.sort_by(f64::total_cmp);
            let at_s = (index(group[0]) as f64 + 0.5) * step_s;
            Step { at_s, median_ms: delays[delays.len() / 2], max_ms: delays[delays.len() - 1] }
        })
        .collect()
}

fn step_s(length_s: f64) -> f64 {
    (length_s / STEPS).max(LEAST_STEP_S)
}

fn y(delay_ms: f64) -> f64 {
    let share = (delay_ms.clamp(LEAST_MS, MOST_MS) / LEAST_MS).ln() / (MOST_MS / LEAST_MS).ln();
    TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share)
}

/// The plot, of the first `length`, with `bands` shaded: `band_name` says what they are.
pub fn svg(title: &str, length: Duration, bands: &[Range<Duration>], band_name: &str, series: &[Series<'_>]) -> String {
    let length_s = length.as_secs_f64();
    let x = |at_s: f64| LEFT + (WIDTH - LEFT - RIGHT) * at_s / length_s;
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut out = String::new();
    let mut put = |text: String| out += &text;
    put(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"14\" font-weight=\"bold\" fill=\"#222222\">{title}</text>\n"
    ));
    for band in bands {
        let (from, to) = (x(band.start.as_secs_f64()), x(band.end.as_secs_f64()).min(right));
        let (wide, high) = ((to - from).max(0.5), bottom - TOP);
        put(format!("<rect x=\"{from:.1}\" y=\"{TOP}\" width=\"{wide:.1}\" height=\"{high:.1}\" fill=\"#e3e3e3\"/>\n"));
    }
    for (delay_ms, name) in MARKS {
        let y = y(delay_ms);
        put(format!(
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#bbbbbb\" stroke-width=\"0.6\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#333333\">{name}</text>\n",
            LEFT - 6.0,
            y + 4.0
        ));
    }
    let mark_s = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0].into_iter().find(|mark| length_s / mark <= 12.0).unwrap_or(120.0);
    for at in (0..).map(|mark| f64::from(mark) * mark_s).take_while(|at| *at <= length_s) {
        put(format!(
            "<path d=\"M{0:.1} {bottom}v4\" stroke=\"#333333\"/><text x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"middle\" \
             fill=\"#333333\">{at}</text>\n",
            x(at),
            bottom + 17.0
        ));
    }
    put(format!(
        "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#333333\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#333333\">time, s</text>\n\
         <text x=\"14\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#333333\" transform=\"rotate(-90 14 {2:.1})\">delay</text>\n",
        f64::midpoint(LEFT, right),
        HEIGHT - 8.0,
        f64::midpoint(TOP, bottom),
    ));
    for Series { colour, samples, .. } in series {
        let steps = steps(samples, length_s);
        let broken = BREAK_S.max(1.5 * step_s(length_s));
        for run in steps.chunk_by(|a, b| b.at_s - a.at_s <= broken) {
            let point = |at_s: f64, ms: f64| format!("{:.1} {:.1}", x(at_s), y(ms));
            let medians: Vec<String> = run.iter().map(|step| point(step.at_s, step.median_ms)).collect();
            let maxima: Vec<String> = run.iter().rev().map(|step| point(step.at_s, step.max_ms)).collect();
            let line = medians.join("L");
            put(format!(
                "<path d=\"M{line}L{}Z\" fill=\"{colour}\" fill-opacity=\"0.25\"/>\
                 <path d=\"M{line}h.1\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" stroke-linejoin=\"round\" \
                 stroke-linecap=\"round\"/>\n",
                maxima.join("L")
            ));
        }
    }
    let mut left = LEFT;
    for (name, colour) in series
        .iter()
        .map(|series| (series.name, series.colour))
        .chain((!bands.is_empty()).then_some((band_name, "#e3e3e3")))
    {
        put(format!(
            "<rect x=\"{left}\" y=\"27\" width=\"14\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"36\" \
             fill=\"#222222\">{name}</text>\n",
            left + 19.0
        ));
        left += 40.0 + 6.6 * name.len() as f64;
    }
    put("</svg>\n".to_owned());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(length: f64, delay_ms: impl Fn(f64) -> f64) -> Vec<Sample> {
        let shown = (0..).map(|number| f64::from(number) / 30.0).take_while(|shown| *shown < length);
        shown.map(|shown_s| Sample { taken_s: shown_s - delay_ms(shown_s) / 1000.0, shown_s }).collect()
    }

    #[test]
    fn a_step_has_its_median_and_its_greatest() {
        let all = samples(1.0, |shown| if (0.49..0.52).contains(&shown) { 300.0 } else { 20.0 });
        let steps = steps(&all, 20.0);
        assert_eq!(steps.len(), 10);
        assert!((steps[5].median_ms - 20.0).abs() < 1e-6 && (steps[5].max_ms - 300.0).abs() < 1e-6);
        assert!((steps[5].at_s - 0.55).abs() < 1e-9);
    }

    #[test]
    fn the_scale_keeps_within_its_field() {
        assert!(y(10.0) > y(100.0) && y(100.0) > y(1000.0));
        assert_eq!((y(0.1), y(1e9)), (HEIGHT - BOTTOM, TOP));
    }

    #[test]
    fn a_long_run_is_small_and_broken_where_nothing_was_shown() {
        let delay = |shown: f64| 20.0 + 10_000.0 * (shown * 1.7).sin().abs();
        let all = samples(600.0, delay);
        let holed: Vec<Sample> = all.iter().filter(|s| !(100.0..110.0).contains(&s.shown_s)).copied().collect();
        let series =
            [("ours", &all), ("theirs", &holed)].map(|(name, samples)| Series { name, colour: "#0072b2", samples });
        let stall = Duration::from_secs(100)..Duration::from_secs(110);
        let plot = svg("delay", Duration::from_secs(600), std::slice::from_ref(&stall), "stall", &series);
        assert!(plot.len() < 60 * 1024, "{} bytes", plot.len());
        assert_eq!(plot.matches("fill-opacity").count(), 3, "one whole, and one in two parts");
        assert!(plot.starts_with("<svg") && plot.ends_with("</svg>\n"));
        assert!(plot.contains(">ours</text>") && plot.contains(">stall</text>") && plot.contains(">10 s</text>"));
        assert!(!plot.contains("NaN"));
    }
}
