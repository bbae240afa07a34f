//! Fields, and the expressions that name them.

use crate::job::field::{ExpressionError, FieldPath};
use crate::job::keys::unknown;
use crate::job::model::{InputFormat, LinePattern};
use crate::job::read::section::{Result, unfit};
use crate::values::units;
use crate::values::yaml::{Mark, Node, YamlError};

/// Reads a field that records of this format can have.
pub(super) fn field(node: &Node, format: &InputFormat) -> Result<FieldPath> {
    let text = node.text("a field such as `user` or `user.id`")?;
    let field = FieldPath::parse(text).map_err(|error| within(node, error))?;
    check_field(&field, format, node.mark)?;
    Ok(field)
}

/// Rejects a field that records of this format never have.
pub(super) fn check_field(field: &FieldPath, format: &InputFormat, mark: Mark) -> Result<()> {
    let only = match format {
        InputFormat::Json => return Ok(()),
        InputFormat::Csv { .. } if !field.is_nested() => return Ok(()),
        InputFormat::Csv { .. } => {
            let column = FieldPath::of(field.names.join("."));
            let reason = format!("CSV has no nested fields; write a column name that has dots as `{column}`");
            return Err(unfit(mark, reason));
        }
        InputFormat::Text => "line",
        InputFormat::Words => "word",
        InputFormat::Pattern(pattern) => return check_pattern_field(field, pattern, mark),
    };
    if *field == FieldPath::of(only) {
        return Ok(());
    }
    let split = if only == "word" { " split into words" } else { "" };
    Err(unfit(mark, format!("text{split} only has the field `{only}`, found `{}`", units::shown(&field.to_string()))))
}

fn check_pattern_field(field: &FieldPath, pattern: &LinePattern, mark: Mark) -> Result<()> {
    if field.is_nested() {
        let whole = FieldPath::of(field.names.join("."));
        let reason = format!("text has no nested fields; write a name that has dots as `{whole}`");
        return Err(unfit(mark, reason));
    }
    let Some(names) = pattern.field_names() else { return Ok(()) };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let name = field.last_name();
    if names.contains(&name) { Ok(()) } else { Err(unfit(mark, unknown("field", name, " of the pattern", &names))) }
}

/// Returns an error at the character of the scalar `node` that `error` is about.
pub(super) fn within(node: &Node, error: ExpressionError) -> YamlError {
    unfit(node.mark_within(error.at), error.reason)
}
