//! The attempts to make a checkpoint, and what else happened.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use super::axis::Scale;
use super::chart::{Chart, Series};
use super::page::{Page, left_out, section};
use super::table::{Cell, Kind, Table};
use crate::cli::commands::log::rows::{cause, done, effect, outcome, start};
use crate::cli::text::{counted, trigger};
use crate::ops::log::Happening;
use crate::store::records::attempts::{Attempt, AttemptOutcome};
use crate::values::units::{Bytes, Count, Span};

/// How many of the newest entries the table has.
const MAX_ROWS: usize = 300;

impl Page<'_> {
    /// Returns the section about attempts.
    pub(super) fn timeline(&self) -> Markup {
        let happenings = &self.report.log.happenings;
        let attempts: Vec<&Attempt> = self.report.log.attempts().collect();
        let failed = attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Failed).count() as u64;
        let elided = attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Elided).count() as u64;
        let committed = attempts.len() as u64 - failed - elided;
        let shown = &happenings[happenings.len().saturating_sub(MAX_ROWS)..];
        let table = Table {
            caption: "What happened, newest first",
            columns: vec![
                ("When", Kind::Text),
                ("Cause", Kind::Text),
                ("Outcome", Kind::Wide),
                ("Took", Kind::Number),
                ("Pause", Kind::Number),
                ("New bytes", Kind::Number),
                ("Records", Kind::Number),
            ],
            rows: shown.iter().rev().map(|happening| self.happening(happening)).collect(),
        };
        let dropped = self.report.log.dropped;
        section(
            "timeline",
            html! {
                p {
                    (counted(attempts.len() as u64, "attempt")) " in the log: " (Count(committed)) " committed, "
                    (Count(elided)) " with nothing new, " (Count(failed)) " failed."
                    @if dropped > 0 { " The log no longer has the first " (counted(dropped, "attempt")) "." }
                }
                div.charts {
                    (self.durations(&attempts).html(&self.zone))
                    (self.new_bytes(&attempts).html(&self.zone))
                }
                (table.html("timeline-table", left_out(shown.len(), happenings.len(), "newest")))
            },
        )
    }

    fn durations(&self, attempts: &[&Attempt]) -> Chart {
        let ran = |attempt: &&&Attempt| attempt.outcome != AttemptOutcome::Elided;
        let series = |name: &str, micros: fn(&Attempt) -> u64| Series {
            name: name.to_owned(),
            points: attempts.iter().filter(ran).map(|attempt| (attempt.time, micros(attempt) as f64 / 1e6)).collect(),
        };
        Chart {
            title: "Duration of attempts",
            scale: Scale::Decimal,
            unit: seconds,
            series: vec![series("from cut to commit", Attempt::total_micros), series("pause", |one| one.pause_micros)],
            failures: attempts
                .iter()
                .filter(|attempt| attempt.outcome == AttemptOutcome::Failed)
                .map(|attempt| attempt.time)
                .collect(),
        }
    }

    fn new_bytes(&self, attempts: &[&Attempt]) -> Chart {
        let committed = attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Committed);
        Chart {
            title: "New bytes per checkpoint",
            scale: Scale::Bytes,
            unit: bytes,
            series: vec![Series {
                name: "new bytes".to_owned(),
                points: committed.map(|attempt| (attempt.time, attempt.new_bytes as f64)).collect(),
            }],
            failures: Vec::new(),
        }
    }

    fn happening(&self, happening: &Happening) -> Vec<Cell> {
        let when = self.when(happening.time());
        let records = |records: Option<u64>| records.map_or(Cell::none(), |n| Cell::number(Count(n), n as f64));
        match happening {
            Happening::Attempt(attempt) => {
                let manifest = attempt.sequence.and_then(|sequence| self.report.manifest(sequence));
                let is_new = attempt.outcome == AttemptOutcome::Committed;
                vec![
                    when,
                    Cell::text(trigger(attempt.trigger)),
                    Cell::text(outcome(attempt)),
                    micros(attempt.total_micros()),
                    micros(attempt.pause_micros),
                    if is_new { size(attempt.new_bytes) } else { Cell::none() },
                    records(manifest.map(|manifest| manifest.totals.records)),
                ]
            }
            Happening::Checkpoint(manifest) => {
                let from = manifest.restored_from.map(|from| format!(", with the content of {}", from.0));
                vec![
                    when,
                    Cell::text(trigger(manifest.trigger)),
                    Cell::text(format!("checkpoint {}{}", manifest.sequence.0, from.unwrap_or_default())),
                    micros(manifest.timings.snapshot_micros.saturating_add(manifest.timings.write_micros)),
                    micros(manifest.timings.pause_micros),
                    size(manifest.totals.new_bytes),
                    records(Some(manifest.totals.records)),
                ]
            }
            Happening::Event(event) => {
                let none = Cell::none;
                vec![when, Cell::text(cause(event)), Cell::text(effect(event)), none(), none(), none(), none()]
            }
            Happening::Start(run) => {
                let none = Cell::none;
                vec![when, Cell::text("run"), Cell::text(start(run)), none(), none(), none(), none()]
            }
            Happening::Operation(operation) => {
                let none = Cell::none;
                let (cause, elapsed, what) = done(&operation.what);
                let elapsed = elapsed.map_or_else(none, micros);
                vec![when, Cell::text(cause), Cell::text(what), elapsed, none(), none(), none()]
            }
        }
    }

    /// Returns a cell with a time.
    pub(super) fn when(&self, time: Timestamp) -> Cell {
        Cell::number(self.times.show(time), time.as_millisecond() as f64)
    }
}

fn micros(micros: u64) -> Cell {
    Cell::number(Span(Duration::from_micros(micros)), micros as f64)
}

/// Returns a cell with a number of bytes.
pub(super) fn size(bytes: u64) -> Cell {
    Cell::number(Bytes(bytes), bytes as f64)
}

/// Writes a number of bytes on an axis.
pub(super) fn bytes(value: f64) -> String {
    Bytes(value as u64).to_string()
}

fn seconds(value: f64) -> String {
    Duration::try_from_secs_f64(value).map_or_else(|_| String::new(), |duration| Span(duration).to_string())
}
