//! The error that ends a command: a message, causes, hints and an exit code.

use std::error::Error;
use std::io;

use rustix::io::Errno;

use crate::cli::exit::Exit;
use crate::cli::text::escape;
use crate::format::error::ManifestError;
use crate::ops::read::ReadError;
use crate::storage::{BucketFault, StorageError};
use crate::store::StoreError;

/// Why a command stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// The exit code; never [`Exit::Clean`].
    pub exit: Exit,
    /// What failed, to what, and what was found: lower case, names in backquotes, no full stop.
    pub message: String,
    /// Further errors of the same kind, such as the other mistakes in a file.
    pub others: Vec<String>,
    /// The causes, the nearest first.
    pub causes: Vec<String>,
    /// What the user can do, each a sentence without a full stop.
    pub hints: Vec<String>,
}

impl CliError {
    /// Makes an error with an exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> CliError {
        let exit = if exit == Exit::Clean { Exit::Failed } else { exit };
        CliError { exit, message: message.into(), others: Vec::new(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Makes an error about invalid arguments or an invalid job file.
    pub fn usage(message: impl Into<String>) -> CliError {
        CliError::new(Exit::Usage, message)
    }

    /// Makes an error about a store or checkpoint that does not exist.
    pub fn not_found(message: impl Into<String>) -> CliError {
        CliError::new(Exit::NotFound, message)
    }

    /// Makes an error about a failed system call: cannot `action` `path`.
    pub fn io(action: &str, path: impl AsRef<std::path::Path>, source: &io::Error) -> CliError {
        CliError::new(Exit::Failed, format!("cannot {action} `{}`", path.as_ref().display())).caused_by(source)
    }

    /// Makes an error from another, with its message and causes.
    pub fn of(exit: Exit, error: &dyn Error) -> CliError {
        let new = CliError::new(exit, error.to_string());
        match error.source() {
            Some(source) => new.caused_by(source),
            None => new,
        }
    }

    /// Adds `cause` and its causes, and hints for the errors of the system among them.
    #[must_use]
    pub fn caused_by(mut self, cause: &(dyn Error + 'static)) -> CliError {
        let mut next = Some(cause);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            let hint = error.downcast_ref::<io::Error>().and_then(resource_hint);
            if let Some(hint) = hint.filter(|hint| !self.hints.iter().any(|known| known == hint)) {
                self.hints.push(hint.to_owned());
            }
            next = error.source();
        }
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hints.push(hint.into());
        self
    }

    /// Adds a cause that is not an error itself.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> CliError {
        self.causes.push(cause.into());
        self
    }

    /// Adds hints.
    #[must_use]
    pub fn hints_of(mut self, hints: impl IntoIterator<Item = String>) -> CliError {
        self.hints.extend(hints);
        self
    }

    /// Returns the lines to print, without line breaks and safe for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("error: {}", escape(&self.message))];
        lines.extend(self.others.iter().map(|other| format!("error: {}", escape(other))));
        lines.extend(self.causes.iter().map(|cause| format!("  caused by: {}", escape(cause))));
        lines.extend(self.hints.iter().map(|hint| format!("hint: {}", escape(hint))));
        lines
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> CliError {
        if let StoreError::Storage(error) = error {
            return error.into();
        }
        let exit = match &error {
            refused if refused.is_inconclusive() => Exit::Failed,
            StoreError::NoStore { .. }
            | StoreError::NotAReplica { .. }
            | StoreError::NoCheckpoint { .. }
            | StoreError::CheckpointsLost { .. } => Exit::NotFound,
            StoreError::Busy { .. } | StoreError::NumberTaken { .. } | StoreError::Overtaken { .. } => Exit::Busy,
            StoreError::Manifest { source: ManifestError::Format { .. }, .. } => Exit::Failed,
            StoreError::PlacesUnread { source, .. } if source.is_of_later_version() => Exit::Failed,
            StoreError::Manifest { .. }
            | StoreError::StoreFileGone { .. }
            | StoreError::ManifestDamaged { .. }
            | StoreError::SumsDamaged { .. }
            | StoreError::Index { .. }
            | StoreError::Mismatch { .. }
            | StoreError::Diverged { .. }
            | StoreError::Unrelated { .. }
            | StoreError::PlacesUnread { .. }
            | StoreError::Damaged { .. } => Exit::Damaged,
            StoreError::SamePlace { .. } => Exit::Usage,
            StoreError::StoreExists { .. }
            | StoreError::Unusable { .. }
            | StoreError::TooFewCopies { .. }
            | StoreError::Storage(_) => Exit::Failed,
        };
        let hint = match &error {
            StoreError::NoStore { .. } => "a store is the directory that a job file names in `checkpoint: store:`",
            StoreError::PlacesUnread { .. } => {
                "nothing was changed; the next run of the job writes `replicas.yaml` again, and so does `ckpt verify STORE --replica DIR --repair`"
            }
            StoreError::NoCheckpoint { .. } => "`ckpt list STORE` lists the checkpoints",
            StoreError::Manifest { source: ManifestError::Format { .. }, .. } => {
                "use the version of ckpt that wrote it, or a later one"
            }
            StoreError::Diverged { place, other, own, others, .. }
            | StoreError::Unrelated { place, other, own, others } => {
                let branches = format!(
                    "`{place}` has {own} of its own, and `{other}` has {others}; compare them with `ckpt diff {place} {other}`"
                );
                let keep = format!(
                    "to give up one of them, copy it with `ckpt copy {other} --to NEW` (or `{place}`), move its directory away, and run the job, which makes a new replica there"
                );
                return CliError::of(exit, &error).hint(branches).hint(keep);
            }
            StoreError::CheckpointsLost { place, .. } => {
                let back = format!(
                    "run the job with a replica that has them, or put them back with `ckpt copy COPY --to {place}`"
                );
                let hint = format!("to start from scratch, move `{place}` away, with its `history/`");
                return CliError::of(exit, &error).hint(back).hint(hint);
            }
            StoreError::SamePlace { .. } => "give each replica its own directory, preferably on another disk",
            StoreError::TooFewCopies { .. } => {
                "bring the replica back, or lower `checkpoint: min_copies:` in the job file"
            }
            StoreError::StoreFileGone { .. } => {
                "restore `store.yaml` from a copy of the store with the same identity, which every manifest names"
            }
            StoreError::NumberTaken { .. } | StoreError::Overtaken { .. } => {
                "two runs are writing to the same store: stop one of them"
            }
            _ if exit == Exit::Damaged => VERIFY,
            _ => return CliError::of(exit, &error),
        };
        CliError::of(exit, &error).hint(hint)
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> CliError {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Table { .. } | ReadError::Index { .. } | ReadError::Job { .. } => {
                CliError::of(Exit::Damaged, &error).hint(VERIFY)
            }
        }
    }
}

impl From<StorageError> for CliError {
    fn from(error: StorageError) -> CliError {
        match &error {
            StorageError::Held { .. } => CliError::of(Exit::Busy, &error),
            StorageError::Gone { .. } => CliError::of(Exit::Failed, &error).hint(GONE),
            StorageError::Link { .. } => CliError::of(Exit::Failed, &error)
                .hint("to keep it on another disk, mount or bind the disk there; or name the whole store by a link"),
            // Only files that a manifest names are read, so a missing one is damage.
            StorageError::NotFound { .. }
            | StorageError::NotAFile { .. }
            | StorageError::NotADirectory { .. }
            | StorageError::TooLarge { .. } => CliError::of(Exit::Damaged, &error).hint(VERIFY),
            StorageError::Bucket { fault, .. } => {
                let exit = if *fault == BucketFault::NoBucket { Exit::NotFound } else { Exit::Failed };
                CliError::of(exit, &error).hints_of(bucket_hint(*fault).map(str::to_owned))
            }
            StorageError::Unusable { .. } => CliError::of(Exit::Usage, &error),
            StorageError::Exists { .. } | StorageError::Io { .. } | StorageError::Unsettled { .. } => {
                CliError::of(Exit::Failed, &error)
            }
        }
    }
}

/// Returns what to do about an answer of a bucket.
pub(super) fn bucket_hint(fault: BucketFault) -> Option<&'static str> {
    Some(match fault {
        BucketFault::NoCredentials => {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; also looked for in ~/.aws/credentials, a web identity, \
             a container role and the metadata service of this machine"
        }
        BucketFault::WrongCredentials => "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
        BucketFault::ExpiredToken => "get new credentials, and start the command again",
        BucketFault::Denied => "docs/object-storage.md lists the rights that ckpt needs",
        BucketFault::NoBucket => "create the bucket, or correct its name or AWS_ENDPOINT_URL",
        BucketFault::WrongRegion => "set AWS_REGION to the region of the bucket",
        BucketFault::ClockSkew => "set the clock of this machine (`timedatectl`)",
        BucketFault::Throttled => "try again later, or with fewer requests at once",
        BucketFault::Unreachable => "check AWS_ENDPOINT_URL, the network and the proxy (HTTPS_PROXY, NO_PROXY)",
        BucketFault::Encryption => {
            "check the certificate of the server; AWS_CA_BUNDLE names a file with those of your own authority"
        }
        BucketFault::NotSupported => "docs/object-storage.md lists the servers that ckpt was tested with",
        BucketFault::Configuration => "check the AWS_ variables of the environment",
        BucketFault::NotS3 => "AWS_ENDPOINT_URL must lead to the server itself, not to its web console or a portal",
        BucketFault::IgnoresConditions => {
            "use another server: docs/object-storage.md lists those that ckpt was tested with"
        }
        BucketFault::Changed => "another program writes to the bucket; try again",
        BucketFault::Archived => "restore the object in the bucket, and remove the lifecycle rule that archives it",
        BucketFault::Full => "free space, or raise the quota of the bucket; committed checkpoints are unaffected",
        BucketFault::OddName => "remove or rename the object; ckpt never creates such a name",
        BucketFault::Refused | BucketFault::TimedOut | BucketFault::Interrupted | BucketFault::Server => return None,
    })
}

