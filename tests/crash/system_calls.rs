//! Crashes and failures of real processes on real files, call by call.
//!
//! `strace` both watches and interferes: it records what a command does to its files, kills it at a call, or makes a
//! call fail. From the record, the tests build all the states that a killed process or a power failure may leave after
//! each call ([`trace`](super::trace) has the fault model); the command is run again on each, and must end as if
//! nothing had interrupted it.
//!
//! Without `strace`, or where it is not allowed to trace, these tests do nothing, unless `CKPT_REQUIRE_STRACE` is 1. By
//! default each tries a sample, chosen by `CKPT_SEED`; `CKPT_FAULTS=all` tries everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ckpt::ops::verify::{Depth, verify};
use ckpt::storage::local::LocalStorage;
use ckpt::store::{Store, StoreError};
use ckpt::values::progress::Silent;

use super::trace::{self, Call, FileSystem};
use super::{drop_unneeded, is_temporary, published, rows, tries_all};
use crate::support::random::{Random, seed};
use crate::support::simulated::Survival;
use crate::support::store_builder::StoreBuilder;
use crate::support::{Env, Output, code, tree};

/// What counts at the end, by name.
type End = BTreeMap<String, Vec<u8>>;

/// A command in a directory, and what it is for.
struct Scenario<'a> {
    name: &'a str,
    arguments: &'a [&'a str],
    /// The stores that are intact before the command, and therefore at every moment.
    intact: &'a [&'a str],
    /// Runs it again, as far as it is not done, and returns what counts.
    finish: &'a dyn Fn(&Env, &str) -> End,
}

/// Finds `strace`, if it is installed and allowed to trace.
fn strace() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|dir| dir.join("strace")).find(|path| path.is_file());
    let works = |path: &PathBuf| {
        let probe = Command::new(path).args(["-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync", "true"]).output();
        probe.is_ok_and(|output| output.status.success())
    };
    let found = found.filter(works);
    if found.is_none() {
        assert!(
            std::env::var("CKPT_REQUIRE_STRACE").is_ok_and(|value| value != "1"),
            "strace is needed, and not there or not allowed to trace"
        );
        println!("skipped: strace is not there, or not allowed to trace");
    }
    found
}

