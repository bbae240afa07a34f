//! What a run does when the machine lacks or refuses something: the table in `docs/reliability.md`, line by line.
//!
//! Tests that need root, or a tool that is not installed, print so and pass.

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;

use serde_json::Value;

use super::data::Random;
use super::{checkpoints, counting};
use crate::support::{Env, Output};

/// What commits in the disk of these tests, and its name in a shell.
const STORE: &str = "checkpoint: {store: disk/store, schedule: 5ms}\n";

/// A job whose keys all end up with five records, and a directory that can become a separate disk.
fn prepared(checkpoint: &str) -> Env {
    let env = Env::in_memory();
    counting(&env, checkpoint);
    let mut lines = String::new();
    for i in 0..50_000 {
        writeln!(lines, "{{\"k\":\"{:016x}\"}}", Random(i % 10_000).next()).expect("memory");
    }
    env.write("data.jsonl", lines);
    fs::create_dir(env.path("disk")).expect("created");
    env
}

/// Checks that the output is that of an undisturbed run.
#[track_caller]
fn assert_done(env: &Env) {
    let text = env.read("out/counting.jsonl");
    assert_eq!(text.lines().count(), 10_000);
    assert!(text.lines().all(|line| line.ends_with("\"n\":5}")));
}

/// Returns whether a shell command works here; prints what is skipped if not.
fn can(env: &Env, line: &str) -> bool {
    let works = env.shell(line).status == 0;
    if !works {
        println!("skipped: `{line}` does not work here");
    }
    works
}

fn can_mount(env: &Env) -> bool {
    can(env, "unshare -m sh -c 'mount -t tmpfs none disk'")
}

fn can_trace(env: &Env) -> bool {
    can(env, "strace -f -o /dev/null -e trace=fsync -e inject=fsync:error=EIO true")
}

/// Runs shell commands with private mounts.
fn mounted(env: &Env, lines: &str) -> Output {
    env.write("lines.sh", lines);
    env.shell("unshare -m sh lines.sh")
}

/// Checks that an error has the given cause and hint.
#[track_caller]
fn assert_said(output: &Output, cause: &str, hint: &str) {
    let said = &output.stderr;
    assert!(said.contains("error: cannot "), "{output}");
    assert!(said.contains(&format!("\n  caused by: {cause}")), "{output}");
    assert!(said.contains(&format!("\nhint: {hint}")), "{output}");
}

/// Runs the job again, undisturbed, after checking that what was committed is whole.
#[track_caller]
fn assert_resumes(env: &Env, store: &str) {
    if !checkpoints(&env.path(store)).is_empty() {
        env.run(&["verify", store, "--deep"]).expect(0);
    }
    env.run(&["run", "job.yaml", "--quiet"]).expect(0);
    env.run(&["verify", store, "--deep"]).expect(0);
    assert_done(env);
}

#[test]
fn a_large_state_without_checkpoints_does_not_keep_a_run_from_ending() {
    let env = Env::in_memory();
    counting(&env, "checkpoint: {enabled: false}\n");
    let padding = "x".repeat(1_000);
    let lines: String = (0..30_000).map(|key| format!("{{\"k\":\"{key}{padding}\"}}\n")).collect();
    env.write("data.jsonl", lines);
    env.shell("timeout 100 ckpt run -q job.yaml --threads 2").expect(0);
    assert_eq!(env.read("out/counting.jsonl").lines().count(), 30_000);
}

