//! How far each replica is behind the others.

use std::collections::BTreeSet;

use crate::store::error::StoreError;
use crate::store::replica::Replica;
use crate::store::store::Store;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// How far one replica is behind the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    pub place: String,
    /// Its newest checkpoint.
    pub newest: Option<Sequence>,
    /// How many newer checkpoints the others have; nothing if unknown.
    pub behind: Option<u64>,
    /// Why the replica cannot be used, if so.
    pub error: Option<String>,
}

impl Lag {
    fn unknown(place: String, error: &StoreError) -> Lag {
        Lag { place, newest: None, behind: None, error: Some(in_one_line(error)) }
    }
}

impl Store {
    /// Returns how far each place of the store is behind.
    pub fn lags(&self) -> Vec<Lag> {
        // A checkpoint that is committed between two listings is in the second only. So all are listed twice: what one
        // had at first, and another does not have now, is missing there.
        let is_alone = self.replicas.len() == 1;
        let first: Vec<_> = if is_alone { Vec::new() } else { self.replicas.iter().map(Replica::sequences).collect() };
        let listed: Vec<_> = self.replicas.iter().map(|replica| (replica.place(), replica.sequences())).collect();
        let all: BTreeSet<Sequence> =
            first.iter().filter_map(|listed| listed.as_ref().ok()).flatten().copied().collect();
        let lag = |(place, listed): (String, Result<Vec<Sequence>, StoreError>)| match listed {
            Ok(listed) => {
                let newest = listed.last().copied();
                let behind = all.iter().filter(|&&sequence| Some(sequence) > newest).count() as u64;
                Lag { place, newest, behind: Some(behind), error: None }
            }
            Err(error) => Lag::unknown(place, &error),
        };
        let absent = self.unavailable.iter().map(|absent| Lag::unknown(absent.storage.place(), &absent.error));
        listed.into_iter().map(lag).chain(absent).collect()
    }
}