/// Runs the binary under `strace`.
fn traced(strace: &Path, env: &Env, options: &[&str], arguments: &[&str]) -> Output {
    let plain = env.command(arguments);
    let mut command = Command::new(strace);
    command.args(["-f", "--seccomp-bpf", "-qq"]).args(options).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(env.dir()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.stdin(Stdio::null()).output().expect("started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output { stdout: text(&output.stdout), stderr: text(&output.stderr), status: code(output.status) }
}

/// Runs the command and returns what it did to files, and how it ended.
fn record(strace: &Path, env: &Env, arguments: &[&str]) -> (Vec<Call>, String, i32) {
    let aside = Env::in_memory();
    let log = aside.path("log");
    let trace = format!("trace={}", trace::CALLS);
    let options = ["-y", "-xx", "-s", "4000000", "-o", log.to_str().expect("UTF-8"), "-e", &trace];
    let output = traced(strace, env, &options, arguments);
    let log = fs::read_to_string(log).expect("a log");
    let calls = trace::parse(&log, &env.dir().canonicalize().expect("the directory exists"));
    assert!(calls.len() > 10, "{output}: {calls:?}");
    (calls, log, output.status)
}

/// Checks that stores that were intact still are.
fn check_intact(env: &Env, stores: &[&str], context: &str) {
    for name in stores {
        match Store::open(vec![Arc::new(LocalStorage::new(env.path(name)))]) {
            Ok(store) => {
                for report in verify(&store, None, Depth::Deep, &Silent).expect("looked at") {
                    assert!(report.is_intact(), "{context}: {name}: {:#?}", report.findings);
                }
            }
            // Its creation was cut short.
            Err(StoreError::NoStore { .. }) => {
                let place = env.path(name);
                let files = if place.is_dir() { tree(&place) } else { BTreeMap::new() };
                let committed = files.keys().find(|path| path.starts_with("checkpoints/") && !is_temporary(path));
                assert_eq!(committed, None, "{context}: {name} has a checkpoint but is not a store");
            }
            Err(error) => panic!("{context}: {name}: {error}"),
        }
    }
}

/// Tries crashes after each call of the scenario, beginning with `system` on disk. Returns how many.
fn crash_everywhere(strace: &Path, env: &Env, system: &FileSystem, scenario: &Scenario<'_>, sample: usize) {
    let mut random = Random(seed(0x5eed));
    system.write(env.dir(), Survival::All);
    let (calls, _, _) = record(strace, env, scenario.arguments);
    let expected = (scenario.finish)(env, &format!("{}: undisturbed", scenario.name));
    let mut trials = Vec::new();
    for count in 0..=calls.len() {
        trials.push((count, Survival::All));
        trials.push((count, Survival::None));
        trials.push((count, Survival::Some(random.next())));
        trials.push((count, Survival::Some(random.next())));
    }
    if !tries_all() {
        trials = (0..sample).map(|_| *random.choose(&trials)).collect();
    }
    for (count, survival) in &trials {
        let mut system = system.clone();
        calls[..*count].iter().for_each(|call| system.apply(call));
        system.write(env.dir(), *survival);
        let last = count.checked_sub(1).map(|last| &calls[last]);
        let context = format!("{}: {survival:?} after {count} calls, the last {}", scenario.name, shown(last));
        check_intact(env, scenario.intact, &context);
        let found = (scenario.finish)(env, &context);
        assert_same(&found, &expected, &context);
    }
    println!("{}: {} calls; {} states of the disk", scenario.name, calls.len(), trials.len());
}

fn shown(call: Option<&Call>) -> String {
    let text = format!("{call:?}");
    text.chars().take(200).collect()
}

#[track_caller]
fn assert_same(found: &End, expected: &End, context: &str) {
    let names: Vec<&String> =
        found.keys().chain(expected.keys()).filter(|name| found.get(*name) != expected.get(*name)).collect();
    let show = |end: &End| {
        names
            .iter()
            .take(2)
            .filter_map(|name| Some(String::from_utf8_lossy(end.get(*name)?).into_owned()))
            .collect::<String>()
    };
    assert!(names.is_empty(), "{context}: {names:?} differ: found {}, expected {}", show(found), show(expected));
}

/// Kills the command at calls, and makes calls fail.
fn disturb_everywhere(strace: &Path, env: &Env, system: &FileSystem, scenario: &Scenario<'_>, sample: usize) {
    let mut random = Random(seed(0x5eed));
    system.write(env.dir(), Survival::All);
    let (_, log, status) = record(strace, env, scenario.arguments);
    let expected = (scenario.finish)(env, &format!("{}: undisturbed", scenario.name));
    // strace counts the calls of each thread separately.
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in log.lines().filter(|line| !line.contains("<... ")) {
        if let Some((process, (name, _))) =
            line.split_once(' ').and_then(|(process, rest)| Some((process, rest.trim_start().split_once('(')?)))
        {
            *counts.entry((name, process)).or_default() += 1;
        }
    }
    let mut most: BTreeMap<&str, usize> = BTreeMap::new();
    for ((name, _), count) in &counts {
        let most = most.entry(name).or_default();
        *most = (*most).max(*count);
    }
    let mut trials = Vec::new();
    for (name, most) in most.iter().filter(|(name, _)| !matches!(**name, "openat" | "lseek")) {
        for number in 1..=*most {
            for what in ["signal=SIGKILL", "error=EIO", "error=ENOSPC"] {
                trials.push((*name, number, what));
            }
        }
    }
    if !tries_all() {
        trials = (0..sample).map(|_| *random.choose(&trials)).collect();
    }
    let (mut killed, mut failed) = (0, 0);
    let aside = Env::in_memory();
    for (name, number, what) in &trials {
        system.write(env.dir(), Survival::All);
        let (log, trace) = (aside.path("log"), format!("trace={name}"));
        let inject = format!("inject={name}:{what}:when={number}");
        let options = ["-y", "-s", "32", "-o", log.to_str().expect("UTF-8"), "-e", &trace, "-e", &inject];
        let output = traced(strace, env, &options, scenario.arguments);
        let log = fs::read_to_string(&log).expect("a log");
        let struck = log.lines().find(|line| line.contains("(INJECTED)")).unwrap_or_default();
        let context = format!("{}: {name} {number} {what}: {struck}: {output}", scenario.name);
        match output.status {
            137 => killed += 1,
            other if other == status => {}
            _ => {
                failed += 1;
                // strace strikes each thread once. When the answer itself cannot be written, the command has no way to
                // report that.
                let directory = env.dir().display().to_string();
                let is_ours =
                    log.lines().filter(|line| line.contains("(INJECTED)")).all(|line| line.contains(&directory));
                let is_told = output.stderr.contains("error: ") || output.stdout.contains("could NOT repair ");
                assert!(!is_ours || is_told, "{context}");
            }
        }
        assert!(!output.stderr.contains("panicked"), "{context}");
        check_intact(env, scenario.intact, &context);
        let found = (scenario.finish)(env, &context);
        assert_same(&found, &expected, &context);
    }
    println!("{}: {} faults; {killed} kills, {failed} errors", scenario.name, trials.len());
}

/// Creates a directory with a job: an input in several files, bad records, a replica, a file of changes for each
/// checkpoint.
fn job() -> Env {
    let env = Env::in_memory();
    for file in 0..12_u64 {
        let mut random = Random(file);
        let mut text = String::new();
        for _ in 0..40 {
            text += &format!("{{\"k\":\"key {}\",\"amount\":{}}}\n", random.below(30), random.below(1_000));
        }
        if file % 4 == 0 {
            text += "{\"k\":\"key 1\",\"amount\":\"much\"}\n";
        }
        env.write(&format!("data/{file:02}.jsonl"), text);
    }
    env.write(
        "job.yaml",
        "job: j\ninput: {files: data/*.jsonl, types: {amount: number}, on_error: {dead_letter: dead/letters/bad.jsonl}}\nkey: k\ntasks: 8\n\
         process: {aggregate: {n: count, sum: sum(amount)}}\ncheckpoint: {store: stores/a, replicas: [stores/b], records: 60}\n\
         output: {files: results/out, emit: changes}\n",
    );
    env
}

/// Runs the job to its end, and returns its state and everything that it published.
fn finish_run(env: &Env, context: &str) -> End {
    let output = env.run(&["run", "job.yaml", "--quiet"]);
    // Its bad records may all be behind the checkpoint that it resumes from.
    assert!(matches!(output.status, 0 | 3), "{context}, then again: {output}");
    check_intact(env, &["stores/a", "stores/b"], context);
    let open = |name: &str| Store::open(vec![Arc::new(LocalStorage::new(env.path(name)))]).expect("a store");
    let latest = |store: &Store| store.latest().expect("whole").expect("a checkpoint");
    let (a, b) = (open("stores/a"), open("stores/b"));
    assert_eq!(latest(&a).sha256, latest(&b).sha256, "{context}: the replicas differ");
    let state = format!("{:?}", rows(&a, latest(&a).manifest.sequence));
    let published = format!("{:#?}", published(&env.path("results/out"), context));
    let bad = fs::read(env.path("dead/letters/bad.jsonl")).expect("there are bad records");
    [("state", state.into_bytes()), ("published", published.into_bytes()), ("bad records", bad)]
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .into()
}

const RUN: Scenario<'static> = Scenario {
    name: "run",
    arguments: &["run", "job.yaml", "--quiet"],
    intact: &["stores/a", "stores/b"],
    finish: &finish_run,
};

#[test]
fn a_run_after_a_crash_at_any_call() {
    let Some(strace) = strace() else { return };
    let env = job();
    crash_everywhere(&strace, &env, &FileSystem::load(env.dir()), &RUN, 40);
}

#[test]
fn a_run_that_resumes_after_a_killed_one_and_a_power_failure_at_any_call() {
    let Some(strace) = strace() else { return };
    let env = job();
    let mut system = FileSystem::load(env.dir());
    let (calls, _, _) = record(&strace, &env, RUN.arguments);
    // The death of the first run flushes nothing that it left unflushed.
    let mut random = Random(seed(0x5eed));
    let count = calls.len() / 4 + random.below(calls.len() as u64 / 2) as usize;
    calls[..count].iter().for_each(|call| system.apply(call));
    crash_everywhere(&strace, &env, &system, &Scenario { name: "resumed run", ..RUN }, 30);
}

#[test]
fn a_run_that_is_killed_or_refused_at_calls() {
    let Some(strace) = strace() else { return };
    let env = job();
    disturb_everywhere(&strace, &env, &FileSystem::load(env.dir()), &RUN, 30);
}

/// Creates a store with two replicas, with deltas, a folded base and a tombstone.
fn stores() -> Env {
    let env = Env::in_memory();
    let mut builder = StoreBuilder::keyed(&env.path("a"));
    let places = ["a", "b"].map(|name| Arc::new(LocalStorage::new(env.path(name))) as Arc<dyn ckpt::storage::Storage>);
    let (store, lock) = Store::open_for_writing(places.to_vec(), 2, "a test").expect("opened");
    store.set_places(["a", "b"].map(|name| env.path(name).display().to_string()).to_vec()).expect("noted");
    builder.store = store;
    builder.commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4)), ("xan", Some(9))]);
    builder.commit(&[("cyd", Some(30)), ("eve", Some(5))]);
    builder.restart();
    builder.commit(&[("dan", None), ("fay", Some(6))]);
    builder.commit(&[("ann", Some(7))]);
    drop((builder, lock));
    env
}

