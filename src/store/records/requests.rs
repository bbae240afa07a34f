//! Requests: a process asks the run that holds a store for a checkpoint, and gets an answer.
//!
//! A request is a file `requests/ID.yaml`, its answer is `requests/ID.answer.yaml`. Files also work if the job runs on
//! another machine. The process that asked deletes the answer; a run deletes those that were never collected.
//!
//! Each of several workers answers for its own tasks, with `requests/ID.answer-WORKER.yaml`. The process that asked waits
//! until there are answers for all tasks.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::format::FORMAT;
use crate::format::layout::{self, REQUESTS};
use crate::storage::EntryKind;
use crate::store::error::StoreError;
use crate::store::lock::read_holder;
use crate::store::records::attempts::AttemptOutcome;
use crate::store::records::time::in_milliseconds;
use crate::store::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;
use crate::values::yaml;

/// The largest answer that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The most requests that are examined: more are not made by people.
const MAX_REQUESTS: usize = 1_000;

/// Older requests and answers, by the clock of the storage, are deleted.
const STALE_SECONDS: i64 = 3_600;

/// A request as it is on disk. Only its name counts.
#[derive(Debug, Serialize)]
struct RequestFile<'a> {
    format: u32,
    time: Timestamp,
    holder: &'a str,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The store format.
    pub format: u32,
    pub time: Timestamp,
    /// The outcome of the attempt that served it.
    pub outcome: AttemptOutcome,
    /// The checkpoint that was committed, or the latest if nothing had changed since.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sequence: Option<Sequence>,
    /// Bytes of new objects.
    pub new_bytes: u64,
    /// From the cut to the commit, in microseconds.
    pub total_micros: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// In the answer of one of several workers: what it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<AnsweredPart>,
}

/// The part of a job that one of several workers answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnsweredPart {
    /// The name of the worker.
    pub worker: String,
    /// Its tasks.
    pub tasks: BTreeSet<u32>,
    /// The number of tasks of all workers.
    pub of: u32,
}

/// The answers of several workers to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Answers {
    files: Vec<RelPath>,
    answers: Vec<(Answer, AnsweredPart)>,
}

impl Answers {
    /// Returns the tasks that no worker has answered for, at most `most` of them.
    fn missing(&self, most: usize) -> Vec<u32> {
        let all = self.answers.iter().map(|(_, part)| part.of).max().unwrap_or(0);
        let is_answered = |task: &u32| self.answers.iter().any(|(_, part)| part.tasks.contains(task));
        (0..all).filter(|task| !is_answered(task)).take(most).collect()
    }

    /// Returns the answer for all tasks: an attempt that failed makes it fail, and one that committed something has.
    fn whole(&self) -> Option<Answer> {
        if self.answers.is_empty() || !self.missing(1).is_empty() {
            return None;
        }
        let rank = |answer: &Answer| match answer.outcome {
            AttemptOutcome::Elided => 0,
            AttemptOutcome::Committed => 1,
            AttemptOutcome::Failed => 2,
        };
        let answers = || self.answers.iter().map(|(answer, _)| answer);
        let worst = answers().max_by_key(|answer| rank(answer))?;
        Some(Answer {
            time: answers().map(|answer| answer.time).max()?,
            sequence: answers().filter_map(|answer| answer.sequence).max(),
            new_bytes: answers().map(|answer| answer.new_bytes).fold(0, u64::saturating_add),
            total_micros: answers().map(|answer| answer.total_micros).max()?,
            part: None,
            ..worst.clone()
        })
    }
}

impl Answer {
    /// Makes an answer without a checkpoint.
    pub fn new(outcome: AttemptOutcome, time: Timestamp) -> Answer {
        Answer {
            format: FORMAT,
            time: in_milliseconds(time),
            outcome,
            sequence: None,
            new_bytes: 0,
            total_micros: 0,
            error: None,
            part: None,
        }
    }
}

impl Store {
    /// Asks the run that holds the store for a checkpoint. `id` is 32 random hexadecimal digits; `holder` says who
    /// asks.
    pub fn request(&self, id: &str, holder: &str, now: Timestamp) -> Result<(), StoreError> {
        let file = RequestFile { format: FORMAT, time: in_milliseconds(now), holder };
        Ok(self.replicas[0].storage().create(&layout::request(id), yaml::to_string(&file).as_bytes())?)
    }

