//! `ckpt log`.

use serde::Deserialize;

use crate::support::Env;
use crate::support::store_builder::three_checkpoints;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct View {
    version: u32,
    store: String,
    dropped: u64,
    unreadable: u64,
    older: u64,
    log: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
#[allow(dead_code)]
enum Entry {
    Attempt {
        number: Option<u64>,
        time: String,
        run: Option<String>,
        cause: String,
        outcome: String,
        checkpoint: Option<u64>,
        restored_from: Option<u64>,
        pause_micros: u64,
        snapshot_micros: u64,
        write_micros: u64,
        commit_micros: u64,
        new_bytes: u64,
        error: Option<String>,
    },
    Event {
        event_number: u64,
        time: String,
        event: String,
        policy: Option<String>,
        checkpoints: Vec<u64>,
        ranges: Vec<Range>,
        files: Option<u64>,
        bytes: u64,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Range {
    first: u64,
    last: u64,
}

fn line(number: u64, minute: u64, rest: &str) -> String {
    format!(
        "{{\"number\":{number},\"time\":\"2026-11-22T14:{minute:02}:30Z\",\"run\":\"0123456789abcdef\",\"trigger\":\"schedule\",{rest}}}\n"
    )
}

/// A store with three checkpoints, only one of which is in the log, and a prune.
fn env() -> Env {
    let mut env = Env::new();
    env.at("2026-11-22T15:00:00Z");
    three_checkpoints(&env.path("s"));
    env.run(&["prune", "s", "--keep-last", "2", "--yes"]).expect(0);
    let committed =
        "\"outcome\":\"committed\",\"sequence\":2,\"snapshot_micros\":1500,\"write_micros\":2000,\"new_bytes\":2048";
    let failed = "\"outcome\":\"failed\",\"error\":\"only 1 of 2 copies can be made\"";
    let lines =
        [line(7, 10, committed), line(8, 11, "\"outcome\":\"elided\""), line(9, 12, failed), "{\"numb".to_owned()];
    env.write("s/history/attempts-00000001.jsonl", lines.concat());
    env
}

#[test]
fn the_log_has_attempts_checkpoints_and_prunes_in_the_order_of_their_times() {
    let output = env().run(&["log", "s"]).expect(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 6, "{output}");
    assert!(lines[0].starts_with("NUMBER  WHEN"), "{output}");
    let has = |text: &str| assert!(lines.iter().any(|line| line.contains(text)), "{text}: {output}");
    has("     7  2026-11-22T14:10:30Z  schedule  3.5 ms    2 KiB  checkpoint 2");
    has("     8  2026-11-22T14:11:30Z  schedule     0 s        -  nothing new");
    has("     9  2026-11-22T14:12:30Z  schedule     0 s        -  failed: only 1 of 2 co");
    assert!(lines[5].contains("  prune") && lines[5].contains("pruned 1 checkpoint"), "{output}");
    assert!(output.stderr.contains("the log no longer has the first 6 attempts"), "{output}");
    assert!(output.stderr.contains("1 line of the history cannot be read"), "{output}");
}

#[test]
fn what_is_shown_can_be_chosen() {
    let env = env();
    let view = |arguments: &[&str]| -> View {
        let output = env.run(&[&["log", "s", "--json"], arguments].concat()).expect(0);
        serde_json::from_str(&output.stdout).expect("a log")
    };
    let view_of_all = view(&[]);
    assert_eq!((view_of_all.log.len(), view_of_all.dropped, view_of_all.unreadable), (5, 6, 1));
    let failed = view(&["--failed"]);
    assert!(matches!(&failed.log[..], [Entry::Attempt { number: Some(9), error: Some(_), .. }]), "{failed:?}");
    let newest = view(&["-n", "1"]);
    assert_eq!(newest.older, 4);
    assert!(matches!(&newest.log[..], [Entry::Event { event_number: 1, .. }]), "{newest:?}");
    let since = view(&["--since", "2026-11-22T14:11:30Z"]);
    assert!(
        since.log.len() < 5 && since.log.iter().any(|entry| matches!(entry, Entry::Attempt { number: Some(8), .. }))
    );
    assert_eq!(view(&["--since", "2000d"]).log.len(), 5);
    assert_eq!(view(&["--since", "10m"]).log.len(), 1);
    env.run(&["log", "s", "--since", "soon"]).expect(2);
    env.run(&["log", "s@2"]).expect(2);
    env.run(&["log", "nowhere"]).expect(10);
}

#[test]
fn a_log_does_not_make_a_store_suspect() {
    let env = env();
    env.run(&["verify", "s"]).expect(0);
    let output = env.run(&["prune", "s", "--keep-last", "2", "--dry-run", "--json"]).expect(0);
    assert!(output.stdout.contains("\"leftovers\":[]"), "{output}");
}

#[test]
fn attempts_of_a_quiet_job_are_one_line_for_people_and_complete_for_programs() {
    let env = env();
    let elided = "\"outcome\":\"elided\"";
    let failed = "\"outcome\":\"failed\",\"error\":\"no\"";
    let asked = line(4, 4, elided).replace("\"schedule\"", "\"request\"");
    let lines =
        [line(1, 1, elided), line(2, 2, elided), line(3, 3, elided), asked, line(5, 5, failed), line(6, 6, elided)];
    env.write("s/history/attempts-00000001.jsonl", lines.concat());
    let output = env.run(&["log", "s", "--since", "2026-11-22T14:00"]).expect(0);
    let shown: Vec<String> = output
        .stdout
        .lines()
        .filter(|line| line.contains(":30Z  "))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        shown,
        [
            "1 2026-11-22T14:01:30Z schedule 0 s - nothing new, 3 times until 2026-11-22T14:03:30Z",
            "4 2026-11-22T14:04:30Z request 0 s - nothing new",
            "5 2026-11-22T14:05:30Z schedule 0 s - failed: no",
            "6 2026-11-22T14:06:30Z schedule 0 s - nothing new",
        ],
        "{output}"
    );
    let output = env.run(&["log", "s", "--json"]).expect(0);
    let view: View = serde_json::from_str(&output.stdout).expect("a log");
    assert_eq!(view.log.iter().filter(|entry| matches!(entry, Entry::Attempt { number: Some(_), .. })).count(), 6);
}
