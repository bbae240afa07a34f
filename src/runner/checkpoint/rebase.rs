//! Checkpoints of several workers: each replaces its own tasks in the latest checkpoint of all.

use std::collections::{BTreeMap, HashSet};

use crate::format::index::IndexRow;
use crate::format::layout::ObjectName;
use crate::format::manifest::{Manifest, Totals};
use crate::format::positions::{MessagePosition, PositionRow, WorkerCommit};
use crate::format::{index, positions};
use crate::job::definition::definition;
use crate::runner::checkpoint::checkpointer::Checkpointer;
use crate::runner::error::{CheckpointError, RecordError, RunError};
use crate::runner::lineage::Lineage;
use crate::runner::messages::Cut;
use crate::runner::output::error::OutputError;
use crate::runner::resumable::chains;
use crate::store::Committed;
use crate::values::parallel;

/// A checkpoint of somebody else.
struct Foreign {
    committed: Committed,
    chains: Vec<Vec<IndexRow>>,
    positions: BTreeMap<String, PositionRow>,
    objects: HashSet<ObjectName>,
}

impl Checkpointer {
    /// Continues from the latest checkpoint of all workers. Returns whether it is another one than before.
    ///
    /// Fails with [`RunError::Rival`] if it has other content than this worker has committed in one of the worker's own
    /// tasks: then another worker has them by now. Fails with [`RunError::RolledBack`] if a restore has made it and the job
    /// publishes files, which a worker reconciles with it when it starts.
    pub(super) fn rebase(&mut self) -> Result<bool, RunError> {
        let Some(foreign) = self.find_foreign()? else { return Ok(false) };
        if foreign.committed.manifest.restored_from.is_some() && self.publisher.plans().next().is_some() {
            return Err(RunError::RolledBack { sequence: foreign.committed.manifest.sequence });
        }
        self.check_batch(foreign.committed.manifest.sequence, foreign.positions.values())?;
        let Some(group) = &mut self.group else { return Ok(false) };
        let rivals: Vec<u32> =
            group.share.iter().copied().filter(|task| !is_same(*task, &self.lineage, &foreign)).collect();
        if !rivals.is_empty() {
            return Err(RunError::Rival { sequence: foreign.committed.manifest.sequence, tasks: rivals });
        }
        let before = self.lineage.last.as_ref().map_or(0, |last| last.manifest.block);
        group.shift += foreign.committed.manifest.block.saturating_sub(before);
        let Foreign { committed, chains, positions, objects } = foreign;
        for (shard, chain) in (0..).zip(&chains) {
            if !group.share.contains(&shard) {
                self.drafts[shard as usize].chain.clone_from(chain);
            }
        }
        self.lineage = Lineage {
            newest: Some(committed.manifest.sequence),
            last: Some(committed),
            chains,
            positions,
            objects,
            keys: std::mem::take(&mut self.lineage.keys),
            ..Lineage::default()
        };
        Ok(true)
    }

    /// Returns the latest checkpoint of all workers, unless this worker knows it.
    fn find_foreign(&self) -> Result<Option<Foreign>, RunError> {
        loop {
            let Some(latest) = self.store.latest_after(self.lineage.last.as_ref())? else { return Ok(None) };
            let sequence = latest.manifest.sequence;
            match self.read_foreign(latest) {
                // It may have been pruned while it was read: there is a newer one.
                Err(_) if self.store.sequences().is_ok_and(|now| now.last() > Some(&sequence)) => {}
                read => return read.map(Some),
            }
        }
    }

    fn read_foreign(&self, committed: Committed) -> Result<Foreign, RunError> {
        let manifest = &committed.manifest;
        let (facts, sequence) = (&self.facts, manifest.sequence);
        let layout = (facts.tasks, facts.shards, facts.routing, &facts.columns);
        if (manifest.tasks, manifest.shards, manifest.routing, &manifest.columns) != layout {
            let reason = "it was made by another job than this worker runs".to_owned();
            return Err(CheckpointError::Inconsistent { sequence, reason }.into());
        }
        if let Some(messages) = &manifest.messages
            && !self.sends_to_topic_of(&committed)?
        {
            return Err(OutputError::OtherTopic { sequence, topic: messages.topic.clone() }.into());
        }
        let tables = manifest.tables;
        let read = |table| self.store.object(table);
        let (rows, positions) = match self.store.is_remote() {
            // They share a round trip.
            true => parallel::both(|| read(tables.index), || read(tables.positions)),
            false => (read(tables.index), read(tables.positions)),
        };
        let rows = index::decode(rows?).map_err(RunError::table(tables.index.object))?;
        let positions = positions::decode(positions?);
        let positions = positions.map_err(RunError::table(tables.positions.object))?;
        let mut objects: HashSet<ObjectName> = manifest.own_objects().map(|own| own.object).collect();
        objects.extend(rows.iter().map(|row| row.object));
        let chains = chains(manifest, rows)?;
        let positions = positions.into_iter().map(|row| (row.partition.clone(), row)).collect();
        Ok(Foreign { committed, chains, positions, objects })
    }

