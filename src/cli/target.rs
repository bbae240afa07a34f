//! TARGET: a store, the directory of a checkpoint, or `STORE@REF`. A job file means the store of its job.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use jiff::{Timestamp, Zoned};

use crate::cli::commands::run::job::{JobArgs, read_job};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::text::{counted, ranges};
use crate::cli::times::Times;
use crate::cli::ui::Ui;
use crate::format::layout::{CHECKPOINTS, MANIFEST_FILE, REPLICAS_FILE, STORE_FILE};
use crate::storage::place::{self, open_cached};
use crate::store::prune::DEFAULT_GRACE;
use crate::store::prune::trace::{TraceFate, pruned as pruned_checkpoints, trace};
use crate::store::{Committed, Store, StoreError};
use crate::values::id::Sequence;
use crate::values::units::{self, Age};
use crate::values::url::is_url;

/// How many checkpoints are tried because each was pruned while it was read.
const MAX_LOOKS: u32 = 20;

/// What a TARGET argument names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The directory of the store.
    pub store: PathBuf,
    /// The checkpoint; `None` if the argument names only the store.
    pub reference: Option<Reference>,
    /// The directory of the job file, if the argument names one.
    pub job_directory: Option<PathBuf>,
}

/// A checkpoint, as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// By its number.
    Number(Sequence),
    /// By its distance from the latest, which is 0.
    Latest(u64),
    /// The newest one not after a time. The time stays text because its meaning depends on the current time.
    Time(String),
}

impl Target {
    /// Parses an argument.
    ///
    /// A directory that exists is never parsed as `STORE@REF`, whatever its name.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Target, CliError> {
        let path = Path::new(text.as_ref());
        if path.as_os_str().is_empty() {
            return Err(CliError::usage("expected a store or a checkpoint, found an empty argument"));
        }
        if path.is_dir() {
            return Ok(Target::of_directory(path));
        }
        if let Some(target) = target_of_job(path)? {
            return Ok(target);
        }
        match split_reference(path) {
            Some((store, reference)) => {
                let reference = Some(Reference::parse(reference)?);
                Ok(match target_of_job(store)? {
                    Some(target) => Target { reference, ..target },
                    None => Target { store: store.to_owned(), reference, job_directory: None },
                })
            }
            _ => Ok(Target::of_directory(path)),
        }
    }

    fn of_directory(path: &Path) -> Target {
        let inside = |path: &Path| {
            let sequence = path.file_name()?.to_str()?.parse().ok()?;
            let above = path.parent().filter(|above| above.file_name() == Some(OsStr::new(CHECKPOINTS)))?;
            let store = above.parent().filter(|store| !store.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let reference = Some(Reference::Number(sequence));
            Some(Target { store: store.to_owned(), reference, job_directory: None })
        };
        let whole = || Target { store: path.to_owned(), reference: None, job_directory: None };
        if is_url(path) {
            return inside(path).unwrap_or_else(whole);
        }
        if path.join(STORE_FILE).exists() {
            return whole();
        }
        // `.` inside a checkpoint directory, or a link to one.
        inside(path).or_else(|| inside(&path.canonicalize().ok()?)).unwrap_or_else(whole)
    }

    /// Opens the store with its known replicas. Notes about them are printed at the end.
    pub fn open(&self, ui: &Ui) -> Result<Store, CliError> {
        self.open_with(&[], ui)
    }

    /// Opens the store with its known replicas to change it or to delete something. Fails if it is unknown which
    /// replicas it has.
    pub fn open_to_change(&self, ui: &Ui) -> Result<Store, CliError> {
        let store = Store::open_at(&self.store, &[])?;
        store.check_places_known()?;
        ui.opened(&store);
        Ok(store)
    }

    /// Opens the store with its known replicas and those at `replicas`, which must exist.
    pub fn open_with(&self, replicas: &[PathBuf], ui: &Ui) -> Result<Store, CliError> {
        let store = Store::open_at(&self.store, replicas)?;
        ui.opened(&store);
        Ok(store)
    }

    /// Opens the store to read the branch of the replica that the argument names: those that diverged from it are left
    /// out, with a warning.
    pub fn open_branch(&self, ui: &Ui) -> Result<Store, CliError> {
        let store = Store::open_at(&self.store, &[])?.branch();
        ui.opened(&store);
        Ok(store)
    }

    /// Does the same for a command that only shows or exports what it reads: it may come from the cache.
    pub fn open_to_show(&self, ui: &Ui) -> Result<Store, CliError> {
        let store = self.open_through_cache(&[], ui)?.branch();
        ui.opened(&store);
        Ok(store)
    }

    /// Does the same with the replicas of all branches and those at `replicas`, which must exist.
    pub fn open_all_to_show(&self, replicas: &[PathBuf], ui: &Ui) -> Result<Store, CliError> {
        let store = self.open_through_cache(replicas, ui)?;
        ui.opened(&store);
        Ok(store)
    }

    fn open_through_cache(&self, replicas: &[PathBuf], ui: &Ui) -> Result<Store, CliError> {
        let cache = ui.cache();
        let open = |path: &Path| cache.as_ref().map_or_else(|| place::open(path), |cache| open_cached(path, cache));
        Ok(Store::open_at_through(&self.store, replicas, &open)?)
    }

    /// Calls `read` with the number of the named checkpoint, see [`Target::sequence`].
    ///
    /// A checkpoint may be pruned while it is read. If it was not named by its number, the one that its name means now
    /// is read instead.
    pub fn read<T>(
        &self,
        store: &Store,
        now: &Zoned,
        mut read: impl FnMut(Sequence) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let mut sequence = self.sequence(store, now)?;
        for _ in 1..MAX_LOOKS {
            let error = match read(sequence) {
                Err(error) if error.exit == Exit::NotFound => error,
                done => return done,
            };
            match self.sequence(store, now)? {
                found if found == sequence => return Err(error),
                found => sequence = found,
            }
        }
        read(sequence)
    }

    /// Returns the number of the named checkpoint, or of the latest one if only the store is named.
    ///
    /// The error for a missing checkpoint names the nearest ones. Manifests are read only for a time.
    pub fn sequence(&self, store: &Store, now: &Zoned) -> Result<Sequence, CliError> {
        let latest = Reference::Latest(0);
        let reference = self.reference.as_ref().unwrap_or(&latest);
        let sequences = store.sequences()?;
        if sequences.is_empty() {
            store.check_not_lost().map_err(|error| CliError::from(error).hints_of(pruned(store)))?;
        }
        if let Reference::Time(text) = reference {
            let time = parse_time(text, now)?;
            let found = last_not_after(store, &sequences, time)?;
            return match found {
                Some(committed) => Ok(committed.manifest.sequence),
                None => Err(missing(&store.place(), reference, &sequences).hints_of(pruned(store))),
            };
        }
        if let Some(sequence) = reference.choose(&sequences) {
            return Ok(sequence);
        }
        let error = missing(&store.place(), reference, &sequences);
        match reference {
            Reference::Number(sequence) => Err(gone(error, store, *sequence, now)),
            Reference::Latest(_) | Reference::Time(_) => Err(error.hints_of(pruned(store))),
        }
    }
}

