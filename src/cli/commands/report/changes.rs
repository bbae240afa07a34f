//! What changed between the last checkpoints.

use maud::{Markup, html};

use super::page::{Page, left_out, part, section};
use super::table::{Cell, Kind, Table};
use crate::cli::text::sketch_with_digest;
use crate::ops::diff::ChangeKind;
use crate::ops::report::{Changes, KeyChange};
use crate::values::units::{Bytes, Count};
use crate::values::value::Value;

impl Page<'_> {
    /// Returns the section about changes.
    pub(super) fn changes(&self) -> Markup {
        let html = |changes: &Changes| self.changed(changes);
        section(
            "changes",
            part(&self.report.changes, "Left out by --quick.", "There are not yet two checkpoints.", html),
        )
    }

    fn changed(&self, changes: &Changes) -> Markup {
        let (old, new, keys) = (&changes.old, &changes.new, changes.totals.keys);
        let records = i128::from(new.totals.records) - i128::from(old.totals.records);
        let table = Table {
            caption: "Keys that differ, by task and key",
            columns: vec![("Key", Kind::Wide), ("Task", Kind::Number), ("Change", Kind::Text), ("Values", Kind::Wide)],
            rows: changes.examples.iter().map(change).collect(),
        };
        html! {
            p {
                "From checkpoint " (old.sequence.0) " (" (self.times.show(old.created)) ") to " (new.sequence.0) " ("
                (self.times.show(new.created)) "): " (Count(keys.added)) " keys added, " (Count(keys.changed))
                " changed, " (Count(keys.removed)) " removed; " (format!("{records:+}")) " records; "
                (Bytes(new.totals.new_bytes)) " written."
                @if changes.job_differs { " The job definition differs." }
            }
            (table.html("changes-table", left_out(table.rows.len(), keys.all() as usize, "first")))
        }
    }
}

fn change(change: &KeyChange) -> Vec<Cell> {
    let value = |(column, old, new): &(String, Option<Value>, Option<Value>)| match (old, new) {
        (Some(old), Some(new)) => format!("{column}: {} → {}", shown(old), shown(new)),
        (None, Some(one)) | (Some(one), None) => format!("{column}: {}", shown(one)),
        (None, None) => column.clone(),
    };
    vec![
        Cell::text(&change.key),
        Cell::number(change.task, change.task.into()),
        Cell::text(match change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
        }),
        Cell::text(change.values.iter().map(value).collect::<Vec<_>>().join(", ")),
    ]
}

/// Writes a value, shortened so that others can be seen next to it.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Sketch(bytes) => sketch_with_digest(bytes),
        other => other.to_string(),
    };
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
