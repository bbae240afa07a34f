//! What a worker sees in the store of a batch that it reads together with others: how far all of them are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::format::positions;
use crate::format::positions::{BatchEnds, PositionRow};
use crate::input;
use crate::job::JobSpec;
use crate::runner::error::RunError;
use crate::runner::options::{NewBatch, Options};
use crate::runner::wall_clock::WallClock;
use crate::store::records::attempts::AttemptOutcome;
use crate::store::records::requests::{Answer, AnsweredPart};
use crate::store::{Committed, Store, StoreError};
use crate::values::id::Sequence;

/// How long the brokers may take to say where the topic ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a worker looks for a new checkpoint of the others.
const PAUSE: Duration = Duration::from_millis(250);

/// The same in object storage, where each look is a request that costs money.
const REMOTE_PAUSE: Duration = Duration::from_secs(2);

/// Watches the checkpoints of all workers.
pub(super) struct BatchWatch<'a> {
    job: &'a JobSpec,
    options: &'a Options,
    /// The batch that the worker may begin.
    pub(super) new: Arc<NewBatch>,
    /// Nothing before there is a store.
    store: Option<Store>,
    next_look: Instant,
    /// The latest checkpoint that it has seen.
    seen: Option<Committed>,
    /// The requests that were answered, and the tasks that the answer is about.
    answered: BTreeMap<(usize, String), BTreeSet<u32>>,
}

/// What a look has found.
pub(super) enum Seen {
    /// The latest checkpoint is the one that was seen before, or there is none.
    Same,
    /// Not all partitions are at their ends.
    Open {
        /// The partitions that are at their ends.
        ended: BTreeSet<u32>,
        /// The number of partitions.
        of: u64,
    },
    /// All partitions are at their ends.
    Complete(Box<Committed>),
}

impl<'a> BatchWatch<'a> {
    /// Finds out where the topic ends, and whether the latest checkpoint has everything up to there.
    pub(super) fn start(job: &'a JobSpec, options: &'a Options) -> Result<BatchWatch<'a>, RunError> {
        let store = open(job, options)?;
        let latest = store.as_ref().map(|store| read(store, None)).transpose()?.flatten();
        let topic = job.input.topic.as_ref().expect("the tasks are the partitions of a topic");
        let found = input::offsets(topic, &job.base, PATIENCE)?;
        let ends: BatchEnds = (0..).zip(found.iter().map(|range| range.end)).collect();
        let complete = latest.filter(|(committed, _)| committed.manifest.ended);
        let after =
            complete.filter(|(_, rows)| has_more(&ends, rows)).map(|(committed, _)| committed.manifest.sequence);
        let new = Arc::new(NewBatch { ends, after });
        Ok(BatchWatch { job, options, new, store, next_look: Instant::now(), seen: None, answered: BTreeMap::new() })
    }

    /// Looks at the latest checkpoint, if it is time to.
    pub(super) fn look(&mut self) -> Result<Seen, RunError> {
        if Instant::now() < self.next_look {
            return Ok(Seen::Same);
        }
        if self.store.is_none() {
            self.store = open(self.job, self.options)?;
        }
        let Some(store) = &self.store else {
            self.next_look = Instant::now() + PAUSE;
            return Ok(Seen::Same);
        };
        let found = read(store, self.seen.as_ref())?;
        self.next_look = Instant::now() + if store.is_remote() { REMOTE_PAUSE } else { PAUSE };
        let Some((committed, rows)) = found else { return Ok(Seen::Same) };
        self.seen = Some(committed.clone());
        let manifest = &committed.manifest;
        if manifest.ended && Some(manifest.sequence) != self.new.after {
            return Ok(Seen::Complete(Box::new(committed)));
        }
        let ended = rows.iter().filter(|row| row.ended).filter_map(|row| row.task).collect();
        Ok(Seen::Open { ended, of: manifest.tasks.into() })
    }

    /// Answers requests for checkpoints: the latest one has all of the `tasks` that `worker` has.
    pub(super) fn answer(&mut self, worker: &str, tasks: &BTreeSet<u32>, latest: Option<Sequence>, clock: &WallClock) {
        let (Some(store), Some(seen)) = (&self.store, &self.seen) else { return };
        for request in store.requests(clock.now()) {
            if self.answered.get(&request) == Some(tasks) {
                continue;
            }
            let part = Some(AnsweredPart { worker: worker.to_owned(), tasks: tasks.clone(), of: seen.manifest.tasks });
            let answer = Answer { sequence: latest, part, ..Answer::new(AttemptOutcome::Elided, clock.now()) };
            store.answer(request.0, &request.1, &answer);
            self.answered.insert(request, tasks.clone());
        }
    }
}

/// Opens the job's store, if there is one.
fn open(job: &JobSpec, options: &Options) -> Result<Option<Store>, RunError> {
    match Store::open(vec![options.storages.open(&job.resolve(&job.checkpoint.store))]) {
        Err(StoreError::NoStore { .. }) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

/// Reads the latest checkpoint and its positions, unless it is the one that was `seen`.
fn read(store: &Store, seen: Option<&Committed>) -> Result<Option<(Committed, Vec<PositionRow>)>, RunError> {
    loop {
        let Some(latest) = store.latest_after(seen)? else { return Ok(None) };
        let table = latest.manifest.tables.positions;
        let rows = store.object(table).map_err(RunError::from);
        match rows.and_then(|rows| positions::decode(rows).map_err(RunError::table(table.object))) {
            // It may have been pruned while it was read: there is a newer one.
            Err(_) if store.sequences().is_ok_and(|now| now.last() > Some(&latest.manifest.sequence)) => {}
            rows => return Ok(Some((latest, rows?))),
        }
    }
}

/// Returns whether a topic that ends at `ends` has messages after the positions `rows`.
fn has_more(ends: &BatchEnds, rows: &[PositionRow]) -> bool {
    let offsets = rows.iter().filter_map(|row| Some((row.task?, row.message.as_ref()?.offset)));
    let offsets: BTreeMap<u32, u64> = offsets.collect();
    ends.iter().any(|(task, end)| offsets.get(task).is_none_or(|offset| offset < end))
}
