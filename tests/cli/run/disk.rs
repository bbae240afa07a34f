//! Disks that are full or cannot be written to.

use std::fmt::Write as _;

use super::counting;
use super::data::Random;
use crate::support::Env;

fn prepared() -> Env {
    let env = Env::new();
    counting(&env, "checkpoint: {store: disk/store, schedule: 5ms}\n");
    let mut lines = String::new();
    for i in 0..150_000 {
        writeln!(lines, "{{\"k\":\"{:016x}\"}}", Random(i % 30_000).next()).expect("memory");
    }
    env.write("data.jsonl", lines);
    std::fs::create_dir(env.path("disk")).unwrap();
    env
}

fn is_done(env: &Env) -> bool {
    let text = env.read("out/counting.jsonl");
    text.lines().count() == 30_000 && text.lines().all(|line| line.ends_with("\"n\":5}"))
}

/// Runs a shell command line that may mount; returns nothing when this machine does not allow it.
fn with_mounts(env: &Env, line: &str) -> Option<crate::support::Output> {
    let probe = env.shell("unshare -m sh -c 'mount -t tmpfs none disk'");
    (probe.status == 0).then(|| env.shell(&format!("unshare -m sh -c '{line}'")))
}

#[test]
fn a_full_disk_ends_the_run_with_an_error_and_the_job_resumes_when_there_is_room() {
    let env = prepared();
    let Some(output) = with_mounts(
        &env,
        "mount -t tmpfs -o size=300k none disk; ckpt run job.yaml -q; echo $? $(ls disk/store/checkpoints | wc -l); \
         mount -o remount,size=100M disk; ckpt run job.yaml --json",
    ) else {
        return;
    };
    let output = output.expect(0);
    assert!(output.stdout.starts_with("4 "), "{output}");
    assert!(output.stderr.starts_with("error: cannot "), "{output}");
    assert!(output.stderr.contains("\n  caused by: No space left on device (os error 28)\n"), "{output}");
    let committed = output.stdout["4 ".len()..].lines().next().expect("a number");
    if committed != "0" {
        assert!(output.stderr.contains("counting: resumes from checkpoint "), "{output}");
    }
    assert!(is_done(&env));
}

#[test]
fn a_store_that_cannot_be_written_to_is_an_error() {
    let env = prepared();
    let Some(output) = with_mounts(&env, "mount -t tmpfs -o ro none disk; ckpt run job.yaml -q") else { return };
    let output = output.expect(4);
    assert!(output.stderr.starts_with("error: cannot "), "{output}");
    assert!(
        output.stderr.contains("\n  caused by: Read-only file system (os error 30)\nhint: mount it for writing"),
        "{output}"
    );
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_a_sudden_death() {
    let env = prepared();
    let output = env.shell("ulimit -f 100; ckpt run job.yaml -q").expect(4);
    assert!(output.stderr.starts_with("error: cannot "), "{output}");
    assert!(
        output.stderr.contains(
            "\n  caused by: File too large (os error 27)\nhint: raise the limit on the size of files (`ulimit -f`)\n"
        ),
        "{output}"
    );
    env.run(&["run", "job.yaml"]).expect(0);
    assert!(is_done(&env));
}
