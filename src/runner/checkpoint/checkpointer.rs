//! The thread that turns frozen shards into checkpoints while records are processed.

use std::collections::HashSet;

use crossbeam_channel::{Receiver, Sender};

use crate::format::index::IndexRow;
use crate::format::layout::ObjectKind;
use crate::format::manifest::{ObjectRef, Trigger};
use crate::format::owner::Owner;
use crate::runner::checkpoint::attempt::AttemptTimes;
use crate::runner::checkpoint::draft::Draft;
use crate::runner::checkpoint::group::{GroupCommit, OwnCommit};
use crate::runner::checkpoint::job_facts::JobFacts;
use crate::runner::checkpoint::positions::{KnownCuts, has_pending_bytes};
use crate::runner::checkpoint::uncertain::UncertainCommit;
use crate::runner::error::RunError;
use crate::runner::lineage::Lineage;
use crate::runner::messages::{CheckpointOutcome, Cut, FrozenShard, ThreadEvent};
use crate::runner::observer::Done;
use crate::runner::output::plan::Staged;
use crate::runner::output::publisher::Publisher;
use crate::store::records::attempts::AttemptLog;
use crate::store::{Created, Store};
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Writes checkpoints one after another.
#[derive(Debug)]
pub struct Checkpointer {
    pub(super) store: Store,
    pub(super) facts: JobFacts,
    pub(super) lineage: Lineage,
    /// The object with the job's definition, and its text, once it is written.
    pub(super) definition: Option<(ObjectRef, String)>,
    /// What the next checkpoint will hold of each shard.
    pub(super) drafts: Vec<Draft>,
    /// The cuts of these drafts.
    pub(super) cuts: KnownCuts,
    /// Rows written for these drafts that are not in any checkpoint.
    pub(super) changed_keys: u64,
    /// Dead letters that the publisher does not have yet.
    pub(super) dead_lines: Vec<u8>,
    /// New objects that no checkpoint names.
    pub(super) unnamed: Created,
    /// The checkpoint that was known before the first of the drafts' segments was written that are in no checkpoint.
    pub(super) put_since: Option<Sequence>,
    /// Whether the last attempt failed.
    failed: bool,
    pub(super) uncertain: Option<Box<UncertainCommit>>,
    /// The log of attempts, once there is an attempt.
    log: Option<AttemptLog>,
    pub(super) publisher: Publisher,
    /// Files of the latest checkpoint that are not in place yet.
    pub(super) unpublished: Vec<Staged>,
    /// The latest checkpoint whose files are in place, but for those that are not published yet.
    pub(super) published: Option<Digest>,
    /// For one of several workers.
    pub(super) group: Option<GroupCommit>,
}

impl Checkpointer {
    /// Makes a checkpointer that continues from `lineage`.
    pub fn new(store: Store, facts: JobFacts, mut lineage: Lineage, publisher: Publisher) -> Checkpointer {
        let shards = facts.shards as usize;
        lineage.chains.resize(shards, Vec::new());
        lineage.keys.resize(shards, 0);
        Checkpointer {
            group: facts.share.as_ref().map(|share| GroupCommit::new(share.clone(), &lineage)),
            drafts: Draft::all_of(&lineage),
            // They were reconciled with the checkpoint that the run resumes from.
            published: lineage.last.as_ref().map(|last| last.sha256),
            cuts: KnownCuts::new(&lineage, store.file.created),
            store,
            facts,
            lineage,
            definition: None,
            changed_keys: 0,
            dead_lines: Vec::new(),
            unnamed: Created::default(),
            put_since: None,
            failed: false,
            uncertain: None,
            log: None,
            publisher,
            unpublished: Vec::new(),
        }
    }

    /// Tries to make a checkpoint of each cut: takes the frozen shards as they come, then the cut, then commits. Makes
    /// none if nothing has changed since the latest checkpoint.
    ///
    /// The rows and lines of a failed attempt are part of the next one. Returns when the frozen shards or the cuts end,
    /// even in the middle of an attempt; objects that no checkpoint names are removed. For one of several workers, returns
    /// what it has committed last, unless it has more than that.
    pub fn run(
        mut self,
        frozen: &Receiver<FrozenShard>,
        cuts: &Receiver<Cut>,
        events: &Sender<ThreadEvent>,
    ) -> Option<OwnCommit> {
        while self.attempt(frozen, cuts, events).is_some() {}
        self.discard_unnamed();
        let is_all = self.uncertain.is_none() && self.drafts.iter().all(|draft| draft.pending.is_none());
        let group = self.group.filter(|_| is_all)?;
        Some(OwnCommit { cut: group.own_cut, chains: self.lineage.chains })
    }

