//! `ckpt restore --to --as output`: the file that the job's output would be at a checkpoint.

use std::sync::Arc;

use crate::format::row_batch::RowBatch;
use crate::format::rows::Change;
use crate::format::sketch;
use crate::input;
use crate::job::definition::{contradiction, definition};
use crate::job::state_columns::state_columns;
use crate::job::{Emit, FieldPath, JobSpec, OutputFormat};
use crate::ops::read::{Selection, Snapshot};
use crate::ops::restore::error::RestoreError;
use crate::ops::restore::exported_file::ExportedFile;
use crate::ops::restore::target::Target;
use crate::shape::{AggregateRows, Encoder, HavingError, RowOutput, RowShape, StateRows};
use crate::store::Store;
use crate::values::deep_stack::on_deep_stack;
use crate::values::digest::Hasher;
use crate::values::progress::Progress;
use crate::values::rows_text::invalid_json;
use crate::values::value::{Column, ColumnType, Value};

/// The number of bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The output of the job that wrote a checkpoint, with all rows of its state.
#[derive(Debug)]
pub(super) struct JobOutput {
    pub(super) file_name: String,
    format: OutputFormat,
    shape: RowShape,
}

impl JobOutput {
    pub(super) fn of(store: &Store, snapshot: &Snapshot) -> Result<JobOutput, RestoreError> {
        let (manifest, sequence) = (snapshot.manifest(), snapshot.manifest().sequence);
        let job = definition(store, &snapshot.committed)?;
        if let Some(reason) = contradiction(manifest, &job, input::BLOCK_BYTES) {
            return Err(RestoreError::Contradiction { sequence, reason });
        }
        if let Some(reason) = lack(&job) {
            return Err(RestoreError::OwnOutput { sequence, reason });
        }
        let format = job.output.as_ref().map_or(OutputFormat::Json, |output| output.format);
        let shape = RowShape::new(&job, rows_of(&job, &manifest.columns), snapshot.codec.clone(), false);
        Ok(JobOutput { file_name: format!("{}.{}", job.job, format.ending()), format, shape })
    }

    /// Writes the rows of `snapshot`, sorted by key, into a file of `target`. They are in memory meanwhile.
    pub(super) fn write(
        &self,
        store: &Store,
        snapshot: &Snapshot,
        target: &Target,
        progress: &dyn Progress,
    ) -> Result<ExportedFile, RestoreError> {
        let (mut batch, mut unfit) = (RowBatch::new(), None);
        snapshot.rows(store, &Selection::default(), progress, |row| {
            if self.shape.fits(row.key) {
                batch.push(row.task, &self.shape.row_key(row.task, row.key), row.value);
            } else {
                unfit = Some(RestoreError::Key { task: row.task, key: String::from_utf8_lossy(row.key).into_owned() });
            }
            unfit.is_none()
        })?;
        if let Some(error) = unfit {
            return Err(error);
        }
        let columns = self.shape.columns();
        let mut writer = target.create(&self.file_name)?;
        let mut encoder = Encoder::new(self.format, &columns);
        let mut sha256 = Hasher::new();
        let mut file = ExportedFile { name: self.file_name.clone(), rows: 0, bytes: 0, kept: false };
        let mut put = |bytes: &[u8], file: &mut ExportedFile| {
            sha256.update(bytes);
            file.bytes += bytes.len() as u64;
            writer.write(bytes)
        };
        for place in self.order(&batch)? {
            let row = batch.row(place);
            let values = self.shape.values(Change::None, row.key, row.value);
            if let Some(column) = invalid_json(&values) {
                let key = self.shape.table_key(row.key);
                return Err(RestoreError::Value { task: row.task, key, column: columns[column].name.clone() });
            }
            encoder.push(&values);
            file.rows += 1;
            if encoder.bytes().len() >= BUFFER_BYTES {
                put(&encoder.take_bytes(), &mut file)?;
            }
        }
        put(&encoder.finish(), &mut file)?;
        writer.complete(&file, sha256.finish())?;
        Ok(file)
    }

    /// Returns the places of the rows that are output, in the order of the output.
    fn order(&self, batch: &RowBatch) -> Result<Vec<usize>, RestoreError> {
        let shape = &self.shape;
        let key = |place: &usize| batch.row(*place).key;
        let chosen = || -> Result<Vec<usize>, HavingError> {
            let mut places = Vec::new();
            for place in 0..batch.len() {
                let row = batch.row(place);
                let keeps =
                    shape.having.is_none() || shape.keeps(row.key, &shape.values(Change::None, row.key, row.value))?;
                places.extend(keeps.then_some(place));
            }
            places.sort_unstable_by(|a, b| shape.order_of(key(a)).cmp(&shape.order_of(key(b))));
            Ok(places)
        };
        let places = on_deep_stack(chosen).map_err(|source| RestoreError::Thread { source })?;
        Ok(places?)
    }
}

/// Returns why the output of `job` does not follow from its state, unless it does.
fn lack(job: &JobSpec) -> Option<&'static str> {
    let emit = job.output.as_ref().map(|output| output.emit);
    if job.native.is_some() {
        Some("a processor in Rust computes it")
    } else if emit == Some(Emit::Rows) {
        Some("it is the rows that the program emitted")
    } else if job.window.is_some() && emit != Some(Emit::Final) {
        Some("windows leave the state when they close")
    } else {
        None
    }
}

/// Returns what makes the output of rows with the columns `found`.
fn rows_of(job: &JobSpec, found: &[Column]) -> Arc<dyn RowOutput> {
    if job.exec.is_some() {
        return Arc::new(StateRows(found.to_vec()));
    }
    let type_of = |field: &FieldPath| {
        let known = job.input.types.iter().find(|(known, _)| known == field);
        known.map_or(ColumnType::Text, |(_, column_type)| *column_type)
    };
    let columns = state_columns(&job.aggregates, type_of);
    let rows = AggregateRows::new(&job.aggregates, &columns);
    let columns = columns.concat();
    if found.starts_with(&columns) { Arc::new(rows) } else { Arc::new(RowsWithoutEstimates { rows, columns }) }
}

/// The output of rows that an older version wrote, which have sketches and not what they estimate.
#[derive(Debug)]
struct RowsWithoutEstimates {
    rows: AggregateRows,
    /// The columns that this version writes.
    columns: Vec<Column>,
}

impl RowOutput for RowsWithoutEstimates {
    fn columns(&self) -> Vec<Column> {
        self.rows.columns()
    }

    fn values(&self, row: &[Value]) -> Vec<Value> {
        let mut stored = row.iter();
        let value = |column: &Column| match column.estimate {
            None => stored.next().cloned().unwrap_or_default(),
            Some(_) => Value::Null,
        };
        let mut values: Vec<Value> = self.columns.iter().map(value).collect();
        for (place, column) in self.columns.iter().enumerate() {
            let Some(estimate) = &column.estimate else { continue };
            let sketch = self.columns.iter().position(|column| column.name == estimate.sketch);
            if let Some(sketch) = sketch
                && let Value::Sketch(bytes) = &values[sketch]
            {
                let column_type = self.columns[sketch].column_type;
                values[place] = sketch::estimate(column_type, bytes, estimate.quantile).unwrap_or_default();
            }
        }
        self.rows.values(&values)
    }
}
