//! One clock that is far ahead must not close windows or expire keys.

use super::published::changes;
use crate::support::{Env, Output};

const RIGHT: i64 = 1_774_747_800;
const WRONG: i64 = 4_070_908_800;

/// Runs a job over files of keys and times.
fn run(process: &str, output: &str, files: &[&[(&str, i64)]]) -> (Env, Output) {
    let env = Env::new();
    for (number, records) in files.iter().enumerate() {
        let lines = records.iter().map(|(key, ts)| format!("{{\"k\":\"{key}\",\"ts\":{ts}}}\n"));
        env.write(&format!("data-{number}.jsonl"), lines.collect::<String>());
    }
    env.write(
        "job.yaml",
        format!("job: j\ninput: data-*.jsonl\nkey: k\nprocess: {{aggregate: {{n: count}}, {process}}}\ncheckpoint: {{store: store}}\n{output}"),
    );
    let outcome = env.run(&["run", "job.yaml", "--json"]);
    (env, outcome)
}

const TTL: &str = "ttl: 30d, time: ts";
const FINAL: &str = "output: out\n";
const CHANGES: &str = "output: {files: out, emit: changes}\n";

#[test]
fn a_record_of_the_far_future_expires_no_key_wherever_it_is() {
    let right = [("a", RIGHT), ("b", RIGHT + 1), ("a", RIGHT + 100)];
    let wrong = ("clock", WRONG);
    let within = [right[0], right[1], wrong, right[2]];
    let first = [wrong, right[0], right[1], right[2]];
    let last = [right[0], right[1], right[2], wrong];
    for files in [&[&within[..]][..], &[&first], &[&last], &[&right, &[wrong]], &[&[wrong], &right]] {
        let (env, outcome) = run(TTL, FINAL, files);
        let outcome = outcome.expect(3);
        let expected = "{\"k\":\"a\",\"n\":2}\n{\"k\":\"b\",\"n\":1}\n{\"k\":\"clock\",\"n\":1}\n";
        assert_eq!(env.read("out/j.jsonl"), expected, "{files:?}");
        assert!(outcome.stdout.contains("\"early\":1,"), "{outcome}");
        let warning = "has a record of 2099-01-01T00:00:00Z, which is too far ahead of the others";
        assert!(outcome.stderr.contains(warning), "{outcome}");
        assert!(
            outcome.stderr.contains("1 record too far ahead of the others did not move the watermark"),
            "{outcome}"
        );
        let again = env.run(&["run", "job.yaml", "--json"]).expect(0);
        assert!(again.stdout.contains("\"early\":0,"), "nothing is new: {again}");
    }
}

#[test]
fn windows_stay_open_behind_a_record_of_the_far_future() {
    let files: [&[(&str, i64)]; 2] = [&[("a", RIGHT), ("x", WRONG), ("a", RIGHT + 1)], &[("a", RIGHT + 2)]];
    let (env, outcome) = run("window: {time: ts, every: 1h}", CHANGES, &files);
    let outcome = outcome.expect(3);
    assert!(outcome.stdout.contains("\"late\":0,") && outcome.stdout.contains("\"early\":1,"), "{outcome}");
    let rows = changes(&env).concat();
    assert!(rows.len() == 1 && rows[0].ends_with("\"n\":3}"), "{rows:?}");
    let state = env.run(&["inspect", "store", "--state"]).expect(0);
    assert!(state.stdout.contains("x@2099-01-01T00:00:00Z"), "its own window stays in the state: {state}");
    // Records that follow are not late.
    env.write("data-2.jsonl", format!("{{\"k\":\"a\",\"ts\":{}}}\n", RIGHT + 7_200));
    let next = env.run(&["run", "job.yaml", "--json"]).expect(0);
    assert!(next.stdout.contains("\"late\":0,"), "{next}");
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn the_job_file_says_how_far_ahead_is_too_far() {
    let day = 86_400;
    let files: [&[(&str, i64)]; 1] = [&[("a", RIGHT), ("a", RIGHT + 1), ("b", RIGHT + 40 * day)]];
    for (ahead, status, keys) in [("39d", 3, 2), ("40d", 0, 1), ("3660d", 0, 1)] {
        let (_, outcome) = run(&format!("{TTL}, ahead: {ahead}"), CHANGES, &files);
        assert!(outcome.expect(status).stdout.contains(&format!("\"keys\":{keys},")), "{ahead}");
    }
    let (_, outcome) = run(TTL, CHANGES, &files);
    assert!(outcome.expect(0).stdout.contains("\"keys\":1,"), "a pause of 40 days is not too long by default");
}

#[test]
fn a_record_that_would_expire_at_once_is_late() {
    let (env, outcome) = run("ttl: 1h, time: ts", CHANGES, &[&[("a", 0), ("b", 9_000)]]);
    outcome.expect(0);
    env.write("data-1.jsonl", "{\"k\":\"a\",\"ts\":60}\n{\"k\":\"b\",\"ts\":60}\n{\"k\":\"c\",\"ts\":5401}\n");
    let outcome = env.run(&["run", "job.yaml", "--json"]).expect(3);
    assert!(outcome.stdout.contains("\"late\":1,") && outcome.stdout.contains("\"keys\":2,"), "{outcome}");
    assert!(outcome.stderr.contains("warning: 1 late record was left out"), "{outcome}");
}
