//! One of several workers, which share the partitions of a topic.
//!
//! A consumer group says which partitions are whose. Whenever it takes some or gives some, the worker ends what it is doing
//! with a checkpoint, and resumes from the latest one with the partitions that it has then. The group only avoids that two
//! workers do the same: what counts is the store, where a worker replaces only what it has committed itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::format::manifest::Mode;
use crate::input;
use crate::job::JobSpec;
use crate::kafka::{AtEnd, Division, Member};
use crate::runner::error::{JobError, RunError};
use crate::runner::observer::{Observer, RunEvent, Stage, Summary};
use crate::runner::options::{Control, Options, Share};
use crate::runner::pipeline::attempt::attempt;

/// How long one look at the group waits for news.
const LOOK: Duration = Duration::from_millis(100);

/// Who one of several workers is.
#[derive(Debug, Clone)]
pub struct WorkerName {
    /// A name that no other has.
    pub name: String,
    /// Whether the others get its partitions as soon as it ends. Otherwise they wait for it to come back.
    pub leaves: bool,
}

/// Runs the worker `worker` of the job until `control` asks it to stop, with a checkpoint at the end. Returns the summary of
/// what it did since the group changed last.
pub fn run_worker(
    job: &JobSpec,
    options: &Options,
    control: &Control,
    observer: &dyn Observer,
    worker: &WorkerName,
) -> Result<Summary, RunError> {
    check(job)?;
    let at_end = if worker.leaves { AtEnd::Leave } else { AtEnd::Keep };
    let member = input::join(&job.input, &job.base, &job.job, &worker.name, at_end)?;
    let mut owned = BTreeSet::new();
    let mut terms = 0;
    observer.event(&RunEvent::Stage(Stage::Joining));
    loop {
        while owned.is_empty() && !control.stop.load(Ordering::Relaxed) {
            let news = member.poll(LOOK).map_err(input::InputError::from)?;
            let is_told = !news.is_empty();
            take(&member, news, &mut owned)?;
            if is_told && owned.is_empty() {
                observer.event(&RunEvent::Stage(Stage::Idle));
            }
        }
        if owned.is_empty() {
            return Ok(Summary::default());
        }
        observer.event(&RunEvent::Assigned { partitions: owned.iter().copied().collect() });
        let share = Share { worker: worker.name.clone(), partitions: owned.clone() };
        let options = Options { share: Some(Arc::new(share)), ..options.clone() };
        let (outcome, news) = term(job, &options, control, observer, &member, terms);
        terms += 1;
        take(&member, news?, &mut owned)?;
        if owned.is_empty() {
            observer.event(&RunEvent::Stage(Stage::Idle));
        }
        match outcome {
            Ok(summary) if control.stop.load(Ordering::Relaxed) => return Ok(summary),
            Ok(_) => {}
            // What another worker has committed counts: this one continues from there, if it has the tasks at all.
            Err(error @ RunError::Rival { .. }) => {
                observer.event(&RunEvent::Overtaken { reason: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Works on one share until the group changes it or the worker is asked to stop. Also returns the changes.
fn term(
    job: &JobSpec,
    options: &Options,
    control: &Control,
    observer: &dyn Observer,
    member: &Member,
    number: u32,
) -> (Result<Summary, RunError>, Result<Vec<Division>, RunError>) {
    let stop = Arc::new(AtomicBool::new(false));
    let own = Control { stop: Arc::clone(&stop), checkpoint: Arc::clone(&control.checkpoint) };
    std::thread::scope(|scope| {
        let work = scope.spawn(|| attempt(job, options, &own, observer, number));
        let mut news = Ok(Vec::new());
        while !work.is_finished() {
            match member.poll(LOOK) {
                Ok(more) => news.iter_mut().for_each(|news: &mut Vec<Division>| news.extend(more.iter().cloned())),
                Err(error) => news = Err(input::InputError::from(error).into()),
            }
            if control.stop.load(Ordering::Relaxed) || news.as_ref().map_or(true, |news| !news.is_empty()) {
                stop.store(true, Ordering::Relaxed);
            }
        }
        (work.join().unwrap_or(Err(RunError::Panicked)), news)
    })
}

/// Changes the share as the group says, and lets go of what it takes.
fn take(member: &Member, news: Vec<Division>, owned: &mut BTreeSet<u32>) -> Result<(), RunError> {
    for division in news {
        match division {
            Division::Given(partitions) => owned.extend(partitions),
            Division::Lost(partitions) => owned.retain(|partition| !partitions.contains(partition)),
            Division::Taken(partitions) => {
                owned.retain(|partition| !partitions.contains(partition));
                member.release().map_err(input::InputError::from)?;
            }
        }
    }
    Ok(())
}

/// Fails if the job does something that cannot be divided between workers.
fn check(job: &JobSpec) -> Result<(), JobError> {
    let checkpoint = &job.checkpoint;
    let unfit = [
        (!job.is_partitioned, "other tasks than the partitions of a topic: set `tasks: partitions`"),
        (!job.input.follow, "`until: latest`: no worker knows when the others are there"),
        (job.output.as_ref().is_some_and(|output| output.topic.is_none()), "an `output` in files: use a topic"),
        (job.dead_letters().is_some(), "a `dead_letter`: use `on_error: skip` or `max`"),
        (job.window.is_some(), "a `window`: its time depends on all partitions, and a worker has only some"),
        (job.ttl.is_some(), "a `ttl`: its time depends on all partitions, and a worker has only some"),
        (!checkpoint.enabled, "no checkpoints"),
        (!checkpoint.replicas.is_empty(), "`replicas`: use `ckpt copy`"),
        (checkpoint.mode != Mode::Elided, "another `mode` than `elided`"),
    ];
    unfit.into_iter().find(|(is_unfit, _)| *is_unfit).map_or(Ok(()), |(_, what)| Err(JobError::Worker { what }))
}
