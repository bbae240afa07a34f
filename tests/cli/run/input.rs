//! Input that is not what it was.

use std::fs;

use super::{counting, until};
use crate::support::Env;

const LINES: &str = "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"a\"}\n";

fn finished() -> Env {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    let text = env.read("job.yaml").replace("data.jsonl", "'data*.jsonl'");
    env.write("job.yaml", text);
    env.write("data.jsonl", LINES);
    env.run(&["run", "job.yaml"]).expect(0);
    env
}

const HINT: &str = "hint: restore the input, or start over in a new store (`checkpoint: store:`): its records cannot be separated from the state\nhint: or run `ckpt restore STORE --forget PARTITION` to read the file as a new one\n";

const GONE_HINT: &str = "hint: put the input back under its name\nhint: to continue without what it had left, run `ckpt restore STORE --forget PARTITION`, or set `input: on_gone: warn` in job.yaml\n";

#[track_caller]
fn fails(env: &Env, error: &str, hint: &str) {
    let output = env.run(&["run", "job.yaml", "--quiet"]).expect(4);
    assert_eq!((output.stdout.as_str(), output.stderr), ("", format!("error: {error}\n{hint}")));
}

#[test]
fn input_that_was_changed_shrunk_or_removed_is_an_error_that_says_which() {
    let env = finished();
    env.write("data.jsonl", LINES.replace('b', "c"));
    fails(
        &env,
        "input `data.jsonl` was replaced or changed: its first 30 bytes are not those that the checkpoint has read",
        HINT,
    );
    env.write("data.jsonl", &LINES[..20]);
    fails(&env, "input `data.jsonl` has shrunk: the checkpoint has read 30 bytes of it, it has 20", HINT);
    env.write("data.jsonl", LINES);
    fs::rename(env.path("data.jsonl"), env.path("data-2.jsonl")).unwrap();
    // It was read to its end, but it would be read again under its new name.
    fails(&env, "input `data.jsonl` is gone: the checkpoint has read 30 bytes of it", GONE_HINT);
    fs::remove_file(env.path("data-2.jsonl")).unwrap();
    env.write("data.jsonl", LINES);
    env.run(&["run", "job.yaml"]).expect(0);
}

#[test]
fn input_that_has_grown_is_read_further_and_files_may_be_added_before_and_after() {
    let env = finished();
    env.write("data.jsonl", LINES.to_owned() + "{\"k\":\"c\"}\n");
    env.write("data-0.jsonl", "{\"k\":\"a\"}\n");
    env.write("data9.jsonl", "{\"k\":\"d\"}");
    let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
    assert!(output.stdout.contains("\"records\":3,\"records_in_all\":6,"), "{output}");
    let expected = "{\"k\":\"a\",\"n\":3}\n{\"k\":\"b\",\"n\":1}\n{\"k\":\"c\",\"n\":1}\n{\"k\":\"d\",\"n\":1}\n";
    assert_eq!(env.read("out/counting.jsonl"), expected);
    // The last line of this file had no line end, and was counted as it was: now that it is longer, it may be another
    // record.
    env.write("data9.jsonl", "{\"k\":\"d\"}{\"k\":\"d\"}\n");
    let lengthened = env.run(&["run", "job.yaml"]).expect(4);
    let message =
        "\nerror: input `data9.jsonl` has grown in its last line: it had no line end at byte 9 when it was read";
    assert!(lengthened.stderr.contains(message), "{lengthened}");
    // What followed it is a line end: the line was complete.
    env.write("data9.jsonl", "{\"k\":\"d\"}\n{\"k\":\"d\"}\n");
    let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
    assert!(output.stdout.contains("\"records\":1,\"records_in_all\":7,"), "{output}");
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error_and_nothing_committed_is_lost() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store, schedule: 5ms}\n");
    let lines: String = (0..1_500_000).map(|i| format!("{{\"k\":\"key {}\"}}\n", i % 1000)).collect();
    env.write("data.jsonl", &lines);
    let mut child = env.command(&["run", "job.yaml"]).stderr(std::process::Stdio::piped()).spawn().expect("started");
    super::until("there is a checkpoint", || !super::checkpoints(&env.path("store")).is_empty());
    let file = fs::OpenOptions::new().write(true).open(env.path("data.jsonl")).unwrap();
    file.set_len(100).unwrap();
    let status = super::wait(&mut child, super::PATIENCE);
    let stderr = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(status == 4 && stderr.contains("error: "), "{status} {stderr}");
    env.write("data.jsonl", &lines);
    env.run(&["run", "--must-resume", "job.yaml"]).expect(0);
    assert!(env.read("out/counting.jsonl").lines().all(|line| line.ends_with("\"n\":1500}")));
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_noticed_by_the_next_run() {
    let env = Env::new();
    let lines = |key: &str| (0..60_000).map(|i| format!("{{\"k\":\"{key}{}\",\"v\":1}}\n", i % 10)).collect::<String>();
    env.write("in.jsonl", lines("a"));
    env.write("other.jsonl", lines("b"));
    env.write(
        "job.yaml",
        "job: w\ninput: in.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {state_bytes: 1, schedule: 1ms}\n",
    );
    let mut run = env.command(&["run", "--quiet", "job.yaml"]).spawn().unwrap();
    // A checkpoint that was taken before the first block read nothing that could be missed.
    let has_read = |number: u64| {
        let path = env.path(&format!("checkpoints/w/checkpoints/{number:08}/manifest.yaml"));
        std::fs::read_to_string(path).is_ok_and(|manifest| !manifest.contains("  records: 0\n"))
    };
    until("a checkpoint has read something", || has_read(1) || has_read(2));
    std::fs::rename(env.path("other.jsonl"), env.path("in.jsonl")).unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    let next = env.run(&["run", "--quiet", "job.yaml"]).expect(4);
    assert!(next.stderr.starts_with("error: input `in.jsonl` was replaced or changed"), "{next}");
}

