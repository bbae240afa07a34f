//! Replicas that diverged: two runs, each of which could reach only one of them.
//!
//! Every manifest names its parent by SHA-256, so two replicas that agree about one checkpoint agree about everything
//! before it. They are copies of each other if both know the newest checkpoint of the one that is behind to be the
//! same. If they do not, either they diverged, or too little is known to say so.

use crate::format::store_file::StoreFile;
use crate::store::error::StoreError;
use crate::store::health::StoreNote;
use crate::store::known::Known;
use crate::store::replica::Replica;
use crate::store::store::Store;
use crate::values::digest::Digest;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// Where two replicas part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The last checkpoint that both know to be the same, if any.
    pub shared: Option<Sequence>,
    /// The first number that they are known to have given to different checkpoints. Nothing if it is unknown whether
    /// they diverged: one has forgotten what the other one has.
    pub sequence: Option<Sequence>,
    /// In the order of the replicas.
    pub branches: [Branch; 2],
}

/// One side of a fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    pub place: String,
    /// The SHA-256 of the manifest of the checkpoint at which the branches part.
    pub sha256: Option<Digest>,
    /// The committed checkpoints that belong to this branch only, ascending.
    pub checkpoints: Vec<Sequence>,
}

impl Fork {
    /// Tells whether the two replicas may have different checkpoints with this number.
    pub fn divides(&self, sequence: Sequence) -> bool {
        Some(sequence) > self.shared
    }

    /// Tells whether this is the fork between two places.
    pub fn is_between(&self, one: &str, other: &str) -> bool {
        let [first, second] = [0, 1].map(|side| self.branches[side].place.as_str());
        (first, second) == (one, other) || (first, second) == (other, one)
    }

    /// Returns the error of work that would cross the fork.
    pub fn error(self) -> StoreError {
        let [own, others] = self.branches.each_ref().map(Branch::describe);
        let [place, other] = self.branches.map(|branch| branch.place);
        match self.sequence {
            Some(sequence) => StoreError::Diverged { sequence, place, other, own, others },
            None => StoreError::Unrelated { place, other, own, others },
        }
    }
}

impl Branch {
    /// Describes the checkpoints that only this branch has.
    pub fn describe(&self) -> String {
        match self.checkpoints[..] {
            [] => "no checkpoint".to_owned(),
            [only] => format!("checkpoint {}", only.0),
            [first, .., last] => format!("checkpoints {} to {}", first.0, last.0),
        }
    }
}

impl Store {
    /// Returns the store without the replicas that diverged from the first or from one before them, for readers that
    /// must not mix branches. A note names each of them.
    pub fn branch(&self) -> Store {
        let mut branch = self.clone();
        let mut notes = Vec::new();
        let mut kept = vec![self.replicas[0].clone()];
        // What only some of them know is decided by all.
        if self.replicas.len() > 1 && self.check_undivided().is_ok() {
            kept = self.replicas.clone();
        }
        for other in &self.replicas[kept.len()..] {
            kept.push(other.clone());
            let error = match forks(&self.file, &kept).map(|forks| forks.into_iter().next()) {
                Ok(None) => continue,
                Ok(Some(fork)) => fork.error(),
                Err((_, error)) => error,
            };
            kept.pop();
            let index = branch.replicas.iter().position(|replica| replica.place() == other.place());
            branch = branch.without(index.expect("it was not removed yet"));
            notes.push((other.place(), in_one_line(&error)));
        }
        for (place, reason) in notes.iter().cloned() {
            branch.health.note(StoreNote::NotRead { place, reason });
        }
        Store { not_read: notes, ..branch }
    }

    /// Fails with [`StoreError::Diverged`] if two replicas diverged: whatever is done to both could destroy what
    /// only one of them has. Fails with [`StoreError::Unrelated`] if that is unknown.
    pub fn check_undivided(&self) -> Result<(), StoreError> {
        let forks = forks(&self.file, &self.replicas).map_err(|(_, error)| error)?;
        forks.into_iter().next().map_or(Ok(()), |fork| Err(fork.error()))
    }

    /// Fails in the same way if two replicas may have different checkpoints `sequence`.
    pub fn check_undivided_at(&self, sequence: Sequence) -> Result<(), StoreError> {
        let forks = forks(&self.file, &self.replicas).map_err(|(_, error)| error)?;
        let fork = forks.into_iter().find(|fork| fork.divides(sequence));
        fork.map_or(Ok(()), |fork| Err(fork.error()))
    }
}

/// Returns where any two of `replicas` part, or may have parted.
///
/// Reads few manifests unless there are such. Fails, with the index of the replica, if something cannot be read that
/// would decide it.
pub fn forks(file: &StoreFile, replicas: &[Replica]) -> Result<Vec<Fork>, (usize, StoreError)> {
    let mut listed = Vec::with_capacity(replicas.len());
    for (index, replica) in replicas.iter().enumerate() {
        listed.push(replica.sequences().map_err(|error| (index, error))?);
    }
    let pairs: Vec<(usize, usize)> =
        (1..replicas.len()).flat_map(|other| (0..other).map(move |one| (one, other))).collect();
    let agree = |&(one, other): &(usize, usize)| {
        let (Some(newest), Some(other_newest)) = (listed[one].last(), listed[other].last()) else { return false };
        let least = *newest.min(other_newest);
        // The history of a replica that is behind may name newer ones, which belong to another branch.
        let names_newer = |side: usize| listed[side].last() == Some(&least) && !Known::ends_at(&replicas[side], least);
        if [one, other].into_iter().any(names_newer) {
            return false;
        }
        let [known, theirs] = [one, other].map(|side| Known::at(file, &replicas[side], &listed[side], least));
        known.is_some() && known == theirs
    };
    if pairs.iter().all(agree) {
        return Ok(Vec::new());
    }
    let mut known: Vec<Known> =
        replicas.iter().zip(listed).map(|(replica, listed)| Known::read(file, replica, listed)).collect();
    Known::complete(&mut known);
    let mut forks = Vec::new();
    for (one, other) in pairs {
        if let Some((shared, sequence)) = known[one].parting(&known[other]) {
            forks.push(fork(replicas, &known, [one, other], shared, Some(sequence)));
        } else if known[one].is_unrelated(&known[other]) {
            // What could not be read may say more.
            for side in [one, other] {
                if let Some(error) = known[side].unread.take() {
                    return Err((side, error));
                }
            }
            let shared = known[one].newest_shared(&known[other]);
            forks.push(fork(replicas, &known, [one, other], shared, None));
        }
    }
    Ok(forks)
}

fn fork(
    replicas: &[Replica],
    known: &[Known],
    pair: [usize; 2],
    shared: Option<Sequence>,
    sequence: Option<Sequence>,
) -> Fork {
    let branches = pair.map(|side| Branch {
        place: replicas[side].place(),
        sha256: sequence.and_then(|sequence| known[side].of(sequence)),
        checkpoints: known[side].listed.iter().copied().filter(|&own| Some(own) > shared).collect(),
    });
    Fork { shared, sequence, branches }
}
