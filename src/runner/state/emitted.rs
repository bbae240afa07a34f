//! What a shard emits for the job's output between two cuts.
//!
//! It belongs to a cut as the rows of the shard do: it is taken with them and published with the checkpoint that holds
//! them. A run that resumes from the checkpoint before emits it again.

use crate::format::row_batch::RowBatch;
use crate::format::rows::Change;
use crate::runner::rejected::LateRecord;

/// The output that a shard has produced since the last cut.
#[derive(Debug, Clone, Default)]
pub struct Emitted {
    rows: RowBatch,
    objects: Vec<u8>,
    object_count: u64,
    /// The late records that are kept, and the number of all late records.
    late: Vec<LateRecord>,
    late_count: u64,
    late_bytes: u64,
}

impl Emitted {
    /// Adds a row with the columns of the state. `write` appends the row's packed value.
    pub fn push_row(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.rows.push_changed(0, key, Change::Insert, true, write);
    }

    /// Adds a row that is a JSON object. Its text must be a single line.
    pub fn push_object(&mut self, object: &str) {
        debug_assert!(!object.contains('\n'), "an object is one line");
        self.objects.extend_from_slice(object.as_bytes());
        self.objects.push(b'\n');
        self.object_count += 1;
    }

    /// Adds what was emitted after this.
    pub fn append(&mut self, mut later: Emitted) {
        self.rows.append(&later.rows);
        self.objects.append(&mut later.objects);
        self.object_count += later.object_count;
        self.late.append(&mut later.late);
        self.late_count += later.late_count;
        self.late_bytes += later.late_bytes;
    }

    /// Counts a late record, and keeps it if it is given.
    pub fn push_late(&mut self, record: Option<LateRecord>) {
        self.late_count += 1;
        if let Some(record) = record {
            self.late_bytes += (size_of::<LateRecord>() + record.rejected.bytes.len()) as u64;
            self.late.push(record);
        }
    }

    pub fn late_count(&self) -> u64 {
        self.late_count
    }

    /// Takes the late records that were kept.
    pub fn take_late(&mut self) -> Vec<LateRecord> {
        self.late_bytes = 0;
        std::mem::take(&mut self.late)
    }

    /// Returns the rows with the columns of the state, in the order in which they were emitted.
    pub fn rows(&self) -> &RowBatch {
        &self.rows
    }

    /// Returns the objects, one per line, in the order in which they were emitted.
    pub fn objects(&self) -> &[u8] {
        &self.objects
    }

    /// Returns the number of rows and objects.
    pub fn len(&self) -> u64 {
        self.rows.len() as u64 + self.object_count
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn memory_bytes(&self) -> u64 {
        (self.rows.memory_bytes() + self.objects.len()) as u64 + self.late_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_rows_follow_existing_rows() {
        let mut first = Emitted::default();
        assert!(first.is_empty());
        first.push_row(b"a", |bytes| bytes.push(1));
        first.push_object("{\"n\":1}");
        let mut second = Emitted::default();
        second.push_row(b"b", |bytes| bytes.push(2));
        second.push_object("{\"n\":2}");
        first.append(second);
        let rows: Vec<_> = first.rows().iter().map(|row| (row.key.to_vec(), row.value.unwrap().to_vec())).collect();
        assert_eq!(rows, [(b"a".to_vec(), vec![1]), (b"b".to_vec(), vec![2])]);
        assert_eq!(first.objects(), b"{\"n\":1}\n{\"n\":2}\n");
        assert_eq!(first.len(), 4);
        assert!(first.memory_bytes() > 16);
    }
}
