//! The log as a table.

use std::time::Duration;

use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::times::Times;
use crate::cli::ui::Ui;
use crate::ops::log::{Happening, Origin, Start, Unended};
use crate::store::records::attempts::{Attempt, AttemptOutcome};
use crate::store::records::history::{Event, EventKind, Range};
use crate::store::records::operations::{Operation, OperationKind, RunEnd};
use crate::values::units::{Bytes, Count, Span};

/// Returns the table of `happenings`. If `is_followed`, others follow it.
pub(super) fn table(happenings: &[Happening], is_followed: bool, ui: &Ui) -> Table {
    let least = |text: &str| if is_followed { text.len() } else { 0 };
    let times = ui.times(happenings.iter().map(Happening::time));
    let mut table = Table::new(vec![
        Column::number("NUMBER"),
        Column::text("WHEN"),
        Column::text("CAUSE").at_least(least("end of input")),
        Column::number("TOOK").at_least(least("999 ms")).optional(),
        Column::number("NEW").at_least(least("999.9 MiB")).optional(),
        Column::wrapped("OUTCOME"),
    ]);
    let mut rest = happenings;
    while let [first, ..] = rest {
        // An idle job has nothing new again and again: that is one line.
        let (row, used) = match quiet_runs(rest) {
            Some(runs) => (quiet_row(&rest[..2 * runs], &times), 2 * runs),
            None => {
                let alike = 1 + rest.windows(2).take_while(|pair| are_quiet_alike(&pair[0], &pair[1])).count();
                (row(first, &rest[..alike], &times), alike)
            }
        };
        table.row(row);
        rest = &rest[used..];
    }
    table
}

/// Returns how many runs at the start of `happenings` follow each other and found nothing new, if there are any. Each
/// is its start and its end.
fn quiet_runs(happenings: &[Happening]) -> Option<usize> {
    let is_quiet = |pair: &&[Happening]| {
        let [Happening::Start(start), Happening::Operation(end)] = pair else { return false };
        let is_of_run = start.operation.run == end.run && start.operation.restart == end.restart;
        is_of_run && matches!(end.what, OperationKind::Ended(RunEnd { records: 0, checkpoints: 0, .. }))
    };
    Some(happenings.chunks(2).take_while(is_quiet).count()).filter(|count| *count > 0)
}

/// Returns the row of runs that found nothing new.
fn quiet_row(runs: &[Happening], times: &Times) -> [String; 6] {
    let elapsed = runs.get(1).map_or(0, |end| match end {
        Happening::Operation(Operation { what: OperationKind::Ended(end), .. }) => end.elapsed_micros,
        _ => 0,
    });
    let outcome = match runs.len() / 2 {
        1 => "found nothing new".to_owned(),
        count => {
            let last = times.show(runs[runs.len() - 2].time());
            format!("found nothing new, {} times until {last}", Count(count as u64))
        }
    };
    [nothing(), times.show(runs[0].time()), "run".to_owned(), took(elapsed), nothing(), outcome]
}

/// Returns the row of `happening`, which stands for all of `alike`.
fn row(happening: &Happening, alike: &[Happening], times: &Times) -> [String; 6] {
    let when = times.show(happening.time());
    match happening {
        Happening::Attempt(attempt) => [
            attempt.number.to_string(),
            when,
            text::trigger(attempt.trigger).to_owned(),
            took(attempt.total_micros()),
            if attempt.outcome == AttemptOutcome::Committed { Bytes(attempt.new_bytes).to_string() } else { nothing() },
            if alike.len() > 1 {
                let last = times.show(alike[alike.len() - 1].time());
                format!("{}, {} times until {last}", outcome(attempt), Count(alike.len() as u64))
            } else {
                outcome(attempt)
            },
        ],
        Happening::Checkpoint(manifest) => [
            nothing(),
            when,
            text::trigger(manifest.trigger).to_owned(),
            took(manifest.timings.snapshot_micros.saturating_add(manifest.timings.write_micros)),
            Bytes(manifest.totals.new_bytes).to_string(),
            match manifest.restored_from {
                Some(from) => format!("checkpoint {}, with the content of {}", manifest.sequence.0, from.0),
                None => format!("checkpoint {}", manifest.sequence.0),
            },
        ],
        Happening::Event(event) => [nothing(), when, cause(event).to_owned(), nothing(), nothing(), effect(event)],
        Happening::Start(run) => [nothing(), when, "run".to_owned(), nothing(), nothing(), start(run)],
        Happening::Operation(operation) => {
            let (cause, elapsed, what) = done(&operation.what);
            [nothing(), when, cause.to_owned(), elapsed.map_or_else(nothing, took), nothing(), what]
        }
    }
}

fn nothing() -> String {
    "-".to_owned()
}

/// Tells whether two successive attempts of a run had the same cause and nothing new.
fn are_quiet_alike(one: &Happening, next: &Happening) -> bool {
    let (Happening::Attempt(one), Happening::Attempt(next)) = (one, next) else { return false };
    let is_quiet = |attempt: &Attempt| attempt.outcome == AttemptOutcome::Elided;
    is_quiet(one) && is_quiet(next) && one.trigger == next.trigger && one.run == next.run
}

