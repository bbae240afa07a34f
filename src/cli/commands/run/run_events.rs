//! What there is to tell of each event of a run: the words for people, the fields for programs.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::cli::log::Level;
use crate::cli::words;
use crate::runner::observer::RunEvent;
use crate::runner::observer::SkippedCheckpoint;
use crate::values::id::Sequence;
use crate::values::units::{Age, Count, Span};

/// What is told of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// How much it matters.
    pub level: Level,
    /// Its name in the log, which `docs/scripting.md` lists.
    pub event: &'static str,
    /// The words, without the job's name.
    pub message: String,
    /// Its facts.
    pub fields: Map<String, Value>,
    /// Whether a person who watches the run is told: what comes again and again is only in the log.
    pub is_spoken: bool,
}

impl Told {
    fn new(level: Level, event: &'static str, message: String, fields: Value) -> Told {
        let Value::Object(fields) = fields else { unreachable!("the fields of an event are an object") };
        Told { level, event, message, fields, is_spoken: true }
    }

    fn info(event: &'static str, message: String, fields: Value) -> Told {
        Told::new(Level::Info, event, message, fields)
    }

    fn warning(event: &'static str, message: String, fields: Value) -> Told {
        Told::new(Level::Warning, event, message, fields)
    }

    fn unspoken(self) -> Told {
        Told { is_spoken: false, ..self }
    }
}

