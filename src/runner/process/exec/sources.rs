//! Where the records that a program was sent come from, in case it rejects some of them.

use crate::input::record::RecordPlace;
use crate::runner::rejected::Rejected;

/// The records of a batch: their places, and their bytes as they were read.
#[derive(Debug, Default)]
pub struct Sources {
    places: Vec<Place>,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Place {
    /// The number of the record in its block, from 0.
    index: u64,
    /// The offset of its first byte in the partition.
    offset: u64,
    /// Where its bytes end in [`Sources::bytes`].
    end: usize,
}

impl Sources {
    /// Adds the next record of a batch.
    pub(crate) fn push(&mut self, place: RecordPlace<'_>) {
        self.bytes.extend_from_slice(place.bytes);
        let (index, offset, end) = (place.index, place.offset, self.bytes.len());
        self.places.push(Place { index, offset, end });
    }

    /// Returns the number of records.
    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    /// Returns record number `record` of the batch as one that the program has rejected.
    pub(crate) fn rejected(&self, record: usize, reason: String) -> Option<Rejected> {
        let place = self.places.get(record)?;
        let start = record.checked_sub(1).map_or(0, |before| self.places[before].end);
        let bytes = self.bytes[start..place.end].to_vec();
        Some(Rejected { index: place.index, offset: place.offset, reason, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_with_its_place_and_its_bytes() {
        let mut sources = Sources::default();
        for (at, index, bytes) in [(0, 0, &b"one"[..]), (4, 1, b""), (9, 3, b"three")] {
            sources.push(RecordPlace { at, index, offset: 100 + at as u64, bytes });
        }
        let found = |record| {
            let rejected = sources.rejected(record, "no".to_owned())?;
            Some((rejected.index, rejected.offset, String::from_utf8(rejected.bytes).unwrap()))
        };
        assert_eq!(sources.count(), 3);
        assert_eq!(found(0), Some((0, 100, "one".to_owned())));
        assert_eq!(found(1), Some((1, 104, String::new())));
        assert_eq!(found(2), Some((3, 109, "three".to_owned())));
        assert_eq!(found(3), None);
    }
}
