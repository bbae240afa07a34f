//! How a manifest, its tables and its parent must agree: none of them can be changed alone without being noticed.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::format::index::IndexRow;
use crate::format::layout::ObjectName;
use crate::format::manifest::{Manifest, Routing, Trigger};
use crate::format::positions::PositionRow;
use crate::values::value::ColumnType;

/// Returns how `manifest` contradicts itself.
pub(super) fn manifest_problems(manifest: &Manifest) -> Vec<String> {
    let mut problems = Vec::new();
    let is_restore = manifest.trigger == Trigger::Restore;
    if is_restore != manifest.restored_from.is_some() {
        let of = manifest.restored_from.map_or_else(|| "nothing".to_owned(), |from| format!("checkpoint {}", from.0));
        problems.push(format!("trigger {:?}, but it restores {of}", manifest.trigger));
    }
    // A restore keeps the end of the checkpoint that it restores.
    // One of several workers may be at the ends of its partitions before the others.
    let may_be_early = manifest.worker.is_some() && !manifest.ended;
    let is_at_end = manifest.trigger == Trigger::EndOfInput;
    if !is_restore && manifest.ended != is_at_end && !(is_at_end && may_be_early) {
        problems.push(format!("trigger {:?}, but ended: {}", manifest.trigger, manifest.ended));
    }
    // Which columns they are is compared with the job definition.
    let is_sketch = |column_type| matches!(column_type, ColumnType::Sketch | ColumnType::Quantiles);
    let has_sketch = manifest.columns.iter().any(|column| is_sketch(column.column_type));
    if manifest.routing == Routing::Program && has_sketch {
        problems.push("the state of a program, but with a sketch, which programs do not have".to_owned());
    }
    let totals = &manifest.totals;
    for (what, part) in [("skipped", totals.skipped), ("late", totals.late), ("past", totals.past_records)] {
        if part > totals.records {
            problems.push(format!("{part} records {what} of {}", totals.records));
        }
    }
    problems
}

/// Returns how `rows`, the positions, contradict `manifest`.
pub(super) fn positions_problems(manifest: &Manifest, rows: &[PositionRow]) -> Vec<String> {
    let mut problems = Vec::new();
    let cuts: BTreeSet<u64> = manifest.older_cuts.iter().map(|cut| cut.block).chain([manifest.block]).collect();
    for row in rows {
        let mut wrong = |what: String| problems.push(format!("partition {:?}: {what}", row.partition));
        if !cuts.contains(&row.cut) {
            wrong(format!("cut {} is not one of the checkpoint's", row.cut));
        }
        match (manifest.routing, row.task) {
            (Routing::KeyHash | Routing::Program, None) => {}
            (Routing::Partition | Routing::Program, Some(task)) if task < manifest.tasks => {}
            (Routing::KeyedPartition, Some(task))
                if task < manifest.tasks && task_named(&row.partition) == Some(task) => {}
            (_, task) => wrong(format!("task {task:?}")),
        }
        // A followed file has no end, but a rotated one has.
        if manifest.ended && row.cut == manifest.block && !row.ended && row.inode.is_none() {
            wrong("it has not ended, but the input has".to_owned());
        }
    }
    let newest = || rows.iter().filter(|row| row.cut == manifest.block);
    let totals = &manifest.totals;
    // Files that were read and are gone are not among the rows.
    let bytes = sum(newest().map(|row| row.offset)).saturating_add(totals.past_input_bytes);
    let records = sum(newest().map(|row| row.record)).saturating_add(totals.past_records);
    for (what, expected, found) in [
        ("partitions", totals.partitions, newest().count() as u64),
        ("bytes of input", totals.input_bytes, bytes),
        ("records", totals.records, records),
    ] {
        if expected != found {
            problems.push(format!("expected {expected} {what} as the manifest says, found {found}"));
        }
    }
    for cut in &manifest.older_cuts {
        let records = sum(rows.iter().filter(|row| row.cut == cut.block).map(|row| row.record));
        // Files that are gone by now may have counted then.
        if !(records..=records.saturating_add(totals.past_records)).contains(&cut.records) {
            let (block, expected) = (cut.block, cut.records);
            problems.push(format!("cut {block}: expected {expected} records as the manifest says, found {records}"));
        }
    }
    // With one clock for all partitions, they have one watermark.
    let one_clock = cuts.into_iter().filter(|_| manifest.routing != Routing::KeyedPartition);
    for cut in one_clock {
        let of_cut: Vec<&PositionRow> = rows.iter().filter(|row| row.cut == cut).collect();
        if let Some(pair) = of_cut.windows(2).find(|pair| pair[0].watermark != pair[1].watermark) {
            let (a, b) = (&pair[0].partition, &pair[1].partition);
            problems.push(format!("cut {cut}: {a:?} and {b:?} have different watermarks"));
        }
    }
    problems
}

