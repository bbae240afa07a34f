//! An output file while it is written. Rows are encoded and hashed on their way to the staged file. Several threads may
//! prepare them before that.

use crate::format::manifest::Output;
use crate::job::OutputFormat;
use crate::runner::output::error::OutputError;
use crate::runner::output::place::PlaceWriter;
use crate::runner::output::plan::{OutputPlan, Staged};
use crate::runner::process::exec::typed::partial_row;
use crate::shape::{Encoder, TextFormat};
use crate::values::digest::Hasher;
use crate::values::id::{Sequence, StagingId};
use crate::values::value::{Column, Value};

/// The number of bytes that are written to the file at once.
const BUFFER_BYTES: usize = 1 << 16;

/// Writes a staged output file.
pub(crate) struct StagedFile<'a> {
    plan: &'a OutputPlan,
    sequence: Sequence,
    /// The name under which it is staged.
    name: String,
    /// What the manifest says of that.
    id: Option<StagingId>,
    file: PlaceWriter<'a>,
    hasher: Hasher,
    bytes: u64,
    rows: u64,
    encoder: Encoder,
}

/// Rows on their way to a staged file, prepared as far as that is possible without those before them.
#[derive(Debug)]
pub(crate) enum PreparedRows {
    /// As they are in the file.
    Text { bytes: Vec<u8>, rows: u64 },
    /// One value per column.
    Values(Vec<Vec<Value>>),
}

/// Prepares rows for a staged file. Several threads may do so at once.
#[derive(Debug, Clone)]
pub(crate) struct RowPreparer(Option<TextFormat>);

impl RowPreparer {
    pub(crate) fn start(&self) -> PreparedRows {
        match &self.0 {
            Some(_) => PreparedRows::Text { bytes: Vec::new(), rows: 0 },
            None => PreparedRows::Values(Vec::new()),
        }
    }

    /// Adds a row, given one value per column.
    pub(crate) fn add(&self, values: Vec<Value>, prepared: &mut PreparedRows) {
        match (prepared, &self.0) {
            (PreparedRows::Text { bytes, rows }, Some(format)) => {
                format.push(&values, bytes);
                *rows += 1;
            }
            (PreparedRows::Text { .. }, None) => unreachable!("the rows were started by this preparer"),
            (PreparedRows::Values(rows), _) => rows.push(values),
        }
    }
}

impl<'a> StagedFile<'a> {
    /// Creates the file that checkpoint `sequence` will publish.
    pub(crate) fn create(
        plan: &'a OutputPlan,
        sequence: Sequence,
        columns: &[Column],
    ) -> Result<StagedFile<'a>, OutputError> {
        let (name, id) = plan.stage(sequence)?;
        let file = plan.place.create(&name, sequence).map_err(plan.at(sequence))?;
        Ok(StagedFile {
            plan,
            sequence,
            name,
            id,
            file,
            hasher: Hasher::new(),
            bytes: 0,
            rows: 0,
            encoder: Encoder::new(plan.format, columns),
        })
    }

    /// Appends a row, given one value per column.
    pub(crate) fn push(&mut self, values: &[Value]) -> Result<(), OutputError> {
        self.encoder.push(values);
        self.rows += 1;
        if self.encoder.bytes().len() >= BUFFER_BYTES {
            let bytes = self.encoder.take_bytes();
            self.put(&bytes)?;
        }
        Ok(())
    }

    /// Appends objects that a program has emitted, one per line. If the plan has no columns, they are written as they
    /// are.
    pub(crate) fn push_objects(&mut self, lines: &[u8]) -> Result<(), OutputError> {
        let plan = self.plan;
        if !plan.columns.is_empty() {
            return lines.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| {
                self.push(&partial_row(&plan.columns, line).expect("the row was checked when it was emitted"))
            });
        }
        self.push_encoded(lines, lines.iter().filter(|byte| **byte == b'\n').count() as u64)
    }

    pub(crate) fn preparer(&self) -> RowPreparer {
        RowPreparer(self.encoder.text_format().cloned())
    }

    /// Appends rows that its preparer has prepared.
    pub(crate) fn push_prepared(&mut self, rows: &PreparedRows) -> Result<(), OutputError> {
        match rows {
            PreparedRows::Text { bytes, rows } => self.push_encoded(bytes, *rows),
            PreparedRows::Values(rows) => rows.iter().try_for_each(|values| self.push(values)),
        }
    }

    fn push_encoded(&mut self, rows: &[u8], row_count: u64) -> Result<(), OutputError> {
        let before = self.encoder.take_bytes();
        self.put(&before)?;
        self.rows += row_count;
        self.put(rows)
    }

    /// Flushes the file and describes it.
    pub(crate) fn finish(mut self) -> Result<Staged, OutputError> {
        let encoder = std::mem::replace(&mut self.encoder, Encoder::new(OutputFormat::Json, &[]));
        let bytes = encoder.finish();
        self.put(&bytes)?;
        let path = self.plan.name(self.sequence);
        let output = Output { path, sha256: self.hasher.finish(), bytes: self.bytes, rows: self.rows, staged: self.id };
        self.plan.complete(self.file, self.sequence, self.name, output)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.file.write(bytes).map_err(self.plan.at(self.sequence))?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}
