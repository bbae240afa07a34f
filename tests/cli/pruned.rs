//! A checkpoint that was pruned, and is asked for.

use crate::support::Env;
use crate::support::store_builder::with_three_checkpoints as env;

#[test]
fn a_pruned_checkpoint_is_named_with_the_command_that_brings_it_back() {
    let mut env = env();
    env.run(&["prune", "s", "--keep-last", "1", "--yes"]).expect(0);
    env.at("2026-11-22T15:05:00Z");
    let expected = "error: checkpoint 1 was pruned 5m ago (--keep-last 1)\n\
        hint: `ckpt prune s --undo` brings it back; with the default grace period, a prune after \
        2026-11-23T15:00:00Z deletes it\n";
    for command in [
        &["inspect", "s@1"][..],
        &["inspect", "s/checkpoints/00000001"],
        &["restore", "s@1"],
        &["restore", "s@1", "--to", "out"],
        &["diff", "s@1", "s@3"],
        &["pin", "s@1"],
        &["unpin", "s@1"],
        &["verify", "s@1"],
        &["copy", "s@1", "--to", "t"],
    ] {
        assert_eq!(env.run(command).expect(10).stderr, expected, "{command:?}");
    }
    for name in ["s@latest~1", "s@2026-11-22T14:20"] {
        let output = env.run(&["inspect", name]).expect(10);
        let hint =
            "\nhint: `ckpt prune s --undo` can bring back what was pruned last; checkpoints 1 and 2 can return\n";
        assert!(output.stderr.ends_with(hint), "{output}");
    }
    assert!(!env.run(&["inspect", "s@7"]).expect(10).stderr.contains("prune"), "it never existed");
    env.run(&["prune", "s", "--undo", "--yes"]).expect(0);
    env.run(&["inspect", "s@1"]).expect(0);
}

#[test]
fn a_checkpoint_of_an_earlier_prune_needs_as_many_undos() {
    let env = env();
    env.run(&["prune", "s", "--keep-last", "2", "--yes"]).expect(0);
    let mut env = env;
    env.at("2026-11-22T15:05:00Z").run(&["prune", "s", "--keep-last", "1", "--yes"]).expect(0);
    let output = env.run(&["inspect", "s@1"]).expect(10);
    assert!(output.stderr.contains("hint: `ckpt prune s --undo`, run 2 times, brings it back;"), "{output}");
    env.at("2026-11-22T15:06:00Z").run(&["prune", "s", "--undo", "--yes"]).expect(0);
    assert!(env.run(&["inspect", "s@1"]).expect(10).stderr.contains("hint: `ckpt prune s --undo` brings it back;"));
    env.run(&["prune", "s", "--undo", "--yes"]).expect(0);
    env.run(&["inspect", "s@1"]).expect(0);
}

#[test]
fn a_checkpoint_whose_grace_period_is_over_is_gone() {
    let env = env();
    env.run(&["prune", "s", "--keep-last", "1", "--grace", "0s", "--yes"]).expect(0);
    let output = env.run(&["restore", "s@2"]).expect(10);
    assert!(output.stderr.starts_with("error: `s` has no checkpoint 2\n"), "{output}");
    assert!(
        output.stderr.contains("caused by: it was pruned just now (--keep-last 1), and its grace period is over\n"),
        "{output}"
    );
    assert!(!output.stderr.contains("--undo"), "{output}");
}

#[test]
fn stats_count_what_pruned_checkpoints_still_take() {
    let env = env();
    let pruned = |env: &Env| {
        let view: serde_json::Value =
            serde_json::from_str(&env.run(&["stats", "s", "--json"]).expect(0).stdout).expect("a view");
        (view["pruned_checkpoints"].as_u64(), view["pruned_bytes"].as_u64(), view["unused_bytes"].as_u64())
    };
    assert_eq!(pruned(&env), (Some(0), Some(0), Some(0)));
    env.run(&["prune", "s", "--keep-last", "1", "--yes"]).expect(0);
    let (count, bytes, unused) = pruned(&env);
    assert!(count == Some(2) && bytes > Some(0) && bytes == unused, "{bytes:?} {unused:?}");
    let output = env.run(&["stats", "s"]).expect(0);
    let end = "of it for 2 pruned checkpoints, which `ckpt prune --undo` brings back\n";
    assert!(output.stdout.ends_with(end), "{output}");
}
