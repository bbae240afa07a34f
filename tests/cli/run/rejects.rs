//! Records that a program rejects.

use std::collections::BTreeSet;
use std::fs;

use super::{checkpoints, kill_slow_runs};
use crate::support::Env;

/// Counts, and rejects every seventh record.
const PICKY: &str = "import os, time
from samza import SamzaJob

class Picky(SamzaJob):
    def setup(self):
        self.configs.update(key='k', tasks=8, output='out/', checkpoint={'schedule': '100ms', 'store': 's'})
        self.configs['input'] = {'files': 'data.*', 'on_error': ON_ERROR}

    def process(self, data):
        if os.environ.get('SLOW') and int(data['n']) % 50 == 0:
            time.sleep(0.01)
        if int(data['n']) % 7 == 6:
            return self.reject('`n` is %s' % data['n'])
        self.state[data['k']] = self.state.get(data['k'], 0) + 1

if __name__ == '__main__':
    Picky().run()
";

fn job(on_error: &str) -> String {
    PICKY.replace("ON_ERROR", on_error)
}

/// Returns a record. It is so long that the input has many blocks.
fn line(number: usize) -> String {
    format!("{{\"k\":\"k{}\",\"n\":{number},\"pad\":\"{}\"}}", number * number % 97, "x".repeat(380))
}

fn records(env: &Env, count: usize) {
    env.write("data.jsonl", (0..count).map(|number| line(number) + "\n").collect::<String>());
}

/// Starts over: removes the store and the dead letters.
fn reset(env: &Env) {
    fs::remove_dir_all(env.path("s")).expect("removed");
    let _ = fs::remove_file(env.path("bad.jsonl"));
}

#[test]
fn a_rejected_record_is_a_dead_letter_exactly_once_whatever_happens() {
    let mut env = Env::new();
    env.write("picky.py", job("{'dead_letter': 'bad.jsonl'}"));
    records(&env, 20_000);
    let output = env.run(&["run", "picky.py", "--threads", "1"]).expect(3);
    assert!(output.stdout.contains("20,000"), "{output}");
    let undisturbed = env.read("bad.jsonl");
    let mut offset = 0;
    let mut expected = String::new();
    for number in 0..20_000 {
        let record = line(number);
        if number % 7 == 6 {
            let data = record.replace('"', "\\\"");
            expected += &format!(
                "{{\"partition\":\"data.jsonl\",\"offset\":{offset},\"record\":{number},\"reason\":\"`n` is {number}\",\"data\":\"{data}\"}}\n"
            );
        }
        offset += record.len() + 1;
    }
    assert!(undisturbed == expected, "{:.500}", undisturbed);
    assert!(output.stderr.contains("2,857"), "{output}");
    assert!(output.stdout.contains("`n` is 6"), "one reason, with its first record: {output}");
    assert!(!output.stdout.contains("`n` is 13"), "{output}");
    let state = |env: &Env| env.run(&["inspect", "s", "--state", "--limit", "0"]).expect(0).stdout;
    let undisturbed_state = state(&env);
    reset(&env);
    kill_slow_runs(&mut env, &["run", "picky.py", "--threads", "2"]);
    let output = env.run(&["run", "picky.py", "--threads", "2"]).expect(3);
    assert!(!output.stdout.contains("resumed from  nothing"), "{output}");
    assert!(env.read("bad.jsonl") == undisturbed);
    assert_eq!(state(&env), undisturbed_state);
    let totals = env.run(&["inspect", "s", "--json"]).expect(0);
    assert!(totals.stdout.contains("\"skipped\":2857"), "{totals}");
    env.run(&["verify", "s", "--deep"]).expect(0);
}

