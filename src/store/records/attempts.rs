//! The log of attempts: each time a run tried to make a checkpoint, and the outcome.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::manifest::Trigger;
use crate::store::error::StoreError;
use crate::store::records::line_log::{Extent, LineLog, LogKind, broken, limited, read, read_all};
use crate::store::records::time::in_milliseconds;
use crate::store::store::Store;
use crate::values::id::Sequence;

/// One attempt to make a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number in the store, from 1. Attempts below the first number that is found were dropped.
    pub number: u64,
    /// When its cut was taken.
    pub time: Timestamp,
    /// The run that made it, 16 hexadecimal digits.
    pub run: String,
    pub trigger: Trigger,
    pub outcome: AttemptOutcome,
    /// The checkpoint, if one was committed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sequence: Option<Sequence>,
    /// The longest pause of any worker, in microseconds.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub pause_micros: u64,
    /// From the cut until all changed rows were taken.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub snapshot_micros: u64,
    /// From then until all objects were written, or the attempt failed.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub write_micros: u64,
    /// From then until the checkpoint was in place.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub commit_micros: u64,
    /// Bytes of new objects.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub new_bytes: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    Committed,
    /// Nothing had changed since the latest checkpoint.
    Elided,
    Failed,
}

impl Attempt {
    /// Returns the time from the cut to the end, in microseconds.
    pub fn total_micros(&self) -> u64 {
        self.snapshot_micros.saturating_add(self.write_micros).saturating_add(self.commit_micros)
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What tells attempts apart: replicas that were cut off from each other may have different ones with one number.
type Attempted = (u64, Timestamp, String);

/// The attempts in a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Ascending by number, then by time.
    pub attempts: Vec<Attempt>,
    /// How many older ones were dropped.
    pub dropped: u64,
    /// How many lines cannot be read.
    pub unreadable: u64,
}

/// Writes the log, for the run that holds the store.
#[derive(Debug)]
pub struct AttemptLog {
    run: String,
    /// The number of the last attempt.
    last: u64,
    log: LineLog,
}

impl AttemptLog {
    /// Continues the log of `store`. Anything in it that cannot be read is left alone.
    pub fn open(store: &Store, run: &str) -> AttemptLog {
        let mut last = 0;
        let log = LineLog::open(store, LogKind::Attempts, |storage, file| {
            // The newest file may hold nothing but half a line.
            let newest = [file, file.saturating_sub(1)].into_iter().find_map(|file| {
                let mut newest = None;
                read(storage, LogKind::Attempts, file, |attempt: Attempt| newest = newest.max(Some(attempt.number)));
                newest
            });
            last = last.max(newest.unwrap_or(0));
        });
        AttemptLog { run: run.to_owned(), last, log }
    }