impl Reference {
    /// Parses the part after the `@`.
    pub fn parse(text: &str) -> Result<Reference, CliError> {
        let malformed = || CliError::usage(format!("`{text}` does not name a checkpoint")).hint(FORMS);
        if text.is_empty() {
            return Err(malformed());
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return match u64::from_str(text) {
                Ok(0) | Err(_) => Err(malformed()),
                Ok(number) => Ok(Reference::Number(Sequence(number))),
            };
        }
        match text.strip_prefix("latest") {
            Some("") => Ok(Reference::Latest(0)),
            Some(back) => match back.strip_prefix('~').filter(|back| back.bytes().all(|byte| byte.is_ascii_digit())) {
                Some(back) => back.parse().map(Reference::Latest).map_err(|_| malformed()),
                None => Err(malformed()),
            },
            None => Ok(Reference::Time(text.to_owned())),
        }
    }

    /// Finds the checkpoint in `sequences`, which ascend. A time cannot be found from numbers alone.
    fn choose(&self, sequences: &[Sequence]) -> Option<Sequence> {
        match self {
            Reference::Number(sequence) => sequences.binary_search(sequence).is_ok().then_some(*sequence),
            Reference::Latest(back) => {
                let back = usize::try_from(*back).ok()?;
                sequences.iter().rev().nth(back).copied()
            }
            Reference::Time(_) => None,
        }
    }
}

/// Splits `STORE@REF`. The path of the store need not be UTF-8.
fn split_reference(path: &Path) -> Option<(&Path, &str)> {
    let bytes = path.as_os_str().as_bytes();
    let at = bytes.iter().rposition(|&byte| byte == b'@')?;
    let (store, reference) = (Path::new(OsStr::from_bytes(&bytes[..at])), str::from_utf8(&bytes[at + 1..]).ok()?);
    (at > 0 && !reference.contains('/')).then_some((store, reference))
}

/// Returns the store of a job if `path` is the file of one, by its name.
fn target_of_job(path: &Path) -> Result<Option<Target>, CliError> {
    let ending = path.extension().and_then(OsStr::to_str);
    let is_small_file =
        matches!(path.file_name().and_then(OsStr::to_str), Some(STORE_FILE | REPLICAS_FILE | MANIFEST_FILE));
    if is_small_file || is_url(path) || !matches!(ending, Some("yaml" | "yml" | "py")) || !path.is_file() {
        return Ok(None);
    }
    // A script may leave its input to the command line.
    let inputs = if ending == Some("py") { vec![PathBuf::from("-")] } else { Vec::new() };
    let (job, ..) = read_job(&JobArgs { job: path.to_owned(), inputs, settings: Vec::new() })?;
    if !job.checkpoint.enabled {
        return Err(CliError::usage(format!(
            "the job file `{}` disables checkpoints, so the job has no store",
            path.display()
        )));
    }
    let store = job.resolve(&job.checkpoint.store);
    Ok(Some(Target { store, reference: None, job_directory: Some(job.base) }))
}

