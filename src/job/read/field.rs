//! Fields, and the expressions that name them.

use crate::input::record::{Filter, FilterError};
use crate::job::condition::Condition;
use crate::job::field::{ExpressionError, FieldPath};
use crate::job::keys::unknown;
use crate::job::message_field::MessageField;
use crate::job::model::{ComputedField, InputFormat, InputSpec, LinePattern};
use crate::job::read::section::{Result, unfit};
use crate::values::units;
use crate::values::yaml::{Mark, Node, YamlError};

/// The fields that a job can use.
#[derive(Clone, Copy)]
pub(super) struct KnownFields<'a> {
    /// What records have.
    pub(super) format: &'a InputFormat,
    /// What `let` adds.
    pub(super) computed: &'a [ComputedField],
    /// Whether records are messages of a topic, which have a few fields of their own.
    pub(super) is_topic: bool,
}

impl<'a> KnownFields<'a> {
    pub(super) fn of(input: &'a InputSpec) -> KnownFields<'a> {
        KnownFields { format: &input.format, computed: &input.computed, is_topic: input.topic.is_some() }
    }
}

/// Reads a field that records of this format can have.
pub(super) fn field(node: &Node, known: KnownFields<'_>) -> Result<FieldPath> {
    let text = node.text("a field such as `user` or `user.id`")?;
    let field = FieldPath::parse(text).map_err(|error| within(node, error))?;
    check_field(&field, known, node.mark)?;
    Ok(field)
}

/// Rejects a field that records of this format never have.
pub(super) fn check_field(field: &FieldPath, known: KnownFields<'_>, mark: Mark) -> Result<()> {
    if known.computed.iter().any(|computed| computed.name == field.names[0]) {
        let reason = || format!("`{}` is computed, so it has no members, found `{field}`", field.names[0]);
        return if field.is_nested() { Err(unfit(mark, reason())) } else { Ok(()) };
    }
    if known.is_topic && MessageField::of(field).is_some() {
        return Ok(());
    }
    let only = match known.format {
        InputFormat::Json => return Ok(()),
        InputFormat::Csv { .. } if !field.is_nested() => return Ok(()),
        InputFormat::Csv { .. } => {
            let column = FieldPath::of(field.names.join("."));
            let reason = format!("CSV has no nested fields; write a column name that has dots as `{column}`");
            return Err(unfit(mark, reason));
        }
        InputFormat::Text => "line",
        InputFormat::Words => "word",
        InputFormat::Pattern(pattern) => return check_pattern_field(field, pattern, known, mark),
    };
    if *field == FieldPath::of(only) {
        return Ok(());
    }
    let split = if only == "word" { " split into words" } else { "" };
    Err(unfit(mark, format!("text{split} only has the field `{only}`, found `{}`", units::shown(&field.to_string()))))
}

fn check_pattern_field(field: &FieldPath, pattern: &LinePattern, known: KnownFields<'_>, mark: Mark) -> Result<()> {
    if field.is_nested() {
        let whole = FieldPath::of(field.names.join("."));
        let reason = format!("text has no nested fields; write a name that has dots as `{whole}`");
        return Err(unfit(mark, reason));
    }
    let Some(names) = pattern.field_names() else { return Ok(()) };
    let computed = known.computed.iter().map(|computed| computed.name.as_str());
    let names: Vec<&str> = names.iter().map(String::as_str).chain(computed).collect();
    let name = field.last_name();
    if names.contains(&name) { Ok(()) } else { Err(unfit(mark, unknown("field", name, "", &names))) }
}

/// Reads the text of an expression such as `example`.
pub(super) fn expression(node: &Node, example: &str) -> Result<String> {
    let expected = format!("an expression such as `{example}`");
    let text = node.text(&expected)?;
    if text.trim().is_empty() { Err(node.wrong(&expected)) } else { Ok(text.to_owned()) }
}

/// Checks the condition `expression`, which begins at character `at` of the scalar `node`.
pub(super) fn condition(node: &Node, at: usize, expression: &str, known: KnownFields<'_>) -> Result<Condition> {
    let computed = known.computed.iter().map(|computed| computed.name.clone()).collect();
    let filter = Filter::on_records(expression, known.format, known.is_topic, computed);
    let filter = filter.map_err(|error| within_expression(node, at, expression, error))?;
    Ok(Condition { expression: expression.to_owned(), fields: filter.fields().to_vec() })
}

/// Returns an error at the character that `error` is about of `expression`, which begins at character `at` of the
/// scalar `node`.
pub(super) fn within_expression(node: &Node, at: usize, expression: &str, error: FilterError) -> YamlError {
    let exact = error.index_in(expression).and_then(|index| node.exact_mark_within(at + index));
    match exact {
        Some(mark) => unfit(mark, error.reason),
        None => node.unfit(error.to_string()),
    }
}

/// Returns an error at the character of the scalar `node` that `error` is about.
pub(super) fn within(node: &Node, error: ExpressionError) -> YamlError {
    unfit(node.mark_within(error.at), error.reason)
}