fn took(micros: u64) -> String {
    Span(Duration::from_micros(micros)).to_string()
}

/// Says what a run started from.
pub(crate) fn start(run: &Start) -> String {
    let started = if run.operation.restart > 0 { "restarted" } else { "started" };
    let origin = match run.origin {
        None => started.to_owned(),
        Some(Origin::Scratch) => format!("{started} from scratch"),
        Some(Origin::Checkpoint { sequence, records }) => {
            format!("{started}, resumed from checkpoint {} ({})", sequence.0, text::counted(records, "record"))
        }
    };
    match run.unended {
        None => origin,
        Some(Unended::Running) => format!("{origin}; still running"),
        Some(Unended::Killed) => format!("{origin}; killed"),
        Some(Unended::Unknown) => format!("{origin}; killed or still running"),
    }
}

/// Returns the cause of an operation, how long it took in microseconds, and what was done.
pub(crate) fn done(what: &OperationKind) -> (&'static str, Option<u64>, String) {
    let all_of = |end: &RunEnd| {
        let latest = end.latest.map_or_else(String::new, |latest| format!(", latest checkpoint {}", latest.0));
        format!("{}{latest}", text::counted(end.records, "record"))
    };
    match what {
        OperationKind::Started { .. } => ("run", None, "started".to_owned()),
        OperationKind::FromScratch => ("run", None, "started from scratch".to_owned()),
        OperationKind::Resumed { sequence, records } => {
            ("run", None, format!("resumed from checkpoint {} ({})", sequence.0, text::counted(*records, "record")))
        }
        OperationKind::WentBack { sequence, skipped } => {
            let mut skipped: Vec<u64> = skipped.iter().map(|sequence| sequence.0).collect();
            skipped.sort_unstable();
            let all = text::ranges(&skipped);
            ("run", None, format!("went back to checkpoint {}: skipped {all}, damaged", sequence.0))
        }
        OperationKind::Rerouted { keys, old_tasks, new_tasks } => {
            let keys = text::counted(*keys, "key");
            ("run", None, format!("re-routed {keys} from {old_tasks} to {new_tasks} tasks"))
        }
        OperationKind::Ended(end) => ("run", Some(end.elapsed_micros), format!("ended: {}", all_of(end))),
        OperationKind::Stopped(end) => ("run", Some(end.elapsed_micros), format!("stopped: {}", all_of(end))),
        OperationKind::Failed { error, elapsed_micros } => ("run", Some(*elapsed_micros), format!("failed: {error}")),
        OperationKind::Repaired { files } => ("verify", None, format!("repaired {}", text::counted(*files, "file"))),
        OperationKind::Other => ("-", None, "an operation of a later version of ckpt".to_owned()),
    }
}

/// Says what came of an attempt.
pub(crate) fn outcome(attempt: &Attempt) -> String {
    match (attempt.outcome, attempt.sequence, &attempt.error) {
        (AttemptOutcome::Committed, Some(sequence), _) => format!("checkpoint {}", sequence.0),
        (AttemptOutcome::Committed, None, _) => "checkpoint".to_owned(),
        (AttemptOutcome::Elided, ..) => "nothing new".to_owned(),
        (AttemptOutcome::Failed, _, None) => "failed".to_owned(),
        (AttemptOutcome::Failed, _, Some(error)) => format!("failed: {error}"),
    }
}

/// Names the command that caused an event.
pub(crate) fn cause(event: &Event) -> &'static str {
    match event.event {
        EventKind::Pruned
        | EventKind::Undone
        | EventKind::RemovedLeftovers
        | EventKind::Expired
        | EventKind::Kept
        | EventKind::Folded => "prune",
        EventKind::LeftOut => "copy",
        EventKind::Other => "-",
    }
}

/// Says what happened.
pub(crate) fn effect(event: &Event) -> String {
    let in_range = |range: &Range| range.last.0.saturating_sub(range.first.0).saturating_add(1);
    let in_ranges = event.ranges.iter().map(in_range).fold(event.checkpoints.len() as u64, u64::saturating_add);
    let count = text::counted(in_ranges, "checkpoint");
    let bytes = if event.bytes > 0 { format!(" ({})", Bytes(event.bytes)) } else { String::new() };
    match event.event {
        EventKind::Pruned => format!("pruned {count}{bytes}"),
        EventKind::Undone => format!("brought back {count}"),
        EventKind::LeftOut => format!("left out {count}"),
        EventKind::RemovedLeftovers => {
            format!("removed {}{bytes}", text::counted(event.files.unwrap_or(0), "leftover file"))
        }
        EventKind::Expired => format!("deleted {count}"),
        EventKind::Kept => format!("kept {count}, pinned meanwhile"),
        EventKind::Folded => format!("older prunes of {count}{bytes}"),
        EventKind::Other => "an event of a later version of ckpt".to_owned(),
    }
}
