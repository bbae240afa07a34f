//! Performs the steps.

use std::sync::Arc;
use std::time::Duration;

use ckpt::ops::pin::{pin, unpin};
use ckpt::ops::restore::{PositionChanges, RestoreError, apply_rollback, plan_rollback};
use ckpt::ops::verify::{Depth, verify};
use ckpt::ops::{copy, repair};
use ckpt::runner::options::Control;
use ckpt::storage::Storage;
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{PruneError, Request, apply as apply_prune, apply_undo, plan as plan_prune, plan_undo};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::tz::TimeZone;

use super::places::{Outcome, Places};
use super::story::{Deed, PLACES, Step, after, moment_of};
use super::truth::Seen;
use crate::crash::runs::run_job_on;
use crate::model::world::HOLDER;
use crate::support::simulated::{Disk, Fault, Process};

impl Places {
    /// Performs a step, or returns nothing if there is nothing to do it with.
    pub fn act(&mut self, step: &Step) -> Option<Outcome> {
        let places = step.places();
        let stores = self.stores(&places);
        let first = places[0];
        match step.deed {
            Deed::PutBack => {
                let (disk, lineage) = self.backups.remove(&first)?;
                self.disks[first] = disk;
                self.truth.lineages[first] = lineage;
                return Some(Outcome::Done);
            }
            Deed::MoveAway => {
                // What no other place has is gone: nobody does that.
                let has_some = |other: usize| !Seen::on(&self.disks[other]).live.is_empty();
                if !(0..PLACES).any(|other| other != first && has_some(other)) {
                    return None;
                }
                self.disks[first] = Disk::at(["a", "b", "c"][first]);
                self.truth.lineages[first].clear();
                return Some(Outcome::Done);
            }
            // The first run of all reaches every place.
            Deed::Run { .. } if self.truth.contents.is_empty() => {}
            _ if stores.is_empty() => return None,
            _ => {}
        }
        match step.deed {
            Deed::Run { files, keep, grace, knows_all } => {
                self.add_inputs(files);
                let keep = match (keep, grace) {
                    (0, _) => String::new(),
                    (keep, grace) => format!(", keep: {{last: {keep}, grace: {}}}", if grace { "24h" } else { "0s" }),
                };
                Some(outcome(self.run(&places, &keep, knows_all, false, &Process::default())))
            }
            Deed::LatestGood { files } => self.run_past_damage(&places, files),
            Deed::Kill { files, change, moment, aftermath } => {
                self.add_inputs(files);
                let fault = Fault::Die { change: u64::from(change), moment: moment_of(moment) };
                let before = self.disks.each_ref().map(Seen::on);
                let done = self.run(&places, "", false, false, &Process::new(fault));
                for &place in &places {
                    self.disks[place] = after(aftermath).of(&self.disks[place]);
                }
                let is_unchanged = before == self.disks.each_ref().map(Seen::on);
                Some(if is_unchanged { outcome(done) } else { Outcome::Done })
            }
            Deed::Prune { keep, grace } => Some(self.prune(&stores, keep, grace)),
            Deed::Undo => {
                let store = self.open(&stores);
                let done =
                    plan_undo(&store, &Silent).and_then(|plan| apply_undo(&store, &plan, HOLDER, self.now, &Silent));
                Some(outcome(done))
            }
            Deed::Pin { which } => {
                let store = self.open(&stores);
                let sequences = store.sequences().expect("listed");
                let sequence = *sequences.get(usize::from(which) % sequences.len().max(1))?;
                Some(outcome(pin(&store, sequence, None, self.now, HOLDER)))
            }
            Deed::Unpin { which } => {
                let pinned: Vec<u64> = stores.iter().flat_map(|&place| Seen::on(&self.disks[place]).pins).collect();
                let sequence = Sequence(*pinned.get(usize::from(which) % pinned.len().max(1))?);
                Some(outcome(unpin(&self.open(&stores), sequence, HOLDER)))
            }
            Deed::Restore { which } => {
                let store = self.open(&stores);
                let sequences = store.sequences().expect("listed");
                let sequence = *sequences.get(usize::from(which) % sequences.len().max(1))?;
                let done = plan_rollback(&store, sequence, PositionChanges::default(), self.now)
                    .and_then(|plan| apply_rollback(&store, &plan, HOLDER, &Silent));
                match done {
                    Err(RestoreError::AlreadyLatest { .. }) => None,
                    done => Some(outcome(done)),
                }
            }
            Deed::Copy { to } => self.copy(&stores, usize::from(to) % PLACES),
            Deed::Repair { file, delete } => self.repair(&stores, file, delete),
            Deed::BackUp => {
                let lineage = self.truth.lineages[stores[0]].clone();
                self.backups.insert(stores[0], (self.disks[stores[0]].after_death(), lineage));
                None
            }
            Deed::PutBack | Deed::MoveAway => unreachable!("done above"),
        }
    }

