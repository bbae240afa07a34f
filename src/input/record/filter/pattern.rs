//! The regular expressions of `matches`.

use cel::ExecutionError;
use cel::common::types::{CelBool, CelString, Type};
use cel::common::value::CowVal;
use regex::Regex;

use crate::input::record::filter::opaque::opaque_value;

/// A regular expression of `matches`. It is compiled once; the library would compile it for each record.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub(super) Regex);

pub(super) fn pattern_type() -> Type {
    Type::new_opaque_type("pattern")
}

opaque_value!(Pattern, pattern_type());

/// The function `matches` for a text and a [`Pattern`].
pub(super) fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    match (args.first().and_then(|arg| arg.downcast_ref()), args.get(1).and_then(|arg| arg.downcast_ref())) {
        (Some(text), Some(Pattern(pattern))) => {
            let text: &CelString<'_> = text;
            Ok(CowVal::owned(CelBool::from(pattern.is_match(text.inner()))))
        }
        _ => Err(ExecutionError::missing_argument_or_target()),
    }
}
