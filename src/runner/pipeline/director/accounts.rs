//! The accounts of the blocks, in their order: what was applied of each file, the sums, and the dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::format::manifest::Manifest;
use crate::input::partition_tasks::PartitionTasks;
use crate::input::{Position, Reader};
use crate::job::{MaxBad, OnError};
use crate::runner::bad_reasons::{BadExample, BadReasons};
use crate::runner::error::{RecordError, RunError};
use crate::runner::lineage::Lineage;
use crate::runner::messages::{BlockAccount, CutPosition, PastInput, StreamProgress};
use crate::runner::output::dead_letter::{DeadLetterFile, append_line};
use crate::runner::pipeline::plan::{Plan, Replay};
use crate::runner::process::event_clock::EventClock;
use crate::runner::process::time_plan::TimePlan;
use crate::runner::process::watermark::NEVER;
use crate::runner::rejected::{BlockAnswer, LateRecord, RecordOffset, Rejected};

/// Without checkpoints, this many bytes of dead letters are written at once.
const DEAD_LINES_BYTES: usize = 1 << 20;

/// With at least this many records, a share of bad ones that is too large ends the run between two checkpoints, too.
const ENOUGH_RECORDS: u64 = 1_000;

/// The accounts of all blocks before the next one.
pub(super) struct Accounts {
    /// The next block to account for.
    next: u64,
    /// The first block of the run.
    first: u64,
    /// The bad record that ends the run. It is in the next block.
    pub(super) fatal: Option<RecordError>,
    on_error: OnError,
    max_bad: Option<MaxBad>,
    pub(super) reasons: BadReasons<BadExample>,
    /// Blocks that arrived before their turn.
    waiting: BTreeMap<u64, BlockAccount>,
    streams: Vec<StreamProgress>,
    /// Whether they are partitions of a topic.
    are_topics: bool,
    /// The records of each stream when the run began.
    first_records: Vec<u64>,
    /// The tasks of the partitions, for a job without a key.
    partition_tasks: Option<Arc<PartitionTasks>>,
    /// What was applied of files that no longer had a position when the run began.
    past: PastInput,
    /// For a job with event time.
    timing: Option<(TimePlan, EventClock)>,
    pub(super) sums: Sums,
    /// The sums when the run began.
    pub(super) before: Sums,
    pub(super) early: EarlyRecords,
    pub(super) dead_lines: Vec<u8>,
    /// Where they go if there are no checkpoints.
    pub(super) dead_letter: Option<DeadLetterFile>,
}

/// Sums since the job began.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    /// Bad records included.
    pub(super) records: u64,
    pub(super) skipped: u64,
    pub(super) input_bytes: u64,
}

/// Records whose time is so far ahead that they do not move the watermark.
#[derive(Debug, Default)]
pub(super) struct EarlyRecords {
    pub(super) records: u64,
    /// The streams that have some.
    streams: BTreeSet<u32>,
    /// The name of each such stream and the largest time, in milliseconds, until it is reported.
    unreported: Vec<(String, i64)>,
}

impl EarlyRecords {
    fn count(&mut self, stream: u32, name: &str, records: u64, largest: Option<i64>) {
        self.records += records;
        if let (true, Some(time)) = (self.streams.insert(stream), largest) {
            self.unreported.push((name.to_owned(), time));
        }
    }

    pub(super) fn take_unreported(&mut self) -> Vec<(String, i64)> {
        std::mem::take(&mut self.unreported)
    }
}

