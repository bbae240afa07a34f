//! What each place has committed, in plain maps.

use std::collections::{BTreeMap, BTreeSet};

use ckpt::values::digest::Digest;

use super::story::PLACES;
use crate::model::oracle::Full;
use crate::support::simulated::Disk;

/// The SHA-256 of each manifest, by number.
pub type Manifests = BTreeMap<u64, Digest>;

/// What was ever committed.
#[derive(Debug, Default)]
pub struct Truth {
    /// The content of each checkpoint, by the SHA-256 of its manifest.
    pub contents: BTreeMap<Digest, Full>,
    /// For each place the checkpoints that its newest one comes after, pruned ones included.
    pub lineages: [Manifests; PLACES],
}

impl Truth {
    /// Returns the first number that two places have given to different checkpoints.
    pub fn parting(&self, one: usize, other: usize) -> Option<u64> {
        let other = &self.lineages[other];
        let differs = |(number, sha256): (&u64, &Digest)| {
            other.get(number).is_some_and(|theirs| theirs != sha256).then_some(*number)
        };
        self.lineages[one].iter().find_map(differs)
    }

    /// Returns the pairs of `places` that diverged.
    pub fn forks(&self, places: &[usize]) -> Vec<(usize, usize)> {
        let pairs = places.iter().flat_map(|&one| places.iter().map(move |&other| (one, other)));
        pairs.filter(|&(one, other)| one < other && self.parting(one, other).is_some()).collect()
    }

    /// Returns the content of the newest checkpoint before `number` whose content is known.
    pub fn newest_before(&self, place: usize, number: u64) -> Option<&Full> {
        self.lineages[place].range(..number).rev().find_map(|(_, sha256)| self.contents.get(sha256))
    }

    /// Records what a place has now. Nothing may contradict what it had before.
    pub fn learn(&mut self, place: usize, found: &Manifests) {
        for (&number, &sha256) in found {
            let known = *self.lineages[place].entry(number).or_insert(sha256);
            assert_eq!(known, sha256, "place {place} has checkpoint {number} of another branch");
        }
    }

    /// Completes the lineage of a place that got its checkpoints from another one.
    pub fn complete(&mut self) {
        for place in 0..PLACES {
            let Some((&newest, &sha256)) = self.lineages[place].last_key_value() else { continue };
            for other in (0..PLACES).filter(|&other| other != place) {
                if self.lineages[other].get(&newest) == Some(&sha256) {
                    let theirs: Manifests = self.lineages[other].range(..=newest).map(|(a, b)| (*a, *b)).collect();
                    self.learn(place, &theirs);
                }
            }
        }
    }
}

/// What is on a disk, read without any help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Without locks.
    pub files: BTreeMap<String, Vec<u8>>,
    pub live: Manifests,
    pub pins: BTreeSet<u64>,
}

impl Seen {
    pub fn on(disk: &Disk) -> Seen {
        let mut files = disk.files();
        files.retain(|name, _| !name.ends_with("lock"));
        let number = |name: &str, before: &str, after: &str| -> Option<u64> {
            name.strip_prefix(before)?.strip_suffix(after)?.parse().ok()
        };
        let manifests = files
            .iter()
            .filter_map(|(name, bytes)| Some((number(name, "checkpoints/", "/manifest.yaml")?, Digest::of(bytes))));
        let (live, pins) =
            (manifests.collect(), files.keys().filter_map(|name| number(name, "pins/", ".yaml")).collect());
        Seen { files, live, pins }
    }

    /// Returns the checkpoints that the history names.
    pub fn named(&self) -> Manifests {
        let mut named = Manifests::new();
        for (_, bytes) in self.files.iter().filter(|(name, _)| name.starts_with("history/0")) {
            let text = String::from_utf8_lossy(bytes);
            let mut words = text.split_whitespace().peekable();
            while let Some(word) = words.next() {
                if word == "sequence:" {
                    let number = words.next().and_then(|number| number.parse().ok()).expect("a number");
                    assert_eq!(words.next(), Some("sha256:"));
                    named.insert(number, words.next().and_then(|sha256| sha256.parse().ok()).expect("a digest"));
                }
            }
        }
        named
    }

    /// Tells whether there is no checkpoint although events or logs name one.
    pub fn has_lost_all(&self) -> bool {
        let is_logged = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            [r#""outcome":"committed""#, r#""event":"resumed""#].iter().any(|what| text.contains(what))
        };
        let mut history = self.files.iter().filter(|(name, _)| name.starts_with("history/"));
        self.live.is_empty() && (!self.named().is_empty() || history.any(|(_, bytes)| is_logged(bytes)))
    }

    /// Returns the names of the files that differ.
    pub fn changed(&self, other: &Seen) -> Vec<String> {
        let names: BTreeSet<&String> = self.files.keys().chain(other.files.keys()).collect();
        names.into_iter().filter(|name| self.files.get(*name) != other.files.get(*name)).cloned().collect()
    }

    /// Tells whether there is a store.
    pub fn is_store(&self) -> bool {
        self.files.contains_key("store.yaml")
    }
}

/// Returns the newest `count` of the checkpoints in `seen`, and those that are pinned.
pub fn kept<'a>(seen: impl Iterator<Item = &'a Seen> + Clone, count: u8) -> BTreeSet<u64> {
    let all: BTreeSet<u64> = seen.clone().flat_map(|seen| seen.live.keys().copied()).collect();
    let newest = all.into_iter().rev().take(usize::from(count));
    newest.chain(seen.flat_map(|seen| seen.pins.iter().copied())).collect()
}
