//! The output files of a job. A file is in place only once the checkpoint that names it is committed.
//!
//! With `emit: final`, the job writes one file with all rows at the end. With `emit: changes`, it writes one file per
//! checkpoint with the changes since the checkpoint before. A file is first staged under a hidden name. The checkpoint
//! names it with its SHA-256, and after the commit it is put in place ([`Staged::publish`]). If a crash comes in
//! between, the next start finishes this before anything else is committed ([`OutputPlan::recover`]). So the files in
//! place are exactly those that checkpoints name, except between a commit and the publication.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::manifest::Output;
use crate::job::{Emit, JobSpec, OutputFormat};
use crate::runner::output::error::OutputError;
use crate::runner::output::place::{self, Found, OutputPlace, PlaceError, PlaceWriter};
use crate::values::id::{Sequence, StagingId};
use crate::values::random::random;
use crate::values::url::is_url;
use crate::values::value::Column;

/// Where output files go, and what they are called.
#[derive(Debug, Clone)]
pub struct OutputPlan {
    /// The directory or URL as the job file names it.
    files: PathBuf,
    pub(crate) place: Arc<dyn OutputPlace>,
    /// Whether several workers publish there.
    pub(crate) is_shared: bool,
    /// What the names of the files begin with: the name of the job, or that of a dead-letter file.
    pub(super) stem: String,
    /// What they end with, such as `.jsonl`.
    ending: String,
    pub format: OutputFormat,
    /// Which rows are written, and when.
    pub emit: Emit,
    /// The columns of the rows that a program emits, if it declares them.
    pub columns: Vec<Column>,
}

/// A file that is staged, under a name that only its checkpoint knows.
#[derive(Debug, Clone)]
pub struct Staged {
    plan: OutputPlan,
    sequence: Sequence,
    name: String,
    pub output: Output,
}

/// A name in a place that staged files have, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedName {
    pub(crate) name: String,
    pub(super) file_name: String,
    pub(crate) sequence: Sequence,
    /// Tells it from others of that number.
    pub(crate) id: Option<StagingId>,
}

impl PartialEq for OutputPlan {
    fn eq(&self, other: &OutputPlan) -> bool {
        let of = |plan: &OutputPlan| (plan.files.clone(), plan.place.shown(""), plan.stem.clone(), plan.ending.clone());
        of(self) == of(other) && self.emit == other.emit
    }
}

impl OutputPlan {
    /// Returns the plan for the output files of `job`, if it has any. They are those of several workers if it `is_shared`.
    pub fn new(job: &JobSpec, is_shared: bool) -> Result<Option<OutputPlan>, OutputError> {
        let Some(output) = job.output.as_ref().filter(|output| output.topic.is_none()) else { return Ok(None) };
        Ok(Some(OutputPlan {
            files: place::tidy(&output.files)?,
            place: place::open(job, &output.files, is_shared)?,
            is_shared,
            stem: job.job.clone(),
            ending: format!(".{}", output.format.ending()),
            format: output.format,
            emit: output.emit,
            columns: output.columns.clone(),
        }))
    }

    /// Returns the plan for the dead letters or late records at `path` if no file can grow there, because it is in a bucket
    /// or `is_shared` by several workers: each checkpoint publishes an object with its lines, as `NAME-NUMBER.EXTENSION`.
    pub fn of_lines(job: &JobSpec, path: &Path, is_shared: bool) -> Result<Option<OutputPlan>, OutputError> {
        let (true, Some(dir)) = (is_url(path) || is_shared, path.parent()) else { return Ok(None) };
        let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        Ok(Some(OutputPlan {
            files: place::tidy(dir)?,
            place: place::open(job, dir, is_shared)?,
            is_shared,
            stem: text(path.file_stem()).unwrap_or_default(),
            ending: text(path.extension()).map_or(String::new(), |extension| format!(".{extension}")),
            format: OutputFormat::Json,
            emit: Emit::Rows,
            columns: Vec::new(),
        }))
    }

    pub(crate) fn file_name(&self, sequence: Sequence) -> String {
        let (stem, ending) = (&self.stem, &self.ending);
        match self.emit {
            Emit::Final => format!("{stem}{ending}"),
            Emit::Changes | Emit::Rows => format!("{stem}-{sequence}{ending}"),
        }
    }

    /// Returns the file of checkpoint `sequence` as its manifest names it.
    pub fn name(&self, sequence: Sequence) -> String {
        self.files.join(self.file_name(sequence)).display().to_string()
    }

    /// Returns the file of checkpoint `sequence`, for messages.
    pub fn shown(&self, sequence: Sequence) -> String {
        self.place.shown(&self.file_name(sequence))
    }

    /// Returns the checkpoint of the file with this name, with `emit: changes`.
    pub fn sequence_of(&self, file_name: &str) -> Option<Sequence> {
        let rest = file_name.strip_prefix(self.stem.as_str())?.strip_prefix('-')?;
        let sequence = rest.strip_suffix(self.ending.as_str())?.parse().ok()?;
        (self.emit.is_by_checkpoint() && self.file_name(sequence) == file_name).then_some(sequence)
    }

    /// Returns whether the job publishes files of this name.
    fn is_own(&self, file_name: &str) -> bool {
        match self.emit {
            Emit::Final => file_name == self.file_name(Sequence::FIRST),
            Emit::Changes | Emit::Rows => self.sequence_of(file_name).is_some(),
        }
    }

