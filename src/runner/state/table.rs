//! From the hash of a key to the place of its row.

/// Finds rows by the hash of their key: open addressing with linear probing.
///
/// An entry is the upper half of the hash and the row plus one, so growing needs no look at the keys, and finding mostly one at the entries. The
/// lower half of the hash is not used: within a shard it is not free (a key's task is its hash modulo the number of tasks).
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<u64>,
    len: usize,
}

impl Table {
    pub(super) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<u64>()
    }

    /// Returns where the search for a hash begins. There must be entries; their number is a power of two.
    #[inline]
    pub(super) fn start(&self, hash: u64) -> usize {
        let spread = (hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        spread as usize & (self.entries.len() - 1)
    }

    /// Returns the first entry that a search for a hash looks at.
    #[inline]
    pub(super) fn entry(&self, hash: u64) -> u64 {
        if self.entries.is_empty() { 0 } else { self.entries[self.start(hash)] }
    }

    /// Returns the row of the first entry that a search for a hash looks at, if its tag fits.
    #[inline]
    pub(super) fn likely(&self, hash: u64) -> Option<u32> {
        let entry = self.entry(hash);
        (entry != 0 && entry >> 32 == hash >> 32).then(|| entry as u32 - 1)
    }

    /// Returns the row with this hash for which `is_it` says yes.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let mut at = self.start(hash);
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            let row = (entry as u32).wrapping_sub(1);
            if entry >> 32 == hash >> 32 && is_it(row) {
                return Some(row);
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    /// Adds a row that is not there.
    pub(super) fn insert(&mut self, hash: u64, row: u32) {
        // At most two thirds of the entries are taken.
        if (self.len + 1) * 3 > self.entries.len() * 2 {
            self.grow();
        }
        self.place((hash >> 32 << 32) | (u64::from(row) + 1));
        self.len += 1;
    }

    /// Removes a row that is there. What was put behind its entry because of it moves up, so that no search is cut short.
    pub(super) fn remove(&mut self, hash: u64, row: u32) {
        let mask = self.entries.len() - 1;
        let removed = (hash >> 32 << 32) | (u64::from(row) + 1);
        let mut hole = self.start(hash);
        while self.entries[hole] != removed {
            assert!(self.entries[hole] != 0, "a row that is removed is in the table");
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
        let mut at = hole;
        loop {
            self.entries[hole] = 0;
            loop {
                at = (at + 1) & mask;
                let entry = self.entries[at];
                if entry == 0 {
                    return;
                }
                // An entry may stand anywhere from its start on: at the hole only if its start is not behind it.
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

    pub(super) fn place(&mut self, entry: u64) {
        let mut at = self.start(entry);
        while self.entries[at] != 0 {
            at = (at + 1) & (self.entries.len() - 1);
        }
        self.entries[at] = entry;
    }

    #[cold]
    pub(super) fn grow(&mut self) {
        let larger = vec![0; (self.entries.len() * 2).max(64)];
        for entry in std::mem::replace(&mut self.entries, larger) {
            if entry != 0 {
                self.place(entry);
            }
        }
    }
}
