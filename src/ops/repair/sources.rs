//! The replicas that good copies can come from.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::format::layout::{self, ObjectName};
use crate::ops::verify::{Report, places};
use crate::store::records::history::{Departures, History};
use crate::store::{CheckpointFiles, Fork, Replica, Store, forks};
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// The replicas that good copies can come from, and what was found in each.
pub(super) struct Sources<'a> {
    pub(super) store: &'a Store,
    pub(super) reports: &'a [Report],
    /// One for each report, if it can be read.
    pub(super) replicas: Vec<Option<Source>>,
    /// Where replicas diverged; nothing if that is unknown.
    pub(super) forks: Option<Vec<Fork>>,
    /// The checkpoints that were removed on purpose.
    pub(super) departures: Departures,
}

/// A replica that can be read.
pub(super) struct Source {
    pub(super) replica: Replica,
    /// The numbers of its checkpoint directories.
    pub(super) sequences: BTreeSet<Sequence>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(store: &'a Store, reports: &'a [Report]) -> Sources<'a> {
        let replicas: Vec<Option<Source>> = places(store)
            .into_iter()
            .map(|place| {
                let replica = place.ok()?.replica;
                let sequences = replica.sequences().ok()?.into_iter().collect();
                Some(Source { replica, sequences })
            })
            .collect();
        let readable: Vec<Replica> = replicas.iter().flatten().map(|source| source.replica.clone()).collect();
        // A history that cannot be listed explains nothing.
        let departures = store.history().unwrap_or_default().departures();
        Sources { store, reports, replicas, forks: forks(&store.file, &readable).ok(), departures }
    }

    /// Returns the replicas that can be read, each with its index.
    pub(super) fn readable(&self) -> impl Iterator<Item = (usize, &Source)> {
        self.replicas.iter().enumerate().filter_map(|(index, replica)| Some((index, replica.as_ref()?)))
    }

    /// Tells whether replicas may have different checkpoints with this number, each of them intact.
    pub(super) fn is_divided(&self, sequence: Sequence) -> bool {
        self.forks.as_ref().is_none_or(|forks| forks.iter().any(|fork| fork.divides(sequence)))
    }

    pub(super) fn place(&self, index: usize) -> String {
        self.reports[index].place.clone()
    }

    /// Reads the files of checkpoint `sequence` in replica `index`.
    pub(super) fn files(&self, index: usize, sequence: Sequence) -> Option<CheckpointFiles> {
        let replica = &self.replicas[index].as_ref()?.replica;
        Some(replica.read_files(&self.store.file, &layout::checkpoint_dir(sequence), sequence))
    }

    /// Returns the history of replica `index` alone, if it can be read.
    pub(super) fn own_history(&self, index: usize) -> Option<History> {
        let source = self.replicas[index].as_ref()?;
        Store::new(self.store.file.clone(), vec![source.replica.storage().clone()]).history().ok()
    }

    /// Returns the parent that the manifest of `child` in replica `index` names.
    pub(super) fn parent(&self, index: usize, child: Sequence) -> Option<Sequence> {
        Some(self.files(index, child)?.root.usable()?.parent?.sequence)
    }

    /// Tells whether there is a finding about `path` in replica `index`.
    pub(super) fn has_finding(&self, index: usize, path: &RelPath) -> bool {
        self.reports[index].findings.iter().any(|finding| finding.path == path.as_str())
    }

    /// Returns a good copy of an object, and the index of the replica that has it.
    pub(super) fn find_object(&self, object: ObjectName) -> Option<(usize, Bytes)> {
        self.readable().find_map(|(index, source)| Some((index, source.replica.intact_object(object).ok()??)))
    }

    /// Tells whether replica `index` is known to have an intact copy of an object.
    pub(super) fn has_object(&self, index: usize, object: ObjectName) -> bool {
        self.look_for(index, object) == Some(true)
    }

    /// Tells whether replica `index` is known to lack an intact copy of an object.
    pub(super) fn lacks_object(&self, index: usize, object: ObjectName) -> bool {
        self.look_for(index, object) == Some(false)
    }

    /// Tells whether replica `index` has an intact copy of an object; nothing if the replica was not read.
    fn look_for(&self, index: usize, object: ObjectName) -> Option<bool> {
        let found = self.replicas[index].as_ref()?.replica.intact_object(object).ok()?;
        Some(found.is_some())
    }
}
