//! Which keys of the state a command is about.

use crate::format::index::IndexRow;

/// Which keys are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeyFilter {
    #[default]
    All,
    Only(Vec<String>),
    StartsWith(String),
}

impl KeyFilter {
    /// Tells whether `key` is meant.
    pub fn holds(&self, key: &[u8]) -> bool {
        match self {
            KeyFilter::All => true,
            KeyFilter::Only(keys) => keys.iter().any(|only| only.as_bytes() == key),
            KeyFilter::StartsWith(prefix) => key.starts_with(prefix.as_bytes()),
        }
    }

    /// Tells whether a segment may have such keys, according to the index.
    pub fn may_be_in(&self, segment: &IndexRow) -> bool {
        let (smallest, largest) = (segment.smallest_key.as_str(), segment.largest_key.as_str());
        match self {
            KeyFilter::All => true,
            KeyFilter::Only(keys) => keys.iter().any(|key| (smallest..=largest).contains(&key.as_str())),
            KeyFilter::StartsWith(prefix) => {
                let prefix = prefix.as_str();
                prefix <= largest && (smallest <= prefix || smallest.starts_with(prefix))
            }
        }
    }
}
