//! The output files of a job. A file is in place only once the checkpoint that names it is committed.
//!
//! With `emit: final`, the job writes one file with all rows at the end. With `emit: changes`, it writes one file per
//! checkpoint with the changes since the checkpoint before. A file is first staged under a hidden name. The checkpoint
//! names it with its SHA-256, and after the commit it is renamed into place ([`OutputPlan::publish`]). If a crash comes
//! in between, the next start finishes this before anything else is committed ([`OutputPlan::recover`]). So the files
//! in place are exactly those that checkpoints name, except between a commit and the renaming.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::format::manifest::Output;
use crate::job::{Emit, JobSpec, OutputFormat};
use crate::runner::output::error::OutputError;
use crate::storage::durable::{flush_directory, flush_name};
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// Where output files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPlan {
    /// The directory as the job file names it.
    files: PathBuf,
    /// The path of the directory.
    pub dir: PathBuf,
    /// The name of the job, with which the names of the files begin.
    job: String,
    pub format: OutputFormat,
    /// Which rows are written, and when.
    pub emit: Emit,
}

impl OutputPlan {
    /// Returns the plan for the output of `job`, if it has one.
    pub fn new(job: &JobSpec) -> Option<OutputPlan> {
        let output = job.output.as_ref()?;
        Some(OutputPlan {
            files: output.files.clone(),
            dir: job.resolve(&output.files),
            job: job.job.clone(),
            format: output.format,
            emit: output.emit,
        })
    }

    fn file_name(&self, sequence: Sequence) -> String {
        let (job, ending) = (&self.job, self.format.ending());
        match self.emit {
            Emit::Final => format!("{job}.{ending}"),
            Emit::Changes | Emit::Rows => format!("{job}-{sequence}.{ending}"),
        }
    }

    /// Returns the file of checkpoint `sequence` as its manifest names it.
    pub fn name(&self, sequence: Sequence) -> String {
        self.files.join(self.file_name(sequence)).display().to_string()
    }

    /// Returns the path of the file of checkpoint `sequence`.
    pub fn path(&self, sequence: Sequence) -> PathBuf {
        self.dir.join(self.file_name(sequence))
    }

    /// Returns the hidden path at which the file of checkpoint `sequence` is staged.
    pub fn staged(&self, sequence: Sequence) -> PathBuf {
        staged(&self.path(sequence), sequence)
    }

    /// Returns the checkpoint of the file with this name, with `emit: changes`.
    pub fn sequence_of(&self, file_name: &str) -> Option<Sequence> {
        let rest = file_name.strip_prefix(self.job.as_str())?.strip_prefix('-')?;
        let sequence = rest.strip_suffix(self.format.ending())?.strip_suffix('.')?.parse().ok()?;
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
        let same_dir = path.parent().is_some_and(|dir| dir.components().eq(self.dir.components()));
        same_dir && path.file_name().is_some_and(|name| self.is_own(&name.to_string_lossy()))
    }

    /// Returns a file that the job has published, if there is one.
    pub fn published(&self) -> Option<PathBuf> {
        let names = file_names(&self.dir).unwrap_or_default();
        names.into_iter().filter(|name| self.is_own(name)).min().map(|name| self.dir.join(name))
    }

    pub(crate) fn error(&self, sequence: Sequence) -> impl Fn(io::Error) -> OutputError + use<> {
        output_error(&self.path(sequence))
    }

    /// Renames the staged file of checkpoint `sequence` into place, durably.
    pub fn publish(&self, sequence: Sequence) -> Result<(), OutputError> {
        let error = self.error(sequence);
        fs::rename(self.staged(sequence), self.path(sequence)).map_err(&error)?;
        flush_directory(&self.dir).map_err(&error)
    }

