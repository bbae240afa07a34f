//! Bad records, and what `on_error` does with them.

use std::fs;

use crate::support::Env;

/// What is bad, the format, the input, the number of the bad record, its offset, the reason, and how it begins.
struct Bad {
    format: &'static str,
    input: &'static [u8],
    record: u64,
    offset: u64,
    reason: &'static str,
    begins: &'static str,
}

const BAD: [Bad; 8] = [
    Bad {
        format: "json",
        input: b"{\"k\":\"a\",\"v\":1}\n\n{\"k\":\"a\",\"v\":}\n{\"k\":\"a\",\"v\":2}\n",
        record: 1,
        offset: 17,
        reason: "malformed JSON at byte 13: expected a value, found `}`",
        begins: "{\"k\":\"a\",\"v\":}",
    },
    Bad {
        format: "json",
        input: b"{\"v\":3}\n{\"k\":\"a\",\"v\":1}\n{\"k\":\"a\",\"v\":2}\n",
        record: 0,
        offset: 0,
        reason: "the key field `k` is missing or null",
        begins: "{\"v\":3}",
    },
    Bad {
        format: "json",
        input: b"{\"k\":\"a\",\"v\":1}\n{\"k\":\"a\",\"v\":2}\n{\"k\":\"a\",\"v\":\"x\"}\n",
        record: 2,
        offset: 32,
        reason: "field `v` is text, expected a number",
        begins: "{\"k\":\"a\",\"v\":\"x\"}",
    },
    Bad {
        format: "json",
        input: b"{\"k\":\"a\",\"v\":1}\n{\"k\":\"a\",\"v\":1e20}\n{\"k\":\"a\",\"v\":2}\n",
        record: 1,
        offset: 16,
        reason: "field `v` is too large: a number's magnitude must be below 10^20: `1e20`",
        begins: "{\"k\":\"a\",\"v\":1e20}",
    },
    Bad {
        format: "json",
        input: b"{\"k\":\"a\",\"v\":1}\n{\"k\":\"\xff\",\"v\":2}\n{\"k\":\"a\",\"v\":2}",
        record: 1,
        offset: 16,
        reason: "invalid UTF-8 at byte 6",
        begins: "{\"k\":\"\u{fffd}\",\"v\":2}",
    },
    Bad {
        format: "json",
        input: b"{\"k\":\"a\",\"v\":1}\n{\"k\":[1],\"v\":2}\n{\"k\":\"a\",\"v\":2}",
        record: 1,
        offset: 16,
        reason: "the key field `k` is an object or a list, expected text, a number or a bool",
        begins: "{\"k\":[1],\"v\":2}",
    },
    Bad {
        format: "csv",
        input: b"k,v\na,1\na\na,2\n",
        record: 1,
        offset: 8,
        reason: "has 1 field, the header line has 2 fields",
        begins: "a",
    },
    Bad {
        format: "csv",
        input: b"k,v\na,1\na,one\na,2\n",
        record: 1,
        offset: 8,
        reason: "field `v` is not a number: `one`",
        begins: "a,one",
    },
];

fn job(env: &Env, bad: &Bad, more: &str) {
    env.write("data", bad.input);
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: {{files: data, format: {}{more}}}\nkey: k\nprocess: {{aggregate: {{n: count, sum: sum(v)}}}}\ncheckpoint: {{store: store}}\noutput: out\n",
            bad.format
        ),
    );
}

#[test]
fn a_bad_record_stops_the_run_and_is_reported_with_its_place() {
    for bad in &BAD {
        let env = Env::new();
        job(&env, bad, "");
        let output = env.run(&["run", "job.yaml", "--quiet"]).expect(5);
        let Bad { record, offset, reason, begins, .. } = bad;
        assert_eq!(output.stdout, "");
        assert_eq!(
            output.stderr,
            format!(
                "error: bad record {record} of `data` at byte {offset}: {reason}\n\
                 hint: the record starts with `{begins}`\n\
                 hint: fix the input, or set `input: on_error: skip` or `dead_letter: FILE` in job.yaml; the next run resumes from the latest checkpoint, if there is one\n"
            )
        );
        assert!(!env.path("out").exists());
    }
}

