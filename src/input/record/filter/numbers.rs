//! Numbers in `where:`: integers of any size and binary fractions, compared by their exact value.
//!
//! The library compares an integer with a fraction after rounding it to one, and has no integers beyond 64 bits. So the
//! comparisons of an expression are replaced by the functions here.

use std::cmp::Ordering;

use cel::common::ast::operators;
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelUInt, DYN_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};

use crate::input::record::filter::opaque::opaque_value;
use crate::values::decimal::Decimal;

/// An integer that does not fit 64 bits, with or without a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LargeInteger {
    is_negative: bool,
    /// Without leading zeros.
    digits: String,
}

/// A number that is not an integer of 64 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exact {
    /// Nothing if it has more digits than an exact number can have.
    pub(super) number: Option<Decimal>,
    /// As the record has it, if it comes from one.
    pub(super) written: Option<String>,
}

/// A number of any of the types.
pub(super) enum Number<'a> {
    Integer(i128),
    Large(&'a LargeInteger),
    Fraction(f64),
    Exact(Decimal),
}

pub(super) type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

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
}

fn truth<'b, 'v>(yes: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(yes))
}

pub(super) fn number_of(value: &dyn Val) -> Option<Number<'_>> {
    if let Some(integer) = value.downcast_ref::<CelInt>() {
        Some(Number::Integer((*integer.inner()).into()))
    } else if let Some(integer) = value.downcast_ref::<CelUInt>() {
        Some(Number::Integer((*integer.inner()).into()))
    } else if let Some(fraction) = value.downcast_ref::<CelDouble>() {
        Some(Number::Fraction(*fraction.inner()))
    } else if let Some(large) = value.downcast_ref::<LargeInteger>() {
        Some(Number::Large(large))
    } else {
        let exact = value.downcast_ref::<Exact>()?;
        match (exact.number, &exact.written) {
            (Some(number), _) => Some(Number::Exact(number)),
            // It has more digits than an exact number can have.
            (None, written) => Some(Number::Fraction(written.as_ref()?.parse().ok()?)),
        }
    }
}

/// Compares two numbers by their exact value. Returns `None` if one is not a number (NaN).
fn compare_numbers(a: &Number<'_>, b: &Number<'_>) -> Option<Ordering> {
    Some(match (a, b) {
        (Number::Exact(a), b) => compare_exact(*a, b)?,
        (a, Number::Exact(b)) => compare_exact(*b, a)?.reverse(),
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

/// Compares an exact number. The shortest text of a fraction is how the expression or the record has it.
fn compare_exact(a: Decimal, b: &Number<'_>) -> Option<Ordering> {
    let other = match b {
        Number::Exact(b) => return Some(a.cmp(b)),
        Number::Integer(b) => Decimal::from_units(b.checked_mul(Decimal::ONE.units())?),
        Number::Large(b) => Decimal::parse(b.to_string().as_bytes()).ok(),
        Number::Fraction(b) => Decimal::parse(b.to_string().as_bytes()).ok(),
    };
    match (other, b) {
        (Some(other), _) => Some(a.cmp(&other)),
        (None, Number::Large(b)) => Some(b.sign().reverse()),
        (None, Number::Fraction(b)) => a.to_string().parse::<f64>().ok()?.partial_cmp(b),
        (None, _) => None,
    }
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
pub(super) fn equals(a: &dyn Val, b: &dyn Val) -> bool {
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
    // The types of this file ask this function.
    if number_of(a).is_some() || number_of(b).is_some() {
        return false;
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

pub(super) fn no_overload(sign: &str, args: &[CowVal<'_, '_>]) -> ExecutionError {
    let types = args.iter().map(|arg| arg.get_type().name().to_owned()).collect();
    ExecutionError::no_such_overload(sign, types)
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

pub(super) fn large_integer_type() -> Type {
    Type::new_opaque_type("integer")
}

opaque_value!(LargeInteger, large_integer_type(), equals);
opaque_value!(Exact, Type::new_opaque_type("number"), equals);
