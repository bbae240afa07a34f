//! The values of state, and the types of its columns.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::values::decimal::Decimal;

/// The type of one column of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The bytes of a sketch, which only ckpt reads.
    Sketch,
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
}

impl Column {
    pub fn new(name: impl Into<String>, column_type: ColumnType) -> Column {
        Column { name: name.into(), column_type }
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
    Sketch(Vec<u8>),
}

impl Value {
    /// Returns the value as JSON text. A number keeps all its digits; a sketch is described by its size.
    pub fn to_json(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => serde_json::to_string(text).expect("text is always JSON"),
            Value::Bool(yes) => yes.to_string(),
            Value::Json(text) => text.clone(),
            Value::Sketch(bytes) => format!("\"sketch of {} bytes\"", bytes.len()),
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
