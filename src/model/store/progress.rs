//! What the user sees of a download. The store reports to a [`FetchProgress`]; whether that is a bar, a line or nothing is
//! not its affair.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Receives what the store has to say while it works.
pub trait FetchProgress: Send + Sync {
    /// A transfer begins; `total` is its size in bytes, where that is known.
    fn begin(&self, what: &str, total: Option<u64>) -> Box<dyn Meter>;

    /// Something that the user should know although the work goes on: one sentence.
    fn note(&self, sentence: &str);
}

/// Follows one transfer. Dropping it takes the bar away.
pub trait Meter {
    /// `bytes` of the whole are there.
    fn at(&mut self, bytes: u64);
}

/// Says nothing.
pub struct NoProgress;

impl FetchProgress for NoProgress {
    fn begin(&self, _what: &str, _total: Option<u64>) -> Box<dyn Meter> {
        Box::new(SilentMeter)
    }

    fn note(&self, _sentence: &str) {}
}

struct SilentMeter;

impl Meter for SilentMeter {
    fn at(&mut self, _bytes: u64) {}
}

/// Bars on stderr with size, rate and time left; one plain line a transfer where stderr is no terminal.
pub struct TerminalProgress;

impl FetchProgress for TerminalProgress {
    fn begin(&self, what: &str, total: Option<u64>) -> Box<dyn Meter> {
        if !std::io::stderr().is_terminal() {
            match total {
                Some(total) => self.note(&format!("fetching {what} ({})", megabytes(total))),
                None => self.note(&format!("fetching {what}")),
            }
            return Box::new(SilentMeter);
        }
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{msg} {bar:24} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}, {eta} left",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {msg} {decimal_bytes} {decimal_bytes_per_sec}",
            ),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Box::new(Bar(bar))
    }

    fn note(&self, sentence: &str) {
        // A closed stderr is no reason to stop a download.
        let _ = writeln!(std::io::stderr().lock(), "{sentence}");
    }
}

struct Bar(ProgressBar);

impl Meter for Bar {
    fn at(&mut self, bytes: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A size as people read it, in units of a million bytes.
pub fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{bytes} bytes"),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
