//! The log of operations: what runs and repairs did with a store.
//!
//! A run logs that it starts once it holds the store, then what it resumes from, and at last how it ends. A run without
//! an end is still running, or was killed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::error::StoreError;
use crate::store::records::line_log::{Extent, LineLog, LogKind, broken, limited, read_all};
use crate::store::records::time::in_milliseconds;
use crate::store::store::Store;
use crate::values::id::Sequence;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Operation {
    pub time: Timestamp,
    /// The run, 16 hexadecimal digits. Nothing for a repair.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<String>,
    /// How often the run had been restarted after a program had failed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub restart: u32,
    #[serde(flatten)]
    pub what: OperationKind,
}

/// What happened.
///
/// In the order in which they happen in a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum OperationKind {
    /// A run has the store.
    Started {
        /// The process, in the words of the lock file.
        holder: String,
        /// The version of `ckpt`.
        version: String,
    },
    /// The latest checkpoints are damaged, and the run skips them.
    WentBack {
        sequence: Sequence,
        /// The newest first.
        skipped: Vec<Sequence>,
    },
    /// The run resumes from a checkpoint.
    Resumed {
        sequence: Sequence,
        /// Records that the checkpoint counts.
        records: u64,
    },
    /// The run starts without a checkpoint.
    FromScratch,
    /// The state was routed to another number of tasks.
    Rerouted { keys: u64, old_tasks: u32, new_tasks: u32 },
    /// The run has read the input to its end.
    Ended(RunEnd),
    /// The run was stopped, and has made a last checkpoint if anything was new.
    Stopped(RunEnd),
    Failed {
        error: String,
        /// From the start of the run, in microseconds.
        elapsed_micros: u64,
    },
    /// Damaged files were replaced by good copies.
    Repaired { files: u64 },
    /// Something that only a later version does.
    #[serde(other)]
    Other,
}

/// What a run has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct RunEnd {
    /// The latest checkpoint at the end.
    pub latest: Option<Sequence>,
    /// Records that it applied, including skipped ones.
    pub records: u64,
    /// Checkpoints that it committed.
    pub checkpoints: u64,
    /// From the start of the run, in microseconds.
    pub elapsed_micros: u64,
}

