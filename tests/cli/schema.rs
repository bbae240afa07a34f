//! `ckpt schema`: every job file in the repository is valid, and wrong ones are not; every document is described.
//!
//! That documents fit their schemas is proved by every test that prints one, see `support::json_schema`.

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;
use serde_json::{Value, json};

use crate::support::json_schema::{DOCUMENTS, Validator, schema};
use crate::support::{Env, document, repository};

struct JobFiles(Validator);

impl JobFiles {
    fn new() -> JobFiles {
        JobFiles(Validator::new(schema("job")))
    }

    fn validate(&self, yaml: &str) -> Result<(), String> {
        self.0.validate(&ckpt::values::yaml::from_str(yaml).map_err(|error| error.to_string())?)
    }
}

/// Returns the job files in the examples and the documents, each with its place.
fn job_files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for directory in ["examples", "examples/programs"] {
        for name in repository::files(directory).into_iter().filter(|name| name.ends_with(".yaml")) {
            found.push((name.clone(), fs::read_to_string(repository::path(&name)).expect("readable")));
        }
    }
    for name in repository::documents() {
        let text = fs::read_to_string(repository::path(&name)).expect("readable");
        let blocks = text.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
        found.extend(blocks.filter(|block| block.starts_with("job:")).map(|block| (name.clone(), block.to_owned())));
    }
    found
}

