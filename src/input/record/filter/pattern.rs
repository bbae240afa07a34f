//! The regular expressions of `matches`.

use std::any::Any;
use std::sync::LazyLock;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelString, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use regex::Regex;

/// A regular expression of `matches`. It is compiled once; the library would compile it for each record.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub(super) Regex);

pub(super) fn pattern_type() -> Type {
    Type::new_opaque_type("pattern")
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        static TYPE: LazyLock<Type> = LazyLock::new(pattern_type);
        &TYPE
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

impl StaticVal for Pattern {}

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
