//! A path in a document or in a log can be opened from where the command was started, wherever the job file is.

use serde_json::Value;

use crate::support::Env;

/// Collects the values of the fields called `name`.
fn collect(value: &Value, name: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields {
                match inner {
                    Value::String(text) if field == name => found.push(text.clone()),
                    Value::Array(texts) if field == name => {
                        found.extend(texts.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    inner => collect(inner, name, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, found)),
        _ => {}
    }
}

#[track_caller]
fn assert_opens(env: &Env, lines: &str, name: &str, at_least: usize) {
    let mut paths = Vec::new();
    for line in lines.lines() {
        collect(&serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")), name, &mut paths);
    }
    assert!(paths.len() >= at_least, "{paths:?}\n{lines}");
    for path in paths {
        assert!(env.path(&path).exists(), "`{path}` cannot be opened\n{lines}");
    }
}

#[test]
fn paths_start_from_the_current_directory() {
    let env = Env::new();
    env.write("jobs/a.jsonl", "{\"k\":\"a\",\"v\":1}\nbroken\n");
    env.write(
        "jobs/job.yaml",
        "job: j\ninput: {files: a.jsonl, on_error: {dead_letter: bad}}\nkey: k\nprocess: {aggregate: {n: count}}\noutput: out\n",
    );
    let run = env.run(&["run", "jobs/job.yaml", "--json", "--log", "json"]).expect(3);
    assert_opens(&env, &run.stdout, "path", 1);
    // The `finished` event has the outputs too.
    assert_opens(&env, &run.stderr, "path", 2);
    for (verb, option) in [("inspect", None), ("inspect", Some("--objects")), ("latest", None)] {
        let arguments: Vec<&str> = [verb, "jobs/job.yaml", "--json"].into_iter().chain(option).collect();
        assert_opens(&env, &env.run(&arguments).expect(0).stdout, "path", 1);
    }
    for store in ["jobs/job.yaml@1", "jobs/job.yaml"] {
        let inspected: Value =
            serde_json::from_str(&env.run(&["inspect", store, "--json"]).expect(0).stdout).expect("JSON");
        assert_eq!(inspected["outputs"][0]["path"], "jobs/out/j.jsonl");
        assert!(env.path(inspected["dead_letter"]["path"].as_str().expect("text")).exists(), "{inspected}");
    }
    // The store alone does not know where the job file is.
    let inspected = env.run(&["inspect", "jobs/checkpoints/j", "--json"]).expect(0).stdout;
    assert!(inspected.contains("\"path\":\"out/j.jsonl\""), "{inspected}");
}

#[test]
fn paths_of_leftovers_and_findings_include_the_store() {
    let env = Env::new();
    env.write("jobs/a.jsonl", "{\"k\":\"a\"}\n");
    env.write(
        "jobs/job.yaml",
        "job: j\ninput: a.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: s/}\n",
    );
    env.run(&["run", "jobs/job.yaml"]).expect(0);
    env.write("jobs/a.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n");
    env.run(&["run", "jobs/job.yaml"]).expect(0);
    env.write("jobs/s/note.txt", "mine");
    env.write("jobs/s/checkpoints/00000001/note.txt", "mine");
    let prune = ["prune", "jobs/job.yaml", "--keep-last", "1", "--grace", "0s", "--json", "--yes"];
    let pruned = env.run(&prune).expect(0).stdout;
    assert_opens(&env, &pruned, "path", 1);
    assert_opens(&env, &pruned, "left", 1);
    env.write("jobs/s/checkpoints/00000002/manifest.yaml", "damaged");
    for store in ["jobs/job.yaml", "jobs/s/"] {
        assert_opens(&env, &env.run(&["verify", store, "--json"]).expect(1).stdout, "path", 1);
        let repair = env.run(&["verify", store, "--repair", "--dry-run", "--json"]).expect(1);
        assert_opens(&env, &repair.stdout, "path", 2);
    }
}
