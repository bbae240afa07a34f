//! Decides what the files of a checkpoint must be.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::format::index;
use crate::format::layout;
use crate::format::manifest::ObjectRef;
use crate::ops::read::index_problems;
use crate::ops::repair::sources::Sources;
use crate::ops::repair::step::Origin;
use crate::store::CheckpointFiles;
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// What a checkpoint's files must be.
pub(super) struct Truth {
    pub(super) manifest: Bytes,
    /// The index of the replica that has the manifest.
    pub(super) from: usize,
    /// The checkpoint's objects, sorted by name, if its index can be read.
    pub(super) objects: Option<Vec<ObjectRef>>,
    /// Its `SHA256SUMS`, and where it comes from.
    pub(super) sums: Option<(Bytes, Origin)>,
}

impl Sources<'_> {
    /// Decides what the files of a checkpoint must be; nothing if that is unknown, or witnesses contradict each other.
    pub(super) fn truth(&self, sequence: Sequence) -> Option<Truth> {
        let copies: Vec<(usize, CheckpointFiles)> =
            self.readable().filter_map(|(index, _)| Some((index, self.files(index, sequence)?))).collect();
        let (sha256, has_witness) = self.witnessed(sequence, &copies)?;
        let is_true = |files: &CheckpointFiles| files.root.usable().is_some() && files.root.sha256 == Some(sha256);
        let (from, files) = copies.iter().find(|(_, files)| is_true(files))?;
        let manifest = files.root.usable()?;
        let rows = self.find_object(manifest.tables.index.object).and_then(|(_, bytes)| index::decode(bytes).ok());
        if !has_witness && rows.as_ref().is_none_or(|rows| !index_problems(manifest, rows).is_empty()) {
            // Nothing vouches for the manifest, and it does not even fit its index.
            return None;
        }
        let objects = rows.map(|rows| manifest.objects(&rows));
        let sums = match &objects {
            Some(objects) => {
                let text = layout::sums_text(objects.iter().map(|object| object.object), sha256);
                Some((Bytes::from(text), Origin::Made))
            }
            None => copies.iter().find_map(|(index, files)| {
                let is_whole =
                    files.root.listed() == Some(sha256) && !self.has_finding(*index, &layout::sums(sequence));
                is_whole.then(|| Some((files.sums.clone()?, Origin::Copy(self.place(*index)))))?
            }),
        };
        Some(Truth { manifest: files.manifest.clone()?, from: *from, objects, sums })
    }

    /// Returns the SHA-256 of the true manifest, and whether anything but the manifest itself says so. The strongest
    /// kind of witness that exists decides, if all of its kind agree.
    fn witnessed(&self, sequence: Sequence, copies: &[(usize, CheckpointFiles)]) -> Option<(Digest, bool)> {
        let roots = || copies.iter().map(|(_, files)| &files.root);
        let consistent = roots().filter(|root| root.is_consistent()).filter_map(|root| root.sha256).collect();
        let listed = roots().filter_map(|root| root.listed()).collect();
        let witnesses = [self.promises(sequence), consistent, listed].into_iter().find(|kind| !kind.is_empty());
        let has_witness = witnesses.is_some();
        let witnesses: BTreeSet<Digest> = witnesses
            .unwrap_or_else(|| roots().filter(|root| root.usable().is_some()).filter_map(|root| root.sha256).collect());
        match witnesses.into_iter().collect::<Vec<_>>()[..] {
            [sha256] => Some((sha256, has_witness)),
            _ => None,
        }
    }

    /// Returns the SHA-256 of the manifest as the next checkpoint of each replica names it.
    fn promises(&self, sequence: Sequence) -> BTreeSet<Digest> {
        let mut promises = BTreeSet::new();
        for (index, source) in self.readable() {
            let Some(&child) = source.sequences.iter().find(|&&other| other > sequence) else { continue };
            let Some(files) = self.files(index, child).filter(|files| files.root.is_consistent()) else { continue };
            let parent = files.root.usable().and_then(|manifest| manifest.parent);
            promises.extend(parent.filter(|parent| parent.sequence == sequence).map(|parent| parent.sha256));
        }
        promises
    }
}
