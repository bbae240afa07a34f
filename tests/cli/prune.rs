//! `ckpt prune`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::support::Env;
use crate::support::store_builder::{StoreBuilder, three_checkpoints};

/// Five checkpoints, ten minutes apart; the last is half an hour old.
fn env() -> (Env, StoreBuilder) {
    let mut env = Env::new();
    env.at("2026-11-22T15:20:00Z");
    let mut builder = three_checkpoints(&env.path("s"));
    builder.restart();
    builder.commit(&[("ann", Some(7))]);
    builder.commit(&[("bob", Some(8))]);
    (env, builder)
}

fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

fn numbers(env: &Env) -> Vec<String> {
    let list = env.run(&["list", "s"]).expect(0).stdout;
    let numbers = list.lines().skip(1).take_while(|line| !line.is_empty());
    numbers.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_plan_says_what_goes_why_the_rest_stays_and_what_it_frees() {
    let (env, _) = env();
    env.run(&["pin", "s@2"]).expect(0);
    let output = env.run(&["prune", "s", "--keep-last", "1", "--keep-within", "10m", "--dry-run"]).expect(0);
    let lines = words(&output.stdout);
    assert_eq!(lines[0], ["NUMBER", "TIME", "AGE", "KEYS", "FREES", "KEPT", "BY"]);
    assert_eq!(lines[1][..5], ["1", "2026-11-22T14:10:00Z", "1h", "ago", "5"]);
    assert_eq!(lines[1].last(), Some(&"remove"));
    assert_eq!(lines[2], ["2", "2026-11-22T14:20:00Z", "1h", "ago", "6", "-", "pinned"]);
    assert_eq!(lines[3].last(), Some(&"remove"));
    assert_eq!(lines[4], ["4", "2026-11-22T14:40:00Z", "40m", "ago", "6", "-", "within"]);
    assert_eq!(lines[5], ["5", "2026-11-22T14:50:00Z", "30m", "ago", "6", "-", "latest,", "last,", "within"]);
    assert!(output.stdout.contains("\nkeep 3 checkpoints, remove 2, which frees "), "{output}");
    assert!(output.stdout.ends_with(" KiB after 1d\n"), "{output}");
    assert!(output.stdout.lines().all(|line| line.chars().count() <= 80), "{output}");
    assert_eq!(output.stderr, "");
    assert_eq!(numbers(&env), ["1", "2", "3", "4", "5"]);
    assert!(!env.path("s/prune.lock").exists() || env.path("s/pins").exists(), "a plan takes no lock");
}

#[test]
fn what_is_pruned_comes_back_or_goes_for_good() {
    let (mut env, _) = env();
    let output = env.run(&["prune", "s", "--keep-last", "2", "--yes"]).expect(0);
    assert!(output.stdout.contains("\npruned 3 checkpoints; freed 0 B\n"), "{output}");
    assert!(output.stderr.starts_with("`ckpt prune --undo` can bring them back for 1d;"), "{output}");
    assert_eq!(numbers(&env), ["4", "5"]);
    env.run(&["verify", "s", "--deep"]).expect(0);
    env.at("2026-11-22T16:20:00Z");
    let output = env.run(&["prune", "s", "--undo", "--dry-run"]).expect(0);
    assert_eq!(output.stdout, "the last prune was 1h ago; it removed 3 checkpoints: 1 to 3\n");
    assert_eq!(numbers(&env), ["4", "5"]);
    let output = env.run(&["prune", "s", "--undo", "--yes"]).expect(0);
    assert!(output.stdout.ends_with("\nbrought back 3 checkpoints\n"), "{output}");
    assert_eq!(numbers(&env), ["1", "2", "3", "4", "5"]);
    let output = env.run(&["prune", "s", "--undo", "--yes"]).expect(10);
    assert!(output.stderr.starts_with("error: `s` has nothing to bring back\n"), "{output}");

    env.run(&["prune", "s", "--keep-last", "2", "--yes", "--quiet"]).expect(0);
    env.at("2026-11-23T17:00:00Z");
    let output = env.run(&["prune", "s", "--keep-all", "--yes"]).expect(0);
    assert!(output.stdout.contains("\ndelete 3 checkpoints pruned earlier\n"), "{output}");
    assert!(output.stdout.contains("\ndeleted 3 checkpoints pruned earlier"), "{output}");
    env.run(&["prune", "s", "--undo", "--yes"]).expect(10);
    env.run(&["verify", "s", "--deep"]).expect(0);
}

#[test]
fn without_a_grace_period_the_bytes_are_freed_at_once() {
    let (env, _) = env();
    let output = env.run(&["prune", "s", "--keep-last", "1", "--grace", "0s", "--yes"]).expect(0);
    let frees = output.stdout.lines().find_map(|line| line.strip_prefix("keep 1 checkpoint, remove 4, which frees "));
    let freed = output.stdout.lines().last().and_then(|line| line.split_once("; freed "));
    assert_eq!(freed.map(|(_, bytes)| bytes), frees, "{output}");
    assert_eq!(numbers(&env), ["5"]);
    let output = env.run(&["verify", "s", "--deep"]).expect(0);
    assert!(output.stdout.contains("parent-gone") && !output.stdout.contains("object-unused"), "{output}");
    env.run(&["prune", "s", "--undo"]).expect(10);
}

#[test]
fn nobody_is_asked_where_there_is_no_terminal() {
    let (env, _) = env();
    let output = env.run(&["prune", "s", "--keep-last", "2"]).expect(2);
    assert!(output.stdout.contains("keep 2 checkpoints, remove 3"), "the plan is shown: {output}");
    assert!(output.stderr.starts_with("error: aborted: not confirmed\nhint: use `--yes`"), "{output}");
    assert_eq!(numbers(&env).len(), 5);
    // When there is nothing to do, there is nothing to confirm.
    let output = env.run(&["prune", "s", "--keep-last", "9"]).expect(0);
    assert!(output.stdout.ends_with("keep 5 checkpoints, remove 0\n"), "{output}");
}

#[test]
fn on_a_terminal_only_yes_means_yes() {
    let (env, _) = env();
    let asked = |answer: &str| env.type_on_terminal(&["prune", "s", "--keep-last", "2"], answer);
    for answer in ["\n", "n\n", "yesterday\n", "\u{4}"] {
        let seen = asked(answer);
        assert!(
            seen.text.contains("Prune? [y/N] ") && seen.text.contains("not confirmed"),
            "{answer:?}: {}",
            seen.text
        );
        assert_eq!((seen.status, numbers(&env).len()), (2, 5), "{answer:?}");
    }
    let seen = asked("Yes\n");
    assert!(seen.text.contains("pruned 3 checkpoints"), "{}", seen.text);
    assert_eq!((seen.status, numbers(&env).len()), (0, 2));
}

#[test]
fn a_policy_that_makes_no_sense_is_wrong_usage() {
    let (env, _) = env();
    for arguments in [
        &["prune", "s", "--yes"][..],
        &["prune", "s", "--keep-last", "0", "--keep-daily", "0", "--yes"],
        &["prune", "s", "--keep-bytes", "10", "--yes"],
        &["prune", "s", "--keep-last", "-1"],
        &["prune", "s", "--keep-within", "36"],
        &["prune", "s", "--undo", "--keep-last", "1"],
        &["prune", "s", "--keep-last", "1", "--yes", "--dry-run"],
        &["prune", "s@3", "--keep-last", "1"],
    ] {
        let output = env.run(arguments).expect(2);
        assert!(output.stderr.contains("error: "), "{output}");
    }
    env.run(&["prune", "nothing", "--keep-last", "1"]).expect(10);
    assert_eq!(numbers(&env).len(), 5);
}

#[test]
fn a_store_with_a_checkpoint_that_cannot_be_read_is_not_pruned() {
    let (env, _) = env();
    env.write("s/checkpoints/00000002/manifest.yaml", "no manifest");
    let output = env.run(&["prune", "s", "--keep-last", "1", "--grace", "0s", "--yes"]).expect(12);
    let expected = "error: cannot tell what checkpoint 2 needs, so nothing was deleted\n";
    assert!(output.stderr.starts_with(expected), "{output}");
    assert_eq!(std::fs::read_dir(env.path("s/checkpoints")).expect("a directory").count(), 5);
}

#[test]
fn leftovers_are_named_with_their_reason_and_foreign_files_stay() {
    let (env, _) = env();
    env.write("s/note\u{1b}[2J.txt", "x");
    env.write("s/checkpoints/.tmp-1", "torn");
    let output = env.run(&["prune", "s", "--keep-all", "--grace", "0s", "--yes"]).expect(0);
    assert!(output.stdout.contains("\nremove 1 temporary file, 4 B\n  checkpoints/.tmp-1 (4 B, "), "{output}");
    assert!(
        output.stdout.contains("\nkeep 1 file that is not part of the store, 1 B\n  note\\u{1b}[2J.txt (1 B, "),
        "{output}"
    );
    assert!(output.stdout.ends_with("\ndeleted 1 file; freed 4 B\n"), "{output}");
    assert!(env.path("s/note\u{1b}[2J.txt").exists() && !env.path("s/checkpoints/.tmp-1").exists());
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct View {
    version: u32,
    store: String,
    dry_run: bool,
    done: bool,
    policy: String,
    grace_seconds: u64,
    checkpoints: Vec<Checkpoint>,
    removed: u64,
    removed_bytes: u64,
    earlier: Vec<Earlier>,
    leftovers: Vec<Leftover>,
    leftover_bytes: u64,
    outcome: Option<Outcome>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Checkpoint {
    sequence: u64,
    created: String,
    keys: u64,
    kept_by: Vec<String>,
    frees_bytes: u64,
    whole: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Earlier {
    sequence: u64,
    pruned: Option<String>,
    due: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Leftover {
    place: String,
    path: String,
    kind: String,
    bytes: u64,
    age_seconds: Option<i64>,
    fate: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Outcome {
    checkpoints: u64,
    expired: u64,
    objects: u64,
    temporary: u64,
    freed_bytes: u64,
    spared: u64,
    left: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct UndoView {
    version: u32,
    store: String,
    dry_run: bool,
    done: bool,
    pruned: String,
    checkpoints: Vec<u64>,
}

#[test]
fn json_has_the_plan_and_what_was_done() {
    let (env, _) = env();
    env.write("s/note.txt", "x");
    let view = |arguments: &[&str], status| -> View {
        let arguments: Vec<&str> = ["prune", "s", "--json"].iter().chain(arguments).copied().collect();
        let output = env.run(&arguments).expect(status);
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"))
    };
    let dry = view(&["--keep-last", "3", "--dry-run"], 0);
    assert_eq!((dry.version, dry.dry_run, dry.done, dry.removed, dry.grace_seconds), (1, true, false, 2, 86_400));
    assert_eq!((dry.policy.as_str(), dry.leftovers[0].kind.as_str()), ("--keep-last 3", "foreign"));
    assert_eq!(dry.checkpoints.iter().map(|one| one.frees_bytes).sum::<u64>(), dry.removed_bytes);
    assert!(!view(&["--keep-last", "3"], 2).done);
    let done = view(&["--keep-last", "3", "--yes"], 0);
    let outcome = done.outcome.expect("done");
    assert_eq!((outcome.checkpoints, outcome.freed_bytes), (2, 0));
    let later = view(&["--keep-all", "--dry-run"], 0);
    assert_eq!(later.earlier.iter().map(|one| (one.sequence, one.due)).collect::<Vec<_>>(), [(1, false), (2, false)]);
    let undo = env.run(&["prune", "s", "--undo", "--yes", "--json"]).expect(0).stdout;
    let undo: UndoView = serde_json::from_str(&undo).expect("a view");
    assert_eq!((undo.version, undo.done, undo.checkpoints), (1, true, vec![1, 2]));
}

/// A job that takes a while to read its input, with a checkpoint every few milliseconds.
fn write_job(env: &Env, lines: usize, keep: &str) {
    let mut text = String::new();
    for i in 0..lines {
        // Keys return to the same values, so the same bytes are written again and again.
        text += &format!("{{\"user\":\"u{}\",\"n\":{}}}\n", i % 40, i % 3);
    }
    env.write("data.jsonl", text);
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: data.jsonl\nkey: user\ntasks: 4\nprocess: {{aggregate: {{high: max(n), low: min(n)}}}}\n\
             checkpoint: {{schedule: 5ms, store: s{keep}}}\noutput: out/\n"
        ),
    );
}

#[test]
fn a_store_is_pruned_while_its_job_runs() {
    let env = Env::new();
    write_job(&env, 3_000_000, "");
    let mut child = env
        .command(&["run", "job.yaml", "--quiet"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let begun = Instant::now();
    let mut pruned = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("waited") {
            break status;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "the run did not end");
        let output = env.run(&["prune", "s", "--keep-last", "1", "--grace", "0s", "--yes"]);
        // This happens before the store exists, and when a checkpoint was committed between plan and prune.
        assert!([0, 10, 11].contains(&output.status), "{output}");
        pruned += usize::from(output.stdout.contains("\npruned "));
    };
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().expect("piped"), &mut said).expect("read");
    assert!(status.success(), "{said}");
    assert!(pruned > 1, "{pruned}");
    let output = env.run(&["verify", "s", "--deep"]).expect(0);
    assert!(!output.stdout.contains("chain-gap"), "{output}");
    env.run(&["prune", "s", "--keep-last", "1", "--grace", "0s", "--yes"]).expect(0);
    env.run(&["verify", "s", "--deep"]).expect(0);
    let first = env.read("out/j.jsonl");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), first);
}

#[test]
fn a_run_keeps_what_its_job_file_asks_for() {
    let env = Env::in_memory();
    write_job(&env, 300_000, ", keep: {last: 2, grace: 0s}");
    // Each checkpoint has something new, so that there are many per second however busy the machine is.
    let line = |i: usize| format!("{{\"user\":\"u{}\",\"n\":{i}}}\n", i % 40);
    env.write("data.jsonl", (0..300_000).map(line).collect::<String>());
    let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
    let view: serde_json::Value = serde_json::from_str(&output.stdout).expect("a view");
    let (committed, pruned) =
        (view["checkpoints"].as_u64().expect("a number"), view["pruned"].as_u64().expect("a number"));
    assert_eq!(numbers(&env).len() as u64, committed.min(2));
    assert_eq!(pruned, committed.saturating_sub(2));
    assert!(pruned > 0, "{committed} checkpoints");
    // Every object is needed by a checkpoint; not even those as new as the latest checkpoint are left over.
    let output = env.run(&["verify", "s", "--deep"]).expect(0);
    assert!(!output.stdout.contains("object-unused"), "{output}");
    // With a grace period they can be brought back.
    env.run(&["pin", "s@latest"]).expect(0);
    write_job(&env, 300_000, ", keep: {last: 1}");
    std::fs::remove_dir_all(env.path("s")).expect("removed");
    std::fs::remove_dir_all(env.path("out")).expect("removed");
    let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
    let view: serde_json::Value = serde_json::from_str(&output.stdout).expect("a view");
    if view["pruned"].as_u64() > Some(0) {
        env.run(&["prune", "s", "--undo", "--yes"]).expect(0);
        assert!(numbers(&env).len() > 1);
    }
    env.run(&["verify", "s", "--deep"]).expect(0);
}
