//! Performs the steps of a story.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ckpt::input::{SeekTo, partition, seek};
use ckpt::job::JobSpec;
use ckpt::ops::copy;
use ckpt::ops::pin::{pin, unpin};
use ckpt::ops::read::Snapshot;
use ckpt::ops::restore::{PositionChanges, apply_rollback, plan_rollback};
use ckpt::ops::verify::{Depth, verify};
use ckpt::store::Store;
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{Request, apply as apply_prune, apply_undo, plan as plan_prune, plan_undo};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::oracle::{Full, read};
use super::story::{Step, aftermath_of};
use super::world::{HOLDER, JOB, World};
use crate::support::simulated::{Disk, Fault, Moment, Process, Survival};

impl World {
    fn roll_back(&mut self, which: u8, sought: Option<(u8, u8)>) {
        let (Some(number), Some(store)) = (self.model.nth(which), self.store()) else { return };
        let mut full = self.model.checkpoints[&number].clone();
        let mut positions = Vec::new();
        if let (Some((input, record)), Ok(snapshot)) = (sought, Snapshot::open(&store, Sequence(number))) {
            let mut rows = snapshot.positions(&store).expect("read");
            if rows.is_empty() {
                return;
            }
            let mut row = rows.swap_remove(usize::from(input) % rows.len());
            let record = u64::from(record) % (self.model.inputs[&row.partition].len() as u64 + 1);
            let job = JobSpec::from_bytes(JOB.as_bytes(), &self.env.path("job.yaml")).expect("a job");
            let partition = partition(&row.partition, self.env.dir()).expect("an input");
            let sought = seek(&job.input, &partition, SeekTo::Record(record)).expect("a place");
            (row.offset, row.record, row.ended) = (sought.offset, sought.record, sought.ended);
            (row.fingerprint, row.file_bytes) = (sought.fingerprint, sought.file_bytes);
            full.positions.insert(row.partition.clone(), record);
            positions.push(row);
        } else if number == self.known_newest() {
            return;
        }
        let done =
            plan_rollback(&store, Sequence(number), PositionChanges { seeks: positions, forget: Vec::new() }, self.now)
                .and_then(|plan| apply_rollback(&store, &plan, HOLDER, &Silent));
        match done {
            Ok(committed) => {
                assert_eq!(committed.manifest.sequence.0, self.known_newest() + 1);
                self.model.checkpoints.insert(committed.manifest.sequence.0, full);
                self.look_for_damage();
            }
            Err(error) => assert!(self.model.damaged.is_some(), "restore failed: {error}"),
        }
    }

    fn prune(&mut self, keep: u64) {
        let Some(store) = self.store().filter(|_| self.model.damaged.is_none()) else { return };
        // A replica that a dead run left behind keeps its newest checkpoint.
        let number = |name: &String| name.strip_prefix("checkpoints/")?.strip_suffix("/manifest.yaml")?.parse().ok();
        let newest_of = |disk: &Disk| disk.files().keys().filter_map(number).max();
        let mut kept: BTreeSet<u64> = self.disks.iter().filter_map(newest_of).collect();
        let policy = Policy { last: keep, ..Policy::default() };
        let request = Request { policy, grace: std::time::Duration::from_secs(86_400), zone: TimeZone::UTC };
        let needed = needed_by_rollback(&store);
        let plan = plan_prune(&store, &request, self.now, &Silent).expect("planned");
        apply_prune(&store, &plan, HOLDER, &Silent).expect("pruned");
        kept.extend(self.model.checkpoints.keys().rev().take(keep as usize));
        kept.extend(needed);
        let goes = |number: &u64| !kept.contains(number) && !self.model.pins.contains(number);
        let gone: BTreeMap<u64, Full> = self
            .model
            .checkpoints
            .iter()
            .filter(|(number, _)| goes(number))
            .map(|(number, full)| (*number, full.clone()))
            .collect();
        self.model.checkpoints.retain(|number, _| !gone.contains_key(number));
        if !gone.is_empty() {
            self.model.pruned.push(gone);
        }
    }

    fn undo(&mut self) {
        let Some(store) = self.store().filter(|_| self.model.damaged.is_none()) else { return };
        match (plan_undo(&store, &Silent), self.model.pruned.pop()) {
            (Ok(plan), Some(back)) => {
                apply_undo(&store, &plan, HOLDER, self.now, &Silent).expect("brought back");
                self.model.checkpoints.extend(back);
            }
            (Err(_), None) => {}
            (planned, back) => panic!("{planned:?}, expected {back:?}"),
        }
    }

