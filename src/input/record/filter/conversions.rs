//! The conversions of numbers: `double`, `int`, `uint` and `string`.

use cel::common::types::{CelDouble, CelInt, CelString, CelUInt, DYN_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError};

use crate::input::record::filter::numbers::{Answer, LargeInteger, Number, large_integer_type, no_overload, number_of};
use crate::values::decimal::{Decimal, DecimalError};

/// Adds the conversions to `environment`.
pub(super) fn declare(environment: &mut Env) {
    let mut add = |name: &str, function| {
        environment.add_overload(name, name, vec![DYN_TYPE], function).expect("no other function has this name");
    };
    add("@double", to_double);
    add("@int", to_int);
    add("@uint", to_uint);
    environment
        .add_overload("string", "large_integer_to_string", vec![large_integer_type()], |args| {
            match args.first().and_then(|arg| arg.downcast_ref::<LargeInteger>()) {
                Some(integer) => Ok(CowVal::owned(CelString::from(integer.to_string()))),
                None => Err(ExecutionError::missing_argument_or_target()),
            }
        })
        .expect("no other overload takes such an integer");
}

fn to_double<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let value = args[0].as_ref();
    let fraction = match number_of(value) {
        Some(Number::Integer(integer)) => integer as f64,
        Some(Number::Fraction(fraction)) => fraction,
        Some(Number::Large(integer)) => integer.to_string().parse().unwrap_or(f64::INFINITY),
        Some(Number::Exact(number)) => number.to_string().parse().unwrap_or(f64::INFINITY),
        None => {
            let text = text_of("double", &args)?;
            match Decimal::read(text, None) {
                Err(DecimalError::NotANumber) => return Err(no_number("double", text)),
                _ => text.trim().parse().unwrap_or(f64::INFINITY),
            }
        }
    };
    if fraction.is_infinite() && !matches!(number_of(value), Some(Number::Fraction(_))) {
        return Err(ExecutionError::function_error("double", "the number is too large"));
    }
    Ok(CowVal::owned(CelDouble::from(fraction)))
}

fn to_int<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let integer = i64::try_from(integer_of("int", &args)?).map_err(|_| too_large("int"))?;
    Ok(CowVal::owned(CelInt::from(integer)))
}

fn to_uint<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let integer = u64::try_from(integer_of("uint", &args)?).map_err(|_| too_large("uint"))?;
    Ok(CowVal::owned(CelUInt::from(integer)))
}

/// Returns the argument of a conversion as an integer. A fraction loses its decimal places.
fn integer_of(name: &str, args: &[CowVal<'_, '_>]) -> Result<i128, ExecutionError> {
    match number_of(args[0].as_ref()) {
        Some(Number::Integer(integer)) => Ok(integer),
        Some(Number::Exact(number)) => Ok(number.units() / Decimal::ONE.units()),
        // 2^64 and beyond fit neither type.
        Some(Number::Fraction(fraction)) if fraction.abs() < 18_446_744_073_709_551_616.0 => Ok(fraction as i128),
        Some(Number::Fraction(_) | Number::Large(_)) => Err(too_large(name)),
        None => {
            let text = text_of(name, args)?;
            let number = Decimal::read(text, None).map_err(|_| no_number(name, text))?;
            let (whole, one) = (number.units() / Decimal::ONE.units(), Decimal::ONE.units());
            if whole * one == number.units() { Ok(whole) } else { Err(no_number(name, text)) }
        }
    }
}

fn text_of<'a>(name: &str, args: &'a [CowVal<'_, '_>]) -> Result<&'a str, ExecutionError> {
    let text: Option<&CelString<'_>> = args[0].downcast_ref();
    text.map(|text| text.inner()).ok_or_else(|| no_overload(name, args))
}

fn too_large(name: &str) -> ExecutionError {
    ExecutionError::function_error(name, "the number is too large")
}

fn no_number(name: &str, text: &str) -> ExecutionError {
    let what = if name == "double" { "a number" } else { "an integer" };
    ExecutionError::function_error(name, format!("`{}` is not {what}", text.chars().take(40).collect::<String>()))
}
