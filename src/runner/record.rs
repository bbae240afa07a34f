//! Records: the bytes of a block, taken apart into the fields that a job needs.

use std::borrow::Cow;

use crate::runner::input::Block;
use crate::runner::spec::{FieldPath, InputFormat};

/// The names of a CSV file's fields, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The names.
    pub names: Vec<String>,
}

/// One field of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<'a> {
    /// It is not there, or null; in CSV, it is empty.
    Missing,
    /// Text. In CSV and text input everything is.
    Text(Cow<'a, str>),
    /// A number of JSON, as written.
    Number(&'a str),
    /// A bool of JSON.
    Bool(bool),
    /// An object or array of JSON, as written.
    Json(&'a str),
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadRecord {
    /// What is wrong: lower case.
    pub reason: String,
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPlace<'a> {
    /// Its first byte, counted from the beginning of the block.
    pub at: usize,
    /// Its number within the block, from 0.
    pub index: u64,
    /// Its bytes, without the line's end.
    pub bytes: &'a [u8],
}

/// Takes records apart.
#[derive(Debug, Clone)]
pub struct Extractor;

impl Extractor {
    /// Makes an extractor of `fields`. A record longer than `max_record_bytes` is bad.
    pub fn new(format: &InputFormat, fields: &[FieldPath], max_record_bytes: u64) -> Extractor {
        let _ = (format, fields, max_record_bytes);
        todo!()
    }

    /// Hands each record of `block` to `visit`: its fields in the order in which they were asked for, or what is wrong with it.
    ///
    /// A record is checked whole: malformed JSON behind the last field that is asked for is found as well. Empty lines are no records. With
    /// [`InputFormat::Words`] a record is handed over once for each word, with the same place. Stops when `visit` says no. Returns the number of records.
    pub fn each(
        &mut self,
        block: &Block,
        visit: impl FnMut(RecordPlace<'_>, Result<&[Field<'_>], BadRecord>) -> bool,
    ) -> u64 {
        let _ = (block, visit);
        todo!()
    }
}

/// A `where:` expression, in the Common Expression Language.
#[derive(Debug)]
pub struct Filter;

impl Filter {
    /// Compiles `expression`; the error says what is wrong with it and at which column.
    pub fn new(expression: &str) -> Result<Filter, String> {
        let _ = expression;
        todo!()
    }

    /// Returns the fields that the expression names.
    pub fn fields(&self) -> &[FieldPath] {
        todo!()
    }

    /// Tells whether the record with these fields, in the order of [`Filter::fields`], is kept.
    ///
    /// A field that is missing is `null`. A result that is not a bool, or an operation on unfit types, makes the record bad.
    pub fn keeps(&self, fields: &[Field<'_>]) -> Result<bool, BadRecord> {
        let _ = fields;
        todo!()
    }
}