/// Returns how `index` contradicts the cuts of `manifest`.
pub(super) fn cut_problems(manifest: &Manifest, index: &[IndexRow]) -> Vec<String> {
    let behind = manifest.older_cuts.iter().flat_map(|cut| cut.shards.iter().map(|&shard| (shard, cut.block)));
    let behind: HashMap<u32, u64> = behind.collect();
    let mut problems = Vec::new();
    for row in index {
        let own = behind.get(&row.shard).copied().unwrap_or(manifest.block);
        if row.cut > own {
            let (shard, level, cut) = (row.shard, row.level, row.cut);
            problems.push(format!("shard {shard} level {level}: cut {cut} is past the shard's {own}"));
        }
    }
    problems
}

/// A checkpoint and its index, which agree.
#[derive(Clone, Copy)]
pub(super) struct Whole<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) index: &'a [IndexRow],
}

/// Returns how the manifest of `child` contradicts its parent. A restore does not change its parent.
pub(super) fn parent_problems(child: Whole<'_>, parent: Whole<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    if child.manifest.trigger == Trigger::Restore {
        return problems;
    }
    let (block, before) = (child.manifest.block, parent.manifest.block);
    if block < before {
        problems.push(format!("block {block} is before the parent's {before}"));
    }
    let old: HashSet<ObjectName> =
        parent.manifest.objects(parent.index).into_iter().map(|object| object.object).collect();
    let objects = child.manifest.objects(child.index);
    let new = sum(objects.iter().filter(|object| !old.contains(&object.object)).map(|object| object.bytes));
    let expected = child.manifest.totals.new_bytes;
    if new != expected {
        problems.push(format!("expected {new} bytes that the parent does not have, found {expected}"));
    }
    problems
}

/// Returns the segments of `child` whose cut is before what the parent has. A restore does not change its parent.
pub(super) fn index_regressions(child: Whole<'_>, parent: Whole<'_>) -> Vec<String> {
    if child.manifest.trigger == Trigger::Restore {
        return Vec::new();
    }
    let old: HashMap<(u32, u32), &IndexRow> = parent.index.iter().map(|row| ((row.shard, row.level), row)).collect();
    // New segments were taken after the oldest cut of any shard.
    let oldest = parent.manifest.older_cuts.first().map_or(parent.manifest.block, |cut| cut.block);
    let mut problems = Vec::new();
    for row in child.index {
        let same = old.get(&(row.shard, row.level)).filter(|old| old.object == row.object);
        let earliest = same.map_or(oldest, |old| old.cut);
        if row.cut < earliest {
            let (shard, level, cut) = (row.shard, row.level, row.cut);
            problems.push(format!("shard {shard} level {level}: cut {cut} is before {earliest}, which the parent had"));
        }
    }
    problems
}

/// Returns the number at the end of the name of a partition of a topic, which is its task if it is one.
fn task_named(partition: &str) -> Option<u32> {
    partition.rsplit_once('/')?.1.parse().ok()
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}
