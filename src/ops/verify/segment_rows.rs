//! The content of a segment, according to its rows.

use crate::format::index::IndexRow;
use crate::format::segment::keys::KeyBatch;

/// The content of a segment, according to its rows.
#[derive(Debug, Clone, Default)]
pub(super) struct SegmentRows {
    pub(super) rows: u64,
    pub(super) tombstones: u64,
    pub(super) smallest_key: Option<Vec<u8>>,
    pub(super) largest_key: Option<Vec<u8>>,
    pub(super) misrouted: u64,
    pub(super) first_misrouted: Option<String>,
    /// Whether a row may be one that a run refuses: a newer segment may replace it.
    pub(super) is_suspicious: bool,
}

impl SegmentRows {
    pub(super) fn observe(
        &mut self,
        batch: &KeyBatch,
        segment: &IndexRow,
        has_refused: bool,
        owner: impl Fn(u32, &[u8]) -> Option<u32>,
    ) {
        self.is_suspicious |= batch.has_bad_sketch() || has_refused;
        self.rows += batch.len() as u64;
        self.tombstones += batch.tombstones() as u64;
        for (task, rows) in batch.runs() {
            // Within a task keys ascend.
            let (smallest, largest) = (batch.key(rows.start), batch.key(rows.end - 1));
            if self.smallest_key.as_deref().is_none_or(|key| smallest < key) {
                self.smallest_key = Some(smallest.to_vec());
            }
            if self.largest_key.as_deref().is_none_or(|key| largest > key) {
                self.largest_key = Some(largest.to_vec());
            }
            let is_of_segment = (segment.first_task..=segment.last_task).contains(&task);
            for key in rows.map(|row| batch.key(row)) {
                if !is_of_segment || owner(task, key) != Some(task) {
                    self.misrouted += 1;
                    self.first_misrouted.get_or_insert_with(|| {
                        let key = String::from_utf8_lossy(key);
                        format!("task {task} for key {:?}", key.chars().take(80).collect::<String>())
                    });
                }
            }
        }
    }

    /// Returns the counts in which the index is wrong: expected by the index, found.
    pub(super) fn count_problems(&self, row: &IndexRow) -> Vec<(String, String)> {
        let text = |key: &Option<Vec<u8>>| String::from_utf8_lossy(key.as_deref().unwrap_or_default()).into_owned();
        let pairs = [
            ("rows", row.rows.to_string(), self.rows.to_string()),
            ("tombstones", row.tombstones.to_string(), self.tombstones.to_string()),
            ("smallest key", format!("{:?}", row.smallest_key), format!("{:?}", text(&self.smallest_key))),
            ("largest key", format!("{:?}", row.largest_key), format!("{:?}", text(&self.largest_key))),
        ];
        let differ = pairs.into_iter().filter(|(_, expected, found)| expected != found);
        differ.map(|(what, expected, found)| (format!("{what} {expected}"), format!("{what} {found}"))).collect()
    }
}
