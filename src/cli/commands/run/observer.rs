//! Reports the events and the status of a run, on the terminal or in the log.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::events::texts;
use crate::cli::log::{Journal, Level};
use crate::cli::progress::{LiveLine, LiveText};
use crate::runner::observer::{Observer, RunEvent, Status};
use crate::runner::wall_clock::WallClock;
use crate::values::lock::lock;
use crate::values::units::{Bytes, Count, Rate, Span};

/// The time between two `progress` events in the log.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Prints notes, warnings and a live line.
pub(super) struct StatusPrinter {
    pub(super) line: LiveLine,
    pub(super) job: String,
    pub(super) clock: WallClock,
    /// Whether the job makes checkpoints.
    pub(super) has_checkpoints: bool,
}

impl Observer for StatusPrinter {
    fn event(&self, event: &RunEvent) {
        for event in texts(event, self.clock.now()).into_iter().filter(|event| !event.log_only) {
            let text = format!("{}: {}", self.job, event.message);
            match event.level {
                Level::Info => self.line.note(&text),
                Level::Warning | Level::Error => self.line.warn(&text),
            }
        }
    }

    fn status(&self, status: &Status) {
        let rate = Rate { count: status.records_of_run, elapsed: status.elapsed };
        let records = format!("{} records", Count(status.records));
        let mut rest = vec![
            rate.to_string(),
            format!("{} keys", Count(status.keys)),
            format!("state {}", Bytes(status.memory_bytes)),
        ];
        let first = match status.last {
            Some((sequence, at, took)) => {
                rest.insert(0, records);
                let age = Span(Duration::from_secs(at.elapsed().as_secs()));
                format!("checkpoint {} is {age} old (took {})", sequence.0, Span(took))
            }
            None if self.has_checkpoints => {
                rest.insert(0, records);
                "no checkpoint yet".to_owned()
            }
            None => records,
        };
        let progress = status.total_bytes.map(|total| (status.input_bytes, total));
        self.line.show(&LiveText { first, progress, rest });
    }
}

/// Writes one line of JSON per event, and one every ten seconds for the progress.
pub(super) struct LogWriter {
    journal: Journal,
    clock: WallClock,
    last_progress: Mutex<Instant>,
}

impl LogWriter {
    /// Makes a writer whose first `progress` event comes after ten seconds. Ages in messages are by `clock`.
    pub(super) fn new(journal: Journal, clock: WallClock) -> LogWriter {
        LogWriter { journal, clock, last_progress: Mutex::new(Instant::now()) }
    }
}

impl Observer for LogWriter {
    fn event(&self, event: &RunEvent) {
        for event in texts(event, self.clock.now()) {
            self.journal.write(event.level, event.name, &event.message, &event.fields);
        }
    }

    fn status(&self, status: &Status) {
        let mut last = lock(&self.last_progress);
        if last.elapsed() < PROGRESS_EVERY {
            return;
        }
        *last = Instant::now();
        let rate = Rate { count: status.records_of_run, elapsed: status.elapsed };
        let message = format!("{} records, {rate}", Count(status.records));
        let fields = json!({
            "records": status.records,
            "records_per_second": rate.per_second(),
            "input_bytes": status.input_bytes,
            "total_bytes": status.total_bytes,
            "lag_bytes": status.lag_bytes,
            "keys": status.keys,
            "memory_bytes": status.memory_bytes,
            "checkpoints": status.checkpoints,
        });
        let Value::Object(fields) = fields else { unreachable!("the fields are an object") };
        self.journal.write(Level::Info, "progress", &message, &fields);
    }
}

/// Passes everything to several observers.
pub(super) struct All<'a>(pub(super) Vec<&'a dyn Observer>);

impl Observer for All<'_> {
    fn event(&self, event: &RunEvent) {
        self.0.iter().for_each(|observer| observer.event(event));
    }

    fn status(&self, status: &Status) {
        self.0.iter().for_each(|observer| observer.status(status));
    }
}
