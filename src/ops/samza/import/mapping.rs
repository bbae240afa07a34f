//! Which part of a value each column of the state gets.

use crate::job::{AggregateFunction, FieldPath, JobSpec};
use crate::samza::serde::Serde;
use crate::values::value::Column;

/// Where the values of the columns come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// One for each column: the names that lead into the value, or none for the value itself.
    pub(super) paths: Vec<Vec<String>>,
    /// For each column, whether it counts records: then it has a value, which is not negative.
    pub(super) counts: Vec<bool>,
}

/// Why a mapping cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    #[error("expected `COLUMN=value` or `COLUMN=value.FIELD`, found `{text}`")]
    Malformed { text: String },
    #[error("the state of the job has no column `{column}`; it has {}", .columns.join(", "))]
    Unknown { column: String, columns: Vec<String> },
    #[error("column `{column}` is given twice")]
    Twice { column: String },
    #[error("it is not said where the values of {} come from", .columns.join(", "))]
    Missing { columns: Vec<String> },
    #[error("`{text}` names a field, which only values of the serde `json` have")]
    NoFields { text: String },
}

impl Mapping {
    /// Parses arguments such as `clicks=value.clicks` for a job whose state has `columns`.
    ///
    /// Without arguments, a value that is a number is that of the only column. Nothing else is guessed.
    pub fn parse(
        arguments: &[String],
        job: &JobSpec,
        columns: &[Column],
        serde: Serde,
    ) -> Result<Mapping, MappingError> {
        let mut paths: Vec<Option<Vec<String>>> = vec![None; columns.len()];
        for text in arguments {
            let malformed = || MappingError::Malformed { text: text.clone() };
            let (name, path) = text.split_once('=').ok_or_else(malformed)?;
            let mut path = FieldPath::parse(path).map_err(|_| malformed())?.names;
            if path.first().is_none_or(|first| first != "value") {
                return Err(malformed());
            }
            path.remove(0);
            if !path.is_empty() && serde != Serde::Json {
                return Err(MappingError::NoFields { text: text.clone() });
            }
            let names = || columns.iter().map(|column| format!("`{}`", column.name)).collect();
            let place = columns.iter().position(|column| column.name == name);
            let place = place.ok_or_else(|| MappingError::Unknown { column: name.to_owned(), columns: names() })?;
            if paths[place].replace(path).is_some() {
                return Err(MappingError::Twice { column: name.to_owned() });
            }
        }
        if let ([path @ None], Serde::Long | Serde::Integer) = (&mut paths[..], serde) {
            *path = Some(Vec::new());
        }
        let missing = columns.iter().zip(&paths).filter(|(_, path)| path.is_none());
        let missing: Vec<String> = missing.map(|(column, _)| format!("`{}`", column.name)).collect();
        if !missing.is_empty() {
            return Err(MappingError::Missing { columns: missing });
        }
        let counts = columns.iter().map(|column| is_count(column, job)).collect();
        Ok(Mapping { paths: paths.into_iter().flatten().collect(), counts })
    }
}

/// Tells whether a column counts records.
fn is_count(column: &Column, job: &JobSpec) -> bool {
    job.aggregates.iter().any(|aggregate| match aggregate.function {
        AggregateFunction::Count => column.name == aggregate.name,
        AggregateFunction::Avg => column.name == format!("{}_count", aggregate.name),
        _ => false,
    })
}