#[test]
fn every_checkpoint_counts_the_rejected_records_before_it() {
    let mut env = Env::new();
    env.write("picky.py", job("'skip'"));
    records(&env, 20_000);
    env.set("SLOW", "1");
    env.run(&["run", "picky.py", "--threads", "2"]).expect(3);
    let numbers = checkpoints(&env.path("s"));
    assert!(numbers.len() > 2, "{numbers:?}");
    let mut seen = BTreeSet::new();
    for number in numbers {
        let place = format!("s@{number}");
        let shown: serde_json::Value =
            serde_json::from_str(&env.run(&["inspect", &place, "--json"]).expect(0).stdout).expect("JSON");
        let totals = &shown["totals"];
        let (records, skipped) = (totals["records"].as_u64().unwrap(), totals["skipped"].as_u64().unwrap());
        assert_eq!(skipped, records / 7, "{shown}");
        seen.insert(skipped);
    }
    assert!(seen.len() > 2, "{seen:?}");
}

#[test]
fn a_rejected_record_ends_a_run_that_allows_none_or_too_many() {
    let env = Env::new();
    records(&env, 20);
    env.write("picky.py", job("'fail'"));
    let output = env.run(&["run", "picky.py"]).expect(5);
    let offset: usize = (0..6).map(|number| line(number).len() + 1).sum();
    let expected = format!("bad record 6 of `data.jsonl` at byte {offset}: `n` is 6");
    assert!(output.stderr.contains(&expected), "{output}");
    assert!(output.stderr.contains(&line(6)[..200]), "{output}");
    assert_eq!(checkpoints(&env.path("s")), [0; 0]);
    env.write("picky.py", job("{'max': 1}"));
    let output = env.run(&["run", "picky.py"]).expect(5);
    assert!(output.stderr.contains("too many bad records: 2 of 20, and `max` is 1"), "{output}");
    assert_eq!(checkpoints(&env.path("s")), [0; 0]);
    env.write("picky.py", job("{'max': 2, 'dead_letter': 'bad.jsonl'}"));
    env.run(&["run", "picky.py"]).expect(3);
    assert_eq!(env.read("bad.jsonl").lines().count(), 2);
}

#[test]
fn a_rejected_record_is_kept_as_it_was_read() {
    let env = Env::new();
    env.write("picky.py", job("{'dead_letter': 'bad.jsonl'}").replace("'data.*'", "'data.*', 'format': 'csv'"));
    env.write("data.csv", "k,n\n\"a, b\",5\n\"a, \"\"b\"\"\",6\nshort\nc,13\n");
    let output = env.run(&["run", "picky.py"]).expect(3);
    let found: Vec<(u64, String, String)> = env
        .read("bad.jsonl")
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = |name: &str| line[name].as_str().expect("text").to_owned();
            (line["record"].as_u64().expect("a number"), text("reason"), text("data"))
        })
        .collect();
    assert_eq!(found.len(), 3, "{found:?}\n{output}");
    assert_eq!(found[0], (1, "`n` is 6".to_owned(), "\"a, \"\"b\"\"\",6".to_owned()));
    assert_eq!((found[1].0, found[1].2.as_str()), (2, "short"));
    assert_eq!(found[2], (3, "`n` is 13".to_owned(), "c,13".to_owned()));
}

#[test]
fn a_program_that_rejects_a_record_it_was_not_sent_fails() {
    let env = Env::new();
    records(&env, 2);
    let script = |condition: &str| {
        format!(
            "import json, sys
for line in sys.stdin:
    message = json.loads(line)
    answer = {{'type': 'done', 'number': message.get('number')}}
    if message['type'] == 'start':
        answer = {{'type': 'ready'}}
    elif message['type'] == '{condition}':
        answer['rejected'] = [[2, 'no']]
    elif 'number' not in message:
        continue
    print(json.dumps(answer), flush=True)
"
        )
    };
    env.write(
        "job.yaml",
        "job: j\ninput: data.jsonl\nprocess: {exec: [python3, program.py]}\ncheckpoint: {store: s}\n",
    );
    for (condition, count) in [("batch", 2), ("tick", 0), ("checkpoint", 0)] {
        env.write("program.py", script(condition));
        let output = env.run(&["run", "job.yaml"]).expect(4);
        let expected = format!("it rejected record 2 of a request that has {count} records");
        assert!(output.stderr.contains(&expected), "{output}");
    }
}
