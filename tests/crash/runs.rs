//! Whole runs, with all their threads: commits with deltas and folding, replicas, publication, recovery and the log of
//! attempts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ckpt::input::record::{BadRecord, Field};
use ckpt::job::{FieldPath, JobSpec};
use ckpt::runner::error::RunError;
use ckpt::runner::observer::{Observer, RunEvent, Status, Summary};
use ckpt::runner::options::{Control, Options};
use ckpt::runner::pipeline::restart::run;
use ckpt::runner::process::processor::{Context, ProcessError, Processor, Processors};
use ckpt::runner::state::row_mut::RowMut;
use ckpt::runner::storage_opener::StorageOpener;
use ckpt::runner::wall_clock::WallClock;
use ckpt::storage::Storage;
use ckpt::store::Store;
use ckpt::values::value::{Column, ColumnType};
use jiff::Timestamp;

use super::{Aftermath, Copies, Rows, Tally, after, check_disks, copies, is_hidden, published, trials};
use crate::support::Env;
use crate::support::in_process::resume_from_each;
use crate::support::random::{Random, seed};
use crate::support::simulated::{Disk, Fault, Process, Survival};

/// The number of input files: each is a block, so a cut is possible after each.
const FILES: usize = 64;

/// Writes the input, which has bad records and changes keys over and over.
fn write_input(env: &Env) {
    for file in 0..FILES {
        let mut random = Random(file as u64);
        let mut text = String::new();
        for _ in 0..12 {
            let (key, amount) = (random.below(40), random.below(1_000));
            text += &format!("{{\"k\":\"key {key}\",\"amount\":{amount}}}\n");
        }
        if file % 3 == 0 {
            text += "{\"k\":\"key 1\",\"amount\":\"much\"}\n";
        }
        env.write(&format!("data/{file:02}.jsonl"), text);
    }
}

/// Counts and sums, and takes its time over each record, so that there are checkpoints meanwhile however busy the
/// machine is.
#[derive(Debug)]
struct Slow {
    fields: Vec<FieldPath>,
    columns: Vec<Column>,
}

impl Slow {
    fn make(_: &JobSpec) -> Result<Arc<dyn Processor>, String> {
        let columns = ["n", "sum"].map(|name| Column::new(name, ColumnType::Int)).to_vec();
        Ok(Arc::new(Slow { fields: vec![FieldPath::of("amount")], columns }))
    }
}

