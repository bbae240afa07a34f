//! SIGKILL at any moment, as often as one likes: the end is that of an undisturbed run.

use std::fs::{self, File};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ckpt::runner::recover::recover;
use ckpt::storage::local::LocalStorage;
use ckpt::store::Store;

use super::data::{AGGREGATES, Random, clicks, csv, gzip, json};
use super::published::{changes, net};
use super::{checkpoints, manifest};
use crate::support::{Env, code};

/// So often is a job killed at least, over one or several lives from beginning to end.
const KILLS: usize = 10;

/// The variables `CKPT_SEED` and `CKPT_SOAK_SECONDS` choose the moments and lengthen the test.
pub(super) fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A job that is killed: what its file says beside the aggregates and output, and its input.
struct Case<'a> {
    job: &'a str,
    /// What `process` has beside the aggregates.
    process: &'a str,
    files: Vec<(String, Vec<u8>)>,
    arguments: &'a [&'a str],
    /// The files that it writes.
    written: &'a [&'a str],
    /// The exit code of a run that reaches the end.
    status: i32,
    /// What its output is.
    output: Published,
}

/// What a job publishes in `out`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Published {
    /// The files that it writes, and nothing else.
    AtTheEnd,
    /// Files of changes, which together give the state.
    Changes,
    /// Files of closed windows.
    Windows,
}

/// Input of many small files and two larger ones: many blocks, and so many places for a cut.
fn input(ending: &str, render: impl Fn(u64, usize) -> Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let part = |i: u64| (format!("data-{i:04}.{ending}"), render(i, if i.is_multiple_of(500) { 7_000 } else { 60 }));
    (0..1_000).map(part).collect()
}

fn prepare(case: &Case<'_>) -> Env {
    let env = Env::in_memory();
    for (name, content) in &case.files {
        env.write(name, content);
    }
    env.write("job.yaml", format!("job: j\n{}\nprocess:\n  aggregate:{AGGREGATES}\n{}", case.job, case.process));
    env
}

/// All rows of the latest checkpoint, sorted.
fn state(env: &Env) -> Vec<(Vec<u8>, Vec<u8>)> {
    let store = Store::open(vec![Arc::new(LocalStorage::new(env.path("store")))]).expect("a store");
    let latest = store.latest().expect("whole").expect("a checkpoint");
    let mut rows = Vec::new();
    for shard in recover(&store, latest, 2).expect("recovered").shards {
        shard.for_each(|key, value| rows.push((key.to_vec(), value.to_vec())));
    }
    rows.sort();
    rows
}

