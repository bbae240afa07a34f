//! The requested fields of a CSV record.

use std::sync::Arc;

use crate::input::record::bad_record::BadRecord;
use crate::input::record::csv::split::split;
use crate::input::record::field::Field;
use crate::input::record::header::Header;
use crate::job::field::FieldPath;

/// The requested columns.
#[derive(Debug, Clone)]
pub(crate) struct CsvFields {
    pub(crate) delimiter: u8,
    /// The requested names. A path of several names is one name with dots.
    names: Vec<String>,
    /// The header that `columns` is for.
    header: Option<Arc<Header>>,
    /// The column and the slot of each requested name that the header has, sorted.
    columns: Vec<(usize, usize)>,
}

impl CsvFields {
    pub(crate) fn new(delimiter: u8, fields: &[FieldPath]) -> CsvFields {
        let names = fields.iter().map(|field| field.names.join(".")).collect();
        CsvFields { delimiter, names, header: None, columns: Vec::new() }
    }

    /// Prepares for records with the header `header`.
    pub(crate) fn select(&mut self, header: &Arc<Header>) {
        if self.header.as_ref().is_some_and(|known| Arc::ptr_eq(known, header)) {
            return;
        }
        self.columns.clear();
        for (slot, name) in self.names.iter().enumerate() {
            if let Some(column) = header.names.iter().position(|other| other == name) {
                self.columns.push((column, slot));
            }
        }
        self.columns.sort_unstable();
        self.header = Some(header.clone());
    }

    /// Returns whether the header has the column of the requested name `slot`.
    pub(crate) fn has_column(&self, slot: usize) -> bool {
        self.columns.iter().any(|(_, other)| *other == slot)
    }

    /// Fills `slots`, which are all [`Field::Missing`], from `record`, which has no line end.
    pub(crate) fn extract<'a>(&self, record: &'a str, slots: &mut [Field<'a>]) -> Result<(), BadRecord> {
        let mut wanted = self.columns.iter().peekable();
        let found = split(record, self.delimiter, |index, text| {
            while let Some((_, slot)) = wanted.next_if(|(column, _)| *column == index) {
                if !text.is_empty() {
                    slots[*slot] = Field::Text(text.clone());
                }
            }
        })?;
        let expected = self.header.as_ref().map_or(0, |header| header.names.len());
        if found == expected {
            return Ok(());
        }
        let fields = |count: usize| if count == 1 { "1 field".to_owned() } else { format!("{count} fields") };
        Err(BadRecord { reason: format!("has {}, the header line has {}", fields(found), fields(expected)) })
    }
}
