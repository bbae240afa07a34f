//! A store whose list of replicas cannot be used: what changes or deletes something refuses, and what reads warns.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use crate::support::{Env, tree};

/// A job with two replicas and two checkpoints.
fn replicated() -> Env {
    let env = Env::new();
    let job = "job: counting\ninput: {files: data.jsonl}\nkey: k\nprocess: {aggregate: {n: count}}\n\
               checkpoint: {store: store, replicas: [r]}\n";
    env.write("job.yaml", job);
    for data in ["{\"k\":\"a\"}\n", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n"] {
        env.write("data.jsonl", data);
        env.run(&["run", "job.yaml"]).expect(0);
    }
    env
}

const CHANGING: &[&str] = &[
    "prune store --keep-last 1 --yes",
    "prune store --keep-last 1 --dry-run",
    "prune store --undo --yes",
    "pin store@1",
    "unpin store@1",
    "restore store@1",
];

const READING: &[&str] = &["list store", "latest store", "inspect store", "log store", "diff store@1 store@1"];

/// Checks what each command does, run by a line of the shell that begins with `ckpt`.
#[track_caller]
fn assert_refused(env: &Env, ckpt: &str, exit: i32, cause: &str) {
    let kept = || ["store", "r"].map(|name| tree(&env.path(name)));
    let before = kept();
    for command in CHANGING {
        let output = env.shell(&format!("{ckpt} {command}")).expect(exit);
        assert!(output.stderr.starts_with("error: cannot tell which replicas `store` has\n"), "{command}: {output}");
        assert!(output.stderr.contains(cause), "{command}: {output}");
        assert!(before == kept(), "{command} changed something");
    }
    for command in READING {
        let output = env.shell(&format!("{ckpt} {command}")).expect(0);
        assert!(output.stderr.contains("warning: cannot tell which replicas `store` has: "), "{command}: {output}");
    }
}

#[test]
fn a_damaged_list_of_replicas_is_not_taken_for_none() {
    let env = replicated();
    let list = env.read("store/replicas.yaml");
    env.write("store/replicas.yaml", "places: [\n");
    assert_refused(&env, "ckpt", 12, "cannot read `store/replicas.yaml`");
    env.run(&["verify", "store"]).expect(1);
    // Either way out that the hint names.
    env.run(&["verify", "store", "--replica", "r", "--repair"]).expect(0);
    assert_eq!(env.read("store/replicas.yaml"), list);
    env.write("store/replicas.yaml", "places: [\n");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("store/replicas.yaml"), list);
    env.run(&["prune", "store", "--keep-last", "1", "--yes"]).expect(0);
}

#[test]
fn a_list_of_replicas_of_a_later_version_is_left_as_it_is() {
    let env = replicated();
    let later = env.read("store/replicas.yaml").replace("format: 1", "format: 2");
    env.write("store/replicas.yaml", &later);
    env.run(&["prune", "store", "--keep-last", "1", "--yes"]).expect(4);
    env.run(&["run", "job.yaml"]);
    assert_eq!(env.read("store/replicas.yaml"), later);
}

#[test]
fn a_list_of_replicas_that_may_not_be_read_is_not_taken_for_none() {
    const OTHER: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let env = replicated();
    if env.shell(&format!("{OTHER} true")).status != 0 {
        println!("skipped: `{OTHER}` does not work here");
        return;
    }
    env.shell("cp \"$(command -v ckpt)\" ckpt && chmod 755 . ckpt && chown -R 65534:65534 .").expect(0);
    let list = env.path("store/replicas.yaml");
    chown(&list, Some(0), None).expect("root");
    fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).expect("root");
    assert_refused(&env, &format!("{OTHER} ./ckpt"), 4, "Permission denied (os error 13)");
}

#[test]
fn a_job_file_names_the_store_of_its_job() {
    let mut env = Env::new();
    env.at("2026-11-22T15:00:00Z");
    env.write("in.jsonl", "{\"k\":1}\n");
    let job = "job: j\ninput: in.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\n";
    env.write("jobs/job.yaml", format!("{job}checkpoint: {{store: ../s}}\n").replace("in.jsonl", "../in.jsonl"));
    env.run(&["run", "jobs/job.yaml"]).expect(0);
    let of = |arguments: &[&str]| env.run(arguments).expect(0).stdout;
    for (by_job, by_store) in [
        (&["list", "jobs/job.yaml"][..], &["list", "jobs/../s"][..]),
        (&["inspect", "jobs/job.yaml"], &["inspect", "jobs/../s"]),
        (&["inspect", "jobs/job.yaml@1", "--state"], &["inspect", "jobs/../s@1", "--state"]),
        (&["inspect", "jobs/job.yaml@latest", "--tasks"], &["inspect", "jobs/../s@latest", "--tasks"]),
        (&["latest", "jobs/job.yaml"], &["latest", "jobs/../s"]),
        (&["log", "jobs/job.yaml", "--json"], &["log", "jobs/../s", "--json"]),
        (&["verify", "jobs/job.yaml"], &["verify", "jobs/../s"]),
        (&["diff", "jobs/job.yaml@1", "jobs/job.yaml"], &["diff", "jobs/../s@1", "jobs/../s"]),
    ] {
        assert_eq!(of(by_job), of(by_store), "{by_job:?}");
    }
    // The path can be opened from here.
    let latest = of(&["latest", "jobs/job.yaml"]);
    assert!(env.path(latest.trim_end()).join("manifest.yaml").exists(), "{latest}");
    env.run(&["pin", "jobs/job.yaml@1"]).expect(0);
    env.run(&["list", "jobs/job.yaml@1"]).expect(2);
    // A mistake in it is reported as one in a job file. The files of a store are not job files.
    env.write("wrong.yaml", "job: j\n");
    env.write("off.yaml", format!("{job}checkpoint: {{enabled: false}}\n"));
    assert!(env.run(&["list", "wrong.yaml"]).expect(2).stderr.contains("missing key `input`"));
    assert!(env.run(&["list", "off.yaml"]).expect(2).stderr.contains("disables checkpoints"));
    env.run(&["list", "s/store.yaml"]).expect(10);
    env.run(&["list", "in.jsonl"]).expect(10);
}
