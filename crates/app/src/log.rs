//! The log on standard error: a line for each event, with a limited rate of lines from each place in the program, since peers
//! can cause them.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::ValueEnum;
use hevcast_wire::shown::shown_line;
use hevcast_wire::token_bucket::TokenBucket;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Format of the log's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line, with the ids of connection and session as fields.
    Json,
}

/// Lines of one place that may be written in a row.
const BURST: f64 = 200.0;
/// Lines of one place that may be written each second after that.
const PER_SECOND: f64 = 10.0;

/// Lines dropped since the last line that says so.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Logs to standard error from now on. `verbose` is how often `-v` was given; `RUST_LOG` overrides it.
pub(crate) fn to_stderr(verbose: u8, form: LogFormat) {
    let level = match verbose {
        0 => "hevcast=info,hevcast_server=warn,hevcast_net=warn",
        1 => "hevcast=debug,hevcast_server=info,hevcast_net=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || Escaping { to: std::io::stderr(), form })
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let lines = match form {
        LogFormat::Text => lines.compact().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter.and(RateLimit::default()))).init();
}

/// Limits the rate of lines of each place in the program, and counts those that it drops. Levels below [`Level::INFO`] are
/// logged only on request, and are not limited.
#[derive(Debug, Default)]
struct RateLimit {
    /// By call site; the program has a fixed number of them.
    places: Mutex<HashMap<Identifier, Place>>,
}

/// The lines that one place may still write.
#[derive(Debug)]
struct Place(TokenBucket);

impl Place {
    fn new(now: Instant) -> Place {
        Place(TokenBucket::full(PER_SECOND, BURST, now))
    }

    /// Whether another line may be written.
    fn takes(&mut self, now: Instant) -> bool {
        self.0.refill(now);
        self.0.try_take(1.0)
    }
}

impl<S> Filter<S> for RateLimit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let now = Instant::now();
        let mut places = self.places.lock();
        let takes = places.entry(event.metadata().callsite()).or_insert_with(|| Place::new(now)).takes(now);
        if !takes {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        takes
    }
}

/// The line that tells of dropped ones.
fn dropped_line(lines: u64, form: LogFormat) -> String {
    let words = format!("{lines} lines were dropped from the log: too many of the same kind");
    match form {
        LogFormat::Text => format!("{words}\n"),
        LogFormat::Json => format!("{}\n", serde_json::json!({ "level": "WARN", "message": words })),
    }
}

/// Writes lines of the log with control characters escaped, so that text from peers neither controls the terminal nor looks
/// like a line of its own.
struct Escaping<W> {
    to: W,
    form: LogFormat,
}

impl<W: Write> Write for Escaping<W> {
    /// Takes whole lines, as `tracing-subscriber` writes them: one event at a time. Colours are written by it; it has already
    /// escaped those in text from peers.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        let mut safe = String::with_capacity(bytes.len());
        let mut parts = line.split("\u{1b}[");
        safe.push_str(&shown_line(parts.next().unwrap_or_default()));
        for part in parts {
            let colour = part.find(|c: char| !(c.is_ascii_digit() || c == ';')).unwrap_or(part.len());
            let (numbers, rest) = part.split_at(colour);
            match rest.strip_prefix('m') {
                Some(rest) => safe += &format!("\u{1b}[{numbers}m{}", shown_line(rest)),
                None => safe += &shown_line(&format!("\u{1b}[{part}")),
            }
        }
        safe.push_str(end);
        let lines = DROPPED.swap(0, Ordering::Relaxed);
        if lines > 0 {
            safe.insert_str(0, &dropped_line(lines, self.form));
        }
        self.to.write_all(safe.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_of_the_log_stays_one_and_cannot_control_the_terminal() {
        let mut written = Escaping { to: Vec::new(), form: LogFormat::Text };
        written
            .write_all("\u{1b}[2mWARN\u{1b}[0m a\r\nb\u{1b}]0;title\u{7}\u{1b}[2J\u{202e}\u{9b}5m\n".as_bytes())
            .unwrap();
        let text = String::from_utf8(written.to).unwrap();
        assert_eq!(text, "\u{1b}[2mWARN\u{1b}[0m a\\u{d}\\u{a}b\\u{1b}]0;title\\u{7}\\u{1b}[2J\\u{202e}\\u{9b}5m\n");
    }

    #[test]
    fn a_flood_of_one_kind_leaves_few_lines() {
        let start = Instant::now();
        let mut place = Place::new(start);
        let flood = (0..60_000).filter(|ms| place.takes(start + Duration::from_millis(*ms))).count();
        assert!((790..=800).contains(&flood), "{flood} in a minute");
        let mut place = Place::new(start);
        assert!(
            (0..100_u64).all(|second| place.takes(start + Duration::from_secs(second))),
            "a rare one always passes"
        );
    }

    #[test]
    fn dropped_lines_are_counted_in_either_format() {
        assert!(dropped_line(7, LogFormat::Text).starts_with("7 lines"));
        let line: serde_json::Value = serde_json::from_str(&dropped_line(7, LogFormat::Json)).unwrap();
        assert_eq!(line["level"], "WARN");
        assert!(line["message"].as_str().unwrap().starts_with("7 lines"));
    }
}