impl Accounts {
    /// Makes the accounts of a run that continues from `lineage`.
    pub(super) fn new(
        plan: &Plan,
        lineage: &Lineage,
        reader: &Reader,
        clock: Option<EventClock>,
        dead_letter: Option<DeadLetterFile>,
        max_bad: Option<MaxBad>,
    ) -> Accounts {
        let positions = reader.positions();
        let mut streams: Vec<StreamProgress> = positions.iter().map(StreamProgress::new).collect();
        if let Some(replay) = &plan.replay {
            skip_counted(&mut streams, &positions, replay, lineage);
        }
        let sums = lineage.last.as_ref().map_or(Sums::default(), |last| Sums::of(&last.manifest));
        let in_streams = |of: fn(&StreamProgress) -> u64| streams.iter().map(of).sum::<u64>();
        let past = PastInput {
            records: sums.records.saturating_sub(in_streams(|stream| stream.counted_records)),
            input_bytes: sums.input_bytes.saturating_sub(in_streams(|stream| stream.counted_offset)),
        };
        Accounts {
            next: reader.next_number(),
            first: reader.next_number(),
            fatal: None,
            on_error: plan.on_error.clone(),
            max_bad,
            reasons: BadReasons::default(),
            waiting: BTreeMap::new(),
            first_records: streams.iter().map(|stream| stream.records).collect(),
            streams,
            are_topics: positions.iter().any(|position| position.message.is_some()),
            partition_tasks: plan.partition_tasks().cloned(),
            past,
            timing: plan.timing.clone().zip(clock),
            sums,
            before: sums,
            early: EarlyRecords::default(),
            dead_lines: Vec::new(),
            dead_letter,
        }
    }

    /// Adds a stream, under the next number.
    pub(super) fn open(&mut self, stream: StreamProgress) {
        self.streams.push(stream);
    }

    /// Adds the account of a block whose turn may not have come.
    pub(super) fn add(&mut self, account: BlockAccount) {
        self.waiting.insert(account.number, account);
    }

    /// Adds what a program has said about its records of a block.
    pub(super) fn answer(&mut self, answer: BlockAnswer) {
        if let Some(account) = self.waiting.get_mut(&answer.number) {
            account.unanswered -= 1;
            account.answered.extend(answer.rejected);
        }
    }

    /// Accounts for the blocks whose turn it is, up to the block `cut`. Returns whether it is the next one.
    ///
    /// A block counts once the programs have answered: they may have rejected some of its records.
    pub(super) fn advance(&mut self, cut: Option<u64>) -> Result<bool, RunError> {
        while cut != Some(self.next) && self.fatal.is_none() {
            let next = self.waiting.first_entry().filter(|entry| *entry.key() == self.next);
            let Some(entry) = next.filter(|entry| entry.get().unanswered == 0) else { return Ok(false) };
            let account = entry.remove();
            self.count(account)?;
        }
        Ok(self.fatal.is_none())
    }

    fn count(&mut self, mut account: BlockAccount) -> Result<(), RunError> {
        let are_topics = self.are_topics;
        let stream = &mut self.streams[account.stream as usize];
        let (name, first_record) = (&stream.name, stream.records);
        let bad_record = |Rejected { index, offset, reason, bytes }| {
            let beginning = String::from_utf8_lossy(&bytes).into_owned();
            let offset = RecordOffset::of(are_topics, offset);
            RecordError::Bad { partition: name.to_string(), offset, record: first_record + index, reason, beginning }
        };
        if let Some(rejected) = account.fatal {
            self.fatal = Some(bad_record(rejected));
            return Ok(());
        }
        account.reject_answered(&self.on_error);
        if let Some(rejected) = account.fatal {
            // Programs have applied the rest of the block, and perhaps more: there is no cut before the record.
            return Err(bad_record(rejected).into());
        }
        let offset_of = |offset| RecordOffset::of(are_topics, offset);
        self.reasons.extend(account.reasons, name, first_record, offset_of);
        for rejected in &account.dead {
            append_line(&mut self.dead_lines, name, first_record, rejected);
        }
        if let (Some((_, clock)), Some(time)) = (&mut self.timing, &account.time) {
            let early = clock.advance(account.stream as usize, time.records, &time.times, &time.released).early;
            if early > 0 {
                self.early.count(account.stream, name, early, time.times.largest());
            }
        }
        self.next += 1;
        let before = stream.records.max(stream.counted_records);
        stream.records += account.records;
        self.sums.records += stream.records.max(stream.counted_records) - before;
        let from = stream.offset.max(stream.counted_offset);
        self.sums.input_bytes += account.end_offset.saturating_sub(from);
        stream.offset = account.end_offset;
        self.sums.skipped += account.skipped;
        // A share of few records says little. A cut looks at it in any case.
        if matches!(self.max_bad, Some(MaxBad::Records(_))) || self.sums.records >= ENOUGH_RECORDS {
            self.check_max_bad()?;
        }
        if let Some(file) = &mut self.dead_letter
            && self.dead_lines.len() >= DEAD_LINES_BYTES
        {
            file.append(&std::mem::take(&mut self.dead_lines))?;
        }
        Ok(())
    }

