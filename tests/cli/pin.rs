//! `ckpt pin` and `ckpt unpin`.

use serde::Deserialize;

use crate::support::store_builder::with_three_checkpoints as env;

#[test]
fn a_pin_is_shown_and_keeps_its_checkpoint_until_it_is_removed() {
    let env = env();
    assert!(!env.run(&["list", "s"]).expect(0).stdout.contains("PIN"));
    let output = env.run(&["pin", "s@1", "--reason", "before the \u{1b}[2J migration"]).expect(0);
    assert_eq!(output.stdout, "pinned checkpoint 1: before the \\u{1b}[2J migration\n");
    let list = env.run(&["list", "s"]).expect(0).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[0].ends_with("  PIN") && lines[1].ends_with("  pin") && !lines[2].contains("pin"), "{list}");
    let seen = env.run_on_terminal(&["list", "s", "--color", "never"]);
    assert!(seen.text.lines().all(|line| line.chars().count() <= 80), "{seen:?}");
    assert!(seen.text.lines().nth(1).expect("a line").ends_with("  pin"), "{seen:?}");
    let inspect = env.run(&["inspect", "s@1"]).expect(0).stdout;
    assert!(inspect.contains("\npinned     before the \\u{1b}[2J migration, just now\n"), "{inspect}");
    assert!(!env.run(&["inspect", "s@2"]).expect(0).stdout.contains("pinned"));
    env.run(&["prune", "s", "--keep-last", "1", "--yes"]).expect(0);
    env.run(&["inspect", "s@1"]).expect(0);
    env.run(&["inspect", "s@2"]).expect(10);
    assert_eq!(env.run(&["unpin", "s@1"]).expect(0).stdout, "unpinned checkpoint 1\n");
    assert_eq!(env.run(&["unpin", "s@1"]).expect(0).stdout, "checkpoint 1 was not pinned\n");
    env.run(&["prune", "s", "--keep-last", "1", "--yes"]).expect(0);
    env.run(&["inspect", "s@1"]).expect(10);
    env.run(&["verify", "s"]).expect(0);
}

#[test]
fn pinning_again_changes_only_the_reason() {
    let env = env();
    assert_eq!(env.run(&["pin", "s@latest"]).expect(0).stdout, "pinned checkpoint 3\n");
    let first = env.read("s/pins/00000003.yaml");
    assert_eq!(env.run(&["pin", "s@3"]).expect(0).stdout, "pinned checkpoint 3\n");
    assert_eq!(env.read("s/pins/00000003.yaml"), first);
    env.run(&["pin", "s@3", "--reason", "release 7"]).expect(0);
    assert_eq!(env.run(&["pin", "s/checkpoints/00000003"]).expect(0).stdout, "pinned checkpoint 3: release 7\n");
}

#[test]
fn only_an_existing_checkpoint_can_be_pinned() {
    let env = env();
    env.run(&["pin", "s"]).expect(2);
    env.run(&["pin", "s@9"]).expect(10);
    env.run(&["unpin", "s"]).expect(2);
    env.run(&["unpin", "s@9"]).expect(10);
    env.run(&["pin", "nothing@1"]).expect(10);
    env.run(&["pin", "s@1", "--reason", &"x".repeat(501)]).expect(2);
    assert!(!env.path("s/pins").exists());
}

#[test]
fn a_checkpoint_is_pinned_while_a_job_runs() {
    let env = env();
    let builder =
        ckpt::store::Store::open(vec![std::sync::Arc::new(ckpt::storage::local::LocalStorage::new(env.path("s")))])
            .expect("a store");
    let _lock = builder.lock("`ckpt run`").expect("locked");
    env.run(&["pin", "s@2"]).expect(0);
    env.run(&["unpin", "s@2"]).expect(0);
    let _lock = builder.lock_prune("`ckpt prune`, process 1").expect("locked");
    let output = env.run(&["pin", "s@2"]).expect(11);
    assert!(output.stderr.contains("`ckpt prune`, process 1"), "{output}");
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinView {
    version: u32,
    store: String,
    sequence: u64,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnpinView {
    version: u32,
    store: String,
    sequence: u64,
    was_pinned: bool,
}

#[test]
fn json_says_what_is_pinned() {
    let env = env();
    let text = env.run(&["pin", "s@2", "--reason", " why ", "--json"]).expect(0).stdout;
    let view: PinView = serde_json::from_str(&text).expect("a view");
    assert_eq!((view.version, view.store.as_str(), view.sequence, view.reason.as_deref()), (1, "s", 2, Some("why")));
    let list: serde_json::Value =
        serde_json::from_str(&env.run(&["list", "s", "--json"]).expect(0).stdout).expect("a view");
    assert_eq!((&list["checkpoints"][0]["pinned"], &list["checkpoints"][1]["pinned"]), (&false.into(), &true.into()));
    let inspect = env.run(&["inspect", "s@2", "--json"]).expect(0).stdout;
    let inspect: serde_json::Value = serde_json::from_str(&inspect).expect("a view");
    assert_eq!(inspect["pin"], serde_json::json!({"reason": "why", "created": "2026-11-22T15:00:00Z"}));
    let text = env.run(&["unpin", "s@2", "--json"]).expect(0).stdout;
    let view: UnpinView = serde_json::from_str(&text).expect("a view");
    assert_eq!((view.version, view.store.as_str(), view.sequence, view.was_pinned), (1, "s", 2, true));
}