#[test]
fn a_full_disk_under_the_output_leaves_the_checkpoints_and_the_next_run_publishes() {
    let env = prepared("checkpoint: {store: store, schedule: 5ms}\n");
    if !can_mount(&env) {
        return;
    }
    env.write("job.yaml", env.read("job.yaml").replace("output: out/", "output: disk/"));
    let output = mounted(
        &env,
        "mount -t tmpfs -o size=100k none disk; ckpt run job.yaml -q; echo $? $(ls -A disk | grep -v '^[.]')\n\
         mount -o remount,size=100M disk; ckpt run job.yaml -q >/dev/null && mkdir out && cp disk/counting.jsonl out/ && ls -A disk",
    )
    .expect(0);
    assert_said(&output, "No space left on device (os error 28)", "free space on that disk");
    assert!(output.stderr.contains("error: cannot write output `disk/counting.jsonl`"), "{output}");
    assert_eq!(output.stdout, "4\ncounting.jsonl\n", "nothing torn is published, and nothing is left over");
    env.run(&["verify", "store", "--deep"]).expect(0);
    assert_done(&env);
}

#[test]
fn a_quota_that_is_used_up_is_an_error_like_a_full_disk() {
    let env = prepared(STORE);
    if !can_trace(&env) {
        return;
    }
    let inject = "strace -f -o /dev/null -e trace=fsync,fdatasync -e inject=fsync,fdatasync:error=EDQUOT:when=20+";
    let output = env.shell(&format!("{inject} ckpt run job.yaml -q")).expect(4);
    assert_said(&output, "Disk quota exceeded (os error 122)", "raise the quota or free space");
    assert_resumes(&env, "disk/store");
}

#[test]
fn a_file_system_without_hard_links_that_cannot_refuse_a_taken_name_holds_a_store() {
    let env = Env::in_memory();
    counting(&env, "checkpoint: {store: store, replicas: [other]}\n");
    if !can_trace(&env) {
        return;
    }
    let refused = "strace -f -o /dev/null -e trace=linkat,renameat2 -e inject=linkat:error=EPERM \
                   -e inject=renameat2:error=EINVAL ckpt";
    for lines in ["{\"k\":\"a\"}\n", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n"] {
        env.write("data.jsonl", lines);
        env.shell(&format!("{refused} run job.yaml -q")).expect(0);
    }
    for command in [
        "pin store@2",
        "restore store@1",
        "copy store --to copy",
        "restore store --to out-1",
        "prune store --keep-last 1 --yes",
    ] {
        env.shell(&format!("{refused} {command}")).expect(0);
    }
    env.shell(&format!("{refused} prune store --undo --yes")).expect(0);
    for store in ["store", "copy"] {
        env.run(&["verify", store, "--deep"]).expect(0);
    }
    assert_eq!(checkpoints(&env.path("other")).len(), 3);
}

#[test]
fn a_disk_that_fails_is_an_error_and_what_was_committed_is_whole() {
    let env = prepared(STORE);
    if !can_trace(&env) {
        return;
    }
    for (call, when) in [("fsync,fdatasync", 25), ("write", 40), ("renameat2", 12), ("mkdirat", 14)] {
        let inject = format!("strace -f -o /dev/null -e trace={call} -e inject={call}:error=EIO:when={when}+");
        let output = env.shell(&format!("{inject} ckpt run job.yaml -q"));
        // On a slow machine there may be too few calls.
        assert!([0, 4].contains(&output.status), "{call}: {output}");
        if output.status == 4 {
            assert_said(&output, "Input/output error (os error 5)", "the disk or its connection is failing");
        }
        assert_resumes(&env, "disk/store");
        fs::remove_dir_all(env.path("disk/store")).expect("removed");
        fs::remove_dir_all(env.path("out")).expect("removed");
    }
}