const FORMS: &str =
    "`@` is followed by a number, `latest`, `latest~2`, or a time such as `2026-11-22T14:00` or `2h ago`";

fn parse_time(text: &str, now: &Zoned) -> Result<Timestamp, CliError> {
    units::parse_time(text, now)
        .map_err(|error| CliError::usage(format!("`{text}` does not name a checkpoint")).caused_by(&error).hint(FORMS))
}

/// Returns the newest checkpoint not after `time`.
///
/// It searches from the newest number backward, because times need not ascend: a clock may have been set back.
fn last_not_after(store: &Store, sequences: &[Sequence], time: Timestamp) -> Result<Option<Committed>, CliError> {
    for sequence in sequences.iter().rev() {
        let committed = match store.manifest(*sequence) {
            // Pruned since it was listed.
            Err(StoreError::NoCheckpoint { .. }) => continue,
            read => read?,
        };
        if is_not_after(committed.manifest.created, time) {
            return Ok(Some(committed));
        }
    }
    Ok(None)
}

/// Tells whether `created` is not after `time`. A time without a fraction of a second covers the whole second: that is
/// how times are shown.
fn is_not_after(created: Timestamp, time: Timestamp) -> bool {
    created <= time || (time.subsec_nanosecond() == 0 && created.as_second() == time.as_second())
}

/// Reports a missing checkpoint, and which ones exist.
fn missing(place: &str, reference: &Reference, sequences: &[Sequence]) -> CliError {
    let (Some(first), Some(last)) = (sequences.first(), sequences.last()) else {
        return CliError::not_found(format!("`{place}` has no checkpoint yet"));
    };
    let error = CliError::not_found(match reference {
        Reference::Number(sequence) => format!("`{place}` has no checkpoint {}", sequence.0),
        Reference::Latest(back) => {
            format!("`{place}` has no `latest~{back}`: it has {}", counted(sequences.len() as u64, "checkpoint"))
        }
        Reference::Time(text) => format!("`{place}` has no checkpoint from `{text}` or earlier"),
    });
    let hint = match reference {
        Reference::Number(sequence) => near(sequences, *sequence),
        Reference::Latest(_) | Reference::Time(_) if first == last => format!("the only checkpoint is {}", first.0),
        Reference::Latest(_) | Reference::Time(_) => format!("the oldest is {} and the latest {}", first.0, last.0),
    };
    error.hint(format!("{hint}; `ckpt list {place}` lists all"))
}

/// Explains `error`, which says that checkpoint `sequence` is missing, with what the history knows about it.
fn gone(error: CliError, store: &Store, sequence: Sequence, now: &Zoned) -> CliError {
    // Where the history cannot be read, there is no explanation.
    let Ok(Some(trace)) = trace(store, sequence) else { return error };
    let ago = trace.time.map_or_else(String::new, |time| format!(" {}", Age::between(time, now.timestamp())));
    let policy = trace.policy.as_ref().map_or_else(String::new, |policy| format!(" ({policy})"));
    let (number, place) = (sequence.0, store.place());
    match trace.fate {
        TraceFate::Pruned { undos } => {
            let end = trace.time.and_then(|time| time.checked_add(DEFAULT_GRACE).ok());
            let end = end.map_or_else(String::new, |end| {
                let end = Times::exact(now.time_zone().clone()).show(end);
                format!("; with the default grace period, a prune after {end} deletes it")
            });
            let times = if undos > 1 { format!(", run {undos} times,") } else { String::new() };
            CliError { message: format!("checkpoint {number} was pruned{ago}{policy}"), hints: Vec::new(), ..error }
                .hint(format!("`ckpt prune {place} --undo`{times} brings it back{end}"))
        }
        TraceFate::Deleted => error.cause(format!("it was pruned{ago}{policy}, and its grace period is over")),
        TraceFate::LeftOut => error.cause(format!("it was left out when checkpoints were copied here{ago}")),
    }
}

/// Returns a hint about pruned checkpoints that can be brought back, if there are any.
fn pruned(store: &Store) -> Option<String> {
    let pruned: Vec<u64> = pruned_checkpoints(store).into_iter().map(|sequence| sequence.0).collect();
    let place = store.place();
    let noun = if pruned.len() == 1 { "checkpoint" } else { "checkpoints" };
    (!pruned.is_empty()).then(|| {
        format!(
            "`ckpt prune {place} --undo` can bring back what was pruned last; {noun} {} can return",
            ranges(&pruned)
        )
    })
}

/// Names the neighbors of a number that is not in `sequences`.
fn near(sequences: &[Sequence], wanted: Sequence) -> String {
    let after = sequences.partition_point(|sequence| *sequence < wanted);
    match (after.checked_sub(1).and_then(|before| sequences.get(before)), sequences.get(after)) {
        (Some(before), Some(after)) => format!("the nearest are {} and {}", before.0, after.0),
        (Some(before), None) => format!("the latest is {}", before.0),
        (None, Some(after)) => format!("the oldest is {}", after.0),
        (None, None) => "there are no checkpoints".to_owned(),
    }
}

#[cfg(test)]
mod tests;
