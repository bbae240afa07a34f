//! A hash table from the hash of a key to its row.

use prefetch_index::prefetch_index;

use crate::values::random::random;

/// Finds rows by the hash of their key, with open addressing and linear probing.
///
/// An entry is a tag computed from the hash, and the row. So growing needs no keys, and a search mostly needs only
/// entries.
///
/// The hash also gives a key its task, so anybody can make keys whose hashes agree in half of their bits. The tag
/// therefore depends on a random secret of each table: those who do not know it cannot crowd keys together. Nothing on
/// disk depends on the secret.
#[derive(Debug)]
pub(crate) struct Table {
    entries: Vec<u64>,
    len: usize,
    secret: [u64; 2],
}

/// An entry without a row: no row has that number.
///
/// It is not 0, because zeroed memory is not there until it is written, and a table is read first. Then the kernel maps
/// each page twice, and interrupts the other threads in between.
const EMPTY: u64 = u64::MAX;

impl Default for Table {
    fn default() -> Table {
        Table { entries: Vec::new(), len: 0, secret: [random(), random() | 1] }
    }
}

impl Table {
    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }

    /// Returns the tag of a hash, in the upper half of an entry.
    #[inline]
    fn tag(&self, hash: u64) -> u64 {
        // Folding both halves of the product makes each bit depend on the whole hash and on the secret.
        let product = u128::from(hash ^ self.secret[0]) * u128::from(self.secret[1]);
        (product as u64 ^ (product >> 64) as u64) >> 32 << 32
    }

    /// Returns the index at which the search for a tag starts. The table must not be empty; its size is a power of two.
    #[inline]
    fn start(&self, tag: u64) -> usize {
        (tag >> 32) as usize & (self.entries.len() - 1)
    }

    /// Fetches the entry where the search for a hash starts into the cache.
    #[inline]
    pub(crate) fn fetch(&self, hash: u64) {
        if !self.entries.is_empty() {
            prefetch_index(&self.entries, self.start(self.tag(hash)));
        }
    }

    /// Returns the row that probably has this hash: the first one whose tag matches.
    #[inline]
    pub(crate) fn likely(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Returns the row that has this hash and for which `is_it` returns true.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let tag = self.tag(hash);
        let mut at = self.start(tag);
        loop {
            let entry = self.entries[at];
            if entry == EMPTY {
                return None;
            }
            let row = entry as u32;
            if (entry ^ tag) >> 32 == 0 && is_it(row) {
                return Some(row);
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    /// Adds a row that is not in the table.
    pub(crate) fn insert(&mut self, hash: u64, row: u32) {
        // At most two thirds of the entries are in use.
        if (self.len + 1) * 3 > self.entries.len() * 2 {
            self.grow();
        }
        self.place(self.tag(hash) | u64::from(row));
        self.len += 1;
    }

    /// Removes a row that is in the table. Entries that were displaced by it move up, so that searches still find them.
    pub(crate) fn remove(&mut self, hash: u64, row: u32) {
        let mask = self.entries.len() - 1;
        let removed = self.tag(hash) | u64::from(row);
        let mut hole = self.start(removed);
        while self.entries[hole] != removed {
            assert!(self.entries[hole] != EMPTY, "a row that is removed is in the table");
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
        let mut at = hole;
        loop {
            self.entries[hole] = EMPTY;
            loop {
                at = (at + 1) & mask;
                let entry = self.entries[at];
                if entry == EMPTY {
                    return;
                }
                // An entry may be anywhere from its start onward, so it may fill the hole only if it does not start
                // after it.
                let from_start = at.wrapping_sub(self.start(entry)) & mask;
                let from_hole = at.wrapping_sub(hole) & mask;
                if from_start >= from_hole {
                    self.entries[hole] = entry;
                    hole = at;
                    break;
                }
            }
        }
    }

    pub(crate) fn place(&mut self, entry: u64) {
        let mut at = self.start(entry);
        while self.entries[at] != EMPTY {
            at = (at + 1) & (self.entries.len() - 1);
        }
        self.entries[at] = entry;
    }

    #[cold]
    pub(crate) fn grow(&mut self) {
        let larger = vec![EMPTY; (self.entries.len() * 2).max(64)];
        for entry in std::mem::replace(&mut self.entries, larger) {
            if entry != EMPTY {
                self.place(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn half_equal_hashes_are_found_as_quickly_as_others() {
        let hash_of: [fn(u32) -> u64; 2] = [|n| 7 << 32 | u64::from(n), |n| u64::from(n) << 32 | 7];
        for hash in hash_of {
            let mut table = Table::default();
            (0..20_000).for_each(|row| table.insert(hash(row), row));
            let mut looks = 0;
            for row in 0..20_000 {
                let looked = Cell::new(0u64);
                let is_it = |other: u32| {
                    looked.set(looked.get() + 1);
                    other == row
                };
                assert_eq!(table.find(hash(row), is_it), Some(row));
                looks += looked.get();
                assert!(looks < 21_000, "{looks} rows were looked at for the first {row}");
            }
        }
    }
}
