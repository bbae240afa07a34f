//! The names in a job file, compared with the first records of its files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::input::record::{Extractor, Sightings, computed_fields, record_fields};
use crate::input::{BlockReader, Columns, InputError, Partition, absent_columns};
use crate::job::keys::nearest;
use crate::job::{FieldPath, InputFormat, InputSpec, JobSpec};

/// How many records are read.
const MAX_RECORDS: u64 = 1_000;

/// How many blocks are read, in case the records are long.
const MAX_BLOCKS: usize = 64;

/// How many names of one object are kept.
const MAX_NAMES: usize = 1_000;

/// What the first records say about the names in a job file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstRecords {
    /// How many records were read.
    pub records: u64,
    /// The fields that none of them has.
    pub absent: Vec<AbsentField>,
}

/// A field of the job that none of the first records has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsentField {
    pub field: String,
    /// The dotted key of the job file that names it.
    pub key: String,
    /// The field of the records that was probably meant.
    pub near: Option<String>,
}

/// The most files whose first records are read.
const MAX_FILES: usize = 64;

/// Reads the first records of `partitions`, which are all of the job if it `is_new`. Fails if one cannot be read, or if
/// its header line lacks a column.
pub(crate) fn first_records(
    job: &JobSpec,
    filter: &[FieldPath],
    mut partitions: Vec<Partition>,
    is_new: bool,
) -> Result<FirstRecords, InputError> {
    let named = named(job, filter);
    let asked: Vec<_> = named.iter().flat_map(|(field, key)| of_record(&job.input, field, key)).collect();
    let fields: Vec<FieldPath> = asked.iter().map(|(field, _)| field.clone()).collect();
    let sightings = Arc::new(Sightings::new(fields.len()));
    let input = &job.input;
    let mut columns = columns(job, &named);
    if is_new && !input.follow {
        columns.require(absent_columns(input, &partitions, &columns.optional)?);
    }
    partitions.truncate(MAX_FILES);
    let mut reader = BlockReader::new(input, partitions.into(), &[], 0)?.with_columns(columns);
    let mut extractor = Extractor::of_record(input, &fields).noting(Arc::clone(&sightings));
    let mut names = Names::default();
    let (mut records, mut buffer) = (0, Vec::new());
    for _ in 0..MAX_BLOCKS {
        let block = match reader.next(buffer) {
            // The header line of a followed file may not be complete.
            Err(InputError::Header { .. } | InputError::NoColumn { .. }) if input.follow => break,
            Ok(None) => break,
            block => block?,
        };
        let Some(block) = block else { break };
        if let Some(header) = &block.header {
            names.add(&[], header.names.iter().map(String::as_str));
        }
        extractor.each(&block, |place, result| {
            if result.is_ok() && input.format == InputFormat::Json {
                names.add_object(place.bytes, &fields);
            }
            records += 1;
            records < MAX_RECORDS
        });
        if records >= MAX_RECORDS {
            break;
        }
        buffer = block.bytes;
    }
    let mut absent: Vec<AbsentField> = Vec::new();
    for (index, (field, key)) in asked.iter().enumerate() {
        let name = field.to_string();
        if sightings.is_absent(index) && !absent.iter().any(|known| known.field == name) {
            absent.push(AbsentField { near: names.near(field, &input.format), field: name, key: key.clone() });
        }
    }
    Ok(FirstRecords { records, absent })
}

/// Returns the fields that the job names, each with the dotted key that names it. A program or the processor of an
/// embedder asks for more.
fn named(job: &JobSpec, filter: &[FieldPath]) -> Vec<(FieldPath, String)> {
    let mut named: Vec<(FieldPath, String)> = filter.iter().map(|field| (field.clone(), "where".to_owned())).collect();
    named.extend(job.key_fields().map(|key| (key.clone(), "key".to_owned())));
    for aggregate in &job.aggregates {
        named.extend(aggregate.fields().map(|field| (field.clone(), format!("process.aggregate.{}", aggregate.name))));
    }
    let delete = job.delete.iter().flat_map(|delete| &delete.fields);
    named.extend(delete.map(|field| (field.clone(), "process.delete".to_owned())));
    named.extend(job.window.iter().map(|window| (window.time.field.clone(), "process.window.time".to_owned())));
    named.extend(job.ttl.iter().map(|ttl| (ttl.time.field.clone(), "process.time".to_owned())));
    named
}

/// Returns the fields of records that `field` is or is computed from, each with the dotted key that names it.
fn of_record(input: &InputSpec, field: &FieldPath, key: &str) -> Vec<(FieldPath, String)> {
    let field = std::slice::from_ref(field);
    let key = if computed_fields(input, field).is_empty() { key } else { "let" };
    record_fields(input, field).into_iter().map(|field| (field, key.to_owned())).collect()
}

/// Returns the columns that the run asks of CSV files.
fn columns(job: &JobSpec, named: &[(FieldPath, String)]) -> Columns {
    let (optional, required): (Vec<_>, Vec<_>) = named.iter().cloned().partition(|(_, key)| key == "where");
    let fields = |named: Vec<(FieldPath, String)>| {
        record_fields(&job.input, &named.into_iter().map(|(field, _)| field).collect::<Vec<_>>())
    };
    Columns { required: fields(required), optional: fields(optional), all: job.exec.is_some() }
}

/// The names in the objects of the records, by the path of the object.
#[derive(Debug, Default)]
struct Names(BTreeMap<Vec<String>, BTreeSet<String>>);

impl Names {
    fn add<'a>(&mut self, path: &[String], names: impl Iterator<Item = &'a str>) {
        let known = self.0.entry(path.to_vec()).or_default();
        for name in names {
            if known.len() < MAX_NAMES && !known.contains(name) {
                known.insert(name.to_owned());
            }
        }
    }

    /// Adds the names in a JSON object, and in those of its objects that lead to one of `fields`.
    fn add_object(&mut self, record: &[u8], fields: &[FieldPath]) {
        let Ok(root) = serde_json::from_slice::<Value>(record) else { return };
        for field in fields {
            let mut value = &root;
            for depth in 0..field.names.len() {
                let Value::Object(members) = value else { break };
                self.add(&field.names[..depth], members.keys().map(String::as_str));
                match members.get(&field.names[depth]) {
                    Some(inner) => value = inner,
                    None => break,
                }
            }
        }
    }

    /// Returns the field that `field` probably stands for.
    fn near(&self, field: &FieldPath, format: &InputFormat) -> Option<String> {
        let names = match format {
            InputFormat::Json => field.names.clone(),
            _ => vec![field.names.join(".")],
        };
        for depth in 0..names.len() {
            let known = self.0.get(&names[..depth])?;
            if !known.contains(&names[depth]) {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let near = nearest(&names[depth], &known)?;
                let mut meant = names.clone();
                meant[depth] = near.to_owned();
                return Some(FieldPath { names: meant }.to_string());
            }
        }
        None
    }
}
