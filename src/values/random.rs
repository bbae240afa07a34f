//! Numbers that nobody guesses and that do not repeat, for names and secrets of this process.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// Returns a random number. Two calls practically never return the same, in one process or in two.
pub fn random() -> u64 {
    // Each state has random keys.
    RandomState::new().build_hasher().finish()
}