#[test]
fn bad_records_are_skipped_and_counted_or_collected() {
    for bad in &BAD {
        let env = Env::new();
        job(&env, bad, ", on_error: skip");
        let output = env.run(&["run", "job.yaml", "--json"]).expect(3);
        assert!(output.stdout.contains("\"skipped\":1,\"skipped_in_all\":1,"), "{output}");
        assert!(output.stderr.ends_with("warning: 1 bad record was skipped\n"), "{output}");
        assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"n\":2,\"sum\":3}\n");
        // The exit code is about this run; the summary has the total.
        let output = env.run(&["run", "job.yaml"]).expect(0);
        assert!(output.stdout.contains("3 in total, 1 of them bad and skipped"), "{output}");
        assert!(!output.stderr.contains("warning"), "{output}");

        for checkpoints in ["store: collected", "enabled: false"] {
            fs::remove_dir_all(env.path("out")).unwrap();
            job(&env, bad, ", on_error: {dead_letter: out/bad.jsonl}");
            env.write("job.yaml", env.read("job.yaml").replace("store: store", checkpoints));
            env.run(&["run", "job.yaml"]).expect(3);
            let Bad { record, offset, reason, begins, .. } = bad;
            let (reason, begins) = (reason.replace('"', "\\\""), begins.replace('"', "\\\""));
            assert_eq!(
                env.read("out/bad.jsonl"),
                format!(
                    "{{\"partition\":\"data\",\"offset\":{offset},\"record\":{record},\"reason\":\"{reason}\",\"data\":\"{begins}\"}}\n"
                )
            );
            assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"n\":2,\"sum\":3}\n");
        }
    }
}

#[test]
fn a_line_of_100_megabytes_is_a_bad_record() {
    let env = Env::new();
    let mut input = b"{\"k\":\"a\",\"v\":1}\n{\"k\":\"".to_vec();
    input.resize(100_000_000, b'x');
    input.extend_from_slice(b"\"}\n{\"k\":\"a\",\"v\":2}\n");
    let bad = Bad { input: b"", ..BAD[0] };
    job(&env, &bad, "");
    env.write("data", input);
    let output = env.run(&["run", "job.yaml", "--quiet"]).expect(5);
    assert!(
        output.stderr.starts_with("error: bad record 1 of `data` at byte 16: is longer than 16777216 bytes\nhint: the record starts with `{\"k\":\"xxx"),
        "{output}"
    );
    assert!(output.stderr.len() < 1000);
    env.write("job.yaml", env.read("job.yaml").replace("format: json", "format: json, on_error: skip"));
    env.run(&["run", "job.yaml", "--quiet"]).expect(3);
    assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"n\":2,\"sum\":3}\n");
}

#[test]
fn a_sum_that_overflows_ends_the_run_whatever_on_error_is() {
    let env = Env::new();
    let bad = Bad {
        input: b"{\"k\":\"a\",\"v\":99999999999999999999}\n{\"k\":\"b\",\"v\":1}\n{\"k\":\"a\",\"v\":99999999999999999999}\n",
        ..BAD[0]
    };
    for on_error in ["fail", "skip", "{dead_letter: bad.jsonl}"] {
        job(&env, &bad, &format!(", on_error: {on_error}"));
        let output = env.run(&["run", "job.yaml", "--quiet", "--threads", "3"]).expect(5);
        assert_eq!(output.stderr, "error: `sum` overflows: its sum reaches 10^20 for key `a`\n");
        assert!(super::checkpoints(&env.path("store")).is_empty());
    }
}

#[test]
fn a_dead_letter_file_that_is_something_else_is_not_overwritten() {
    let env = Env::new();
    job(&env, &BAD[0], ", on_error: {dead_letter: notes.txt}");
    env.write("notes.txt", "mine\n");
    // A supervisor that starts it again would do so for ever.
    let refused = || {
        let output = env.run(&["run", "job.yaml", "--quiet"]).expect(2);
        assert_eq!(
            output.stderr,
            "error: refusing to overwrite `notes.txt`: not a dead-letter file\n\
             hint: name another file in job.yaml (`input: on_error: dead_letter`), or move this one away\n"
        );
        assert_eq!(fs::read(env.path("data")).unwrap(), BAD[0].input);
    };
    refused();
    assert_eq!(env.read("notes.txt"), "mine\n");
    for make in ["mkdir notes.txt", "mkfifo notes.txt"] {
        env.shell(&format!("rm -rf notes.txt && {make}")).expect(0);
        refused();
    }
}

#[test]
fn bools_are_not_compared() {
    let env = Env::new();
    env.write("data", "{\"k\":\"a\",\"v\":true}\n");
    env.write("job.yaml", "job: j\ninput: {files: data, format: json}\nkey: k\nprocess: {aggregate: {m: max(v)}}\n");
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert_eq!(output.stderr, "error: `max(v)`: `v` has bools in the first records, which have no order\n");
}

