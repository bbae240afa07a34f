//! A real store and its model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ckpt::format::layout;
use ckpt::ops::read::Snapshot;
use ckpt::ops::repair;
use ckpt::ops::verify::{Depth, verify};
use ckpt::runner::options::Control;
use ckpt::runner::process::processor::Processors;
use ckpt::storage::Storage;
use ckpt::store::Store;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::Timestamp;

use super::oracle::{Full, Model, State, read};
use crate::crash::published;
use crate::crash::runs::run_job;
use crate::support::Env;
use crate::support::in_process::resume_from_each;
use crate::support::random::Random;
use crate::support::simulated::{Disk, Process};

pub const HOLDER: &str = "a story";

pub const JOB: &str = "job: j\ninput: {files: 'data/*.jsonl', types: {amount: number}}\nkey: k\ntasks: 8\n\
                   process: {aggregate: {n: count, sum: sum(amount)}}\n\
                   checkpoint: {store: a, replicas: [b], records: 8}\noutput: {files: out, emit: changes}\n";

/// The real store and its model.
pub struct World {
    pub env: Env,
    pub disks: Vec<Disk>,
    pub model: Model,
    pub now: Timestamp,
    pub random: Random,
}

impl World {
    pub fn new() -> World {
        let env = Env::in_memory();
        std::fs::create_dir(env.path("data")).expect("created");
        let disks = vec![Disk::new(), Disk::new()];
        World { env, disks, model: Model::default(), now: Timestamp::now(), random: Random(1) }
    }

    pub fn store(&self) -> Option<Store> {
        let places = self.disks.iter().map(|disk| Arc::new(disk.calm()) as Arc<dyn Storage>).collect();
        Store::open_available(places, 0, 2).ok()
    }

    /// Adds inputs of a few records.
    pub fn add_inputs(&mut self, count: u8) {
        for _ in 0..count {
            let name = format!("data/{:03}.jsonl", self.model.inputs.len());
            let lines = 3 + self.random.below(6);
            let records: Vec<(String, i64)> =
                (0..lines).map(|_| (format!("key {}", self.random.below(12)), self.random.below(100) as i64)).collect();
            let text: String =
                records.iter().map(|(key, amount)| format!("{{\"k\":\"{key}\",\"amount\":{amount}}}\n")).collect();
            self.env.write(&name, text);
            self.model.inputs.insert(name, records);
        }
    }

    pub fn run(&self, process: &Process, asks: bool) -> Result<(), String> {
        let control = Control::default();
        control.checkpoint.store(asks, Ordering::Relaxed);
        let outcome = run_job(&self.env.path("job.yaml"), JOB, &self.disks, process, &control);
        outcome.map(drop).map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
    }

    /// Records what a run that began at `from` committed: each new checkpoint must be a state that the run went
    /// through.
    pub fn learn(&mut self, from: &Full) {
        let Some(store) = self.store() else { return };
        let sequences = store.sequences().expect("listed");
        let newest = self.known_newest();
        for sequence in sequences.into_iter().filter(|sequence| sequence.0 > newest) {
            let full = read(&store, sequence);
            let expected = self.model.at(from, &full.positions);
            assert_eq!(full, expected, "checkpoint {} is not a state that the run went through", sequence.0);
            self.model.checkpoints.insert(sequence.0, full);
        }
    }

    pub fn known_newest(&self) -> u64 {
        self.model.checkpoints.keys().next_back().copied().unwrap_or(0)
    }

    /// Runs the job to its end.
    pub fn run_to_the_end(&mut self, asks: bool) {
        if self.model.inputs.is_empty() {
            self.add_inputs(1);
        }
        let from = self.model.latest();
        if let Err(error) = self.run(&Process::default(), asks) {
            assert!(self.model.damaged.is_some(), "the run failed: {error}");
            // It reports what is damaged, and nothing is wrong with what it committed.
            self.learn(&from);
            self.repair();
            self.run(&Process::default(), asks)
                .unwrap_or_else(|error| panic!("the run failed after a repair: {error}"));
        }
        let from = if self.model.checkpoints.is_empty() { Full::default() } else { from };
        self.learn(&from);
        self.look_for_damage();
        let latest = self.model.latest();
        let all: BTreeMap<String, u64> =
            self.model.inputs.iter().map(|(name, records)| (name.clone(), records.len() as u64)).collect();
        assert_eq!(latest.positions, all, "the run did not read all of its input");
        let rows = published(&self.env.path("out"), "published");
        let rows: State = rows
            .into_iter()
            .map(|(key, row)| (key, (row["n"].as_i64().expect("a count"), row["sum"].as_i64().expect("a sum"))))
            .collect();
        assert_eq!(rows, latest.state, "the published rows are not the state");
    }

