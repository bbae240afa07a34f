//! `process: aggregate:`

use std::collections::HashMap;

use crate::job::aggregate::AggregateSpec;
use crate::job::field::ExpressionError;
use crate::job::keys::list;
use crate::job::known_fields::KnownFields;
use crate::job::model::KeyField;
use crate::job::read::field::{check_field, condition, within};
use crate::job::read::section::{Result, all, unfit};
use crate::values::units;
use crate::values::yaml::{Entry, Node};

const MAX_AGGREGATES: usize = 1_000;
const MAX_NAME_CHARS: usize = 100;

/// Columns that every state table has beside those of the job.
pub(super) const RESERVED_COLUMNS: [&str; 3] = ["task", "key", "deleted"];

/// Reads the aggregates, at least one.
pub(super) fn read(
    node: &Node,
    known: KnownFields<'_>,
    is_keyed: bool,
    key: &[KeyField],
) -> Result<Vec<AggregateSpec>> {
    let expected = "a map from names to aggregates such as `clicks: count`";
    let entries = node.map(expected)?;
    if entries.is_empty() {
        return Err(node.unfit(format!("expected {expected}, found an empty one")));
    }
    if entries.len() > MAX_AGGREGATES {
        return Err(node.unfit(format!("expected at most {MAX_AGGREGATES} aggregates, found {}", entries.len())));
    }
    let mut names: Vec<&str> = key.iter().map(|part| part.field.last_name()).collect();
    if !is_keyed {
        names.push("partition");
    }
    let aggregates = all(entries.iter().map(|entry| {
        check_name(entry, &names, is_keyed)?;
        aggregate(entry, known)
    }))?;
    check_columns(entries, &aggregates)?;
    if key.len() > 1 {
        check_parts(entries, &aggregates, &names)?;
    }
    Ok(aggregates)
}

fn aggregate(entry: &Entry, known: KnownFields<'_>) -> Result<AggregateSpec> {
    let name = entry.key.as_str();
    let node = &entry.value;
    let expression = node.text("an aggregate such as `count` or `sum(amount)`")?;
    let parsed = AggregateSpec::parse(name, expression);
    let mut aggregate = parsed.map_err(|error| within(node, with_hint(error, expression)))?;
    if let Some(found) = &mut aggregate.condition {
        // It is the end of the expression.
        let at = expression.trim_end().chars().count() - found.expression.chars().count();
        *found = condition(node, at, &found.expression, known)?;
    }
    for field in aggregate.field.iter().chain(&aggregate.by) {
        check_field(field, known, node.mark)?;
    }
    Ok(aggregate)
}

/// In braces, YAML ends a value at a comma.
fn with_hint(error: ExpressionError, expression: &str) -> ExpressionError {
    if expression.matches('(').count() <= expression.matches(')').count() {
        return error;
    }
    let reason = format!("{}; in braces, put an aggregate that has a comma in quotes", error.reason);
    ExpressionError { reason, ..error }
}

/// Rejects a name that cannot be a column of the output and of the state.
fn check_name(entry: &Entry, key_names: &[&str], is_keyed: bool) -> Result<()> {
    let name = entry.key.as_str();
    let shown = units::shown(name);
    check_column_name(entry)?;
    if key_names.iter().any(|key_name| name.to_lowercase() == key_name.to_lowercase()) {
        let owner = if is_keyed { "the key" } else { "the name of the partition" };
        return Err(unfit(entry.key_mark, format!("the column `{shown}` is {owner}; rename the aggregate")));
    }
    if RESERVED_COLUMNS.contains(&name.to_lowercase().as_str()) {
        let reserved = list(&RESERVED_COLUMNS);
        let reason = format!("the name `{shown}` is reserved: every state table has the columns {reserved}");
        return Err(unfit(entry.key_mark, reason));
    }
    Ok(())
}

/// Rejects aggregates whose columns in the state would have the name of a part of the key.
fn check_parts(entries: &[Entry], aggregates: &[AggregateSpec], parts: &[&str]) -> Result<()> {
    all(entries.iter().zip(aggregates).map(|(entry, aggregate)| {
        let columns = aggregate.column_names();
        match columns.iter().find(|column| parts.iter().any(|part| part.to_lowercase() == column.to_lowercase())) {
            None => Ok(()),
            Some(column) => {
                let reason = format!("`{}` needs the column `{column}`, which is the key; rename it", aggregate.name);
                Err(unfit(entry.key_mark, reason))
            }
        }
    }))
    .map(|_| ())
}

/// Rejects a name that cannot be a column.
pub(super) fn check_column_name(entry: &Entry) -> Result<()> {
    let name = entry.key.as_str();
    let fits = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().count() <= MAX_NAME_CHARS;
    if fits {
        return Ok(());
    }
    let expected = "a name of at most 100 letters, digits, `_` and `-` that starts with a letter or `_`";
    Err(unfit(entry.key_mark, format!("expected {expected}, found `{}`", units::shown(name))))
}

/// Rejects aggregates that would share a column of the output or the state. Case is ignored, as in SQL.
fn check_columns(entries: &[Entry], aggregates: &[AggregateSpec]) -> Result<()> {
    let (mut names, mut columns) = (HashMap::new(), HashMap::new());
    for (entry, aggregate) in entries.iter().zip(aggregates) {
        let name = &aggregate.name;
        if let Some(other) = names.insert(name.to_lowercase(), name) {
            let reason = format!("`{name}` and `{other}` differ only in case; rename one of them");
            return Err(unfit(entry.key_mark, reason));
        }
        for column in aggregate.column_names() {
            if let Some(other) = columns.insert(column.to_lowercase(), name) {
                let reason = format!("`{name}` and `{other}` both need the column `{column}`; rename one of them");
                return Err(unfit(entry.key_mark, reason));
            }
        }
    }
    Ok(())
}
