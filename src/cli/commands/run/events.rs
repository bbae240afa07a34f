//! The events of a run: a message for people and fields for programs.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::cli::log::Level;
use crate::cli::text::counted;
use crate::format::manifest::Trigger;
use crate::input::InputNote;
use crate::runner::observer::{Done, RunEvent, SkippedCheckpoint};
use crate::runner::state::content::Content;
use crate::values::id::Sequence;
use crate::values::units::{Age, Span};

/// An event as it is shown and logged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EventText {
    pub(super) level: Level,
    /// The name in the log, which `docs/scripting.md` lists.
    pub(super) name: &'static str,
    /// The message, without the name of the job.
    pub(super) message: String,
    pub(super) fields: Map<String, Value>,
    /// Whether the event is only logged: frequent events are not shown to people.
    pub(super) log_only: bool,
}

impl EventText {
    fn new(level: Level, name: &'static str, message: String, fields: Value) -> EventText {
        let Value::Object(fields) = fields else { unreachable!("the fields of an event are an object") };
        EventText { level, name, message, fields, log_only: false }
    }

    fn info(name: &'static str, message: String, fields: Value) -> EventText {
        EventText::new(Level::Info, name, message, fields)
    }

    fn warning(name: &'static str, message: String, fields: Value) -> EventText {
        EventText::new(Level::Warning, name, message, fields)
    }

    fn log_only(self) -> EventText {
        EventText { log_only: true, ..self }
    }
}

/// Returns the lines for an event. Ages in them are those at `now`.
pub(super) fn texts(event: &RunEvent, now: Timestamp) -> Vec<EventText> {
    let one = match event {
        RunEvent::Stage(_) => return Vec::new(),
        RunEvent::Fresh { store } => fresh(store.as_deref()),
        RunEvent::Resumed { store, sequence, created, totals } => {
            resumed(store, *sequence, *created, totals.records, totals.keys, now)
        }
        RunEvent::WentBack { sequence, created, records, skipped } => {
            return went_back(*sequence, *created, *records, skipped, now);
        }
        RunEvent::Superseded { sequence, path, moved_to } => superseded(*sequence, path, moved_to),
        RunEvent::PerhapsPublished { sequence, path } => perhaps_published(*sequence, path),
        RunEvent::Rerouted { content, old_tasks, new_tasks } => rerouted(content, *old_tasks, *new_tasks),
        RunEvent::AggregateAdded { name, record } => aggregate_added(name, *record),
        RunEvent::AggregateRemoved { name } => {
            let message = format!("aggregate `{name}` is no longer in the job file: its values are dropped");
            EventText::warning("aggregate_removed", message, json!({ "aggregate": name }))
        }
        RunEvent::TypeAssumed { field, column_type } => {
            let column_type = column_type.name();
            let message = format!(
                "field `{field}` is in none of the first records; its type is assumed to be {column_type} (declare it \
                 with `input: types:`)"
            );
            EventText::info("type_assumed", message, json!({ "field": field, "type": column_type }))
        }
        RunEvent::Assigned { partitions } => {
            let numbers: Vec<String> = partitions.iter().map(u32::to_string).collect();
            let noun = if partitions.len() == 1 { "partition" } else { "partitions" };
            let message = format!("has {noun} {}", numbers.join(", "));
            EventText::info("assigned", message, json!({ "partitions": partitions }))
        }
        RunEvent::Batch { is_new, left } => {
            let rest = left.map(|left| counted(left, "offset"));
            let message = match (is_new, rest) {
                (true, None) => "begins a batch".to_owned(),
                (true, Some(rest)) => format!("begins a batch of {rest}"),
                (false, None) => "continues the batch".to_owned(),
                (false, Some(rest)) => format!("continues the batch: {rest} left"),
            };
            EventText::info("batch", message, json!({ "is_new": is_new, "left": left }))
        }
        RunEvent::BatchWaits { left, of } => {
            let message = format!(
                "has read its partitions to the ends of the batch; waits for {left} of {} of all workers",
                counted(*of, "partition")
            );
            EventText::info("batch_waits", message, json!({ "left": left, "of": of }))
        }
        RunEvent::Overtaken { reason } => {
            EventText::warning("overtaken", format!("{reason}; resumes from there"), json!({ "reason": reason }))
        }
        RunEvent::AbsentField { field, records } => {
            let message = format!(
                "field `{field}`, which the job uses, was in none of the {} so far",
                counted(*records, "record")
            );
            EventText::warning("absent_field", message, json!({ "field": field, "records": records }))
        }
        RunEvent::EarlyRecord { partition, time } => {
            let of = time.map(|time| format!(" of {time}")).unwrap_or_default();
            let message = format!(
                "`{partition}` has a record{of}, which is too far ahead of the others to move the watermark (see `ahead`)"
            );
            EventText::warning("early_record", message, json!({ "partition": partition, "time": time }))
        }
        RunEvent::Input(note) => input(note),
        RunEvent::Replica(note) => EventText::warning("replica", note.to_string(), json!({})),
        RunEvent::CheckpointElided { cause } => {
            let message = "no checkpoint was made: nothing has changed since the latest one".to_owned();
            EventText::info("checkpoint_elided", message, json!({ "cause": cause })).log_only()
        }
        RunEvent::CheckpointFailed { cause, failures, tolerated, reason } => {
            checkpoint_failed(*cause, *failures, *tolerated, reason)
        }
        RunEvent::NotPruned { reason } => {
            EventText::warning("not_pruned", format!("cannot prune checkpoints: {reason}"), json!({ "reason": reason }))
        }
        RunEvent::Committed(done) => committed(done),
        RunEvent::ProgramSaid { program, worker, line } => {
            let message = format!("{program}[{worker}]: {line}");
            EventText::info("program_said", message, json!({ "program": program, "worker": worker, "line": line }))
        }
        RunEvent::Restarting { reason, wait, restart, of } => {
            let message = format!("{reason}; restart {restart} of {of} in {}", Span(*wait));
            let fields = json!({ "reason": reason, "wait_seconds": wait.as_secs_f64(), "restart": restart, "of": of });
            EventText::warning("restarting", message, fields)
        }
        RunEvent::OutputAbandoned { topic, sequence } => {
            let message = format!(
                "topic `{topic}` keeps the messages of checkpoint {}, which is no longer part of the state; what the job \
                 sends now follows them",
                sequence.0
            );
            EventText::warning("output_abandoned", message, json!({ "topic": topic, "checkpoint": sequence.0 }))
        }
        RunEvent::Published { path, rows, bytes } => {
            let message = format!("published `{path}` with {}", counted(*rows, "row"));
            let fields = json!({ "path": path, "rows": rows, "bytes": bytes });
            EventText::info("output_published", message, fields).log_only()
        }
    };
    vec![one]
}

