//! `ckpt latest`.

use std::fs;
use std::sync::Arc;

use ckpt::format::manifest::Trigger;
use ckpt::storage::local::LocalStorage;
use ckpt::store::Store;
use ckpt::store::records::attempts::{Attempt, AttemptLog, AttemptOutcome};
use serde::Deserialize;

use crate::support::Env;
use crate::support::store_builder::{StoreBuilder, with_three_checkpoints as env};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct View {
    version: u32,
    store: String,
    sequence: u64,
    path: String,
    created: String,
    age_seconds: i64,
    confirmed: String,
    too_old: bool,
    verified: bool,
    damaged: Vec<Damaged>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Damaged {
    sequence: u64,
    error: String,
}

/// Damages an object that checkpoint `newer` has and `older` has not.
fn damage(env: &Env, newer: u64, older: u64) {
    let sums = |sequence: u64| env.read(&format!("s/checkpoints/{sequence:08}/SHA256SUMS"));
    let old = sums(older);
    let new = sums(newer);
    let own = new.lines().find(|line| line.contains("objects") && !old.contains(*line)).expect("an object of its own");
    let path = env.path("s").join(own.split_once("../../").expect("a path").1);
    let mut bytes = fs::read(&path).expect("readable");
    bytes[0] ^= 1;
    fs::write(path, bytes).expect("written");
}

#[test]
fn only_the_path_is_printed_and_it_can_be_used() {
    let env = env();
    for arguments in [&["latest", "s"][..], &["latest", "s", "--verified"]] {
        let output = env.run(arguments).expect(0);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("s/checkpoints/00000003\n", ""));
    }
    env.shell("ckpt restore \"$(ckpt latest s --verified)\" --to out").expect(0);
    assert_eq!(env.run(&["latest", &env.path("s").display().to_string()]).stdout, "$DIR/s/checkpoints/00000003\n");
}

#[test]
fn with_verified_it_is_the_newest_intact_one_and_damaged_ones_cause_warnings() {
    let env = env();
    damage(&env, 3, 2);
    assert_eq!(env.run(&["latest", "s"]).expect(0).stdout, "s/checkpoints/00000003\n");
    let output = env.run(&["latest", "s", "--verified", "--quiet"]).expect(0);
    assert_eq!(output.stdout, "s/checkpoints/00000002\n");
    assert!(output.stderr.starts_with("warning: checkpoint 3 is newer but damaged: object `"), "{output}");
    let text = env.run(&["latest", "s", "--verified", "--json"]).expect(0).stdout;
    let view: View = serde_json::from_str(&text).expect("a view");
    assert_eq!((view.version, view.sequence, view.age_seconds, view.verified), (1, 2, 2400, true));
    assert_eq!((view.damaged.len(), view.damaged[0].sequence), (1, 3));
    assert!(view.damaged[0].error.contains("is damaged"), "{view:?}");
}

#[test]
fn without_an_intact_checkpoint_no_path_is_printed() {
    let env = env();
    for sequence in 1..=3 {
        env.write(&format!("s/checkpoints/{sequence:08}/manifest.yaml"), "no manifest");
    }
    for arguments in [&["latest", "s"][..], &["latest", "s", "--verified"], &["latest", "s", "--json"]] {
        let output = env.run(arguments).expect(12);
        assert_eq!(output.stdout, "", "{arguments:?}");
        assert!(output.stderr.starts_with("error: "), "{output}");
    }
}

#[test]
fn a_damaged_manifest_is_never_skipped_silently() {
    let env = env();
    env.write("s/checkpoints/00000003/manifest.yaml", "no manifest");
    let output = env.run(&["latest", "s"]).expect(12);
    assert!(output.stderr.contains("hint: `ckpt latest --verified` prints the newest intact checkpoint"), "{output}");
    let output = env.run(&["latest", "s", "--verified"]).expect(0);
    assert_eq!(output.stdout, "s/checkpoints/00000002\n");
}

#[test]
fn a_store_without_checkpoints_and_no_store_are_exit_code_10() {
    let env = env();
    StoreBuilder::keyed(&env.path("empty"));
    for store in ["empty", "nothing"] {
        for more in [&[][..], &["--verified"]] {
            let output = env.run(&[&["latest", store], more].concat()).expect(10);
            assert_eq!(output.stdout, "");
        }
    }
    env.run(&["latest", "s@2"]).expect(2);
}