    /// Publishes the staged file of checkpoint `sequence`, which is committed, if a crash has prevented that and the
    /// file is `output`.
    ///
    /// Returns whether it did.
    pub fn recover(&self, output: &Output, sequence: Sequence) -> Result<bool, OutputError> {
        let unpublished = output.path == self.name(sequence)
            && is_file_with(&self.staged(sequence), output).map_err(self.error(sequence))?;
        if unpublished {
            self.publish(sequence)?;
        }
        Ok(unpublished)
    }

    /// Removes staged files that were never published. What checkpoints name must have been recovered before.
    pub fn remove_strays(&self) -> Result<(), OutputError> {
        let error = self.error(Sequence::FIRST);
        for name in file_names(&self.dir).map_err(&error)? {
            let staged = name.strip_prefix('.').and_then(|rest| rest.rsplit_once(".ckpt-"));
            let is_ours =
                staged.is_some_and(|(name, sequence)| self.is_own(name) && sequence.parse::<Sequence>().is_ok());
            if is_ours {
                fs::remove_file(self.dir.join(name)).map_err(&error)?;
            }
        }
        if !self.dir.exists() {
            return Ok(());
        }
        // This also flushes what an earlier run renamed just before it was killed.
        flush_directory(&self.dir).and_then(|()| flush_name(&self.dir)).map_err(&error)
    }

    /// Returns the checkpoints whose files are in place, ascending, with `emit: changes`.
    pub fn sequences(&self) -> Result<Vec<Sequence>, OutputError> {
        let names = file_names(&self.dir).map_err(self.error(Sequence::FIRST))?;
        let mut sequences: Vec<Sequence> = names.iter().filter_map(|name| self.sequence_of(name)).collect();
        sequences.sort_unstable();
        Ok(sequences)
    }

    /// Moves the file of checkpoint `sequence` out of the way, to `NAME.withdrawn-NUMBER` beside it. Returns its new
    /// path, or `None` if there is no file or it is not `output`.
    pub fn supersede(&self, output: Option<&Output>, sequence: Sequence) -> Result<Option<PathBuf>, OutputError> {
        let path = &self.path(sequence);
        let error = self.error(sequence);
        let is_regular = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        if !is_regular || !output.map_or(Ok(true), |output| is_file_with(path, output)).map_err(&error)? {
            return Ok(None);
        }
        let mut free = self.superseded_paths(sequence).filter(|path| fs::symlink_metadata(path).is_err());
        let moved_to = free.next().expect("there are more names than files");
        fs::rename(path, &moved_to).map_err(&error)?;
        flush_directory(&self.dir).map_err(&error)?;
        Ok(Some(moved_to))
    }

