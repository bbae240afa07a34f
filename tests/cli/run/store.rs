//! The store: who holds it, which job it belongs to, and what happens when it is damaged or gone. Never a silent start
//! from scratch.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::{checkpoints, counting, files, until, wait};
use crate::support::{Env, Output};

const STORE: &str = "checkpoint: {store: store}\n";

/// A job that has run to its end, with one checkpoint.
fn finished() -> Env {
    let env = Env::new();
    counting(&env, STORE);
    env.write("data.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"a\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    env
}

#[track_caller]
fn fails(env: &Env, status: i32, stderr: &str) {
    let Output { stdout, stderr: found, .. } = env.run(&["run", "job.yaml", "--quiet"]).expect(status);
    assert_eq!((stdout.as_str(), found.as_str()), ("", stderr));
}

#[test]
fn a_second_run_reports_who_holds_the_store_and_a_killed_run_holds_nothing() {
    let env = Env::new();
    counting(&env, STORE);
    let text = env.read("job.yaml").replace("{files: data.jsonl}", "{files: '-', format: json}");
    env.write("job.yaml", text);
    let mut command = env.command(&["run", "job.yaml"]);
    let mut first = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    until("the store is locked", || fs::metadata(env.path("store/lock")).is_ok_and(|lock| lock.len() > 0));
    let second = env.run(&["run", "job.yaml"]).expect(11);
    let holder = format!("error: `store` is in use by `ckpt run` of job counting, process {} on ", first.id());
    assert!(second.stderr.starts_with(&holder), "{second}");
    assert_eq!(second.stdout, "");
    first.kill().expect("killed");
    wait(&mut first, Duration::from_secs(5));
    env.run_with_input(&["run", "job.yaml"], b"{\"k\":\"a\"}\n").expect(0);
}

#[test]
fn must_resume_refuses_to_start_from_scratch() {
    let env = Env::new();
    counting(&env, STORE);
    env.write("data.jsonl", "{\"k\":\"a\"}\n");
    let refused = env.run(&["run", "--must-resume", "job.yaml"]).expect(10);
    assert_eq!(
        refused.stderr,
        "error: `store` has no checkpoint to resume from\nhint: omit `--must-resume` to start from scratch\n"
    );
    assert!(!env.path("store").exists() && !env.path("out").exists());
    let fresh = env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(fresh.stderr, "counting: starts from scratch; checkpoints go to store\n");
    let resumed = env.run(&["run", "--must-resume", "job.yaml"]).expect(0);
    // How long ago that was depends on how busy the machine is.
    assert!(resumed.stderr.starts_with("counting: resumes from checkpoint 1 of store ("), "{resumed}");
    assert!(resumed.stderr.ends_with("): 1 record, 1 key\n"), "{resumed}");
}

#[test]
fn a_missing_store_is_an_error_while_its_output_exists() {
    let env = finished();
    fs::rename(env.path("store"), env.path("away")).unwrap();
    fails(
        &env,
        10,
        "error: `store` is not a store, yet the published output `out/counting.jsonl` exists: the checkpoints are missing\n\
         hint: put the store back, or move `out/counting.jsonl` away to start from scratch\n",
    );
    assert!(!env.path("store").exists());
    fs::rename(env.path("away"), env.path("store")).unwrap();
    fs::rename(env.path("store/checkpoints"), env.path("away")).unwrap();
    let lost = env.run(&["run", "job.yaml", "--quiet"]).expect(10).stderr;
    assert!(lost.starts_with("error: `store` has no checkpoint, but its history names checkpoint 1: "), "{lost}");
    // The history is gone too.
    fs::remove_dir_all(env.path("store/history")).unwrap();
    fails(
        &env,
        10,
        "error: `store` has no checkpoint, yet the published output `out/counting.jsonl` exists: the checkpoints are missing\n\
         hint: put the checkpoints back, or move `out/counting.jsonl` away to start from scratch\n",
    );
    fs::remove_file(env.path("out/counting.jsonl")).unwrap();
    env.run(&["run", "job.yaml"]).expect(0);
}

#[test]
fn a_store_of_another_job_or_of_a_newer_format_is_not_touched() {
    let env = finished();
    let before = files(&env.path("store"));
    let job = env.read("job.yaml");
    env.write("job.yaml", job.replace("job: counting", "job: other"));
    fails(
        &env,
        2,
        "error: `store` holds the checkpoints of job `counting`, not of `other`\n\
         hint: change `job:` or `checkpoint: store:` in job.yaml\n",
    );
    env.write("job.yaml", job);
    let file = env.read("store/store.yaml");
    env.write("store/store.yaml", file.replace("format: 1", "format: 2"));
    fails(
        &env,
        4,
        "error: cannot read `store/store.yaml`\n  caused by: store format 2 is not known to this version, which reads format 1\n\
         hint: use the version of ckpt that wrote it, or a later one\n",
    );
    assert_eq!(files(&env.path("store")), before);
}

#[test]
fn a_damaged_latest_checkpoint_stops_the_run_whatever_part_of_it_is_damaged() {
    let env = finished();
    env.write("data.jsonl", env.read("data.jsonl") + "{\"k\":\"c\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(checkpoints(&env.path("store")), [1, 2]);
    env.write("data.jsonl", env.read("data.jsonl") + "{\"k\":\"d\"}\n");
    let sums = env.read("store/checkpoints/00000002/SHA256SUMS");
    let objects: Vec<String> = sums
        .lines()
        .filter_map(|line| line.split_once("objects/"))
        .map(|(_, object)| format!("store/objects/{object}"))
        .collect();
    assert!(objects.len() >= 4, "{sums}");
    let manifest = "store/checkpoints/00000002/manifest.yaml".to_owned();
    let all = files(&env.path("store"));
    for name in objects.iter().chain([&manifest]) {
        let good = fs::read(env.path(name)).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 4;
        for bad in [Some(flipped), Some(good[..good.len() - 1].to_vec()), Some(Vec::new()), None] {
            match &bad {
                Some(bad) => fs::write(env.path(name), bad).unwrap(),
                None => fs::remove_file(env.path(name)).unwrap(),
            }
            let output = env.run(&["run", "job.yaml"]).expect(12);
            assert_eq!(output.stdout, "");
            assert!(output.stderr.starts_with("error: ") && output.stderr.contains("\nhint: `ckpt verify"), "{output}");
            fs::write(env.path(name), &good).unwrap();
        }
    }
    assert_eq!(files(&env.path("store")), all);
    env.run(&["run", "job.yaml"]).expect(0);
    assert!(env.read("out/counting.jsonl").ends_with("{\"k\":\"d\",\"n\":1}\n"));
}

#[test]
fn a_directory_that_is_not_a_store_is_not_written_to() {
    let env = Env::new();
    counting(&env, STORE);
    env.write("data.jsonl", "{\"k\":\"a\"}\n");
    env.write("store", "a file");
    env.run(&["run", "job.yaml"]).expect(2);
    assert_eq!(env.read("store"), "a file");
    fs::remove_file(env.path("store")).unwrap();
    env.write("store/precious.txt", "mine");
    env.run(&["run", "job.yaml"]);
    assert_eq!(env.read("store/precious.txt"), "mine");
}

#[test]
fn a_job_file_that_no_longer_fits_is_reported_exactly() {
    let env = finished();
    let job = env.read("job.yaml");
    let hint = "hint: undo the change, or start over in a new store (`checkpoint: store:`)\n";
    let unfit = "error: job.yaml does not fit the state in checkpoint 1\n  caused by: ";
    env.write("job.yaml", job.replace("key: k", "key: l").replace("{n: count}", "{n: count(k), m: max(k)}"));
    let causes = "the key was `k`, is now `l`\n  caused by: aggregate `n` was count, is now count(k)\n";
    fails(&env, 2, &format!("{unfit}{causes}{hint}"));
    let fitting = job
        .replace("out/", "{files: out, format: csv}")
        .replace(STORE, "where: k != \"a\"\ncheckpoint: {store: store, schedule: 1h}\n");
    env.write("job.yaml", fitting);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/counting.csv"), "k,n\na,2\nb,1\n");
}

#[test]
fn a_store_that_lost_its_store_file_gets_no_new_identity() {
    let env = finished();
    fs::remove_file(env.path("store/store.yaml")).unwrap();
    fs::remove_dir_all(env.path("out")).unwrap();
    fails(
        &env,
        12,
        "error: `store` has checkpoints, but no `store.yaml`\n\
         hint: restore `store.yaml` from a copy of the store with the same identity, which every manifest names\n",
    );
    assert!(!env.path("store/store.yaml").exists());
}

#[test]
fn a_store_without_checkpoints_is_not_called_intact() {
    let env = finished();
    fs::remove_dir_all(env.path("store/checkpoints")).unwrap();
    let verified = env.run(&["verify", "store"]).expect(1);
    assert!(verified.stdout.ends_with("NOT intact: the checkpoints are missing\n"), "{verified}");
    fs::remove_dir_all(env.path("store/history")).unwrap();
    let verified = env.run(&["verify", "store"]).expect(10);
    assert!(verified.stdout.ends_with("nothing to verify: there is no checkpoint\n"), "{verified}");
}