    /// Adds inputs of a few records.
    fn add_inputs(&mut self, count: u8) {
        for _ in 0..count.max(u8::from(self.model.inputs.is_empty())) {
            let name = format!("data/{:03}.jsonl", self.model.inputs.len());
            let records: Vec<(String, i64)> =
                (0..5).map(|_| (format!("key {}", self.random.below(9)), self.random.below(100) as i64)).collect();
            let text: String =
                records.iter().map(|(key, amount)| format!("{{\"k\":\"{key}\",\"amount\":{amount}}}\n")).collect();
            self.env.write(&name, text);
            self.model.inputs.insert(name, records);
        }
    }

    /// Runs the job at `places`. If it knows all, the other places are in its list too, and not mounted.
    fn run(
        &self,
        places: &[usize],
        keep: &str,
        knows_all: bool,
        latest_good: bool,
        process: &Process,
    ) -> Result<(), String> {
        let listed: Vec<usize> = if knows_all { (0..PLACES).collect() } else { places.to_vec() };
        let storages: Vec<Arc<dyn Storage>> = listed
            .iter()
            .map(|place| {
                let is_mounted = places.contains(place);
                let process = if is_mounted { process.clone() } else { Process::unmounted() };
                Arc::new(self.disks[*place].open(&process)) as Arc<dyn Storage>
            })
            .collect();
        let replicas = ["b", "c"][..listed.len() - 1].join(", ");
        let text = job(&format!(", replicas: [{replicas}], min_copies: 1, records: 8{keep}"));
        let done = run_job_on(&self.env.path("job.yaml"), &text, storages, latest_good, &Control::default());
        done.map(drop).map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
    }

    /// Damages the newest checkpoint wherever it is, runs past it, and undoes the damage.
    fn run_past_damage(&mut self, places: &[usize], files: u8) -> Option<Outcome> {
        let seen = self.disks.each_ref().map(Seen::on);
        let newest = *places.iter().filter_map(|&place| seen[place].live.keys().next_back()).max()?;
        let path = format!("checkpoints/{newest:08}/manifest.yaml");
        let damaged: Vec<usize> =
            places.iter().copied().filter(|&place| seen[place].live.contains_key(&newest)).collect();
        for &place in &damaged {
            self.disks[place].damage(&path, Some(b"damaged"));
        }
        self.add_inputs(files);
        let done = self.run(places, "", false, true, &Process::default());
        for &place in &damaged {
            self.disks[place].damage(&path, Some(&seen[place].files[&path]));
        }
        let done = done.and_then(|()| {
            // The others get the checkpoint that could not be copied.
            self.learn(&self.disks.each_ref().map(Seen::on));
            self.run(places, "", false, false, &Process::default())
        });
        Some(outcome(done))
    }

