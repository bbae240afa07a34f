//! `where:` expressions.

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::common::types::{CelBool, STRING_TYPE};
use cel::common::value::Val;
use cel::{Context, Env, ExecutionError, Value};

use crate::input::record::bad_record::{BadRecord, in_one_line};
use crate::input::record::field::Field;
pub(super) use crate::input::record::filter::arguments::number_text;
pub use crate::input::record::filter::error::FilterError;
use crate::input::record::filter::field_names::FieldNames;
pub use crate::input::record::filter::functions::function_names;
use crate::input::record::filter::pattern::{Pattern, matches, pattern_type};
use crate::input::record::filter::values::{Values, value_of};
use crate::input::record::json::tree::Tree;
use crate::job::field::FieldPath;
use crate::job::known_fields::KnownFields;
use crate::job::model::InputSpec;
use crate::values::catch_panic::catch_panic;

mod arguments;
mod conversions;
mod error;
mod exact;
mod field_names;
mod functions;
mod numbers;
mod opaque;
mod pattern;
mod times;
mod values;

/// The longest expression, in bytes.
const EXPRESSION_BYTES: usize = 4096;
/// How deep the parts of an expression may be nested.
const DEPTH_LIMIT: usize = 100;
/// A stack that is large enough to parse any expression of that length.
const PARSER_STACK_BYTES: usize = 256 << 20;

