//! What `verify` can find. `docs/findings.md` has a row for each code.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::format::layout::{self, ObjectName};
use crate::storage::StorageError;
use crate::store::StoreError;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Note,
    /// A checkpoint is not what was committed.
    Damage,
}

impl Severity {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Damage => "damage",
        }
    }
}

/// Makes an enum of codes that keeps each code together with its name, its severity and its next step.
macro_rules! codes {
    ($codes:ident: $($(#[doc = $doc:literal])+ $variant:ident $name:literal $severity:ident $next:literal;)+) => {
        /// The kind of a finding. The meaning of a name never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $codes {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $codes {
            /// Every code.
            pub const ALL: &[$codes] = &[$($codes::$variant),+];

            /// Returns the stable name.
            pub fn as_str(self) -> &'static str {
                match self { $($codes::$variant => $name,)+ }
            }

            /// Returns how much it matters.
            pub fn severity(self) -> Severity {
                match self { $($codes::$variant => Severity::$severity,)+ }
            }

            /// Returns what to do about it.
            pub fn next_step(self) -> &'static str {
                match self { $($codes::$variant => $next,)+ }
            }
        }

        impl std::fmt::Display for $codes {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(super) use codes;

codes! {
    FindingCode:
    /// A replica's `store.yaml` is missing.
    StoreFileMissing "store-file-missing" Damage "`ckpt verify --repair`";
    /// A replica's `store.yaml` cannot be read, was modified, or names another store than the replica's own
    /// checkpoints.
    StoreFileDamaged "store-file-damaged" Damage "`ckpt verify --repair`";
    /// A replica's `replicas.yaml` was modified, so the other replicas cannot be found from it.
    ReplicasFileDamaged "replicas-file-damaged" Damage "`ckpt verify --repair` if there is a replica; otherwise run the job, which writes it again";
    /// A replica's `replicas.yaml` is missing or differs from that of another replica.
    ReplicasFileDiffers "replicas-file-differs" Note "run the job, which writes it again; or `ckpt verify --repair`";
    /// A place that should hold a replica cannot be read, or holds none.
    ReplicaUnavailable "replica-unavailable" Note "bring the disk back; or take the place out of `checkpoint: replicas:` in the job file and run the job";
    /// Other replicas have newer checkpoints.
    ReplicaBehind "replica-behind" Note "nothing, if a run continues: its next checkpoint brings the replica up to date; otherwise `ckpt verify --repair`";
    /// Another replica has a different checkpoint with the same number, and each is intact by itself.
    ReplicaDiverged "replica-diverged" Damage "find out which one is right (`ckpt diff`), and move the other replica away";
    /// Two replicas have so little in common that nothing shows whether one is a copy of the other.
    ReplicaUnrelated "replica-unrelated" Damage "keep the branch of one with `ckpt copy` if you need it, move that replica away, and run the job, which makes a new copy";
    /// A replica lacks a checkpoint that another one has, although it has newer ones.
    CheckpointMissing "checkpoint-missing" Damage "`ckpt verify --repair`";
    /// A place has no checkpoint, although its history names one, and no other replica has newer ones.
    CheckpointsLost "checkpoints-lost" Damage "put them back with `ckpt copy COPY --to STORE`, or run the job with a replica that has them; to start from scratch, move the store away";
    /// A checkpoint's directory has no manifest.
    ManifestMissing "manifest-missing" Damage "`ckpt verify --repair` if there is a replica; otherwise put the file back from a copy, or go back to an older checkpoint";
    /// A manifest cannot be read as one.
    ManifestDamaged "manifest-damaged" Damage "`ckpt verify --repair` if there is a replica; otherwise put the file back from a copy, or go back to an older checkpoint";
    /// A manifest names another store, job or number than the place where it is.
    ManifestMisplaced "manifest-misplaced" Damage "`ckpt verify --repair` if there is a replica; otherwise put the right file back from a copy";
    /// A manifest is not the one that was committed, according to the `SHA256SUMS` in its directory.
    ManifestAltered "manifest-altered" Damage "`ckpt verify --repair` if there is a replica; otherwise put the file back from a copy, or go back to an older checkpoint";
    /// `SHA256SUMS` is missing or cannot be read.
    SumsMissing "sums-missing" Damage "`ckpt verify --repair`: it can be rebuilt if the rest of the checkpoint is intact";
    /// `SHA256SUMS` does not list exactly the manifest and the checkpoint's objects.
    SumsWrong "sums-wrong" Damage "`ckpt verify --repair`: it can be rebuilt if the rest of the checkpoint is intact";
    /// A checkpoint names a parent that exists but differs from what it says.
    ChainBroken "chain-broken" Damage "find out who replaced a checkpoint; compare the store with a copy";
    /// A checkpoint that another one names as its parent is not in the store, and the history does not say why.
    ChainGap "chain-gap" Damage "find out who removed it; put its directory back from a copy of the store";
    /// The parent of a checkpoint was pruned, or left out of a copy.
    ParentGone "parent-gone" Note "nothing: `history/` says when, and by which rules";
    /// An object that a checkpoint needs is missing.
    ObjectMissing "object-missing" Damage "`ckpt verify --repair` if there is a replica; otherwise put the file back from a copy, or go back to an intact checkpoint";
    /// The size of an object differs from what the checkpoint says.
    ObjectSize "object-size" Damage "`ckpt verify --repair` if there is a replica; otherwise put the file back from a copy, or go back to an intact checkpoint";
    /// The bytes of an object do not match the SHA-256 in its name.
    ObjectDamaged "object-damaged" Damage "`ckpt verify --repair` if there is a replica; otherwise put the file back from a copy, or go back to an intact checkpoint";
    /// An object cannot be read: the disk fails to return its bytes, or it is not a regular file.
    ObjectUnreadable "object-unreadable" Damage "look at the file and its disk; then `ckpt verify --repair` if there is a replica";
    /// An object has the right bytes, but they are not a valid table or document of its kind.
    ContentWrong "content-wrong" Damage "go back to an intact checkpoint, and report it: the writer was at fault, not the disk";
    /// A pruned checkpoint that can still be brought back is not what was committed.
    PrunedDamaged "pruned-damaged" Damage "`ckpt verify --repair` if there is a replica; otherwise `ckpt prune --undo` would bring back what is damaged";
    /// A manifest contradicts itself or its parent.
    ManifestWrong "manifest-wrong" Damage "go back to an intact checkpoint, and report it: the writer was at fault, not the disk";
    /// The index contradicts the manifest.
    IndexWrong "index-wrong" Damage "go back to an intact checkpoint, and report it: the writer was at fault, not the disk";
    /// The positions contradict the manifest.
    PositionsWrong "positions-wrong" Damage "go back to an intact checkpoint, and report it: the writer was at fault, not the disk";
    /// A row belongs to another task, or its task to another shard.
    RowMisrouted "row-misrouted" Damage "go back to an intact checkpoint, and report it: the writer was at fault, not the disk";
    /// A segment holds other rows than the index says.
    CountWrong "count-wrong" Damage "go back to an intact checkpoint, and report it: the writer was at fault, not the disk";
    /// The number of keys in the state differs from what the manifest says.
    TotalsWrong "totals-wrong" Damage "go back to an intact checkpoint, and report it: the writer was at fault, not the disk";
    /// A run refuses to resume from it, or would misread it, although its bytes are intact: the job definition is
    /// unusable or contradicts the manifest, a sketch cannot be read, a key has no window in a job with windows, or it
    /// does not have the parts of the job's key.
    NotResumable "not-resumable" Damage "`ckpt run --latest-good` resumes from an older checkpoint; `ckpt restore --to` still writes the state of this one; report it: the writer was at fault, not the disk";
    /// A row has another estimate than its sketch gives. A run goes by the sketch, but queries and exports show
    /// the estimate.
    EstimateWrong "estimate-wrong" Damage "go back to an intact checkpoint, or let the job update the row, which computes the estimate again; report it: the writer was at fault, not the disk";
    /// A pin was modified; it still keeps its checkpoint.
    PinDamaged "pin-damaged" Note "`ckpt verify --repair` if there is a replica; otherwise pin the checkpoint again, with the reason";
    /// A replica lacks a pin that another one has; the pin counts.
    PinMissing "pin-missing" Note "`ckpt verify --repair`; or `ckpt unpin`, which removes it everywhere";
    /// A history event was modified; what can be read of it counts.
    EventDamaged "event-damaged" Note "`ckpt verify --repair` if there is a replica; otherwise nothing: no checkpoint depends on it";
    /// A number is missing in the history, or another replica has an event that this one lacks.
    EventMissing "event-missing" Note "`ckpt verify --repair` if there is a replica; otherwise nothing: no checkpoint depends on it";
    /// Lines of the log of attempts were modified; they are skipped.
    LogDamaged "log-damaged" Note "nothing: a line was cut short when a run was killed, or is damaged; no checkpoint depends on it";
    /// An object that no checkpoint needs.
    ObjectUnused "object-unused" Note "nothing: a checkpoint was cut short before its commit, or is being written now";
    /// A temporary file or directory.
    Leftover "leftover" Note "nothing: a write was cut short, or is in progress";
    /// A damaged file that was replaced by a good one.
    ObjectSetAside "object-set-aside" Note "find out what damaged it; remove the file if nobody needs it";
    /// Something that is not part of a store.
    ForeignFile "foreign-file" Note "remove it if nobody needs it; ckpt never will";
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Object(ObjectName),
    /// The manifest of a committed checkpoint.
    Manifest(Sequence),
    /// A committed checkpoint as a whole: its directory.
    Checkpoint(Sequence),
    /// Any other file or directory, by its path in the store.
    Path(String),
}

impl Subject {
    /// Returns the object, if it is one.
    pub fn object(&self) -> Option<ObjectName> {
        match self {
            Subject::Object(object) => Some(*object),
            _ => None,
        }
    }

    /// Returns the path of the file or directory in the store.
    pub fn path(&self) -> String {
        match self {
            Subject::Object(object) => object.path().to_string(),
            Subject::Manifest(sequence) => layout::manifest(*sequence).to_string(),
            Subject::Checkpoint(sequence) => layout::checkpoint_dir(*sequence).to_string(),
            Subject::Path(path) => path.clone(),
        }
    }
}

impl From<ObjectName> for Subject {
    fn from(object: ObjectName) -> Subject {
        Subject::Object(object)
    }
}

impl From<&RelPath> for Subject {
    fn from(path: &RelPath) -> Subject {
        Subject::Path(path.to_string())
    }
}

impl From<&str> for Subject {
    fn from(path: &str) -> Subject {
        Subject::Path(path.to_owned())
    }
}

/// One thing that `verify` learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub code: FindingCode,
    pub subject: Subject,
    /// The path of the subject.
    pub path: String,
    pub expected: String,
    pub found: String,
    /// The affected checkpoints, ascending: the damage goes back to the first.
    pub checkpoints: Vec<Sequence>,
    /// What is lost in this replica, where that is known.
    pub lost: Option<Lost>,
    /// A replica that has a good copy.
    pub good_copy: Option<String>,
}

/// What is lost with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Everything in the checkpoints: it cannot be located any more.
    State,
    /// The positions in the input: no run can resume from the checkpoints.
    Positions,
    /// The definition of the job: no run can resume from the checkpoints.
    Definition,
    /// What a topic gets after the commit, or got.
    Messages { topic: String, rows: u64 },
    /// Rows of the state.
    Rows {
        first_task: u32,
        last_task: u32,
        /// How many rows, tombstones included.
        rows: u64,
        smallest_key: String,
        largest_key: String,
    },
}

