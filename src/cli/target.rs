//! TARGET: a store, a checkpoint directory inside it, or `STORE@REF`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use jiff::{Timestamp, Zoned};

use crate::cli::error::CliError;
use crate::cli::ui::Ui;
use crate::format::layout::{CHECKPOINTS, STORE_FILE};
use crate::store::{Committed, Store};
use crate::values::id::Sequence;
use crate::values::units;

/// What the help of every command with a TARGET says of it.
pub const TARGET_HELP: &str = "A store, a checkpoint directory inside it, or STORE@REF, where REF is a number, `latest`, \
    `latest~2` or a time (`2026-11-22T14:00`, `2h ago`: the last checkpoint not after it)";

/// What an argument TARGET names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The store's directory.
    pub store: PathBuf,
    /// The checkpoint, when the argument names one and not the store as a whole.
    pub reference: Option<Reference>,
}

/// A checkpoint, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// By its number.
    Number(Sequence),
    /// The one so many before the latest, which is 0.
    Latest(u64),
    /// The last that is not after a time, in words: what they mean depends on when they are read.
    Time(String),
}

impl Target {
    /// Takes an argument apart.
    ///
    /// A directory that exists is never taken for `STORE@REF`, whatever its name.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Target, CliError> {
        let path = Path::new(text.as_ref());
        if path.as_os_str().is_empty() {
            return Err(CliError::usage("expected a store or a checkpoint, found nothing"));
        }
        if path.is_dir() {
            return Ok(Target::of_directory(path));
        }
        match path.to_str().and_then(|text| text.rsplit_once('@')) {
            Some((store, reference)) if !store.is_empty() && !reference.contains('/') => {
                Ok(Target { store: store.into(), reference: Some(Reference::parse(reference)?) })
            }
            _ => Ok(Target::of_directory(path)),
        }
    }

    fn of_directory(path: &Path) -> Target {
        let inside = |path: &Path| {
            let sequence = path.file_name()?.to_str()?.parse().ok()?;
            let above = path.parent().filter(|above| above.file_name() == Some(OsStr::new(CHECKPOINTS)))?;
            let store = above.parent().filter(|store| !store.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(Target { store: store.to_owned(), reference: Some(Reference::Number(sequence)) })
        };
        let whole = || Target { store: path.to_owned(), reference: None };
        if path.join(STORE_FILE).exists() {
            return whole();
        }
        // `.` inside a checkpoint directory, or a link to one.
        inside(path).or_else(|| inside(&path.canonicalize().ok()?)).unwrap_or_else(whole)
    }

    /// Opens the store with the replicas that it knows. What there is to tell about them is told at the end.
    pub fn open(&self, ui: &Ui) -> Result<Store, CliError> {
        self.open_with(&[], ui)
    }

    /// Opens the store with the replicas that it knows and those at `replicas`, which must be there.
    pub fn open_with(&self, replicas: &[PathBuf], ui: &Ui) -> Result<Store, CliError> {
        let store = Store::open_at(&self.store, replicas)?;
        ui.opened(&store);
        Ok(store)
    }

    /// Finds the number of the checkpoint that is named, or of the latest one when it is the store as a whole.
    ///
    /// One that is not there is an error that names the nearest that are. Manifests are read only when a time is named.
    pub fn sequence(&self, store: &Store, now: &Zoned) -> Result<Sequence, CliError> {
        let latest = Reference::Latest(0);
        let reference = self.reference.as_ref().unwrap_or(&latest);
        let sequences = store.sequences()?;
        if let Reference::Time(text) = reference {
            let time = parse_time(text, now)?;
            let found = last_not_after(store, &sequences, time)?;
            return found
                .map(|committed| committed.manifest.sequence)
                .ok_or_else(|| missing(&store.place(), reference, &sequences));
        }
        reference.choose(&sequences).ok_or_else(|| missing(&store.place(), reference, &sequences))
    }
}

