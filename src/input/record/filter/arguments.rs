//! What functions take and give.

use cel::ExecutionError;
use cel::common::types::{CelBool, CelDouble, CelInt, CelNull, CelString, CelUInt};
use cel::common::value::{CowVal, Val};

use crate::input::record::filter::numbers::{Exact, LargeInteger, no_overload};

pub(super) fn missing<'b, 'v>() -> CowVal<'b, 'v> {
    CowVal::owned(CelNull)
}

pub(super) fn is_null(value: &dyn Val) -> bool {
    value.downcast_ref::<CelNull>().is_some()
}

pub(super) fn owned<'b, 'v>(text: String) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text))
}

/// Returns the argument `index` as text; a number and a bool as they are written. Returns nothing for null.
pub(super) fn text_of(name: &str, args: &[CowVal<'_, '_>], index: usize) -> Result<Option<String>, ExecutionError> {
    let value = args[index].as_ref();
    if is_null(value) {
        return Ok(None);
    }
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Ok(Some(text.inner().to_owned()));
    }
    let truth = value.downcast_ref::<CelBool>().map(|truth| truth.inner().to_string());
    truth.or_else(|| number_text(value)).map(Some).ok_or_else(|| no_overload(name, args))
}

pub(super) fn int_of(name: &str, args: &[CowVal<'_, '_>], index: usize) -> Result<i64, ExecutionError> {
    let integer: Option<&CelInt> = args[index].downcast_ref();
    let text = args[index].downcast_ref::<CelString<'_>>().and_then(|text| text.inner().parse().ok());
    integer.map(|integer| *integer.inner()).or(text).ok_or_else(|| no_overload(name, args))
}

/// Returns `value` as JSON writes a number, if it is one.
pub(crate) fn number_text(value: &dyn Val) -> Option<String> {
    if let Some(exact) = value.downcast_ref::<Exact>() {
        return exact.written.clone().or_else(|| exact.number.map(|number| number.to_string()));
    }
    if let Some(integer) = value.downcast_ref::<LargeInteger>() {
        return Some(integer.to_string());
    }
    if let Some(integer) = value.downcast_ref::<CelInt>() {
        return Some(integer.inner().to_string());
    }
    if let Some(integer) = value.downcast_ref::<CelUInt>() {
        return Some(integer.inner().to_string());
    }
    let fraction = value.downcast_ref::<CelDouble>()?.inner();
    fraction.is_finite().then(|| fraction.to_string())
}