fn killed_runs_end_as_an_undisturbed_one(case: &Case<'_>) {
    let calm = prepare(case);
    let arguments = [&["run", "job.yaml"], case.arguments].concat();
    calm.run(&arguments).expect(case.status);
    assert!(checkpoints(&calm.path("store")).len() >= 5, "there is little to be cut short");
    let (calm_state, begun) = (state(&calm), Instant::now());

    let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64;
    let seed = variable("CKPT_SEED").unwrap_or(clock);
    println!("CKPT_SEED={seed}");
    let mut random = Random(seed);
    let soak = Duration::from_secs(variable("CKPT_SOAK_SECONDS").unwrap_or(0));
    let mut kills = 0;
    // A run must live long enough to get ahead: so long, in microseconds, is learned.
    let mut longest_life = 40_000;
    while kills < KILLS || begun.elapsed() < soak {
        let env = prepare(case);
        loop {
            let before = checkpoints(&env.path("store"));
            let stderr = File::create(env.path("stderr")).expect("created");
            let mut child = env
                .command(&arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(stderr)
                .spawn()
                .expect("started");
            let end = Instant::now() + Duration::from_micros(random.below(longest_life));
            let mut status = None;
            while status.is_none() && Instant::now() < end {
                std::thread::sleep(Duration::from_micros(300));
                status = child.try_wait().expect("waited");
            }
            if status.is_none() {
                child.kill().expect("killed");
                kills += 1;
            }
            let status = code(child.wait().expect("waited"));
            let said = env.read("stderr");
            if let Some(latest) = before.last() {
                assert!(!said.contains("starts from nothing"), "there was checkpoint {latest}: {said}");
                let resumes = format!("j: resumes from checkpoint {latest} of store");
                assert!(status == 137 || said.contains(&resumes), "{resumes}: {said}");
            }
            let after = checkpoints(&env.path("store"));
            assert!(after.len() >= before.len(), "{before:?} {after:?}");
            match status {
                137 if after.len() == before.len() => longest_life += longest_life / 4,
                137 => {}
                other => {
                    assert_eq!(other, case.status, "{said}");
                    break;
                }
            }
        }
        for name in case.written {
            assert!(fs::read(env.path(name)).unwrap() == fs::read(calm.path(name)).unwrap(), "{name} differs");
        }
        assert!(state(&env) == calm_state, "the state differs");
        let mut previous = None;
        let mut was_behind = false;
        for number in checkpoints(&env.path("store")) {
            let manifest = manifest(&env.path("store"), number);
            let line =
                |name: &str| manifest.lines().find_map(|line| line.strip_prefix(name)).expect("a field").to_owned();
            let (block, ended) = (line("block: ").parse::<u64>().expect("a number"), line("ended: "));
            // Shards that were behind may be taken without any new block.
            let is_new = was_behind || previous < Some((block, ended.clone()));
            assert!(is_new, "nothing is new in checkpoint {number}");
            was_behind = manifest.contains("older_cuts:");
            previous = Some((block, ended));
        }
        match case.output {
            Published::AtTheEnd => {
                let left = super::files(&env.path("out")).len();
                assert_eq!(left, case.written.len(), "nothing that was written aside is left");
            }
            Published::Changes => assert!(net(&changes(&env)) == net(&changes(&calm)), "the changes differ"),
            Published::Windows => {
                let [mut rows, mut calm] = [changes(&env), changes(&calm)].map(|files| files.concat());
                rows.sort();
                calm.sort();
                assert!(calm.len() > 50 && rows == calm, "each window is closed once");
            }
        }
    }
}

#[test]
fn with_one_thread() {
    killed_runs_end_as_an_undisturbed_one(&Case {
        job: "input: data-*.jsonl\nkey: user.id\ncheckpoint: {store: store, schedule: 20ms}\noutput: out",
        process: "",
        files: input("jsonl", |seed, count| json(&clicks(seed, count, 3_000)).bytes),
        arguments: &["--threads", "1"],
        written: &["out/j.jsonl"],
        status: 0,
        output: Published::AtTheEnd,
    });
}

#[test]
fn with_four_threads_and_state_bytes() {
    killed_runs_end_as_an_undisturbed_one(&Case {
        job: "input: data-*.jsonl\nkey: user.id\ntasks: 1000000\ncheckpoint: {store: store, schedule: 20ms, state_bytes: 100KiB}\noutput: {files: out, format: csv}",
        process: "",
        files: input("jsonl", |seed, count| json(&clicks(seed, count, 9_000)).bytes),
        arguments: &["--threads", "4"],
        written: &["out/j.csv"],
        status: 0,
        output: Published::AtTheEnd,
    });
}

#[test]
fn with_bad_records_in_a_dead_letter_file() {
    let spoil = |seed, bytes: Vec<u8>| {
        let mut random = Random(seed);
        let mut spoiled = Vec::new();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            match random.below(50) {
                0 => spoiled.extend_from_slice(b"{\"user\":{\"id\":7},\"amount\":\"much\"}\n"),
                1 => spoiled.extend_from_slice(b"\xff not JSON\n"),
                _ => {}
            }
            spoiled.extend_from_slice(line);
        }
        spoiled
    };
    killed_runs_end_as_an_undisturbed_one(&Case {
        job: "input: {files: data-*.jsonl, types: {amount: number}, on_error: {dead_letter: out/bad.jsonl}}\nkey: user.id\ncheckpoint: {store: store, schedule: 20ms}\noutput: out",
        process: "",
        files: input("jsonl", |seed, count| spoil(seed, json(&clicks(seed, count, 2_000)).bytes)),
        arguments: &["--threads", "2"],
        written: &["out/j.jsonl", "out/bad.jsonl"],
        status: 3,
        output: Published::AtTheEnd,
    });
}

#[test]
fn without_a_key_from_compressed_csv() {
    killed_runs_end_as_an_undisturbed_one(&Case {
        job: "input: data-*.csv.gz\ncheckpoint: {store: store, schedule: 20ms}\noutput: out",
        process: "",
        files: input("csv.gz", |seed, count| gzip(&csv(&clicks(seed, count, 10)).bytes)),
        arguments: &["--threads", "2"],
        written: &["out/j.jsonl"],
        status: 0,
        output: Published::AtTheEnd,
    });
}

/// Files whose records come in the order of their time, but for some.
fn in_time(files: u64, count: usize) -> Vec<(String, Vec<u8>)> {
    let part = |file: u64| {
        let mut random = Random(file);
        let mut all = clicks(file, count, 50);
        for (i, click) in all.iter_mut().enumerate() {
            let behind = if random.below(500) == 0 { random.below(3_000) } else { random.below(40) };
            click.ts = 1_795_356_000_000 + i as i64 * 5 - behind as i64;
            // Users come and go.
            click.user = format!("{}-{}", click.user, i / 400);
        }
        (format!("data-{file:04}.jsonl"), json(&all).bytes)
    };
    (0..files).map(part).collect()
}

