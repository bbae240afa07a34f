//! The damage table: every kind of damage to every kind of file in either replica or both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use ckpt::ops::finding::{FindingCode, Severity};
use ckpt::ops::repair::{apply, plan};
use ckpt::ops::verify::{Depth, Report, verify};
use ckpt::storage::Storage;
use ckpt::store::{Store, StoreError};
use ckpt::values::progress::Silent;

use super::scene::{Files, Place, Scene, Target, files_of, in_bucket, on_disk};
use crate::support::repository;

/// Where the table is kept.
const TABLE: &str = "tests/data/damage.txt";

const HEAD: &str = "\
# What `ckpt verify` finds for each kind of damage, and what `ckpt verify --repair` does about it, in a store with two replicas.
# `object-damaged` stands for `object-size` too. `tests/damage/table.rs` compares; UPDATE=1 rewrites it. The finding that the parent of checkpoint 3 was pruned is left out.
#
# file | damage | in the first replica, in the second, in both equally, or in both differently | findings: `1` and `2` are the replicas, `@` names a file other than the damaged one | after the repair
";

/// Where those lines are kept that are others in a bucket.
const BUCKET_TABLE: &str = "tests/data/damage_bucket.txt";

const BUCKET_HEAD: &str = "\
# Where `damage.txt` is different for a store whose replicas are in buckets: there a checkpoint exists with its manifest, and `SHA256SUMS`
# may follow later. `tests/damage/table.rs` compares; UPDATE=1 rewrites it.
#
";

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    Delete,
    Truncate,
    Flip,
    Zero,
    Replace,
    Add,
    Swap,
}

impl Damage {
    pub const ALL: [Damage; 7] =
        [Damage::Delete, Damage::Truncate, Damage::Flip, Damage::Zero, Damage::Replace, Damage::Add, Damage::Swap];

    fn as_str(self) -> &'static str {
        match self {
            Damage::Delete => "delete",
            Damage::Truncate => "truncate",
            Damage::Flip => "flip a bit",
            Damage::Zero => "zero a page",
            Damage::Replace => "replace",
            Damage::Add => "add a file",
            Damage::Swap => "swap two",
        }
    }

    /// Damages `target` in `files`; `seed` chooses where. Returns whether this damage is possible.
    pub fn strike(self, files: &mut Files, target: &Target, seed: usize) -> bool {
        let Some(bytes) = files.get(&target.path).cloned() else { return false };
        let changed = match self {
            Damage::Delete => {
                files.remove(&target.path);
                return true;
            }
            // Not between two lines of about the same length.
            Damage::Truncate => bytes[..(bytes.len() / (2 + seed)).saturating_sub(20)].to_vec(),
            Damage::Flip => {
                let mut bytes = bytes;
                // The first byte or the last: what is in between differs from run to run.
                let at = if seed == 0 { 0 } else { bytes.len() - 1 };
                bytes[at] ^= 1 << seed;
                bytes
            }
            Damage::Zero => {
                let mut bytes = bytes;
                let first = if bytes.len() > 8_192 { 4_096 * (seed + 1) } else { 0 };
                let last = bytes.len().min(first + 4_096);
                bytes[first..last].fill(0);
                if seed > 0 && last == bytes.len() {
                    // Another page of a file that has only one.
                    bytes[0] = 1;
                }
                bytes
            }
            Damage::Replace => {
                let mut bytes = target.bytes.clone();
                bytes.truncate(bytes.len() - seed);
                bytes
            }
            Damage::Add => {
                let beside = target.path.rsplit_once('/').map_or_else(String::new, |(dir, _)| format!("{dir}/"));
                files.insert(format!("{beside}stranger-{seed}.txt"), b"x".to_vec());
                return true;
            }
            Damage::Swap => {
                let Some(other) = target.other.as_ref().filter(|_| seed == 0) else { return false };
                let there = files.insert(other.clone(), bytes).expect("there is one");
                files.insert(target.path.clone(), there);
                return true;
            }
        };
        files.insert(target.path.clone(), changed);
        true
    }
}

/// The replicas that are damaged.
const PLACES: [(&str, [Option<usize>; 2]); 4] = [
    ("first", [Some(0), None]),
    ("second", [None, Some(0)]),
    ("both", [Some(0), Some(0)]),
    ("differently", [Some(0), Some(1)]),
];

