//! The directing: accounts for blocks in their order, decides when a checkpoint is due, and ends the run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use jiff::Timestamp;

use crate::format::manifest::{Manifest, Mode, Output, Trigger};
use crate::input::roster::Roster;
use crate::input::{Compression, Partition, Reader, Stand};
use crate::job::calendar::Calendar;
use crate::job::{Emit, Schedule};
use crate::runner::checkpoint::priority::{Priorities, ShardSeen};
use crate::runner::checkpoint::requests::Requests;
use crate::runner::checkpoint::trigger::{Policy, Seen, Timing};
use crate::runner::checkpoint::{priority, trigger};
use crate::runner::error::{RecordError, RunError};
use crate::runner::lineage::Lineage;
use crate::runner::messages::{Account, Cut, Event, Outcome, Past, Standing, Stream};
use crate::runner::observer::{Done, PublishedChanges, RunEvent, Status, Summary};
use crate::runner::options::TICK;
use crate::runner::output::dead_letter::{DeadLetterFile, append_line};
use crate::runner::output::final_file;
use crate::runner::output::plan::OutputPlan;
use crate::runner::pipeline::gate::Gate;
use crate::runner::pipeline::gauges::Gauges;
use crate::runner::pipeline::plan::{Plan, Route};
use crate::runner::pipeline::run::Run;
use crate::runner::process::time_plan::TimePlan;
use crate::runner::process::watermark::{Clock, NEVER};
use crate::runner::rejected::LateRecord;
use crate::runner::state::shard::Shard;
use crate::store::records::attempts::AttemptOutcome;
use crate::store::records::requests::Answer;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// A checkpoint at a time of the clock that failed is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// How the directing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The input was read to its end.
    Input,
    /// Somebody asked to stop.
    Stop,
}

/// A cut that was taken, and waits for the blocks before it.
struct Asked {
    trigger: Trigger,
    begun: Instant,
    number: u64,
    stands: Vec<Option<Stand>>,
}

/// The shards that a cut takes.
enum Choice {
    All,
    Some(Arc<[bool]>),
    /// Some have changed, and none of them has its turn.
    Nothing,
}

/// What the directing thread knows.
pub(crate) struct Director<'a> {
    run: &'a Run<'a>,
    gate: &'a Gate,
    pub(crate) cuts: Option<Sender<Cut>>,
    /// Takes a notice of each commit, where checkpoints are pruned.
    pub(crate) commits: Option<Sender<()>>,
    /// Where checkpoints are asked for through the store.
    pub(crate) requests: Option<Requests>,
    /// The partitions of a job without a key.
    roster: Option<Arc<Roster>>,
    policy: Policy,
    /// The next time of the clock at which a checkpoint is due, or the last that was missed.
    next_at: Option<Timestamp>,
    /// When the last attempt ended.
    ended_at: Option<Instant>,
    cuts_taken: u64,
    records_at_cut: u64,
    /// The time at the next block to account for.
    timing: Option<(TimePlan, Clock)>,
    /// In mode priority: the classes, when each shard was last taken, how many checkpoints were due, and the bytes that had changed in the
    /// shards that the last cut left out.
    priorities: Option<Arc<Priorities>>,
    taken_at: Vec<Instant>,
    rounds: u64,
    changed_at_cut: u64,
    /// The offsets of the newest cut of the checkpoint, by partition, until all partitions have come to them again.
    replay_until: Option<Vec<u64>>,
    /// Whether the run ends before they have.
    is_cut_short: bool,
    /// The next block to account for, and those that came before their turn.
    next: u64,
    early: BTreeMap<u64, Account>,
    /// What was applied of each stream.
    streams: Vec<Stream>,
    /// What was applied of files that had no position any more when the run began.
    past: Past,
    /// Sums over the job and at the start of the run.
    records_in_all: u64,
    records_before: u64,
    bytes_in_all: u64,
    bytes_before: u64,
    skipped_in_all: u64,
    skipped_before: u64,
    dead_lines: Vec<u8>,
    /// Where they go when no checkpoint takes them along.
    pub(crate) dead_letter: Option<DeadLetterFile>,
    asked: Option<Asked>,
    /// Whether a checkpoint is under way.
    busy: bool,
    /// What caused it, or the one before.
    attempted: Trigger,
    /// Whether it is the last one.
    at_end: bool,
    /// Attempts that failed since the last that did not.
    failures: u32,
    /// A cut at the end that is complete, and waits for the outputs.
    last_cut: Option<Cut>,
    /// The latest checkpoint: block, end of input, outputs and number.
    latest: Option<(u64, bool, Vec<Output>, Sequence)>,
    last_cut_at: Instant,
    started: Instant,
    /// The same, by the clock.
    began: Timestamp,
    done: Vec<Done>,
    /// What the checkpoints of this run have published.
    changes: PublishedChanges,
    late_before: u64,
    last_done: Option<(Sequence, Instant, Duration)>,
    resumed_from: Option<Sequence>,
    /// The highest number that is taken.
    newest: Option<Sequence>,
    /// As [`Lineage::is_relaid`], until a checkpoint is committed.
    is_relaid: bool,
    total_bytes: Option<u64>,
}

