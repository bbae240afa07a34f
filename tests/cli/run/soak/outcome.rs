//! The result of a job: the state, and everything that it published.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;

use super::super::files;
use super::super::published::{names, net};
use super::story::{Published, Story};
use crate::support::Env;

/// The result of a finished job.
#[derive(PartialEq)]
pub(super) struct Outcome {
    /// The rows of the state, as `ckpt restore --to` writes them, sorted.
    state: Vec<String>,
    /// The files that must be equal byte for byte.
    written: BTreeMap<String, Vec<u8>>,
    /// The net effect of the files of changes.
    net: BTreeMap<String, Value>,
    /// The rows that were each published once, sorted.
    rows: Vec<String>,
}

impl Outcome {
    #[track_caller]
    pub(super) fn read(env: &Env, story: &Story) -> Outcome {
        let bytes = |name: &&str| {
            let bytes = fs::read(env.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            ((*name).to_owned(), bytes)
        };
        let (mut changes, mut rows) = (BTreeMap::new(), Vec::new());
        match story.published {
            Published::Nothing => {}
            Published::Changes => changes = net(&published(env)),
            Published::Rows => {
                rows = published(env).concat();
                rows.sort();
            }
        }
        let written = story.written.iter().map(bytes).collect();
        Outcome { state: state(env), written, net: changes, rows }
    }

    /// Checks that this is the result of the undisturbed run.
    #[track_caller]
    pub(super) fn expect(&self, calm: &Outcome) {
        for (name, bytes) in &calm.written {
            assert!(self.written[name] == *bytes, "{name} differs");
        }
        assert_same("the state", &self.state, &calm.state);
        let lines = |net: &BTreeMap<String, Value>| -> Vec<String> {
            net.iter().map(|(key, value)| format!("{key}: {value}")).collect()
        };
        assert_same("the net effect of the changes", &lines(&self.net), &lines(&calm.net));
        assert_same("the published rows", &self.rows, &calm.rows);
    }

    /// Checks that there is something to lose.
    pub(super) fn assert_worthwhile(&self, story: &Story) {
        let published = match story.published {
            Published::Nothing => true,
            Published::Changes => self.net.len() > 20,
            Published::Rows => self.rows.len() > 50,
        };
        let much = self.written.values().all(|bytes| bytes.len() > 1_000);
        assert!(published && much, "{}: there is little to compare", story.name);
    }
}

/// Checks that two sorted lists of lines are equal, and reports the first difference if not.
#[track_caller]
fn assert_same(what: &str, found: &[String], expected: &[String]) {
    let first = found.iter().zip(expected).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "{what} differs: {} rows, {} in the undisturbed run; the first is {first:?}",
        found.len(),
        expected.len()
    );
}

/// Returns the rows of the latest checkpoint, as restored.
#[track_caller]
pub(super) fn state(env: &Env) -> Vec<String> {
    let _ = fs::remove_dir_all(env.path("state"));
    env.run(&["restore", "store", "--to", "state", "--format", "jsonl"]).expect(0);
    let mut rows = Vec::new();
    for file in files(&env.path("state")) {
        rows.extend(fs::read_to_string(file).expect("readable").lines().map(untasked));
    }
    fs::remove_dir_all(env.path("state")).expect("removed");
    rows.sort();
    rows
}

/// Removes the task from a row, since it depends on the number of tasks.
fn untasked(row: &str) -> String {
    let mut row: serde_json::Map<String, Value> = serde_json::from_str(row).expect("a JSON object");
    row.remove("task");
    Value::Object(row).to_string()
}

/// Returns the rows of each published file of changes, in the order of the files, as JSON objects.
#[track_caller]
pub(super) fn published(env: &Env) -> Vec<Vec<String>> {
    let rows = |name: String| {
        let path = env.path(&format!("out/{name}"));
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("parquet") => rows_of_parquet(&path),
            Some("csv") => rows_of_csv(&fs::read_to_string(path).expect("readable")),
            _ => fs::read_to_string(path).expect("readable").lines().map(str::to_owned).collect(),
        }
    };
    names(env).into_iter().map(rows).collect()
}

/// Renders a row with its columns in order. Empty values are null, as in CSV.
fn as_json<'a>(cells: impl Iterator<Item = (&'a str, Option<String>)>) -> String {
    let cell = |(name, value): (&str, Option<String>)| {
        let value = value.filter(|value| !value.is_empty()).map_or(Value::Null, Value::String);
        format!("{name:?}:{value}")
    };
    format!("{{{}}}", cells.map(cell).collect::<Vec<_>>().join(","))
}

fn rows_of_parquet(path: &Path) -> Vec<String> {
    let file = File::open(path).expect("opened");
    let reader = SerializedFileReader::new(file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows = reader.get_row_iter(None).expect("rows");
    let text = |field: &Field| match field {
        Field::Null => None,
        Field::Str(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    rows.map(|row| {
        let row = row.expect("a row");
        as_json(row.get_column_iter().map(|(name, field)| (name.as_str(), text(field))))
    })
    .collect()
}

/// Reads CSV as `ckpt` writes it. In these tests, no field contains a line break.
fn rows_of_csv(text: &str) -> Vec<String> {
    let mut lines = text.lines().map(fields_of_csv);
    let names = lines.next().expect("a header line");
    lines
        .map(|fields| {
            assert_eq!(fields.len(), names.len(), "{fields:?}");
            as_json(names.iter().map(String::as_str).zip(fields.into_iter().map(Some)))
        })
        .collect()
}

fn fields_of_csv(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

/// Checks that no temporary files are left: in the store after a prune, and in the output.
#[track_caller]
pub(super) fn assert_tidy(env: &Env, stores: &[&str]) {
    for store in stores {
        env.run(&["prune", store, "--keep-last", "1000000", "--grace", "0s", "--yes"]).expect(0);
        let verified = env.run(&["verify", store, "--quick"]);
        // In a bucket, a prune spares for some minutes what a run may still need.
        let mut on_disk = verified.stdout.lines().filter(|line| !line.starts_with("s3://"));
        assert!(!on_disk.any(|line| line.contains("object-unused")), "{verified}");
    }
    let left: Vec<_> = files(env.dir())
        .into_iter()
        .filter(|path| {
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            let path = path.to_string_lossy();
            path.contains("/.tmp-") || name.contains(".ckpt-") || (name.starts_with('.') && path.contains("/out/"))
        })
        .collect();
    assert!(left.is_empty(), "left over: {left:?}");
}