/// Returns what counts in stores: no locks, no leftovers, nothing that is only explanatory.
fn contents(env: &Env, stores: &[&str]) -> End {
    let mut end = End::new();
    for store in stores {
        let mut files = tree(&env.path(store));
        drop_unneeded(&mut files);
        let counts = |name: &String| {
            !name.ends_with("lock")
                && !is_temporary(name)
                && !name.starts_with("history/")
                && !name.starts_with("damaged/")
        };
        end.extend(
            files.into_iter().filter(|(name, _)| counts(name)).map(|(name, bytes)| (format!("{store}/{name}"), bytes)),
        );
    }
    end
}

fn again(env: &Env, arguments: &[&str], context: &str) -> Output {
    let output = env.run(arguments);
    assert_eq!(output.status, 0, "{context}, then again: {output}");
    output
}

const PRUNE: &[&str] = &["prune", "a", "--keep-last", "1", "--grace", "0s", "--yes", "--quiet"];

fn finish_prune(env: &Env, context: &str) -> End {
    again(env, PRUNE, context);
    check_intact(env, &["a", "b"], context);
    contents(env, &["a", "b"])
}

const RESTORE: &[&str] = &["restore", "a@1", "--quiet"];

fn finish_restore(env: &Env, context: &str) -> End {
    let list = again(env, &["inspect", "a@latest", "--json"], context).stdout;
    if !list.contains("\"trigger\": \"restore\"") && !list.contains("\"trigger\":\"restore\"") {
        again(env, RESTORE, context);
    }
    // It may be in one replica only.
    again(env, &["verify", "a", "--repair", "--quiet"], context);
    check_intact(env, &["a", "b"], context);
    let open = |name: &str| Store::open(vec![Arc::new(LocalStorage::new(env.path(name)))]).expect("a store");
    let latest = |name: &str| {
        let store = open(name);
        let latest = store.latest().expect("whole").expect("a checkpoint").manifest.sequence;
        format!("{latest} {:?}", rows(&store, latest)).into_bytes()
    };
    ["a", "b"].map(|name| (name.to_owned(), latest(name))).into()
}