fn input(note: &InputNote) -> EventText {
    let message = note.to_string();
    match note {
        InputNote::Gone(partitions) => EventText::info("input_gone", message, json!({ "partitions": partitions })),
        InputNote::Lost { partition, offset } => {
            EventText::warning("input_lost", message, json!({ "partition": partition, "offset": offset }))
        }
        InputNote::Replaced { partition } => {
            EventText::warning("input_replaced", message, json!({ "partition": partition }))
        }
        InputNote::BrokersAway { brokers, patience } => {
            let fields = json!({ "brokers": brokers, "timeout_seconds": patience.as_secs_f64() });
            EventText::warning("brokers_away", message, fields)
        }
        InputNote::BrokersBack { brokers } => EventText::info("brokers_back", message, json!({ "brokers": brokers })),
        InputNote::MessagesLost { partition, from, until } => {
            let fields = json!({ "partition": partition, "from": from, "until": until });
            EventText::warning("messages_lost", message, fields)
        }
        InputNote::Unproven { file, partition } => {
            EventText::warning("input_unproven", message, json!({ "file": file, "partition": partition }))
        }
    }
}

fn fresh(store: Option<&str>) -> EventText {
    let message = match store {
        None => "starts from scratch; checkpoints are disabled".to_owned(),
        Some(store) => format!("starts from scratch; checkpoints go to {store}"),
    };
    EventText::info("started", message, json!({ "store": store }))
}