/// Returns a hint for an error of the system.
fn resource_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull => Some(
            "free space on that disk, for instance with `ckpt prune STORE --keep-last N --grace 0s`; committed \
             checkpoints are unaffected",
        ),
        io::ErrorKind::QuotaExceeded => Some(
            "raise the quota or free space, for instance with `ckpt prune STORE --keep-last N --grace 0s`; committed \
             checkpoints are unaffected",
        ),
        io::ErrorKind::ReadOnlyFilesystem => Some(
            "mount it for writing, or use another directory; a disk with errors is often remounted read-only (see \
             `dmesg`)",
        ),
        io::ErrorKind::PermissionDenied => Some("run ckpt as the owner of the file, or give this user access to it"),
        io::ErrorKind::FileTooLarge => Some("raise the limit on the size of files (`ulimit -f`)"),
        io::ErrorKind::StaleNetworkFileHandle => Some(GONE),
        _ => match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE) => Some("raise the limit on open files (`ulimit -n`)"),
            Some(Errno::NOSYS | Errno::NOTSUP | Errno::NOLCK) => {
                Some("use a file system that supports this; a store needs locks (`flock`) and renames")
            }
            Some(Errno::IO) => Some(
                "the disk or its connection is failing (see `dmesg`); check the checkpoints with `ckpt verify STORE`",
            ),
            _ => None,
        },
    }
}