    /// Fails if more records were bad than the job allows.
    pub(super) fn check_max_bad(&self) -> Result<(), RecordError> {
        let Sums { records, skipped, .. } = self.sums;
        match self.max_bad.filter(|max| max.is_exceeded(skipped, records)) {
            None => Ok(()),
            Some(max) => Err(RecordError::TooManyBad { skipped, records, max, reasons: self.reasons.sorted() }),
        }
    }

    /// Returns the number of the next block, and whether it is the first of the run.
    pub(super) fn next_block(&self) -> (u64, bool) {
        (self.next, self.next == self.first)
    }

    /// Advances event time to the end of the input.
    pub(super) fn end_time(&mut self) {
        let Some((timing, clock)) = &mut self.timing else { return };
        timing.end(clock);
        let EventClock::Shared(clock) = clock else { return };
        let reached = clock.reached();
        for (number, stream) in self.streams.iter().enumerate() {
            // All records of such a file are early, though no other time was known when they were read.
            let records = stream.records - self.first_records.get(number).copied().unwrap_or(0);
            let time = clock.time(number).filter(|time| reached.is_some_and(|reached| *time > reached));
            if let (Some(time), 1..) = (time, records) {
                self.early.count(number as u32, &stream.name, records, Some(time));
            }
        }
    }

    /// Returns the time before which no more records are expected, if there is one, in milliseconds: for a job whose tasks
    /// have clocks of their own, that of the one that is furthest behind.
    pub(super) fn watermark(&self) -> Option<i64> {
        self.timing.as_ref().and_then(|(_, clock)| clock.watermark())
    }

    /// Returns the positions at a cut, and what was applied of files that have none there. `at_cut` are the streams at
    /// the cut, all blocks before which are accounted for.
    pub(super) fn positions(&self, at_cut: Vec<Option<Position>>) -> (Vec<CutPosition>, PastInput) {
        let clock = self.timing.as_ref().map(|(_, clock)| clock);
        let mut past = self.past;
        let mut positions = Vec::with_capacity(at_cut.len());
        for (number, (stream, position)) in self.streams.iter().zip(at_cut).enumerate() {
            let Some(position) = position else {
                past.records += stream.records;
                past.input_bytes += stream.offset;
                continue;
            };
            let task =
                self.partition_tasks.as_ref().and_then(|partition_tasks| partition_tasks.task(position.logical()));
            let event_time = clock.and_then(|clock| clock.time(number));
            let watermark = clock.map(|clock| clock.watermark_of(number)).filter(|watermark| *watermark != NEVER);
            positions.push(CutPosition { position, task, record: stream.records, event_time, watermark });
        }
        (positions, past)
    }

    /// Makes the error for a late record that ends the run.
    pub(super) fn late_record(&self, late: LateRecord) -> RecordError {
        let LateRecord { stream, first_record, rejected, .. } = late;
        RecordError::Late {
            partition: self.streams[stream as usize].name.to_string(),
            offset: RecordOffset::of(self.are_topics, rejected.offset),
            record: first_record + rejected.index,
            reason: rejected.reason,
            beginning: String::from_utf8_lossy(&rejected.bytes).into_owned(),
        }
    }
}

impl Sums {
    fn of(manifest: &Manifest) -> Sums {
        let totals = &manifest.totals;
        Sums { records: totals.records, skipped: totals.skipped, input_bytes: totals.input_bytes }
    }
}

/// Counts nothing twice that is read again: the checkpoint has counted up to its newest cut.
fn skip_counted(streams: &mut [StreamProgress], positions: &[Position], replay: &Replay, lineage: &Lineage) {
    for ((stream, until), position) in streams.iter_mut().zip(&replay.until).zip(positions) {
        stream.counted_offset = stream.offset.max(*until);
        stream.counted_records = lineage.positions.get(&position.partition.name).map_or(0, |row| row.record);
    }
}