impl Processor for Slow {
    fn fields(&self) -> &[FieldPath] {
        &self.fields
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn pack(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord> {
        thread::sleep(Duration::from_micros(100));
        let amount = match &fields[0] {
            Field::Number(text) => text.parse::<i64>().ok(),
            _ => None,
        };
        let amount = amount.ok_or_else(|| BadRecord { reason: "no amount".to_owned() })?;
        packed.extend_from_slice(&amount.to_le_bytes());
        Ok(())
    }

    fn apply(&self, arguments: &[u8], row: &mut RowMut<'_>, _: &mut Context<'_>) -> Result<(), ProcessError> {
        let amount = i64::from_le_bytes(arguments.try_into().expect("as packed"));
        row.set_int(0, row.int(0) + 1);
        row.set_int(1, row.int(1) + amount);
        Ok(())
    }
}

/// What a run reports, without anyone listening.
struct Silence;

impl Observer for Silence {
    fn event(&self, _: &RunEvent) {}

    fn status(&self, _: &Status) {}
}

/// Runs the job whose file is at `job` on `disks`, the stores `a`, `b` and so on.
pub fn run_job(
    job: &Path,
    text: &str,
    disks: &[Disk],
    process: &Process,
    control: &Control,
) -> Result<Summary, RunError> {
    let storages = disks.iter().map(|disk| Arc::new(disk.open(process)) as Arc<dyn Storage>).collect();
    run_job_on(job, text, storages, false, control)
}

/// Does the same on storages, and skips damaged checkpoints if `latest_good` is set.
pub fn run_job_on(
    job: &Path,
    text: &str,
    storages: Vec<Arc<dyn Storage>>,
    latest_good: bool,
    control: &Control,
) -> Result<Summary, RunError> {
    let job = JobSpec::from_bytes(text.as_bytes(), job).expect("a job");
    let opened: BTreeMap<&str, Arc<dyn Storage>> = ["a", "b", "c"].into_iter().zip(storages).collect();
    let options = Options {
        threads: 2,
        must_resume: false,
        latest_good,
        holder: "a test".to_owned(),
        clock: WallClock::new(Timestamp::now),
        random: [7; 16],
        processors: processors(),
        storages: StorageOpener::new(move |path| {
            let name = path.file_name().expect("the file has a name").to_string_lossy().into_owned();
            Arc::clone(&opened[name.as_str()])
        }),
        environment: Vec::new(),
        share: None,
        assumed_output: None,
    };
    run(&job, &options, control, &Silence)
}

/// What remains at the end of a job: the rows of the latest checkpoint, and the files that were written.
#[derive(Debug, PartialEq, Eq)]
struct End {
    rows: Rows,
    /// Rows that were published, by key; for files of changes, their net effect.
    published: BTreeMap<String, serde_json::Value>,
    bad: String,
}

fn end(directory: &Path, disks: &[Disk], context: &str) -> End {
    let store = Store::open(disks.iter().map(|disk| Arc::new(disk.calm()) as Arc<dyn Storage>).collect());
    let store = store.unwrap_or_else(|error| panic!("{context}: {error}"));
    let latest = store.latest().expect("whole").expect("a checkpoint");
    assert!(latest.manifest.ended, "{context}");
    let staged = fs::read_dir(directory.join("out")).expect("a directory").map(|entry| entry.expect("listed").path());
    assert_eq!(staged.filter(|path| is_hidden(path)).count(), 0, "{context}: no staged output is left");
    End {
        rows: super::rows(&store, latest.manifest.sequence),
        published: published(&directory.join("out"), context),
        bad: fs::read_to_string(directory.join("out/bad.jsonl")).expect("there are bad records"),
    }
}

/// Checks that a run resumes from each checkpoint on `disks`, and ends with `expected`.
fn resume_everywhere(env: &Env, disks: &[Disk], text: &str, expected: &Rows) {
    let store = Store::open(disks.iter().map(|disk| Arc::new(disk.calm()) as Arc<dyn Storage>).collect());
    let alone = text.replace(", replicas: [b]", "");
    let alone = alone.lines().filter(|line| !line.starts_with("output:")).map(|line| format!("{line}\n"));
    let alone = alone.collect::<String>().replace("{dead_letter: out/bad.jsonl}", "skip");
    resume_from_each(&store.expect("a store"), env.dir(), &alone, &processors(), |sequence, end| {
        let latest = end.latest().expect("read").expect("a checkpoint").manifest;
        assert_eq!(&super::rows(end, latest.sequence), expected, "resumed from checkpoint {}", sequence.0);
    });
}

fn processors() -> Processors {
    Processors::default().with("slow", Slow::make)
}

/// Tries faults at every point of a run, and of the run after it.
fn try_faults(name: &str, checkpoint: &str, output: &str, places: usize, sample: usize) {
    let env = Env::in_memory();
    write_input(&env);
    let mut random = Random(seed(0x5eed));
    let data = env.path("data");
    let text = format!(
        "job: j\ninput: {{files: {}/*.jsonl, on_error: {{dead_letter: out/bad.jsonl}}}}\nkey: k\ntasks: 8\n\
         process: {{native: slow}}\ncheckpoint: {{store: a, {checkpoint}}}\noutput: {{files: out, {output}}}\n",
        data.display()
    );
    let fresh = || -> Vec<Disk> { (0..places).map(|_| Disk::new()).collect() };
    // How many checkpoints are taken in time depends on how busy the machine is.
    let undisturbed = |number: u64| {
        let (disks, calm, directory) = (fresh(), Process::default(), env.path(&format!("calm-{number}")));
        run_job(&directory.join("job.yaml"), &text, &disks, &calm, &Control::default())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let checkpoints = *check_disks(&disks, &Copies::new(), name).last().expect("there are checkpoints");
        (checkpoints, calm, end(&directory, &disks, "undisturbed"))
    };
    let (checkpoints, calm, expected) =
        (0..3).map(undisturbed).max_by_key(|(checkpoints, ..)| *checkpoints).expect("three");
    println!("{name}: {checkpoints} checkpoints");
    assert!(checkpoints >= 2, "{checkpoints} checkpoints are too few to interrupt");
    let mut tally = Tally::default();
    let trials = trials(calm.changes(), calm.calls(), sample, &mut random);
    for (number, (fault, aftermath)) in trials.into_iter().enumerate() {
        let (disks, process) = (fresh(), Process::new(fault));
        let directory = env.path(&format!("try-{number}"));
        let job = directory.join("job.yaml");
        let outcome = run_job(&job, &text, &disks, &process, &Control::default());
        let Some(struck) = process.struck() else { continue };
        match fault {
            Fault::Die { .. } => tally.deaths += 1,
            Fault::Refuse { .. } => tally.refusals += 1,
            _ => tally.full += 1,
        }
        let outcome = outcome.map(drop);
        let context = format!("{name}: {fault:?} at `{struck}`, {outcome:?}, then {aftermath:?}");
        let disks = check_after(&disks, aftermath, &context);
        // The next one dies as well, anywhere.
        let second = Process::new(Fault::Die {
            change: random.below(calm.changes()),
            moment: *random.choose(&super::Moment::ALL),
        });
        let outcome = run_job(&job, &text, &disks, &second, &Control::default()).map(drop);
        let context = format!("{context}, then again {:?}, {outcome:?}", second.struck());
        let aftermath = if number % 2 == 0 { Aftermath::Death } else { Aftermath::PowerFailure(Survival::None) };
        let disks = check_after(&disks, aftermath, &context);
        let last = run_job(&job, &text, &disks, &Process::default(), &Control::default());
        last.unwrap_or_else(|error| {
            panic!("{context}, then undisturbed: {error} {:?}", std::error::Error::source(&error))
        });
        let disks = after(&disks, Aftermath::PowerFailure(Survival::None));
        check_disks(&disks, &Copies::new(), &context);
        let found = end(&directory, &disks, &context);
        assert!(found == expected, "{context}: {found:?}\nexpected {expected:?}");
        if number % 16 == 0 {
            resume_everywhere(&env, &disks, &text, &expected.rows);
        }
        let _ = fs::remove_dir_all(&directory);
    }
    tally.print(name, calm.changes(), calm.calls());
}

/// Returns what is left after a death. Every durable checkpoint exists, except older ones that were pruned, and holds
/// what it held.
#[track_caller]
fn check_after(disks: &[Disk], aftermath: Aftermath, context: &str) -> Vec<Disk> {
    let durable = check_disks(&after(disks, Aftermath::PowerFailure(Survival::None)), &Copies::new(), context);
    let left = after(disks, aftermath);
    let there = check_disks(&left, &committed(disks), context);
    let newest = durable.last().copied();
    assert!(there.last().copied() >= newest, "{context}: checkpoint {newest:?} is lost: {there:?}");
    // A prune may take the older ones at any time.
    let is_pruned = disks[0].files().keys().any(|name| name.contains("history/0000"));
    assert!(is_pruned || there.is_superset(&durable), "{context}: {durable:?} are durable, but only {there:?} exist");
    left
}

/// Returns full copies of the checkpoints that a dead process left: their content never changes again.
fn committed(disks: &[Disk]) -> Copies {
    let mut all = Copies::new();
    for disk in disks {
        if let Ok(store) = Store::open(vec![Arc::new(disk.after_death().calm())]) {
            all.extend(copies(&store));
        }
    }
    all
}

#[test]
fn a_run_with_one_file_at_its_end() {
    try_faults("run", "records: 120", "emit: final", 1, 12);
}

#[test]
fn a_run_with_a_replica_and_a_file_of_changes_for_each_checkpoint() {
    try_faults("run with a replica and changes", "replicas: [b], records: 60", "emit: changes", 2, 12);
}

#[test]
fn a_run_that_keeps_few_checkpoints() {
    try_faults("run with keep", "keep: {last: 1, grace: 0s}, records: 60", "emit: final", 1, 12);
}