const GONE: &str = "was it unmounted or moved? put it back and try again; committed checkpoints are unaffected";
const VERIFY: &str = "`ckpt verify STORE` lists all damage";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::id::Sequence;

    #[test]
    fn an_error_prints_its_causes_and_hints_and_no_control_characters() {
        let source = io::Error::other("disk\u{1b}[2J\non fire");
        let error = CliError::io("write", "a\u{7}b", &source).hint("buy another");
        assert_eq!(
            error.lines(),
            ["error: cannot write `a\\u{7}b`", "  caused by: disk\\u{1b}[2J\\non fire", "hint: buy another"]
        );
    }

    #[test]
    fn an_error_never_ends_with_zero() {
        assert_eq!(CliError::new(Exit::Clean, "impossible").exit, Exit::Failed);
    }

    #[test]
    fn the_kind_of_a_store_error_picks_the_exit_code() {
        let place = || "s".to_owned();
        let io = || StorageError::Io { action: "read", path: place(), source: io::Error::other("no") };
        let cases = [
            (StoreError::NoStore { place: place() }, Exit::NotFound),
            (StoreError::NoCheckpoint { place: place(), sequence: Sequence(9) }, Exit::NotFound),
            (StoreError::Busy { place: place(), holder: "pid 1".to_owned() }, Exit::Busy),
            (StoreError::NumberTaken { sequence: Sequence(9) }, Exit::Busy),
            (
                StoreError::Manifest { path: place(), source: ManifestError::Malformed { reason: "x".to_owned() } },
                Exit::Damaged,
            ),
            (StoreError::Manifest { path: place(), source: ManifestError::Format { found: 2 } }, Exit::Failed),
            (StorageError::NotFound { path: place() }.into(), Exit::Damaged),
            (StorageError::Held { path: place(), holder: place() }.into(), Exit::Busy),
            (io().into(), Exit::Failed),
        ];
        for (error, exit) in cases {
            let words = error.to_string();
            let error = CliError::from(error);
            assert_eq!((error.exit, &error.message), (exit, &words));
        }
        assert_eq!(CliError::from(io()).causes, ["no"]);
    }
}
