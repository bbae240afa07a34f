//! The JSON Schema of job files, for editors that complete and check them.
//!
//! It is made from the table of keys in `docs/job-file.md`, so a key is described once, and the schema cannot differ
//! from the document.

use serde_json::{Map, Value, json};

use crate::format::key_shape::KeyShape;
use crate::job::aggregate::AggregateFunction;
use crate::job::keys::KEYS;

const DOCUMENT: &str = include_str!("../../docs/job-file.md");

/// A row of the table of keys.
#[derive(Debug)]
struct Row<'a> {
    /// Dotted.
    key: &'a str,
    kind: &'a str,
    default: &'a str,
    meaning: String,
}

/// Returns the schema. It accepts every valid job file, and refuses unknown keys and most wrong values.
///
/// # Panics
///
/// Panics if the document has a type without a schema, or lacks a key. A test calls this.
pub fn schema() -> Value {
    let rows = rows();
    let mut schema = section("", &rows);
    let more = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "ckpt job file",
        "definitions": definitions(),
    });
    extend(&mut schema, more);
    schema
}

/// Returns the rows of the table.
fn rows() -> Vec<Row<'static>> {
    let (_, keys) = DOCUMENT.split_once("\n## Keys\n").expect("the document has a section on keys");
    let table = keys.split("\n#").next().unwrap_or_default();
    let row = |line: &'static str| {
        let [key, kind, default, meaning] =
            line.trim_matches('|').splitn(4, '|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let key = key.strip_prefix('`')?.strip_suffix('`')?;
        Some(Row { key, kind, default, meaning: without_links(meaning) })
    };
    table.lines().filter_map(row).collect()
}

