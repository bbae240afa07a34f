//! The thread that turns snapshots into checkpoints, beside the processing: sort, encode, hash, write, commit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select, unbounded};
use jiff::Timestamp;

use crate::format::index::IndexRow;
use crate::format::layout::{ObjectKind, ObjectName};
use crate::format::manifest::{
    DeadLetter, Manifest, Mode, ObjectRef, OlderCut, Parent, Routing, Tables, Timings, Totals, Trigger,
};
use crate::format::positions::PositionRow;
use crate::format::{FORMAT, index, positions};
use crate::runner::checkpoint::draft::{Draft, Encoded, Encoder, Work};
use crate::runner::error::RunError;
use crate::runner::lineage::{Lineage, OlderPositions};
use crate::runner::messages::{Cut, Event, Outcome, ShardSnapshot, Standing};
use crate::runner::observer::Done;
use crate::runner::output::changes::ShardChanges;
use crate::runner::output::dead_letter::DeadLetterFile;
use crate::runner::output::publisher::Publisher;
use crate::store::records::attempts;
use crate::store::records::attempts::{AttemptLog, AttemptOutcome};
use crate::store::{Committed, Created, Store, StoreError};
use crate::values::digest::Digest;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::value::Column;

/// What every checkpoint of a run says alike.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The job's name.
    pub job: String,
    /// The job's definition, as YAML.
    pub definition: String,
    /// The mode.
    pub mode: Mode,
    /// The number of tasks.
    pub tasks: u32,
    /// The number of shards.
    pub shards: u32,
    /// How keys find their task.
    pub routing: Routing,
    /// The columns of the state.
    pub columns: Vec<Column>,
    /// The size of the input's grid in bytes.
    pub block_bytes: u64,
    /// An attempt that takes longer is not committed.
    pub timeout: Option<Duration>,
    /// The run, for the log of attempts.
    pub run: String,
    /// The threads that sort and encode, at least one.
    pub encoders: usize,
}

/// Writes checkpoints one after another.
#[derive(Debug)]
pub struct Checkpointer {
    store: Store,
    facts: Facts,
    lineage: Lineage,
    dead_letter: Option<DeadLetterFile>,
    definition: Option<ObjectRef>,
    /// What the next checkpoint will hold of each shard, as far as it is known.
    drafts: Vec<Draft>,
    /// The cuts of these drafts.
    cuts: BTreeMap<u64, KnownCut>,
    /// Rows written for these drafts that no checkpoint has.
    changed_keys: u64,
    /// Lines for the dead-letter file that are in no checkpoint.
    dead_lines: Vec<u8>,
    /// Objects that were put anew and that no checkpoint names.
    unnamed: Created,
    /// Whether the last attempt failed.
    failed: bool,
    /// A commit that failed, and may be there all the same: what is latest then.
    unsettled: Option<Box<Unsettled>>,
    /// Where attempts are written down, once there is one.
    log: Option<AttemptLog>,
    publisher: Publisher,
    /// A checkpoint that is committed and whose file is not in place yet.
    unpublished: Option<Sequence>,
}

/// So many shards are folded to a new base in one checkpoint, of eight: none pays for all.
const SHARDS_PER_REBASE: u32 = 8;

/// A cut that shards of the next checkpoint have.
#[derive(Debug)]
struct KnownCut {
    created: Timestamp,
    records: u64,
    /// Where the partitions stand, in their order.
    standings: Vec<Standing>,
    watermark: Option<i64>,
    /// The rows for the table of positions, once they are made.
    rows: Option<Vec<PositionRow>>,
}

/// What is known of an attempt while it is made.
struct Attempt {
    begun: Instant,
    taken: Option<Instant>,
    /// When all objects were written and flushed.
    written: Option<Instant>,
    pause_micros: u64,
}

/// A commit that failed.
#[derive(Debug)]
struct Unsettled {
    sequence: Sequence,
    sha256: Digest,
    after: Lineage,
    total_micros: u64,
    /// What it publishes, and by shard what goes into another file if it is not there.
    is_staged: bool,
    changes: Vec<ShardChanges>,
}

