//! What a directory and a bucket both do well.

use std::fmt;
use std::path::Path;

use crate::format::manifest::Output;
use crate::runner::output::place::error::PlaceError;
use crate::runner::output::place::writer::PlaceWriter;
use crate::values::id::Sequence;

/// A directory, or a prefix of the names in a bucket.
pub(crate) trait OutputPlace: fmt::Debug + Send + Sync {
    /// Returns `name` with the place, for messages.
    fn shown(&self, name: &str) -> String;

    /// Returns its path, if it is a directory.
    fn directory(&self) -> Option<&Path>;

    /// Returns the store that it is in, if it is a bucket. Of a directory, the file system shows that.
    fn enclosing_store(&self) -> Result<Option<String>, PlaceError>;

    /// Returns the names of files in it that begin with `beginning`, in any order.
    fn names(&self, beginning: &str) -> Result<Vec<String>, PlaceError>;

    /// Returns what has this name.
    fn look(&self, name: &str) -> Result<Found, PlaceError>;

    /// Returns whether the file `name` is `output`.
    fn holds(&self, name: &str, output: &Output) -> Result<bool, PlaceError>;

    /// Returns whether `copy` is what an interrupted [`OutputPlace::rename`] of `name` has left.
    fn is_copy(&self, name: &str, copy: &str) -> Result<bool, PlaceError>;

    /// Returns whether other programs may publish here too, so that a file that is already in place must not be
    /// replaced.
    fn is_shared(&self) -> bool;

    /// Creates the staged file `staged` of checkpoint `sequence`, and replaces what has the name.
    fn create(&self, staged: &str, sequence: Sequence) -> Result<PlaceWriter<'_>, PlaceError>;

    /// Creates the empty file `name`, durably, unless there is one.
    fn mark(&self, name: &str) -> Result<(), PlaceError>;

    /// Gives the file `from` the name `to`, durably, and replaces what has the name. Readers find the old file or the
    /// new one under `to` at any time. If a crash interrupts this, doing it again completes it. Returns false if there is
    /// no file `from`, or not anymore.
    fn rename(&self, from: &str, to: &str) -> Result<bool, PlaceError>;

    /// Publishes the staged file `staged` of checkpoint `sequence`, which is `output`, as `name`. Does nothing if another worker
    /// has done that.
    fn publish(&self, staged: &str, name: &str, sequence: Sequence, output: &Output) -> Result<(), PlaceError>;

    /// Removes the staged files that will never be published, up to checkpoint `newest`, the newest that any run has
    /// committed. In a directory that is not shared, removes all of them without one.
    fn remove_strays(&self, staged: &[(String, Sequence)], newest: Option<Sequence>) -> Result<(), PlaceError>;
}

/// What has a name in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    File,
    /// A directory, a link, a pipe.
    Other,
}
