//! Places that are cut off from each other, and what must be true of them after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ckpt::format::manifest::{Manifest, Trigger};
use ckpt::ops::copy;
use ckpt::ops::finding::{Finding, FindingCode, Severity};
use ckpt::ops::verify::{Depth, verify};
use ckpt::runner::process::processor::Processors;
use ckpt::storage::Storage;
use ckpt::store::Store;
use ckpt::values::digest::Digest;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::Timestamp;

use super::deeds::job;
use super::story::{Deed, PLACES, Step};
use super::truth::{Seen, Truth, kept};
use crate::model::oracle::{Full, Model, read};
use crate::model::world::HOLDER;
use crate::support::Env;
use crate::support::in_process::resume_from_each;
use crate::support::random::Random;
use crate::support::simulated::{Disk, Process};

/// The places, and what was ever committed in each.
pub struct Places {
    pub env: Env,
    pub disks: [Disk; PLACES],
    pub backups: BTreeMap<usize, (Disk, BTreeMap<u64, Digest>)>,
    pub truth: Truth,
    /// Only its inputs are used.
    pub model: Model,
    pub now: Timestamp,
    pub random: Random,
    /// Whether a place may have so few checkpoints that it is unknown what they have to do with another place's.
    pub may_be_unknown: bool,
    /// The places that got checkpoints by a copy, each with the numbers that it has had since.
    pub copies: BTreeMap<usize, BTreeSet<u64>>,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It was refused for this reason.
    Refused(String),
}

impl Places {
    pub fn new() -> Places {
        let env = Env::in_memory();
        std::fs::create_dir(env.path("data")).expect("created");
        Places {
            env,
            disks: ["a", "b", "c"].map(Disk::at),
            backups: BTreeMap::new(),
            truth: Truth::default(),
            model: Model::default(),
            now: Timestamp::now(),
            random: Random(1),
            may_be_unknown: false,
            copies: BTreeMap::new(),
        }
    }

    /// Returns those of `places` that hold a store.
    pub fn stores(&self, places: &[usize]) -> Vec<usize> {
        places.iter().copied().filter(|&place| Seen::on(&self.disks[place]).is_store()).collect()
    }

    /// Opens the store where only `places` can be reached; the first is read first.
    pub fn open(&self, places: &[usize]) -> Store {
        let calm = |place: &usize| Arc::new(self.disks[*place].calm()) as Arc<dyn Storage>;
        let lost = Arc::new(Disk::new().open(&Process::unmounted())) as Arc<dyn Storage>;
        let storages: Vec<Arc<dyn Storage>> = places.iter().map(calm).chain([lost]).collect();
        Store::open_available(storages, 0, 1).expect("a store")
    }

    /// Performs a step and checks that it did what it should, and nothing else.
    pub fn step(&mut self, step: Step) {
        self.now += jiff::SignedDuration::from_secs(1);
        let before = self.disks.each_ref().map(Seen::on);
        let places = step.places();
        let forks = self.truth.forks(&self.stores(&places));
        let Some(outcome) = self.act(&step) else { return };
        let after = self.disks.each_ref().map(Seen::on);
        for place in 0..PLACES {
            let is_reached = places.contains(&place) || matches!(step.deed, Deed::Copy { .. });
            assert!(is_reached || before[place] == after[place], "{step:?}: place {place} is out of reach");
        }
        match &outcome {
            Outcome::Done => {}
            Outcome::Refused(_) => {
                // A run that cannot resume has put its list of replicas and their pins in place, and the log has its
                // failure. A place that was empty has become a store without checkpoints. One that lacked an event of the
                // history has got it from another place.
                let is_start = |place: usize, name: &str| {
                    !before[place].is_store() && (name == "store.yaml" || name.starts_with("history/"))
                };
                let is_event = |place: usize, name: &str| {
                    let bytes = after[place].files.get(name);
                    name.starts_with("history/0") && before.iter().any(|seen| seen.files.get(name) == bytes)
                };
                let is_of_run = |name: &str| {
                    name == "replicas.yaml" || name.starts_with("history/operations-") || name.starts_with("pins/")
                };
                let changed_in = |place: usize| {
                    let changed = before[place].changed(&after[place]).into_iter();
                    changed.filter(move |name| !is_start(place, name) && !is_event(place, name))
                };
                let mut changed: Vec<String> = (0..PLACES).flat_map(changed_in).collect();
                changed.retain(|name| !is_of_run(name) || !forks.is_empty());
                assert!(changed.is_empty(), "{step:?}: {outcome:?}, but {changed:?} was changed");
            }
        }
        if matches!(step.deed, Deed::Run { .. } | Deed::LatestGood { .. } | Deed::Prune { .. } | Deed::Undo) {
            let is_refused = matches!(outcome, Outcome::Refused(_));
            assert!(forks.is_empty() || is_refused, "{step:?}: crossed the fork {forks:?}");
        }
        if matches!(step.deed, Deed::Run { .. } | Deed::Prune { .. } | Deed::Restore { .. } | Deed::Pin { .. }) {
            let is_unknown = matches!(&outcome, Outcome::Refused(why) if why.contains("Unrelated")
                || why.contains("cannot tell"));
            // The job does not start over where the history names checkpoints.
            let reached = self.stores(&places);
            let has_some = reached.iter().any(|&place| !before[place].live.is_empty());
            let is_lost = !has_some && reached.iter().any(|&place| before[place].has_lost_all());
            assert!(!is_lost || outcome != Outcome::Done, "{step:?}: done, and the checkpoints are missing");
            let is_done = outcome == Outcome::Done || is_lost || (is_unknown && self.may_be_unknown);
            assert!(!forks.is_empty() || is_done, "{step:?}: {outcome:?}, and there is no fork");
        }
        self.check_changes(&step, &before, &after);
        self.learn(&after);
        self.check_alone(&before, &after);
        self.check_together();
    }