impl Checkpointer {
    /// Makes a checkpointer that goes on from `lineage`.
    pub fn new(
        store: Store,
        facts: Facts,
        mut lineage: Lineage,
        dead_letter: Option<DeadLetterFile>,
        publisher: Publisher,
    ) -> Checkpointer {
        let shards = facts.shards as usize;
        lineage.chains.resize(shards, Vec::new());
        lineage.keys.resize(shards, 0);
        let drafts = Draft::all_of(&lineage);
        let older = lineage.older.iter().map(|older| {
            let known = KnownCut {
                created: older.cut.created,
                records: older.cut.records,
                standings: Vec::new(),
                watermark: None,
                rows: Some(older.positions.values().cloned().collect()),
            };
            (older.cut.block, known)
        });
        let mut cuts: BTreeMap<u64, KnownCut> = older.collect();
        // A shard that was never taken has the cut before the first block.
        let (block, created, records) = lineage.last.as_ref().map_or((0, store.file.created, 0), |last| {
            (last.manifest.block, last.manifest.created, last.manifest.totals.records)
        });
        let rows = Some(lineage.positions.values().cloned().collect());
        cuts.insert(block, KnownCut { created, records, standings: Vec::new(), watermark: None, rows });
        Checkpointer {
            store,
            facts,
            lineage,
            dead_letter,
            definition: None,
            drafts,
            cuts,
            changed_keys: 0,
            dead_lines: Vec::new(),
            unnamed: Created::default(),
            failed: false,
            unsettled: None,
            log: None,
            publisher,
            unpublished: None,
        }
    }

    /// Tries to make a checkpoint of each cut: takes the snapshots of all shards as they come, then the cut, then commits. A cut at the place of
    /// the latest checkpoint is passed over.
    ///
    /// After an attempt that failed, its rows and lines are part of the next one. Returns when the snapshots or cuts end, also in the middle
    /// of an attempt, which then never was; what no checkpoint names is removed.
    pub fn run(mut self, snapshots: &Receiver<ShardSnapshot>, cuts: &Receiver<Cut>, events: &Sender<Event>) {
        while self.attempt(snapshots, cuts, events).is_some() {}
        self.discard_unnamed();
    }

