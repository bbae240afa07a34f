//! Fields, and the expressions that name them.

use crate::input::record::{Filter, FilterError};
use crate::job::condition::Condition;
use crate::job::field::{ExpressionError, FieldPath};
use crate::job::known_fields::KnownFields;
use crate::job::model::InputFormat;
use crate::job::read::section::{Result, unfit};
use crate::values::units;
use crate::values::yaml::{Mark, Node, YamlError};

/// Reads a field that records of this format can have.
pub(super) fn field(node: &Node, known: KnownFields<'_>) -> Result<FieldPath> {
    let text = node.text("a field such as `user` or `user.id`")?;
    let field = FieldPath::parse(text).map_err(|error| within(node, error))?;
    check_field(&field, known, node.mark)?;
    Ok(field)
}

/// Rejects a field that records of this format never have.
pub(super) fn check_field(field: &FieldPath, known: KnownFields<'_>, mark: Mark) -> Result<()> {
    let of_format =
        if known.is_computed(field) || known.is_of_message(field) { None } else { format_fault(field, known.format()) };
    of_format.or_else(|| known.fault(field)).map_or(Ok(()), |reason| Err(unfit(mark, reason)))
}

/// Returns why no record of `format` can have `field`, whatever its names are.
fn format_fault(field: &FieldPath, format: &InputFormat) -> Option<String> {
    let whole = || FieldPath::of(field.names.join("."));
    let only = match format {
        InputFormat::Csv { .. } if field.is_nested() => {
            return Some(format!("CSV has no nested fields; write a column name that has dots as `{}`", whole()));
        }
        InputFormat::Pattern(_) if field.is_nested() => {
            return Some(format!("text has no nested fields; write a name that has dots as `{}`", whole()));
        }
        InputFormat::Text => "line",
        InputFormat::Words => "word",
        InputFormat::Json | InputFormat::Csv { .. } | InputFormat::Pattern(_) => return None,
    };
    let split = if only == "word" { " split into words" } else { "" };
    let reason = || format!("text{split} only has the field `{only}`, found `{}`", units::shown(&field.to_string()));
    (*field != FieldPath::of(only)).then(reason)
}

/// Reads the text of an expression such as `example`.
pub(super) fn expression(node: &Node, example: &str) -> Result<String> {
    let expected = format!("an expression such as `{example}`");
    let text = node.text(&expected)?;
    if text.trim().is_empty() { Err(node.wrong(&expected)) } else { Ok(text.to_owned()) }
}

/// Checks the condition `expression`, which begins at character `at` of the scalar `node`.
pub(super) fn condition(node: &Node, at: usize, expression: &str, known: KnownFields<'_>) -> Result<Condition> {
    let filter =
        Filter::on_records(expression, known).map_err(|error| within_expression(node, at, expression, error))?;
    Ok(Condition { expression: expression.to_owned(), fields: filter.fields().to_vec() })
}

/// Returns the errors at the characters that `error` is about of `expression`, which begins at character `at` of the
/// scalar `node`.
pub(super) fn within_expression(node: &Node, at: usize, expression: &str, error: FilterError) -> YamlError {
    let one = |error: FilterError| match error.index_in(expression).and_then(|index| node.exact_mark_within(at + index))
    {
        Some(mark) => unfit(mark, error.reason),
        None => node.unfit(error.to_string()),
    };
    YamlError::of_several(error.each().into_iter().map(one)).expect("there is at least one")
}

/// Returns an error at the character of the scalar `node` that `error` is about.
pub(super) fn within(node: &Node, error: ExpressionError) -> YamlError {
    unfit(node.mark_within(error.at), error.reason)
}