impl Reference {
    /// Takes what stands behind the `@` apart.
    pub fn parse(text: &str) -> Result<Reference, CliError> {
        let malformed = || CliError::usage(format!("`{text}` names no checkpoint")).hint(FORMS);
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

    /// Finds the checkpoint among `sequences`, which ascend. A time is not to be told from numbers alone.
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

const FORMS: &str = "after `@` comes a number, `latest`, `latest~2`, or a time: `2026-11-22T14:00`, `2h ago`";

fn parse_time(text: &str, now: &Zoned) -> Result<Timestamp, CliError> {
    units::parse_time(text, now)
        .map_err(|error| CliError::usage(format!("`{text}` names no checkpoint")).caused_by(&error).hint(FORMS))
}

/// Goes back from the newest: a restore or a clock that was set may have made a later number older, and the newest of those not after `time` is meant.
fn last_not_after(store: &Store, sequences: &[Sequence], time: Timestamp) -> Result<Option<Committed>, CliError> {
    for sequence in sequences.iter().rev() {
        let committed = store.manifest(*sequence)?;
        if committed.manifest.created <= time {
            return Ok(Some(committed));
        }
    }
    Ok(None)
}

/// Says that a checkpoint is not there, and what is.
fn missing(place: &str, reference: &Reference, sequences: &[Sequence]) -> CliError {
    let (Some(first), Some(last)) = (sequences.first(), sequences.last()) else {
        return CliError::not_found(format!("`{place}` has no checkpoint yet"));
    };
    let error = CliError::not_found(match reference {
        Reference::Number(sequence) => format!("`{place}` has no checkpoint {}", sequence.0),
        Reference::Latest(back) => format!("`{place}` has no `latest~{back}`: it holds {}", count(sequences.len())),
        Reference::Time(text) => format!("`{place}` has no checkpoint as old as `{text}`"),
    });
    let hint = match reference {
        Reference::Number(sequence) => near(sequences, *sequence),
        Reference::Latest(_) | Reference::Time(_) if first == last => format!("there is only checkpoint {}", first.0),
        Reference::Latest(_) | Reference::Time(_) => format!("the oldest is {}, the latest {}", first.0, last.0),
    };
    error.hint(format!("{hint}; `ckpt list {place}` shows all"))
}

fn count(checkpoints: usize) -> String {
    match checkpoints {
        1 => "1 checkpoint".to_owned(),
        _ => format!("{checkpoints} checkpoints"),
    }
}

/// Names the neighbours of a number that is not among `sequences`.
fn near(sequences: &[Sequence], wanted: Sequence) -> String {
    let after = sequences.partition_point(|sequence| *sequence < wanted);
    match (after.checked_sub(1).and_then(|before| sequences.get(before)), sequences.get(after)) {
        (Some(before), Some(after)) => format!("the nearest are {} and {}", before.0, after.0),
        (Some(before), None) => format!("the latest is {}", before.0),
        (None, Some(after)) => format!("the oldest is {}", after.0),
        (None, None) => "there is none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;

    fn parse(text: &str) -> (String, Option<Reference>) {
        let target = Target::parse(text).expect(text);
        (target.store.to_str().expect("UTF-8").to_owned(), target.reference)
    }

    fn number(number: u64) -> Option<Reference> {
        Some(Reference::Number(Sequence(number)))
    }

    #[test]
    fn a_target_is_a_store_a_directory_in_it_or_a_store_with_a_reference() {
        let cases = [
            ("no/such", "no/such", None),
            ("no/such/checkpoints/00000042", "no/such", number(42)),
            ("no/such/checkpoints/00000042/", "no/such", number(42)),
            ("checkpoints/00000042", ".", number(42)),
            ("no/such/checkpoints/42", "no/such/checkpoints/42", None),
            ("no/such/checkpoints", "no/such/checkpoints", None),
            ("s@42", "s", number(42)),
            ("s@00000042", "s", number(42)),
            ("s@latest", "s", Some(Reference::Latest(0))),
            ("s@latest~2", "s", Some(Reference::Latest(2))),
            ("s@2h ago", "s", Some(Reference::Time("2h ago".to_owned()))),
            ("a@b/s", "a@b/s", None),
            ("a@b/s@7", "a@b/s", number(7)),
            ("@7", "@7", None),
        ];
        for (text, store, reference) in cases {
            assert_eq!(parse(text), (store.to_owned(), reference), "{text}");
        }
    }

    #[test]
    fn what_names_no_checkpoint_is_wrong_usage() {
        for text in ["", "s@", "s@0", "s@99999999999999999999", "s@latest~", "s@latest~x", "s@latest~+1", "s@latest-2"]
        {
            assert_eq!(Target::parse(text).expect_err(text).exit, Exit::Usage, "{text}");
        }
        let now = Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        assert_eq!(parse_time("Tuesday-ish", &now).expect_err("no time").exit, Exit::Usage);
    }

    #[test]
    fn a_directory_that_exists_wins_over_a_reference() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = dir.path().join("s@7");
        std::fs::create_dir(&store).expect("created");
        assert_eq!(Target::parse(&store).expect("a target"), Target { store: store.clone(), reference: None });
        let inside = store.join("checkpoints/00000003");
        std::fs::create_dir_all(&inside).expect("created");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&inside, &link).expect("linked");
        for path in [&inside, &link] {
            let target = Target::parse(path).expect("a target");
            assert_eq!(target.reference, number(3));
            assert_eq!(target.store.canonicalize().ok(), store.canonicalize().ok());
        }
    }

    #[test]
    fn a_reference_counts_back_over_the_checkpoints_that_are_left() {
        let left = [Sequence(2), Sequence(5), Sequence(9)];
        let choose = |text: &str| Reference::parse(text).expect(text).choose(&left).map(|sequence| sequence.0);
        assert_eq!(["latest", "latest~1", "latest~2", "5"].map(choose), [Some(9), Some(5), Some(2), Some(5)]);
        assert_eq!(["latest~3", "latest~18446744073709551615", "4", "10"].map(choose), [None; 4]);
    }

    #[test]
    fn what_is_not_there_is_answered_with_what_is() {
        let left = [Sequence(2), Sequence(5), Sequence(9)];
        let say = |text: &str, left: &[Sequence]| {
            let error = missing("s", &Reference::parse(text).expect(text), left);
            assert_eq!(error.exit, Exit::NotFound);
            error.lines().join("\n")
        };
        let cases = [
            ("4", "error: `s` has no checkpoint 4\nhint: the nearest are 2 and 5; `ckpt list s` shows all"),
            ("1", "error: `s` has no checkpoint 1\nhint: the oldest is 2; `ckpt list s` shows all"),
            ("12", "error: `s` has no checkpoint 12\nhint: the latest is 9; `ckpt list s` shows all"),
            (
                "latest~3",
                "error: `s` has no `latest~3`: it holds 3 checkpoints\nhint: the oldest is 2, the latest 9; `ckpt list s` shows all",
            ),
            (
                "3d ago",
                "error: `s` has no checkpoint as old as `3d ago`\nhint: the oldest is 2, the latest 9; `ckpt list s` shows all",
            ),
        ];
        for (text, said) in cases {
            assert_eq!(say(text, &left), said);
        }
        assert!(say("latest~1", &left[..1]).ends_with("hint: there is only checkpoint 2; `ckpt list s` shows all"));
        assert_eq!(say("latest", &[]), "error: `s` has no checkpoint yet");
    }
}