    /// Makes one attempt, and tells what became of it. Returns nothing when there are no more.
    fn attempt(
        &mut self,
        snapshots: &Receiver<ShardSnapshot>,
        cuts: &Receiver<Cut>,
        events: &Sender<Event>,
    ) -> Option<()> {
        let first = snapshots.recv().ok()?;
        let mut attempt = Attempt { begun: Instant::now(), taken: None, written: None, pause_micros: 0 };
        let mut failure = None;
        match self.recover() {
            Ok(Some(done)) => drop(events.send(Event::Checkpoint(Outcome::Found(Box::new(done))))),
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
        self.take_shards(first, snapshots, &mut attempt, &mut failure)?;
        let mut cut = cuts.recv().ok()?;
        self.dead_lines.append(&mut cut.dead_lines);
        let (created, trigger, cut_begun) = (cut.created, cut.trigger, cut.begun);
        let known = KnownCut {
            created,
            records: cut.past.records + cut.standings.iter().map(|standing| standing.record).sum::<u64>(),
            standings: std::mem::take(&mut cut.standings),
            watermark: cut.watermark,
            rows: None,
        };
        self.cuts.insert(cut.number, known);
        // A complete one is made also when nothing changed; the last one only when the directing thread knows of something new.
        let is_wanted = self.takes_all() && trigger != Trigger::Shutdown;
        let is_new = cut.ended
            || is_wanted
            || self.lineage.is_relaid
            || self.drafts.iter().zip(0..).any(|(draft, shard)| draft.cut != self.lineage.cut_of(shard))
            || self.lineage.last.as_ref().is_none_or(|last| last.manifest.block != cut.number);
        let outcome = match failure {
            Some(error) => Outcome::Failed(Box::new(error)),
            None if !is_new => Outcome::Elided,
            None => match self.commit(cut, &mut attempt) {
                Ok(done) => match self.publish() {
                    Ok(()) => Outcome::Committed(Box::new(done)),
                    Err(error) => {
                        // The next attempt begins with it.
                        let _ = events.send(Event::Checkpoint(Outcome::Found(Box::new(done))));
                        Outcome::Failed(Box::new(error))
                    }
                },
                Err(error) => Outcome::Failed(Box::new(error)),
            },
        };
        self.failed = matches!(outcome, Outcome::Failed(_));
        self.write_down(&outcome, &attempt, created, trigger, cut_begun);
        if !self.failed {
            // A replica that is back gets what it missed, this checkpoint included, before it counts again.
            self.store.catch_up();
        }
        for note in self.store.take_notes() {
            let _ = events.send(Event::Replica(note));
        }
        let _ = events.send(Event::Checkpoint(outcome));
        Some(())
    }

    /// Adds an attempt to the log.
    fn write_down(&mut self, outcome: &Outcome, attempt: &Attempt, time: Timestamp, trigger: Trigger, begun: Instant) {
        let (outcome, sequence, new_bytes, error) = match outcome {
            Outcome::Committed(done) | Outcome::Found(done) => {
                let manifest = &done.committed.manifest;
                (AttemptOutcome::Committed, Some(manifest.sequence), manifest.totals.new_bytes, None)
            }
            Outcome::Elided => (AttemptOutcome::Elided, None, 0, None),
            Outcome::Failed(error) => (AttemptOutcome::Failed, None, 0, Some(in_one_line(error.as_ref()))),
        };
        let now = Instant::now();
        let taken = attempt.taken.unwrap_or(now);
        let written = attempt.written.unwrap_or(now);
        let entry = attempts::Attempt {
            number: 0,
            time,
            run: String::new(),
            trigger,
            outcome,
            sequence,
            pause_micros: attempt.pause_micros,
            snapshot_micros: micros(begun, taken),
            write_micros: micros(taken, written),
            commit_micros: micros(written, now),
            new_bytes,
            error,
        };
        let log = self.log.get_or_insert_with(|| AttemptLog::open(&self.store, &self.facts.run));
        log.add(&self.store, entry);
    }

    /// Makes the store ready for another attempt, when the one before failed. Returns a checkpoint that was thought to have failed and is there.
    fn recover(&mut self) -> Result<Option<Done>, RunError> {
        if !self.failed {
            return Ok(None);
        }
        self.store.catch_up();
        let late = self.settle()?;
        self.publish()?;
        // A replica that was away has not got what the attempt has put since.
        self.definition = None;
        let carried: Vec<ObjectRef> = self
            .drafts
            .iter()
            .flat_map(|draft| &draft.chain)
            .map(IndexRow::object_ref)
            // A complete checkpoint is written anew.
            .filter(|object| !self.takes_all() && !self.lineage.objects.contains(&object.object))
            .collect();
        for object in carried {
            let bytes = self.store.object(object)?;
            self.put(&bytes, object.object.kind)?;
        }
        Ok(late)
    }

    /// Finds out what became of a commit that failed.
    fn settle(&mut self) -> Result<Option<Done>, RunError> {
        let Some(Unsettled { sequence, sha256, .. }) = self.unsettled.as_deref() else { return Ok(None) };
        if !self.store.sequences()?.contains(sequence) {
            let older = self.unsettled.take().map(|unsettled| unsettled.changes).unwrap_or_default();
            for (draft, mut older) in self.drafts.iter_mut().zip(older) {
                older.append(std::mem::take(&mut draft.changes));
                draft.changes = older;
            }
            return Ok(None);
        }
        if self.store.manifest(*sequence)?.sha256 != *sha256 {
            return Err(StoreError::NumberTaken { sequence: *sequence }.into());
        }
        self.store.check_sound()?;
        let unsettled = self.unsettled.take().expect("it was there just now");
        self.unpublished = unsettled.is_staged.then_some(unsettled.sequence);
        Ok(Some(self.go_on(unsettled.after, unsettled.total_micros)))
    }

    /// Makes `lineage` what the next checkpoint goes on from.
    fn go_on(&mut self, lineage: Lineage, total_micros: u64) -> Done {
        let committed = lineage.last.clone().expect("there is a checkpoint");
        // What came after the cut of a commit that was found out about late stays.
        let drafts = Draft::all_of(&lineage);
        for (draft, new) in self.drafts.iter_mut().zip(drafts) {
            let changes = std::mem::take(&mut draft.changes);
            *draft = Draft { pending: draft.pending.take(), changes, ..new };
        }
        self.lineage = lineage;
        let used: HashSet<u64> = self.drafts.iter().map(|draft| draft.cut).collect();
        self.cuts.retain(|number, _| used.contains(number));
        self.changed_keys = 0;
        self.unnamed.retain(|object| !self.lineage.objects.contains(object));
        self.discard_unnamed();
        Done { committed, total_micros }
    }

    /// Puts the file of the latest checkpoint in place, if it is not. Nothing else is committed before.
    fn publish(&mut self) -> Result<(), RunError> {
        if let Some(sequence) = self.unpublished {
            self.publisher.publish(sequence)?;
            self.unpublished = None;
        }
        Ok(())
    }

    /// Removes what was put and no checkpoint names. What can not be removed is left to the next prune.
    fn discard_unnamed(&mut self) {
        // Who is not sure that a commit has failed must not take away what it needs.
        if self.unsettled.is_none() {
            self.store.discard(std::mem::take(&mut self.unnamed));
        }
    }

    /// Tells whether each checkpoint holds everything, and shares nothing with others.
    fn takes_all(&self) -> bool {
        self.facts.mode == Mode::Scheduled
    }

    fn next_sequence(&self) -> Sequence {
        self.lineage.newest.map_or(Sequence::FIRST, Sequence::next)
    }

    /// Returns the checkpoint that objects belong to which it does not share.
    fn owner(&self) -> Option<Sequence> {
        self.takes_all().then(|| self.next_sequence())
    }

    fn put(&mut self, bytes: &[u8], kind: ObjectKind) -> Result<ObjectRef, RunError> {
        Ok(self.store.put_noted(bytes, kind, &mut self.unnamed)?)
    }

    /// Fails when an attempt takes too long.
    fn check_time(&self, begun: Instant) -> Result<(), RunError> {
        match self.facts.timeout {
            Some(timeout) if begun.elapsed() > timeout => Err(RunError::CheckpointTimeout { timeout }),
            _ => Ok(()),
        }
    }

    /// Takes the snapshots of all shards, and writes the rows that are in no segment yet. Several threads sort and encode; this one writes.
    ///
    /// After a failure the rest is only taken: no worker waits for a checkpoint that can not be. Returns nothing when the snapshots end.
    fn take_shards(
        &mut self,
        first: ShardSnapshot,
        snapshots: &Receiver<ShardSnapshot>,
        attempt: &mut Attempt,
        failure: &mut Option<RunError>,
    ) -> Option<()> {
        let store = self.store.clone();
        let columns = self.facts.columns.clone();
        let encoder = Encoder {
            store: &store,
            columns: &columns,
            owner: self.owner(),
            wants_rows: self.publisher.wants_rows(),
            tasks: self.facts.tasks,
            shards: self.facts.shards,
            rebases_left: AtomicU32::new(self.facts.shards.div_ceil(SHARDS_PER_REBASE)),
        };
        std::thread::scope(|scope| {
            // Dropped when this returns, whatever the reason: then the threads end.
            let (work_sender, work) = unbounded::<Work>();
            let (done_sender, done) = unbounded();
            for _ in 0..self.facts.encoders.max(1) {
                let (encoder, work, done) = (&encoder, work.clone(), done_sender.clone());
                scope.spawn(move || {
                    for work in work {
                        // Nobody waits for it when the attempt is over.
                        let _ = done.send(encoder.work(work));
                    }
                });
            }
            let nothing = never();
            let mut first = Some(first);
            let (mut taken, mut written) = (0, 0);
            while written < self.facts.shards {
                let next = match first.take() {
                    Some(snapshot) => snapshot,
                    None => {
                        let more = if taken < self.facts.shards { snapshots } else { &nothing };
                        select! {
                            recv(more) -> snapshot => snapshot.ok()?,
                            recv(done) -> encoded => {
                                self.write_shard(encoded.ok()?.or_resume(), attempt, failure);
                                written += 1;
                                continue;
                            }
                        }
                    }
                };
                taken += 1;
                attempt.taken = Some(Instant::now());
                attempt.pause_micros = attempt.pause_micros.max(next.pause_micros);
                if failure.is_none() {
                    *failure = self.check_time(attempt.begun).err();
                }
                let draft = std::mem::take(&mut self.drafts[next.shard as usize]);
                let _ = work_sender.send(Work { draft, taken: next, is_wanted: failure.is_none() });
            }
            Some(())
        })
    }

    /// Writes what was encoded of a shard.
    fn write_shard(&mut self, encoded: Encoded, attempt: &Attempt, failure: &mut Option<RunError>) {
        let Encoded { shard, mut draft, segment, room } = encoded;
        let written = segment.and_then(|segment| {
            let Some(segment) = segment else { return Ok(()) };
            if failure.is_some() {
                return Ok(());
            }
            self.check_time(attempt.begun)?;
            let object = match segment.stats.rows {
                0 => None,
                _ => Some(self.put(&segment.bytes, ObjectKind::Parquet)?),
            };
            self.changed_keys += draft.write(segment, object);
            Ok(())
        });
        self.drafts[shard as usize] = draft;
        drop(room);
        if let (Err(error), None) = (written, &failure) {
            *failure = Some(error);
        }
    }

    fn commit(&mut self, cut: Cut, attempt: &mut Attempt) -> Result<Done, RunError> {
        let sequence = self.next_sequence();
        if let Some(expected) = cut.sequence.filter(|expected| *expected != sequence) {
            // Its outputs were written aside for that number.
            return Err(StoreError::NumberTaken { sequence: expected }.into());
        }
        let dead_letter = match &mut self.dead_letter {
            None => None,
            Some(file) => {
                let bytes = file.append(&self.dead_lines)?;
                self.dead_lines.clear();
                Some(DeadLetter { path: file.name().to_owned(), bytes })
            }
        };
        let late = self.lineage.last.as_ref().map_or(0, |last| last.manifest.totals.late);
        let late = late + self.drafts.iter().map(|draft| draft.changes.late_count()).sum::<u64>();
        let late_records = self.drafts.iter_mut().flat_map(|draft| draft.changes.take_late()).collect();
        let late_records = self.publisher.append_late(late_records)?;
        let staged = self.publisher.stage(sequence, self.drafts.iter().map(|draft| &draft.changes))?;
        let is_staged = staged.is_some();
        let mut outputs = cut.outputs.clone();
        outputs.extend(staged);
        let rows: Vec<IndexRow> = self.drafts.iter().flat_map(|draft| &draft.chain).cloned().collect();
        let keys: Vec<u64> = self.drafts.iter().map(|draft| draft.keys).collect();
        self.make_positions()?;
        let newest = self.cuts[&cut.number].rows.clone().expect("the rows were made just now");
        let older = self.older_cuts(cut.number);
        let older_rows = older.iter().flat_map(|older| older.positions.values());
        let position_rows: Vec<PositionRow> = older_rows.chain(&newest).cloned().collect();
        let input_bytes = cut.past.input_bytes + newest.iter().map(|row| row.offset).sum::<u64>();
        let records = cut.past.records + newest.iter().map(|row| row.record).sum::<u64>();
        let definition = match self.definition {
            Some(object) if !self.takes_all() => object,
            _ => {
                let mut text = self.facts.definition.clone();
                if self.takes_all() {
                    text += &format!("# of checkpoint {}\n", sequence.0);
                }
                let object = self.put(text.as_bytes(), ObjectKind::Yaml)?;
                *self.definition.insert(object)
            }
        };
        let tables = Tables {
            index: self.put(&index::encode_of(&rows, self.owner()), ObjectKind::Parquet)?,
            positions: self.put(&positions::encode_of(&position_rows, self.owner()), ObjectKind::Parquet)?,
            job: definition,
        };
        let mut objects: HashMap<ObjectName, u64> = rows.iter().map(|row| (row.object, row.bytes)).collect();
        objects.extend([tables.index, tables.positions, tables.job].map(|table| (table.object, table.bytes)));
        self.store.sync()?;
        let written = Instant::now();
        attempt.written = Some(written);

        let new = |object: &ObjectName| !self.lineage.objects.contains(object);
        let taken = attempt.taken.unwrap_or(cut.begun);
        let last = self.lineage.last.as_ref();
        let manifest = Manifest {
            format: FORMAT,
            job: self.facts.job.clone(),
            store: self.store.file.store.clone(),
            sequence,
            parent: last.map(|last| Parent { sequence: last.manifest.sequence, sha256: last.sha256 }),
            created: cut.created,
            mode: self.facts.mode,
            trigger: cut.trigger,
            ended: cut.ended,
            restored_from: None,
            tasks: self.facts.tasks,
            shards: self.facts.shards,
            routing: self.facts.routing,
            block: cut.number,
            older_cuts: older.iter().map(|older| older.cut.clone()).collect(),
            block_bytes: self.facts.block_bytes,
            columns: self.facts.columns.clone(),
            timings: Timings {
                pause_micros: attempt.pause_micros,
                snapshot_micros: micros(cut.begun, taken),
                write_micros: micros(taken, written),
            },
            totals: Totals {
                keys: keys.iter().sum(),
                changed_keys: self.changed_keys,
                bytes: objects.values().sum(),
                new_bytes: objects.iter().filter(|(name, _)| new(name)).map(|(_, bytes)| bytes).sum(),
                partitions: newest.len() as u64,
                input_bytes,
                records,
                skipped: cut.skipped,
                late,
                past_input_bytes: cut.past.input_bytes,
                past_records: cut.past.records,
            },
            outputs,
            dead_letter,
            late_records,
            tables,
        };
        let names: Vec<ObjectName> = objects.keys().copied().collect();
        let mut after = Lineage {
            newest: Some(sequence),
            last: None,
            chains: self.drafts.iter().map(|draft| draft.chain.clone()).collect(),
            keys,
            positions: newest.into_iter().map(|row| (row.partition.clone(), row)).collect(),
            older,
            objects: names.iter().copied().collect(),
            is_relaid: false,
        };
        self.check_time(attempt.begun)?;
        let changes = self.drafts.iter_mut().map(|draft| std::mem::take(&mut draft.changes)).collect();
        match self.store.commit(&manifest, &names) {
            Ok(committed) => {
                after.last = Some(committed);
                self.unpublished = is_staged.then_some(sequence);
                Ok(self.go_on(after, micros(cut.begun, Instant::now())))
            }
            Err(error) => {
                // Somebody else has the number, or it can not be told whether the checkpoint is there.
                if !matches!(error, StoreError::NumberTaken { .. }) {
                    let sha256 = Digest::of(manifest.to_yaml().as_bytes());
                    after.last = Some(Committed { manifest, sha256 });
                    let total_micros = micros(cut.begun, Instant::now());
                    let unsettled = Unsettled { sequence, sha256, after, total_micros, is_staged, changes };
                    self.unsettled = Some(Box::new(unsettled));
                }
                Err(error.into())
            }
        }
    }

    /// Returns the cuts before `newest` that shards of the next checkpoint have. The rows of all cuts were made.
    fn older_cuts(&self, newest: u64) -> Vec<OlderPositions> {
        let mut shards: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (draft, shard) in self.drafts.iter().zip(0..).filter(|(draft, _)| draft.cut < newest) {
            shards.entry(draft.cut).or_default().push(shard);
        }
        let older = shards.into_iter().filter_map(|(block, shards)| {
            let known = self.cuts.get(&block)?;
            let rows = known.rows.iter().flatten();
            let cut = OlderCut { block, created: known.created, records: known.records, shards };
            Some(OlderPositions { cut, positions: rows.map(|row| (row.partition.clone(), row.clone())).collect() })
        });
        older.collect()
    }

    /// Makes the rows of positions of all cuts, each sorted.
    fn make_positions(&mut self) -> Result<(), RunError> {
        let lineage = &self.lineage;
        for (&number, known) in self.cuts.iter_mut().filter(|(_, known)| known.rows.is_none()) {
            let mut rows = Vec::with_capacity(known.standings.len());
            for Standing { stand, task, record, event_time } in &known.standings {
                let partition = &stand.partition;
                let before = lineage.positions.get(&partition.name);
                let fingerprint = match before {
                    Some(before) if before.offset == stand.offset && before.inode == stand.inode => before.fingerprint,
                    _ => stand.fingerprint(),
                };
                rows.push(PositionRow {
                    partition: partition.name.clone(),
                    task: *task,
                    cut: number,
                    offset: stand.offset,
                    record: *record,
                    ended: stand.ended,
                    file_bytes: partition.file_bytes,
                    fingerprint,
                    event_time: *event_time,
                    watermark: known.watermark,
                    generation_of: stand.generation_of.as_deref().map(str::to_owned),
                    inode: stand.inode,
                });
            }
            rows.sort_by(|a, b| a.partition.cmp(&b.partition));
            known.rows = Some(rows);
        }
        Ok(())
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    to.saturating_duration_since(from).as_micros() as u64
}