#[test]
fn a_disk_that_becomes_read_only_ends_the_run_and_commands_that_only_read_still_work() {
    let env = prepared(STORE);
    if !can_mount(&env) {
        return;
    }
    env.run(&["run", "job.yaml", "-q"]).expect(0);
    fs::write(env.path("data.jsonl"), env.read("data.jsonl").repeat(2)).expect("written");
    let output = mounted(
        &env,
        "mount --bind disk disk; mount -o remount,bind,ro disk; ckpt run job.yaml -q; echo $?\n\
         for c in list inspect verify stats log diff; do case $c in diff) ckpt diff disk/store@1 disk/store;; *) ckpt $c disk/store;; esac >/dev/null || echo $c $?; done\n\
         ckpt restore disk/store --to state >/dev/null; echo $?; ckpt prune disk/store --keep-last 1 --yes >/dev/null; echo $?",
    )
    .expect(0);
    assert_said(&output, "Read-only file system (os error 30)", "mount it for writing");
    let several = checkpoints(&env.path("disk/store")).len() > 1;
    // A difference between two checkpoints is exit code 1.
    let found = output.stdout.replace("diff 1\n", "");
    assert!(found == "4\n0\n4\n" || (!several && found == "4\n0\n0\n"), "{output}");
    fs::write(env.path("data.jsonl"), &env.read("data.jsonl")[..env.read("data.jsonl").len() / 2]).expect("written");
    assert_resumes(&env, "disk/store");
}