    /// Whatever is rewritten is whole: a run or a restore may have healed something.
    pub fn look_for_damage(&mut self) {
        if self.model.damaged.is_some() && self.reports().iter().all(|intact| *intact) {
            self.model.damaged = None;
        }
    }

    /// Returns for each replica whether it is intact.
    pub fn reports(&self) -> Vec<bool> {
        let Some(store) = self.store() else { return Vec::new() };
        verify(&store, None, Depth::Deep, &Silent).expect("looked at").iter().map(|report| report.is_intact()).collect()
    }

    pub fn repair(&mut self) {
        let Some(store) = self.store() else { return };
        let reports = verify(&store, None, Depth::Full, &Silent).expect("looked at");
        let plan = repair::plan(&store, &reports);
        assert!(plan.hopeless.is_empty(), "{:?}", plan.hopeless);
        for outcome in repair::apply(&store, &plan, &Silent) {
            outcome.result.expect("healed");
        }
        self.model.damaged = None;
        let reports = verify(&store, None, Depth::Deep, &Silent).expect("looked at");
        let findings: Vec<_> = reports.iter().flat_map(|report| &report.findings).collect();
        assert!(
            reports.iter().all(|report| report.is_intact()),
            "the store is not intact after a repair: {findings:#?}"
        );
    }

    /// Checks that a run resumes from each checkpoint, and ends with the state of a run that began there.
    pub fn resume_from_each(&self) {
        let Some(store) = self.store() else { return };
        let elsewhere = Env::in_memory();
        std::os::unix::fs::symlink(self.env.path("data"), elsewhere.path("data")).expect("linked");
        let text = JOB.replace(", replicas: [b]", "").replace("output: {files: out, emit: changes}\n", "");
        let all: BTreeMap<String, u64> =
            self.model.inputs.iter().map(|(name, records)| (name.clone(), records.len() as u64)).collect();
        resume_from_each(&store, elsewhere.dir(), &text, &Processors::default(), |sequence, end| {
            let latest = end.latest().expect("read").expect("a checkpoint");
            let expected = self.model.at(&self.model.checkpoints[&sequence.0], &all);
            assert_eq!(read(end, latest.manifest.sequence), expected, "resumed from checkpoint {}", sequence.0);
        });
    }

    pub fn damage(&mut self, place: usize, file: u16, delete: bool) {
        let listed = |disk: &Disk| {
            let names: BTreeSet<String> =
                disk.files().into_keys().filter(|name| name.ends_with("manifest.yaml")).collect();
            names
        };
        // What only one replica has may be lost with it.
        if self.model.damaged.is_some_and(|damaged| damaged != place)
            || listed(&self.disks[0]) != listed(&self.disks[1])
        {
            return;
        }
        let Some(store) = self.store() else { return };
        let mut needed: BTreeSet<String> = BTreeSet::new();
        for &number in self.model.checkpoints.keys() {
            let Ok(snapshot) = Snapshot::open(&store, Sequence(number)) else { continue };
            needed.extend(snapshot.objects().into_iter().map(|object| object.object.path().to_string()));
            needed.insert(layout::manifest(Sequence(number)).to_string());
            needed.insert(layout::sums(Sequence(number)).to_string());
        }
        let files: Vec<(String, Vec<u8>)> =
            self.disks[place].files().into_iter().filter(|(name, _)| needed.contains(name)).collect();
        if files.is_empty() {
            return;
        }
        let (name, mut bytes) = files[usize::from(file) % files.len()].clone();
        let bit = usize::from(file) * 7919 % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.disks[place].damage(&name, (!delete).then_some(&bytes));
        self.model.damaged = Some(place);
    }
}
