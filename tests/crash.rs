//! Crashes on simulated disks: every operation dies at each of its changes, has each of its calls fail once, and meets
//! a full disk at each of its changes; then the process or the machine starts again.
//!
//! At each of these points the same is promised: a committed checkpoint is whole and has its original content, any
//! other is absent or whole, and repeating the operation ends, durably, as if nothing had interrupted it.
//!
//! By default each test tries a sample, chosen by `CKPT_SEED`; `CKPT_FAULTS=all` tries everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ckpt::ops::read::{Selection, Snapshot};
use ckpt::ops::verify::{Depth, verify};
use ckpt::storage::{Storage, TEMPORARY_PREFIX};
use ckpt::store::{Store, StoreError};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;

use crate::support::random::{Random, seed};
use crate::support::simulated::{Disk, Fault, Moment, Process, Survival};

mod operations;
pub mod runs;
mod system_calls;
mod trace;

/// All rows of a checkpoint: task, key and packed values.
pub type Rows = Vec<(u32, Vec<u8>, Vec<u8>)>;

/// Full copies of checkpoints, kept outside the store.
pub type Copies = BTreeMap<u64, Rows>;

/// What happens after a process has died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aftermath {
    /// Another process starts.
    Death,
    /// The power fails, and this much survives.
    PowerFailure(Survival),
}

impl Aftermath {
    /// Returns what the next process finds.
    pub fn of(self, disk: &Disk) -> Disk {
        match self {
            Aftermath::Death => disk.after_death(),
            Aftermath::PowerFailure(survival) => disk.after_power_failure(survival),
        }
    }
}

/// An operation, and what it is tried on.
struct Story<'a> {
    name: &'a str,
    /// The disks before it.
    before: Vec<Disk>,
    /// Performs the operation, or finds it done.
    operation: &'a (dyn Fn(Vec<Arc<dyn Storage>>) -> Result<(), String> + Sync),
    /// The content of every checkpoint that may exist.
    copies: &'a Copies,
    /// The checkpoints that must exist at every moment.
    kept: BTreeSet<u64>,
    /// How many faults are tried by default.
    sample: usize,
}

/// How many faults were tried, by kind.
#[derive(Debug, Default)]
pub struct Tally {
    /// Deaths at a change, each with what came after.
    pub deaths: u64,
    /// Calls that failed.
    pub refusals: u64,
    /// Full disks.
    pub full: u64,
}

impl Tally {
    /// Prints the figures.
    pub fn print(&self, name: &str, changes: u64, calls: u64) {
        let Tally { deaths, refusals, full } = self;
        println!(
            "{name}: {changes} changes, {calls} calls; tried {deaths} crashes, {refusals} refused calls, {full} full disks"
        );
    }
}

/// Returns whether every fault is tried.
pub fn tries_all() -> bool {
    std::env::var("CKPT_FAULTS").is_ok_and(|value| value == "all")
}

/// Returns at which of `calls` calls something happens: all, or a sample.
pub fn sampled(calls: u64, sample: usize, random: &mut Random) -> Vec<u64> {
    let mut stops: Vec<u64> = (0..calls).collect();
    while !tries_all() && stops.len() > sample {
        stops.swap_remove(random.below(stops.len() as u64) as usize);
    }
    stops
}

/// A fault, and what comes after it.
pub type Trial = (Fault, Aftermath);

/// Returns the trials for an operation that makes this many changes and calls: all, or a sample.
pub fn trials(changes: u64, calls: u64, sample: usize, random: &mut Random) -> Vec<Trial> {
    let mut all = Vec::new();
    for change in 0..changes {
        for moment in Moment::ALL {
            let fault = Fault::Die { change, moment };
            all.push((fault, Aftermath::Death));
            for survival in
                [Survival::All, Survival::None, Survival::Some(random.next()), Survival::Some(random.next())]
            {
                all.push((fault, Aftermath::PowerFailure(survival)));
            }
        }
        for room in [0, 1] {
            all.push((Fault::Full { change, room }, Aftermath::Death));
        }
    }
    for call in 0..calls {
        for late in [false, true] {
            all.push((Fault::Refuse { call, late }, Aftermath::PowerFailure(Survival::None)));
        }
    }
    if !tries_all() {
        for at in 0..all.len() {
            let other = at + random.below((all.len() - at) as u64) as usize;
            all.swap(at, other);
        }
        all.truncate(sample);
    }
    all
}