impl<'a> Director<'a> {
    /// `clock` is that of a job that goes by time.
    pub(crate) fn new(
        run: &'a Run<'a>,
        plan: &Plan,
        lineage: &Lineage,
        reader: &Reader,
        gate: &'a Gate,
        clock: Option<Clock>,
    ) -> Director<'a> {
        let manifest = lineage.last.as_ref().map(|last| &last.manifest);
        let stands = reader.stands();
        let mut streams: Vec<Stream> = stands.iter().map(Stream::new).collect();
        // The checkpoint has counted up to its newest cut; what is read again before that is not counted twice.
        if let Some(replay) = &plan.replay {
            for ((stream, until), stand) in streams.iter_mut().zip(&replay.until).zip(&stands) {
                stream.counted_offset = stream.offset.max(*until);
                stream.counted_records = lineage.positions.get(&stand.partition.name).map_or(0, |row| row.record);
            }
        }
        let records_in_all = manifest.map_or(0, |manifest| manifest.totals.records);
        let bytes_in_all = manifest.map_or(0, |manifest| manifest.totals.input_bytes);
        let in_streams = |of: fn(&Stream) -> u64| streams.iter().map(of).sum::<u64>();
        let past = Past {
            records: records_in_all.saturating_sub(in_streams(|stream| stream.counted_records)),
            input_bytes: bytes_in_all.saturating_sub(in_streams(|stream| stream.counted_offset)),
        };
        let skipped_in_all = manifest.map_or(0, |manifest| manifest.totals.skipped);
        // Of an input that goes on nobody knows.
        let plain = |partition: &&Partition| partition.compression == Compression::None;
        let total_bytes =
            (!run.job.input.follow && run.partitions.iter().all(|partition| plain(&partition))).then_some(());
        let total_bytes =
            total_bytes.and_then(|()| run.partitions.iter().map(|partition| partition.file_bytes).sum::<Option<u64>>());
        let now = Instant::now();
        let policy = policy(run);
        Director {
            run,
            gate,
            cuts: None,
            commits: None,
            requests: None,
            roster: match &plan.route {
                Route::Key(_) => None,
                Route::Partition(roster) => Some(Arc::clone(roster)),
            },
            next_at: first_time(&policy, manifest, (run.clock)()),
            policy,
            ended_at: None,
            cuts_taken: 0,
            records_at_cut: records_in_all,
            timing: plan.timing.clone().zip(clock),
            priorities: plan.priorities.clone(),
            taken_at: taken_at(run, plan, lineage, now),
            rounds: 0,
            changed_at_cut: 0,
            replay_until: plan.replay.as_ref().map(|replay| replay.until.clone()),
            is_cut_short: false,
            next: reader.next_number(),
            early: BTreeMap::new(),
            streams,
            past,
            records_in_all,
            records_before: records_in_all,
            bytes_in_all,
            bytes_before: bytes_in_all,
            skipped_in_all,
            skipped_before: skipped_in_all,
            dead_lines: Vec::new(),
            dead_letter: None,
            asked: None,
            busy: false,
            attempted: Trigger::Schedule,
            at_end: false,
            failures: 0,
            last_cut: None,
            latest: manifest.map(|m| (m.block, m.ended, m.outputs.clone(), m.sequence)),
            last_cut_at: now,
            started: now,
            began: (run.clock)(),
            done: Vec::new(),
            changes: PublishedChanges::default(),
            late_before: manifest.map_or(0, |manifest| manifest.totals.late),
            last_done: None,
            resumed_from: manifest.map(|manifest| manifest.sequence),
            newest: lineage.newest,
            is_relaid: lineage.is_relaid,
            total_bytes,
        }
    }

    /// Directs until the input has ended or somebody asks to stop, and the last cut is complete.
    pub(crate) fn direct(&mut self, events: &Receiver<Event>, gauges: &Gauges) -> Result<End, RunError> {
        let control = self.run.control;
        let mut input_ended = false;
        let mut next_tick = Instant::now();
        loop {
            match events.recv_deadline(next_tick) {
                Ok(Event::Ended) => input_ended = true,
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Disconnected) => return Err(RunError::Panicked),
                Err(RecvTimeoutError::Timeout) => {
                    next_tick = Instant::now() + TICK;
                    self.run.observer.status(&self.status(gauges));
                }
            }
            let is_replaying = self.is_replaying();
            let stops = control.stop.load(Ordering::Relaxed);
            let waits = self.asked.is_none() && !self.busy && self.last_cut.is_none();
            // While some shards are behind, no cut is one that all can have: a run that stops then leaves the checkpoint that there is.
            let waits = waits && (!is_replaying || input_ended || stops);
            self.is_cut_short |= waits && is_replaying && !input_ended;
            if waits && self.cuts.is_some() && !is_replaying && self.has_missed() {
                // A time that came while the job was down is made up for before anything else.
                self.ask(Trigger::Schedule, gauges)?;
            } else if waits && input_ended {
                self.ask(Trigger::EndOfInput, gauges)?;
            } else if waits && stops {
                self.ask(Trigger::Shutdown, gauges)?;
            } else if waits && self.cuts.is_some() {
                let seen = self.seen(gauges);
                let output_is_full = gauges.emitted_bytes.load(Ordering::Relaxed) >= MAX_EMITTED_BYTES;
                let due = trigger::due(&self.policy, &seen).or(output_is_full.then_some(Trigger::StateBytes));
                if let Some(trigger) = due {
                    self.ask(trigger, gauges)?;
                }
            }
            if let Some(cut) = &self.last_cut {
                return Ok(if cut.ended { End::Input } else { End::Stop });
            }
        }
    }

    /// Returns what decides whether a checkpoint is due.
    fn seen(&mut self, gauges: &Gauges) -> Seen {
        let now = (self.run.clock)();
        if let (Timing::At(calendar), Some(next_at)) = (&self.policy.timing, self.next_at) {
            // It is later only when the clock was set back since: then the next time by the clock as it is now counts.
            self.next_at = Some(calendar.next_after(now).map_or(next_at, |by_now| by_now.min(next_at)));
        }
        Seen {
            now,
            next_at: self.next_at,
            since_last: self.last_cut_at.elapsed(),
            since_end: self.ended_at.map(|ended| ended.elapsed()),
            cuts: self.cuts_taken,
            changed_bytes: gauges.changed_bytes.load(Ordering::Relaxed).saturating_sub(self.changed_at_cut),
            is_stale: self.is_stale(gauges),
            records: self.records_in_all.saturating_sub(self.records_at_cut),
            signalled: self.run.control.checkpoint.swap(false, Ordering::Relaxed),
            requested: self.requests.as_ref().is_some_and(Requests::is_any),
        }
    }

    /// Chooses the shards of a cut. Who asks, and the end, get all of them.
    fn choose(&mut self, trigger: Trigger, gauges: &Gauges) -> Choice {
        let now = Instant::now();
        let Some(priorities) = &self.priorities else { return Choice::All };
        if !matches!(trigger, Trigger::Schedule | Trigger::StateBytes | Trigger::Records) {
            self.taken_at.fill(now);
            self.changed_at_cut = 0;
            return Choice::All;
        }
        let seen: Vec<ShardSeen> = (0..)
            .zip(self.taken_at.iter().zip(&gauges.shards))
            .map(|(shard, (taken_at, changed))| ShardSeen {
                rank: priorities.rank(shard),
                changed_bytes: changed.load(Ordering::Relaxed),
                stale: now.saturating_duration_since(*taken_at),
            })
            .collect();
        let chosen = priority::choose(priorities, &seen, self.rounds, self.last_cut_at.elapsed());
        self.rounds += 1;
        let is_changed = |seen: &ShardSeen| seen.changed_bytes > 0;
        let any = |wanted: bool| seen.iter().zip(&chosen).any(|(seen, chosen)| is_changed(seen) && *chosen == wanted);
        if any(false) && !any(true) {
            self.changed_at_cut = gauges.changed_bytes.load(Ordering::Relaxed);
            return Choice::Nothing;
        }
        for (taken_at, (seen, chosen)) in self.taken_at.iter_mut().zip(seen.iter().zip(&chosen)) {
            if *chosen || !is_changed(seen) {
                *taken_at = now;
            }
        }
        let left = seen.iter().zip(&chosen).filter(|(_, chosen)| !**chosen);
        self.changed_at_cut = left.map(|(seen, _)| seen.changed_bytes).sum();
        Choice::Some(chosen.into())
    }

    /// Tells whether a shard with changes has waited as long as it may.
    fn is_stale(&self, gauges: &Gauges) -> bool {
        let Some(priorities) = &self.priorities else { return false };
        let changed =
            self.taken_at.iter().zip(&gauges.shards).filter(|(_, changed)| changed.load(Ordering::Relaxed) > 0);
        changed.map(|(taken_at, _)| taken_at.elapsed()).any(|stale| stale >= priorities.max_staleness)
    }

    /// Tells whether some shards still apply again what others have applied: until then no cut is one that all can have.
    fn is_replaying(&mut self) -> bool {
        if self.replay_until.as_ref().is_some_and(|until| self.gate.has_come_to(until)) {
            self.replay_until = None;
        }
        self.replay_until.is_some()
    }

    /// Tells whether a time of the clock came before this run took its first cut.
    fn has_missed(&self) -> bool {
        self.cuts_taken == 0 && self.next_at.is_some_and(|at| at <= self.began)
    }

    /// Takes a cut. At a shutdown no block is handed out behind it.
    fn ask(&mut self, trigger: Trigger, gauges: &Gauges) -> Result<(), RunError> {
        let begun = Instant::now();
        let chosen = match self.choose(trigger, gauges) {
            Choice::All => None,
            Choice::Some(shards) => Some(shards),
            Choice::Nothing => {
                // No class has its turn: as if there had been a cut.
                self.last_cut_at = begun;
                self.records_at_cut = self.records_in_all;
                return Ok(());
            }
        };
        if let Some(requests) = &mut self.requests {
            requests.serve();
        }
        let (number, stands) = self.gate.cut(chosen, trigger == Trigger::Shutdown, trigger == Trigger::EndOfInput);
        self.asked = Some(Asked { trigger, begun, number, stands });
        self.account()
    }

    pub(crate) fn take(&mut self, event: Event) -> Result<(), RunError> {
        match event {
            Event::Parsed(account) => {
                self.early.insert(account.number, account);
                self.account()?;
            }
            Event::Replica(note) => self.run.observer.event(&RunEvent::Replica(note)),
            Event::Checkpoint(Outcome::Found(done)) => self.committed(*done),
            Event::Checkpoint(Outcome::Committed(done)) => {
                self.has_ended();
                self.failures = 0;
                let manifest = &done.committed.manifest;
                self.answer(Answer {
                    sequence: Some(manifest.sequence),
                    new_bytes: manifest.totals.new_bytes,
                    total_micros: done.total_micros,
                    ..Answer::new(AttemptOutcome::Committed, manifest.created)
                });
                self.committed(*done);
            }
            Event::Checkpoint(Outcome::Elided) => {
                self.has_ended();
                self.failures = 0;
                self.answer_elided();
                self.run.observer.event(&RunEvent::CheckpointElided { cause: self.attempted });
            }
            Event::Checkpoint(Outcome::Failed(error)) => {
                self.has_ended();
                let error_text = Some(in_one_line(error.as_ref()));
                self.answer(Answer { error: error_text, ..Answer::new(AttemptOutcome::Failed, (self.run.clock)()) });
                self.failed(error)?;
            }
            Event::Failed(error) => return Err(*error),
            Event::Unapplied(error, key) => return Err(RecordError::Unapplied { reason: error.reason, key }.into()),
            Event::Late(record) => {
                let LateRecord { stream, first_record, rejected, .. } = *record;
                return Err(RecordError::Late {
                    partition: self.streams[stream as usize].name.to_string(),
                    offset: rejected.offset,
                    record: first_record + rejected.index,
                    reason: rejected.reason,
                    beginning: String::from_utf8_lossy(&rejected.bytes).into_owned(),
                }
                .into());
            }
            Event::Input(error) => return Err(error.into()),
            Event::Opened(stream) => self.streams.push(stream),
            Event::Panicked => return Err(RunError::Panicked),
            Event::Ended => {}
        }
        Ok(())
    }

    /// Accounts for the blocks whose turn it is, up to a cut that waits; then the cut.
    fn account(&mut self) -> Result<(), RunError> {
        loop {
            if let Some(asked) = self.asked.take_if(|asked| asked.number == self.next) {
                self.cut(asked);
            }
            let Some(account) = self.early.remove(&self.next) else { return Ok(()) };
            let stream = &mut self.streams[account.stream as usize];
            let (name, first_record) = (&stream.name, stream.records);
            if let Some(rejected) = account.fatal {
                return Err(RecordError::Bad {
                    partition: name.to_string(),
                    offset: rejected.offset,
                    record: first_record + rejected.index,
                    reason: rejected.reason,
                    beginning: String::from_utf8_lossy(&rejected.bytes).into_owned(),
                }
                .into());
            }
            for rejected in &account.dead {
                append_line(&mut self.dead_lines, name, first_record, rejected);
            }
            if let Some((_, clock)) = &mut self.timing {
                clock.advance(account.stream as usize, account.time, &account.released);
            }
            self.next += 1;
            let before = stream.records.max(stream.counted_records);
            stream.records += account.records;
            self.records_in_all += stream.records.max(stream.counted_records) - before;
            let from = stream.offset.max(stream.counted_offset);
            self.bytes_in_all += account.end_offset.saturating_sub(from);
            stream.offset = account.end_offset;
            self.skipped_in_all += account.skipped;
            if let Some(file) = &mut self.dead_letter
                && self.dead_lines.len() >= DEAD_LINES_BYTES
            {
                file.append(&std::mem::take(&mut self.dead_lines))?;
            }
        }
    }

    /// Completes a cut. All blocks before it are accounted for, none behind it.
    fn cut(&mut self, Asked { trigger, begun, number, stands }: Asked) {
        let at_end = matches!(trigger, Trigger::EndOfInput | Trigger::Shutdown);
        if let (Trigger::EndOfInput, Some((timing, clock))) = (trigger, &mut self.timing) {
            timing.end(clock);
        }
        let clock = self.timing.as_ref().map(|(_, clock)| clock);
        let mut past = self.past;
        let mut standings = Vec::with_capacity(stands.len());
        for (number, (stream, stand)) in self.streams.iter().zip(stands).enumerate() {
            match stand {
                Some(stand) => {
                    let task = self.roster.as_ref().and_then(|roster| roster.task(stand.logical()));
                    let event_time = clock.and_then(|clock| clock.time(number));
                    standings.push(Standing { stand, task, record: stream.records, event_time });
                }
                None => {
                    past.records += stream.records;
                    past.input_bytes += stream.offset;
                }
            }
        }
        let cut = Cut {
            number,
            created: (self.run.clock)(),
            begun,
            trigger,
            ended: trigger == Trigger::EndOfInput,
            standings,
            watermark: self.watermark(),
            past,
            skipped: self.skipped_in_all,
            dead_lines: std::mem::take(&mut self.dead_lines),
            outputs: Vec::new(),
            sequence: None,
        };
        self.last_cut_at = begun;
        self.cuts_taken += 1;
        self.records_at_cut = self.records_in_all;
        self.set_next_time(cut.created);
        if at_end {
            self.last_cut = Some(cut);
        } else {
            self.send(cut);
        }
    }

    /// A checkpoint of all at `now` serves every time of the clock until then.
    fn set_next_time(&mut self, now: Timestamp) {
        if let Timing::At(calendar) = &self.policy.timing {
            self.next_at = calendar.next_after(now);
        }
    }

    fn send(&mut self, cut: Cut) {
        if let Some(cuts) = &self.cuts {
            self.attempted = cut.trigger;
            let _ = cuts.send(cut);
            self.busy = true;
        }
    }

    /// Answers those who asked for a checkpoint, and were served by the attempt that has ended.
    fn answer(&mut self, answer: Answer) {
        if let Some(requests) = &mut self.requests {
            requests.answer(&answer);
        }
    }

    fn answer_elided(&mut self) {
        let sequence = self.latest.as_ref().map(|(_, _, _, sequence)| *sequence);
        self.answer(Answer { sequence, ..Answer::new(AttemptOutcome::Elided, (self.run.clock)()) });
    }

    /// Notes that an attempt has ended.
    fn has_ended(&mut self) {
        self.busy = false;
        self.ended_at = Some(Instant::now());
    }

    /// Goes on after an attempt that failed, or ends the run with it.
    fn failed(&mut self, error: Box<RunError>) -> Result<(), RunError> {
        self.failures += 1;
        let tolerated = self.run.job.checkpoint.tolerate;
        if self.at_end || tolerated == 0 || !error.may_pass() {
            return Err(*error);
        }
        if self.failures > tolerated {
            return Err(RunError::TooManyFailures { failures: self.failures, tolerated, source: error });
        }
        // The next time of the clock may be far away.
        let retry = (self.run.clock)().checked_add(RETRY_AFTER).ok();
        self.next_at = self.next_at.and_then(|at| retry.map(|retry| at.min(retry)));
        let (failures, reason) = (self.failures, in_one_line(error.as_ref()));
        let cause = self.attempted;
        self.run.observer.event(&RunEvent::CheckpointFailed { cause, failures, tolerated, reason });
        Ok(())
    }

    fn committed(&mut self, done: Done) {
        let manifest = &done.committed.manifest;
        self.latest = Some((manifest.block, manifest.ended, manifest.outputs.clone(), manifest.sequence));
        if self.run.output.as_ref().is_some_and(|output| output.emit.is_by_checkpoint()) {
            for output in &manifest.outputs {
                self.changes.files += 1;
                self.changes.rows += output.rows;
                self.changes.bytes += output.bytes;
                let path = self.run.job.resolve(Path::new(&output.path)).display().to_string();
                self.run.observer.event(&RunEvent::Published { path, rows: output.rows, bytes: output.bytes });
            }
        }
        self.newest = Some(manifest.sequence);
        self.is_relaid = false;
        self.last_done = Some((manifest.sequence, Instant::now(), Duration::from_micros(done.total_micros)));
        self.run.observer.event(&RunEvent::Committed(Box::new(done.clone())));
        self.done.push(done);
        if let Some(commits) = &self.commits {
            // One notice that waits is as good as two.
            let _ = commits.try_send(());
        }
    }

    /// Makes the last checkpoint, if there is anything new, and publishes the output, once the workers have returned their shards.
    pub(crate) fn finish(
        &mut self,
        end: End,
        shards: &[(u32, Shard)],
        plan: &Plan,
        events: &Receiver<Event>,
        gauges: &Gauges,
    ) -> Result<Summary, RunError> {
        let mut cut = self.last_cut.take().expect("a run ends with a cut");
        let sequence = self.newest.map_or(Sequence::FIRST, Sequence::next);
        let final_output = |output: &&OutputPlan| end == End::Input && output.emit == Emit::Final;
        let program_output = match self.run.output.as_ref().filter(final_output) {
            None => None,
            Some(output) => Some((output, final_file::stage(output, &self.run.shape(plan), sequence, shards)?)),
        };
        cut.sequence = Some(sequence);
        self.at_end = true;
        cut.outputs = program_output.iter().map(|(_, output)| output.clone()).collect();
        // After going back there is something to commit in any case: else the next run would find the damaged one again.
        let went_back = self.newest != self.latest.as_ref().map(|(_, _, _, sequence)| *sequence);
        let is_new = !self.is_cut_short
            && self.latest.as_ref().is_none_or(|(block, ended, outputs, _)| {
                let other_output = program_output.is_some() && *outputs != cut.outputs;
                went_back || self.is_relaid || *block != cut.number || (cut.ended && (!ended || other_output))
            });
        let outputs = cut.outputs.clone();
        if let Some(file) = &mut self.dead_letter {
            file.append(&cut.dead_lines)?;
        }
        if is_new && self.cuts.is_some() {
            self.send(cut);
            while self.busy {
                match events.recv() {
                    Ok(event) => self.take(event)?,
                    Err(_) => return Err(RunError::Panicked),
                }
            }
        } else {
            self.answer_elided();
        }
        if let Some((plan, output)) = program_output {
            plan.publish(sequence)?;
            self.run.observer.event(&RunEvent::Published {
                path: plan.path(sequence).display().to_string(),
                rows: output.rows,
                bytes: output.bytes,
            });
        }
        let late = gauges.late.load(Ordering::Relaxed);
        let mut pauses_micros: Vec<u64> =
            self.done.iter().map(|done| done.committed.manifest.timings.pause_micros).collect();
        pauses_micros.sort_unstable();
        Ok(Summary {
            resumed_from: self.resumed_from,
            skipped_checkpoints: self.run.skipped_checkpoints.clone(),
            latest: self.latest.as_ref().map(|(_, _, _, sequence)| *sequence),
            records: self.records_in_all - self.records_before,
            records_in_all: self.records_in_all,
            skipped: self.skipped_in_all - self.skipped_before,
            skipped_in_all: self.skipped_in_all,
            late,
            late_in_all: self.late_before + late,
            input_bytes: self.bytes_in_all - self.bytes_before,
            keys: shards.iter().map(|(_, shard)| shard.keys()).sum(),
            checkpoints: self.done.len() as u64,
            checkpoint_bytes: self.done.iter().map(|done| done.committed.manifest.totals.new_bytes).sum(),
            pauses_micros,
            loading: self.started - self.run.begun,
            elapsed: self.started.elapsed(),
            ended: end == End::Input,
            outputs,
            changes: self.changes,
            ..Summary::default()
        })
    }

    /// Returns the time before which no more records are expected, if there is one.
    fn watermark(&self) -> Option<i64> {
        self.timing.as_ref().map(|(_, clock)| clock.watermark()).filter(|watermark| *watermark != NEVER)
    }

    fn status(&self, gauges: &Gauges) -> Status {
        Status {
            records: self.records_in_all,
            records_of_run: self.records_in_all - self.records_before,
            skipped_of_run: self.skipped_in_all - self.skipped_before,
            late_of_run: gauges.late.load(Ordering::Relaxed),
            watermark: self.watermark(),
            input_bytes: self.bytes_in_all,
            input_bytes_of_run: self.bytes_in_all - self.bytes_before,
            total_bytes: self.total_bytes,
            lag_bytes: match self.run.job.input.follow {
                true => Some(self.gate.unread_bytes()),
                false => self.total_bytes.map(|total| total.saturating_sub(self.bytes_in_all)),
            },
            changed_bytes: gauges.changed_bytes.load(Ordering::Relaxed),
            keys: gauges.keys.load(Ordering::Relaxed),
            memory_bytes: gauges.memory_bytes.load(Ordering::Relaxed),
            checkpoints: self.done.len() as u64,
            last: self.last_done,
            elapsed: self.started.elapsed(),
        }
    }
}