#[test]
fn too_old_is_exit_code_1_and_the_path_is_printed_all_the_same() {
    let env = env();
    for (age, status) in [("29m", 1), ("30m", 0), ("1h", 0), ("0", 1)] {
        let output = env.run(&["latest", "s", "--max-age", age]).expect(status);
        assert_eq!(output.stdout, "s/checkpoints/00000003\n", "{age}");
    }
    assert_eq!(env.run(&["latest", "s", "--max-age", "1m"]).stderr, "checkpoint 3 was made 30m ago; the limit is 1m\n");
    let view: View =
        serde_json::from_str(&env.run(&["latest", "s", "--max-age", "1m", "--json"]).expect(1).stdout).expect("a view");
    assert!(view.too_old && !view.verified);
    env.run(&["latest", "s", "--max-age", "soon"]).expect(2);
}

#[test]
fn an_attempt_that_found_nothing_new_renews_the_newest_checkpoint() {
    let env = env();
    let store = Store::open(vec![Arc::new(LocalStorage::new(env.path("s")))]).expect("opened");
    let attempt = |time: &str, outcome| Attempt {
        number: 0,
        time: time.parse().expect("a time"),
        run: String::new(),
        trigger: Trigger::Schedule,
        outcome,
        sequence: None,
        pause_micros: 0,
        snapshot_micros: 0,
        write_micros: 0,
        commit_micros: 0,
        new_bytes: 0,
        error: None,
    };
    let mut log = AttemptLog::open(&store, "run");
    let verdict = || env.run(&["latest", "s", "--max-age", "10m"]).status;
    assert_eq!(verdict(), 1);
    // One that failed, and one from before the checkpoint, which a restore may have made.
    log.add(&store, attempt("2026-11-22T14:59:00Z", AttemptOutcome::Failed));
    log.add(&store, attempt("2026-11-22T14:29:00Z", AttemptOutcome::Elided));
    assert_eq!(verdict(), 1);
    log.add(&store, attempt("2026-11-22T14:55:00Z", AttemptOutcome::Elided));
    assert_eq!(verdict(), 0);
    let late = env.run(&["latest", "s", "--max-age", "1m"]).expect(1);
    assert_eq!(late.stderr, "checkpoint 3 was last confirmed 5m ago; the limit is 1m\n");
    let view = env.run(&["latest", "s", "--max-age", "10m", "--json"]).expect(0).stdout;
    let view: View = serde_json::from_str(&view).expect("a view");
    assert_eq!((view.confirmed.as_str(), view.age_seconds), ("2026-11-22T14:55:00Z", 1800));
    // It renewed the damaged one, not the older one that is intact.
    damage(&env, 3, 2);
    assert_eq!(env.run(&["latest", "s", "--verified", "--max-age", "10m"]).status, 1);
}

#[test]
fn a_run_that_found_nothing_new_renews_the_newest_checkpoint() {
    let mut env = Env::new();
    env.write("data.jsonl", "{\"k\":1}\n");
    env.write(
        "job.yaml",
        "job: j\ninput: data.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: s}\n",
    );
    env.at("2026-11-22T14:00:00Z").run(&["run", "job.yaml"]).expect(0);
    env.at("2026-11-22T15:00:00Z").run(&["run", "job.yaml"]).expect(0);
    env.at("2026-11-22T15:05:00Z");
    env.run(&["latest", "s", "--max-age", "10m"]).expect(0);
    let page = env.run(&["report", "s", "--output", "-"]).expect(0).stdout;
    assert!(page.contains("made 1h ago; 5m ago nothing had changed since"), "{page}");
    let late = env.run(&["latest", "s", "--max-age", "1m"]).expect(1);
    assert_eq!(late.stderr, "checkpoint 1 was last confirmed 5m ago; the limit is 1m\n");
    // A run that fails renews nothing.
    env.write("data.jsonl", "{\"k\":1}\nbad\n");
    env.at("2026-11-22T15:20:00Z").run(&["run", "job.yaml"]).expect(5);
    env.run(&["latest", "s", "--max-age", "10m"]).expect(1);
}

