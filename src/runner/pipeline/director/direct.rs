//! The director's loop: what it does with the events of the other threads, and when it takes a cut.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use jiff::Timestamp;

use crate::format::manifest::{Output, Trigger};
use crate::input::{Compression, Partition, Position, Reader};
use crate::runner::checkpoint::requests::Requests;
use crate::runner::checkpoint::trigger;
use crate::runner::error::{RecordError, RunError};
use crate::runner::lineage::Lineage;
use crate::runner::messages::{CheckpointOutcome, Cut, ThreadEvent};
use crate::runner::observer::{Done, RunEvent};
use crate::runner::options::TICK;
use crate::runner::output::dead_letter::DeadLetterFile;
use crate::runner::pipeline::director::accounts::Accounts;
use crate::runner::pipeline::director::checkpoints::Checkpoints;
use crate::runner::pipeline::director::triggers::Triggers;
use crate::runner::pipeline::director::turns::{CutShards, Turns};
use crate::runner::pipeline::gate::Gate;
use crate::runner::pipeline::gauges::Gauges;
use crate::runner::pipeline::plan::Plan;
use crate::runner::pipeline::run::{Run, WatchedFields};
use crate::runner::process::event_clock::EventClock;
use crate::store::records::attempts::AttemptOutcome;
use crate::store::records::requests::Answer;
use crate::values::error_chain::in_one_line;

/// A checkpoint is due when the rows that wait to be published take this much memory.
const MAX_EMITTED_BYTES: u64 = 64 << 20;

/// How directing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The input was read to its end.
    Input,
    /// The run was asked to stop.
    Stop,
    /// A bad record ends the run, which has a last cut before it.
    BadRecord,
}

/// How long a run waits before it makes up for a calendar time that passed while the job was down. If the input ends
/// before that, the last checkpoint makes up for it.
const MAKE_UP_AFTER: Duration = Duration::from_secs(1);

/// A cut that was taken at the gate, and waits for the accounts of the blocks before it.
struct PendingCut {
    trigger: Trigger,
    begun: Instant,
    number: u64,
    positions: Vec<Option<Position>>,
}

/// The director's ends of the threads that work on the store, where they exist.
#[derive(Default)]
pub(crate) struct StoreThreads {
    /// To the checkpointer.
    pub(crate) cuts: Option<Sender<Cut>>,
    /// To the pruner: a notice of each commit.
    pub(crate) commits: Option<Sender<()>>,
    /// Requests for checkpoints through the store.
    pub(crate) requests: Option<Requests>,
}

/// What the director knows.
pub(crate) struct Director<'a> {
    pub(crate) run: &'a Run<'a>,
    pub(super) gate: &'a Gate,
    pub(crate) threads: StoreThreads,
    pub(super) accounts: Accounts,
    triggers: Triggers,
    turns: Turns,
    pub(super) checkpoints: Checkpoints,
    /// While some shards are behind others: the offset in each partition where all are at the same block.
    replay_until: Option<Vec<u64>>,
    pub(crate) watched: WatchedFields,
    /// Whether the run ends before that.
    pub(super) is_cut_short: bool,
    /// Whether the last checkpoint makes up for a calendar time that passed while the job was down.
    pub(super) makes_up: bool,
    /// Whether a checkpoint is due that tells other workers where the batch ends.
    pub(crate) begins_batch: bool,
    pending: Option<PendingCut>,
    /// A cut at the end that is complete, and waits for the outputs.
    pub(crate) last_cut: Option<Cut>,
    pub(super) started: Instant,
    /// Late records before this run.
    pub(super) late_before: u64,
    /// Bytes of input, if known.
    pub(super) total_bytes: Option<u64>,
}