impl Finding {
    /// Returns how much it matters.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Gathers findings. The same finding about several checkpoints is one.
#[derive(Default)]
pub(super) struct Findings {
    found: BTreeMap<(FindingCode, Subject, String, String), BTreeSet<Sequence>>,
    /// The first file that the system refused to read. Nothing is known about it, so no finding may depend on it.
    refused: Option<StorageError>,
}

impl Findings {
    pub(super) fn add(
        &mut self,
        code: FindingCode,
        subject: impl Into<Subject>,
        expected: impl Into<String>,
        found: impl Into<String>,
        checkpoints: impl IntoIterator<Item = Sequence>,
    ) {
        let key = (code, subject.into(), expected.into(), found.into());
        self.found.entry(key).or_default().extend(checkpoints);
    }

    /// Tells whether `error` means that the system refused to read a file, and remembers it if so.
    pub(super) fn is_refusal(&mut self, error: &StorageError) -> bool {
        let is_refusal = error.is_inconclusive();
        if is_refusal {
            self.refused.get_or_insert_with(|| error.clone());
        }
        is_refusal
    }

    /// Remembers that the system refused to read a file, if `error` means that.
    pub(super) fn note_refusal(&mut self, error: &StoreError) {
        if let Some(refusal) = error.refusal() {
            self.is_refusal(refusal);
        }
    }