    /// Checks that nothing has vanished that should not have, and nothing was altered.
    fn check_changes(&self, step: &Step, before: &[Seen; PLACES], after: &[Seen; PLACES]) {
        if matches!(step.deed, Deed::PutBack | Deed::MoveAway) {
            return;
        }
        let reached = step.places();
        let both = reached.iter().flat_map(|&place| [&before[place], &after[place]]);
        let newest = reached.iter().filter_map(|&place| before[place].live.keys().next_back().copied());
        let mut kept = match step.deed {
            Deed::Prune { keep, .. } | Deed::Run { keep: keep @ 1.., .. } => kept(both, keep),
            _ => kept(both, u8::MAX),
        };
        if matches!(step.deed, Deed::Prune { .. }) {
            // No place is left without any.
            kept.extend(newest);
        }
        for place in 0..PLACES {
            for (number, sha256) in &before[place].live {
                let found = after[place].live.get(number);
                let is_right = found == Some(sha256) || (found.is_none() && !kept.contains(number));
                assert!(is_right, "{step:?}: place {place} had checkpoint {number}, and now has {found:?}");
                if let (Deed::Prune { .. }, true) = (step.deed, before != after && reached.contains(&place)) {
                    assert_eq!(found.is_some(), kept.contains(number), "{step:?}: place {place}, {number}");
                }
            }
            if !matches!(step.deed, Deed::Unpin { .. }) {
                assert!(after[place].pins.is_superset(&before[place].pins), "{step:?}: a pin is gone");
            }
        }
    }

    /// Records what was committed: each new checkpoint must have the content that a run or a restore makes.
    pub fn learn(&mut self, after: &[Seen; PLACES]) {
        for (place, seen) in after.iter().enumerate() {
            self.truth.learn(place, &seen.live);
            self.truth.learn(place, &seen.named());
            if let Some(had) = self.copies.get_mut(&place) {
                had.extend(seen.live.keys());
            }
        }
        self.truth.complete();
        for (place, seen) in after.iter().enumerate() {
            for (&number, sha256) in &seen.live {
                if self.truth.contents.contains_key(sha256) {
                    continue;
                }
                let path = format!("checkpoints/{number:08}/manifest.yaml");
                let manifest = Manifest::from_yaml(&seen.files[&path]).expect("a manifest");
                let full = read(&self.alone(place), Sequence(number));
                let expected = match (manifest.trigger, manifest.restored_from) {
                    (Trigger::Restore, Some(from)) => self.truth.contents[&self.truth.lineages[place][&from.0]].clone(),
                    _ => {
                        // A run may have pruned the parent already.
                        let parent = manifest.parent.and_then(|parent| self.truth.contents.get(&parent.sha256));
                        let older = || self.truth.newest_before(place, number);
                        self.model.at(&parent.or_else(older).cloned().unwrap_or_default(), &full.positions)
                    }
                };
                assert_eq!(full, expected, "place {place}, checkpoint {number}");
                self.truth.contents.insert(*sha256, full);
            }
        }
    }

    /// Copies the branch of a place to a store of its own, and checks that it is whole.
    pub fn keep_a_copy(&self, place: usize) {
        let places: Vec<usize> = std::iter::once(place).chain((0..PLACES).filter(|&other| other != place)).collect();
        let source = self.open(&self.stores(&places)).branch();
        let (disk, sequences) = (Disk::new(), source.sequences().expect("listed"));
        let own = self.alone(place).sequences().expect("listed");
        if own.is_empty() {
            return;
        }
        assert!(own.iter().all(|sequence| sequences.contains(sequence)), "{own:?}, but only {sequences:?}");
        let plan = copy::plan(&source, &sequences, Arc::new(disk.calm())).expect("planned");
        let copied = copy::apply(&source, &plan, self.now, HOLDER, &Silent).expect("copied");
        assert!(copied.unreadable.is_empty(), "{:?}", copied.unreadable);
        let copy = Store::open(vec![Arc::new(disk.calm())]).expect("a store");
        self.check_whole(&copy, place);
        self.resume_from_each(&copy);
    }

