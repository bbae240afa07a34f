//! Dead letters and late records: lines that each checkpoint adds to a file, or to a bucket as an object of its own.

use crate::format::manifest::{DeadLetter, Output};
use crate::runner::output::dead_letter::DeadLetterFile;
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::{OutputPlan, Staged};
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Where lines go.
#[derive(Debug)]
pub enum LineOutput {
    /// To the end of a file.
    File(DeadLetterFile),
    /// Into an object per checkpoint, which is published like any other output.
    Objects(LineObjects),
}

/// The lines of the next object.
#[derive(Debug)]
pub struct LineObjects {
    plan: OutputPlan,
    /// Lines that no checkpoint has.
    lines: Vec<u8>,
    /// Lines of a checkpoint that may be committed.
    uncertain: Vec<u8>,
}

impl LineOutput {
    pub fn objects(plan: OutputPlan) -> LineOutput {
        LineOutput::Objects(LineObjects { plan, lines: Vec::new(), uncertain: Vec::new() })
    }

    /// Returns the plan of its objects.
    pub fn plan(&self) -> Option<&OutputPlan> {
        match self {
            LineOutput::File(_) => None,
            LineOutput::Objects(objects) => Some(&objects.plan),
        }
    }

    /// Adds lines for the next checkpoint. After an error, none of them counts, and they can be added again.
    pub fn add(&mut self, lines: &[u8]) -> Result<(), OutputError> {
        match self {
            LineOutput::File(file) => file.append(lines).map(drop),
            LineOutput::Objects(objects) => {
                objects.lines.extend_from_slice(lines);
                Ok(())
            }
        }
    }

    /// Returns how much of the file belongs to the next checkpoint.
    pub fn file(&self) -> Option<DeadLetter> {
        match self {
            LineOutput::File(file) => Some(DeadLetter { path: file.name().to_owned(), bytes: file.bytes() }),
            LineOutput::Objects(_) => None,
        }
    }

    /// Stages the object of checkpoint `sequence`. Returns `None` if there are no lines for one.
    pub fn stage(&self, sequence: Sequence) -> Result<Option<Staged>, OutputError> {
        match self {
            LineOutput::Objects(objects) if !objects.lines.is_empty() => objects.stage(sequence).map(Some),
            LineOutput::Objects(_) | LineOutput::File(_) => Ok(None),
        }
    }

    /// Notes that the checkpoint of the staged lines is committed, or, if it `may_be` only, that this is not known yet.
    pub fn committed(&mut self, may_be: bool) {
        if let LineOutput::Objects(objects) = self {
            let lines = std::mem::take(&mut objects.lines);
            objects.uncertain = if may_be { lines } else { Vec::new() };
        }
    }

    /// Notes whether the checkpoint exists of which that was not known. If not, its lines go into the next one.
    pub fn settle(&mut self, exists: bool) {
        if let LineOutput::Objects(objects) = self {
            let mut older = std::mem::take(&mut objects.uncertain);
            if !exists {
                older.append(&mut objects.lines);
                objects.lines = older;
            }
        }
    }
}

impl LineObjects {
    fn stage(&self, sequence: Sequence) -> Result<Staged, OutputError> {
        let error = self.plan.at(sequence);
        let (name, staged) = self.plan.stage(sequence)?;
        let mut object = self.plan.place.create(&name, sequence).map_err(&error)?;
        object.write(&self.lines).map_err(&error)?;
        let rows = self.lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        let (path, bytes) = (self.plan.name(sequence), self.lines.len() as u64);
        let output = Output { path, sha256: Digest::of(&self.lines), bytes, rows, staged };
        self.plan.complete(object, sequence, name, output)
    }
}
