//! `ckpt run --log json`: one JSON line for everything that happens.

use serde_json::Value;

use super::counting;
use crate::support::Env;
use crate::support::repository;

/// Returns the lines of the log after checking the fields that all of them have.
#[track_caller]
fn lines(stderr: &str) -> Vec<Value> {
    let parse = |line: &str| -> Value {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["time", "level", "event", "message"] {
            assert!(value[field].is_string(), "{field}: {line}");
        }
        value
    };
    stderr.lines().map(parse).collect()
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event"].as_str().expect("a text")).collect()
}

#[test]
fn every_run_event_is_a_line_of_json_and_standard_output_stays_the_answer() {
    let mut env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    env.write("job.yaml", env.read("job.yaml").replace("data.jsonl}", "data.jsonl, on_error: skip}"));
    env.write("data.jsonl", "{\"k\":\"a\\u001b[2J\"}\nnot JSON\n");
    env.at("2026-11-22T14:00:00Z");
    let run = env.run(&["run", "job.yaml", "--log", "json"]).expect(3);
    assert!(run.stdout.starts_with("counting: the input was read to its end\n"), "{run}");
    let log = lines(&run.stderr);
    assert_eq!(events(&log), ["started", "checkpoint_committed", "output_published", "finished", "warning"]);
    assert!(log.iter().all(|line| line["time"] == "2026-11-22T14:00:00Z" && line["job"] == "counting"), "{run}");
    assert_eq!(log[0]["store"], "store");
    assert_eq!(
        (&log[1]["checkpoint"], &log[1]["cause"], &log[1]["keys"]),
        (&1.into(), &"end_of_input".into(), &1.into())
    );
    assert_eq!((&log[3]["records"], &log[3]["skipped"], &log[3]["ended"]), (&2.into(), &1.into(), &true.into()));
    assert_eq!((&log[4]["level"], &log[4]["message"]), (&"warning".into(), &"1 bad record was skipped".into()));

    env.write("data.jsonl", env.read("data.jsonl") + "also not JSON\nnor this\n");
    let again = env.run(&["run", "job.yaml", "--log=json", "--quiet"]).expect(3);
    let log = lines(&again.stderr);
    assert_eq!(events(&log), ["warning"], "{again}");
    assert_eq!(log[0]["message"], "2 bad records were skipped, 3 since the job began");
    let text = env.run(&["run", "job.yaml", "--log", "text"]).expect(0);
    assert!(text.stderr.starts_with("counting: resumes from checkpoint 2 of store ("), "{text}");
}

#[test]
fn an_error_ends_the_log_with_its_causes_hints_and_exit_code() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    let missing = env.run(&["run", "nowhere.yaml", "--log", "json"]).expect(2);
    let log = lines(&missing.stderr);
    assert_eq!(events(&log), ["failed"]);
    assert_eq!((&log[0]["level"], &log[0]["exit_code"]), (&"error".into(), &2.into()));
    assert!(log[0]["causes"][0].as_str().expect("a cause").contains("No such file"), "{missing}");

    env.write("data.jsonl", "not JSON\n");
    let bad = env.run(&["run", "job.yaml", "--log", "json"]).expect(5);
    let log = lines(&bad.stderr);
    assert_eq!(events(&log), ["started", "failed"]);
    assert!(log[1]["hints"].as_array().expect("a list").len() > 1, "{bad}");
    assert_eq!(bad.stdout, "");
}

#[test]
fn the_document_lists_every_event_of_the_log() {
    let source = std::fs::read_to_string(repository::path("src/cli/commands/run/events.rs")).expect("readable");
    let document = std::fs::read_to_string(repository::path("docs/scripting.md")).expect("readable");
    let name = regex::Regex::new(r#"EventText::(?:info|warning)\(\s*"([a-z_]+)""#).expect("well formed");
    let names: Vec<&str> = name.captures_iter(&source).map(|found| found.extract::<1>().1[0]).collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names.into_iter().chain(["progress", "finished", "failed", "note", "warning"]) {
        assert!(document.contains(&format!("| `{name}` |")), "docs/scripting.md does not list the event `{name}`");
    }
}