/// Returns the findings as the table has them.
fn shown(reports: &[Report], is_swapped: bool, target: &Target, names: &BTreeMap<String, &str>) -> String {
    let mut shown = BTreeSet::new();
    for (number, report) in reports.iter().enumerate() {
        let number = if is_swapped { 1 - number } else { number };
        for finding in report.findings.iter().filter(|finding| finding.code != FindingCode::ParentGone) {
            let place = match names.get(&finding.path) {
                _ if finding.path == target.path => String::new(),
                Some(name) => format!("@{name}"),
                None if finding.path.contains("stranger-") => "@the file".to_owned(),
                None if finding.path.starts_with("objects/") => "@an object".to_owned(),
                None => format!("@{}", finding.path),
            };
            // Whether another object has another size depends on how well it compresses.
            let code = match finding.code {
                FindingCode::ObjectSize => FindingCode::ObjectDamaged,
                code => code,
            };
            shown.insert(format!("{} {code}{place}", number + 1));
        }
    }
    if shown.is_empty() { "nothing".to_owned() } else { shown.into_iter().collect::<Vec<_>>().join(", ") }
}

/// Removes what a repair moved out of the way, and its directory.
fn without_aside(files: Files) -> Files {
    files.into_iter().filter(|(path, _)| !path.starts_with("damaged/")).collect()
}

/// The result for one cell: the last two columns of the table, and what must not happen.
struct Outcome {
    columns: String,
    wrong: Vec<String>,
}

/// Opens the store; the second value says whether the replicas are reported in the other order.
fn open(places: &[Arc<dyn Storage>]) -> Result<(Store, bool), StoreError> {
    let store = Store::open_available(places.to_vec(), 0, 2)?;
    let is_swapped = matches!(&store.unavailable[..], [absent] if Arc::ptr_eq(&absent.storage, &places[0]));
    Ok((store, is_swapped))
}

/// Verifies, repairs, and verifies again what was `damaged`.
fn try_out(
    place: Place,
    originals: &[Files; 2],
    damaged: &[Files; 2],
    target: &Target,
    names: &BTreeMap<String, &str>,
) -> Outcome {
    let mut wrong = Vec::new();
    let storages: Vec<Arc<dyn Storage>> = damaged.iter().map(place).collect();
    let looked_at = open(&storages)
        .and_then(|(store, is_swapped)| Ok((verify(&store, None, Depth::Full, &Silent)?, store, is_swapped)));
    let (reports, store, is_swapped) = match looked_at {
        Ok(looked_at) => looked_at,
        Err(error) => return Outcome { columns: format!("refused: {} | -", short(&error.to_string())), wrong },
    };
    let found = shown(&reports, is_swapped, target, names);
    let repair = plan(&store, &reports);
    let failed: Vec<_> =
        apply(&store, &repair, &Silent).into_iter().filter(|outcome| outcome.result.is_err()).collect();
    if !failed.is_empty() {
        wrong.push(format!("{failed:?}"));
    }
    let after: Vec<Files> = storages.iter().map(|storage| without_aside(files_of(storage.as_ref()))).collect();
    for (number, (after, damaged)) in after.iter().zip(damaged).enumerate() {
        for (path, bytes) in damaged.iter().filter(|(path, bytes)| originals[number].get(*path) == Some(*bytes)) {
            if after.get(path) != Some(bytes) {
                wrong.push(format!("{path} of replica {} was intact", number + 1));
            }
        }
    }
    let again =
        open(&storages).and_then(|(store, is_swapped)| Ok((verify(&store, None, Depth::Full, &Silent)?, is_swapped)));
    let (mut again, is_swapped) = again.expect("what could be opened still can be after a repair");
    let aside = [FindingCode::ObjectSetAside, FindingCode::ParentGone];
    again.iter_mut().for_each(|report| report.findings.retain(|finding| !aside.contains(&finding.code)));
    let mut findings = again.iter().flat_map(|report| &report.findings);
    let is_damaged = findings.clone().any(|finding| finding.severity() == Severity::Damage);
    let left = shown(&again, is_swapped, target, names);
    let end = match (after[..] == originals[..], findings.next().is_none()) {
        (true, true) => "healed".to_owned(),
        (false, true) if repair.steps.is_empty() => "-".to_owned(),
        // A valid list of other replicas, and one that was healed from it: nothing contradicts the list.
        (false, true) if target.name == "replicas.yaml" => "another list in both".to_owned(),
        (false, true) => {
            wrong.push("clean, and not what it was".to_owned());
            "WRONG".to_owned()
        }
        _ if left == found => "the same".to_owned(),
        _ => left,
    };
    if is_damaged && repair.hopeless.is_empty() {
        wrong.push("damage is left but was not reported".to_owned());
    }
    Outcome { columns: format!("{found} | {end}"), wrong }
}

