//! `ckpt schema`: every job file in the repository is valid, and wrong ones are not.

use std::fs;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use crate::support::{Env, repository};

struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    fn new() -> Validator {
        let printed = Env::new().run(&["schema"]).expect(0);
        let schema: Value = serde_json::from_str(&printed.stdout).expect("JSON");
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("job.json", schema).expect("well formed");
        let index = compiler.compile("job.json", &mut schemas).expect("a schema");
        Validator { schemas, index }
    }

    fn validate(&self, yaml: &str) -> Result<(), String> {
        let value: Value = ckpt::values::yaml::from_str(yaml).map_err(|error| error.to_string())?;
        self.schemas.validate(&value, self.index).map_err(|error| error.to_string())
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
    let validator = Validator::new();
    let files = job_files();
    assert!(files.len() >= 12, "{}", files.len());
    for (name, text) in files {
        validator.validate(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    }
}

#[test]
fn what_a_checkpoint_stores_is_valid_too() {
    let validator = Validator::new();
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
    let validator = Validator::new();
    let text = "job: 42\ninput: ${DATA}\nkey: 7\ntasks: ${TASKS:-8}\nprocess: {aggregate: {n: count}}\n\
                checkpoint: {schedule: '${EVERY}', enabled: '${ON}', keep: {last: '${N}'}, mode: '${MODE}'}\noutput: out\n";
    validator.validate(text).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_wrong_job_file_is_invalid() {
    let validator = Validator::new();
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
    let schema: Value = serde_json::from_str(&Env::new().run(&["schema", "--json"]).expect(0).stdout).expect("JSON");
    let schedule = &schema["properties"]["checkpoint"]["properties"]["schedule"];
    let description = schedule["description"].as_str().expect("text");
    assert!(description.starts_with("the time from the start of one checkpoint to the next"), "{description}");
    assert!(!schema.to_string().contains("](#"), "no link of the document is left");
    assert_eq!(schema["required"], json!(["job", "input", "process"]));
}