impl Story<'_> {
    fn try_all(&self) {
        let mut random = Random(seed(0x5eed));
        let calm = Process::default();
        let end = self.fork();
        self.act(&end, &calm).unwrap_or_else(|error| panic!("{}: undisturbed: {error}", self.name));
        let expected = contents(&end);
        // What was done is durable.
        for survival in [Survival::None, Survival::Some(1), Survival::Some(2)] {
            let left = after(&end, Aftermath::PowerFailure(survival));
            self.check(&left, &format!("done, then {survival:?}"));
            assert_same(&contents(&left), &expected, &format!("{}: done, then {survival:?}", self.name));
        }
        let mut tally = Tally::default();
        for (fault, aftermath) in trials(calm.changes(), calm.calls(), self.sample, &mut random) {
            let disks = self.fork();
            let process = Process::new(fault);
            let outcome = self.act(&disks, &process);
            let Some(struck) = process.struck() else { continue };
            let context = format!("{}: {fault:?} at `{struck}`, {outcome:?}, then {aftermath:?}", self.name);
            match fault {
                Fault::Die { .. } => tally.deaths += 1,
                Fault::Refuse { .. } => tally.refusals += 1,
                _ => tally.full += 1,
            }
            if outcome.is_ok() && !matches!(fault, Fault::Die { .. }) {
                // Something optional failed; what was promised was done.
                let left = after(&disks, Aftermath::PowerFailure(Survival::None));
                self.check(&left, &context);
            }
            let disks = after(&disks, aftermath);
            self.check(&disks, &context);
            self.act(&disks, &Process::default()).unwrap_or_else(|error| panic!("{context}, then again: {error}"));
            for last in [Survival::All, Survival::None] {
                let left = after(&disks, Aftermath::PowerFailure(last));
                let context = format!("{context}, done again, then {last:?}");
                self.check(&left, &context);
                let mut found = contents(&left);
                if last != Survival::All {
                    // Objects that nothing needs may come back: the next prune takes them.
                    found.iter_mut().for_each(drop_unneeded);
                }
                assert_same(&found, &expected, &context);
            }
        }
        tally.print(self.name, calm.changes(), calm.calls());
    }

    fn fork(&self) -> Vec<Disk> {
        self.before.iter().map(Disk::after_death).collect()
    }

    fn act(&self, disks: &[Disk], process: &Process) -> Result<(), String> {
        (self.operation)(disks.iter().map(|disk| Arc::new(disk.open(process)) as Arc<dyn Storage>).collect())
    }

    /// Checks what is promised at every moment.
    #[track_caller]
    fn check(&self, disks: &[Disk], context: &str) {
        let there = check_disks(disks, self.copies, context);
        for number in &self.kept {
            assert!(there.contains(number), "{context}: checkpoint {number} is lost: {there:?}");
        }
    }
}

fn after(disks: &[Disk], aftermath: Aftermath) -> Vec<Disk> {
    disks.iter().map(|disk| aftermath.of(disk)).collect()
}

/// Checks that everything on each disk is whole, and that each checkpoint has the content of its copy. Returns the
/// numbers of the checkpoints.
#[track_caller]
pub fn check_disks(disks: &[Disk], copies: &Copies, context: &str) -> BTreeSet<u64> {
    let mut there = BTreeSet::new();
    for (place, disk) in disks.iter().enumerate() {
        let store = match Store::open(vec![Arc::new(disk.calm())]) {
            Ok(store) => store,
            // It was not a store before, or its creation was cut short.
            Err(StoreError::NoStore { .. }) => {
                let names: Vec<String> = disk.files().into_keys().collect();
                let checkpoint = names.iter().find(|name| name.starts_with("checkpoints/") && !is_temporary(name));
                assert_eq!(checkpoint, None, "{context}: disk {place} has a checkpoint but is not a store");
                continue;
            }
            Err(error) => panic!("{context}: disk {place}: {error}"),
        };
        for report in verify(&store, None, Depth::Deep, &Silent).expect("looked at") {
            assert!(report.is_intact(), "{context}: disk {place}: {:#?}", report.findings);
        }
        for sequence in store.sequences().expect("listed") {
            if let Some(copy) = copies.get(&sequence.0) {
                assert!(
                    rows(&store, sequence) == *copy,
                    "{context}: disk {place}: checkpoint {} has changed",
                    sequence.0
                );
            }
            there.insert(sequence.0);
        }
    }
    there
}