#[test]
fn a_job_that_would_read_what_it_writes_is_refused() {
    let env = Env::new();
    env.write("in.jsonl", "{\"k\":\"a\"}\n");
    let job = |rest: &str| format!("job: w\nkey: k\nprocess: {{aggregate: {{n: count}}}}\n{rest}");
    for (rest, message) in [
        ("input: '*.jsonl'\noutput: .\n", "cannot be both an input and the output of a job"),
        (
            "input: {files: '*.jsonl', on_error: {dead_letter: ./bad.jsonl}}\n",
            "cannot be both an input and the dead-letter file of a job",
        ),
        (
            "input: {files: in.jsonl, on_error: {dead_letter: out/w.jsonl}}\noutput: out\n",
            "cannot be both the output and the dead-letter file of a job",
        ),
    ] {
        env.write("job.yaml", job(rest));
        let refused = env.run(&["run", "job.yaml"]).expect(2);
        assert!(refused.stderr.contains(message), "{rest}: {refused}");
        assert!(!env.path("checkpoints").exists() && !env.path("w.jsonl").exists(), "{rest}");
    }
}

/// Runs a job over `file` with its `first` bytes, appends `more`, and returns the environment for the next run.
fn appended(file: &str, key: &str, first: &str, more: &str) -> Env {
    let env = Env::new();
    let text = format!(
        "job: j\ninput: {file}\nkey: {key}\nprocess: {{aggregate: {{n: count}}}}\ncheckpoint: {{store: store}}\noutput: out/\n"
    );
    env.write("job.yaml", text);
    env.write(file, first);
    env.run(&["run", "job.yaml"]).expect(0);
    env.write(file, first.to_owned() + more);
    env
}

#[test]
fn a_carriage_return_alone_does_not_end_the_last_line() {
    for (file, key, first, more) in [
        ("a.txt", "line", "10%", "\r20%\n"),
        ("a.jsonl", "k", "{\"k\":\"a\"}", "\r{\"k\":\"b\"}\n"),
        ("a.csv", "k", "k\na", "\rb\n"),
    ] {
        let env = appended(file, key, first, more);
        let output = env.run(&["run", "job.yaml"]).expect(4);
        let message = format!("input `{file}` has grown in its last line: it had no line end at byte {}", first.len());
        assert!(output.stderr.contains(&message), "{output}");
    }
    let env = appended("a.txt", "line", "10%", "\r");
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("a.txt", "10%\r20%\n");
    env.run(&["run", "job.yaml"]).expect(4);
    env.write("a.txt", "10%\r\n20%\n");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), "{\"line\":\"10%\",\"n\":1}\n{\"line\":\"20%\",\"n\":1}\n");
}

