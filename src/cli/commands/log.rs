//! `ckpt log`: shows what happened to a store.

use std::time::Duration;

use jiff::{Timestamp, Zoned};
use serde::Serialize;

use crate::cli::args::{StoreArg, most};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::StoreHead;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::format::manifest::Trigger;
use crate::ops::log::{Happening, Log, Selection, log};
use crate::store::Store;
use crate::store::records::attempts::{Attempt, AttemptOutcome};
use crate::store::records::history::{Event, EventKind, Range};
use crate::values::id::Sequence;
use crate::values::units;
use crate::values::units::{Bytes, Count, Span};

/// Show what happened to a store, newest last
///
/// Prints one line per attempt to make a checkpoint: when it was made, what
/// caused it, how long it took, how many bytes were new, and the outcome. The
/// outcome is a committed checkpoint, no checkpoint because nothing had changed,
/// or an error. Restores and prunes are listed in between. Successive attempts
/// that had nothing new share a line. A time that is shown can be given back to
/// --since, or as STORE@TIME.
///
/// The job may be running. In a very long log, the oldest attempts are dropped; a
/// note says how many.
///
/// Examples:
///   ckpt log checkpoints/clicks
///   ckpt log checkpoints/clicks --failed --since '7d ago'
///   ckpt log checkpoints/clicks -n 20
///   ckpt log checkpoints/clicks --json | jq '.log[-1].outcome'
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: StoreArg,

    /// Show only the newest N entries; 0 means all
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<usize>,

    /// Show only entries since this time, such as `2026-11-22T14:00` or `2h ago`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Show only failed attempts
    #[arg(long)]
    pub failed: bool,
}

/// Prints the log.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let since = args.since.as_deref().map(|text| time(text, &ui.now())).transpose()?;
    let store = args.store.open_to_show(ui)?;
    let log = log(&store, &Selection { since, failed: args.failed, limit: most(args.limit) })?;
    if ui.is_json() {
        ui.json(&LogView::new(&store, &log))?;
        return Ok(Exit::Clean);
    }
    if log.happenings.is_empty() {
        ui.note(if args.failed { "no attempt has failed" } else { "nothing has happened yet" });
    } else {
        ui.table(&table(&log, ui))?;
    }
    if log.older > 0 {
        let entries = if log.older == 1 { "entry" } else { "entries" };
        ui.note(format!("{} older {entries} not shown", Count(log.older as u64)));
    }
    if log.dropped > 0 {
        ui.note(format!("the log no longer has the first {}", text::counted(log.dropped, "attempt")));
    }
    if log.unreadable > 0 {
        ui.warn(format!("{} of the history cannot be read", text::counted(log.unreadable, "line")));
    }
    Ok(Exit::Clean)
}

fn time(text: &str, now: &Zoned) -> Result<Timestamp, CliError> {
    units::parse_time(text, now).map_err(|error| CliError::usage(format!("`--since`: {error}")))
}

fn table(log: &Log, ui: &Ui) -> Table {
    let times = ui.times(log.happenings.iter().map(Happening::time));
    let mut table = Table::new(vec![
        Column::number("NUMBER"),
        Column::text("WHEN"),
        Column::text("CAUSE"),
        Column::number("TOOK"),
        Column::number("NEW"),
        Column::long("OUTCOME"),
    ]);
    // An idle job has nothing new again and again: that is one line.
    for alike in log.happenings.chunk_by(are_quiet_alike) {
        let happening = &alike[0];
        let when = times.show(happening.time());
        let nothing = || "-".to_owned();
        table.row(match happening {
            Happening::Attempt(attempt) => [
                attempt.number.to_string(),
                when,
                text::trigger(attempt.trigger).to_owned(),
                took(attempt.total_micros()),
                if attempt.outcome == AttemptOutcome::Committed {
                    Bytes(attempt.new_bytes).to_string()
                } else {
                    nothing()
                },
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
        });
    }
    table
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

/// Says what came of an attempt.
pub(super) fn outcome(attempt: &Attempt) -> String {
    match (attempt.outcome, attempt.sequence, &attempt.error) {
        (AttemptOutcome::Committed, Some(sequence), _) => format!("checkpoint {}", sequence.0),
        (AttemptOutcome::Committed, None, _) => "checkpoint".to_owned(),
        (AttemptOutcome::Elided, ..) => "nothing new".to_owned(),
        (AttemptOutcome::Failed, _, None) => "failed".to_owned(),
        (AttemptOutcome::Failed, _, Some(error)) => format!("failed: {error}"),
    }
}

/// Names the command that caused an event.
pub(super) fn cause(event: &Event) -> &'static str {
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
pub(super) fn effect(event: &Event) -> String {
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

#[derive(Debug, Serialize)]
struct LogView<'a> {
    #[serde(flatten)]
    head: StoreHead,
    dropped: u64,
    unreadable: u64,
    older: usize,
    log: Vec<EntryView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum EntryView<'a> {
    Attempt(AttemptView<'a>),
    Event(EventView<'a>),
}

#[derive(Debug, Serialize)]
struct AttemptView<'a> {
    /// Null for a checkpoint without a log entry.
    number: Option<u64>,
    time: Timestamp,
    run: Option<&'a str>,
    cause: Trigger,
    outcome: AttemptOutcome,
    checkpoint: Option<Sequence>,
    restored_from: Option<Sequence>,
    pause_micros: u64,
    snapshot_micros: u64,
    write_micros: u64,
    commit_micros: u64,
    new_bytes: u64,
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct EventView<'a> {
    event_number: u64,
    time: Timestamp,
    event: EventKind,
    policy: Option<&'a str>,
    checkpoints: Vec<Sequence>,
    ranges: &'a [Range],
    files: Option<u64>,
    bytes: u64,
}

impl<'a> LogView<'a> {
    fn new(store: &Store, log: &'a Log) -> LogView<'a> {
        let view = |happening: &'a Happening| match happening {
            Happening::Attempt(attempt) => EntryView::Attempt(AttemptView {
                number: Some(attempt.number),
                time: attempt.time,
                run: Some(&attempt.run),
                cause: attempt.trigger,
                outcome: attempt.outcome,
                checkpoint: attempt.sequence,
                restored_from: None,
                pause_micros: attempt.pause_micros,
                snapshot_micros: attempt.snapshot_micros,
                write_micros: attempt.write_micros,
                commit_micros: attempt.commit_micros,
                new_bytes: attempt.new_bytes,
                error: attempt.error.as_deref(),
            }),
            Happening::Checkpoint(manifest) => EntryView::Attempt(AttemptView {
                number: None,
                time: manifest.created,
                run: None,
                cause: manifest.trigger,
                outcome: AttemptOutcome::Committed,
                checkpoint: Some(manifest.sequence),
                restored_from: manifest.restored_from,
                pause_micros: manifest.timings.pause_micros,
                snapshot_micros: manifest.timings.snapshot_micros,
                write_micros: manifest.timings.write_micros,
                commit_micros: 0,
                new_bytes: manifest.totals.new_bytes,
                error: None,
            }),
            Happening::Event(event) => EntryView::Event(EventView {
                event_number: event.number,
                time: event.time,
                event: event.event,
                policy: event.policy.as_deref(),
                checkpoints: event.checkpoints.iter().map(|checkpoint| checkpoint.sequence).collect(),
                ranges: &event.ranges,
                files: event.files,
                bytes: event.bytes,
            }),
        };
        LogView {
            head: StoreHead::new(store),
            dropped: log.dropped,
            unreadable: log.unreadable,
            older: log.older,
            log: log.happenings.iter().map(view).collect(),
        }
    }
}
