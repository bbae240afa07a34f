//! One of several workers, which share the partitions of a topic.
//!
//! A consumer group says which partitions are whose. Whenever it takes some or gives some, the worker ends what it is doing
//! with a checkpoint, and resumes from the latest one with the partitions that it has then. The state of those that stay is
//! still in memory, and that of those that come is loaded before. The group only avoids that two
//! workers do the same: what counts is the store, where a worker replaces only what it has committed itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use crate::format::manifest::{Mode, Totals};
use crate::input;
use crate::job::{Emit, JobSpec};
use crate::kafka::{AtEnd, Division, Member};
use crate::runner::error::{JobError, RunError};
use crate::runner::observer::{Observer, RunEvent, Stage, Summary};
use crate::runner::options::{Control, Options, Share};
use crate::runner::pipeline::attempt::attempt;
use crate::runner::pipeline::batch_watch::{BatchWatch, Seen};
use crate::runner::resume::ahead::{Ahead, load_ahead};
use crate::runner::state::kept::KeptShards;
use crate::store::{Committed, Store};
use crate::values::id::Sequence;

/// How long one look at the group waits for news.
const LOOK: Duration = Duration::from_millis(100);

/// The same while an attempt ends, which is not to be waited for longer than it takes.
const SHORT_LOOK: Duration = Duration::from_millis(10);

/// How often in a row what a worker has written is pruned before it can commit it, until it gives up.
const MAX_OUTPACED: u32 = 10;

/// Who one of several workers is.
#[derive(Debug, Clone)]
pub struct WorkerName {
    /// A name that no other has.
    pub name: String,
    /// Whether the others get its partitions as soon as it ends. Otherwise they wait for it to come back.
    pub leaves: bool,
}

