//! The value of a field.

use std::borrow::Cow;

/// One field of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<'a> {
    /// It does not exist or is null; in CSV, it is empty.
    Missing,
    /// Text. CSV and text input have nothing else.
    Text(Cow<'a, str>),
    /// A JSON number, as written.
    Number(&'a str),
    /// A JSON bool.
    Bool(bool),
    /// A JSON object or array, as written.
    Json(&'a str),
}

impl Field<'_> {
    /// Returns the same value without a copy of its text.
    pub(crate) fn borrowed(&self) -> Field<'_> {
        match self {
            Field::Missing => Field::Missing,
            Field::Text(text) => Field::Text(Cow::Borrowed(text)),
            Field::Number(text) => Field::Number(text),
            Field::Bool(truth) => Field::Bool(*truth),
            Field::Json(text) => Field::Json(text),
        }
    }
}
