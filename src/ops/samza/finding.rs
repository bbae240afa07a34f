//! What `ckpt samza verify` can find. `docs/findings.md` has a row for each code.

use crate::ops::finding::{Severity, codes};

codes! {
    SamzaCode:
    /// A checkpoint file, or a message of the checkpoint topic, cannot be read.
    CheckpointDamaged "samza-checkpoint-damaged" Damage "keep the job stopped: Samza treats a damaged V1 checkpoint as missing and starts the task at `samza.offset.default`; put an older copy back, or set the positions with `checkpoint-tool.sh`";
    /// A checkpoint names a stream with a dot, and Samza cannot read it.
    NameRefused "samza-name-refused" Damage "rename the topic, or let the job write V1 checkpoints as well and read these";
    /// A state marker cannot be read, so its store cannot be restored.
    MarkerDamaged "samza-marker-damaged" Damage "let Samza restore the store from the whole changelog, or set the job back to an older checkpoint";
    /// A file with the positions of a local store cannot be read, or does not match its CRC-32.
    OffsetsDamaged "samza-offsets-damaged" Damage "delete the directory of the store: Samza restores it from its changelog or blob store";
    /// A file of offsets for the checkpoint tool has a line that is not an offset.
    PropertiesDamaged "samza-properties-damaged" Damage "correct the line: `checkpoint-tool.sh` leaves it out with a warning";
    /// A snapshot of a local store says that it belongs to another checkpoint than its name.
    StoreMisplaced "samza-store-misplaced" Damage "delete the directory of the snapshot: Samza restores the store from its changelog or blob store";
    /// A snapshot index cannot be read.
    IndexDamaged "samza-index-damaged" Damage "put the blob back from a copy of the blob store; without it the store is lost";
    /// A snapshot index that a checkpoint names is missing.
    IndexMissing "samza-index-missing" Damage "dump the checkpoint topic again if the job ran since; otherwise put the blob back from a copy of the blob store; without it the store is lost";
    /// A snapshot index contradicts itself or the one that it replaced.
    IndexWrong "samza-index-wrong" Damage "do not restore from it; compare the blob store with a copy";
    /// A blob that a snapshot needs is missing.
    BlobMissing "samza-blob-missing" Damage "put the blob back from a copy of the blob store, or set the job back to a checkpoint with an intact snapshot";
    /// The blobs of a file have more or fewer bytes than the snapshot index says.
    BlobSize "samza-blob-size" Damage "put the blob back from a copy of the blob store, or set the job back to a checkpoint with an intact snapshot";
    /// The bytes of a file do not match the CRC-32 in the snapshot index.
    BlobDamaged "samza-blob-damaged" Damage "put the blob back from a copy of the blob store, or set the job back to a checkpoint with an intact snapshot";
    /// A stream has a dot in its name, and only the V1 checkpoint can be read.
    NameDotted "samza-name-dotted" Note "keep `task.checkpoint.read.versions` at 1: Samza cannot read the V2 checkpoint";
    /// The V1 and the V2 checkpoint of a task disagree.
    VersionsDiffer "samza-versions-differ" Note "nothing if the job was killed: a commit writes V1 first; otherwise find out which one the job reads (`task.checkpoint.read.versions`)";
    /// The messages of a checkpoint topic were written by jobs that group partitions in different ways.
    GroupersDiffer "samza-groupers-differ" Note "a job refuses checkpoints of another grouper; give it another name or a new topic";
    /// The files with the positions of a local store disagree.
    OffsetsDiffer "samza-offsets-differ" Note "nothing if the job was killed or is running: Samza restores the rest from the changelog";
    /// A snapshot of a local store has no positions.
    StoreIncomplete "samza-store-incomplete" Note "nothing: a commit was cut short or is in progress; Samza removes the directory";
    /// A snapshot index was replaced by another one, and its blobs are being removed.
    IndexSuperseded "samza-index-superseded" Note "nothing if the newer snapshot is intact: removing the old one was cut short; a dump of the checkpoint topic shows which one the job uses";
    /// A snapshot index cannot be read, and no checkpoint names it.
    IndexUnfinished "samza-index-unfinished" Note "nothing: a commit was cut short before its checkpoint; the blob store removes it at its time to live";
    /// A blob that no snapshot needs.
    BlobUnused "samza-blob-unused" Note "nothing: a commit was cut short or is in progress; the blob store removes it at its time to live";
    /// A temporary file.
    Leftover "samza-leftover" Note "nothing: a write was cut short, or is in progress";
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamzaFinding {
    pub code: SamzaCode,
    /// The file, with the line if it is a dump.
    pub path: String,
    pub task: Option<String>,
    pub expected: String,
    pub found: String,
}

impl SamzaFinding {
    /// Makes a finding about no task in particular.
    pub fn new(
        code: SamzaCode,
        path: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> SamzaFinding {
        SamzaFinding { code, path: path.into(), task: None, expected: expected.into(), found: found.into() }
    }

    /// Names the task.
    #[must_use]
    pub fn of(self, task: &str) -> SamzaFinding {
        SamzaFinding { task: Some(task.to_owned()), ..self }
    }
}