/// Returns the schema of a section that [`KEYS`] lists.
fn section(name: &str, rows: &[Row<'_>]) -> Value {
    let (_, keys) = KEYS.iter().find(|(section, _)| *section == name).expect("a section has keys");
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in *keys {
        let path = if name.is_empty() { (*key).to_owned() } else { format!("{name}.{key}") };
        let row = rows.iter().find(|row| row.key == path).unwrap_or_else(|| panic!("`{path}` has no row"));
        let mut property = any_of(row.kind, &path, rows);
        let default = match row.default {
            "none" | "see below" => String::new(),
            // Of a section that may be left out, or that has a short form.
            default if default == "required" || default.starts_with("required in") => {
                required.push(*key);
                String::new()
            }
            default if default.starts_with("required") => format!(" R{}.", &default[1..]),
            default => format!(" Default: {}.", without_links(default)),
        };
        extend(&mut property, json!({ "description": format!("{}.{default}", row.meaning.trim_end_matches('.')) }));
        properties.insert((*key).to_owned(), property);
    }
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let one = |key: &str| json!({ "required": [key] });
    match name {
        "input" => extend(&mut schema, json!({ "anyOf": [one("files"), one("kafka")] })),
        "output" => extend(&mut schema, json!({ "anyOf": [one("files"), one("kafka")] })),
        "process" => extend(&mut schema, json!({ "anyOf": [one("aggregate"), one("exec"), one("native")] })),
        _ => {}
    }
    schema
}

/// Returns the schema of a type as the document writes it: alternatives separated by commas and `or`.
fn any_of(kind: &str, path: &str, rows: &[Row<'_>]) -> Value {
    let parts: Vec<&str> = kind.split(", ").flat_map(|part| part.split(" or ")).collect();
    let names: Vec<&str> =
        parts.iter().filter_map(|part| part.strip_prefix('`').and_then(|part| part.strip_suffix('`'))).collect();
    let mut schemas: Vec<Value> = Vec::new();
    if !names.is_empty() {
        schemas.push(json!({ "enum": names }));
        schemas.push(reference("variable"));
    }
    let others = parts.iter().filter(|part| !part.starts_with('`'));
    schemas.extend(others.map(|part| alternative(part, path, rows)));
    match schemas.len() {
        1 => schemas.remove(0),
        _ => json!({ "anyOf": schemas }),
    }
}

fn alternative(kind: &str, path: &str, rows: &[Row<'_>]) -> Value {
    let has_section = KEYS.iter().any(|(section, _)| *section == path);
    match kind {
        "name" | "text" | "field" | "path" | "URL" | "CEL expression" | "regular expression" | "glob" | "character" => {
            reference("text")
        }
        "list" if path == "process.exec" => {
            json!({ "type": ["array", "string"], "items": reference("text"), "minItems": 1 })
        }
        "list" | "list of paths" | "list of texts" => json!({ "type": "array", "items": reference("text") }),
        "list of fields" => json!({
            "type": "array",
            "items": { "anyOf": [
                reference("text"),
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": { "enum": ["number", "int", "text", "bool"] },
                },
            ] },
            "minItems": 1,
            "maxItems": KeyShape::MAX_PARTS,
        }),
        "list of maps" => json!({ "type": "array", "items": section(path, rows) }),
        "map" if has_section => section(path, rows),
        "map" if path == "process.aggregate" => {
            json!({ "type": "object", "minProperties": 1, "additionalProperties": reference("aggregate") })
        }
        "map" | "map from names to expressions" => {
            json!({ "type": "object", "additionalProperties": reference("text") })
        }
        "map from fields to types" | "map from columns to types" => json!({
            "type": "object",
            "additionalProperties": { "enum": ["number", "int", "text", "bool", "json"] },
        }),
        "size" | "duration" | "bool" | "number" | "share" | "range" => reference(kind),
        "cron expression" => json!({ "type": "string", "pattern": r"^\s*(@\w+|(\S+\s+){4,5}\S+)\s*$" }),
        range => match range.split_once(" to ").and_then(|(least, most)| Some((number(least)?, number(most)?))) {
            Some((least, most)) => json!({
                "anyOf": [{ "type": "integer", "minimum": least, "maximum": most }, reference("variable")],
            }),
            None => panic!("the type `{kind}` of `{path}` has no schema"),
        },
    }
}

/// The types that several keys have. A value may be a variable wherever it is not text.
fn definitions() -> Value {
    let or_variable = |schema: Value| json!({ "anyOf": [schema, reference("variable")] });
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let functions = AggregateFunction::ALL.map(AggregateFunction::name).join("|");
    json!({
        "variable": pattern(r"\$\{"),
        // A number, true or false is text where text is needed.
        "text": { "type": ["string", "number", "boolean"] },
        "bool": or_variable(json!({ "type": "boolean" })),
        "number": or_variable(json!({ "type": "integer", "minimum": 0 })),
        "share": or_variable(pattern(r"^[0-9]+(\.[0-9]{1,4})?\s*%$")),
        "range": { "anyOf": [{ "type": "integer", "minimum": 0 }, pattern(r"^\s*[0-9]+\s*-\s*[0-9]+\s*$"), reference("variable")] },
        "size": { "anyOf": [
            { "type": "integer", "minimum": 0 },
            pattern(r"^\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtT][iI]?)?[bB]?\s*$"),
            reference("variable"),
        ] },
        "duration": { "anyOf": [
            { "const": 0 },
            pattern(r"^\s*([0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d|w)\s*)+$"),
            pattern(r"^\s*0\s*$"),
            reference("variable"),
        ] },
        "aggregate": or_variable(pattern(&format!(r"^\s*({functions})\s*(\(.*\))?\s*(where\b[\s\S]*)?$"))),
    })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{definition}") })
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Adds the members of `more` to those of `schema`. Beside a reference nothing counts, so that becomes one of one.
fn extend(schema: &mut Value, more: Value) {
    if schema.get("$ref").is_some() {
        *schema = json!({ "allOf": [schema.take()] });
    }
    if let (Value::Object(schema), Value::Object(more)) = (schema, more) {
        schema.extend(more);
    }
}

/// Returns Markdown without its links: `[text](target)` becomes the text.
fn without_links(markdown: &str) -> String {
    let mut plain = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once('[') {
        plain += before;
        let is_quoted = plain.matches('`').count() % 2 == 1;
        match after.split_once("](").and_then(|(text, after)| Some((text, after.split_once(')')?.1))) {
            // In backquotes, brackets are brackets.
            Some((text, after)) if !is_quoted && !text.contains('[') => {
                plain += text;
                rest = after;
            }
            _ => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lose_their_targets_and_nothing_else_changes() {
        for (markdown, plain) in [
            ("see [Types](#types)", "see Types"),
            ("globs (`*`, `[a-z]`), see [Paths](#a)", "globs (`*`, `[a-z]`), see Paths"),
            ("a [b] c", "a [b] c"),
        ] {
            assert_eq!(without_links(markdown), plain);
        }
    }
}