/// Returns whether every cell is tried, rather than one of four.
pub fn is_complete() -> bool {
    repository::updates() || std::env::var_os("CKPT_DAMAGE").is_some_and(|value| value == "all")
}

/// Tries the damages in `place`, all of them or one in four, and returns their lines of the table.
fn lines(kind: Place, is_complete: bool) -> Vec<String> {
    let scene = Scene::new();
    let originals = [scene.files("a"), scene.files("b")];
    let names: BTreeMap<String, &str> = scene.targets.iter().map(|target| (target.path.clone(), target.name)).collect();
    let mut cells = Vec::new();
    for target in &scene.targets {
        for damage in Damage::ALL {
            for (place, seeds) in PLACES {
                let mut damaged = originals.clone();
                let mut strikes = seeds.iter().zip(&mut damaged).filter_map(|(seed, files)| Some((files, (*seed)?)));
                if strikes.all(|(files, seed)| damage.strike(files, target, seed)) {
                    let case = format!("{} | {} | {place}", target.name, damage.as_str());
                    cells.push((case, target, damaged));
                }
            }
        }
    }
    // One in four detects a change of any kind; any four consecutive cells are the same damage in other replicas.
    let tried = cells.iter().enumerate().filter(|(number, _)| is_complete || (number + number / 4) % 4 == 0);
    let outcomes = tried.map(|(_, (case, target, damaged))| (case, try_out(kind, &originals, damaged, target, &names)));
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    for (case, outcome) in outcomes {
        lines.push(format!("{case} | {}", outcome.columns));
        wrong.extend(outcome.wrong.iter().map(|wrong| format!("{case}: {wrong}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} of {} damages tried", lines.len(), cells.len());
    lines
}

#[test]
fn each_kind_of_damage_to_each_file_is_found_and_healed_and_nothing_else_is_touched() {
    let lines = lines(on_disk, is_complete());
    if is_complete() {
        let table = format!("{HEAD}{}\n", lines.join("\n"));
        return repository::assert_generated(TABLE, table.as_bytes());
    }
    assert_in_table(&lines);
}

#[test]
fn each_kind_of_damage_in_a_bucket_is_found_and_healed_and_nothing_else_is_touched() {
    let lines = lines(in_bucket, is_complete());
    let table = fs::read_to_string(repository::path(TABLE)).expect("the table");
    let same: BTreeSet<&str> = table.lines().collect();
    let other: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !same.contains(line)).collect();
    if is_complete() {
        let table = format!("{BUCKET_HEAD}{}\n", other.join("\n"));
        return repository::assert_generated(BUCKET_TABLE, table.as_bytes());
    }
    let table = fs::read_to_string(repository::path(BUCKET_TABLE)).expect("the table");
    let known: BTreeSet<&str> = table.lines().collect();
    let new: Vec<&&str> = other.iter().filter(|line| !known.contains(**line)).collect();
    assert!(new.is_empty(), "neither in {TABLE} nor in {BUCKET_TABLE}: {new:#?}");
}

/// Checks that all lines are in the table.
#[track_caller]
fn assert_in_table(lines: &[String]) {
    let table = fs::read_to_string(repository::path(TABLE)).expect("the table");
    let known: BTreeSet<&str> = table.lines().collect();
    let new: Vec<&String> = lines.iter().filter(|line| !known.contains(line.as_str())).collect();
    assert!(new.is_empty(), "not as in {TABLE}: {new:#?}");
}

fn short(error: &str) -> String {
    error.replace("`memory/", "`").replace("`s3://simulated/", "`").chars().take(60).collect()
}