#[test]
fn missing_permissions_are_an_error_that_says_so() {
    let env = Env::in_memory();
    let other = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    if !can(&env, &format!("{other} true")) {
        return;
    }
    counting(&env, "checkpoint: {store: store}\n");
    env.write("data.jsonl", "{\"k\":\"a\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    // The binary may be in a directory that the other user cannot access, so it is copied.
    env.shell("chmod 755 . && cp \"$(command -v ckpt)\" ckpt && chmod 755 ckpt").expect(0);
    let output = env.shell(&format!("{other} ./ckpt run job.yaml -q")).expect(4);
    assert_said(&output, "Permission denied (os error 13)", "run ckpt as the owner of the file");
    assert!(output.stderr.starts_with("error: cannot lock `store/lock`\n"), "{output}");
    env.shell(&format!("{other} ./ckpt list store && {other} ./ckpt verify store --deep")).expect(0);
    for (path, command) in [
        ("store", "list store"),
        ("store/objects", "verify store"),
        ("store/checkpoints", "list store"),
        ("data.jsonl", "run job.yaml"),
    ] {
        let before = fs::metadata(env.path(path)).expect("there").permissions();
        env.shell(&format!("chmod 700 {path}; chmod 777 store store/lock")).expect(0);
        env.shell(&format!("chmod 700 {path}")).expect(0);
        let output = env.shell(&format!("{other} ./ckpt {command}")).expect(4);
        assert_said(&output, "Permission denied (os error 13)", "run ckpt as the owner of the file");
        fs::set_permissions(env.path(path), before).expect("set");
    }
    env.run(&["run", "job.yaml"]).expect(0);
}

#[test]
fn a_thousand_files_need_few_open_at_once_and_too_low_a_limit_is_an_error() {
    let env = Env::in_memory();
    counting(&env, "checkpoint: {store: store, schedule: 5ms}\n");
    env.write("job.yaml", env.read("job.yaml").replace("data.jsonl", "'in/*.jsonl'"));
    let line = |i: usize| format!("{{\"k\":\"k{i}\"}}\n");
    for file in 0..1_000 {
        env.write(&format!("in/{file:04}.jsonl"), (0..20).map(line).collect::<String>());
    }
    let output = env.shell("ulimit -n 12; ckpt run job.yaml -q --threads 2").expect(4);
    assert_said(&output, "Too many open files (os error 24)", "raise the limit on open files (`ulimit -n`)");
    env.shell("ulimit -n 32; ckpt run job.yaml -q --threads 2").expect(0);
    env.run(&["verify", "store", "--deep"]).expect(0);
    let rows = env.read("out/counting.jsonl");
    assert!(rows.lines().count() == 20 && rows.lines().all(|line| line.ends_with("\"n\":1000}")), "{rows}");
}

#[test]
fn a_run_that_runs_out_of_memory_dies_and_the_next_one_resumes() {
    let env = prepared("checkpoint: {store: disk/store, schedule: 5ms, state_bytes: 10KiB}\n");
    let mut died = 0;
    for kibibytes in (60_000..=120_000).step_by(10_000) {
        // A thread that cannot be started is an error, too, and no reason to wait for the others. With 127, the program
        // itself did not fit.
        let output = env.shell(&format!("ulimit -v {kibibytes}; timeout 60 ckpt run job.yaml -q --threads 2"));
        assert!([0, 4, 101, 127, 134, 139].contains(&output.status), "{output}");
        died += usize::from(output.status != 0);
    }
    assert!(died > 0);
    assert_resumes(&env, "disk/store");
}

#[test]
fn a_slow_disk_delays_checkpoints_but_not_processing() {
    let env = prepared(STORE);
    if !can_trace(&env) {
        return;
    }
    let slow = "strace -f -o /dev/null -e trace=fsync,fdatasync -e inject=fsync,fdatasync:delay_exit=30000";
    let output = env.shell(&format!("{slow} ckpt run job.yaml --log json")).expect(0);
    let events: Vec<Value> = output.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let commits = events.iter().filter(|event| event["event"] == "checkpoint_committed");
    let micros: Vec<(u64, u64)> = commits
        .map(|event| ["pause_micros", "total_micros"].map(|name| event[name].as_u64().expect("a number")))
        .map(|[pause, total]| (pause, total))
        .collect();
    assert!(
        !micros.is_empty() && micros.iter().all(|(pause, total)| *total > 120_000 && pause * 4 < *total),
        "{micros:?}"
    );
    env.run(&["verify", "disk/store", "--deep"]).expect(0);
    assert_done(&env);
    // A checkpoint that takes too long is not committed.
    fs::remove_dir_all(env.path("disk/store")).expect("removed");
    fs::remove_dir_all(env.path("out")).expect("removed");
    let job = env.read("job.yaml");
    env.write("job.yaml", job.replace("schedule: 5ms", "schedule: 5ms, timeout: 20ms, tolerate: 1"));
    let output = env.shell(&format!("{slow} ckpt run job.yaml -q")).expect(4);
    assert!(output.stderr.contains("the checkpoint was not finished within 20 ms"), "{output}");
    assert_eq!(checkpoints(&env.path("disk/store")), [0; 0]);
    env.write("job.yaml", job);
    assert_resumes(&env, "disk/store");
}

/// Shell commands that feed a run until the file `go` is gone.
const FEED: &str = "touch go\nfeed() { i=0; while [ -e go ]; do i=$((i+1)); echo \"{\\\"k\\\":\\\"k$i\\\"}\"; [ $((i%200)) = 0 ] && sleep 0.01; done; }\n";

/// A job that reads what it is fed.
fn fed(store: &str) -> Env {
    let env = Env::in_memory();
    counting(&env, &format!("checkpoint: {{store: {store}, schedule: 10ms}}\n"));
    env.write("job.yaml", env.read("job.yaml").replace("{files: data.jsonl}", "{files: '-', format: json}"));
    fs::create_dir(env.path("disk")).expect("created");
    env
}

#[test]
fn a_disk_that_is_taken_away_under_a_run_ends_it_and_nothing_is_written_where_it_was() {
    // The store is on the file system that is removed, or is its root: then the empty directory below the mount
    // appears.
    for store in ["disk/store", "disk"] {
        let env = fed(store);
        if !can_mount(&env) {
            return;
        }
        let kept = store.replace("disk", "kept");
        let lines = format!(
            "{FEED}mkdir kept; mount -t tmpfs none disk; mount --bind disk kept\n\
             (until [ -e disk/store/checkpoints/00000003 ] || [ -e disk/checkpoints/00000003 ]; do sleep 0.01; done; umount -l disk; sleep 20; rm -f go) &\n\
             feed | (ckpt run job.yaml; echo $?; rm -f go)\n\
             ls -A disk; ckpt verify {kept} --deep | tail -n 1\n\
             mount --bind kept disk; ckpt list {store} >/dev/null; echo $?"
        );
        let output = mounted(&env, &lines).expect(0);
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines[0], "4", "{output}");
        assert!(lines[1].starts_with("intact: ") && lines[2..] == ["0"], "nothing is left below the mount: {output}");
        let gone =
            format!("error: `{store}` is gone, or another directory is in its place\nhint: was it unmounted or moved?");
        assert!(output.stderr.contains(&gone), "{output}");
    }
}

