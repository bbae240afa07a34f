//! Checks what commands print with `--json` against `ckpt schema`.
//!
//! Every command that a test runs with `--json` is checked, see [`check`]. The schemas allow further fields, because a
//! later version may have some; here they are strict, so that a field without a schema is found.

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use super::{Output, binary};

/// What `ckpt schema` knows apart from job files.
pub const DOCUMENTS: [&str; 21] = [
    "error",
    "version",
    "run",
    "init",
    "check",
    "checkpoint",
    "list",
    "log",
    "report",
    "inspect",
    "workers",
    "verify",
    "diff",
    "restore",
    "prune",
    "pin",
    "unpin",
    "copy",
    "latest",
    "stats",
    "samza",
];

/// A schema, ready to check values.
pub struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    /// Compiles a schema.
    pub fn new(schema: Value) -> Validator {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("schema.json", schema).expect("well formed");
        let index = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Validator { schemas, index }
    }

    /// Returns why a value does not fit.
    pub fn validate(&self, value: &Value) -> Result<(), String> {
        self.schemas.validate(value, self.index).map_err(|error| format!("{error:#}"))
    }
}

/// Returns the schema of `what`, as the program prints it.
pub fn schema(what: &str) -> Value {
    let printed = Command::new(binary()).args(["schema", what]).env_clear().output().expect("started");
    assert!(printed.status.success(), "{what}: {}", String::from_utf8_lossy(&printed.stderr));
    serde_json::from_slice(&printed.stdout).expect("JSON")
}

/// Returns the schema of the documents of `what`, in which no further fields are allowed.
fn strict(what: &str) -> Arc<Validator> {
    static KNOWN: Mutex<Option<HashMap<String, Arc<Validator>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let mut schema = schema(what);
        close(&mut schema);
        Arc::new(Validator::new(schema))
    };
    known.get_or_insert_default().entry(what.to_owned()).or_insert_with(make).clone()
}

/// Forbids fields that no schema names in the objects of a schema.
fn close(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    for (name, inner) in map.iter_mut() {
        match (name.as_str(), inner) {
            ("properties", Value::Object(fields)) => fields.values_mut().for_each(close),
            ("items" | "additionalProperties", inner) => close(inner),
            ("anyOf" | "oneOf" | "allOf", Value::Array(parts)) => parts.iter_mut().for_each(close),
            _ => {}
        }
    }
    let alternatives = ["anyOf", "oneOf", "allOf"];
    if !map.contains_key("properties") || map.contains_key("additionalProperties") {
        return;
    }
    // Alternatives beside the fields name fields of the same object.
    for name in alternatives {
        if let Some(Value::Array(parts)) = map.get_mut(name) {
            parts
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(|part| drop(part.remove("unevaluatedProperties")));
        }
    }
    map.insert("unevaluatedProperties".to_owned(), json!(false));
}

/// Checks the documents on standard output, and the error on standard error, of a command with `--json`.
#[track_caller]
pub fn check(arguments: &[&str], output: &Output) {
    let options: Vec<&str> = arguments.iter().take_while(|argument| **argument != "--").copied().collect();
    let has = |names: &[&str]| options.iter().any(|option| names.contains(option));
    if !has(&["--json"]) || has(&["--help", "-h", "help"]) {
        return;
    }
    if let Some(line) = output.stderr.lines().last().filter(|line| line.starts_with("{\"version\"")) {
        check_line("error", line, arguments);
    }
    let verb = match options.iter().find(|option| DOCUMENTS[2..].contains(option)) {
        _ if has(&["--version", "-V"]) => "version",
        // With `--output -`, the answer is the file.
        Some(_) if has(&["-"]) => return,
        Some(verb) => verb,
        None => return,
    };
    for line in output.stdout.split_inclusive('\n') {
        // An error may cut the answer short.
        if line.ends_with('\n') || [0, 1, 3].contains(&output.status) {
            check_line(verb, line, arguments);
        }
    }
    assert!(![0, 1, 3].contains(&output.status) || !output.stdout.is_empty(), "{arguments:?}: no document");
}

#[track_caller]
fn check_line(what: &str, line: &str, arguments: &[&str]) {
    let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {line}"));
    if let Err(error) = strict(what).validate(&value) {
        panic!("{arguments:?}: `ckpt schema {what}` does not describe {line}\n{error}");
    }
}

#[test]
fn a_field_without_a_schema_is_found() {
    let plain = json!({ "type": "object", "properties": { "a": { "items": { "type": "object", "properties": { "b": {} } } } },
        "anyOf": [{ "type": "object", "properties": { "c": {} } }, { "type": "object" }] });
    let mut closed = plain.clone();
    close(&mut closed);
    let (plain, closed) = (Validator::new(plain), Validator::new(closed));
    for (value, fits) in [
        (json!({ "a": [{ "b": 1 }], "c": 2 }), true),
        (json!({ "a": [{ "b": 1, "x": 1 }] }), false),
        (json!({ "x": 1 }), false),
    ] {
        assert_eq!(plain.validate(&value), Ok(()));
        assert_eq!(closed.validate(&value).is_ok(), fits, "{value}");
    }
}

#[test]
#[should_panic(expected = "`ckpt schema latest` does not describe")]
fn a_document_that_does_not_fit_fails_the_test_that_printed_it() {
    let output = Output { stdout: "{\"version\":1}\n".to_owned(), stderr: String::new(), status: 0 };
    check(&["latest", "s", "--json"], &output);
}
