//! The values that state is made of, and the types of its columns.

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
    /// True or false.
    Bool,
    /// Any JSON value, as its text.
    Json,
    /// Bytes that only ckpt reads: a sketch.
    Sketch,
}

impl ColumnType {
    /// Returns the name, as job files and manifests have it.
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

    /// Tells whether values of this type have one size.
    pub fn is_fixed(self) -> bool {
        matches!(self, ColumnType::Int | ColumnType::Number | ColumnType::Bool)
    }
}

/// A named column of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The name, unique within a job.
    pub name: String,
    /// The type of its values; each may also be missing.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
}

impl Column {
    /// Makes a column.
    pub fn new(name: impl Into<String>, column_type: ColumnType) -> Column {
        Column { name: name.into(), column_type }
    }
}

/// One value of state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// No value yet.
    #[default]
    Null,
    /// Of an [`ColumnType::Int`] column.
    Int(i64),
    /// Of a [`ColumnType::Number`] column.
    Number(Decimal),
    /// Of a [`ColumnType::Text`] column.
    Text(String),
    /// Of a [`ColumnType::Bool`] column.
    Bool(bool),
    /// Of a [`ColumnType::Json`] column.
    Json(String),
    /// Of a [`ColumnType::Sketch`] column.
    Sketch(Vec<u8>),
}

impl Value {
    /// Returns the value as JSON text. A number keeps all its digits; a sketch is the number of its bytes.
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
    /// Writes the value for tables and CSV: nothing for null, text without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.pad(""),
            Value::Text(text) => f.pad(text),
            other => f.pad(&other.to_json()),
        }
    }
}