    /// Returns the first file that the system refused to read.
    pub(super) fn refused(&self) -> Option<&StorageError> {
        self.refused.as_ref()
    }

    pub(super) fn append(&mut self, mut others: Findings) {
        if let Some(refused) = others.refused.take() {
            self.refused.get_or_insert(refused);
        }
        for (key, checkpoints) in std::mem::take(&mut others.found) {
            self.found.entry(key).or_default().extend(checkpoints);
        }
    }

    /// Drops what was found about the checkpoints `removed`, and about nothing else.
    pub(super) fn forget(&mut self, removed: &HashSet<Sequence>) {
        self.found.retain(|_, checkpoints| {
            let is_about_store = checkpoints.is_empty();
            checkpoints.retain(|sequence| !removed.contains(sequence));
            is_about_store || !checkpoints.is_empty()
        });
    }

    /// Drops all findings with `code`.
    pub(super) fn drop_all(&mut self, code: FindingCode) {
        self.found.retain(|(found, ..), _| *found != code);
    }

    /// Tells whether there is a finding with `code` about `subject`.
    pub(super) fn has(&self, code: FindingCode, subject: impl Into<Subject>) -> bool {
        let first = (code, subject.into(), String::new(), String::new());
        self.found.range(&first..).next().is_some_and(|(key, _)| (&key.0, &key.1) == (&first.0, &first.1))
    }