fn resumed(store: &str, sequence: Sequence, created: Timestamp, records: u64, keys: u64, now: Timestamp) -> EventText {
    let message = format!(
        "resumes from checkpoint {} of {store} ({}): {}, {}",
        sequence.0,
        Age::between(created, now),
        counted(records, "record"),
        counted(keys, "key")
    );
    let fields = json!({
        "store": store, "checkpoint": sequence, "created": created, "records": records, "keys": keys,
    });
    EventText::info("resumed", message, fields)
}

/// Names the skipped checkpoints, and says what skipping them costs.
fn went_back(
    sequence: Sequence,
    created: Timestamp,
    records: u64,
    skipped: &[SkippedCheckpoint],
    now: Timestamp,
) -> Vec<EventText> {
    let mut all: Vec<EventText> = skipped
        .iter()
        .map(|skipped| {
            let age = skipped.created.map(|created| format!(" ({})", Age::between(created, now))).unwrap_or_default();
            let message = format!("skipping damaged checkpoint {}{age}: {}", skipped.sequence.0, skipped.reason);
            let fields = json!({ "checkpoint": skipped.sequence, "reason": skipped.reason });
            EventText::warning("left_behind", message, fields)
        })
        .collect();
    let newest = skipped.first().and_then(|newest| newest.records);
    let again = newest.map(|newest| newest.saturating_sub(records));
    let lost = again.map_or("an unknown number of records".to_owned(), |again| counted(again, "record"));
    let message = format!(
        "going back to checkpoint {} ({}): {lost} of the skipped checkpoints will be applied again",
        sequence.0,
        Age::between(created, now)
    );
    all.push(EventText::warning("went_back", message, json!({ "checkpoint": sequence, "records_again": again })));
    all
}

fn superseded(sequence: Sequence, path: &str, moved_to: &str) -> EventText {
    let message = format!("`{path}` was published by skipped checkpoint {}: moved to `{moved_to}`", sequence.0);
    EventText::warning("output_withdrawn", message, json!({ "checkpoint": sequence, "path": path, "aside": moved_to }))
}

fn perhaps_published(sequence: Sequence, path: &str) -> EventText {
    let message = format!("left `{path}` in place: checkpoint {} may or may not have published it", sequence.0);
    EventText::warning("output_uncertain", message, json!({ "checkpoint": sequence, "path": path }))
}

fn rerouted(content: &Content, old_tasks: u32, new_tasks: u32) -> EventText {
    let keys = counted(content.keys, "key");
    let message = format!("re-routed {keys} from {old_tasks} to {new_tasks} tasks; key count and digest match");
    let fields = json!({
        "keys": content.keys,
        "digest": format!("{:032x}", content.digest),
        "old_tasks": old_tasks,
        "new_tasks": new_tasks,
    });
    EventText::info("rerouted", message, fields)
}

fn aggregate_added(name: &str, records_before: u64) -> EventText {
    let message = match records_before {
        0 => format!("aggregate `{name}` is new"),
        before => format!(
            "aggregate `{name}` is new: it starts empty and does not include the {} applied before",
            counted(before, "record")
        ),
    };
    EventText::warning("aggregate_added", message, json!({ "aggregate": name, "records_before": records_before }))
}

fn checkpoint_failed(cause: Trigger, failures: u32, tolerated: u32, reason: &str) -> EventText {
    let message = format!("checkpoint failed ({failures} in a row, {tolerated} tolerated): {reason}");
    let fields = json!({ "cause": cause, "failures": failures, "tolerated": tolerated, "reason": reason });
    EventText::warning("checkpoint_failed", message, fields)
}

fn committed(done: &Done) -> EventText {
    let manifest = &done.committed.manifest;
    let (totals, timings) = (&manifest.totals, &manifest.timings);
    let message = format!("committed checkpoint {}", manifest.sequence.0);
    let fields = json!({
        "checkpoint": manifest.sequence,
        "cause": manifest.trigger,
        "mode": manifest.mode,
        "keys": totals.keys,
        "changed_keys": totals.changed_keys,
        "bytes": totals.bytes,
        "new_bytes": totals.new_bytes,
        "records": totals.records,
        "pause_micros": timings.pause_micros,
        "snapshot_micros": timings.snapshot_micros,
        "write_micros": timings.write_micros,
        "total_micros": done.total_micros,
    });
    EventText::info("checkpoint_committed", message, fields).log_only()
}