    /// Returns whether this worker can send the messages of `committed`.
    fn sends_to_topic_of(&self, committed: &Committed) -> Result<bool, RunError> {
        let Some((outlet, _)) = &self.publisher.topic else { return Ok(false) };
        Ok(outlet.is_of(&definition(&self.store, committed)?))
    }

    /// Returns the number that the cut `number` has in the store.
    pub(super) fn block_of(&self, number: u64) -> u64 {
        number + self.group.as_ref().map_or(0, |group| group.shift)
    }

    /// Returns the segments of all shards, as the next checkpoint names them.
    pub(super) fn chains_to_commit(&self) -> Vec<Vec<IndexRow>> {
        let mut chains: Vec<Vec<IndexRow>> = self.drafts.iter().map(|draft| draft.chain.clone()).collect();
        let Some(group) = &self.group else { return chains };
        for (shard, chain) in chains.iter_mut().enumerate() {
            let known = self.lineage.chains.get(shard).map_or(&[][..], Vec::as_slice);
            if group.share.contains(&(shard as u32)) {
                // A new segment may have the bytes of an older one, but then it has another cut or place.
                let new = chain.iter_mut().enumerate().filter(|(level, row)| known.get(*level) != Some(row));
                new.for_each(|(_, row)| row.cut += group.shift);
            } else {
                *chain = known.to_vec();
            }
        }
        chains
    }

    /// Returns the positions of the next checkpoint, given `all` those at this worker's `cut`: of the partitions of others,
    /// those of the latest checkpoint.
    pub(super) fn positions_to_commit(&self, all: &[PositionRow], cut: &Cut) -> Vec<PositionRow> {
        let Some(group) = &self.group else { return all.to_vec() };
        let is_own = |row: &&PositionRow| row.task.is_some_and(|task| group.share.contains(&task));
        let others = self.lineage.positions.values().filter(|row| !is_own(row));
        let commit = WorkerCommit { worker: group.worker.clone(), time: cut.created.as_millisecond() };
        let own = all.iter().filter(is_own).cloned();
        let own = own.map(|row| PositionRow { committed: Some(commit.clone()), ended: cut.ended, ..row });
        let block = self.block_of(cut.number);
        let mut rows: Vec<PositionRow> = own.chain(others.cloned()).collect();
        self.put_ends(&mut rows, all, group);
        rows.iter_mut().for_each(|row| row.cut = block);
        rows.sort_by(|a, b| a.partition.cmp(&b.partition));
        rows
    }

    /// Makes the totals of `manifest`, whose positions are `rows`, include what other workers have counted.
    pub(super) fn add_totals_of_others(&self, manifest: &mut Manifest, rows: &[PositionRow], cut: &Cut) {
        let Some(group) = &self.group else { return };
        let base = self.lineage.last.as_ref().map(|last| last.manifest.totals).unwrap_or_default();
        let own = |keys: &dyn Fn(usize) -> u64| group.share.iter().map(|shard| keys(*shard as usize)).sum::<u64>();
        let before = own(&|shard| self.lineage.keys.get(shard).copied().unwrap_or(0));
        let after = own(&|shard| self.drafts[shard].keys);
        manifest.totals = Totals {
            keys: (base.keys + after).saturating_sub(before),
            records: base.past_records + rows.iter().map(|row| row.record).sum::<u64>(),
            input_bytes: base.past_input_bytes + rows.iter().map(|row| row.offset).sum::<u64>(),
            past_records: base.past_records,
            past_input_bytes: base.past_input_bytes,
            skipped: base.skipped + cut.skipped.saturating_sub(group.skipped),
            ..manifest.totals
        };
    }

    /// Fails if more records are bad in `totals`, which include those of all workers, than the job allows.
    pub(super) fn check_max_bad(&self, totals: &Totals) -> Result<(), RunError> {
        let Totals { skipped, records, .. } = *totals;
        match self.facts.max_bad.filter(|max| max.is_exceeded(skipped, records)) {
            None => Ok(()),
            // Why records are bad, only the director knows.
            Some(max) => Err(RecordError::TooManyBad { skipped, records, max, reasons: Vec::new() }.into()),
        }
    }
}

/// Returns whether a checkpoint has in `task` what `lineage` has there.
fn is_same(task: u32, lineage: &Lineage, foreign: &Foreign) -> bool {
    let chain = |chains: &[Vec<IndexRow>]| -> Vec<ObjectName> {
        chains.get(task as usize).map_or_else(Vec::new, |chain| chain.iter().map(|row| row.object).collect())
    };
    let position = |positions: &BTreeMap<String, PositionRow>| {
        let row = positions.values().find(|row| row.task == Some(task));
        // What another worker changes when it begins a batch.
        let message =
            |row: &PositionRow| row.message.clone().map(|message| MessagePosition { batch_end: None, ..message });
        row.map(|row| PositionRow { cut: 0, ended: false, message: message(row), ..row.clone() })
    };
    chain(&lineage.chains) == chain(&foreign.chains) && position(&lineage.positions) == position(&foreign.positions)
}