#[test]
fn a_checkpoint_of_the_future_is_never_fresh() {
    let mut env = env();
    // It is half an hour ahead of the clock.
    env.at("2026-11-22T14:00:00Z");
    for (age, status) in [("29m", 1), ("30m", 0)] {
        let output = env.run(&["latest", "s", "--quiet", "--max-age", age]).expect(status);
        assert_eq!(output.stdout, "s/checkpoints/00000003\n", "{age}");
        assert_eq!(
            output.stderr,
            "warning: checkpoint 3 is dated in the future (2026-11-22T14:30:00Z): a clock is or was wrong\n"
        );
    }
    let view: View =
        serde_json::from_str(&env.run(&["latest", "s", "--max-age", "1m", "--json"]).expect(1).stdout).expect("a view");
    assert!(view.too_old && view.age_seconds == -1800, "{view:?}");
    // The clocks of two machines always differ a little.
    env.at("2026-11-22T14:29:50Z");
    assert_eq!(env.run(&["latest", "s", "--max-age", "1m"]).expect(0).stderr, "");
}

#[test]
fn a_checkpoint_whose_objects_are_missing_or_short_is_not_the_latest_good_one() {
    for short in [false, true] {
        let env = env();
        let (old, new) = (env.read("s/checkpoints/00000002/SHA256SUMS"), env.read("s/checkpoints/00000003/SHA256SUMS"));
        let own = new.lines().find(|line| line.contains("objects") && !old.contains(*line)).expect("its own");
        let object = format!("s/{}", own.split_once("../../").expect("a path").1);
        if short {
            env.write(&object, "short");
        } else {
            fs::remove_file(env.path(&object)).expect("removed");
        }
        let output = env.run(&["latest", "s"]).expect(12);
        assert!(output.stdout.is_empty() && output.stderr.contains("--verified"), "{output}");
        let output = env.run(&["list", "s"]).expect(1);
        assert!(output.stdout.contains("last good  checkpoint 2, "), "{output}");
        assert!(output.stderr.contains("warning: checkpoint 3: "), "{output}");
        let output = env.run(&["list", "s", "--json"]).expect(1);
        let listing: serde_json::Value = serde_json::from_str(&output.stdout).expect("one document");
        assert_eq!(listing["last_good"], 2);
        assert!(listing["checkpoints"][2]["error"].is_string() && listing["checkpoints"][2]["keys"].is_u64());
    }
}

#[test]
fn a_directory_of_objects_that_is_a_link_is_named_and_nothing_is_decided() {
    let env = env();
    env.shell("mv s/objects disk && ln -s ../disk s/objects").expect(0);
    for command in [
        &["latest", "s"][..],
        &["latest", "s", "--verified"],
        &["list", "s"],
        &["verify", "s"],
        &["stats", "s"],
        &["copy", "s", "--to", "c"],
        &["prune", "s", "--keep-last", "1", "--yes"],
    ] {
        let output = env.run(command).expect(4);
        assert_eq!(
            output.stderr,
            "error: `s/objects` is a symbolic link, which ckpt does not follow\nhint: to keep it on another disk, mount \
             or bind the disk there; or name the whole store by a link\n",
            "{command:?}"
        );
        assert!(!output.stdout.contains("foreign-file"), "{output}");
    }
}

#[test]
fn a_store_that_is_a_link_to_what_is_not_mounted_is_gone() {
    let env = env();
    env.shell("mv s disk && ln -s disk s").expect(0);
    env.run(&["list", "s"]).expect(0);
    env.shell("mv disk away && echo '{\"k\":1}' >in.jsonl").expect(0);
    let job = "job: j\ninput: in.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: s}\n";
    env.write("job.yaml", job);
    for command in [&["latest", "s"][..], &["list", "s"], &["verify", "s"], &["run", "job.yaml"]] {
        let output = env.run(command).expect(4);
        let error =
            "error: `s` is gone, or another directory is in its place\nhint: was it unmounted or moved? put it back";
        assert!(output.stderr.contains(error), "{command:?}: {output}");
    }
}