    /// Moves the superseded file of checkpoint `sequence` back into place if it is `output`. Returns whether it did.
    pub fn reinstate(&self, output: &Output, sequence: Sequence) -> Result<bool, OutputError> {
        let path = &self.path(sequence);
        let error = self.error(sequence);
        if fs::symlink_metadata(path).is_ok() {
            return Ok(false);
        }
        for superseded in self.superseded_paths(sequence).take_while(|path| fs::symlink_metadata(path).is_ok()) {
            if is_file_with(&superseded, output).map_err(&error)? {
                fs::rename(&superseded, path).map_err(&error)?;
                flush_directory(&self.dir).map_err(&error)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the names that a superseded file may have.
    fn superseded_paths(&self, sequence: Sequence) -> impl Iterator<Item = PathBuf> + use<> {
        let (path, name) = (self.path(sequence), self.file_name(sequence));
        let names = std::iter::once(format!("{name}.withdrawn-{sequence}"))
            .chain((2..).map(move |number: u32| format!("{name}.withdrawn-{sequence}.{number}")));
        names.map(move |name| path.with_file_name(name))
    }
}

fn staged(path: &Path, sequence: Sequence) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.ckpt-{sequence}"))
}

fn output_error(path: &Path) -> impl Fn(io::Error) -> OutputError + use<> {
    let path = path.display().to_string();
    move |source| OutputError::Write { path: path.clone(), source }
}

/// Returns the names in a directory that are UTF-8. A missing directory has none.
fn file_names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(other) => return Err(other),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

/// Returns whether the file at `path` is `output`.
fn is_file_with(path: &Path, output: &Output) -> io::Result<bool> {
    // Opening a pipe would wait for its writer, and the job never writes links.
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() == output.bytes => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(Digest::of_reader(File::open(path)?)? == output.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(dir: &Path, emit: Emit) -> OutputPlan {
        let (files, dir, job) = (PathBuf::from("out"), dir.to_owned(), "job".to_owned());
        OutputPlan { files, dir, job, format: OutputFormat::Json, emit }
    }

    fn new(path: &str) -> Output {
        Output { path: path.into(), sha256: Digest::of(b"new"), bytes: 3, rows: 1 }
    }

    #[test]
    fn an_interrupted_publication_is_finished_and_strays_are_removed() {
        for (emit, name) in [(Emit::Final, "job.jsonl"), (Emit::Changes, "job-00000007.jsonl")] {
            let dir = tempfile::tempdir().unwrap();
            let plan = plan(dir.path(), emit);
            let path = dir.path().join(name);
            let output = new(&format!("out/{name}"));
            assert_eq!((plan.path(Sequence(7)), plan.name(Sequence(7))), (path.clone(), output.path.clone()));
            fs::write(&path, "old").unwrap();
            fs::write(plan.staged(Sequence(7)), "new").unwrap();
            fs::write(plan.staged(Sequence(8)), "torn").unwrap();
            fs::write(dir.path().join(".job.jsonl.ckpt-mine"), "not ours").unwrap();
            fs::write(dir.path().join(".other.jsonl.ckpt-00000008"), "not ours").unwrap();
            assert!(!plan.recover(&new("elsewhere/job.jsonl"), Sequence(7)).unwrap());
            assert!(plan.recover(&output, Sequence(7)).unwrap());
            plan.remove_strays().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            assert!(!plan.staged(Sequence(8)).exists());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "what is not ours stays");
            fs::write(plan.staged(Sequence(7)), "neW").unwrap();
            assert!(!plan.recover(&output, Sequence(7)).unwrap(), "other bytes are never published");
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            assert_eq!(plan.published(), Some(path));
        }
    }

    #[test]
    fn only_published_files_are_superseded_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(dir.path(), Emit::Final);
        let path = dir.path().join("job.jsonl");
        let output = new("out/job.jsonl");
        assert_eq!(plan.supersede(Some(&output), Sequence(7)).unwrap(), None);
        fs::write(&path, "old").unwrap();
        assert_eq!(plan.supersede(Some(&output), Sequence(7)).unwrap(), None);
        for name in ["job.jsonl.withdrawn-00000007", "job.jsonl.withdrawn-00000007.2"] {
            fs::write(&path, "new").unwrap();
            assert_eq!(plan.supersede(Some(&output), Sequence(7)).unwrap(), Some(dir.path().join(name)));
            assert!(!path.exists());
            assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), "new");
        }
        fs::write(dir.path().join("job.jsonl.withdrawn-00000007"), "mine").unwrap();
        assert!(plan.reinstate(&output, Sequence(7)).unwrap(), "the second is what the checkpoint has published");
        assert!(!plan.reinstate(&output, Sequence(7)).unwrap() && path.exists());
    }

    #[test]
    fn files_of_changes_name_their_checkpoint() {
        let plan = plan(Path::new("/out"), Emit::Changes);
        assert_eq!(plan.sequence_of("job-00000042.jsonl"), Some(Sequence(42)));
        for other in [
            "job-42.jsonl",
            "job.jsonl",
            "job-00000042.csv",
            "job2-00000042.jsonl",
            "job-00000042.jsonl.withdrawn-00000042",
        ] {
            assert_eq!(plan.sequence_of(other), None, "{other}");
        }
        assert!(
            plan.publishes(Path::new("/out/job-00000001.jsonl")) && !plan.publishes(Path::new("/job-00000001.jsonl"))
        );
    }
}