/// Returns when checkpoints of the job are due.
fn policy(run: &Run<'_>) -> Policy {
    let checkpoint = &run.job.checkpoint;
    let timing = match &checkpoint.schedule {
        None => Timing::None,
        Some(Schedule::Every(interval)) if checkpoint.mode == Mode::Scheduled => {
            Timing::At(Calendar::Aligned(*interval))
        }
        Some(Schedule::Every(interval)) => Timing::After(*interval),
        // It was looked at when the job file was read.
        Some(Schedule::Cron(expression)) => Calendar::cron(expression).map_or(Timing::None, Timing::At),
    };
    Policy {
        timing,
        state_bytes: checkpoint.state_bytes,
        records: checkpoint.records,
        min_pause: checkpoint.min_pause,
        jitter: checkpoint.jitter,
        seed: run.seed,
    }
}

/// Returns the first time of the clock that counts: after the latest checkpoint, so that one that came while the job was down is made up for.
fn first_time(policy: &Policy, latest: Option<&Manifest>, now: Timestamp) -> Option<Timestamp> {
    match &policy.timing {
        Timing::At(calendar) => calendar.next_after(latest.map_or(now, |latest| latest.created)),
        Timing::None | Timing::After(_) => None,
    }
}

/// Returns when each shard was last taken, in mode priority. Those that the checkpoint has at an older cut have waited since then.
fn taken_at(run: &Run<'_>, plan: &Plan, lineage: &Lineage, now: Instant) -> Vec<Instant> {
    if plan.priorities.is_none() {
        return Vec::new();
    }
    let mut taken_at = vec![now; plan.shards as usize];
    for older in &lineage.older {
        let age = (run.clock)().duration_since(older.cut.created);
        let since = Duration::try_from(age).ok().and_then(|age| now.checked_sub(age)).unwrap_or(now);
        for shard in &older.cut.shards {
            if let Some(taken_at) = taken_at.get_mut(*shard as usize) {
                *taken_at = since;
            }
        }
    }
    taken_at
}

/// So many bytes of dead letters are written at once when there are no checkpoints.
pub(crate) const DEAD_LINES_BYTES: usize = 1 << 20;

/// A checkpoint is due when the rows that wait to be published take so much memory.
pub(crate) const MAX_EMITTED_BYTES: u64 = 64 << 20;
