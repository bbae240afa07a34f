//! The values of computed fields.

use cel::common::types::{CelBool, CelList, CelMap, CelNull, CelString};
use cel::common::value::Val;
use serde_json::Value as Json;

use crate::format::limits::MAX_VALUE_BYTES;
use crate::input::record::bad_record::BadRecord;
use crate::input::record::field::Field;
use crate::input::record::filter::{Filter, FilterError, number_text};
use crate::job::field::FieldPath;
use crate::job::known_fields::KnownFields;

/// The expression of a computed field.
#[derive(Debug, Clone)]
pub struct Computation {
    name: String,
    filter: Filter,
}

/// The value of a computed field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Computed {
    Missing,
    Text(String),
    Number(String),
    Bool(bool),
    Json(String),
}

impl Computed {
    /// Returns the value as a field.
    pub fn field(&self) -> Field<'_> {
        match self {
            Computed::Missing => Field::Missing,
            Computed::Text(text) => Field::Text(text.as_str().into()),
            Computed::Number(text) => Field::Number(text),
            Computed::Bool(truth) => Field::Bool(*truth),
            Computed::Json(text) => Field::Json(text),
        }
    }
}

impl Computation {
    /// Compiles the expression of the computed field `name`. `known` are those that come before it.
    pub fn new(name: &str, expression: &str, known: KnownFields<'_>) -> Result<Computation, FilterError> {
        let filter = Filter::exact(expression, known)?;
        Ok(Computation { name: name.to_owned(), filter })
    }

    /// Returns the fields that the expression uses.
    pub fn fields(&self) -> &[FieldPath] {
        self.filter.fields()
    }

    /// Computes the value from these fields, which are in the order of [`Computation::fields`].
    pub fn compute(&self, fields: &[Field<'_>]) -> Result<Computed, BadRecord> {
        let is_untyped = self.filter.has_numbers_in_text();
        let bad = |reason: String| BadRecord { reason: format!("`let` cannot compute `{}`: {reason}", self.name) };
        let computed = self.filter.evaluate(fields, bad, |value| computed(value, is_untyped).map_err(bad))?;
        match &computed {
            Computed::Text(text) | Computed::Json(text) if text.len() > MAX_VALUE_BYTES => {
                Err(bad(format!("the result is longer than {MAX_VALUE_BYTES} bytes")))
            }
            _ => Ok(computed),
        }
    }
}

/// Returns the value of a field, or what it cannot be. Empty text is missing where fields have no types.
fn computed(value: &dyn Val, is_untyped: bool) -> Result<Computed, String> {
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Computed::Missing);
    }
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        let is_missing = is_untyped && text.inner().is_empty();
        return Ok(if is_missing { Computed::Missing } else { Computed::Text(text.inner().to_owned()) });
    }
    if let Some(truth) = value.downcast_ref::<CelBool>() {
        return Ok(Computed::Bool(*truth.inner()));
    }
    if let Some(number) = number_text(value) {
        return Ok(Computed::Number(number));
    }
    if value.downcast_ref::<CelList<'_>>().is_some() || value.downcast_ref::<CelMap<'_>>().is_some() {
        return json(value).map(|json| Computed::Json(json.to_string()));
    }
    Err(format!("the result is of type {}", value.get_type().name()))
}

/// Returns a list, an object, or what is in one.
fn json(value: &dyn Val) -> Result<Json, String> {
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|item| json(item.as_ref())).collect::<Result<_, _>>().map(Json::Array);
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let members = map.inner().iter().map(|(key, value)| {
            let name: &CelString<'_> = key.inner().downcast_ref().ok_or("an object whose names are not text")?;
            Ok((name.inner().to_owned(), json(value.as_ref())?))
        });
        return members.collect::<Result<_, String>>().map(Json::Object);
    }
    Ok(match computed(value, false)? {
        Computed::Missing => Json::Null,
        Computed::Text(text) => Json::String(text),
        Computed::Bool(truth) => Json::Bool(truth),
        Computed::Number(text) | Computed::Json(text) => {
            serde_json::from_str(&text).map_err(|error| error.to_string())?
        }
    })
}
