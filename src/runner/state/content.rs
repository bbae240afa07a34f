//! What a state holds, as a count and a digest that do not depend on its layout.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// What rows hold, in whatever order and shard: how many there are, and a digest of their keys and values.
///
/// The digest is the sum, modulo 2^128, of the XXH3-128 of each key with the XXH3-64 of its packed value as the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content {
    /// Rows.
    pub keys: u64,
    /// The digest.
    pub digest: u128,
}

impl Content {
    pub(crate) fn add(&mut self, key: &[u8], packed: &[u8]) {
        self.keys += 1;
        self.digest = self.digest.wrapping_add(xxh3_128_with_seed(key, xxh3_64(packed)));
    }

    pub(crate) fn join(self, other: Content) -> Content {
        Content { keys: self.keys + other.keys, digest: self.digest.wrapping_add(other.digest) }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys with the digest {:032x}", self.keys, self.digest)
    }
}

/// The rows that arrived are not those that were sent: a mistake in this program, or in the machine's memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state was {before}, and is {after} after it was routed anew")]
pub struct Lost {
    /// What the old layout held.
    pub before: Content,
    /// What the new one holds where it belongs.
    pub after: Content,
}