    /// Makes one attempt and reports its outcome. Returns nothing if there are no more.
    fn attempt(
        &mut self,
        frozen: &Receiver<FrozenShard>,
        cuts: &Receiver<Cut>,
        events: &Sender<ThreadEvent>,
    ) -> Option<()> {
        let report = |outcome| drop(events.send(ThreadEvent::Checkpoint(outcome)));
        let first = frozen.recv().ok()?;
        let mut times = AttemptTimes::start();
        let mut failure = None;
        match self.recover(events) {
            Ok(Some(done)) => report(CheckpointOutcome::Found(Box::new(done))),
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
        let is_known = |row: &IndexRow| self.lineage.objects.contains(&row.object);
        if self.drafts.iter().flat_map(|draft| &draft.chain).all(is_known) {
            self.put_since = self.lineage.last.as_ref().map(|last| last.manifest.sequence);
        }
        self.take_shards(first, frozen, &mut times, &mut failure)?;
        if failure.is_none() {
            // At the end of a run, the cut comes when the output is staged.
            failure = self.store.sync().err().map(RunError::from);
        }
        let mut cut = cuts.recv().ok()?;
        self.dead_lines.append(&mut cut.dead_lines);
        let has_pending = has_pending_bytes(&cut, &self.lineage);
        self.cuts.add(&mut cut);
        let outcome = match failure {
            Some(error) => CheckpointOutcome::Failed(Box::new(error)),
            None if !has_pending && !self.is_new(&cut) => CheckpointOutcome::Elided,
            None => match self.commit(&cut, &mut times, events) {
                Ok(done) => match self.publish(events) {
                    Ok(()) => CheckpointOutcome::Committed(Box::new(done)),
                    Err(error) => {
                        // The checkpoint exists. The next attempt starts with publishing its file.
                        report(CheckpointOutcome::Found(Box::new(done)));
                        CheckpointOutcome::Failed(Box::new(error))
                    }
                },
                Err(error) => CheckpointOutcome::Failed(Box::new(error)),
            },
        };
        self.failed = matches!(outcome, CheckpointOutcome::Failed(_));
        let log = self.log.get_or_insert_with(|| AttemptLog::open(&self.store, &self.facts.run));
        log.add(&self.store, times.log_entry(&cut, &outcome));
        if !self.failed {
            // A replica that is back gets what it missed, this checkpoint included, before it counts again.
            self.store.catch_up();
        }
        for note in self.store.take_notes() {
            let _ = events.send(ThreadEvent::Replica(note));
        }
        report(outcome);
        Some(())
    }

    /// Returns whether there is anything to commit at `cut`.
    ///
    /// A complete checkpoint is also made if nothing has changed; the last one only if the director knows of a change.
    fn is_new(&self, cut: &Cut) -> bool {
        let is_complete = self.facts.takes_all() && cut.trigger != Trigger::Shutdown;
        is_complete
            || self.lineage.is_relaid
            || match &self.group {
                // What others have committed since does not count.
                Some(group) => group.own_cut != cut.number || self.is_new_in_batch(group, cut),
                None => {
                    cut.ended
                        || self.drafts.iter().zip(0..).any(|(draft, shard)| draft.cut != self.lineage.cut_of(shard))
                        || self.lineage.last.as_ref().is_none_or(|last| last.manifest.block != cut.number)
                }
            }
    }

    /// Makes the store ready for another attempt after one that failed. Returns the checkpoint of the failed commit if
    /// it exists after all.
    fn recover(&mut self, events: &Sender<ThreadEvent>) -> Result<Option<Done>, RunError> {
        if !self.failed {
            return Ok(None);
        }
        self.store.catch_up();
        let found = self.resolve()?;
        self.publish(events)?;
        // A replica that was lost has not got what the failed attempt has put since.
        self.definition = None;
        let carried: Vec<ObjectRef> = self
            .drafts
            .iter()
            .flat_map(|draft| &draft.chain)
            .map(IndexRow::object_ref)
            // A complete checkpoint writes its own.
            .filter(|object| !self.facts.takes_all() && !self.lineage.objects.contains(&object.object))
            .collect();
        for object in carried {
            let bytes = self.new_object(object)?;
            self.put(&bytes, object.object.kind)?;
        }
        Ok(found)
    }

    /// Resolves an uncertain commit: continues from its checkpoint if it exists, else keeps its changes for the next.
    fn resolve(&mut self) -> Result<Option<Done>, RunError> {
        let Some(uncertain) = &self.uncertain else { return Ok(None) };
        let exists = match uncertain.exists(&self.store) {
            // Another worker was faster.
            Err(RunError::Store(error)) if error.is_taken() && self.group.is_some() => false,
            exists => exists?,
        };
        let Some(uncertain) = self.uncertain.take() else { return Ok(None) };
        self.publisher.settle(exists);
        if exists {
            (self.unpublished, self.published) = (uncertain.staged, Some(uncertain.sha256));
            return Ok(Some(self.continue_from(uncertain.after, uncertain.total_micros)));
        }
        for (draft, mut older) in self.drafts.iter_mut().zip(uncertain.changes) {
            older.append(std::mem::take(&mut draft.changes));
            draft.changes = older;
        }
        Ok(None)
    }

    /// Makes `lineage`, which has a checkpoint, what the next checkpoint continues from.
    pub(super) fn continue_from(&mut self, lineage: Lineage, total_micros: u64) -> Done {
        let committed = lineage.last.clone().expect("there is a checkpoint");
        self.group.iter_mut().for_each(GroupCommit::committed);
        // If the commit was uncertain until now, the drafts hold later rows: they stay.
        let drafts = Draft::all_of(&lineage);
        for (draft, new) in self.drafts.iter_mut().zip(drafts) {
            let changes = std::mem::take(&mut draft.changes);
            *draft = Draft { pending: draft.pending.take(), changes, ..new };
        }
        self.lineage = lineage;
        let used: HashSet<u64> = self.drafts.iter().map(|draft| draft.cut).collect();
        self.cuts.retain(&used);
        self.changed_keys = 0;
        self.unnamed.retain(|object| !self.lineage.objects.contains(object));
        self.discard_unnamed();
        Done { committed, total_micros }
    }

    /// Publishes the files of the latest checkpoint that are not in place, and its messages. Nothing else is committed before.
    fn publish(&mut self, events: &Sender<ThreadEvent>) -> Result<(), RunError> {
        while let Some(staged) = self.unpublished.first() {
            staged.publish()?;
            self.unpublished.remove(0);
        }
        if let (Some((outlet, _)), Some(last)) = (&mut self.publisher.topic, &self.lineage.last) {
            outlet.publish(&self.store, last, &mut |note| drop(events.send(ThreadEvent::InputNote(note))))?;
        }
        Ok(())
    }

    /// Removes the objects that no checkpoint names. What cannot be removed is left to the next prune.
    fn discard_unnamed(&mut self) {
        // The checkpoint of an uncertain commit may need them, and another worker what is the same for all.
        if self.uncertain.is_none() && self.group.is_none() {
            self.store.discard(std::mem::take(&mut self.unnamed));
        }
    }

    /// Returns the number of the next checkpoint.
    pub(super) fn next_sequence(&self) -> Sequence {
        self.lineage.newest.map_or(Sequence::FIRST, Sequence::next)
    }

    /// Returns whom the objects of the next checkpoint belong to: the checkpoint, if it shares none, and in a store
    /// without locks the attempt. Attempts of a run with one number may share: until the checkpoint is committed, what
    /// they wrote is newer than the latest, and nobody deletes it.
    pub(super) fn owner(&self) -> Owner {
        let next = self.next_sequence();
        let is_remote = self.store.is_remote();
        Owner {
            checkpoint: self.facts.takes_all().then_some(next),
            attempt: is_remote.then(|| format!("{}-{next}", self.facts.run)),
        }
    }

    /// Writes an object, which no checkpoint names yet.
    pub(super) fn put(&mut self, bytes: &[u8], kind: ObjectKind) -> Result<ObjectRef, RunError> {
        Ok(self.store.put_noted(bytes, kind, &mut self.unnamed)?)
    }
}
