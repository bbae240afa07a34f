//! What decides whether a checkpoint is due.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use crate::format::manifest::{Manifest, Mode};
use crate::job::Schedule;
use crate::job::calendar::Calendar;
use crate::runner::checkpoint::trigger::{DueTimes, TriggerInputs, TriggerPolicy};
use crate::runner::lineage::Lineage;
use crate::runner::pipeline::run::Run;
use crate::runner::wall_clock::WallClock;

/// A checkpoint at a calendar time that failed is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The triggers of a job, and what they look at.
pub(super) struct Triggers {
    clock: WallClock,
    pub(super) policy: TriggerPolicy,
    /// When the run began.
    began: Timestamp,
    /// The next calendar time at which a checkpoint is due, or the last that was missed.
    next_at: Option<Timestamp>,
    pub(super) last_cut_at: Instant,
    /// What counts as passed at the start, see [`head_start`].
    head_start: Duration,
    cuts_taken: u64,
    records_at_cut: u64,
    /// When the last attempt ended.
    ended_at: Option<Instant>,
}

impl Triggers {
    /// Makes the triggers of a run that starts at `started` and continues from `lineage`.
    pub(super) fn new(run: &Run<'_>, lineage: &Lineage, started: Instant) -> Triggers {
        let latest = lineage.last.as_ref().map(|last| &last.manifest);
        let policy = policy(run);
        let began = run.clock.now();
        Triggers {
            clock: run.clock.clone(),
            next_at: first_time(&policy, latest, began),
            head_start: head_start(run, &policy.times),
            policy,
            began,
            last_cut_at: started,
            cuts_taken: 0,
            records_at_cut: latest.map_or(0, |latest| latest.totals.records),
            ended_at: None,
        }
    }

    /// Returns what the policy looks at. `records` is the sum since the job began, `changed_bytes` since the last cut.
    pub(super) fn inputs(&mut self, run: &Run<'_>, records: u64, changed_bytes: u64) -> TriggerInputs {
        let now = self.clock.now();
        if let (DueTimes::At(calendar), Some(next_at)) = (&self.policy.times, self.next_at) {
            // It is later only if the clock was set back since: then the next time by the new clock counts.
            self.next_at = Some(calendar.next_after(now).map_or(next_at, |by_now| by_now.min(next_at)));
        }
        TriggerInputs {
            now,
            next_at: self.next_at,
            since_last: self.last_cut_at.elapsed().saturating_add(self.head_start),
            since_end: self.ended_at.map(|ended| ended.elapsed()),
            cuts: self.cuts_taken,
            changed_bytes,
            is_stale: false,
            records: records.saturating_sub(self.records_at_cut),
            signalled: run.control.checkpoint.swap(false, Ordering::Relaxed),
            requested: false,
        }
    }

    /// Returns whether a calendar time passed before this run took its first cut.
    pub(super) fn has_missed(&self) -> bool {
        self.cuts_taken == 0 && self.next_at.is_some_and(|at| at <= self.began)
    }

    /// Notes a cut, which serves every calendar time until `created`.
    pub(super) fn cut(&mut self, begun: Instant, created: Timestamp, records: u64) {
        self.cuts_taken += 1;
        self.skip(begun, records);
        if let DueTimes::At(calendar) = &self.policy.times {
            self.next_at = calendar.next_after(created);
        }
    }

    /// Starts counting again, as after a cut.
    pub(super) fn skip(&mut self, now: Instant, records: u64) {
        self.last_cut_at = now;
        self.head_start = Duration::ZERO;
        self.records_at_cut = records;
    }

    /// Notes that an attempt has ended.
    pub(super) fn attempt_ended(&mut self) {
        self.ended_at = Some(Instant::now());
    }

    /// Makes a failed attempt be tried again soon: the next calendar time may be far away.
    pub(super) fn retry_soon(&mut self) {
        let retry = self.clock.now().checked_add(RETRY_AFTER).ok();
        self.next_at = self.next_at.and_then(|at| retry.map(|retry| at.min(retry)));
    }
}

/// Returns when checkpoints of the job are due.
fn policy(run: &Run<'_>) -> TriggerPolicy {
    let checkpoint = &run.job.checkpoint;
    let times = match &checkpoint.schedule {
        None => DueTimes::None,
        Some(Schedule::Every(interval)) if checkpoint.mode == Mode::Scheduled => {
            DueTimes::At(Calendar::Aligned(*interval))
        }
        Some(Schedule::Every(interval)) => DueTimes::After(*interval),
        // It was checked when the job file was read.
        Some(Schedule::Cron(expression)) => Calendar::cron(expression).map_or(DueTimes::None, DueTimes::At),
    };
    TriggerPolicy {
        times,
        state_bytes: checkpoint.state_bytes,
        records: checkpoint.records,
        min_pause: checkpoint.min_pause,
        jitter: checkpoint.jitter,
        seed: run.seed,
    }
}

/// Returns the part of the interval that counts as passed when one of several workers starts. It depends on its name, so that
/// workers that start together do not all commit at the same moment, each time.
fn head_start(run: &Run<'_>, times: &DueTimes) -> Duration {
    match (run.share, times) {
        (Some(share), DueTimes::After(interval)) => interval.mul_f64(part_of(&share.worker)),
        _ => Duration::ZERO,
    }
}

/// Returns a number below 1 that depends on a name.
fn part_of(worker: &str) -> f64 {
    // As many bits as a float has.
    (xxh3_64(worker.as_bytes()) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns the first calendar time that counts: the first after the latest checkpoint, so that one that passed while
/// the job was down is made up for. A checkpoint that is dated in the future, by a clock that was wrong, does not delay it.
fn first_time(policy: &TriggerPolicy, latest: Option<&Manifest>, now: Timestamp) -> Option<Timestamp> {
    match &policy.times {
        DueTimes::At(calendar) => calendar.next_after(latest.map_or(now, |latest| latest.created.min(now))),
        DueTimes::None | DueTimes::After(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_have_different_parts_of_the_interval() {
        let mut parts: Vec<f64> = (0..30).map(|number| part_of(&format!("w{number:02}"))).collect();
        assert!(parts.iter().all(|part| (0.0..1.0).contains(part)));
        parts.sort_by(f64::total_cmp);
        parts.dedup();
        assert_eq!(parts.len(), 30);
        // All over the interval.
        let longest = parts.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(longest < 0.25 && parts[0] < 0.25 && parts[29] > 0.75, "{parts:?}");
    }
}
