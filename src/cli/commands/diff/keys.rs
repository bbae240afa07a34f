//! The changed keys of a comparison, for people.

use super::report::name;
use crate::cli::color::Paint;
use crate::cli::error::CliError;
use crate::cli::text::sketch_with_digest;
use crate::cli::ui::Ui;
use crate::ops::diff::{Change, ChangeKind, Comparison};
use crate::ops::read::key_values;
use crate::values::value::{Column, Value};

/// Names the two checkpoints above the list of keys.
pub(super) fn show_sides(comparison: &Comparison, ui: &mut Ui) -> Result<(), CliError> {
    ui.painted(Paint::Old, format!("--- {}", name(&comparison.old)))?;
    ui.painted(Paint::New, format!("+++ {}", name(&comparison.new)))
}

/// Shows a key, and below it a line for each old and each new value.
pub(super) fn show(comparison: &Comparison, change: &Change<'_>, ui: &mut Ui) -> Result<(), CliError> {
    let (sign, paint) = match change.kind() {
        ChangeKind::Added => ('+', Paint::New),
        ChangeKind::Removed => ('-', Paint::Old),
        ChangeKind::Changed => ('~', Paint::Changed),
    };
    ui.painted(paint, format!("{sign} {}  (task {})", key(comparison, change), change.task))?;
    let values = comparison.columns.values(change);
    let width = values.iter().map(|value| value.column.chars().count()).max().unwrap_or(0);
    for value in values {
        for (sign, paint, value_of) in [('-', Paint::Old, &value.old), ('+', Paint::New, &value.new)] {
            if let Some(shown) = value_of.as_ref().and_then(shown) {
                ui.painted(paint, format!("  {sign} {:<width$}  {shown}", value.column))?;
            }
        }
    }
    Ok(())
}

/// Returns a key for people: `path=/cart status=500` if it has several parts.
fn key(comparison: &Comparison, change: &Change<'_>) -> String {
    let Some(shape) = comparison.shape_of(change) else { return String::from_utf8_lossy(change.key).into_owned() };
    let values = key_values(Some(shape), change.key);
    let part = |(column, value): (&Column, &Value)| format!("{}={}", column.name, shown(value).unwrap_or_default());
    shape.columns().iter().zip(&values).map(part).collect::<Vec<_>>().join(" ")
}

/// Returns a value for people; `None` for null. Text is quoted if its start or end would be invisible.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Sketch(bytes) => Some(sketch_with_digest(bytes)),
        Value::Text(text) if text.trim() != text || text.is_empty() => Some(value.to_json()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_if_its_ends_are_invisible() {
        let text = |text: &str| shown(&Value::Text(text.to_owned()));
        assert_eq!(text("oslo").as_deref(), Some("oslo"));
        assert_eq!(text("").as_deref(), Some("\"\""));
        assert_eq!(text("oslo ").as_deref(), Some("\"oslo \""));
        assert_eq!(shown(&Value::Null), None);
        assert_ne!(shown(&Value::Sketch(vec![1])), shown(&Value::Sketch(vec![2])));
    }
}
