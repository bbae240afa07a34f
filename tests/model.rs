//! Random stories about a store, compared with a model that keeps full copies of everything.
//!
//! A story is a list of steps: runs of a real job, runs that die at some change to their storage, damage, verification,
//! repair, prunes and their undoing, pins, copies, restores and seeks, on a store with two replicas on simulated disks.
//! For every checkpoint, the model knows the whole state and how far each input was applied, in plain maps. After each
//! step the store must match the model. A story that fails is shortened and printed.
//!
//! `CKPT_MODEL_CASES` or `PROPTEST_CASES` sets the number of stories, 64 by default; `CKPT_SEED` chooses them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ckpt::format::layout;
use ckpt::format::rows::RowCodec;
use ckpt::input::{SeekTo, partition, seek};
use ckpt::job::JobSpec;
use ckpt::ops::pin::{pin, unpin};
use ckpt::ops::read::Snapshot;
use ckpt::ops::restore::{PositionChanges, apply_rollback, plan_rollback};
use ckpt::ops::verify::{Depth, verify};
use ckpt::ops::{copy, repair};
use ckpt::runner::options::Control;
use ckpt::storage::Storage;
use ckpt::store::Store;
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{Request, apply as apply_prune, apply_undo, plan as plan_prune, plan_undo};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use ckpt::values::value::Value;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::crash::runs::run_job;
use crate::crash::{Aftermath, published, rows};
use crate::support::Env;
use crate::support::random::{Random, seed, variable};
use crate::support::simulated::{Disk, Fault, Moment, Process, Survival};

const HOLDER: &str = "a story";

const JOB: &str = "job: j\ninput: {files: 'data/*.jsonl', types: {amount: number}}\nkey: k\ntasks: 8\n\
                   process: {aggregate: {n: count, sum: sum(amount)}}\n\
                   checkpoint: {store: a, replicas: [b], records: 8}\noutput: {files: out, emit: changes}\n";

/// What happens in a story. Numbers are taken modulo the number of things to choose from.
#[derive(Clone, Copy)]
enum Step {
    /// This many new input files arrive, and the job runs to its end.
    Run {
        files: u8,
    },
    /// The same, and someone asks for a checkpoint right away.
    Checkpoint {
        files: u8,
    },
    /// The run dies at a change to its storage.
    Kill {
        files: u8,
        change: u8,
        moment: u8,
        aftermath: u8,
    },
    /// A file of a checkpoint is damaged or deleted in one replica.
    Damage {
        place: u8,
        file: u16,
        delete: bool,
    },
    Verify,
    Repair,
    Prune {
        keep: u8,
    },
    Undo,
    Pin {
        which: u8,
    },
    Unpin {
        which: u8,
    },
    Copy,
    /// The job is rolled back to a checkpoint.
    Restore {
        which: u8,
    },
    /// The same, and one input restarts at another record.
    Seek {
        which: u8,
        input: u8,
        record: u8,
    },
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Run { files } => write!(f, "run with {files} more files"),
            Step::Checkpoint { files } => write!(f, "run with {files} more files, and ask for a checkpoint"),
            Step::Kill { files, change, moment, aftermath } => {
                let moment = Moment::ALL[*moment as usize % Moment::ALL.len()];
                write!(
                    f,
                    "run with {files} more files, die {moment:?} change {change}, then {:?}",
                    aftermath_of(*aftermath)
                )
            }
            Step::Damage { place, file, delete } => {
                let how = if *delete { "delete" } else { "flip a bit of" };
                write!(f, "{how} file {file} in place {}", place % 2)
            }
            Step::Prune { keep } => write!(f, "prune all but the last {keep}"),
            Step::Pin { which } => write!(f, "pin number {which} of those that exist"),
            Step::Unpin { which } => write!(f, "unpin number {which} of the pinned ones"),
            Step::Restore { which } => write!(f, "restore number {which} of those that exist"),
            Step::Seek { which, input, record } => {
                write!(f, "restore number {which} of those that exist, with input {input} at record {record}")
            }
            Step::Verify => f.write_str("verify"),
            Step::Repair => f.write_str("repair"),
            Step::Undo => f.write_str("undo the last prune"),
            Step::Copy => f.write_str("copy"),
        }
    }
}

/// A list of steps, printed as a story.
#[derive(Clone)]
struct Story(Vec<Step>);

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            write!(f, "\n  {}. {step:?}", number + 1)?;
        }
        Ok(())
    }
}

fn aftermath_of(number: u8) -> Aftermath {
    match number % 4 {
        0 | 1 => Aftermath::Death,
        2 => Aftermath::PowerFailure(Survival::None),
        _ => Aftermath::PowerFailure(Survival::Some(u64::from(number))),
    }
}

