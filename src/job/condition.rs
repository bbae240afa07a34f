//! Conditions: expressions that are true or false of a record.

use crate::job::field::FieldPath;

/// A condition in the expression language of `where:`, such as `status >= 500`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub expression: String,
    /// The fields that it uses.
    pub fields: Vec<FieldPath>,
}
