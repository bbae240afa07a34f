//! A set of row numbers.

/// A set of row numbers, one bit per row.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bitmap {
    pub(crate) words: Vec<u64>,
}

impl Bitmap {
    /// Returns the set of all numbers below `len`.
    pub(crate) fn full(len: usize) -> Bitmap {
        let mut words = vec![u64::MAX; len / 64];
        if !len.is_multiple_of(64) {
            words.push((1 << (len % 64)) - 1);
        }
        Bitmap { words }
    }

    /// Adds `index` and returns whether it was missing.
    #[inline]
    pub(crate) fn insert(&mut self, index: usize) -> bool {
        let word = index / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (index % 64);
        let missing = self.words[word] & bit == 0;
        self.words[word] |= bit;
        missing
    }

    /// Returns how many numbers the set has.
    pub(crate) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    #[inline]
    pub(crate) fn has(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    /// Removes `index` and returns whether the set had it.
    #[inline]
    pub(crate) fn remove(&mut self, index: usize) -> bool {
        let bit = 1 << (index % 64);
        match self.words.get_mut(index / 64) {
            Some(word) if *word & bit != 0 => {
                *word &= !bit;
                true
            }
            _ => false,
        }
    }
}