impl<'a> Director<'a> {
    /// Makes the director of a run that continues from `lineage`. `clock` is that of a job with event time;
    /// `dead_letter` the dead-letter file of a run without checkpoints.
    pub(crate) fn new(
        run: &'a Run<'a>,
        plan: &Plan,
        lineage: &Lineage,
        (reader, gate): (&Reader, &'a Gate),
        clock: Option<EventClock>,
        dead_letter: Option<DeadLetterFile>,
        watched: WatchedFields,
    ) -> Director<'a> {
        let started = Instant::now();
        // One of several workers sees what all have left out only when it commits.
        let max_bad = run.job.input.max_bad.filter(|_| run.share.is_none());
        Director {
            run,
            gate,
            threads: StoreThreads::default(),
            accounts: Accounts::new(plan, lineage, reader, clock, dead_letter, max_bad),
            triggers: Triggers::new(run, lineage, started),
            turns: Turns::new(run, plan, lineage, started),
            checkpoints: Checkpoints::new(lineage),
            replay_until: plan.replay.as_ref().map(|replay| replay.until.clone()),
            watched,
            is_cut_short: false,
            makes_up: false,
            begins_batch: false,
            pending: None,
            last_cut: None,
            started,
            late_before: lineage.last.as_ref().map_or(0, |last| last.manifest.totals.late),
            total_bytes: total_bytes(run),
        }
    }

