//! What the user sees of a download. The store reports to a [`FetchProgress`] and does not know whether the user sees a
//! bar, a line or nothing.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Receives the store's reports while it works.
pub trait FetchProgress: Send + Sync {
    /// A transfer begins. `total` is its size in bytes, if that is known.
    fn begin(&self, what: &str, total: Option<u64>) -> Box<dyn Meter>;

    /// One sentence that the user should read while the work continues.
    fn note(&self, sentence: &str);
}

/// Follows one transfer. Dropping it removes the bar.
pub trait Meter {
    /// So far, `bytes` of the file have arrived.
    fn at(&mut self, bytes: u64);
}

/// Shows nothing.
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

/// Shows bars on stderr with size, rate and time left. If stderr is not a terminal, shows one plain line per transfer.
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
        // A download continues even if stderr is closed.
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

/// A size for people to read, in units of a million bytes.
pub fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{bytes} bytes"),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
