//! The types of the fields whose values the state keeps.
//!
//! The job file decides, then the state that a run resumes from, then the first records. A field that none of them has
//! gets a type that all of its aggregates can use, and is decided again when the run resumes.

use std::sync::Arc;

use crate::input::Partition;
use crate::input::record::sample;
use crate::job::{AggregateSpec, FieldPath, InputFormat, JobSpec};
use crate::runner::error::{JobError, RunError};
use crate::runner::observer::{Observer, RunEvent};
use crate::values::value::ColumnType;

/// How many records are read to infer the types of fields.
const SAMPLE_RECORDS: u64 = 1000;

/// Returns `job` with the field types that only `old` knows, for aggregates that are in both.
pub(crate) fn with_types(job: &JobSpec, old: &JobSpec) -> JobSpec {
    let mut job = job.clone();
    let known: Vec<_> = job.input.types.iter().map(|(field, _)| field.clone()).collect();
    let kept: Vec<_> = job.aggregates.iter().filter(|aggregate| old.aggregates.contains(aggregate)).cloned().collect();
    let is_used = |field: &FieldPath| kept.iter().any(|aggregate| aggregate.kept_fields().any(|kept| kept == field));
    let types = old.input.types.iter().filter(|(field, _)| !known.contains(field) && is_used(field));
    job.input.types.extend(types.cloned());
    job
}

/// Gives every field whose type matters a type. `assumed` are the types that earlier runs assumed for fields of which
/// they saw no value.
pub(crate) fn resolve_types(
    job: &mut JobSpec,
    assumed: &[(FieldPath, ColumnType)],
    partitions: &Arc<[Partition]>,
    observer: &dyn Observer,
) -> Result<(), RunError> {
    let mut open: Vec<FieldPath> = Vec::new();
    for field in job.aggregates.iter().flat_map(AggregateSpec::kept_fields) {
        if !open.contains(field) && !job.input.types.iter().any(|(known, _)| known == field) {
            open.push(field.clone());
        }
    }
    // In JSON, a value that is not a number is a bad record for `sum`, so the records need not be asked.
    let is_number = |field: &FieldPath| job.aggregates.iter().any(|aggregate| aggregate.needs_numbers(field));
    let is_decided = |field: &&FieldPath| job.input.format == InputFormat::Json && is_number(field);
    let sampled: Vec<FieldPath> = open.iter().filter(|field| !is_decided(field)).cloned().collect();
    let seen = sample(&job.input, &job.base, partitions, &sampled, SAMPLE_RECORDS)?;
    let seen: Vec<(&FieldPath, ColumnType)> =
        sampled.iter().zip(seen).filter_map(|(field, seen)| Some((field, seen?))).collect();
    let of = |types: &[(&FieldPath, ColumnType)], field: &FieldPath| {
        types.iter().find(|(known, _)| *known == field).map(|(_, column_type)| *column_type)
    };
    let assumed: Vec<(&FieldPath, ColumnType)> = assumed.iter().map(|(field, known)| (field, *known)).collect();
    let mut types = Vec::new();
    for field in &open {
        let compares = job.aggregates.iter().find(|aggregate| aggregate.needs_order(field));
        let column_type = match of(&seen, field) {
            Some(seen) => {
                check_order(field, seen, compares)?;
                seen
            }
            None if is_number(field) => ColumnType::Number,
            None => {
                let likely = if compares.is_some() { ColumnType::Number } else { ColumnType::Text };
                let before = of(&assumed, field).filter(|before| check_order(field, *before, compares).is_ok());
                if before.is_none() {
                    observer.event(&RunEvent::TypeAssumed { field: field.to_string(), column_type: likely });
                }
                before.unwrap_or(likely)
            }
        };
        types.push((field.clone(), column_type));
    }
    job.input.types.extend(types);
    Ok(())
}

/// Fails if the values of `field`, which are of the type `seen`, cannot be compared, and `compares` does.
fn check_order(field: &FieldPath, seen: ColumnType, compares: Option<&AggregateSpec>) -> Result<(), RunError> {
    let Some(aggregate) = compares else { return Ok(()) };
    let function = if aggregate.by.as_ref() == Some(field) { "by" } else { aggregate.function.name() };
    let field = field.to_string();
    match seen {
        ColumnType::Json => Err(JobError::MixedTypes { function, field }.into()),
        ColumnType::Bool => Err(JobError::Unordered { function, field }.into()),
        _ => Ok(()),
    }
}