#[test]
fn a_csv_file_that_ended_in_its_header_continues_after_the_line_end() {
    for more in ["\na,1\n", "\r\na,1\n"] {
        let env = appended("a.csv", "k", "k,v", more);
        env.run(&["run", "job.yaml"]).expect(0);
        assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"n\":1}\n");
        env.write("a.csv", format!("k,v{more}a,2\n"));
        env.run(&["run", "job.yaml"]).expect(0);
        assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"n\":2}\n");
    }
    let env = appended("a.csv", "k", "k,v", "w\na,1\n");
    let output = env.run(&["run", "job.yaml"]).expect(4);
    assert!(output.stderr.contains("input `a.csv` has grown in its last line"), "{output}");
}

/// Returns an environment with a job without a checkpoint over the CSV file `a.csv`.
fn csv_job(csv: &str, rest: &str) -> Env {
    let env = Env::new();
    env.write("a.csv", csv);
    env.write("job.yaml", format!("job: j\ninput: a.csv\ncheckpoint: {{enabled: false}}\noutput: out/\n{rest}"));
    env
}

#[test]
fn only_csv_columns_that_the_job_asks_for_need_a_name_of_their_own() {
    let sum = "key: k\nprocess: {aggregate: {s: sum(v)}}\n";
    let env = csv_job(",k,v,x,x,\n0,a,1,,,\n1,a,2,,,\n", sum);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"s\":3}\n");
    for (csv, rest, reason) in [
        ("k,v,v\na,1,2\n", sum, "column `v` appears twice"),
        ("k,v,x,x\na,1,2,3\n", &format!("{sum}where: x == 1\n"), "column `x` appears twice"),
    ] {
        let output = csv_job(csv, rest).run(&["run", "job.yaml"]).expect(4);
        assert!(output.stderr.contains(&format!("error: input `a.csv`: {reason} in the header line\n")), "{output}");
    }
}

#[test]
fn a_csv_column_that_the_header_does_not_have_is_an_error() {
    let sum = "process: {aggregate: {n: count, s: sum(value)}}\n";
    for (csv, near) in [
        ("k;value\na;1\n", ", it has `k;value`"),
        ("k, value\na,1\n", ", did you mean ` value`?"),
        ("k,valeu\na,1\n", ", did you mean `valeu`?"),
    ] {
        let output = csv_job(csv, sum).run(&["run", "job.yaml"]).expect(2);
        let message = format!(
            "error: input `a.csv`: the header line has no column `value`{near}\nhint: fix the name in job.yaml"
        );
        assert!(output.stderr.contains(&message), "{output}");
    }
    // A file without records needs no columns.
    csv_job("k\n", sum).run(&["run", "job.yaml"]).expect(0);
}

#[test]
fn a_column_of_where_that_only_some_files_have_is_null_in_the_others() {
    let env = csv_job("k\na\n", "where: gone == null\nprocess: {aggregate: {n: count}}\n");
    env.write("job.yaml", env.read("job.yaml").replace("{enabled: false}", "{store: s}"));
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("the header line has no column `gone`, it has `k`"), "{output}");
    env.run(&["check", "job.yaml"]).expect(1);
    // It is the last of many files that has the column.
    env.write("job.yaml", env.read("job.yaml").replace("a.csv", "'*.csv'"));
    for number in 0..100 {
        env.write(&format!("b{number}.csv"), "k\n");
    }
    env.write("z.csv", "k,gone\na,\na,1\n");
    env.run(&["check", "job.yaml"]).expect(0);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), "{\"partition\":\"a.csv\",\"n\":1}\n{\"partition\":\"z.csv\",\"n\":1}\n");
    // Once there is a checkpoint, earlier files have had it.
    std::fs::remove_file(env.path("z.csv")).unwrap();
    env.write("c.csv", "k\nb\n");
    env.run(&["run", "job.yaml"]).expect(0);
}