    /// Checks that a run resumes from each checkpoint of `store`, and ends with the state of a run that began there.
    pub fn resume_from_each(&self, store: &Store) {
        let elsewhere = Env::in_memory();
        std::os::unix::fs::symlink(self.env.path("data"), elsewhere.path("data")).expect("linked");
        let all: BTreeMap<String, u64> =
            self.model.inputs.iter().map(|(name, records)| (name.clone(), records.len() as u64)).collect();
        let job = job("");
        resume_from_each(store, elsewhere.dir(), &job, &Processors::default(), |sequence, end| {
            let begun = store.manifest(sequence).expect("read").sha256;
            let latest = end.latest().expect("read").expect("a checkpoint");
            let expected = self.model.at(&self.truth.contents[&begun], &all);
            assert_eq!(read(end, latest.manifest.sequence), expected, "resumed from checkpoint {sequence}");
        });
    }

    pub fn alone(&self, place: usize) -> Store {
        Store::open(vec![Arc::new(self.disks[place].calm())]).expect("a store")
    }

    /// Checks that each place that changed is whole by itself.
    fn check_alone(&self, before: &[Seen; PLACES], after: &[Seen; PLACES]) {
        for place in (0..PLACES).filter(|&place| before[place] != after[place] && after[place].is_store()) {
            match after[place].has_lost_all() {
                false => self.check_whole(&self.alone(place), place),
                true => self.check_lost(place),
            }
        }
    }

    /// Checks that it is said of a place, and nothing else, that its checkpoints are missing.
    fn check_lost(&self, place: usize) {
        let reports = verify(&self.alone(place), None, Depth::Deep, &Silent).expect("looked at");
        let damage = reports[0].findings.iter().filter(|finding| finding.severity() == Severity::Damage);
        let codes: Vec<FindingCode> = damage.map(|finding| finding.code).collect();
        assert_eq!(codes, [FindingCode::CheckpointsLost], "place {place} by itself");
    }

    /// Checks that `store`, which is a place or a copy of it, is intact and has the right content.
    pub fn check_whole(&self, store: &Store, place: usize) {
        for report in verify(store, None, Depth::Deep, &Silent).expect("looked at") {
            assert!(report.is_intact(), "place {place} by itself: {:#?}", report.findings);
        }
        for sequence in store.sequences().expect("listed") {
            let committed = store.manifest(sequence).expect("read");
            let full: &Full = &self.truth.contents[&committed.sha256];
            assert_eq!(read(store, sequence), *full, "place {place}, checkpoint {sequence}");
        }
    }

    /// Checks that forks are known where they are, and nowhere else, and that nothing else is found.
    fn check_together(&self) {
        let places = self.stores(&(0..PLACES).collect::<Vec<_>>());
        if places.is_empty() {
            return;
        }
        let expected = self.truth.forks(&places);
        let reports = verify(&self.open(&places), None, Depth::Full, &Silent).expect("looked at");
        let mut diverged = 0;
        for (report, place) in reports.iter().zip(&places) {
            // A copy lacks what was pruned when it was made, even after that was brought back elsewhere.
            let is_of_copy = |finding: &&Finding| {
                finding.code == FindingCode::CheckpointMissing
                    && self
                        .copies
                        .get(place)
                        .is_some_and(|had| finding.checkpoints.iter().all(|sequence| !had.contains(&sequence.0)))
            };
            // One that diverged and has no checkpoint is not behind the others.
            let is_lost = |finding: &&Finding| {
                finding.code == FindingCode::CheckpointsLost && Seen::on(&self.disks[*place]).has_lost_all()
            };
            let damage = report.findings.iter().filter(|finding| finding.severity() == Severity::Damage);
            for finding in damage.filter(|finding| !is_of_copy(finding) && !is_lost(finding)) {
                // Where prunes have removed what both had, the fork is there, but not its place.
                let is_fork = matches!(finding.code, FindingCode::ReplicaDiverged | FindingCode::ReplicaUnrelated);
                assert!(is_fork, "{finding:#?}");
                diverged += 1;
            }
        }
        assert!(
            (diverged > 0) != expected.is_empty() || (self.may_be_unknown && diverged > 0),
            "{expected:?}, found {reports:#?}"
        );
    }
}
