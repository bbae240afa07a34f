//! The changes that a record makes to the row of its key.

use std::cmp::Ordering;

use crate::format::rows::{int_at, number_at};
use crate::runner::process::processor::ProcessError;
use crate::runner::state::row_mut::RowMut;
use crate::values::value::ColumnType;

/// One change to a row.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Count { column: usize, argument: Option<usize> },
    Sum { column: usize, argument: usize, name: String },
    Mean { sum: usize, count: usize, argument: usize, name: String },
    Keep { column: usize, argument: usize, column_type: ColumnType, when: Keep },
    Distinct { column: usize, argument: usize },
    Quantiles { column: usize, argument: usize },
}

/// When a step replaces the value of a column.
#[derive(Debug, Clone)]
pub(super) enum Keep {
    Smaller,
    Larger,
    First,
    Last,
    /// With `first`, if the argument is less than the value of the other column; otherwise, if it is not less.
    By {
        column: usize,
        argument: usize,
        column_type: ColumnType,
        first: bool,
    },
}

impl Step {
    /// Applies the step to a row. `values` are the arguments of the record.
    #[inline]
    pub(super) fn apply(&self, values: &[Option<&[u8]>], row: &mut RowMut<'_>) -> Result<(), ProcessError> {
        match self {
            Step::Count { column, argument } => {
                let counts = argument.is_none_or(|argument| values[argument].is_some());
                add_int(row, *column, i64::from(counts));
            }
            Step::Sum { column, argument, name } => {
                if let Some(bytes) = values[*argument] {
                    add_number(row, *column, bytes, name)?;
                }
            }
            Step::Mean { sum, count, argument, name } => {
                if let Some(bytes) = values[*argument] {
                    add_number(row, *sum, bytes, name)?;
                    add_int(row, *count, 1);
                }
            }
            Step::Keep { column, argument, column_type, when } => {
                if let Some(new) = values[*argument] {
                    keep(row, values, *column, new, *column_type, when);
                }
            }
            Step::Distinct { column, argument } => {
                if let Some(text) = values[*argument] {
                    let at = row.offset(*column);
                    row.sketch(*column, at).update(text);
                }
            }
            Step::Quantiles { column, argument } => {
                if let Some(bytes) = values[*argument] {
                    let at = row.offset(*column);
                    row.quantiles(*column, at).update(number_at(bytes, 0));
                }
            }
        }
        Ok(())
    }
}

#[inline]
fn add_int(row: &mut RowMut<'_>, column: usize, number: i64) {
    let at = row.offset(column);
    // A missing integer is packed as zero. No machine ever counts 2^63 records.
    let sum = int_at(row.packed, at).wrapping_add(number);
    row.packed[at..at + 8].copy_from_slice(&sum.to_le_bytes());
    row.set_present(column);
}

#[inline]
fn add_number(row: &mut RowMut<'_>, column: usize, bytes: &[u8], name: &str) -> Result<(), ProcessError> {
    let at = row.offset(column);
    let sum = number_at(row.packed, at).checked_add(number_at(bytes, 0));
    let sum = sum.ok_or_else(|| overflow(name))?;
    row.packed[at..at + 16].copy_from_slice(&sum.units().to_le_bytes());
    row.set_present(column);
    Ok(())
}

fn keep(
    row: &mut RowMut<'_>,
    values: &[Option<&[u8]>],
    column: usize,
    new: &[u8],
    column_type: ColumnType,
    when: &Keep,
) {
    let at = row.offset(column);
    let replaces = match when {
        Keep::Last => true,
        Keep::First => !row.has(column),
        Keep::Smaller => row.get(column, at, column_type).is_none_or(|old| compare(column_type, new, old).is_lt()),
        Keep::Larger => row.get(column, at, column_type).is_none_or(|old| compare(column_type, new, old).is_gt()),
        Keep::By { column: by, argument, column_type: by_type, first } => {
            let Some(new_by) = values[*argument] else { return };
            let by_at = row.offset(*by);
            let replaces = row.get(*by, by_at, *by_type).is_none_or(|old| match compare(*by_type, new_by, old) {
                Ordering::Less => *first,
                Ordering::Equal | Ordering::Greater if *first => false,
                Ordering::Equal | Ordering::Greater => true,
            });
            if replaces {
                row.set(*by, by_at, *by_type, new_by);
            }
            replaces
        }
    };
    if replaces {
        row.set(column, at, column_type, new);
    }
}

/// Returns the error for a sum that is too large for a decimal.
#[cold]
fn overflow(aggregate: &str) -> ProcessError {
    ProcessError { reason: format!("`{aggregate}` overflows: its sum reaches 10^20") }
}

/// Compares two values of a column's type, packed without their length.
fn compare(column_type: ColumnType, a: &[u8], b: &[u8]) -> Ordering {
    match column_type {
        ColumnType::Int => int_at(a, 0).cmp(&int_at(b, 0)),
        ColumnType::Number => number_at(a, 0).cmp(&number_at(b, 0)),
        _ => a.cmp(b),
    }
}
