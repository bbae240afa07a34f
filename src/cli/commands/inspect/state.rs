//! `ckpt inspect --state`: the rows of a checkpoint.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::head::{ColumnView, Head, column_views, note_cut};
use crate::cli::error::CliError;
use crate::cli::json::{parts, raw};
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::format::manifest::Manifest;
use crate::ops::inspect::{Excerpt, StateRow};
use crate::values::value::{ColumnType, Value};

/// Prints the rows. `key` is the only key that was asked for, if any was.
pub(super) fn show(
    head: Head,
    manifest: &Manifest,
    rows: &Excerpt<StateRow>,
    key: &[String],
    ui: &mut Ui,
) -> Result<(), CliError> {
    if ui.is_json() {
        return ui.json(&StateView::new(head, manifest, rows));
    }
    ui.table(&table(manifest, &rows.rows))?;
    match key {
        [_, ..] if rows.rows.is_empty() => ui.note(format!("there is no key `{}`", key.join(" "))),
        _ => note_cut(rows.cut, "rows", ui),
    }
    Ok(())
}

fn table(manifest: &Manifest, rows: &[StateRow]) -> Table {
    let mut columns = vec![Column::number("TASK")];
    match &manifest.key {
        None => columns.push(Column::name("KEY")),
        Some(shape) => columns.extend(shape.columns().into_iter().map(|column| match column.column_type {
            ColumnType::Text => Column::name(column.name),
            _ => Column::number(column.name),
        })),
    }
    // The estimate of a sketch says more than its size.
    let shown = |place: &usize| !manifest.columns[*place].is_estimated(&manifest.columns);
    let places: Vec<usize> = (0..manifest.columns.len()).filter(shown).collect();
    columns.extend(places.iter().map(|place| &manifest.columns[*place]).map(|column| match column.column_type {
        ColumnType::Int | ColumnType::Number => Column::number(column.name.clone()),
        ColumnType::Text | ColumnType::Json | ColumnType::Sketch | ColumnType::Quantiles => {
            Column::long(column.name.clone())
        }
        ColumnType::Bool => Column::text(column.name.clone()),
    }));
    let mut table = Table::new(columns);
    for row in rows {
        let key =
            if row.parts.is_empty() { vec![row.key.clone()] } else { row.parts.iter().map(Value::to_string).collect() };
        let values = places.iter().map(|place| match &row.values[*place] {
            Value::Sketch(bytes) => text::sketch(bytes),
            other => other.to_string(),
        });
        table.row([row.task.to_string()].into_iter().chain(key).chain(values));
    }
    table
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StateView<'a> {
    #[serde(flatten)]
    head: Head,
    columns: Vec<ColumnView<'a>>,
    /// Whether the limit left rows out.
    cut: bool,
    rows: Vec<StateRowView<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct StateRowView<'a> {
    task: u32,
    key: &'a str,
    /// By column, if the key has several parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<BTreeMap<String, Box<RawValue>>>,
    /// By column.
    values: BTreeMap<&'a str, Box<RawValue>>,
}

impl<'a> StateView<'a> {
    fn new(head: Head, manifest: &'a Manifest, rows: &'a Excerpt<StateRow>) -> StateView<'a> {
        let names = || manifest.columns.iter().map(|column| column.name.as_str());
        let view = |row: &'a StateRow| StateRowView {
            task: row.task,
            key: &row.key,
            parts: manifest.key.as_ref().map(|shape| parts(shape, &row.parts)),
            values: names().zip(row.values.iter().map(raw)).collect(),
        };
        let views = rows.rows.iter().map(view).collect();
        StateView { head, columns: column_views(manifest), cut: rows.cut, rows: views }
    }
}
