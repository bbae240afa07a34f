//! The rows that readers of the files of changes have, where `having` keeps others from them.

use std::collections::HashSet;

use crate::format::rows::Change;

/// The keys of these rows: those for which `having` was true when the latest checkpoint was committed.
#[derive(Debug, Default)]
pub struct ShownRows {
    keys: HashSet<Box<[u8]>>,
    /// What the file that was staged last adds and removes.
    staged: Vec<(Box<[u8]>, bool)>,
    /// The same for a file whose checkpoint may be committed.
    uncertain: Vec<(Box<[u8]>, bool)>,
}

impl ShownRows {
    pub fn new(keys: impl Iterator<Item = Box<[u8]>>) -> ShownRows {
        ShownRows { keys: keys.collect(), ..ShownRows::default() }
    }

    /// Forgets what was staged for an attempt that failed.
    pub fn begin(&mut self) {
        self.staged.clear();
    }

    /// Notes that the next file shows the row of `key`, or that the row is not to be shown. Returns what that is to
    /// readers.
    pub fn stage(&mut self, key: &[u8], is_shown: bool) -> Change {
        let change = match (self.keys.contains(key), is_shown) {
            (false, false) => Change::None,
            (false, true) => Change::Insert,
            (true, true) => Change::Update,
            (true, false) => Change::Delete,
        };
        if matches!(change, Change::Insert | Change::Delete) {
            self.staged.push((key.into(), is_shown));
        }
        change
    }

    /// Notes that the checkpoint of the staged file is committed, or, if it `may_be` only, that this is not known yet.
    pub fn committed(&mut self, may_be: bool) {
        let staged = std::mem::take(&mut self.staged);
        if may_be {
            self.uncertain = staged;
        } else {
            self.apply(staged);
        }
    }

    /// Notes whether the checkpoint exists of which that was not known.
    pub fn settle(&mut self, exists: bool) {
        let uncertain = std::mem::take(&mut self.uncertain);
        if exists {
            self.apply(uncertain);
        }
    }

    fn apply(&mut self, changes: Vec<(Box<[u8]>, bool)>) {
        for (key, is_shown) in changes {
            if is_shown {
                self.keys.insert(key);
            } else {
                self.keys.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_committed_is_shown() {
        let mut shown = ShownRows::new(std::iter::once(b"a".as_slice().into()));
        let stage = |shown: &mut ShownRows| {
            shown.begin();
            [(b"a", false), (b"b", true), (b"c", false)].map(|(key, is_shown)| shown.stage(key, is_shown))
        };
        let first = [Change::Delete, Change::Insert, Change::None];
        assert_eq!(stage(&mut shown), first);
        assert_eq!(stage(&mut shown), first, "the first attempt failed");
        shown.committed(true);
        shown.settle(false);
        assert_eq!(stage(&mut shown), first, "the checkpoint does not exist");
        shown.committed(true);
        shown.settle(true);
        let second = [Change::None, Change::Update, Change::None];
        assert_eq!(stage(&mut shown), second);
        shown.committed(false);
        assert_eq!(stage(&mut shown), second);
    }
}
