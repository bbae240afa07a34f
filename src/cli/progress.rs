//! Progress on standard error: bars and a live line on a terminal, occasional plain lines elsewhere.

use std::fmt;
use std::io::{Write as _, stderr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};

use crate::cli::table::{terminal_width, text_width};
use crate::cli::text::escape;
use crate::values::lock::lock;
use crate::values::progress::Progress;
use crate::values::units::Span;

/// The time between two plain lines without a terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
/// Redraws of a terminal per second.
const DRAWS_PER_SECOND: u8 = 10;

/// Standard error: permanent lines, and at most one live line below them.
#[derive(Clone, Default)]
pub struct Screen {
    live: Arc<Mutex<Option<WeakProgressBar>>>,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Screen")
    }
}

impl Screen {
    /// Prints a permanent line. A failure is ignored: there is nowhere left to report it.
    pub fn print(&self, line: &str) {
        self.around(|| {
            let _ = writeln!(stderr().lock(), "{line}");
        });
    }

    /// Hides the live line while `print` runs.
    pub fn around<R>(&self, print: impl FnOnce() -> R) -> R {
        let bar = lock(&self.live).as_ref().and_then(WeakProgressBar::upgrade);
        match bar {
            Some(bar) if !bar.is_finished() => bar.suspend(print),
            _ => print(),
        }
    }

    fn set_live(&self, bar: &ProgressBar) {
        *lock(&self.live) = Some(bar.downgrade());
    }
}

/// What a [`Bar`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown in binary units.
    Bytes,
    /// Anything else, by its plural name.
    Count(&'static str),
}

/// A progress bar, which disappears when dropped. Shows nothing without a terminal.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// Makes a bar labeled `what`.
    pub(super) fn new(screen: &Screen, live: bool, what: &str, unit: Unit) -> Bar {
        Bar::on(screen, target(live), what, unit)
    }

    fn on(screen: &Screen, target: ProgressDrawTarget, what: &str, unit: Unit) -> Bar {
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let template = match unit {
            Unit::Bytes => {
                "{msg} [{bar:24}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} left".to_owned()
            }
            Unit::Count(name) => format!("{{msg}} [{{bar:24}}] {{human_pos}}/{{human_len}} {name}, {{eta}} left"),
        };
        bar.set_style(style(&template));
        bar.set_message(escape(what).into_owned());
        screen.set_live(&bar);
        Bar { bar }
    }
}

impl Progress for Bar {
    fn start(&self, total: u64) {
        self.bar.set_length(total);
        self.bar.reset_eta();
    }

    fn advance(&self, units: u64) {
        self.bar.inc(units);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The line that shows the status of a run, which disappears when dropped.
///
/// On a terminal it is always the last line. Elsewhere a plain line is printed every ten seconds, first after ten.
#[derive(Debug)]
pub struct LiveLine {
    screen: Screen,
    notes: bool,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    /// The bar is not drawn: it estimates the time left. The width is that of the terminal now.
    Live {
        bar: ProgressBar,
        width: fn() -> u16,
        has_progress: Mutex<bool>,
    },
    Plain {
        last: Mutex<Instant>,
    },
    Never,
}

/// What the live line shows, the most important parts first.
#[derive(Debug, Default)]
pub struct LiveText {
    pub first: String,
    /// How much of how much is done.
    pub progress: Option<(u64, u64)>,
    pub rest: Vec<String>,
}

impl LiveLine {
    /// Makes a line that is `live` on a terminal or `plain` elsewhere; `notes` turns [`LiveLine::note`] on.
    pub(super) fn new(screen: &Screen, live: bool, plain: bool, notes: bool) -> LiveLine {
        let shown = match (live, plain) {
            (true, _) => return LiveLine::on(screen, target(true), error_width, notes),
            (false, true) => Shown::Plain { last: Mutex::new(Instant::now()) },
            (false, false) => Shown::Never,
        };
        LiveLine { screen: screen.clone(), notes, shown }
    }

    fn on(screen: &Screen, target: ProgressDrawTarget, width: fn() -> u16, notes: bool) -> LiveLine {
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style("{wide_msg}"));
        screen.set_live(&bar);
        LiveLine { screen: screen.clone(), notes, shown: Shown::Live { bar, width, has_progress: Mutex::new(false) } }
    }

    /// Shows `text` instead of the previous text, as many of its parts as fit.
    pub fn show(&self, text: &LiveText) {
        match &self.shown {
            Shown::Live { bar, width, has_progress } => {
                let progress = text.progress.map(|(done, total)| {
                    bar.set_length(total);
                    bar.set_position(done);
                    // What earlier runs did says nothing about the speed of this one.
                    if !std::mem::replace(&mut *lock(has_progress), true) {
                        bar.reset_eta();
                    }
                    let left = Duration::from_secs(bar.eta().as_secs());
                    let left = if left.is_zero() { String::new() } else { format!(", {} left", Span(left)) };
                    format!("{}%{left}", percent(done, total))
                });
                bar.set_message(fitting(text, progress, usize::from(width())));
            }
            Shown::Plain { last } => {
                if is_due(&mut lock(last), Instant::now()) {
                    let progress = text.progress.map(|(done, total)| format!("{}%", percent(done, total)));
                    self.screen.print(&fitting(text, progress, usize::MAX));
                }
            }
            Shown::Never => {}
        }
    }

    /// Prints a permanent line above the live one; silent with `--quiet`.
    pub fn note(&self, text: &str) {
        if self.notes {
            self.screen.print(&escape(text));
        }
    }

    /// Prints a warning above the live line.
    pub fn warn(&self, text: &str) {
        self.screen.print(&format!("warning: {}", escape(text)));
    }
}

impl Drop for LiveLine {
    fn drop(&mut self) {
        if let Shown::Live { bar, .. } = &self.shown {
            bar.finish_and_clear();
        }
    }
}

/// Joins the parts of `text` that fit into a line of `width` columns. The first one is always there.
fn fitting(text: &LiveText, progress: Option<String>, width: usize) -> String {
    let mut line = escape(&text.first).into_owned();
    for part in progress.iter().chain(&text.rest) {
        let longer = format!("{line}, {}", escape(part));
        if text_width(&longer) >= width {
            break;
        }
        line = longer;
    }
    line
}

/// Returns the width of the terminal of standard error, or 80 if it is unknown.
fn error_width() -> u16 {
    terminal_width(stderr())
}

fn target(live: bool) -> ProgressDrawTarget {
    if live { ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND) } else { ProgressDrawTarget::hidden() }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are well formed").progress_chars("=> ")
}

fn is_due(last: &mut Instant, now: Instant) -> bool {
    let due = now.saturating_duration_since(*last) >= PLAIN_EVERY;
    if due {
        *last = now;
    }
    due
}

fn percent(position: u64, total: u64) -> u64 {
    match total {
        0 => 100,
        _ => u64::try_from(u128::from(position.min(total)) * 100 / u128::from(total)).unwrap_or(100),
    }
}

#[cfg(test)]
mod tests;
