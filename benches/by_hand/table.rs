//! A hash table that only counts and sums.

/// Counts and sums by key, with open addressing and all keys in one buffer.
#[derive(Default)]
pub struct Table {
    /// The upper half of a hash, and the index of the entry plus one.
    slots: Vec<u64>,
    pub entries: Vec<Entry>,
    keys: Vec<u8>,
}

/// The count and sum of a key.
#[derive(Clone, Copy)]
pub struct Entry {
    pub count: u64,
    pub sum: f64,
    key_at: u32,
    key_bytes: u32,
}

impl Table {
    /// Adds to the entry of `key`.
    #[inline]
    pub fn add(&mut self, hash: u64, key: &[u8], count: u64, sum: f64) {
        if self.entries.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = place_of(hash) & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            if slot >> 32 == hash >> 32 {
                let entry = &mut self.entries[(slot as u32 - 1) as usize];
                if &self.keys[entry.key_at as usize..][..entry.key_bytes as usize] == key {
                    entry.count += count;
                    entry.sum += sum;
                    return;
                }
            }
            at = (at + 1) & mask;
        }
        self.slots[at] = hash >> 32 << 32 | (self.entries.len() as u64 + 1);
        self.entries.push(Entry { count, sum, key_at: self.keys.len() as u32, key_bytes: key.len() as u32 });
        self.keys.extend_from_slice(key);
    }

    /// Looks up the places where the searches for `hashes` begin, so that the waits for memory overlap.
    #[inline]
    pub fn look_ahead(&self, hashes: impl Iterator<Item = u64> + Clone) {
        if self.slots.is_empty() {
            return;
        }
        let mask = self.slots.len() - 1;
        let places = hashes.map(|hash| self.slots[place_of(hash) & mask] as u32);
        let seen = places.clone().fold(0, |seen, place| seen ^ place);
        let entries = places.map(|place| self.entries.get(place.wrapping_sub(1) as usize));
        let keys = entries.map(|entry| entry.map_or(0, |entry| self.keys[entry.key_at as usize]));
        std::hint::black_box((seen, keys.fold(0, |seen, byte| seen ^ byte)));
    }

    /// Returns the key of `entry`.
    pub fn key(&self, entry: &Entry) -> &[u8] {
        &self.keys[entry.key_at as usize..][..entry.key_bytes as usize]
    }

    #[cold]
    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(1 << 10);
        self.slots.clear();
        self.slots.resize(slots, 0);
        for (place, entry) in self.entries.iter().enumerate() {
            let hash = hash_of(self.key(entry));
            let mut at = place_of(hash) & (slots - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (slots - 1);
            }
            self.slots[at] = hash >> 32 << 32 | (place as u64 + 1);
        }
    }
}

/// Returns where the search for a hash begins, for a table that is large enough. The keys of a task share the lowest
/// bits, so these are not used.
#[inline]
fn place_of(hash: u64) -> usize {
    (hash >> 16) as usize
}

/// Hashes a key.
#[inline]
pub fn hash_of(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}
