//! The log as JSON.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::json::StoreHead;
use crate::format::manifest::Trigger;
use crate::ops::log::{Happening, Log, Origin, Start, Unended};
use crate::store::Store;
use crate::store::records::attempts::AttemptOutcome;
use crate::store::records::history::{EventKind, Range};
use crate::store::records::operations::{Operation, OperationKind, RunEnd};
use crate::values::id::Sequence;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct LogView<'a> {
    #[serde(flatten)]
    head: StoreHead,
    dropped: u64,
    unreadable: u64,
    older: usize,
    log: Vec<EntryView<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum EntryView<'a> {
    Attempt(AttemptView<'a>),
    Event(EventView<'a>),
    Operation(OperationView<'a>),
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct AttemptView<'a> {
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

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EventView<'a> {
    event_number: u64,
    time: Timestamp,
    event: EventKind,
    policy: Option<&'a str>,
    checkpoints: Vec<Sequence>,
    ranges: &'a [Range],
    files: Option<u64>,
    bytes: u64,
}

/// What a run or a repair did.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OperationView<'a> {
    time: Timestamp,
    run: Option<&'a str>,
    restart: u32,
    #[serde(flatten)]
    what: WhatView<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
enum WhatView<'a> {
    Started {
        holder: &'a str,
        ckpt: &'a str,
        resumed_from: Option<Sequence>,
        records: u64,
        /// Null if the run has ended.
        #[schemars(extend("enum" = ["running", "killed", "unknown", null]))]
        state: Option<&'static str>,
    },
    Resumed {
        resumed_from: Option<Sequence>,
        records: u64,
    },
    WentBack {
        checkpoint: Sequence,
        skipped: &'a [Sequence],
    },
    Rerouted {
        keys: u64,
        old_tasks: u32,
        new_tasks: u32,
    },
    Ended(&'a RunEnd),
    Stopped(&'a RunEnd),
    Failed {
        error: &'a str,
        elapsed_micros: u64,
    },
    Repaired {
        files: u64,
    },
    Other,
}

impl<'a> OperationView<'a> {
    fn new(operation: &'a Operation, what: WhatView<'a>) -> OperationView<'a> {
        OperationView { time: operation.time, run: operation.run.as_deref(), restart: operation.restart, what }
    }

    fn of_start(start: &'a Start) -> OperationView<'a> {
        let (holder, ckpt) = match &start.operation.what {
            OperationKind::Started { holder, version } => (holder.as_str(), version.as_str()),
            _ => ("", ""),
        };
        let (resumed_from, records) = match start.origin {
            Some(Origin::Checkpoint { sequence, records }) => (Some(sequence), records),
            Some(Origin::Scratch) | None => (None, 0),
        };
        let state = start.unended.map(|unended| match unended {
            Unended::Running => "running",
            Unended::Killed => "killed",
            Unended::Unknown => "unknown",
        });
        OperationView::new(&start.operation, WhatView::Started { holder, ckpt, resumed_from, records, state })
    }
}

impl<'a> From<&'a OperationKind> for WhatView<'a> {
    fn from(what: &'a OperationKind) -> WhatView<'a> {
        match what {
            OperationKind::Started { holder, version } => {
                WhatView::Started { holder, ckpt: version, resumed_from: None, records: 0, state: None }
            }
            OperationKind::FromScratch => WhatView::Resumed { resumed_from: None, records: 0 },
            OperationKind::Resumed { sequence, records } => {
                WhatView::Resumed { resumed_from: Some(*sequence), records: *records }
            }
            OperationKind::WentBack { sequence, skipped } => WhatView::WentBack { checkpoint: *sequence, skipped },
            OperationKind::Rerouted { keys, old_tasks, new_tasks } => {
                WhatView::Rerouted { keys: *keys, old_tasks: *old_tasks, new_tasks: *new_tasks }
            }
            OperationKind::Ended(end) => WhatView::Ended(end),
            OperationKind::Stopped(end) => WhatView::Stopped(end),
            OperationKind::Failed { error, elapsed_micros } => {
                WhatView::Failed { error, elapsed_micros: *elapsed_micros }
            }
            OperationKind::Repaired { files } => WhatView::Repaired { files: *files },
            OperationKind::Other => WhatView::Other,
        }
    }
}

impl<'a> EntryView<'a> {
    /// Makes the view of `happening`.
    pub(super) fn new(happening: &'a Happening) -> EntryView<'a> {
        match happening {
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
            Happening::Start(start) => EntryView::Operation(OperationView::of_start(start)),
            Happening::Operation(operation) => {
                EntryView::Operation(OperationView::new(operation, (&operation.what).into()))
            }
        }
    }
}

impl<'a> LogView<'a> {
    pub(super) fn new(store: &Store, log: &'a Log) -> LogView<'a> {
        LogView {
            head: StoreHead::new(store),
            dropped: log.dropped,
            unreadable: log.unreadable,
            older: log.older,
            log: log.happenings.iter().map(EntryView::new).collect(),
        }
    }
}

/// An entry in a line of its own.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct EntryLine<'a> {
    #[serde(flatten)]
    head: StoreHead,
    #[serde(flatten)]
    entry: EntryView<'a>,
}

impl<'a> EntryLine<'a> {
    pub(super) fn new(store: &Store, happening: &'a Happening) -> EntryLine<'a> {
        EntryLine { head: StoreHead::new(store), entry: EntryView::new(happening) }
    }
}