impl OperationKind {
    /// Tells whether it is the last of a run.
    pub fn is_end(&self) -> bool {
        matches!(self, OperationKind::Ended(_) | OperationKind::Stopped(_) | OperationKind::Failed { .. })
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The lines of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operations {
    /// By time.
    pub operations: Vec<Operation>,
    /// How many lines cannot be read.
    pub unreadable: u64,
}

/// Writes the log, for one process.
#[derive(Debug)]
pub struct OperationLog {
    store: Store,
    run: Option<String>,
    restart: u32,
    log: LineLog,
}

impl OperationLog {
    /// Continues the log of `store`, for a run that has been restarted `restart` times, or for a repair. Anything in it
    /// that cannot be read is left alone.
    pub fn open(store: &Store, run: Option<String>, restart: u32) -> OperationLog {
        OperationLog { log: LineLog::open(store, LogKind::Operations, |_, _| ()), store: store.clone(), run, restart }
    }

    /// Logs what happened in every replica that can be written to. If that fails, the line is lost: the log never makes
    /// anything fail.
    pub fn add(&mut self, time: Timestamp, what: OperationKind) {
        let what = match what {
            OperationKind::Failed { error, elapsed_micros } => {
                OperationKind::Failed { error: limited(error), elapsed_micros }
            }
            what => what,
        };
        let (time, run, restart) = (in_milliseconds(time), self.run.clone(), self.restart);
        self.log.add(&self.store, &Operation { time, run, restart, what });
    }
}

impl Store {
    /// Reads `extent` of the log of operations of all replicas. Fails if no replica can be listed.
    pub fn operations(&self, extent: Extent) -> Result<Operations, StoreError> {
        let mut operations = BTreeSet::new();
        let unreadable =
            read_all(self, LogKind::Operations, extent, |operation: Operation| _ = operations.insert(operation))?;
        let mut operations: Vec<Operation> = operations.into_iter().collect();
        // Those of a moment are in the order in which a run makes them.
        operations.sort_by(|a, b| (a.time, a.restart, &a.what).cmp(&(b.time, b.restart, &b.what)));
        Ok(Operations { operations, unreadable })
    }
}

/// Returns how many lines of a file of the log are not as they were written.
pub fn broken_lines(bytes: &[u8]) -> usize {
    broken::<Operation>(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::FORMAT;
    use crate::format::layout;
    use crate::format::store_file::StoreFile;
    use crate::storage::Storage;
    use crate::storage::memory::MemoryStorage;
    use crate::values::id::StoreId;

    fn store() -> (Store, [MemoryStorage; 2]) {
        let storages = [MemoryStorage::new(), MemoryStorage::new()];
        let created = Timestamp::UNIX_EPOCH;
        let file = StoreFile { format: FORMAT, store: StoreId::new([1; 16]), job: "a".to_owned(), created };
        let all = storages.iter().map(|storage| Arc::new(storage.clone()) as Arc<dyn Storage>).collect();
        (Store::create(all, file).unwrap(), storages)
    }

    fn kinds() -> Vec<OperationKind> {
        let end = RunEnd { latest: Some(Sequence(3)), records: 7, checkpoints: 1, elapsed_micros: 9 };
        let text = |text: &str| text.to_owned();
        vec![
            OperationKind::Started { holder: text("a test"), version: text("1") },
            OperationKind::WentBack { sequence: Sequence(2), skipped: vec![Sequence(3)] },
            OperationKind::Resumed { sequence: Sequence(2), records: 5 },
            OperationKind::FromScratch,
            OperationKind::Rerouted { keys: 1, old_tasks: 2, new_tasks: 3 },
            OperationKind::Ended(end),
            OperationKind::Stopped(RunEnd { latest: None, ..end }),
            OperationKind::Failed { error: text("bad record \u{1b} \"x\"\nof `y`"), elapsed_micros: 9 },
            OperationKind::Repaired { files: 2 },
        ]
    }

    #[test]
    fn every_kind_is_read_as_it_was_written_and_once_for_all_replicas() {
        let (store, storages) = store();
        let mut log = OperationLog::open(&store, Some("one".to_owned()), 0);
        for kind in kinds() {
            log.add(Timestamp::UNIX_EPOCH, kind);
        }
        let read = store.operations(Extent::Whole).unwrap();
        assert_eq!(read.operations.iter().map(|operation| operation.what.clone()).collect::<Vec<_>>(), kinds());
        assert_eq!(read.unreadable, 0);
        storages[0].delete(&layout::operations(1)).unwrap();
        assert_eq!(store.operations(Extent::Whole).unwrap(), read, "the other replica has it");
    }

    #[test]
    fn what_a_later_version_writes_is_passed_over_and_a_torn_line_is_counted() {
        let (store, storages) = store();
        let mut log = OperationLog::open(&store, None, 2);
        log.add(Timestamp::UNIX_EPOCH, OperationKind::Repaired { files: 1 });
        let path = layout::operations(1);
        let mut bytes = storages[0].get(&path, 1 << 20).unwrap().to_vec();
        let later = serde_json::json!({"time": "1970-01-01T00:00:01Z", "event": "repainted", "color": "red"});
        bytes.extend_from_slice(
            format!("{}\n{{\"time\":\"19", crate::format::sealed::Sealed::write_line(&later)).as_bytes(),
        );
        storages[0].replace(&path, &bytes).unwrap();
        OperationLog::open(&store, None, 0).add(Timestamp::UNIX_EPOCH, OperationKind::FromScratch);
        let read = store.operations(Extent::Whole).unwrap();
        let found: Vec<_> = read.operations.iter().map(|operation| (operation.restart, &operation.what)).collect();
        let repaired = OperationKind::Repaired { files: 1 };
        assert_eq!(found, [(0, &OperationKind::FromScratch), (2, &repaired), (0, &OperationKind::Other)]);
        assert_eq!(read.unreadable, 1);
    }
}
