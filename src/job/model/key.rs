//! `key:`

use std::fmt;

use crate::format::key_shape::KeyPart;
use crate::job::field::FieldPath;
use crate::values::value::ColumnType;

/// One of the fields that group records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyField {
    pub field: FieldPath,
    /// Its declared type. Only a key of several fields has any.
    pub column_type: Option<ColumnType>,
}

impl KeyField {
    /// The types that a part of a key can have.
    pub const TYPES: [ColumnType; 4] = [ColumnType::Number, ColumnType::Int, ColumnType::Text, ColumnType::Bool];

    pub(super) fn part(&self) -> KeyPart {
        KeyPart { name: self.field.last_name().to_owned(), column_type: self.column_type }
    }
}

impl fmt::Display for KeyField {
    /// Writes the field, and its type as in a job file: `status: int`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column_type {
            None => write!(f, "{}", self.field),
            Some(column_type) => write!(f, "{}: {}", self.field, column_type.name()),
        }
    }
}
