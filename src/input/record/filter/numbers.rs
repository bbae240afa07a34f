//! Numbers in `where:`: integers of any size and binary fractions, compared by their exact value.
//!
//! The library compares an integer with a fraction after rounding it to one, and has no integers beyond 64 bits. So the
//! comparisons of an expression are replaced by the functions here.

use std::any::Any;
use std::cmp::Ordering;
use std::sync::LazyLock;

use cel::common::ast::operators;
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelString, CelUInt, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError};

use crate::values::decimal::{Decimal, DecimalError};

/// An integer that does not fit 64 bits, with or without a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LargeInteger {
    is_negative: bool,
    /// Without leading zeros.
    digits: String,
}

/// A number of any of the types.
enum Number<'a> {
    Integer(i128),
    Large(&'a LargeInteger),
    Fraction(f64),
}

type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Returns the value of a JSON number. Returns `None` if it is too large for a binary fraction.
pub(super) fn number<'v>(text: &str) -> Option<Box<dyn Val + 'v>> {
    if let Ok(integer) = text.parse::<i64>() {
        return Some(Box::new(CelInt::from(integer)));
    }
    if let Ok(integer) = text.parse::<u64>() {
        return Some(Box::new(CelUInt::from(integer)));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Box::new(LargeInteger { is_negative: digits.len() < text.len(), digits: digits.to_owned() }));
    }
    let fraction = text.parse::<f64>().ok().filter(|fraction| fraction.is_finite())?;
    Some(Box::new(CelDouble::from(fraction)))
}

/// Returns the name of the function that replaces the operator or function `name`, if one does.
pub(super) fn replacement(name: &str) -> Option<&'static str> {
    Some(match name {
        operators::EQUALS => "@equals",
        operators::NOT_EQUALS => "@not_equals",
        operators::LESS => "@less",
        operators::LESS_EQUALS => "@less_equals",
        operators::GREATER => "@greater",
        operators::GREATER_EQUALS => "@greater_equals",
        operators::IN => "@member",
        "double" => "@double",
        "int" => "@int",
        "uint" => "@uint",
        _ => return None,
    })
}

/// Adds the functions to `environment`.
pub(super) fn declare(environment: &mut Env) {
    let two = || vec![DYN_TYPE, DYN_TYPE];
    let mut add = |name: &str, arguments, function| {
        environment.add_overload(name, name, arguments, function).expect("no other function has this name");
    };
    add("@equals", two(), |args| Ok(truth(equals(args[0].as_ref(), args[1].as_ref()))));
    add("@not_equals", two(), |args| Ok(truth(!equals(args[0].as_ref(), args[1].as_ref()))));
    add("@less", two(), |args| compare("<", &args).map(|order| truth(order.is_lt())));
    add("@less_equals", two(), |args| compare("<=", &args).map(|order| truth(order.is_le())));
    add("@greater", two(), |args| compare(">", &args).map(|order| truth(order.is_gt())));
    add("@greater_equals", two(), |args| compare(">=", &args).map(|order| truth(order.is_ge())));
    add("@member", two(), |args| contains(&args).map(truth));
    add("@double", vec![DYN_TYPE], to_double);
    add("@int", vec![DYN_TYPE], to_int);
    add("@uint", vec![DYN_TYPE], to_uint);
    environment
        .add_overload("string", "large_integer_to_string", vec![large_integer_type()], |args| {
            match args.first().and_then(|arg| arg.downcast_ref::<LargeInteger>()) {
                Some(integer) => Ok(CowVal::owned(CelString::from(integer.to_string()))),
                None => Err(ExecutionError::missing_argument_or_target()),
            }
        })
        .expect("no other overload takes such an integer");
}

fn truth<'b, 'v>(yes: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(yes))
}

fn number_of(value: &dyn Val) -> Option<Number<'_>> {
    if let Some(integer) = value.downcast_ref::<CelInt>() {
        Some(Number::Integer((*integer.inner()).into()))
    } else if let Some(integer) = value.downcast_ref::<CelUInt>() {
        Some(Number::Integer((*integer.inner()).into()))
    } else if let Some(fraction) = value.downcast_ref::<CelDouble>() {
        Some(Number::Fraction(*fraction.inner()))
    } else {
        value.downcast_ref::<LargeInteger>().map(Number::Large)
    }
}

/// Compares two numbers by their exact value. Returns `None` if one is not a number (NaN).
fn compare_numbers(a: &Number<'_>, b: &Number<'_>) -> Option<Ordering> {
    Some(match (a, b) {
        (Number::Integer(a), Number::Integer(b)) => a.cmp(b),
        (Number::Fraction(a), Number::Fraction(b)) => a.partial_cmp(b)?,
        (Number::Large(a), Number::Large(b)) => a.cmp(b),
        // Whatever fits 64 bits is nearer to zero.
        (Number::Large(a), Number::Integer(_)) => a.sign(),
        (Number::Integer(_), Number::Large(b)) => b.sign().reverse(),
        (Number::Integer(a), Number::Fraction(b)) => integer_to_fraction(*a, *b)?,
        (Number::Fraction(a), Number::Integer(b)) => integer_to_fraction(*b, *a)?.reverse(),
        (Number::Large(a), Number::Fraction(b)) => a.cmp_fraction(*b)?,
        (Number::Fraction(a), Number::Large(b)) => b.cmp_fraction(*a)?.reverse(),
    })
}