#[test]
fn dead_letters_follow_a_rollback_and_a_roll_forward() {
    let env = Env::new();
    job(&env, &BAD[0], ", on_error: {dead_letter: bad.jsonl}");
    let run = |status| {
        let output = env.run(&["run", "job.yaml"]).expect(status);
        (env.read("bad.jsonl"), output)
    };
    let mut data = String::new();
    let mut states = vec![String::new()];
    for number in 1..=4 {
        data += &format!("{{\"k\":\"a\",\"v\":{number}}}\nbad {number}\n");
        env.write("data", &data);
        states.push(run(3).0);
    }
    assert!(states.windows(2).all(|pair| pair[1].len() > pair[0].len() && pair[1].starts_with(&pair[0])));
    // Roll back, then continue with other input; each time the file has what the checkpoint names, plus what is new.
    env.run(&["restore", "store@2"]).expect(0);
    let beginning: String = data.lines().take(4).map(|line| format!("{line}\n")).collect();
    env.write("data", beginning + "another\n");
    let (other, output) = run(3);
    assert_eq!(super::checkpoints(&env.path("store")), [1, 2, 3, 4, 5, 6]);
    assert!(output.stderr.contains("moved to `bad.jsonl.withdrawn-00000004`"), "{output}");
    assert!(
        other.starts_with(&states[2]) && other.contains("\"data\":\"another\"") && !other.contains("bad 3"),
        "{other}"
    );
    assert_eq!(env.read("bad.jsonl.withdrawn-00000004"), states[4]);
    // Roll forward to the abandoned history: first to the middle of it, then to its end.
    env.run(&["restore", "store@3"]).expect(0);
    env.write("data", data.lines().take(6).map(|line| format!("{line}\n")).collect::<String>());
    assert_eq!(run(0).0, states[3]);
    assert_eq!(env.read("bad.jsonl.withdrawn-00000006"), other);
    env.run(&["restore", "store@4"]).expect(0);
    env.write("data", &data);
    assert_eq!(run(0).0, states[4]);
    // And to the end of the other history.
    env.run(&["restore", "store@6"]).expect(0);
    let beginning: String = data.lines().take(4).map(|line| format!("{line}\n")).collect();
    env.write("data", beginning + "another\n");
    assert_eq!(run(0).0, other);
    env.run(&["verify", "store", "--deep"]).expect(0);
}

#[test]
fn dead_letters_are_not_emptied_by_a_run_whose_store_is_missing() {
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: j\ninput: {files: in.jsonl, on_error: {dead_letter: left-out.jsonl}}\nkey: k\n\
         process: {aggregate: {n: count}}\ncheckpoint: {store: s}\n",
    );
    env.write("in.jsonl", "{\"k\":\"a\"}\n{bad\n");
    env.run(&["run", "job.yaml"]).expect(3);
    let lines = env.read("left-out.jsonl");
    assert_eq!(lines.lines().count(), 1);
    env.shell("mv s lost").expect(0);
    let error = "`s` is not a store, yet `left-out.jsonl` has records of an earlier run: the checkpoints are missing";
    let checked = env.run(&["check", "job.yaml"]).expect(1);
    assert!(checked.stdout.contains(error), "{checked}");
    let refused = env.run(&["run", "job.yaml"]).expect(10);
    let hint = "hint: put the store back, or move `left-out.jsonl` away to start from scratch";
    assert!(refused.stderr.contains(error) && refused.stderr.contains(hint), "{refused}");
    assert_eq!(env.read("left-out.jsonl"), lines);
    env.shell("mv lost s").expect(0);
    env.run(&["run", "job.yaml"]).expect(0);
    env.shell("rm -r s left-out.jsonl").expect(0);
    env.run(&["run", "job.yaml"]).expect(3);
    assert_eq!(env.read("left-out.jsonl"), lines);
}

#[test]
fn lines_of_a_run_that_was_killed_before_its_first_checkpoint_are_replaced() {
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: j\ninput: {files: in.jsonl, on_error: {dead_letter: bad.jsonl}}\nkey: k\nprocess: {aggregate: {n: count}}\n\
         checkpoint: {store: s}\n",
    );
    env.write("in.jsonl", "{bad\n");
    env.run(&["run", "job.yaml"]).expect(3);
    let lines = env.read("bad.jsonl");
    env.shell("rm -r s/checkpoints/* s/history && cat bad.jsonl bad.jsonl >twice && mv twice bad.jsonl").expect(0);
    env.run(&["run", "job.yaml"]).expect(3);
    assert_eq!(env.read("bad.jsonl"), lines);
}