const EXPORT: &[&str] = &["restore", "a@3", "--to", "exported", "--quiet"];

fn finish_export(env: &Env, context: &str) -> End {
    if !env.path("exported").exists() {
        again(env, EXPORT, context);
    }
    tree(&env.path("exported"))
}

const FILL: &[&str] = &["restore", "a@3", "--to", "filled", "--quiet"];

/// Fills the directory, which exists, and is empty, whole, or marked as incomplete.
fn finish_fill(env: &Env, context: &str) -> End {
    let found: Vec<String> = tree(&env.path("filled")).into_keys().filter(|name| !name.starts_with('.')).collect();
    let is_marked = found.iter().any(|name| name == "state-incomplete.parquet");
    assert!(is_marked || [0, 2].contains(&found.len()), "{context}: not all of the state: {found:?}");
    if found.len() != 2 || is_marked {
        again(env, FILL, context);
    }
    tree(&env.path("filled")).into_iter().filter(|(name, _)| !name.starts_with('.')).collect()
}

const COPY: &[&str] = &["copy", "a", "--to", "c", "--quiet"];

fn finish_copy(env: &Env, context: &str) -> End {
    again(env, COPY, context);
    check_intact(env, &["a", "c"], context);
    contents(env, &["a", "c"])
}

const REPAIR: &[&str] = &["verify", "a", "--repair", "--quiet"];