/// Returns what is told of `event`, at `now`, line by line.
pub fn told(event: &RunEvent, now: Timestamp) -> Vec<Told> {
    let one = match event {
        RunEvent::Fresh { store: None } => {
            let message = "starts from nothing; checkpoints are disabled".to_owned();
            Told::info("started", message, json!({ "store": null }))
        }
        RunEvent::Fresh { store: Some(store) } => {
            let message = format!("starts from nothing; checkpoints go to {store}");
            Told::info("started", message, json!({ "store": store }))
        }
        RunEvent::Resumed { store, sequence, created, records, keys } => {
            let age = Age::between(*created, now);
            let (number, applied, keys) = (sequence.0, Count(*records), Count(*keys));
            let message =
                format!("resumes from checkpoint {number} of {store} ({age}): {applied} records, {keys} keys");
            let fields = json!({
                "store": store, "checkpoint": sequence, "created": created, "records": records, "keys": keys.0,
            });
            Told::info("resumed", message, fields)
        }
        RunEvent::WentBack { sequence, created, records, skipped } => {
            return went_back(*sequence, *created, *records, skipped, now);
        }
        RunEvent::Superseded { sequence, path, moved_to: aside } => {
            let number = sequence.0;
            let message = format!("`{path}` is of checkpoint {number}, which is left behind: moved to `{aside}`");
            Told::warning("output_withdrawn", message, json!({ "checkpoint": sequence, "path": path, "aside": aside }))
        }
        RunEvent::PerhapsPublished { sequence, path } => {
            let message = format!(
                "`{path}` is left as it is: whether checkpoint {} has published it can not be told",
                sequence.0
            );
            Told::warning("output_uncertain", message, json!({ "checkpoint": sequence, "path": path }))
        }
        RunEvent::Rerouted { content, old_tasks, new_tasks } => {
            let keys = words::counted(content.keys, "key");
            let message = format!("re-routed {keys} from {old_tasks} to {new_tasks} tasks, keys and digest equal");
            let fields = json!({
                "keys": content.keys, "digest": format!("{:032x}", content.digest), "old_tasks": old_tasks, "new_tasks": new_tasks,
            });
            Told::info("rerouted", message, fields)
        }
        RunEvent::AggregateAdded { name, record } => {
            let message = match record {
                0 => format!("aggregate `{name}` is new"),
                record => {
                    let before = words::counted(*record, "record");
                    format!("aggregate `{name}` is new: it starts empty and leaves out the {before} applied before")
                }
            };
            Told::warning("aggregate_added", message, json!({ "aggregate": name, "records_before": record }))
        }
        RunEvent::AggregateRemoved { name } => {
            let message = format!("aggregate `{name}` is gone from the job file: its values are dropped");
            Told::warning("aggregate_removed", message, json!({ "aggregate": name }))
        }
        RunEvent::TypeAssumed { field, column_type } => {
            let name = column_type.name();
            let message = format!(
                "field `{field}` is in none of the first records; it is taken as {name} (say it with `input: types:`)"
            );
            Told::info("type_assumed", message, json!({ "field": field, "type": name }))
        }
        RunEvent::Replica(note) => Told::warning("replica", note.to_string(), json!({})),
        RunEvent::CheckpointElided { cause } => {
            let message = "no checkpoint was made: nothing has changed since the latest".to_owned();
            Told::info("checkpoint_elided", message, json!({ "cause": cause })).unspoken()
        }
        RunEvent::CheckpointFailed { cause, failures, tolerated, reason } => {
            let message = format!("a checkpoint failed ({failures} in a row, {tolerated} are tolerated): {reason}");
            let fields = json!({ "cause": cause, "failures": failures, "tolerated": tolerated, "reason": reason });
            Told::warning("checkpoint_failed", message, fields)
        }
        RunEvent::NotPruned { reason } => {
            Told::warning("not_pruned", format!("no checkpoint was pruned: {reason}"), json!({ "reason": reason }))
        }
        RunEvent::Committed(done) => {
            let manifest = &done.committed.manifest;
            let message = format!("checkpoint {} was committed", manifest.sequence.0);
            let fields = json!({
                "checkpoint": manifest.sequence,
                "cause": manifest.trigger,
                "mode": manifest.mode,
                "keys": manifest.totals.keys,
                "changed_keys": manifest.totals.changed_keys,
                "bytes": manifest.totals.bytes,
                "new_bytes": manifest.totals.new_bytes,
                "records": manifest.totals.records,
                "pause_micros": manifest.timings.pause_micros,
                "snapshot_micros": manifest.timings.snapshot_micros,
                "write_micros": manifest.timings.write_micros,
                "total_micros": done.total_micros,
            });
            Told::info("checkpoint_committed", message, fields).unspoken()
        }
        RunEvent::ProgramSaid { program, worker, line } => {
            let message = format!("{program}[{worker}]: {}", line);
            Told::info("program_said", message, json!({ "program": program, "worker": worker, "line": line }))
        }
        RunEvent::Restarting { reason, wait, restart, of } => {
            let message = format!("{reason}; restart {restart} of {of} in {}", Span(*wait));
            let fields = json!({ "reason": reason, "wait_seconds": wait.as_secs_f64(), "restart": restart, "of": of });
            Told::warning("restarting", message, fields)
        }
        RunEvent::Published { path, rows, bytes } => {
            let message = format!("`{path}` was published: {}", words::counted(*rows, "row"));
            Told::info("output_published", message, json!({ "path": path, "rows": rows, "bytes": bytes })).unspoken()
        }
    };
    vec![one]
}

/// Says which checkpoints are left behind, and what that loses.
fn went_back(
    sequence: Sequence,
    created: Timestamp,
    records: u64,
    left_behind: &[SkippedCheckpoint],
    now: Timestamp,
) -> Vec<Told> {
    let mut all: Vec<Told> = left_behind
        .iter()
        .map(|left| {
            let age = left.created.map(|created| format!(" ({})", Age::between(created, now))).unwrap_or_default();
            let message = format!("checkpoint {}{age} is left behind: {}", left.sequence.0, left.reason);
            Told::warning("left_behind", message, json!({ "checkpoint": left.sequence, "reason": left.reason }))
        })
        .collect();
    let newest = left_behind.first().and_then(|newest| newest.records);
    let again = newest.map(|newest| newest.saturating_sub(records));
    let lost = again.map_or("an unknown number of records".to_owned(), |again| words::counted(again, "record"));
    let message = format!(
        "going back to checkpoint {} ({}): {lost} of the checkpoints left behind will be applied again",
        sequence.0,
        Age::between(created, now)
    );
    all.push(Told::warning("went_back", message, json!({ "checkpoint": sequence, "records_again": again })));
    all
}
