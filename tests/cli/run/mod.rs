//! `ckpt run`: the real binary on real input.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Env;

mod bad_limits;
mod bad_records;
mod chains;
mod changes;
mod columns;
mod composite_jobs;
mod composite_keys;
mod conditions;
mod data;
mod deletions;
mod disk;
mod early;
mod emit_changes;
mod exec;
mod follow;
mod follow_compressed;
mod follow_identity;
mod formats;
mod globs;
mod having;
mod history;
mod input;
mod job_file;
mod latest_good;
mod layouts;
mod log;
mod metrics;
mod modes;
#[cfg(feature = "s3")]
mod object_faults;
#[cfg(feature = "s3")]
mod objects;
#[cfg(feature = "s3")]
mod objects_replaced;
mod output;
mod paths;
mod patterns;
mod programs;
mod protocol;
mod published;
mod python;
mod python_package;
mod quantiles;
mod rejects;
mod replicas;
mod resources;
mod results;
mod retention;
mod settings;
mod signals;
mod soak;
mod store;
mod summary;
mod trickle;
mod types;
mod values;
mod windows;

/// How long a test waits for something that must happen soon.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the numbers of the checkpoints in `store`, ascending.
pub(super) fn checkpoints(store: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(store.join("checkpoints")) else { return Vec::new() };
    let names = entries.map(|entry| entry.expect("listed").file_name().into_string().expect("UTF-8"));
    let mut numbers: Vec<u64> = names.filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// Returns the text of the manifest of checkpoint `number`.
fn manifest(store: &Path, number: u64) -> String {
    fs::read_to_string(store.join(format!("checkpoints/{number:08}/manifest.yaml"))).expect("a manifest")
}

/// Returns the paths of all files in `dir`, sorted.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    if !dir.exists() {
        return Vec::new();
    }
    let found = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(|entry| entry.expect("listed"));
    found.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

pub(super) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the process exists");
}

/// Waits for the end of `child`, and returns its exit code.
#[track_caller]
pub(super) fn wait(child: &mut Child, patience: Duration) -> i32 {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("waited") {
            return crate::support::code(status);
        }
        if begun.elapsed() > patience {
            child.kill().expect("killed");
            child.wait().expect("waited");
            panic!("the run did not end within {patience:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub(super) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a run with `SLOW` set, which its program knows, and kills it once the store `s` has a checkpoint; and again
/// once it has more.
pub(in crate::cli) fn kill_slow_runs(env: &mut Env, arguments: &[&str]) {
    env.set("SLOW", "1");
    for least in [1, 3] {
        let mut command = env.command(arguments);
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        until("there is a checkpoint", || {
            checkpoints(&env.path("s")).len() >= least || run.try_wait().is_ok_and(|end| end.is_some())
        });
        run.kill().expect("killed");
        run.wait().expect("waited");
    }
    env.set("SLOW", "");
}

/// Writes a job file `job.yaml` that counts the records of `data.jsonl` by `k`, with `more` at its end.
pub(super) fn counting(env: &Env, more: &str) {
    let text = format!(
        "job: counting\ninput: {{files: data.jsonl}}\nkey: k\ntasks: 8\nprocess: {{aggregate: {{n: count}}}}\noutput: out/\n{more}"
    );
    env.write("job.yaml", text);
}