fn finish_repair(env: &Env, context: &str) -> End {
    again(env, REPAIR, context);
    check_intact(env, &["a", "b"], context);
    contents(env, &["a", "b"])
}

/// Damages files of every kind in the first replica.
fn damage(env: &Env) {
    fs::remove_dir_all(env.path("a/checkpoints/00000002")).expect("removed");
    env.write("a/checkpoints/00000003/manifest.yaml", "damaged");
    fs::remove_file(env.path("a/checkpoints/00000001/SHA256SUMS")).expect("removed");
    let objects: Vec<String> = tree(&env.path("a")).into_keys().filter(|name| name.starts_with("objects/")).collect();
    env.write(&format!("a/{}", objects[0]), "damaged");
    fs::remove_file(env.path(&format!("a/{}", objects[1]))).expect("removed");
}

/// A scenario, and what is done to the stores before.
type Prepared = (Scenario<'static>, fn(&Env));

fn operations() -> [Prepared; 6] {
    let whole: fn(&Env) = |_| ();
    let empty: fn(&Env) = |env| fs::create_dir(env.path("filled")).expect("created");
    [
        (Scenario { name: "prune", arguments: PRUNE, intact: &["a", "b"], finish: &finish_prune }, whole),
        (Scenario { name: "restore", arguments: RESTORE, intact: &["a", "b"], finish: &finish_restore }, whole),
        (Scenario { name: "restore --to", arguments: EXPORT, intact: &["a", "b"], finish: &finish_export }, whole),
        (
            Scenario {
                name: "restore --to an empty directory",
                arguments: FILL,
                intact: &["a", "b"],
                finish: &finish_fill,
            },
            empty,
        ),
        (Scenario { name: "copy", arguments: COPY, intact: &["a", "c"], finish: &finish_copy }, whole),
        (Scenario { name: "verify --repair", arguments: REPAIR, intact: &["b"], finish: &finish_repair }, damage),
    ]
}

#[test]
fn operations_after_a_crash_at_any_call() {
    let Some(strace) = strace() else { return };
    for (scenario, prepare) in operations() {
        let env = stores();
        prepare(&env);
        crash_everywhere(&strace, &env, &FileSystem::load(env.dir()), &scenario, 16);
    }
}

#[test]
fn operations_that_are_killed_or_refused_at_calls() {
    let Some(strace) = strace() else { return };
    for (scenario, prepare) in operations() {
        let env = stores();
        prepare(&env);
        disturb_everywhere(&strace, &env, &FileSystem::load(env.dir()), &scenario, 12);
    }
}