    /// Withdraws a request. Returns the first tasks that are missing in the answers, if some of several workers have
    /// answered.
    pub fn withdraw(&self, id: &str) -> Result<Vec<u32>, StoreError> {
        let _ = self.replicas[0].storage().delete(&layout::request(id));
        let answers = self.answers_of_workers(id)?;
        answers.files.iter().for_each(|file| drop(self.replicas[0].storage().delete(file)));
        Ok(answers.missing(MAX_REQUESTS))
    }

    /// Returns the answer to a request, if there is one yet, and deletes it. That of several workers is there when they have
    /// answered for all tasks.
    pub fn take_answer(&self, id: &str) -> Result<Option<Answer>, StoreError> {
        let path = layout::answer(id);
        let bytes = match self.replicas[0].get(&path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => {
                let whole = self.answers_of_workers(id)?.whole();
                if whole.is_some() {
                    self.withdraw(id)?;
                }
                return Ok(whole);
            }
            Err(error) => return Err(error.into()),
        };
        let answer = yaml::decode(&bytes).and_then(yaml::from_str).ok();
        let _ = self.replicas[0].storage().delete(&path);
        Ok(answer)
    }

    fn answers_of_workers(&self, id: &str) -> Result<Answers, StoreError> {
        let (replica, directory) = (&self.replicas[0], layout::directory(REQUESTS));
        let entries = match replica.storage().list(Some(&directory)) {
            Err(error) if error.is_not_found() => return Ok(Answers::default()),
            entries => entries?,
        };
        let mut found = Answers::default();
        for entry in entries.into_iter().filter(|entry| entry.kind == EntryKind::File).take(MAX_REQUESTS) {
            if layout::parse_answer(&entry.name).as_deref() != Some(id) {
                continue;
            }
            let Ok(path) = directory.join(&entry.name) else { continue };
            // What cannot be read is not there yet.
            let answer =
                replica.get(&path, MAX_BYTES).ok().and_then(|bytes| yaml::decode(&bytes).ok().map(str::to_owned));
            let answer = answer.and_then(|text| yaml::from_str::<Answer>(&text).ok());
            if let Some((answer, part)) = answer.and_then(|answer| Some((answer.clone(), answer.part?))) {
                found.answers.push((answer, part));
            }
            found.files.push(path);
        }
        Ok(found)
    }

    /// Returns the ids of unanswered requests, each with the index of its replica, and deletes those that are stale at
    /// `now`.
    ///
    /// Replicas that cannot be listed have none.
    pub fn requests(&self, now: Timestamp) -> Vec<(usize, String)> {
        let directory = layout::directory(REQUESTS);
        let mut found = Vec::new();
        for index in self.sound() {
            let entries = self.replicas[index].storage().list(Some(&directory)).unwrap_or_default();
            for entry in entries.into_iter().filter(|entry| entry.kind == EntryKind::File) {
                let Some(id) = layout::parse_request(&entry.name).or_else(|| layout::parse_answer(&entry.name)) else {
                    continue;
                };
                let age = entry.modified_seconds.map_or(0, |modified| now.as_second().saturating_sub(modified));
                if age > STALE_SECONDS {
                    if let Ok(path) = directory.join(&entry.name) {
                        let _ = self.replicas[index].storage().delete(&path);
                    }
                } else if layout::parse_request(&entry.name).is_some() && found.len() < MAX_REQUESTS {
                    found.push((index, id));
                }
            }
        }
        found
    }

    /// Answers request `id` in replica `index`. If the answer cannot be written, it is lost. The answer for a part of the
    /// tasks leaves the request to the other workers.
    pub fn answer(&self, index: usize, id: &str, answer: &Answer) {
        let storage = self.replicas[index].storage();
        if let Some(part) = &answer.part {
            if self.replicas[index].get(&layout::request(id), MAX_BYTES).is_ok() {
                let path = layout::worker_answer(id, &Digest::of(part.worker.as_bytes()).to_string()[..16]);
                // Its answer before its tasks changed.
                let _ = storage.delete(&path);
                let _ = storage.create(&path, yaml::to_string(answer).as_bytes());
            }
            return;
        }
        // A request that was withdrawn gets no answer.
        if storage.delete(&layout::request(id)).is_ok() {
            let _ = storage.create(&layout::answer(id), yaml::to_string(answer).as_bytes());
        }
    }