/// Reads all rows of a checkpoint.
pub fn rows(store: &Store, sequence: Sequence) -> Rows {
    let snapshot = Snapshot::open(store, sequence).expect("the checkpoint can be opened");
    let mut rows = Vec::new();
    let all = snapshot.rows(store, &Selection::default(), &Silent, |row| {
        rows.push((row.task, row.key.to_vec(), row.value.unwrap_or_default().to_vec()));
        true
    });
    all.expect("the rows can be read");
    rows
}

/// Returns full copies of all checkpoints.
pub fn copies(store: &Store) -> Copies {
    store.sequences().expect("listed").into_iter().map(|sequence| (sequence.0, rows(store, sequence))).collect()
}

/// Applies what was published in order. A row that was published twice, or never, does not fit where it is.
pub fn published(out: &Path, context: &str) -> BTreeMap<String, serde_json::Value> {
    let entries = fs::read_dir(out).map(|entries| entries.map(|entry| entry.expect("listed").path()));
    let mut names: Vec<_> = entries.into_iter().flatten().filter(|path| !is_hidden(path)).collect();
    names.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("j")));
    names.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    names.sort();
    let mut rows = BTreeMap::new();
    for path in names {
        for line in fs::read_to_string(&path).expect("readable").lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let key = row["k"].as_str().expect("a key").to_owned();
            let op = row.get("op").and_then(|op| op.as_str()).unwrap_or("insert").to_owned();
            let before = rows.insert(key, row);
            assert_eq!(before.is_none(), op == "insert", "{context}: {}: {line}", path.display());
        }
    }
    rows.into_iter()
        .map(|(key, mut row)| {
            row.as_object_mut().expect("an object").remove("op");
            (key, row)
        })
        .collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn is_temporary(path: &str) -> bool {
    path.split('/').any(|name| name.starts_with(TEMPORARY_PREFIX))
}

/// What counts on disks: all files except locks, leftovers of writes, damaged files that were moved out of the way, and
/// records of how it came about.
fn contents(disks: &[Disk]) -> Vec<BTreeMap<String, Vec<u8>>> {
    let counts = |name: &String| {
        !name.ends_with("lock") && !is_temporary(name) && !name.starts_with("history/") && !name.starts_with("damaged/")
    };
    disks.iter().map(|disk| disk.files().into_iter().filter(|(name, _)| counts(name)).collect()).collect()
}

/// Drops the objects that no checkpoint needs, including pruned ones.
fn drop_unneeded(files: &mut BTreeMap<String, Vec<u8>>) {
    let lists = files.iter().filter(|(name, _)| name.ends_with("/SHA256SUMS"));
    let lists: String = lists.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
    files.retain(|name, _| !name.starts_with("objects/") || lists.contains(name.as_str()));
}

#[track_caller]
fn assert_same(found: &[BTreeMap<String, Vec<u8>>], expected: &[BTreeMap<String, Vec<u8>>], context: &str) {
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let missing: Vec<&String> = expected.keys().filter(|name| !found.contains_key(*name)).collect();
        let more: Vec<&String> = found.keys().filter(|name| !expected.contains_key(*name)).collect();
        let other: Vec<&String> =
            found.keys().filter(|name| expected.get(*name).is_some_and(|it| *it != found[*name])).collect();
        assert!(
            missing.is_empty() && more.is_empty() && other.is_empty(),
            "{context}: disk {place}: missing {missing:?}, more {more:?}, other {other:?}"
        );
    }
}