/// Runs the worker `worker` of the job until `control` asks it to stop, with a checkpoint at the end, or until all workers have
/// read a batch. Returns the summary of what it did since the group changed last.
pub fn run_worker(
    job: &JobSpec,
    options: &Options,
    control: &Control,
    observer: &dyn Observer,
    worker: &WorkerName,
) -> Result<Summary, RunError> {
    check(job)?;
    let batch = (!job.input.follow).then(|| BatchWatch::start(job, options)).transpose()?;
    // A worker that has read a batch does not come back for its partitions.
    let at_end = if worker.leaves || batch.is_some() { AtEnd::Leave } else { AtEnd::Keep };
    let member = input::join(&job.input, &job.base, &job.job, &worker.name, at_end)?;
    let (kept, owned, done) = (Arc::default(), BTreeSet::new(), BTreeSet::new());
    let mut worker = Worker { job, options, control, observer, name: &worker.name, member, kept, owned, batch, done };
    let (mut terms, mut outpaced, mut last) = (0, 0, Summary::default());
    observer.event(&RunEvent::Stage(Stage::Joining));
    loop {
        match worker.wait(last.latest)? {
            Next::Work => {}
            // The batch, if there is one, is not complete.
            Next::Stop => return Ok(Summary { ended: false, ..last }),
            Next::Complete(latest) => return worker.complete(&latest, last, terms),
        }
        let outcome = worker.term(terms)?;
        terms += 1;
        if worker.owned.is_empty() {
            observer.event(&RunEvent::Stage(Stage::Idle));
        }
        outpaced = match outcome {
            Err(RunError::Outpaced { has_committed: false, .. }) => outpaced + 1,
            Ok(_) | Err(RunError::Outpaced { .. }) => 0,
            Err(_) => outpaced,
        };
        match outcome {
            Ok(summary) if control.stop.load(Ordering::Relaxed) => return Ok(Summary { ended: false, ..summary }),
            Ok(summary) => last = summary,
            // Another worker has said where the batch ends.
            Err(RunError::OtherBatch { .. }) => worker.done.clear(),
            Err(error @ RunError::Outpaced { .. }) if outpaced == MAX_OUTPACED => return Err(error),
            // What another worker has committed counts: this one continues from there, if it has the tasks at all.
            Err(error @ (RunError::Rival { .. } | RunError::Outpaced { .. } | RunError::RolledBack { .. })) => {
                worker.done.clear();
                observer.event(&RunEvent::Overtaken { reason: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
}

/// One of several workers.
struct Worker<'a> {
    job: &'a JobSpec,
    options: &'a Options,
    control: &'a Control,
    observer: &'a dyn Observer,
    name: &'a str,
    member: Member,
    /// The state that it has in memory while it starts again.
    kept: Arc<KeptShards>,
    /// The partitions that the group has given it.
    owned: BTreeSet<u32>,
    /// The batch that it reads, if the job reads the topic to an end.
    batch: Option<BatchWatch<'a>>,
    /// The partitions that it has read to their ends.
    done: BTreeSet<u32>,
}

/// What a worker does next.
enum Next {
    Work,
    /// It was asked to stop.
    Stop,
    /// All workers together have read the batch, which this checkpoint completes.
    Complete(Box<Committed>),
}

impl Worker<'_> {
    /// Waits until it has partitions that are not at their ends, all are, or it is asked to stop. `latest` is the checkpoint
    /// that it has seen last.
    fn wait(&mut self, latest: Option<Sequence>) -> Result<Next, RunError> {
        let mut has_said = false;
        loop {
            if self.control.stop.load(Ordering::Relaxed) {
                return Ok(Next::Stop);
            }
            if let Some(next) = self.look(latest, &mut has_said)? {
                return Ok(next);
            }
            if !self.owned.is_subset(&self.done) {
                return Ok(Next::Work);
            }
            let news = self.member.poll(LOOK).map_err(input::InputError::from)?;
            for division in &news {
                self.hear(division);
                if matches!(division, Division::Taken(_)) {
                    self.member.release().map_err(input::InputError::from)?;
                }
            }
            if !news.is_empty() && self.owned.is_empty() {
                self.observer.event(&RunEvent::Stage(Stage::Idle));
            }
        }
    }

    /// Looks how far all workers are with the batch, if there is one. Returns what follows from that, if anything does.
    fn look(&mut self, latest: Option<Sequence>, has_said: &mut bool) -> Result<Option<Next>, RunError> {
        let Some(batch) = &mut self.batch else { return Ok(None) };
        let is_waiting = !self.owned.is_empty() && self.owned.is_subset(&self.done);
        match batch.look()? {
            Seen::Complete(committed) => return Ok(Some(Next::Complete(committed))),
            Seen::Open { ended, of } => {
                // A restore may have taken some of it back.
                self.done.retain(|partition| ended.contains(partition));
                if is_waiting && !*has_said {
                    *has_said = true;
                    self.observer.event(&RunEvent::Stage(Stage::Waiting));
                    self.observer.event(&RunEvent::BatchWaits { left: of - ended.len() as u64, of });
                }
            }
            Seen::Same => {}
        }
        if is_waiting {
            batch.answer(self.name, &self.owned, latest, &self.options.clock);
        }
        Ok(None)
    }

    /// Ends with the batch that `latest` completes. The worker that has made it may have died before its output was in place.
    /// `last` is what this worker did before.
    fn complete(&self, latest: &Committed, last: Summary, terms: u32) -> Result<Summary, RunError> {
        let manifest = &latest.manifest;
        let sequence = Some(manifest.sequence);
        if last.latest != sequence && (manifest.messages.is_some() || !manifest.outputs.is_empty()) {
            attempt(self.job, &self.options_of(BTreeSet::new()), self.control, self.observer, terms)?;
        }
        let Totals { records, skipped, late, .. } = manifest.totals;
        let (ended, resumed_from) = (true, last.resumed_from.or(sequence.filter(|_| last.latest.is_none())));
        Ok(Summary {
            ended,
            resumed_from,
            latest: sequence,
            records_in_all: records,
            skipped_in_all: skipped,
            late_in_all: late,
            ..last
        })
    }

    /// Returns the options of an attempt with the partitions of `share`.
    fn options_of(&self, share: BTreeSet<u32>) -> Options {
        let batch = self.batch.as_ref().map(|batch| Arc::clone(&batch.new));
        let share = Share { worker: self.name.to_owned(), partitions: share, kept: Arc::clone(&self.kept), batch };
        Options { share: Some(Arc::new(share)), ..self.options.clone() }
    }

    /// Changes the share as the group says. What is taken is to be released.
    fn hear(&mut self, division: &Division) {
        match division {
            Division::Given(partitions) => self.owned.extend(partitions),
            Division::Lost(partitions) | Division::Taken(partitions) => {
                self.owned.retain(|partition| !partitions.contains(partition));
            }
        }
    }

    /// Works on one share until the group changes it or the worker is asked to stop. What the group takes is released after a
    /// checkpoint. What it gives is loaded beside the work, which then ends.
    fn term(&mut self, number: u32) -> Result<Result<Summary, RunError>, RunError> {
        let share = self.owned.clone();
        self.observer.event(&RunEvent::Assigned { partitions: share.iter().copied().collect() });
        let options = self.options_of(share.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let own = Control { stop: Arc::clone(&stop), checkpoint: Arc::clone(&self.control.checkpoint) };
        let (job, observer, kept) = (self.job, self.observer, Arc::clone(&self.kept));
        let load = |shards: &BTreeSet<u32>| load_ahead_of(job, self.options, observer, shards, &kept, &stop);
        let (mut taken, mut failure) = (0, None);
        let outcome = std::thread::scope(|scope| {
            let work = scope.spawn(|| attempt(job, &options, &own, observer, number));
            let (mut loading, mut loaded) = (None::<ScopedJoinHandle<'_, ()>>, share.clone());
            while !work.is_finished() || loading.is_some() {
                let look = if stop.load(Ordering::Relaxed) { SHORT_LOOK } else { LOOK };
                let news = self.member.poll(look).unwrap_or_else(|error| {
                    failure = Some(input::InputError::from(error));
                    Vec::new()
                });
                for division in &news {
                    self.hear(division);
                    taken += u32::from(matches!(division, Division::Taken(_)));
                }
                let is_taken = news.iter().any(|division| !matches!(division, Division::Given(_)));
                if is_taken || failure.is_some() || work.is_finished() || self.control.stop.load(Ordering::Relaxed) {
                    stop.store(true, Ordering::Relaxed);
                }
                if let Some(thread) = loading.take_if(|thread| thread.is_finished()) {
                    // What could not be loaded, the next attempt finds again.
                    let _ = thread.join();
                }
                if loading.is_some() || stop.load(Ordering::Relaxed) || self.owned == share {
                    continue;
                }
                let new: BTreeSet<u32> = self.owned.difference(&loaded).copied().collect();
                if new.is_empty() {
                    stop.store(true, Ordering::Relaxed);
                } else {
                    loaded.extend(&new);
                    loading = Some(scope.spawn(move || load(&new)));
                }
            }
            work.join().unwrap_or(Err(RunError::Panicked))
        });
        // What was taken needs no memory.
        self.kept.drop_others(&self.owned);
        if let Some(error) = failure {
            return Err(error.into());
        }
        for _ in 0..taken {
            self.member.release().map_err(input::InputError::from)?;
        }
        if outcome.as_ref().is_ok_and(|summary| summary.ended) {
            self.done.extend(share);
        }
        Ok(outcome)
    }
}

/// Loads what a worker was given into `kept`, until `stop` is set, with half of its threads: the others work.
fn load_ahead_of(
    job: &JobSpec,
    options: &Options,
    observer: &dyn Observer,
    shards: &BTreeSet<u32>,
    kept: &KeptShards,
    stop: &AtomicBool,
) {
    let left = |shards, bytes| observer.event(&RunEvent::Stage(Stage::Restoring { shards, bytes }));
    let ahead = Ahead { shards, threads: options.threads.div_ceil(2), left: &left, stop };
    // The next attempt says what is wrong.
    if let Ok(store) = Store::open(vec![options.storages.open(&job.resolve(&job.checkpoint.store))]) {
        let _ = load_ahead(&store, ahead, kept);
    }
}

/// Fails if the job does something that cannot be divided between workers.
fn check(job: &JobSpec) -> Result<(), JobError> {
    let checkpoint = &job.checkpoint;
    let unfit = [
        (!job.is_partitioned, "other tasks than the partitions of a topic: set `tasks: partitions`"),
        (
            job.output.as_ref().is_some_and(|output| output.emit == Emit::Final),
            "`emit: final`: no worker has the state of all. Use `emit: changes`, or `ckpt restore --to` after a batch",
        ),
        (!checkpoint.enabled, "no checkpoints"),
        (!checkpoint.replicas.is_empty(), "`replicas`: use `ckpt copy`"),
        (checkpoint.mode != Mode::Elided, "another `mode` than `elided`"),
    ];
    unfit.into_iter().find(|(is_unfit, _)| *is_unfit).map_or(Ok(()), |(_, what)| Err(JobError::Worker { what }))
}