    /// Tells whether a run may hold the store for writing. Where there are no locks, a run that died may be taken for one
    /// that runs.
    pub fn may_be_held(&self) -> bool {
        let replica = &self.replicas[0];
        if replica.is_remote() {
            return read_holder(replica.storage().as_ref()).is_some();
        }
        !matches!(replica.lock(&layout::lock_file(), ""), Ok(Some(_)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::store_file::StoreFile;
    use crate::storage::Storage;
    use crate::storage::memory::MemoryStorage;
    use crate::values::id::StoreId;
    use crate::values::relpath::RelPath;

    fn store() -> (Store, MemoryStorage) {
        let storage = MemoryStorage::new();
        let created = Timestamp::UNIX_EPOCH;
        let file = StoreFile { format: 1, store: StoreId::new([1; 16]), job: "a".to_owned(), created };
        (Store::create(vec![Arc::new(storage.clone())], file).unwrap(), storage)
    }

    #[test]
    fn a_request_is_answered_once_and_leaves_nothing() {
        let (store, storage) = store();
        let (id, now) = ("0123456789abcdef0123456789abcdef", Timestamp::UNIX_EPOCH);
        store.request(id, "a test", now).unwrap();
        assert_eq!(store.requests(now), [(0, id.to_owned())]);
        assert_eq!(store.take_answer(id).unwrap(), None);
        let answer = Answer { sequence: Some(Sequence(7)), ..Answer::new(AttemptOutcome::Committed, now) };
        store.answer(0, id, &answer);
        assert_eq!(store.requests(now), []);
        assert_eq!(store.take_answer(id).unwrap(), Some(answer.clone()));
        store.request(id, "a test", now).unwrap();
        store.withdraw(id).unwrap();
        store.answer(0, id, &answer);
        assert_eq!(store.take_answer(id).unwrap(), None);
        let requests = RelPath::new(REQUESTS).unwrap();
        assert_eq!(storage.list(Some(&requests)).unwrap(), []);
    }

    #[test]
    fn several_workers_have_answered_when_all_tasks_have_an_answer() {
        let (store, storage) = store();
        let (id, now) = ("0123456789abcdef0123456789abcdef", Timestamp::UNIX_EPOCH);
        store.request(id, "a test", now).unwrap();
        let answer = |worker: &str, outcome, tasks: &[u32]| {
            let part = AnsweredPart { worker: worker.to_owned(), tasks: tasks.iter().copied().collect(), of: 4 };
            let sequence = Some(Sequence(7 + u64::from(tasks[0])));
            Answer { sequence, new_bytes: 5, part: Some(part), ..Answer::new(outcome, now) }
        };
        store.answer(0, id, &answer("a", AttemptOutcome::Elided, &[0, 1]));
        store.answer(0, id, &answer("b/c", AttemptOutcome::Committed, &[2]));
        assert_eq!(store.take_answer(id).unwrap(), None);
        // A task has moved, so both answer again.
        store.answer(0, id, &answer("a", AttemptOutcome::Elided, &[0]));
        store.answer(0, id, &answer("b/c", AttemptOutcome::Committed, &[1, 2, 3]));
        let whole = store.take_answer(id).unwrap().expect("all tasks have an answer");
        assert_eq!((whole.outcome, whole.sequence), (AttemptOutcome::Committed, Some(Sequence(8))));
        assert_eq!((whole.new_bytes, whole.part), (10, None));
        let requests = RelPath::new(REQUESTS).unwrap();
        assert_eq!(storage.list(Some(&requests)).unwrap(), []);

        store.request(id, "a test", now).unwrap();
        store.answer(0, id, &answer("a", AttemptOutcome::Failed, &[0, 3]));
        assert_eq!(store.withdraw(id).unwrap(), [1, 2]);
        assert_eq!(storage.list(Some(&requests)).unwrap(), []);
        store.answer(0, id, &answer("a", AttemptOutcome::Failed, &[0, 3]));
        assert_eq!(storage.list(Some(&requests)).unwrap(), [], "it was withdrawn");
    }

    #[test]
    fn other_files_are_not_requests() {
        let (store, storage) = store();
        for name in ["x.yaml", "0123456789abcdef0123456789abcdeF.yaml", "0123456789abcdef0123456789abcdef.answer.yaml"]
        {
            storage.create(&RelPath::new(format!("{REQUESTS}/{name}")).unwrap(), b"\xff").unwrap();
        }
        assert_eq!(store.requests(Timestamp::UNIX_EPOCH), []);
        assert_eq!(store.take_answer("0123456789abcdef0123456789abcdef").unwrap(), None);
    }
}
