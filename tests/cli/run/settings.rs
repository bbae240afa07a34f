//! One job file for many environments: variables, `~` and `--set`; and all mistakes of a file at once.

use crate::support::Env;

const JOB: &str = "job: j
input: ${DATA:-data}/*.jsonl
where: country == \"${COUNTRY}\"
key: k
tasks: ${TASKS:-4}
process: {aggregate: {n: count}}
checkpoint: {store: ~/store}
output: $${OUT}
";

fn env() -> Env {
    let mut env = Env::new();
    env.write("data/a.jsonl", "{\"k\":\"a\",\"country\":\"DE\"}\n{\"k\":\"b\",\"country\":\"AT\"}\n");
    env.write("job.yaml", JOB);
    let home = env.path("home").display().to_string();
    env.set("HOME", &home).set("COUNTRY", "AT");
    env
}

#[test]
fn variables_and_the_home_directory_are_filled_in_and_stored() {
    let mut env = env();
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("${OUT}/j.jsonl"), "{\"k\":\"b\",\"n\":1}\n");
    let definition = env.run(&["inspect", "home/store", "--job"]).expect(0).stdout;
    for line in ["  - \"data/*.jsonl\"\n", "tasks: 4\n", "where: \"country == \\\"AT\\\"\"\n"] {
        assert!(definition.contains(line), "{definition}");
    }
    assert!(definition.contains("  store: \"$DIR/home/store\"\n"), "{definition}");
    // What the checkpoint stores has no variables, so it means the same wherever it is read.
    env.set("COUNTRY", "${TASKS}").set("TASKS", "8");
    let check = env.run(&["check", "job.yaml"]).expect(0);
    assert!(check.stdout.contains("`tasks` was 4, is now 8"), "{check}");
    env.run(&["run", "job.yaml"]).expect(0);
    env.run(&["verify", "--deep", "home/store"]).expect(0);
    env.set("TASKS", "many");
    let wrong = env.run(&["run", "job.yaml"]).expect(2);
    let expected = "error: job.yaml:5:8: expected a whole number of tasks from 1 to 1000000, found `many`\n";
    assert_eq!(wrong.stderr, expected);
    env.unset("COUNTRY");
    let unset = env.run(&["run", "job.yaml"]).expect(2);
    assert_eq!(
        unset.stderr,
        "error: job.yaml:3:20: the environment variable `COUNTRY` is not set; set it, or give it a default: \
         `${COUNTRY:-default}`\n"
    );
}

#[test]
fn settings_replace_add_and_remove_values() {
    let env = env();
    let run = |settings: &[&str]| {
        let mut arguments = vec!["run", "job.yaml"];
        settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
        env.run(&arguments)
    };
    run(&[
        "input.format=json",
        "checkpoint.store=first",
        "where=k != \"b\" && country in [\"DE\"]",
        "process.aggregate.last=last(country)",
        "output.files=out",
        "output.format=csv",
        "checkpoint.keep={last: 3}",
        "checkpoint.schedule=1s",
    ])
    .expect(0);
    assert_eq!(env.read("out/j.csv"), "k,n,last\na,1,DE\n");
    let definition = env.run(&["inspect", "first", "--job"]).expect(0).stdout;
    assert!(definition.contains("  schedule: 1s\n") && definition.contains("    last: 3\n"), "{definition}");
    run(&["where=", "output=", "checkpoint.store=second"]).expect(0);
    let keys = env.run(&["inspect", "second", "--state"]).expect(0).stdout;
    assert!(keys.contains(" a ") && keys.contains(" b "), "{keys}");
    assert!(!env.path("${OUT}").exists(), "the output was left out");
}

#[test]
fn a_wrong_setting_is_reported_as_it_was_given() {
    let env = env();
    for (setting, message) in [
        ("checkpoint.schedule=1x", "unknown unit `x`"),
        ("checkpoint.schedul=1s", "unknown key `schedul` in `checkpoint`, did you mean `schedule`?"),
        ("checkpoint", "expected KEY=VALUE, such as `checkpoint.schedule=1s`"),
        (".a=1", "expected KEY=VALUE"),
        (&format!("{}=1", vec!["a"; 30_000].join(".")), "expected KEY=VALUE"),
        ("key.name=x", "`key` is `k`, which has no keys"),
        ("checkpoint.keep={last: 3", "invalid YAML: "),
        ("tasks=0", "expected a whole number of tasks from 1 to 1000000, found `0`"),
    ] {
        let output = env.run(&["check", "job.yaml", "--set", setting]).expect(2);
        let expected = format!("error: `--set {setting}`: ");
        assert!(output.stderr.starts_with(&expected) && output.stderr.contains(message), "{output}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_reported_at_once() {
    let env = env();
    env.write(
        "wrong.yaml",
        "jbo: j
input:
  files: [data/a.jsonl, data/a.jsonl]
  max_record_bytes: 1GiB
  on_eror: skip
where: amount >
tasks: 0
process:
  aggregate:
    n: counts
    s: sum
    ok: count
  window: {time: ts, every: 1x, on_late: dorp}
checkpoint: {schedule: 0s, mode: priority, keep: {last: x, days: 3}, tolerate: -1}
output: {files: out, format: jsn, emit: change}
",
    );
    for command in ["run", "check"] {
        let output = env.run(&[command, "wrong.yaml"]).expect(2);
        let expected = [
            "1:1: unknown key `jbo`, did you mean `job`?",
            "3:25: `data/a.jsonl` is listed twice",
            "4:21: expected a size from 1 byte to 32MiB, found `1GiB`",
            "5:3: unknown key `on_eror` in `input`, did you mean `on_error`?",
            "6:16: `where`: the expression is incomplete",
            "7:8: `tasks` needs `key`: without a key each partition is a task",
            "10:8: unknown aggregate `counts`, did you mean `count`?",
            "11:8: `sum` needs a field: `sum(amount)`",
            "13:29: expected a duration such as `10m`, `1h30m` or `250ms`, found unknown unit `x`",
            "13:42: expected `drop`, `fail` or `dead_letter: FILE`, found `dorp`",
            "14:24: expected a duration longer than zero and at most `366d`, found `0s`",
            "14:34: `mode: priority` needs `priorities`, a `budget`, or both",
            "14:57: expected a whole number of checkpoints, found `x`",
            "14:60: unknown key `days` in `checkpoint.keep`, expected one of `last`",
            "14:80: expected a whole number of failed attempts in a row, at most 1000000, found `-1`",
            "15:30: unknown format `jsn`, did you mean `json`?",
            "15:41: unknown emit `change`, did you mean `changes`?",
        ];
        let lines: Vec<&str> = output.stderr.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{output}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("error: wrong.yaml:{expected}")), "{line}\n{expected}");
        }
    }
    let log = env.run(&["run", "wrong.yaml", "--log", "json"]).expect(2).stderr;
    let line: serde_json::Value = serde_json::from_str(log.trim_end()).expect("one line");
    assert_eq!(line["others"].as_array().map(Vec::len), Some(16));
}