#[test]
fn with_a_file_of_changes_for_each_checkpoint() {
    killed_runs_end_as_an_undisturbed_one(&Case {
        job: "input: data-*.jsonl\nkey: user.id\ncheckpoint: {store: store, schedule: 20ms}\noutput: {files: out, emit: changes}",
        process: "",
        files: input("jsonl", |seed, count| json(&clicks(seed, count, 3_000)).bytes),
        arguments: &["--threads", "2"],
        written: &[],
        status: 0,
        output: Published::Changes,
    });
}

#[test]
fn with_windows_and_late_records() {
    killed_runs_end_as_an_undisturbed_one(&Case {
        job: "input: data-*.jsonl\nkey: country\ntasks: 8\ncheckpoint: {store: store, schedule: 5ms}\noutput: {files: out, emit: changes}",
        process: "  window: {time: ts, unit: ms, every: 500ms, length: 1s, late: 30ms, on_late: {dead_letter: late.jsonl}}\n",
        files: in_time(12, 9_000),
        arguments: &["--threads", "2"],
        written: &["late.jsonl"],
        status: 3,
        output: Published::Windows,
    });
}

#[test]
fn with_keys_that_expire() {
    killed_runs_end_as_an_undisturbed_one(&Case {
        job: "input: data-*.jsonl\nkey: user.id\ncheckpoint: {store: store, schedule: 5ms}\noutput: {files: out, emit: changes, format: json}",
        process: "  ttl: 1s\n  time: ts\n  unit: ms\n",
        files: in_time(16, 16_000),
        arguments: &["--threads", "2"],
        written: &[],
        status: 0,
        output: Published::Changes,
    });
}

/// Classes of which few are taken each time, so that the shards of nearly every checkpoint have cuts of their own.
const PRIORITY: &str = "mode: priority, max_staleness: 400ms, budget: 20KiB, priorities: [{name: first, tasks: 0-7, weight: 9}, \
     {name: often, key: 'key.startsWith(\"7\")', weight: 5, every: 2}, {name: seldom, weight: 1, every: 5}]";

#[test]
fn with_classes_of_priority_whose_shards_have_cuts_of_their_own() {
    let files = || input("jsonl", |seed, count| json(&clicks(seed, count, 9_000)).bytes);
    let job = |more: &str| {
        format!(
            "input: {{files: data-*.jsonl, types: {{amount: number}}, on_error: {{dead_letter: out/bad.jsonl}}}}\nkey: user.id\ntasks: 64\ncheckpoint: {{store: store, schedule: 20ms, {more}}}\noutput: out"
        )
    };
    let (written, arguments) = (&["out/j.jsonl", "out/bad.jsonl"], &["--threads", "2"]);
    let priority = job(PRIORITY);
    let mut spoiled = files();
    for (_, content) in spoiled.iter_mut().step_by(7) {
        content.extend_from_slice(b"{\"user\":{\"id\":7},\"amount\":\"much\"}\n");
    }
    let case = |job| Case {
        job,
        process: "",
        files: spoiled.clone(),
        arguments,
        written,
        status: 3,
        output: Published::AtTheEnd,
    };
    killed_runs_end_as_an_undisturbed_one(&case(&priority));
    // And that is the end of a run that takes all that changed each time.
    let elided = job("mode: elided");
    let ends: Vec<(Vec<u8>, Vec<u8>, Vec<_>)> = [&priority, &elided]
        .into_iter()
        .map(|job| {
            let env = prepare(&case(job));
            env.run(&[&["run", "job.yaml"][..], arguments].concat()).expect(3);
            (fs::read(env.path(written[0])).unwrap(), fs::read(env.path(written[1])).unwrap(), state(&env))
        })
        .collect();
    assert!(ends[0] == ends[1], "the modes differ");
}

#[test]
fn with_classes_of_priority_and_a_file_of_changes_for_each_checkpoint() {
    let job = format!(
        "input: data-*.jsonl\nkey: user.id\ntasks: 64\ncheckpoint: {{store: store, schedule: 20ms, {PRIORITY}}}\noutput: {{files: out, emit: changes}}"
    );
    killed_runs_end_as_an_undisturbed_one(&Case {
        job: &job,
        process: "",
        files: input("jsonl", |seed, count| json(&clicks(seed, count, 3_000)).bytes),
        arguments: &["--threads", "2"],
        written: &[],
        status: 0,
        output: Published::Changes,
    });
}
