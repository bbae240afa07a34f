//! The values of state, and the types of its columns.

use std::fmt;
use std::io::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::decimal::Decimal;

/// The type of one column of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// A 64-bit signed integer.
    Int,
    /// An exact number, see [`Decimal`].
    Number,
    /// UTF-8 text.
    Text,
    Bool,
    /// Any JSON value, as its text.
    Json,
    /// The bytes of a sketch of distinct values.
    Sketch,
    /// The bytes of a sketch of quantiles.
    Quantiles,
}

impl ColumnType {
    /// Returns the name that job files and manifests use.
    pub const fn name(self) -> &'static str {
        match self {
            ColumnType::Int => "int",
            ColumnType::Number => "number",
            ColumnType::Text => "text",
            ColumnType::Bool => "bool",
            ColumnType::Json => "json",
            ColumnType::Sketch => "sketch",
            ColumnType::Quantiles => "quantiles",
        }
    }

    /// Returns whether all values of this type have the same size.
    pub fn is_fixed(self) -> bool {
        matches!(self, ColumnType::Int | ColumnType::Number | ColumnType::Bool)
    }
}

/// A named column of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Unique within a job.
    pub name: String,
    /// The type of its values. Any of them may be missing.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Where its values come from, if a sketch in another column decides them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub estimate: Option<Estimate>,
}

/// What a column estimates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The column that has the sketch.
    pub sketch: String,
    /// Which quantile, from 0 to 1. Without it, the number of distinct values.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "quantile_text")]
    pub quantile: Option<Decimal>,
}

impl Column {
    pub fn new(name: impl Into<String>, column_type: ColumnType) -> Column {
        Column { name: name.into(), column_type, estimate: None }
    }

    /// Returns whether another of `columns` shows what the sketch in this one estimates.
    pub fn is_estimated(&self, columns: &[Column]) -> bool {
        columns.iter().any(|column| column.estimate.as_ref().is_some_and(|estimate| estimate.sketch == self.name))
    }
}

/// A quantile as text, which keeps all its digits.
mod quantile_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::values::decimal::Decimal;

    pub(super) fn serialize<S: Serializer>(quantile: &Option<Decimal>, to: S) -> Result<S::Ok, S::Error> {
        quantile.map(|quantile| quantile.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Decimal>, D::Error> {
        let text = String::deserialize(from)?;
        let quantile = Decimal::parse(text.as_bytes()).ok().filter(|quantile| quantile.to_string() == text);
        let is_fraction = |quantile: &Decimal| (Decimal::ZERO..=Decimal::ONE).contains(quantile);
        match quantile.filter(is_fraction) {
            Some(quantile) => Ok(Some(quantile)),
            None => Err(D::Error::custom(format!("expected a quantile from 0 to 1, found {text:?}"))),
        }
    }
}

/// One value of state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// A missing value.
    #[default]
    Null,
    Int(i64),
    Number(Decimal),
    Text(String),
    Bool(bool),
    /// The text of a JSON value.
    Json(String),
    /// Of either kind of sketch.
    Sketch(Vec<u8>),
}

impl Value {
    /// Returns the value as JSON text. A number keeps all its digits; a sketch is described by its size.
    pub fn to_json(&self) -> String {
        let mut json = Vec::new();
        self.push_json(&mut json);
        String::from_utf8(json).expect("JSON is UTF-8")
    }

    /// Appends the value as JSON text, as [`Value::to_json`] does.
    pub fn push_json(&self, json: &mut Vec<u8>) {
        let mut write = |text: fmt::Arguments<'_>| json.write_fmt(text).expect("writing to memory does not fail");
        match self {
            Value::Null => json.extend_from_slice(b"null"),
            Value::Int(number) => write(format_args!("{number}")),
            Value::Number(number) => write(format_args!("{number}")),
            Value::Text(text) => serde_json::to_writer(json, text).expect("text is always JSON"),
            Value::Bool(yes) => write(format_args!("{yes}")),
            Value::Json(text) => json.extend_from_slice(text.as_bytes()),
            Value::Sketch(bytes) => write(format_args!("\"sketch of {} bytes\"", bytes.len())),
        }
    }
}

impl fmt::Display for Value {
    /// Writes the value for tables: nothing for a missing value, text without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.pad(""),
            Value::Text(text) => f.pad(text),
            other => f.pad(&other.to_json()),
        }
    }
}
