//! Files that no checkpoint needs.

/// Something that no checkpoint needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The replica that it is in.
    pub place: String,
    /// Its path in the store.
    pub path: String,
    pub kind: LeftoverKind,
    /// Its size; 0 for a directory.
    pub bytes: u64,
    /// How long ago it was written, if known.
    pub age_seconds: Option<i64>,
    pub fate: Fate,
}

/// What a leftover is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftoverKind {
    /// An object that no checkpoint needs: a checkpoint was cut short before its commit, or is being written now.
    Object,
    /// A temporary file or directory: a write was cut short, or is in progress.
    Temporary,
    /// A damaged object that was replaced by a good one.
    SetAside,
    /// Something that is not part of a store.
    Foreign,
}

/// What happens to a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is deleted, unless a job is running that may need it.
    Remove,
    /// It is kept until its grace period is over.
    Wait,
    /// It is kept: only a person knows what it is for.
    Leave,
}
