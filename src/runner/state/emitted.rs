//! What a shard gives to the job's output between two cuts.
//!
//! It belongs to the cut as the shard's rows do: it is taken with them, published with the checkpoint that holds them, and given again by a run that goes
//! on from the checkpoint before.

use crate::format::row_batch::RowBatch;
use crate::format::rows::Change;
use crate::runner::rejected::LateRecord;

/// The rows for the output that a shard has produced since the last cut.
#[derive(Debug, Clone, Default)]
pub struct Emitted {
    rows: RowBatch,
    objects: Vec<u8>,
    object_count: u64,
    /// Records that came after their windows were closed, and how many there were of those and of others that are not kept.
    late: Vec<LateRecord>,
    late_count: u64,
    late_bytes: u64,
}

impl Emitted {
    /// Adds a row with the columns of the state: `write` appends its packed value to the bytes it is given.
    pub fn push_row(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.rows.push_changed(0, key, Change::Insert, true, write);
    }

    /// Adds a row that is a JSON object of its own: its text, without any line break.
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

    /// Counts a record that came too late, and keeps it if it is given.
    pub fn push_late(&mut self, record: Option<LateRecord>) {
        self.late_count += 1;
        if let Some(record) = record {
            self.late_bytes += (size_of::<LateRecord>() + record.rejected.bytes.len()) as u64;
            self.late.push(record);
        }
    }

    /// Returns the number of records that came too late.
    pub fn late_count(&self) -> u64 {
        self.late_count
    }

    /// Takes out the records that came too late and were kept.
    pub fn take_late(&mut self) -> Vec<LateRecord> {
        self.late_bytes = 0;
        std::mem::take(&mut self.late)
    }

    /// Returns the rows with the columns of the state, in the order in which they came.
    pub fn rows(&self) -> &RowBatch {
        &self.rows
    }

    /// Returns the objects, a line each, in the order in which they came.
    pub fn objects(&self) -> &[u8] {
        &self.objects
    }

    /// Returns the number of rows and objects.
    pub fn len(&self) -> u64 {
        self.rows.len() as u64 + self.object_count
    }

    /// Tells whether nothing was emitted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the memory that it takes, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        (self.rows.memory_bytes() + self.objects.len()) as u64 + self.late_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_comes_after_what_was_there() {
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
