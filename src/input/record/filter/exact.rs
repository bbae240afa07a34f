//! Exact numbers in computed fields: as in the aggregates, with 18 decimal places.

use cel::common::ast::operators;
use cel::common::types::{CelDouble, CelInt, CelNull, CelString, CelUInt};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};

use crate::input::record::filter::arguments::{is_null, missing};
use crate::input::record::filter::numbers::{Answer, Exact, LargeInteger, no_overload, number};
use crate::values::decimal::{Decimal, DecimalError};

/// Returns the value of a JSON number.
pub(super) fn exact<'v>(text: &str) -> Box<dyn Val + 'v> {
    match text.parse::<i64>() {
        Ok(integer) if text != "-0" => Box::new(CelInt::from(integer)),
        _ => Box::new(Exact { number: Decimal::parse(text.as_bytes()).ok(), written: Some(text.to_owned()) }),
    }
}

/// Returns the value of a result.
pub(super) fn of_decimal<'b, 'v>(number: Decimal) -> CowVal<'b, 'v> {
    let (units, one) = (number.units(), Decimal::ONE.units());
    match i64::try_from(units / one).ok().filter(|_| units % one == 0) {
        Some(integer) => CowVal::owned(CelInt::from(integer)),
        None => CowVal::owned(Exact { number: Some(number), written: None }),
    }
}

/// Returns the exact number that `value` is. Returns nothing if it is not a number, and an error if it has too many
/// digits.
pub(super) fn decimal_of(value: &dyn Val) -> Option<Result<Decimal, DecimalError>> {
    let whole = |integer: i128| Decimal::from_units(integer * Decimal::ONE.units()).ok_or(DecimalError::TooLarge);
    if let Some(integer) = value.downcast_ref::<CelInt>() {
        return Some(whole((*integer.inner()).into()));
    }
    if let Some(integer) = value.downcast_ref::<CelUInt>() {
        return Some(whole((*integer.inner()).into()));
    }
    if let Some(fraction) = value.downcast_ref::<CelDouble>() {
        // The shortest text of a fraction is how the expression or the record has it.
        return Some(Decimal::parse(fraction.inner().to_string().as_bytes()));
    }
    if let Some(integer) = value.downcast_ref::<LargeInteger>() {
        return Some(Decimal::parse(integer.to_string().as_bytes()));
    }
    let exact = value.downcast_ref::<Exact>()?;
    Some(exact.number.ok_or(DecimalError::TooFine))
}

/// Returns the name of the function that replaces the operator `name` where numbers are exact.
pub(super) fn replacement(name: &str) -> Option<&'static str> {
    Some(match name {
        operators::ADD => "@add",
        operators::SUBSTRACT => "@subtract",
        operators::MULTIPLY => "@multiply",
        operators::DIVIDE => "@divide",
        operators::MODULO => "@modulo",
        operators::NEGATE => "@negate",
        _ => return None,
    })
}

/// Adds the operators to `environment`.
pub(super) fn declare(environment: &mut Env) {
    use cel::common::types::DYN_TYPE;
    let mut add = |name: &str, count, function| {
        environment
            .add_overload(name, name, (0..count).map(|_| DYN_TYPE).collect(), function)
            .expect("no other function has this name");
    };
    add("@add", 2, add_values);
    add("@subtract", 2, |args| arithmetic("-", &args, Decimal::checked_sub));
    add("@multiply", 2, |args| arithmetic("*", &args, Decimal::checked_mul));
    add("@divide", 2, |args| divide("/", &args, Decimal::checked_div));
    add("@modulo", 2, |args| divide("%", &args, Decimal::checked_rem));
    add("@negate", 1, |args| one_number("-", &args, |number| Some(number.negated())));
}

/// Applies `operation` to the first argument, which must be a number or null.
pub(super) fn one_number<'b, 'v>(
    name: &str,
    args: &[CowVal<'b, 'v>],
    operation: impl Fn(Decimal) -> Option<Decimal>,
) -> Answer<'b, 'v> {
    if is_null(args[0].as_ref()) {
        return Ok(missing());
    }
    let number = operand(name, args, 0)?;
    operation(number).map(of_decimal).ok_or_else(|| too_large(name))
}

/// Adds numbers, or joins texts or lists.
fn add_values<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (a, b) = (args[0].as_ref(), args[1].as_ref());
    if is_null(a) || is_null(b) {
        return Ok(missing());
    }
    if let (Some(a), Some(b)) = (a.downcast_ref::<CelString<'_>>(), b.downcast_ref::<CelString<'_>>()) {
        return Ok(CowVal::owned(CelString::from(format!("{}{}", a.inner(), b.inner()))));
    }
    if decimal_of(a).is_none() && decimal_of(b).is_none() {
        let adder = a.as_adder().ok_or_else(|| no_overload("+", &args))?;
        return Ok(CowVal::Owned(adder.add(b)?.into_owned()));
    }
    arithmetic("+", &args, Decimal::checked_add)
}

fn divide<'b, 'v>(
    sign: &str,
    args: &[CowVal<'b, 'v>],
    operation: impl Fn(Decimal, Decimal) -> Option<Decimal>,
) -> Answer<'b, 'v> {
    if decimal_of(args[1].as_ref()) == Some(Ok(Decimal::ZERO)) && !is_null(args[0].as_ref()) {
        return Err(ExecutionError::function_error(sign, "division by zero"));
    }
    arithmetic(sign, args, operation)
}

fn arithmetic<'b, 'v>(
    sign: &str,
    args: &[CowVal<'b, 'v>],
    operation: impl Fn(Decimal, Decimal) -> Option<Decimal>,
) -> Answer<'b, 'v> {
    if args.iter().any(|arg| is_null(arg.as_ref())) {
        return Ok(missing());
    }
    let (a, b) = (operand(sign, args, 0)?, operand(sign, args, 1)?);
    operation(a, b).map(of_decimal).ok_or_else(|| too_large(sign))
}

fn operand(name: &str, args: &[CowVal<'_, '_>], index: usize) -> Result<Decimal, ExecutionError> {
    let number = decimal_of(args[index].as_ref()).ok_or_else(|| no_overload(name, args))?;
    number.map_err(|error| ExecutionError::function_error(name, format!("a number {error}")))
}

fn too_large(name: &str) -> ExecutionError {
    ExecutionError::function_error(name, format!("the result {}", DecimalError::TooLarge))
}

/// Returns the number that `text` is, or an error.
pub(super) fn to_number<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let value = args[0].as_ref();
    if is_null(value) || decimal_of(value).is_some() {
        return Ok(args.into_iter().next().unwrap_or_else(|| CowVal::Borrowed(&CelNull)));
    }
    let text: &CelString<'_> = value.downcast_ref().ok_or_else(|| no_overload("number", &args))?;
    let number = Decimal::read(text.inner(), None);
    let shown: String = text.inner().chars().take(40).collect();
    number.map(of_decimal).map_err(|error| ExecutionError::function_error("number", format!("`{shown}` {error}")))
}

/// Returns the value of a JSON number: exact, or as in `where`.
pub(super) fn value_of_number<'v>(text: &str, is_exact: bool) -> Option<Box<dyn Val + 'v>> {
    if is_exact { Some(exact(text)) } else { number(text) }
}