    /// Logs an attempt in every replica that can be written to, and gives it its number. If that fails, the line is
    /// lost: the log never makes a checkpoint fail.
    pub fn add(&mut self, store: &Store, attempt: Attempt) {
        self.last = self.last.saturating_add(1);
        let (error, time) = (attempt.error.map(limited), in_milliseconds(attempt.time));
        self.log.add(store, &Attempt { number: self.last, time, run: self.run.clone(), error, ..attempt });
    }
}

impl Store {
    /// Reads `extent` of the log of attempts of all replicas. Fails if no replica can be listed.
    pub fn attempts(&self, extent: Extent) -> Result<Attempts, StoreError> {
        let mut attempts = BTreeMap::new();
        let unreadable = read_all(self, LogKind::Attempts, extent, |attempt: Attempt| {
            attempts.insert((attempt.number, attempt.time, attempt.run.clone()), attempt);
        })?;
        let dropped = attempts.first_key_value().map_or(0, |((first, ..), _): (&Attempted, _)| first.saturating_sub(1));
        Ok(Attempts { attempts: attempts.into_values().collect(), dropped, unreadable })
    }
}

/// Returns how many lines of a file of the log are not as they were written.
pub fn broken_lines(bytes: &[u8]) -> usize {
    broken::<Attempt>(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::layout;
    use crate::format::store_file::StoreFile;
    use crate::storage::Storage;
    use crate::storage::memory::MemoryStorage;
    use crate::store::records::line_log::{MAX_ERROR_CHARS, MAX_FILE_BYTES, MAX_FILES, files};
    use crate::values::id::StoreId;

    fn store(replicas: usize) -> (Store, Vec<MemoryStorage>) {
        let storages: Vec<MemoryStorage> = (0..replicas).map(|_| MemoryStorage::new()).collect();
        let created = Timestamp::UNIX_EPOCH;
        let file = StoreFile { format: 1, store: StoreId::new([1; 16]), job: "a".to_owned(), created };
        let all = storages.iter().map(|storage| Arc::new(storage.clone()) as Arc<dyn Storage>).collect();
        (Store::create(all, file).unwrap(), storages)
    }

    fn attempt(error: Option<&str>) -> Attempt {
        Attempt {
            number: 0,
            time: Timestamp::UNIX_EPOCH,
            run: String::new(),
            trigger: Trigger::Schedule,
            outcome: if error.is_some() { AttemptOutcome::Failed } else { AttemptOutcome::Elided },
            sequence: None,
            pause_micros: 0,
            snapshot_micros: 7,
            write_micros: 0,
            commit_micros: 0,
            new_bytes: 0,
            error: error.map(str::to_owned),
        }
    }

    fn numbers(store: &Store) -> Vec<u64> {
        store.attempts(Extent::Whole).unwrap().attempts.iter().map(|attempt| attempt.number).collect()
    }

    #[test]
    fn attempts_are_numbered_over_runs_and_a_torn_line_is_passed_over() {
        let (store, storages) = store(1);
        AttemptLog::open(&store, "one").add(&store, attempt(None));
        let path = layout::attempts(1);
        let mut bytes = storages[0].get(&path, 1 << 20).unwrap().to_vec();
        bytes.extend_from_slice(b"{\"number\":2,\"ti");
        storages[0].replace(&path, &bytes).unwrap();
        let mut log = AttemptLog::open(&store, "two");
        log.add(&store, attempt(Some(&"x".repeat(MAX_ERROR_CHARS + 1))));
        log.add(&store, attempt(None));
        let read = store.attempts(Extent::Whole).unwrap();
        assert_eq!((numbers(&store), read.unreadable, read.dropped), (vec![1, 2, 3], 1, 0));
        assert_eq!(read.attempts[1].error.as_ref().unwrap().len(), MAX_ERROR_CHARS);
        assert_eq!((read.attempts[0].run.as_str(), read.attempts[2].run.as_str()), ("one", "two"));
    }

    #[test]
    fn a_replica_that_was_away_lacks_lines_that_the_other_has() {
        let (store, storages) = store(2);
        let mut log = AttemptLog::open(&store, "one");
        for _ in 0..3 {
            log.add(&store, attempt(None));
        }
        storages[0].delete(&layout::attempts(1)).unwrap();
        AttemptLog::open(&store, "two").add(&store, attempt(None));
        assert_eq!(numbers(&store), [1, 2, 3, 4]);
    }

    #[test]
    fn attempts_that_were_given_one_number_apart_are_all_read() {
        let (both, storages) = store(2);
        AttemptLog::open(&both, "both").add(&both, attempt(None));
        for (run, storage) in ["one", "two"].into_iter().zip(&storages) {
            let alone = Store::new(both.file.clone(), vec![Arc::new(storage.clone())]);
            AttemptLog::open(&alone, run).add(&alone, attempt(None));
        }
        let read = both.attempts(Extent::Whole).unwrap().attempts;
        let found: Vec<_> = read.iter().map(|attempt| (attempt.number, attempt.run.as_str())).collect();
        assert_eq!(found, [(1, "both"), (2, "one"), (2, "two")]);
    }

    #[test]
    fn the_log_is_bounded_and_says_what_it_has_dropped() {
        let (store, storages) = store(1);
        for file in 1..=MAX_FILES {
            let number = file * 10;
            let line = serde_json::to_string(&Attempt { number, ..attempt(None) }).unwrap();
            storages[0].create(&layout::attempts(file), line.as_bytes()).unwrap();
        }
        let filler = vec![b'\n'; MAX_FILE_BYTES as usize];
        storages[0].file_system().unwrap().append(&layout::attempts(MAX_FILES), &filler).unwrap();
        AttemptLog::open(&store, "x").add(&store, attempt(None));
        assert_eq!(files(&storages[0], LogKind::Attempts).unwrap().len() as u64, MAX_FILES);
        let read = store.attempts(Extent::Whole).unwrap();
        assert_eq!((read.dropped, read.attempts.last().unwrap().number), (19, MAX_FILES * 10 + 1));
    }
}
