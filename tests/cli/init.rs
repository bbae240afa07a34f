//! `ckpt init`: the job file that it writes runs.

use std::fs;

use serde_json::Value;

use crate::support::{Env, repository};

/// Writes a job file for `inputs`, and runs it. Returns the text of the job file.
#[track_caller]
fn init_and_run(env: &Env, inputs: &[&str]) -> String {
    let output = env.run(&[&["init", "--json", "--output", "job.yaml"], inputs].concat()).expect(0);
    let view: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(view["file"], "job.yaml");
    let text = env.read("job.yaml");
    let check = env.run(&["check", "job.yaml"]).expect(0);
    assert!(!check.stderr.contains("warning"), "{check}\n{text}");
    let run = env.run(&["run", "job.yaml"]);
    // A job file that leaves out bad records says so.
    let expected = if text.contains("\n  on_error: ") { 3 } else { 0 };
    assert_eq!(run.status, expected, "{run}\n{text}");
    text
}

#[test]
fn the_job_file_for_every_example_runs() {
    let mut count = 0;
    for directory in ["examples/data", "examples/programs/data"] {
        for path in repository::files(directory) {
            let env = Env::new();
            let name = path.rsplit('/').next().expect("a name");
            env.write(&format!("data/{name}"), fs::read(repository::path(&path)).expect("readable"));
            init_and_run(&env, &[&format!("data/{name}")]);
            count += 1;
        }
    }
    assert!(count >= 9, "{count}");
}

