//! What a run keeps when a bad record ends it, how many it may leave out, and how they are fed back.

use std::fs;

use super::checkpoints;
use crate::support::Env;

/// Writes `blocks` blocks of input to `name`, and a bad record after the block `bad`. Returns the number of good records.
fn input(env: &Env, name: &str, blocks: usize, bad: Option<usize>) -> usize {
    let mut text = String::new();
    let mut count = 0;
    for block in 0..blocks {
        // A block is 256 KiB.
        while text.len() < (block + 1) * (256 << 10) {
            text += &format!("{{\"k\":\"{}\",\"v\":{count}}}\n", count % 97);
            count += 1;
        }
        if bad == Some(block) {
            text += "{\"k\":\"a\",\"v\":\"bad\"}\n";
        }
    }
    env.write(name, text);
    count
}

fn job(env: &Env, on_error: &str, rest: &str) {
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: {{files: data/*.jsonl, on_error: {on_error}}}\nkey: k\n\
             process: {{aggregate: {{n: count, sum: sum(v)}}}}\n\
             checkpoint: {{store: store, schedule: 1h}}\n{rest}"
        ),
    );
}

/// Returns the state of the latest checkpoint.
fn state(env: &Env) -> String {
    env.run(&["inspect", "store", "--state", "--limit", "0", "--json"]).expect(0).stdout
}

#[test]
fn a_run_that_a_bad_record_ends_keeps_what_came_before_it() {
    for threads in ["1", "4"] {
        for (file, block) in [("data/0.jsonl", 6), ("data/0.jsonl", 0), ("data/1.jsonl", 3)] {
            let env = Env::new();
            for name in ["data/0.jsonl", "data/1.jsonl", "data/2.jsonl"] {
                input(&env, name, 8, (name == file).then_some(block));
            }
            job(&env, "fail", "output: {files: out, emit: changes}\n");
            let run = ["run", "job.yaml", "--threads", threads];
            let ended = env.run(&run).expect(5);
            assert!(ended.stderr.contains("error: bad record "), "{ended}");
            assert_eq!(checkpoints(&env.path("store")).len(), 1, "{file} {block}");
            env.run(&["verify", "--deep", "store"]).expect(0);
            let before = env.run(&["inspect", "store", "--json"]).expect(0).stdout;
            let before: serde_json::Value = serde_json::from_str(&before).expect("JSON");
            // A block that the bad record is not in has all its records.
            let records = before["totals"]["records"].as_u64().expect("a number");
            assert!(records > 0, "{before}");
            // Until the input is fixed, every run ends in the same way, and no checkpoint is added.
            env.run(&run).expect(5);
            assert_eq!(checkpoints(&env.path("store")).len(), 1, "{file} {block}");
            job(&env, "skip", "output: {files: out, emit: changes}\n");
            let rest = env.run(&[&run[..], &["--json"]].concat()).expect(3);
            let rest: serde_json::Value = serde_json::from_str(&rest.stdout).expect("JSON");
            assert_eq!(rest["skipped"], 1);
            let in_all = rest["records_in_all"].as_u64().expect("a number");
            assert_eq!(
                rest["records"].as_u64().map(|records| records + before["totals"]["records"].as_u64().unwrap()),
                Some(in_all)
            );
            let state_of_two = state(&env);
            fs::remove_dir_all(env.path("store")).unwrap();
            fs::remove_dir_all(env.path("out")).unwrap();
            env.run(&run).expect(3);
            let rows = |text: &str| {
                let value: serde_json::Value = serde_json::from_str(text).expect("JSON");
                value["rows"].clone()
            };
            assert_eq!(rows(&state_of_two), rows(&state(&env)), "{file} {block} {threads}");
        }
    }
}

#[test]
fn the_checkpoint_before_a_bad_record_fits_windows_triggers_and_priorities() {
    for (process, checkpoint) in [
        ("{aggregate: {n: count, sum: sum(v)}}", "records: 3000"),
        ("{aggregate: {n: count, sum: sum(v)}, window: {time: v, every: 10m}}", "records: 20000"),
        ("{aggregate: {n: count, sum: sum(v)}, ttl: 1d, time: v}", "schedule: 1h"),
        ("{aggregate: {n: count, sum: sum(v)}}", "mode: priority, schedule: 20ms, budget: 1KiB"),
    ] {
        let env = Env::new();
        for (name, bad) in [("data/0.jsonl", None), ("data/1.jsonl", Some(9)), ("data/2.jsonl", None)] {
            input(&env, name, 10, bad);
        }
        let write = |on_error: &str| {
            env.write(
                "job.yaml",
                format!(
                    "job: j\ninput: {{files: data/*.jsonl, on_error: {on_error}}}\nkey: k\nprocess: {process}\n\
                     checkpoint: {{store: store, {checkpoint}}}\noutput: {{files: out, emit: changes}}\n"
                ),
            );
        };
        let published = |env: &Env| {
            let mut rows: Vec<String> = Vec::new();
            for (name, bytes) in crate::support::tree(&env.path("out")) {
                assert!(!name.starts_with('.'), "{name}");
                rows.extend(String::from_utf8(bytes).expect("text").lines().map(str::to_owned));
            }
            rows
        };
        write("fail");
        env.run(&["run", "job.yaml", "--threads", "3"]).expect(5);
        let before = checkpoints(&env.path("store")).len();
        assert!(before > 0, "{checkpoint}");
        env.run(&["verify", "--deep", "store"]).expect(0);
        write("skip");
        env.run(&["run", "job.yaml", "--threads", "2"]).expect(3);
        let resumed = (state(&env), published(&env));
        fs::remove_dir_all(env.path("store")).unwrap();
        fs::remove_dir_all(env.path("out")).unwrap();
        env.run(&["run", "job.yaml", "--threads", "3"]).expect(3);
        let rows = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON")["rows"].clone();
        assert_eq!(rows(&resumed.0), rows(&state(&env)), "{process} {checkpoint}");
        if process.contains("window") {
            // A window is published once, whichever checkpoint does it.
            let (mut once, mut again) = (resumed.1, published(&env));
            once.sort();
            again.sort();
            assert_eq!(once, again);
        }
    }
}

#[test]
fn a_bad_record_in_the_first_block_leaves_no_checkpoint() {
    let env = Env::new();
    env.write("data/a.jsonl", "{\"k\":\"a\",\"v\":1}\nbad\n");
    job(&env, "fail", "");
    env.run(&["run", "job.yaml"]).expect(5);
    assert!(checkpoints(&env.path("store")).is_empty());
}

#[test]
fn a_followed_input_keeps_what_came_before_a_bad_record_too() {
    let env = Env::new();
    input(&env, "data/0.jsonl", 10, None);
    input(&env, "data/1.jsonl", 10, Some(5));
    job(&env, "fail, follow: true", "");
    env.run(&["run", "job.yaml"]).expect(5);
    assert_eq!(checkpoints(&env.path("store")).len(), 1);
    env.run(&["verify", "--deep", "store"]).expect(0);
    job(&env, "skip", "");
    let rest = env.run(&["run", "job.yaml", "--json"]).expect(3);
    let rest: serde_json::Value = serde_json::from_str(&rest.stdout).expect("JSON");
    let lines = |name: &str| env.read(name).lines().count() as u64;
    assert_eq!(rest["records_in_all"].as_u64(), Some(lines("data/0.jsonl") + lines("data/1.jsonl")));
}

#[test]
fn more_bad_records_than_the_job_allows_stop_it_without_publishing() {
    let good = "{\"k\":\"a\",\"v\":1}\n";
    for (max, bad, is_fine) in [("2", 2, true), ("2", 3, false), ("1%", 1, true), ("1%", 2, false), ("0.5%", 1, false)]
    {
        for on_error in [format!("{{max: {max}}}"), format!("{{dead_letter: bad.jsonl, max: {max}}}")] {
            let env = Env::new();
            env.write("data/a.jsonl", good.repeat(100 - bad) + &"{\"k\":\"a\",\"v\":\"x\"}\n".repeat(bad));
            job(&env, &on_error, "output: out\n");
            let output = env.run(&["run", "job.yaml"]).expect(if is_fine { 3 } else { 5 });
            assert_eq!(env.path("out/j.jsonl").exists(), is_fine, "{on_error}");
            assert_eq!(checkpoints(&env.path("store")).is_empty(), !is_fine, "{on_error}");
            if !is_fine {
                let records = if bad == 1 { "1 record" } else { &format!("{bad} records") };
                assert!(
                    output.stderr.starts_with(&format!(
                        "j: starts from scratch; checkpoints go to store\n\
                         error: too many bad records: {bad} of 100, and `max` is {max}\n\
                         \x20 caused by: {records}: "
                    )),
                    "{output}"
                );
                // A higher limit is enough to continue.
                let enough = env.run(&["run", "job.yaml", "--set", "input.on_error.max=50%"]).expect(3);
                assert!(enough.stdout.contains("  bad           "), "{enough}");
            }
        }
    }
    let env = Env::new();
    env.write("data/a.jsonl", good);
    for max in ["0", "0%", "100%", "1.00001%", "-1", "many", "%", ".5%"] {
        job(&env, &format!("{{max: '{max}'}}"), "");
        let output = env.run(&["check", "job.yaml"]).expect(2);
        assert!(output.stderr.contains(":2:"), "{output}");
    }
}

#[test]
fn the_summary_counts_each_reason_with_an_example() {
    let env = Env::new();
    env.write(
        "data/a.jsonl",
        "{\"k\":\"a\",\"v\":1}\n{\"k\":\"a\",\"v\":\"x\"}\nbroken\n{\"k\":\"b\",\"v\":\"yy\"}\n{\"v\":1}\n",
    );
    job(&env, "skip", "");
    let output = env.run(&["run", "job.yaml", "--json"]).expect(3);
    let summary: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    let bad = summary["bad_records"].as_array().expect("a list");
    let counts: Vec<(u64, u64, &str)> = bad
        .iter()
        .map(|bad| (bad["count"].as_u64().unwrap(), bad["record"].as_u64().unwrap(), bad["data"].as_str().unwrap()))
        .collect();
    assert_eq!(counts, [(2, 1, "{\"k\":\"a\",\"v\":\"x\"}"), (1, 2, "broken"), (1, 4, "{\"v\":1}")]);
    fs::remove_dir_all(env.path("store")).unwrap();
    let shown = env.run(&["run", "job.yaml"]).expect(3).stdout;
    let lines: Vec<&str> = shown.lines().filter(|line| line.starts_with("  bad ")).collect();
    assert_eq!(lines.len(), 3, "{shown}");
    assert!(
        lines[0].starts_with("  bad           2 records: ") && lines[0].contains("such as record 1 of `data/a.jsonl`"),
        "{shown}"
    );
}

#[test]
fn fixed_dead_letters_are_fed_back_once() {
    let env = Env::new();
    env.write(
        "data/a.jsonl",
        "{\"k\":\"a\",\"v\":1}\n{\"k\":\"a\",\"v\":\"2\"}\nnot \"JSON\\\" é\n{\"k\":\"b\",\"v\":\"3\"}\n",
    );
    job(&env, "{dead_letter: bad.jsonl}", "output: out\n");
    env.run(&["run", "job.yaml"]).expect(3);
    // As `jq -r .data` does, and then each value loses its quotes. The second record stays bad.
    let data = env.read("bad.jsonl").lines().fold(String::new(), |all, line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        all + line["data"].as_str().expect("text") + "\n"
    });
    env.write("data/fixed-1.jsonl", data.replace("\"v\":\"2\"", "\"v\":2").replace("\"v\":\"3\"", "\"v\":3"));
    env.run(&["run", "job.yaml"]).expect(3);
    let expected = "{\"k\":\"a\",\"n\":2,\"sum\":3}\n{\"k\":\"b\",\"n\":1,\"sum\":3}\n";
    assert_eq!(env.read("out/j.jsonl"), expected);
    assert_eq!(env.read("bad.jsonl").lines().count(), 4);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), expected);
    assert_eq!(env.read("bad.jsonl").lines().count(), 4);
}