fn stories() -> impl Strategy<Value = Story> {
    let files = 0..4_u8;
    let step = prop_oneof![
        4 => files.clone().prop_map(|files| Step::Run { files }),
        1 => files.clone().prop_map(|files| Step::Checkpoint { files }),
        5 => (files, 0..60_u8, 0..3_u8, any::<u8>())
            .prop_map(|(files, change, moment, aftermath)| Step::Kill { files, change, moment, aftermath }),
        2 => (0..2_u8, any::<u16>(), any::<bool>()).prop_map(|(place, file, delete)| Step::Damage { place, file, delete }),
        1 => Just(Step::Verify),
        2 => Just(Step::Repair),
        2 => (1..4_u8).prop_map(|keep| Step::Prune { keep }),
        1 => Just(Step::Undo),
        1 => any::<u8>().prop_map(|which| Step::Pin { which }),
        1 => any::<u8>().prop_map(|which| Step::Unpin { which }),
        1 => Just(Step::Copy),
        2 => any::<u8>().prop_map(|which| Step::Restore { which }),
        1 => (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(which, input, record)| Step::Seek { which, input, record }),
    ];
    vec(step, 1..14).prop_map(Story)
}

/// The state by key: the number of records, and the sum of their amounts.
type State = BTreeMap<String, (i64, i64)>;

/// A full copy of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Full {
    state: State,
    /// The number of applied records, by input.
    positions: BTreeMap<String, u64>,
}

/// What the store should be.
#[derive(Debug, Default)]
struct Model {
    /// The inputs, and their records.
    inputs: BTreeMap<String, Vec<(String, i64)>>,
    checkpoints: BTreeMap<u64, Full>,
    /// What each prune removed, the most recent one at the end.
    pruned: Vec<BTreeMap<u64, Full>>,
    pins: BTreeSet<u64>,
    /// The replica in which something is damaged.
    damaged: Option<usize>,
}

impl Model {
    fn latest(&self) -> Full {
        self.checkpoints.values().next_back().cloned().unwrap_or_default()
    }

    fn nth(&self, which: u8) -> Option<u64> {
        let count = self.checkpoints.len();
        self.checkpoints.keys().nth(usize::from(which) % count.max(1)).copied()
    }

    /// Returns what a run that began at `from` holds at `positions`.
    fn at(&self, from: &Full, positions: &BTreeMap<String, u64>) -> Full {
        let mut state = from.state.clone();
        for (name, &record) in positions {
            let begun = from.positions.get(name).copied().unwrap_or(0);
            assert!(begun <= record, "input {name} moved back from {begun} to {record}");
            for (key, amount) in &self.inputs[name][begun as usize..record as usize] {
                let (count, sum) = state.entry(key.clone()).or_default();
                (*count, *sum) = (*count + 1, *sum + amount);
            }
        }
        Full { state, positions: positions.clone() }
    }
}

/// The real store and its model.
struct World {
    env: Env,
    disks: Vec<Disk>,
    model: Model,
    now: Timestamp,
    random: Random,
}

impl World {
    fn new() -> World {
        let env = Env::in_memory();
        std::fs::create_dir(env.path("data")).expect("created");
        let disks = vec![Disk::new(), Disk::new()];
        World { env, disks, model: Model::default(), now: Timestamp::now(), random: Random(1) }
    }

    fn store(&self) -> Option<Store> {
        let places = self.disks.iter().map(|disk| Arc::new(disk.calm()) as Arc<dyn Storage>).collect();
        Store::open_available(places, 0, 2).ok()
    }

