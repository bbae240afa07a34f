//! How far two checkpoints have read their input, by partition.

use std::collections::BTreeMap;

use crate::format::positions::PositionRow;
use crate::ops::inspect::latest_positions;

/// A partition that two checkpoints have read differently far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionChange {
    pub partition: String,
    /// Its position in the old checkpoint, if it has the partition.
    pub old: Option<PositionRow>,
    /// Its position in the new checkpoint, if it has the partition.
    pub new: Option<PositionRow>,
}

impl PositionChange {
    /// Returns by how many bytes the position moved, counted from 0 if a checkpoint does not have the partition.
    pub fn bytes(&self) -> i128 {
        self.moved(|row| row.offset)
    }

    /// Returns by how many records the position moved.
    pub fn records(&self) -> i128 {
        self.moved(|row| row.record)
    }

    /// Tells whether the positions are the same, but in different inputs.
    pub fn input_differs(&self) -> bool {
        let (Some(old), Some(new)) = (&self.old, &self.new) else { return false };
        old.offset == new.offset && old.fingerprint != new.fingerprint
    }

    fn moved(&self, field: fn(&PositionRow) -> u64) -> i128 {
        let number = |row: &Option<PositionRow>| row.as_ref().map_or(0, |row| i128::from(field(row)));
        number(&self.new) - number(&self.old)
    }
}

/// Returns the partitions whose newest positions differ, sorted by name. Rows are sorted by partition and cut.
///
/// Bytes, records, the end and the fingerprint count. The block number of the cut does not, nor does the size of the
/// file, which may grow.
pub fn position_changes(old: &[PositionRow], new: &[PositionRow]) -> Vec<PositionChange> {
    let mut pairs: BTreeMap<&str, (Option<&PositionRow>, Option<&PositionRow>)> = BTreeMap::new();
    for row in latest_positions(old) {
        pairs.entry(&row.partition).or_default().0 = Some(row);
    }
    for row in latest_positions(new) {
        pairs.entry(&row.partition).or_default().1 = Some(row);
    }
    let place = |row: &PositionRow| (row.offset, row.record, row.ended, row.fingerprint);
    let differing = pairs.into_iter().filter(|(_, (old, new))| old.map(place) != new.map(place));
    differing
        .map(|(partition, (old, new))| PositionChange {
            partition: partition.to_owned(),
            old: old.cloned(),
            new: new.cloned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::digest::Digest;

    fn row(partition: &str, cut: u64, offset: u64) -> PositionRow {
        PositionRow {
            cut,
            offset,
            record: offset / 10,
            file_bytes: Some(1000),
            ..PositionRow::at_start(partition.to_owned(), Digest::of(&offset.to_le_bytes()))
        }
    }

    #[test]
    fn only_what_was_applied_counts_and_the_newest_position_of_a_partition() {
        let old = [row("a", 1, 10), row("a", 2, 20), row("b", 2, 30), row("gone", 2, 10)];
        let new = [
            PositionRow { file_bytes: Some(5000), ..row("a", 7, 20) },
            row("b", 7, 80),
            PositionRow { ended: true, ..row("fresh", 7, 0) },
        ];
        let found: Vec<_> = position_changes(&old, &new)
            .iter()
            .map(|change| (change.partition.clone(), change.bytes(), change.records()))
            .collect();
        assert_eq!(found, [("b".to_owned(), 50, 5), ("fresh".to_owned(), 0, 0), ("gone".to_owned(), -10, -1)]);
    }

    #[test]
    fn another_input_at_the_same_position_is_a_difference() {
        let other = PositionRow { fingerprint: Digest::of(b"other"), ..row("a", 1, 10) };
        let found = position_changes(&[row("a", 1, 10)], &[other]);
        assert_eq!(found.len(), 1);
        assert!(found[0].input_differs() && found[0].bytes() == 0);
        let ended = PositionRow { ended: true, ..row("a", 1, 10) };
        let found = position_changes(&[row("a", 1, 10)], &[ended]);
        assert!(found.len() == 1 && !found[0].input_differs());
    }
}