    fn prune(&self, stores: &[usize], keep: u8, grace: bool) -> Outcome {
        let store = self.open(stores);
        let policy = Policy { last: u64::from(keep), ..Policy::default() };
        let grace = Duration::from_secs(if grace { 86_400 } else { 0 });
        let done = plan_prune(&store, &Request { policy, grace, zone: TimeZone::UTC }, self.now, &Silent)
            .and_then(|plan| apply_prune(&store, &plan, HOLDER, &Silent));
        if let Err(error) = &done {
            assert!(matches!(error, PruneError::Store(_)), "{error:?}");
        }
        outcome(done)
    }

    fn copy(&mut self, stores: &[usize], to: usize) -> Option<Outcome> {
        let from: Vec<usize> = stores.iter().copied().filter(|&place| place != to).collect();
        if from.is_empty() {
            return None;
        }
        self.may_be_unknown = true;
        let source = self.open(&from).branch();
        let sequences = source.sequences().expect("listed");
        let done = copy::plan(&source, &sequences, Arc::new(self.disks[to].calm()))
            .and_then(|plan| copy::apply(&source, &plan, self.now, HOLDER, &Silent));
        if let Ok(copied) = &done {
            assert!(copied.unreadable.is_empty(), "{:?}", copied.unreadable);
            self.copies.entry(to).or_default();
        }
        Some(outcome(done))
    }

    /// Damages a file of the first place, repairs the store, and undoes what is left of the damage.
    fn repair(&mut self, stores: &[usize], file: u16, delete: bool) -> Option<Outcome> {
        let first = stores[0];
        let seen = Seen::on(&self.disks[first]);
        let lists: String = seen
            .files
            .iter()
            .filter(|(name, _)| name.starts_with("checkpoints/") && name.ends_with("SHA256SUMS"))
            .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
            .collect();
        let needed: Vec<&String> = seen
            .files
            .keys()
            .filter(|name| name.starts_with("checkpoints/") || (name.starts_with("objects/") && lists.contains(*name)))
            .collect();
        let name = *needed.get(usize::from(file) % needed.len().max(1))?;
        let mut bytes = seen.files[name].clone();
        let bit = usize::from(file) * 7919 % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.disks[first].damage(name, (!delete).then_some(&bytes));
        let store = self.open(stores);
        let reports = verify(&store, None, Depth::Full, &Silent).expect("looked at");
        assert!(!reports[0].is_intact(), "{name}: the damage was not found");
        let plan = repair::plan(&store, &reports);
        for outcome in repair::apply(&store, &plan, &Silent) {
            outcome.result.expect("healed");
        }
        let found = self.disks[first].files().remove(name);
        let original = Some(&seen.files[name]);
        let is_there = |&other: &usize| other != first && self.disks[other].files().get(name) == original;
        let has_copy = stores.iter().any(is_there) && self.truth.forks(stores).is_empty();
        if found.as_ref() != original {
            let damaged = (!delete).then_some(&bytes);
            assert_eq!(found.as_ref(), damaged, "{name}: neither as it was nor as it was damaged");
            assert!(!has_copy, "{name} was not repaired");
            self.disks[first].damage(name, original.map(|bytes| &bytes[..]));
            // The others get the checkpoint that could not be copied.
            let reports = verify(&store, None, Depth::Full, &Silent).expect("looked at");
            for outcome in repair::apply(&store, &repair::plan(&store, &reports), &Silent) {
                outcome.result.expect("copied");
            }
        }
        Some(Outcome::Done)
    }
}

/// Returns the job file with `more` about its checkpoints.
pub fn job(more: &str) -> String {
    format!(
        "job: j\ninput: {{files: 'data/*.jsonl', types: {{amount: number}}}}\nkey: k\ntasks: 4\n\
         process: {{aggregate: {{n: count, sum: sum(amount)}}}}\ncheckpoint: {{store: a{more}}}\n"
    )
}

fn outcome<T, E: std::fmt::Debug>(done: Result<T, E>) -> Outcome {
    match done {
        Ok(_) => Outcome::Done,
        Err(error) => Outcome::Refused(format!("{error:?}")),
    }
}
