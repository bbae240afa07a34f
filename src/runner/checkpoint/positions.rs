//! The cuts that shards of the next checkpoint have, and the positions of the input at each.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use crate::format::manifest::{OlderCut, Trigger};
use crate::format::positions::PositionRow;
use crate::input::Position;
use crate::runner::error::RunError;
use crate::runner::lineage::{Lineage, OlderPositions};
use crate::runner::messages::{Cut, CutPosition};

/// The cuts, by block number.
#[derive(Debug)]
pub(super) struct KnownCuts(BTreeMap<u64, KnownCut>);

#[derive(Debug)]
struct KnownCut {
    created: Timestamp,
    /// Records before it.
    records: u64,
    positions: Positions,
}

#[derive(Debug)]
enum Positions {
    /// As the director took them. Their files are still to be fingerprinted.
    Taken(Vec<CutPosition>),
    /// The rows for the table of positions, sorted by partition.
    Rows(Vec<PositionRow>),
}

impl KnownCuts {
    /// Makes the cuts that the shards in `lineage` have. A shard that was never taken has the cut before the first
    /// block, at which the store was created.
    pub(super) fn new(lineage: &Lineage, store_created: Timestamp) -> KnownCuts {
        let rows = |positions: &BTreeMap<String, PositionRow>| Positions::Rows(positions.values().cloned().collect());
        let older = lineage.older.iter().map(|older| {
            let OlderCut { block, created, records, .. } = older.cut;
            (block, KnownCut { created, records, positions: rows(&older.positions) })
        });
        let mut cuts: BTreeMap<u64, KnownCut> = older.collect();
        let (block, created, records) = lineage.last.as_ref().map_or((0, store_created, 0), |last| {
            (last.manifest.block, last.manifest.created, last.manifest.totals.records)
        });
        cuts.insert(block, KnownCut { created, records, positions: rows(&lineage.positions) });
        KnownCuts(cuts)
    }

    /// Adds a new cut, and takes its positions.
    pub(super) fn add(&mut self, cut: &mut Cut) {
        let records = cut.past.records + cut.positions.iter().map(|position| position.record).sum::<u64>();
        let positions = Positions::Taken(std::mem::take(&mut cut.positions));
        self.0.insert(cut.number, KnownCut { created: cut.created, records, positions });
    }

    /// Keeps only the cuts in `used`.
    pub(super) fn retain(&mut self, used: &HashSet<u64>) {
        self.0.retain(|number, _| used.contains(number));
    }

    /// Makes the rows of all cuts. A file that did not move on since the checkpoint in `lineage` keeps its fingerprint.
    pub(super) fn make_rows(&mut self, lineage: &Lineage) -> Result<(), RunError> {
        for (&number, known) in &mut self.0 {
            if let Positions::Taken(positions) = &known.positions {
                let rows = positions.iter().map(|position| row(number, position, lineage));
                let mut rows = rows.collect::<Result<Vec<PositionRow>, RunError>>()?;
                rows.sort_by(|a, b| a.partition.cmp(&b.partition));
                known.positions = Positions::Rows(rows);
            }
        }
        Ok(())
    }

    /// Returns the rows of a cut; none if there is no such cut or its rows were not made.
    pub(super) fn rows(&self, number: u64) -> &[PositionRow] {
        match self.0.get(&number).map(|known| &known.positions) {
            Some(Positions::Rows(rows)) => rows,
            Some(Positions::Taken(_)) | None => &[],
        }
    }

    /// Returns the cuts before `newest` that shards have, given the cut of each shard. The rows were made.
    pub(super) fn older(&self, newest: u64, cuts_of_shards: impl Iterator<Item = u64>) -> Vec<OlderPositions> {
        let mut shards: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (shard, cut) in (0..).zip(cuts_of_shards).filter(|(_, cut)| *cut < newest) {
            shards.entry(cut).or_default().push(shard);
        }
        let older = shards.into_iter().filter_map(|(block, shards)| {
            let known = self.0.get(&block)?;
            let cut = OlderCut { block, created: known.created, records: known.records, shards };
            let positions = self.rows(block).iter().map(|row| (row.partition.clone(), row.clone())).collect();
            Some(OlderPositions { cut, positions })
        });
        older.collect()
    }
}

/// Returns whether the run ends while a followed file has a line without an end that the checkpoint in `lineage` does
/// not know of: without it, the file could go unnoticed.
pub(super) fn has_pending_bytes(cut: &Cut, lineage: &Lineage) -> bool {
    let known = |name: &str| lineage.positions.get(name).and_then(|row| row.file_bytes);
    let is_unknown = |position: &Position| {
        position.has_pending_bytes() && position.partition.file_bytes != known(&position.partition.name)
    };
    cut.trigger == Trigger::Shutdown && cut.positions.iter().any(|cut| is_unknown(&cut.position))
}

fn row(cut: u64, cut_position: &CutPosition, lineage: &Lineage) -> Result<PositionRow, RunError> {
    let Position { partition, offset, ended, .. } = &cut_position.position;
    let inode = cut_position.position.inode;
    let fingerprint = match lineage.positions.get(&partition.name) {
        Some(before) if before.offset == *offset && before.inode == inode => before.fingerprint,
        _ => cut_position.position.fingerprint(),
    };
    Ok(PositionRow {
        partition: partition.name.clone(),
        task: cut_position.task,
        cut,
        offset: *offset,
        record: cut_position.record,
        ended: *ended,
        file_bytes: partition.file_bytes,
        fingerprint,
        event_time: cut_position.event_time,
        watermark: cut_position.watermark,
        generation_of: cut_position.position.generation_of.as_deref().map(str::to_owned),
        inode,
        etag: partition.etag.clone(),
        stored_fingerprint: cut_position.position.stored,
        message: cut_position.position.message.clone(),
        committed: None,
    })
}
