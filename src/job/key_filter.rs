//! The `key:` expression of a priority class.

use crate::input::record::filter::{Filter, FilterError};
use crate::job::field::FieldPath;

/// Compiles the expression, which uses `key` and nothing else.
pub fn key_filter(expression: &str) -> Result<Filter, FilterError> {
    let whole = |reason| FilterError { place: None, reason, others: vec![] };
    let filter = Filter::new(expression)?;
    match filter.fields().iter().find(|field| **field != FieldPath::of("key")) {
        Some(field) => Err(whole(format!("the expression may only use `key`, found `{field}`"))),
        None if filter.fields().is_empty() => Err(whole("the expression does not use `key`".to_owned())),
        None => Ok(filter),
    }
}