    pub(super) fn finish(self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self
            .found
            .into_iter()
            .map(|((code, subject, expected, found), checkpoints)| Finding {
                code,
                path: subject.path(),
                subject,
                expected,
                found,
                checkpoints: checkpoints.into_iter().collect(),
                lost: None,
                good_copy: None,
            })
            .collect();
        findings.sort_by(|a, b| {
            let order = |f: &Finding| (std::cmp::Reverse(f.severity()), f.path.clone(), f.code);
            order(a).cmp(&order(b))
        });
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::samza::finding::SamzaCode;

    #[test]
    fn the_document_has_a_row_for_each_code_and_no_other() {
        let document = include_str!("../../docs/findings.md");
        let rows: Vec<String> = document
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split('|').take(3).map(str::trim).collect::<Vec<_>>().join("|"))
            .collect();
        let codes = FindingCode::ALL.iter().map(|code| format!("|`{code}`|{}", code.severity().as_str()));
        let samza = SamzaCode::ALL.iter().map(|code| format!("|`{code}`|{}", code.severity().as_str()));
        assert_eq!(rows, codes.chain(samza).collect::<Vec<_>>());
    }

    #[test]
    fn the_document_gives_the_next_step_that_the_program_gives() {
        let document = include_str!("../../docs/findings.md");
        let codes = FindingCode::ALL.iter().map(|code| (code.as_str(), code.next_step()));
        let samza = SamzaCode::ALL.iter().map(|code| (code.as_str(), code.next_step()));
        for (code, next_step) in codes.chain(samza) {
            let row = document.lines().find(|line| line.starts_with(&format!("| `{code}` |"))).unwrap();
            let next = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
            assert_eq!(next, next_step, "{code}");
        }
    }
}