    /// Directs until the input has ended or the run is asked to stop, and the last cut is complete.
    pub(crate) fn direct(&mut self, events: &Receiver<ThreadEvent>, gauges: &Gauges) -> Result<End, RunError> {
        let mut input_ended = false;
        let mut next_tick = Instant::now();
        loop {
            match events.recv_deadline(next_tick) {
                Ok(ThreadEvent::Ended) => input_ended = true,
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Disconnected) => return Err(RunError::Panicked),
                Err(RecvTimeoutError::Timeout) => {
                    next_tick = Instant::now() + TICK;
                    self.run.observer.status(&self.status(gauges));
                }
            }
            if self.accounts.fatal.is_some() {
                if !self.checkpoints.busy {
                    self.cut_before_fatal()?;
                    return Ok(End::BadRecord);
                }
                continue;
            }
            if let Some(trigger) = self.due(input_ended, gauges) {
                self.take_cut(trigger, gauges)?;
            }
            if let Some(cut) = &self.last_cut {
                return Ok(if cut.ended { End::Input } else { End::Stop });
            }
        }
    }

    /// Returns what makes a cut due now, if anything does.
    fn due(&mut self, input_ended: bool, gauges: &Gauges) -> Option<Trigger> {
        let is_replaying = self.is_replaying();
        let stops = self.run.control.stop.load(Ordering::Relaxed);
        if self.pending.is_some() || self.checkpoints.busy || self.last_cut.is_some() {
            return None;
        }
        // While some shards are behind, no cut is one that all can have: a run that stops leaves the latest checkpoint.
        if is_replaying && !input_ended && !stops {
            return None;
        }
        self.is_cut_short |= is_replaying && !input_ended;
        let makes_checkpoints = self.threads.cuts.is_some();
        if input_ended {
            self.makes_up = self.triggers.has_missed();
            return Some(Trigger::EndOfInput);
        }
        if stops {
            return Some(Trigger::Shutdown);
        }
        if !makes_checkpoints {
            return None;
        }
        if std::mem::take(&mut self.begins_batch) {
            return Some(Trigger::Schedule);
        }
        let (records, changed_bytes) = (self.accounts.sums.records, self.turns.changed_bytes(gauges));
        let mut inputs = self.triggers.inputs(self.run, records, changed_bytes);
        if self.triggers.has_missed() && self.started.elapsed() < MAKE_UP_AFTER {
            inputs.next_at = None;
        }
        inputs.is_stale = self.turns.is_stale(gauges);
        inputs.requested = self.threads.requests.as_ref().is_some_and(Requests::is_any);
        let output_is_full = gauges.emitted_bytes.load(Ordering::Relaxed) >= MAX_EMITTED_BYTES;
        trigger::due(&self.triggers.policy, &inputs).or(output_is_full.then_some(Trigger::StateBytes))
    }

    /// Returns whether some shards still apply what others have applied: until then no cut is one that all can have.
    fn is_replaying(&mut self) -> bool {
        if self.replay_until.as_ref().is_some_and(|until| self.gate.has_reached(until)) {
            self.replay_until = None;
        }
        self.replay_until.is_some()
    }

    /// Takes a cut. At a shutdown no block is handed out after it.
    fn take_cut(&mut self, trigger: Trigger, gauges: &Gauges) -> Result<(), RunError> {
        let begun = Instant::now();
        let chosen = match self.turns.choose(trigger, gauges, self.triggers.last_cut_at.elapsed()) {
            CutShards::All => None,
            CutShards::Some(shards) => Some(shards),
            CutShards::None => {
                self.triggers.skip(begun, self.accounts.sums.records);
                return Ok(());
            }
        };
        if let Some(requests) = &mut self.threads.requests {
            requests.serve();
        }
        let (number, positions) = self.gate.cut(chosen, trigger == Trigger::Shutdown, trigger == Trigger::EndOfInput);
        self.pending = Some(PendingCut { trigger, begun, number, positions });
        self.account()
    }

    /// Takes a last cut before the block whose bad record ends the run. Fails with that record if there is nothing to
    /// keep, or no checkpoint to keep it in.
    fn cut_before_fatal(&mut self) -> Result<(), RunError> {
        let begun = Instant::now();
        let (number, is_first) = self.accounts.next_block();
        if is_first || self.threads.cuts.is_none() || self.is_replaying() {
            return Err(self.accounts.fatal.take().expect("a bad record ends the run").into());
        }
        if let Some(requests) = &mut self.threads.requests {
            requests.serve();
        }
        let positions = self.gate.cut_before(number);
        self.complete(PendingCut { trigger: Trigger::Shutdown, begun, number, positions })
    }

    /// Takes an event. Fails if it ends the run.
    pub(crate) fn take(&mut self, event: ThreadEvent) -> Result<(), RunError> {
        match event {
            ThreadEvent::Parsed(account) => {
                self.accounts.add(account);
                self.account()?;
            }
            ThreadEvent::Answered(answer) => {
                self.accounts.answer(answer);
                self.account()?;
            }
            ThreadEvent::InputNote(note) => self.run.observer.event(&RunEvent::Input(note)),
            ThreadEvent::Replica(note) => self.run.observer.event(&RunEvent::Replica(note)),
            ThreadEvent::Published { path, output: Output { rows, bytes, .. } } => {
                self.run.observer.event(&RunEvent::Published { path, rows, bytes });
            }
            ThreadEvent::Checkpoint(outcome) => self.take_outcome(outcome)?,
            ThreadEvent::Failed(error) => return Err(*error),
            ThreadEvent::Unapplied(error, key) => {
                return Err(RecordError::Unapplied { reason: error.reason, key }.into());
            }
            ThreadEvent::Late(record) => return Err(self.accounts.late_record(*record).into()),
            // What follows the bad record does not count.
            ThreadEvent::Input(_) if self.accounts.fatal.is_some() => {}
            ThreadEvent::Input(error) => return Err(error.into()),
            ThreadEvent::Opened(stream) => self.accounts.open(stream),
            ThreadEvent::Panicked => return Err(RunError::Panicked),
            ThreadEvent::Ended => {}
        }
        Ok(())
    }

    /// Accounts for the blocks whose turn it is, and completes the pending cut when it is reached.
    fn account(&mut self) -> Result<(), RunError> {
        let number = self.pending.as_ref().map(|pending| pending.number);
        if self.accounts.advance(number)?
            && let Some(pending) = self.pending.take()
        {
            self.complete(pending)?;
            self.accounts.advance(None)?;
        }
        if self.accounts.fatal.is_some() {
            self.pending = None;
        }
        self.gate.forget_before(self.accounts.next_block().0);
        for (partition, time) in self.accounts.early.take_unreported() {
            self.run.observer.event(&RunEvent::EarlyRecord { partition, time: Timestamp::from_millisecond(time).ok() });
        }
        Ok(())
    }

    /// Completes a cut. All blocks before it are accounted for, none after it.
    fn complete(&mut self, pending: PendingCut) -> Result<(), RunError> {
        self.accounts.check_max_bad()?;
        let PendingCut { trigger, begun, number, positions } = pending;
        let ended = trigger == Trigger::EndOfInput;
        if ended {
            self.accounts.end_time();
        }
        let (positions, past) = self.accounts.positions(positions);
        let cut = Cut {
            number,
            created: self.run.clock.now(),
            begun,
            trigger,
            ended,
            positions,
            past,
            skipped: self.accounts.sums.skipped,
            dead_lines: std::mem::take(&mut self.accounts.dead_lines),
            outputs: Vec::new(),
            sequence: None,
        };
        self.triggers.cut(begun, cut.created, self.accounts.sums.records);
        if ended || trigger == Trigger::Shutdown {
            self.last_cut = Some(cut);
        } else if let Some(cuts) = &self.threads.cuts {
            self.checkpoints.start(cut, cuts);
        }
        Ok(())
    }

    fn take_outcome(&mut self, outcome: CheckpointOutcome) -> Result<(), RunError> {
        if let CheckpointOutcome::Found(done) = outcome {
            // The attempt continues.
            self.committed(*done);
            return Ok(());
        }
        self.checkpoints.busy = false;
        self.triggers.attempt_ended();
        match outcome {
            CheckpointOutcome::Committed(done) => {
                self.checkpoints.succeeded();
                let manifest = &done.committed.manifest;
                self.answer(&Answer {
                    sequence: Some(manifest.sequence),
                    new_bytes: manifest.totals.new_bytes,
                    total_micros: done.total_micros,
                    ..Answer::new(AttemptOutcome::Committed, manifest.created)
                });
                self.committed(*done);
            }
            CheckpointOutcome::Failed(mut error) => {
                if let RunError::Record(RecordError::TooManyBad { reasons, .. }) = &mut *error {
                    *reasons = self.accounts.reasons.sorted();
                }
                let error_text = Some(in_one_line(error.as_ref()));
                self.answer(&Answer { error: error_text, ..Answer::new(AttemptOutcome::Failed, self.run.clock.now()) });
                self.checkpoints.failed(self.run, error)?;
                self.triggers.retry_soon();
            }
            CheckpointOutcome::Elided | CheckpointOutcome::Found(_) => {
                self.checkpoints.succeeded();
                self.answer_elided();
                self.run.observer.event(&RunEvent::CheckpointElided { cause: self.checkpoints.attempted });
            }
        }
        Ok(())
    }

    fn committed(&mut self, done: Done) {
        let is_first = self.checkpoints.latest.is_none();
        self.checkpoints.committed(self.run, done);
        // At its end, the run says so in any case.
        if is_first && !self.checkpoints.at_end {
            let records = self.accounts.sums.records;
            for field in self.watched.absent() {
                self.run.observer.event(&RunEvent::AbsentField { field, records });
            }
        }
        if let Some(commits) = &self.threads.commits {
            // One waiting notice is as good as two.
            let _ = commits.try_send(());
        }
    }

    /// Answers the requests that the attempt served.
    fn answer(&mut self, answer: &Answer) {
        if let Some(requests) = &mut self.threads.requests {
            requests.answer(answer);
        }
    }

    pub(super) fn answer_elided(&mut self) {
        let sequence = self.checkpoints.latest_sequence();
        self.answer(&Answer { sequence, ..Answer::new(AttemptOutcome::Elided, self.run.clock.now()) });
    }
}

/// Returns the bytes of the input, if they are known: not those of one that is followed, compressed or piped.
fn total_bytes(run: &Run<'_>) -> Option<u64> {
    let is_plain = |partition: &Partition| partition.compression == Compression::None;
    if run.job.input.follow || !run.partitions.iter().all(is_plain) {
        return None;
    }
    run.partitions.iter().map(|partition| partition.file_bytes).sum()
}
