//! `columns:` of `process` and of `output`.

use std::collections::HashMap;

use crate::job::keys::list;
use crate::job::read::aggregates::{RESERVED_COLUMNS, check_column_name};
use crate::job::read::scalar::choose;
use crate::job::read::section::{Result, all, unfit};
use crate::job::read::types::TYPES;
use crate::values::units::shown;
use crate::values::value::Column;
use crate::values::yaml::{Entry, Node};

const MAX_COLUMNS: usize = 1_000;

/// Reads the columns of a program's state.
pub(super) fn of_state(node: &Node) -> Result<Vec<Column>> {
    let columns = of_rows(node)?;
    for entry in entries(node)? {
        if RESERVED_COLUMNS.contains(&entry.key.to_lowercase().as_str()) {
            let (name, reserved) = (shown(&entry.key), list(&RESERVED_COLUMNS));
            let reason = format!("the name `{name}` is reserved: every state table has the columns {reserved}");
            return Err(unfit(entry.key_mark, reason));
        }
    }
    Ok(columns)
}

/// Reads the columns of rows that a program emits.
pub(super) fn of_rows(node: &Node) -> Result<Vec<Column>> {
    let entries = entries(node)?;
    if entries.is_empty() || entries.len() > MAX_COLUMNS {
        return Err(node.unfit(format!("expected 1 to {MAX_COLUMNS} columns, found {}", entries.len())));
    }
    let columns = all(entries.iter().map(column))?;
    let mut names = HashMap::new();
    for (entry, column) in entries.iter().zip(&columns) {
        let name = &column.name;
        if let Some(other) = names.insert(name.to_lowercase(), name) {
            let reason = format!("`{name}` and `{other}` differ only in case; rename one of them");
            return Err(unfit(entry.key_mark, reason));
        }
    }
    Ok(columns)
}

fn entries(node: &Node) -> Result<&[Entry]> {
    node.map("a map from columns to types such as `clicks: int`")
}

fn column(entry: &Entry) -> Result<Column> {
    check_column_name(entry)?;
    Ok(Column::new(&entry.key, choose(&entry.value, "type", &TYPES.map(|one| (one.name(), one)))?))
}
