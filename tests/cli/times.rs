//! Times: one zone everywhere, and each that is shown can be given back.

use std::sync::LazyLock;

use regex::Regex;

use crate::support::Env;

/// A store with three checkpoints, two of them made within the same second.
fn env() -> Env {
    let mut env = Env::new();
    env.write(
        "job.yaml",
        "job: j\ninput: {files: in.jsonl, format: json}\nkey: u\nprocess: {aggregate: {n: count}}\n\
         checkpoint: {schedule: 1h, store: s}\n",
    );
    let mut input = String::new();
    for (time, user) in
        [("2026-11-22T13:30:59.875Z", "a"), ("2026-11-22T14:00:00.25Z", "b"), ("2026-11-22T14:00:00.75Z", "c")]
    {
        input += &format!("{{\"u\":\"{user}\"}}\n");
        env.write("in.jsonl", &input);
        env.at(time).run(&["run", "-q", "job.yaml"]).expect(0);
    }
    env.at("2026-11-22T15:00:00Z");
    env
}

/// Returns the times in a text.
fn times(text: &str) -> Vec<&str> {
    static TIME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)").expect("well formed"));
    TIME.find_iter(text).map(|found| found.as_str()).collect()
}

/// Returns a table without the rows of a log that have no number: the starts and ends of runs.
fn without_runs(table: &str) -> String {
    table.lines().filter(|line| !line.trim_start().starts_with("- ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_time_that_is_shown_can_be_given_back() {
    let mut env = env();
    for zone in ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"] {
        env.set("TZ", zone);
        for shows in [
            &["list", "s"][..],
            &["list", "s", "--sizes"],
            &["stats", "s"],
            &["log", "s"],
            &["prune", "s", "--keep-last", "1", "--dry-run"],
        ] {
            for more in [&[][..], &["--utc"]] {
                let output = env.run(&[shows, more].concat()).expect(0);
                let shown = without_runs(&output.stdout);
                let times = times(&shown);
                assert_eq!(times.len(), 3, "{output}");
                for (time, number) in times.into_iter().zip(1..) {
                    assert_eq!(time.ends_with('Z'), zone == "UTC" || !more.is_empty(), "{output}");
                    let found = env.run(&["inspect", &format!("s@{time}")]).expect(0);
                    assert!(found.stdout.starts_with(&format!("checkpoint {number} ")), "{shows:?} {time}: {found}");
                    let since = env.run(&["log", "s", "--since", time]).expect(0);
                    assert_eq!(without_runs(&since.stdout).lines().count(), 5 - number, "{shows:?} {time}: {since}");
                }
            }
        }
        for number in 1..=3 {
            let one = format!("s@{number}");
            let outputs = [env.run(&["inspect", &one]).expect(0), env.run(&["diff", &one, &one]).expect(0)];
            for time in outputs.iter().flat_map(|output| times(&output.stdout)) {
                let found = env.run(&["inspect", &format!("s@{time}")]).expect(0);
                assert!(found.stdout.starts_with("checkpoint "), "{found}");
            }
            let time = times(&outputs[0].stdout)[0];
            let found = env.run(&["inspect", &format!("s@{time}")]).expect(0);
            assert_eq!(found.stdout, outputs[0].stdout);
        }
    }
}

#[test]
fn a_time_to_the_second_covers_that_second() {
    let mut env = env();
    env.set("TZ", "America/New_York");
    let number = |time: &str, more: &[&str]| {
        let found = env.run(&[&["inspect", &format!("s@{time}")], more].concat()).expect(0);
        found.stdout.split_whitespace().nth(1).expect("a number").to_owned()
    };
    assert_eq!(number("2026-11-22T09:00:00", &[]), "3");
    assert_eq!(number("2026-11-22T09:00:00.5", &[]), "2");
    assert_eq!(number("2026-11-22T08:30:59-05:00", &[]), "1");
    assert_eq!(number("2026-11-22 14:00", &["--utc"]), "3");
    env.run(&["inspect", "s@2026-11-22T13:30:58Z"]).expect(10);
}

#[test]
fn documents_for_programs_have_utc_in_every_zone() {
    let mut env = env();
    let utc = env.run(&["list", "s", "--json"]).expect(0);
    env.set("TZ", "Asia/Kolkata");
    assert_eq!(env.run(&["list", "s", "--json"]).expect(0), utc);
    assert!(utc.stdout.contains("\"created\":\"2026-11-22T14:00:00.25Z\""), "{utc}");
}