    /// Adds inputs of a few records.
    fn add_inputs(&mut self, count: u8) {
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

    fn run(&self, process: &Process, asks: bool) -> Result<(), String> {
        let control = Control::default();
        control.checkpoint.store(asks, Ordering::Relaxed);
        let outcome = run_job(&self.env.path("job.yaml"), JOB, &self.disks, process, &control);
        outcome.map(drop).map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))
    }

    /// Records what a run that began at `from` committed: each new checkpoint must be a state that the run went
    /// through.
    fn learn(&mut self, from: &Full) {
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

    fn known_newest(&self) -> u64 {
        self.model.checkpoints.keys().next_back().copied().unwrap_or(0)
    }

    /// Runs the job to its end.
    fn run_to_the_end(&mut self, asks: bool) {
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
    fn look_for_damage(&mut self) {
        if self.model.damaged.is_some() && self.reports().iter().all(|intact| *intact) {
            self.model.damaged = None;
        }
    }

    /// Returns for each replica whether it is intact.
    fn reports(&self) -> Vec<bool> {
        let Some(store) = self.store() else { return Vec::new() };
        verify(&store, None, Depth::Deep, &Silent).expect("looked at").iter().map(|report| report.is_intact()).collect()
    }

    fn repair(&mut self) {
        let Some(store) = self.store() else { return };
        let reports = verify(&store, None, Depth::Full, &Silent).expect("looked at");
        let plan = repair::plan(&store, &reports);
        assert!(plan.hopeless.is_empty(), "{:?}", plan.hopeless);
        for outcome in repair::apply(&store, &plan, &Silent) {
            outcome.result.expect("healed");
        }
        self.model.damaged = None;
        assert!(self.reports().iter().all(|intact| *intact), "the store is not intact after a repair");
    }

    fn damage(&mut self, place: usize, file: u16, delete: bool) {
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
        let policy = Policy { last: keep, ..Policy::default() };
        let request = Request { policy, grace: std::time::Duration::from_secs(86_400), zone: TimeZone::UTC };
        let plan = plan_prune(&store, &request, self.now, &Silent).expect("planned");
        apply_prune(&store, &plan, HOLDER, &Silent).expect("pruned");
        let newest: Vec<u64> = self.model.checkpoints.keys().rev().take(keep as usize).copied().collect();
        let goes = |number: &u64| !newest.contains(number) && !self.model.pins.contains(number);
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
    fn compare(&self, store: &Store) {
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

    fn step(&mut self, step: Step) {
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

/// Reads a whole checkpoint.
fn read(store: &Store, sequence: Sequence) -> Full {
    let snapshot = Snapshot::open(store, sequence).expect("the checkpoint can be opened");
    let codec = RowCodec::new(snapshot.manifest().columns.clone());
    let mut state = State::new();
    for (_, key, packed) in rows(store, sequence) {
        let values = codec.unpack(&packed);
        let [Value::Int(count), Value::Number(sum)] = &values[..] else { panic!("two columns: {values:?}") };
        let sum = sum.to_string().parse().expect("whole");
        state.insert(String::from_utf8(key).expect("UTF-8"), (*count, sum));
    }
    let positions = snapshot.positions(store).expect("read");
    Full { state, positions: positions.into_iter().map(|row| (row.partition, row.record)).collect() }
}

fn tell(story: &Story) {
    let mut world = World::new();
    for step in &story.0 {
        world.step(*step);
    }
    // Whatever happened, only what was damaged is damaged, and the job continues to its end.
    world.step(Step::Verify);
    world.step(Step::Repair);
    world.step(Step::Run { files: 1 });
    world.step(Step::Verify);
}

#[test]
fn the_store_is_what_a_model_with_full_copies_says_after_any_story() {
    let cases = variable("CKPT_MODEL_CASES").or(variable("PROPTEST_CASES")).unwrap_or(64) as u32;
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 600, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed(0x5eed).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&stories(), |story| {
        tell(&story);
        Ok(())
    });
    match outcome {
        Ok(()) => println!("{cases} stories"),
        Err(TestError::Fail(reason, story)) => panic!("{reason}\nthe shortest story:{story:?}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn operations_right_after_a_dead_run_find_unequal_replicas_and_leave_them_whole() {
    for change in (0..60).step_by(if crate::crash::tries_all() { 1 } else { 7 }) {
        for next in [Step::Restore { which: 0 }, Step::Prune { keep: 1 }, Step::Copy, Step::Pin { which: 200 }] {
            let die = Step::Kill { files: 3, change, moment: 2, aftermath: 0 };
            tell(&Story(vec![Step::Run { files: 2 }, die, next, Step::Verify]));
        }
    }
}

#[test]
fn a_restore_makes_replicas_equal_that_a_dead_run_left_unequal() {
    let mut world = World::new();
    world.step(Step::Run { files: 3 });
    world.step(Step::Run { files: 1 });
    let latest = layout::checkpoint_dir(Sequence(world.known_newest())).to_string();
    for path in [format!("{latest}/manifest.yaml"), format!("{latest}/SHA256SUMS"), latest] {
        world.disks[1].damage(&path, None);
    }
    world.step(Step::Restore { which: 0 });
    world.step(Step::Verify);
}

#[test]
fn a_manifest_with_another_number_in_it_is_healed_and_nothing_is_hopeless() {
    let mut world = World::new();
    world.step(Step::Run { files: 2 });
    let path = layout::manifest(Sequence(world.known_newest())).to_string();
    let whole = world.disks[1].files()[&path].clone();
    let digits: Vec<usize> = (0..whole.len()).filter(|&at| whole[at].is_ascii_digit()).collect();
    for &digit in digits.iter().rev().step_by(if crate::crash::tries_all() { 1 } else { 4 }) {
        let mut bytes = whole.clone();
        bytes[digit] ^= 1;
        world.disks[1].damage(&path, Some(&bytes));
        world.repair();
        assert_eq!(world.disks[1].files()[&path], whole);
    }
}