#[test]
fn the_key_the_numbers_and_the_time_are_found() {
    let env = Env::new();
    for file in 0..2 {
        let name = format!("clicks-{file}.jsonl");
        env.write(&name, fs::read(repository::path(&format!("examples/data/{name}"))).expect("readable"));
    }
    let written = env.run(&["init", "clicks-0.jsonl", "clicks-1.jsonl"]).expect(0);
    assert_eq!(written.stdout, "wrote clicks.yaml: 5 fields in the first 1,000 records, key `user`\n");
    let text = env.read("clicks.yaml");
    for line in [
        "job: clicks\n",
        "    - clicks-0.jsonl\n    - clicks-1.jsonl\n",
        "#   ts: time, ",
        "#   amount: number, ",
        "key: user\n",
        "    records: count\n    amount_sum: \"sum(amount)\"\n    last_ts: \"max(ts)\"\n",
        "  # window: {time: ts, unit: ms, every: 1h}\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // What is commented out is right, too.
    let windowed = text.replace("  # window:", "  window:").replace("  # on_error:", "  on_error:");
    env.write("windowed.yaml", windowed);
    env.run(&["run", "windowed.yaml"]).expect(0);
    let refused = env.run(&["init", "clicks-0.jsonl"]).expect(2);
    assert!(refused.stderr.starts_with("error: `clicks.yaml` exists\nhint: "), "{refused}");
    assert_eq!(env.read("clicks.yaml"), text);
    let printed = env.run(&["init", "clicks-*.jsonl", "--output", "-"]).expect(0).stdout;
    assert!(printed.contains("  files: \"clicks-*.jsonl\"\n"), "{printed}");
}

#[test]
fn untidy_names_and_values_do_not_break_the_job_file() {
    for (name, content) in [
        (
            "a.csv",
            "\"unit price\",\"a\nb\",user.id,${x},#,key,\"q\"\"\"\n1,2,u,4,5,k,7\n2,2,u,4,5,l,7\n1,2,v,4,5,k,7\n",
        ),
        ("b.csv", "id;when;sum\n1;2026-11-22T14:00:00Z;1\n1;2026-11-22T14:00:01+01:00;2,5\n2;2026-11-22T14:00:02Z;3\n"),
        (
            "c.jsonl",
            "{\"user\":{\"id\":7,\"a b\":\"x\"},\"n\":1e300,\"m\":1,\"t\":[1],\"records\":2}\n{\"user\":{\"id\":7},\"m\":\"x\",\"records\":3}\n{\"user\":{\"id\":8},\"records\":3}\n",
        ),
        ("[x]*.csv", "k,v\na,007\nb,1\na,2\n"),
        ("empty.csv", "a,b\n"),
        ("empty.jsonl", ""),
        ("lines.log", "one\ntwo\n"),
        ("noext", "a|b\n1|x\n2|x\n3|y\n"),
        ("noext2", "{\"a\":\"x\"}\n{\"a\":\"x\"}\n{\"a\":\"y\"}\n"),
        ("true.csv", "true,null\nx,1\nx,2\ny,3\n"),
        ("a\nb #.csv", "k,v\nx,1\nx,2\ny,3\n"),
        ("${HOME}.csv", "k,v\nx,1\nx,2\ny,3\n"),
        ("deep.jsonl", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":1}}}},\"\":1,\"deleted\":1,\"Deleted\":2}\n"),
    ] {
        let env = Env::new();
        env.write(name, content);
        init_and_run(&env, &[name]);
    }
}

#[test]
fn what_cannot_be_described_is_refused() {
    let env = Env::new();
    env.write("a.csv", "k\n1\n");
    env.write("b.jsonl", "{}\n");
    env.write("c.bin", "????");
    for (inputs, message) in [
        (&["nothing.csv"][..], "error: no input: `nothing.csv` matches no file\n"),
        (&["a.csv", "b.jsonl"], "error: `a.csv` is csv and `b.jsonl` is json"),
        (&["c.bin"], "error: the name `c.bin` does not show the format"),
    ] {
        let output = env.run(&[&["init"], inputs].concat()).expect(2);
        assert!(output.stderr.starts_with(message), "{output}");
    }
    let other = env.path("jobs");
    fs::create_dir(&other).unwrap();
    env.run(&["init", "a.csv", "--output", "jobs/a.yaml"]).expect(0);
    env.run(&["run", "jobs/a.yaml"]).expect(0);
    env.run(&["init", "c.bin", "--format", "text", "--output", "-"]).expect(0);
}

#[test]
fn the_named_patterns_are_recognized_by_the_first_lines() {
    let combined = |n: usize| {
        format!(
            "10.0.0.{} - - [24/Oct/2026:13:55:{:02} +0200] \"GET /page/{} HTTP/1.1\" 200 {} \"-\" \"curl/8.1\"\n",
            n % 5,
            n % 60,
            n % 7,
            n * 10
        )
    };
    let common = |n: usize| combined(n).replace(" \"-\" \"curl/8.1\"", "");
    let rfc3164 = |n: usize| format!("Oct 24 13:55:{:02} web{} sshd[{n}]: Accepted key\n", n % 60, n % 3);
    let rfc5424 = |n: usize| format!("<34>1 2026-10-24T13:55:{:02}Z web{} su - ID{n} - failed\n", n % 60, n % 3);
    let logfmt = |n: usize| format!("level=info user=u{} took={n}ms msg=\"request = done\"\n", n % 3);
    let prose = |n: usize| format!("INFO request {n} is done, a = {n}\n");
    let dated = |n: usize| format!("2026-10-24T13:55:{:02}Z INFO main: request {n}\n", n % 60);
    type Line<'a> = &'a dyn Fn(usize) -> String;
    let lines: [(&str, Line<'_>, Option<&str>, &str); 7] = [
        ("access.log", &combined, Some("combined"), "key: host\n"),
        ("access.log-20261024.gz", &common, Some("common"), "key: host\n"),
        ("syslog", &rfc3164, Some("rfc3164"), "key: host\n"),
        ("syslog.log", &rfc5424, Some("rfc5424"), "key: host\n"),
        ("app.log", &logfmt, Some("logfmt"), "key: user\n"),
        ("prose.log", &prose, None, "# No field groups the records"),
        ("dated.log", &dated, None, "# No field groups the records"),
    ];
    for (name, line, pattern, key) in lines {
        let env = Env::new();
        // A damaged line hides nothing.
        let text: String = (0..100).map(line).chain(["\u{7f}\n".to_owned()]).collect();
        env.write(name.trim_end_matches(".gz"), text);
        if name.ends_with(".gz") {
            env.shell(&format!("gzip {}", name.trim_end_matches(".gz"))).expect(0);
        }
        let arguments: &[&str] = if name == "syslog" { &["syslog", "--format", "text"] } else { &[name] };
        let text = init_and_run(&env, arguments);
        let written =
            text.lines().find_map(|line| line.strip_prefix("  pattern: ")).map(|pattern| pattern.replace('"', ""));
        assert_eq!(written.as_deref(), pattern, "{name}\n{text}");
        assert!(text.contains("  format: text\n") && text.contains(key), "{name}\n{text}");
    }
}