#[test]
fn zeros_after_the_last_gzip_member_are_padding() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    let text = env.read("job.yaml").replace("data.jsonl", "data.jsonl.gz");
    env.write("job.yaml", text);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, LINES.as_bytes()).unwrap();
    let mut packed = encoder.finish().unwrap();
    packed.extend([0; 512]);
    env.write("data.jsonl.gz", &packed);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/counting.jsonl"), "{\"k\":\"a\",\"n\":2}\n{\"k\":\"b\",\"n\":1}\n");
    packed.extend(b"rubbish");
    env.write("data.jsonl.gz", &packed);
    env.run(&["run", "job.yaml"]).expect(4);
}

#[test]
fn a_compressed_file_that_was_read_to_its_end_is_not_decompressed_again() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    let pack = |text: &str| {
        // Not compressed much, so that there is something between the samples.
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let text = env.read("job.yaml").replace("data.jsonl", "data.jsonl.gz");
    env.write("job.yaml", text);
    let lines = LINES.repeat(1 << 15);
    let packed = pack(&lines);
    env.write("data.jsonl.gz", &packed);
    env.run(&["run", "job.yaml"]).expect(0);
    let result = env.read("out/counting.jsonl");
    // Without its end the file cannot be decompressed, but the samples are the same.
    let mut torn = packed.clone();
    let end = torn.len() - 8;
    assert!(end % (256 << 10) > 4 << 10, "the end is in no sample");
    torn[end] ^= 1;
    env.write("data.jsonl.gz", &torn);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/counting.jsonl"), result);
    // A sample, and the size, decide.
    let mut other = packed.clone();
    other[1000] ^= 1;
    for changed in [&other, &torn[..end]] {
        env.write("data.jsonl.gz", changed);
        env.run(&["run", "job.yaml"]).expect(4);
    }
    // What is appended is read.
    env.write("data.jsonl.gz", [packed.clone(), pack("{\"k\":\"c\"}\n")].concat());
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/counting.jsonl"), format!("{result}{{\"k\":\"c\",\"n\":1}}\n"));
    env.run(&["run", "job.yaml"]).expect(0);
    env.run(&["verify", "store", "--deep"]).expect(0);
}

#[test]
fn a_field_that_no_record_has_is_reported_at_the_end_of_the_first_run() {
    let env = Env::new();
    let job = |more: &str| format!("job: j\ninput: {{files: data.jsonl}}\nkey: k\n{more}checkpoint: {{store: s}}\n");
    env.write("data.jsonl", "{\"k\":\"a\",\"n\":1,\"empty\":null}\n{\"k\":\"b\"}\n");
    let aggregates = "process: {aggregate: {n: sum(n), m: last(mm), e: count(empty)}}\n";
    env.write("job.yaml", job(&format!("where: n == 1 || country == \"DE\"\n{aggregates}")));
    let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
    for absent in ["mm", "empty", "country"] {
        let warning = format!("warning: none of the 2 records has `{absent}`, which the job uses; it was null\n");
        assert!(output.stderr.contains(&warning), "{output}");
    }
    assert!(!output.stderr.contains("`n`") && !output.stderr.contains("`k`"), "{output}");
    assert!(output.stdout.contains("\"absent_fields\":[\"mm\",\"empty\",\"country\"]"), "{output}");
    // Earlier records may have had them.
    env.write("data.jsonl", env.read("data.jsonl") + "{\"k\":\"c\"}\n");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(!output.stderr.contains("which the job uses"), "{output}");
}

#[test]
fn a_column_that_no_csv_file_has_is_an_error_and_an_empty_one_is_not() {
    let env = Env::new();
    env.write("data.csv", "k,empty\na,\nb,\n");
    let job = "job: j\ninput: {files: data.csv}\nkey: k\nwhere: empty == null && emty == null\n\
               process: {aggregate: {n: count}}\ncheckpoint: {store: s}\n";
    env.write("job.yaml", job);
    let output = env.run(&["run", "job.yaml"]).expect(2);
    let error = "error: input `data.csv`: the header line has no column `emty`, did you mean `empty`?\n";
    assert!(output.stderr.contains(error), "{output}");
    env.write("job.yaml", job.replace(" && emty == null", ""));
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(!output.stderr.contains("`empty`"), "{output}");
}