#[test]
fn a_replica_whose_disk_is_taken_away_is_lost_and_catches_up_when_it_is_back() {
    let env = fed("store");
    env.write(
        "job.yaml",
        env.read("job.yaml").replace("store: store,", "store: store, replicas: [disk], min_copies: 1,"),
    );
    if !can_mount(&env) {
        return;
    }
    let lines = format!(
        "{FEED}mkdir kept; mount -t tmpfs none disk; mount --bind disk kept\n\
         more() {{ n=$(ls store/checkpoints | wc -l); until [ $(ls store/checkpoints | wc -l) -gt $((n+2)) ]; do sleep 0.01; done; }}\n\
         (until [ -e disk/checkpoints/00000003 ]; do sleep 0.01; done; umount -l disk; more; ls -A disk >below; mount --bind kept disk; more; rm -f go) &\n\
         feed | ckpt run job.yaml >/dev/null; echo $?; wait; cat below; ckpt verify store --deep | grep -c 'intact: '"
    );
    let output = mounted(&env, &lines).expect(0);
    assert_eq!(output.stdout, "0\n2\n", "{output}");
    assert!(
        output.stderr.contains("replica `disk` is lost: `disk` is gone, or another directory is in its place"),
        "{output}"
    );
    assert!(output.stderr.contains("replica `disk` has caught up: "), "{output}");
}

#[test]
fn a_clock_that_is_set_back_changes_the_ages_and_nothing_else() {
    let mut env = Env::in_memory();
    counting(&env, "checkpoint: {store: store}\n");
    let mut text = String::new();
    for (now, key) in [
        ("2026-11-22T12:00:00Z", "a"),
        ("2026-11-22T13:00:00Z", "b"),
        ("2020-01-01T00:00:00Z", "c"),
        ("2020-01-01T01:00:00Z", "d"),
    ] {
        text += &format!("{{\"k\":\"{key}\"}}\n");
        env.write("data.jsonl", &text);
        env.at(now).run(&["run", "job.yaml"]).expect(0);
    }
    assert_eq!(checkpoints(&env.path("store")), [1, 2, 3, 4]);
    env.run(&["verify", "store", "--deep"]).expect(0);
    let listed = env.run(&["list", "store", "--json"]).expect(0);
    let view: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let order: Vec<u64> =
        view["checkpoints"].as_array().expect("a list").iter().filter_map(|it| it["sequence"].as_u64()).collect();
    assert!(order == [1, 2, 3, 4] || order == [4, 3, 2, 1], "the order follows the numbers: {listed}");
    env.run(&["list", "store"]).expect(0);
    env.run(&["log", "store"]).expect(0);
    // The latest is the one with the highest number; a time names the last checkpoint that is not after it.
    for (target, sequence) in [("store@latest", 4), ("store@2020-01-01T00:30", 3), ("store@2026-11-22T12:30", 4)] {
        let found = env.run(&["inspect", target, "--json"]).expect(0);
        let view: Value = serde_json::from_str(&found.stdout).expect("JSON");
        assert_eq!(view["sequence"].as_u64(), Some(sequence), "{target}: {found}");
    }
    // A checkpoint from what is now the future is not pruned for its age, and the latest stays whatever the times are.
    env.run(&["prune", "store", "--keep-last", "1", "--grace", "0s", "--yes"]).expect(0);
    assert_eq!(checkpoints(&env.path("store")), [4]);
    env.at("2019-01-01T00:00:00Z").run(&["run", "job.yaml", "--must-resume"]).expect(0);
    env.run(&["verify", "store", "--deep"]).expect(0);
}

