//! What a reader sees who looks only at published files.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Map, Value};

use crate::support::Env;

/// Returns the names of the published files of changes in `out`, in checkpoint order.
pub fn names(env: &Env) -> Vec<String> {
    let entries = fs::read_dir(env.path("out")).map(|entries| entries.map(|entry| entry.expect("listed").file_name()));
    let names = entries.into_iter().flatten().map(|name| name.into_string().expect("UTF-8"));
    let ends = |name: &String| [".jsonl", ".csv", ".parquet"].iter().any(|ending| name.ends_with(ending));
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.') && ends(name)).collect();
    names.sort();
    names
}

/// Returns the lines of each published file, in checkpoint order.
pub fn changes(env: &Env) -> Vec<Vec<String>> {
    let lines = |name: String| env.read(&format!("out/{name}")).lines().map(str::to_owned).collect();
    names(env).into_iter().map(lines).collect()
}

/// Applies changes in order, and returns the remaining rows, by key. Each must be possible where it is.
#[track_caller]
pub fn net(files: &[Vec<String>]) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for lines in files {
        let mut last = None;
        for line in lines {
            let mut row: Map<String, Value> = serde_json::from_str(line).expect("a JSON object");
            let mut take = |name: &str| row.remove(name).unwrap_or_else(|| panic!("no `{name}` in {line}"));
            let (op, key) = (take("op"), line.split('"').nth(7).expect("the key is second").to_owned());
            assert!(last < Some(key.clone()), "a file is sorted and has each key once: {line}");
            last = Some(key.clone());
            let before = match op.as_str() {
                Some("delete") => {
                    assert!(
                        row.values().skip(1).all(|value| value.is_null() || value == &Value::String(key.clone())),
                        "{line}"
                    );
                    rows.remove(&key)
                }
                _ => rows.insert(key, Value::Object(row)),
            };
            assert_eq!(before.is_none(), op == "insert", "{line}");
        }
    }
    rows
}