/// A `where:` expression, in the Common Expression Language.
///
/// `a` and `user.id` are fields, unless a macro such as `tags.exists(t, t == "x")` defines `t`. Names with special
/// characters cannot be written. A missing field is `null`, also one inside a missing object; `has(user.id)` is
/// `user.id != null`.
///
/// A JSON integer within 64 bits is an `int` or, if it is too large for that, a `uint`; any other number with a point
/// or an exponent is a `double`. Larger integers can only be compared and converted. Numbers compare by their exact
/// value, whatever their types, but must be converted before they are added or multiplied: `double(amount) * 1.5`.
/// Objects and arrays are maps and lists. If one has a name twice, at any depth, the record is bad.
#[derive(Clone)]
pub struct Filter {
    expression: Arc<IdedExpr>,
    fields: Arc<[FieldPath]>,
    patterns: Arc<[Pattern]>,
    environment: Arc<Env>,
    has_numbers_in_text: bool,
    /// Whether its numbers are those of the aggregates instead of CEL's.
    is_exact: bool,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl Filter {
    /// Compiles `expression`.
    pub fn new(expression: &str) -> Result<Filter, FilterError> {
        Filter::on_fields(expression, KnownFields::ANY, false)
    }

    /// Compiles the `where:` expression of a job that reads `input`.
    pub fn of_input(expression: &str, input: &InputSpec) -> Result<Filter, FilterError> {
        Filter::on_records(expression, KnownFields::of(input))
    }

    /// Compiles an expression like that of `where:` over records with the fields `known`.
    pub(crate) fn on_records(expression: &str, known: KnownFields<'_>) -> Result<Filter, FilterError> {
        Filter::on_fields(expression, known, false)
    }

    /// The same with exact numbers.
    pub(super) fn exact(expression: &str, known: KnownFields<'_>) -> Result<Filter, FilterError> {
        Filter::on_fields(expression, known, true)
    }

    /// Compiles an expression with exact numbers over the columns of a table. Its fields are columns.
    pub(crate) fn on_columns(expression: &str, columns: &[String]) -> Result<Filter, FilterError> {
        Filter::on_fields(expression, KnownFields::Columns(columns), true)
    }

    fn on_fields(expression: &str, known: KnownFields<'_>, is_exact: bool) -> Result<Filter, FilterError> {
        if expression.len() > EXPRESSION_BYTES {
            return Err(FilterError::whole(format!("the expression is longer than {EXPRESSION_BYTES} bytes")));
        }
        // The parser recurses as deep as the expression is nested, before the depth can be checked.
        let compile = || catch_panic(|| Filter::compile(expression, known, is_exact));
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES).spawn_scoped(scope, compile);
            match thread.map(|thread| thread.join()) {
                Ok(Ok(Ok(result))) => result,
                Ok(Ok(Err(_)) | Err(_)) => Err(FilterError::whole("the expression cannot be parsed")),
                Err(error) => {
                    Err(FilterError::whole(format!("cannot start a thread to parse the expression: {error}")))
                }
            }
        })
    }

    fn compile(expression: &str, known: KnownFields<'_>, is_exact: bool) -> Result<Filter, FilterError> {
        let mut environment = Env::stdlib().with_optional_support(false);
        environment
            .add_member_overload("matches", "string_matches_pattern", STRING_TYPE, vec![pattern_type()], matches)
            .expect("no other overload takes a pattern");
        numbers::declare(&mut environment);
        conversions::declare(&mut environment);
        exact::declare(&mut environment);
        functions::declare(&mut environment);
        let program = environment.compile(expression).map_err(|errors| FilterError::of_parser(&errors))?;
        let mut rewritten = program.expression().clone();
        if is_deeper(&rewritten, DEPTH_LIMIT) {
            return Err(FilterError::whole(format!("the expression is nested more than {DEPTH_LIMIT} deep")));
        }
        let mut names = FieldNames {
            source: program.source_info(),
            fields: vec![],
            patterns: vec![],
            scope: vec![],
            known,
            is_exact,
            mistakes: vec![],
        };
        names.rewrite(&mut rewritten, false);
        FilterError::of_several(names.mistakes)?;
        if is_deeper(&rewritten, DEPTH_LIMIT) {
            return Err(FilterError::whole("the cases of the expression are nested too deep"));
        }
        Ok(Filter {
            fields: names.fields.into(),
            patterns: names.patterns.into(),
            expression: Arc::new(rewritten),
            environment: Arc::new(environment),
            has_numbers_in_text: known.format().has_numbers_in_text(),
            is_exact,
        })
    }

    /// Treats text that is a JSON number as a number, for CSV. Next to text, and where text is needed, it stays text:
    /// `zip == "12345"`, `zip.startsWith("12")`, `size(zip)`.
    pub fn with_numbers_in_text(self) -> Filter {
        Filter { has_numbers_in_text: true, ..self }
    }

    /// Returns whether text that is a JSON number is a number.
    pub(super) fn has_numbers_in_text(&self) -> bool {
        self.has_numbers_in_text
    }

    /// Returns the fields that the expression uses.
    pub fn fields(&self) -> &[FieldPath] {
        &self.fields
    }

    /// Returns whether to keep the record with these fields, which are in the order of [`Filter::fields`].
    ///
    /// A result that is not a bool, or an operation on the wrong types, makes the record bad.
    pub fn keeps(&self, fields: &[Field<'_>]) -> Result<bool, BadRecord> {
        self.is_true(fields, "`where`")
    }

    /// Returns whether the expression is true of a record with these fields. Errors call it `name`.
    pub(crate) fn is_true(&self, fields: &[Field<'_>], name: &str) -> Result<bool, BadRecord> {
        let bad = |reason: String| BadRecord { reason: format!("{name} fails: {reason}") };
        self.evaluate(fields, bad, |value| match value.downcast_ref::<CelBool>() {
            Some(keeps) => Ok(*keeps.inner()),
            None => Err(bad(format!("the result is of type {}, not bool", value.get_type().name()))),
        })
    }

    /// Computes the value from these fields and passes it to `take`. `bad` makes an error from a reason.
    pub(super) fn evaluate<T>(
        &self,
        fields: &[Field<'_>],
        bad: impl Fn(String) -> BadRecord,
        take: impl FnOnce(&dyn Val) -> Result<T, BadRecord>,
    ) -> Result<T, BadRecord> {
        let too_large = || bad("a number is too large".to_owned());
        let mut trees = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            match field {
                Field::Json(text) => {
                    trees.push((index, value_of(Tree::parse(text)?, self.is_exact).ok_or_else(too_large)?))
                }
                Field::Number(text) if !self.is_exact && is_too_large(text) => return Err(too_large()),
                _ => {}
            }
        }
        let values = Values {
            fields,
            trees,
            patterns: &self.patterns,
            has_numbers_in_text: self.has_numbers_in_text,
            is_exact: self.is_exact,
        };
        let mut context = Context::with_env(self.environment.clone());
        context.set_variable_resolver(&values);
        let result = Value::resolve_val(&self.expression, &context);
        match result {
            Ok(value) => take(value.as_ref()),
            Err(error) => Err(bad(in_one_line(&in_words(&error)))),
        }
    }
}

/// Returns whether a JSON number is neither an integer nor within the bounds of a binary fraction.
fn is_too_large(text: &str) -> bool {
    // Without an exponent, it takes more than 300 digits.
    (text.len() > 300 || text.contains(['e', 'E'])) && numbers::number(text).is_none()
}

/// Describes an error in a few words, without the values.
fn in_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(overload) => {
            let sign = overload.function().trim_matches('_').trim_start_matches('@');
            format!("cannot apply `{sign}` to {}", overload.argument_types().join(" and "))
        }
        ExecutionError::ValuesNotComparable(a, b) => format!("cannot compare {} and {}", a.type_of(), b.type_of()),
        ExecutionError::UnsupportedBinaryOperator(name, a, b) => {
            format!("cannot apply `{name}` to {} and {}", a.type_of(), b.type_of())
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        ExecutionError::FunctionError { function, message } => format!("`{function}`: {message}"),
        other => other.to_string(),
    }
}

/// Returns whether the parts of `expression` are nested more than `limit` deep.
fn is_deeper(expression: &IdedExpr, limit: usize) -> bool {
    let Some(limit) = limit.checked_sub(1) else { return true };
    let deeper = |part: &IdedExpr| is_deeper(part, limit);
    match &expression.expr {
        Expr::Call(call) => call.target.as_deref().is_some_and(deeper) || call.args.iter().any(deeper),
        Expr::Comprehension(all) => {
            [&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result].into_iter().any(deeper)
        }
        Expr::List(list) => list.elements.iter().any(deeper),
        Expr::Map(map) => map.entries.iter().any(|entry| entry_parts(&entry.expr).into_iter().flatten().any(deeper)),
        Expr::Struct(made) => {
            made.entries.iter().any(|entry| entry_parts(&entry.expr).into_iter().flatten().any(deeper))
        }
        Expr::Select(select) => deeper(&select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => false,
    }
}

fn entry_parts(entry: &EntryExpr) -> [Option<&IdedExpr>; 2] {
    match entry {
        EntryExpr::StructField(field) => [Some(&field.value), None],
        EntryExpr::MapEntry(entry) => [Some(&entry.key), Some(&entry.value)],
    }
}

#[cfg(test)]
mod tests;