    fn copy(&self) {
        let Some(store) = self.store() else { return };
        let (disk, sequences) = (Disk::new(), store.sequences().expect("listed"));
        let plan = copy::plan(&store, &sequences, Arc::new(disk.calm())).expect("planned");
        let copied = copy::apply(&store, &plan, self.now, HOLDER, &Silent).expect("copied");
        assert!(copied.unreadable.is_empty(), "{:?}", copied.unreadable);
        let disk = disk.after_power_failure(Survival::None);
        if sequences.is_empty() {
            return;
        }
        let copy = Store::open(vec![Arc::new(disk.calm())]).expect("a store");
        for report in verify(&copy, None, Depth::Deep, &Silent).expect("looked at") {
            assert!(report.is_intact(), "the copy: {:?}", report.findings);
        }
        self.compare(&copy);
    }

    /// Checks that the store has exactly the checkpoints of the model.
    pub fn compare(&self, store: &Store) {
        let numbers: Vec<u64> = store.sequences().expect("listed").into_iter().map(|sequence| sequence.0).collect();
        assert!(
            numbers.iter().eq(self.model.checkpoints.keys()),
            "{numbers:?}, expected {:?}",
            self.model.checkpoints.keys()
        );
        for (&number, full) in &self.model.checkpoints {
            assert_eq!(read(store, Sequence(number)), *full, "checkpoint {number}");
        }
    }

    pub fn step(&mut self, step: Step) {
        self.now += SignedDuration::from_secs(1);
        match step {
            Step::Run { files } | Step::Checkpoint { files } => {
                self.add_inputs(files);
                self.run_to_the_end(matches!(step, Step::Checkpoint { .. }));
            }
            Step::Kill { files, change, moment, aftermath } => {
                self.add_inputs(files);
                if self.model.inputs.is_empty() {
                    return;
                }
                let from = self.model.latest();
                let moment = Moment::ALL[usize::from(moment) % Moment::ALL.len()];
                let _ = self.run(&Process::new(Fault::Die { change: u64::from(change), moment }), false);
                self.disks = self.disks.iter().map(|disk| aftermath_of(aftermath).of(disk)).collect();
                self.learn(&from);
                self.look_for_damage();
            }
            Step::Damage { place, file, delete } => self.damage(usize::from(place % 2), file, delete),
            Step::Verify => {
                for (place, intact) in self.reports().into_iter().enumerate() {
                    let is_damaged = self.model.damaged == Some(place);
                    assert!(!(is_damaged && intact), "damage in replica {place} was not found");
                    assert!(
                        intact || self.model.damaged.is_some(),
                        "place {place} is damaged, and nobody has damaged it"
                    );
                }
            }
            Step::Repair => self.repair(),
            Step::Prune { keep } => self.prune(u64::from(keep)),
            Step::Undo => self.undo(),
            Step::Pin { which } => {
                let (Some(number), Some(store)) = (self.model.nth(which), self.store()) else { return };
                pin(&store, Sequence(number), None, self.now, HOLDER).expect("pinned");
                self.model.pins.insert(number);
            }
            Step::Unpin { which } => {
                let pinned: Vec<u64> = self.model.pins.iter().copied().collect();
                let Some(store) = self.store().filter(|_| !pinned.is_empty()) else { return };
                let number = pinned[usize::from(which) % pinned.len()];
                assert!(unpin(&store, Sequence(number), HOLDER).expect("unpinned"), "{number} was pinned");
                self.model.pins.remove(&number);
            }
            Step::Copy => self.copy(),
            Step::Restore { which } => self.roll_back(which, None),
            Step::Seek { which, input, record } => self.roll_back(which, Some((input, record))),
        }
        if let Some(store) = self.store() {
            self.compare(&store);
        }
    }
}

/// Returns what the next run needs to know if the latest checkpoint is a rollback: its history.
fn needed_by_rollback(store: &Store) -> BTreeSet<u64> {
    let read = |sequence| store.manifest(sequence).ok().map(|committed| committed.manifest);
    let mut needed = BTreeSet::new();
    let latest = store.sequences().expect("listed").last().copied().and_then(read);
    let Some(mut at) = latest.filter(|latest| latest.restored_from.is_some()) else { return needed };
    while let Some(before) = at.restored_from.or(at.parent.map(|parent| parent.sequence)).and_then(read) {
        needed.insert(before.sequence.0);
        at = before;
    }
    needed
}