#[test]
fn every_job_file_in_the_repository_is_valid() {
    let validator = JobFiles::new();
    let files = job_files();
    assert!(files.len() >= 12, "{}", files.len());
    for (name, text) in files {
        validator.validate(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    }
}

#[test]
fn what_a_checkpoint_stores_is_valid_too() {
    let validator = JobFiles::new();
    let env = Env::new();
    env.write("data.csv", "k,v,ts\na,1,1\n");
    for rest in [
        "process: {aggregate: {n: count, m: max(v)}, window: {time: ts, every: 1m}}\noutput: {files: out, emit: changes}\n",
        "process: {aggregate: {n: 'avg(round(v, 2))'}}\n\
         checkpoint: {mode: priority, budget: 1MiB, priorities: [{tasks: 0-7, weight: 3}, {key: key == \"a\"}]}\n",
        "process: {exec: [python3, x.py], restarts: 2, tick: 1s}\ncheckpoint: {keep: {last: 3, within: 2d}}\n",
        "process: {aggregate: {n: count}, ttl: 30d, time: ts}\nwhere: v > 0\n\
         checkpoint: {mode: scheduled, schedule: '0 * * * *', replicas: [r], min_copies: 1}\n",
    ] {
        let text =
            format!("job: j\ninput: {{files: data.csv, on_error: {{dead_letter: bad, max: 1%}}}}\nkey: k\n{rest}");
        env.write("job.yaml", &text);
        let job = ckpt::job::JobSpec::parse(&text, &env.path("job.yaml")).unwrap_or_else(|error| panic!("{error}"));
        for text in [text, job.definition()] {
            validator.validate(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        }
    }
}

#[test]
fn variables_and_numbers_in_place_of_text_are_valid() {
    let validator = JobFiles::new();
    let text = "job: 42\ninput: ${DATA}\nkey: 7\ntasks: ${TASKS:-8}\nprocess: {aggregate: {n: count}}\n\
                checkpoint: {schedule: '${EVERY}', enabled: '${ON}', keep: {last: '${N}'}, mode: '${MODE}'}\noutput: out\n";
    validator.validate(text).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_wrong_job_file_is_invalid() {
    let validator = JobFiles::new();
    let job = |from: &str, to: &str| {
        let text = "job: j\ninput: {files: [a.csv], format: csv}\nkey: k\ntasks: 8\n\
                    process: {aggregate: {n: count}, window: {time: t, every: 1m}}\n\
                    checkpoint: {schedule: 1m, state_bytes: 1MiB, keep: {last: 3}}\n";
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    validator.validate(&job("", "")).expect("valid");
    for (from, to) in [
        ("job: j\n", ""),
        ("input: {files: [a.csv], format: csv}\n", ""),
        ("files: [a.csv], ", ""),
        ("format: csv", "format: cvs"),
        ("format: csv", "formt: csv"),
        ("tasks: 8", "tasks: 0"),
        ("tasks: 8", "tasks: many"),
        ("n: count", "n: counts"),
        ("aggregate: {n: count}, ", ""),
        ("time: t, ", ""),
        ("1m, state", "1x, state"),
        ("1MiB", "1MB/s"),
        ("last: 3", "last: -3"),
        ("last: 3", "lst: 3"),
        ("key: k", "kye: k"),
    ] {
        assert!(validator.validate(&job(from, to)).is_err(), "{from} -> {to}");
    }
}

#[test]
fn editors_get_a_description_of_every_key() {
    let printed = Env::new().run(&["schema", "--json"]).expect(0);
    assert_eq!(printed.stdout, Env::new().run(&["schema", "job"]).expect(0).stdout);
    let schema: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    let schedule = &schema["properties"]["checkpoint"]["properties"]["schedule"];
    let description = schedule["description"].as_str().expect("text");
    assert!(description.starts_with("the time from the start of one checkpoint to the next"), "{description}");
    assert!(!schema.to_string().contains("](#"), "no link of the document is left");
    assert_eq!(schema["required"], json!(["job", "input", "process"]));
}

#[test]
fn every_command_that_prints_documents_has_a_schema() {
    let program = ckpt::cli::command();
    let commands = program.get_subcommands().map(|command| command.get_name());
    let with_documents: Vec<&str> = commands.filter(|name| !["schema", "completions"].contains(name)).collect();
    assert_eq!(DOCUMENTS[2..], with_documents);
    for what in DOCUMENTS {
        let schema = schema(what);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{what}");
        let kinds = schema["anyOf"].as_array().filter(|_| schema["properties"].is_null()).cloned();
        for kind in kinds.unwrap_or_else(|| vec![schema.clone()]) {
            assert_eq!(kind["properties"]["version"]["const"], 1, "{what}: {kind:#}");
        }
    }
}

#[test]
fn every_field_is_documented_and_every_documented_field_exists() {
    let document = fs::read_to_string(repository::path("docs/scripting.md")).expect("readable");
    let common = part(&document, |line| line == "## JSON").expect("a section about all documents");
    let common = common.split("\n### ").next().expect("text before the first command");
    let mut wrong = Vec::new();
    for what in DOCUMENTS {
        let (mut fields, mut values) = (BTreeSet::new(), BTreeSet::new());
        names(&schema(what), &mut fields, &mut values);
        let own = section(&document, what);
        let known = words(&format!("{common}{}", with_references(&document, what)));
        wrong.extend(fields.difference(&known).map(|field| format!("{what}: `{field}` is not documented")));
        // They share a section.
        match what {
            "pin" => names(&schema("unpin"), &mut fields, &mut values),
            "unpin" => names(&schema("pin"), &mut fields, &mut values),
            _ => {}
        }
        let in_tables = words(&first_columns(&own));
        let unknown = in_tables.iter().filter(|word| !fields.contains(*word) && !values.contains(*word));
        wrong.extend(unknown.map(|word| format!("{what}: there is no field `{word}`")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Collects the names of the fields that a schema describes, and the texts that it lists as values.
fn names(schema: &Value, fields: &mut BTreeSet<String>, values: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        fields.extend(properties.keys().cloned());
    }
    let listed = schema["enum"].as_array().into_iter().flatten().chain([&schema["const"]]);
    values.extend(listed.filter_map(Value::as_str).map(str::to_owned));
    match schema {
        Value::Object(map) => map.values().for_each(|inner| names(inner, fields, values)),
        Value::Array(items) => items.iter().for_each(|inner| names(inner, fields, values)),
        _ => {}
    }
}

/// Returns the part of the document about `what`.
fn section(document: &str, what: &str) -> String {
    let title = match what {
        "error" => "### Errors with --json".to_owned(),
        "version" => "### ckpt --version".to_owned(),
        "pin" | "unpin" => "### ckpt pin, ckpt unpin".to_owned(),
        verb => format!("### ckpt {verb}"),
    };
    part(document, |line| line == title).unwrap_or_else(|| panic!("no section `{title}`"))
}

/// Returns what follows the heading that `is_title` accepts, up to the next one that is not below it.
fn part(document: &str, is_title: impl Fn(&str) -> bool) -> Option<String> {
    let lines: Vec<&str> = document.lines().collect();
    let start = lines.iter().position(|line| line.starts_with('#') && is_title(line))?;
    let level = lines[start].chars().take_while(|c| *c == '#').count();
    let is_below = |line: &&&str| !line.starts_with('#') || line.chars().take_while(|c| *c == '#').count() > level;
    Some(lines[start + 1..].iter().take_while(is_below).copied().collect::<Vec<_>>().join("\n"))
}

/// Returns the section about `what`, and those that it refers to: "as in `ckpt list`", or a link.
fn with_references(document: &str, what: &str) -> String {
    let commands = Regex::new(r"as in `ckpt (\w+)`").expect("well formed");
    let links = Regex::new(r"\]\((format|findings)\.md(?:#([\w-]+))?\)").expect("well formed");
    let (mut seen, mut open) = (BTreeSet::new(), vec![what.to_owned()]);
    let mut text = String::new();
    while let Some(what) = open.pop() {
        if seen.insert(what.clone()) {
            let own = section(document, &what);
            open.extend(commands.captures_iter(&own).map(|found| found[1].to_owned()));
            text += &own;
        }
    }
    for found in links.captures_iter(&text.clone()) {
        let page = fs::read_to_string(repository::path(&format!("docs/{}.md", &found[1]))).expect("readable");
        text += &match found.get(2) {
            None => page,
            Some(anchor) => part(&page, |line| document::anchor(line) == anchor.as_str()).expect("links are tested"),
        };
    }
    text
}

/// Returns the words in backquotes.
fn words(text: &str) -> BTreeSet<String> {
    let quoted = Regex::new("`([^`\n]+)`").expect("well formed");
    let parts = quoted.captures_iter(text).flat_map(|found| {
        let parts = found[1].split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    });
    parts.collect()
}

/// Returns the columns of the tables that name fields: the first one, and the second one after an option.
fn first_columns(section: &str) -> String {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let name = |row: &str| match row.split(" | ").collect::<Vec<_>>()[..] {
        [first, second, _] if first.trim().is_empty() || first.starts_with("`--") => second.to_owned(),
        [first, ..] => first.to_owned(),
        [] => String::new(),
    };
    rows.filter(|row| !row.ends_with("meaning |") && !row.ends_with("fields |"))
        .map(name)
        .collect::<Vec<_>>()
        .join("\n")
}