fn integer_to_fraction(integer: i128, fraction: f64) -> Option<Ordering> {
    if fraction.is_nan() {
        return None;
    }
    // Beyond 2^127 the conversion saturates, far from all integers here.
    let whole = fraction.trunc();
    Some(integer.cmp(&(whole as i128)).then(0.0_f64.total_cmp(&(fraction - whole + 0.0))))
}

/// Returns whether two values are equal. Numbers are, if their value is.
fn equals(a: &dyn Val, b: &dyn Val) -> bool {
    if let (Some(a), Some(b)) = (number_of(a), number_of(b)) {
        return compare_numbers(&a, &b) == Some(Ordering::Equal);
    }
    if let (Some(a), Some(b)) = (a.downcast_ref::<CelList<'_>>(), b.downcast_ref::<CelList<'_>>()) {
        let pairs = a.inner().iter().zip(b.inner());
        return a.inner().len() == b.inner().len() && pairs.into_iter().all(|(a, b)| equals(a.as_ref(), b.as_ref()));
    }
    if let (Some(a), Some(b)) = (a.downcast_ref::<CelMap<'_>>(), b.downcast_ref::<CelMap<'_>>()) {
        let (a, b) = (a.inner(), b.inner());
        let has = |key: &dyn Val, value: &dyn Val| {
            b.iter().any(|(other, found)| equals(key, other.inner()) && equals(value, found.as_ref()))
        };
        return a.len() == b.len() && a.iter().all(|(key, value)| has(key.inner(), value.as_ref()));
    }
    a.equals(b)
}

fn compare(sign: &str, args: &[CowVal<'_, '_>]) -> Result<Ordering, ExecutionError> {
    let (a, b) = (args[0].as_ref(), args[1].as_ref());
    let order = match (number_of(a), number_of(b)) {
        (Some(a), Some(b)) => compare_numbers(&a, &b),
        _ => a.as_comparer().and_then(|a| a.compare(b).ok()),
    };
    order.ok_or_else(|| no_overload(sign, args))
}

fn contains(args: &[CowVal<'_, '_>]) -> Result<bool, ExecutionError> {
    let (value, among) = (args[0].as_ref(), args[1].as_ref());
    if let Some(list) = among.downcast_ref::<CelList<'_>>() {
        return Ok(list.inner().iter().any(|other| equals(value, other.as_ref())));
    }
    if value.downcast_ref::<LargeInteger>().is_some() && among.downcast_ref::<CelMap<'_>>().is_some() {
        return Ok(false);
    }
    let container = among.as_container().ok_or_else(|| no_overload("in", args))?;
    container.contains(value).map_err(|_| no_overload("in", args))
}

fn no_overload(sign: &str, args: &[CowVal<'_, '_>]) -> ExecutionError {
    let types = args.iter().map(|arg| arg.get_type().name().to_owned()).collect();
    ExecutionError::no_such_overload(sign, types)
}

fn to_double<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let value = args[0].as_ref();
    let fraction = match number_of(value) {
        Some(Number::Integer(integer)) => integer as f64,
        Some(Number::Fraction(fraction)) => fraction,
        Some(Number::Large(integer)) => integer.to_string().parse().unwrap_or(f64::INFINITY),
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

impl LargeInteger {
    fn sign(&self) -> Ordering {
        if self.is_negative { Ordering::Less } else { Ordering::Greater }
    }

    fn cmp(&self, other: &LargeInteger) -> Ordering {
        let size = (self.digits.len(), &self.digits).cmp(&(other.digits.len(), &other.digits));
        match (self.is_negative, other.is_negative) {
            (false, false) => size,
            (true, true) => size.reverse(),
            _ => self.sign(),
        }
    }

    fn cmp_fraction(&self, fraction: f64) -> Option<Ordering> {
        if fraction.is_nan() {
            return None;
        }
        // A fraction this large is an integer, and prints with all its digits.
        if fraction.abs() < 9_223_372_036_854_775_808.0 || fraction.is_infinite() {
            return Some(if fraction.is_finite() { self.sign() } else { 0.0_f64.total_cmp(&fraction) });
        }
        let digits = format!("{:.0}", fraction.abs());
        Some(self.cmp(&LargeInteger { is_negative: fraction < 0.0, digits }))
    }
}

impl std::fmt::Display for LargeInteger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.is_negative { "-" } else { "" }, self.digits)
    }
}

fn large_integer_type() -> Type {
    Type::new_opaque_type("integer")
}

impl Val for LargeInteger {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        static TYPE: LazyLock<Type> = LazyLock::new(large_integer_type);
        &TYPE
    }

    fn equals(&self, other: &dyn Val) -> bool {
        equals(self, other)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for LargeInteger {}