    /// Returns whether `path` is, or may become, a file that the job publishes.
    pub fn publishes(&self, path: &Path) -> bool {
        let same_dir = |dir: &Path| path.parent().is_some_and(|parent| parent.components().eq(dir.components()));
        self.place.directory().is_some_and(same_dir)
            && path.file_name().is_some_and(|name| self.is_own(&name.to_string_lossy()))
    }

    /// Returns whether a file of `other` may have the name of a file of this plan.
    pub fn collides_with(&self, other: &OutputPlan) -> bool {
        let first = Sequence::FIRST;
        self.place.shown("") == other.place.shown("")
            && (self.is_own(&other.file_name(first)) || other.is_own(&self.file_name(first)))
    }

    /// Returns a file that the job has published, if there is one.
    pub fn published(&self) -> Result<Option<String>, OutputError> {
        let names = match self.place.names(&self.stem) {
            Ok(names) => names,
            // What cannot be listed has not been published, as far as anybody can see.
            Err(PlaceError::File(_)) => Vec::new(),
            Err(error) => return Err(self.at(Sequence::FIRST)(error)),
        };
        Ok(names.into_iter().filter(|name| self.is_own(name)).min().map(|name| self.place.shown(&name)))
    }

    /// Returns what adds the name of the file of checkpoint `sequence` to an error.
    pub(crate) fn at(&self, sequence: Sequence) -> impl Fn(PlaceError) -> OutputError + use<> {
        let path = self.shown(sequence);
        move |error| error.at(path.clone())
    }

    /// Returns the name under which the file of checkpoint `sequence` is staged, and what its manifest says of that. Fails if
    /// somebody else's file would have to be replaced.
    pub(crate) fn stage(&self, sequence: Sequence) -> Result<(String, Option<StagingId>), OutputError> {
        let name = self.file_name(sequence);
        if self.place.is_shared()
            && self.emit.is_by_checkpoint()
            && self.place.look(&name).map_err(self.at(sequence))? != Found::Nothing
        {
            return Err(OutputError::Taken { path: self.shown(sequence) });
        }
        // Elsewhere, nobody else stages anything.
        let id = self.place.is_shared().then(|| StagingId(random()));
        Ok((staging_name(&name, sequence, id), id.filter(|_| self.is_shared)))
    }

    /// Flushes the file that is staged as `name` for checkpoint `sequence`, which is `output`.
    pub(crate) fn complete(
        &self,
        writer: PlaceWriter<'_>,
        sequence: Sequence,
        name: String,
        output: Output,
    ) -> Result<Staged, OutputError> {
        match writer.finish() {
            // The answer of a server may have been lost. What a file system has not flushed can be read, and lost later.
            Err(error)
                if !(self.place.directory().is_none() && self.place.holds(&name, &output).is_ok_and(|holds| holds)) =>
            {
                Err(self.at(sequence)(error))
            }
            _ => Ok(self.staged(sequence, name, output)),
        }
    }

    pub(super) fn staged(&self, sequence: Sequence, name: String, output: Output) -> Staged {
        Staged { plan: self.clone(), sequence, name, output }
    }

    /// Returns the names of all staged files.
    pub fn staged_names(&self) -> Result<Vec<StagedName>, OutputError> {
        let names = self.place.names(&format!(".{}", self.stem)).map_err(self.at(Sequence::FIRST))?;
        let staged = |name: String| {
            let (file_name, sequence) = name.strip_prefix('.')?.rsplit_once(".ckpt-")?;
            let (number, id) = sequence.split_once('-').map_or((sequence, None), |(number, id)| (number, Some(id)));
            let (sequence, id) = (number.parse().ok()?, id.map(str::parse).transpose().ok()?);
            let file_name = file_name.to_owned();
            self.is_own(&file_name).then_some(StagedName { name, file_name, sequence, id })
        };
        Ok(names.into_iter().filter_map(staged).collect())
    }

    /// Removes staged files that will never be published. What checkpoints name must have been recovered before.
    /// `newest` is the highest number in use.
    pub fn remove_strays(&self, staged: Vec<StagedName>, newest: Option<Sequence>) -> Result<(), OutputError> {
        let staged: Vec<(String, Sequence)> = staged.into_iter().map(|staged| (staged.name, staged.sequence)).collect();
        self.place.remove_strays(&staged, newest).map_err(self.at(Sequence::FIRST))
    }

    /// Returns the names of the files of checkpoint `only`, or of all checkpoints, and those of superseded ones, with
    /// `emit: changes`.
    pub fn names(&self, only: Option<Sequence>) -> Result<HashSet<String>, OutputError> {
        if !self.emit.is_by_checkpoint() {
            return Ok(HashSet::new());
        }
        let beginning = only.map_or(self.stem.clone(), |only| self.file_name(only));
        let names = self.place.names(&beginning).map_err(self.at(Sequence::FIRST))?;
        Ok(names.into_iter().collect())
    }
}

impl Staged {
    /// Puts the file in place, durably. Its checkpoint must be committed.
    pub fn publish(&self) -> Result<(), OutputError> {
        let Staged { plan, sequence, name, output } = self;
        let published = plan.place.publish(name, &plan.file_name(*sequence), *sequence, output);
        published.map_err(plan.at(*sequence))
    }

    /// Returns where the file goes, for messages.
    pub fn shown(&self) -> String {
        self.plan.shown(self.sequence)
    }
}

/// Returns the name under which the file `file_name` of checkpoint `sequence` is staged.
pub(crate) fn staging_name(file_name: &str, sequence: Sequence, id: Option<StagingId>) -> String {
    let id = id.map_or(String::new(), |id| format!("-{id}"));
    format!(".{file_name}.ckpt-{sequence}{id}")
}

#[cfg(test)]
mod tests;