#[test]
fn scheduled_checkpoints_continue_after_the_clock_was_set_back() {
    let mut env = Env::in_memory();
    counting(&env, "checkpoint: {store: store, mode: scheduled, schedule: 50ms}\n");
    env.write("data.jsonl", "{\"k\":\"a\"}\n");
    // The clock of the machine is wrong by years, and then it is right.
    env.at("2099-01-01T00:00:00Z").run(&["run", "job.yaml"]).expect(0);
    let first = env.read("store/checkpoints/00000001/manifest.yaml");
    assert!(first.contains("created: 2099-"), "{first}");
    env.write("data.jsonl", "{\"k\":\"a\"}\n".repeat(300_000));
    let mut command = env.command(&["run", "job.yaml", "--threads", "1"]);
    assert!(command.env_remove("CKPT_NOW").stdout(Stdio::null()).status().expect("started").success());
    let second = env.read("store/checkpoints/00000002/manifest.yaml");
    assert!(second.contains("trigger: schedule\n"), "{second}");
}

#[test]
fn the_text_in_a_lock_that_is_not_held_keeps_no_process_out() {
    let env = Env::in_memory();
    counting(&env, "checkpoint: {store: store}\n");
    env.write("data.jsonl", "{\"k\":\"a\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    let garbage: Vec<u8> = (0..100_000).map(|i| (Random(i).next() % 256) as u8).collect();
    let dead = b"`ckpt run` of job counting, process 4194304 on a-machine-that-burned-down, since 2020-01-01T00:00:00Z";
    for content in [&b""[..], dead, &garbage] {
        for lock in ["store/lock", "store/prune.lock", "store/objects.lock"] {
            env.write(lock, content);
        }
        env.write("data.jsonl", env.read("data.jsonl") + "{\"k\":\"a\"}\n");
        env.run(&["run", "job.yaml", "--must-resume"]).expect(0);
        env.run(&["prune", "store", "--keep-last", "1", "--grace", "0s", "--yes"]).expect(0);
    }
    // A holder that wrote nothing still holds the lock.
    if can(&env, "flock --version") {
        // A process that only looks whether a run is writing has the lock for a moment.
        env.shell("flock store/lock sleep 0.3 & sleep 0.1; ckpt run job.yaml -q").expect(0);
        env.write("store/lock", "");
        let output = env.shell("flock store/lock ckpt run job.yaml -q").expect(11);
        assert_eq!(output.stderr, "error: `store` is in use by another process\n");
        env.write("store/lock", &garbage);
        let output = env.shell("flock store/lock ckpt run job.yaml -q").expect(11);
        assert!(output.stderr.len() < 20_000 && !output.stderr.trim_end().contains(char::is_control), "{output}");
    }
    // A run does not wait for something else in its place.
    for make in ["mkdir store/lock", "mkfifo store/lock", "ln -s /dev/null store/lock"] {
        env.shell(&format!("rm -f store/lock; {make}")).expect(0);
        let output = env.shell("timeout 20 ckpt run job.yaml -q").expect(12);
        assert!(output.stderr.starts_with("error: `store/lock` is not a"), "{output}");
        env.shell("rm -rf store/lock").expect(0);
    }
    env.run(&["run", "job.yaml"]).expect(0);
}

#[test]
fn readers_do_not_disturb_a_run_that_writes_the_store() {
    let env = fed("store");
    let lines = format!(
        "{FEED}feed | (ckpt run job.yaml -q >/dev/null; echo $?) &\n\
         until [ -e store/checkpoints/00000002 ]; do sleep 0.01; done\n\
         for i in 1 2 3 4 5; do for c in 'verify --deep' list 'inspect --state' stats log; do ckpt ${{c%% *}} store $(echo $c | cut -s -d' ' -f2) >/dev/null || echo $c $?; done; done\n\
         rm go; wait; ckpt verify store --deep >/dev/null; echo $?"
    );
    env.write("lines.sh", lines);
    let output = env.shell("sh lines.sh").expect(0);
    assert_eq!(output.stdout, "0\n0\n", "{output}");
}
