//! Chooses the steps that repair what was found.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::layout::{self, ObjectName};
use crate::format::manifest::Manifest;
use crate::format::store_file::StoreFile;
use crate::ops::finding::FindingCode;
use crate::ops::repair::healed::{Steps, hopeless};
use crate::ops::repair::plan::RepairPlan;
use crate::ops::repair::sources::{Source, Sources};
use crate::ops::repair::step::{Cure, Origin, Step};
use crate::ops::repair::truth::Truth;
use crate::ops::verify::{Report, is_of_store};
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// Plans to repair the damage in `reports`, which [`verify_with`](crate::ops::verify::verify_with) has just made about
/// `store`.
///
/// Reads the good copies, and writes nothing.
pub fn plan(store: &Store, reports: &[Report]) -> RepairPlan {
    let mut planner = Planner::new(store, reports);
    planner.plan();
    planner.finish()
}

/// Chooses the steps of a repair.
pub(super) struct Planner<'a> {
    pub(super) sources: Sources<'a>,
    steps: Steps,
}

impl<'a> Planner<'a> {
    fn new(store: &'a Store, reports: &'a [Report]) -> Planner<'a> {
        Planner { sources: Sources::new(store, reports), steps: BTreeMap::new() }
    }

    fn plan(&mut self) {
        self.heal_store_files();
        // Which branch of a fork is right, nobody can say: nothing crosses it.
        let affected = self.affected().into_iter().filter(|&sequence| !self.sources.is_divided(sequence));
        for sequence in affected.collect::<Vec<_>>() {
            self.heal_checkpoint(sequence);
        }
        self.heal_objects();
        self.heal_records();
    }

    fn finish(self) -> RepairPlan {
        let hopeless = hopeless(&self.sources, &self.steps);
        let mut steps: Vec<Step> = self.steps.into_values().collect();
        steps.sort_by(|a, b| (a.rank(), &a.place, &a.path).cmp(&(b.rank(), &b.place, &b.path)));
        RepairPlan { steps, hopeless }
    }

    pub(super) fn add(&mut self, index: usize, path: RelPath, origin: Origin, bytes: u64, cure: Cure) {
        let Some(source) = &self.sources.replicas[index] else { return };
        let target = source.replica.clone();
        let step = Step { place: self.sources.place(index), path: path.clone(), origin, bytes, cure, target };
        // It may have been written since it was verified. What was not read may be right.
        if matches!(step.is_done(), Ok(false)) {
            self.steps.entry((index, path)).or_insert(step);
        }
    }

    fn heal_store_files(&mut self) {
        let path = layout::store_file();
        // A copy that is as it was written, of this store.
        let whole = self.sources.readable().find_map(|(index, source)| {
            let bytes = source.replica.get(&path, Manifest::MAX_BYTES).ok()?;
            let file = StoreFile::from_yaml(&bytes).ok().filter(|_| StoreFile::is_whole(&bytes))?;
            let own = &self.sources.store.file;
            // Its own checkpoints must say so too: both may be of another store.
            let is_own = (&file.store, &file.job) == (&own.store, &own.job);
            (is_own && is_of_store(&source.replica, self.sources.store)).then_some((index, bytes))
        });
        let Some((from, bytes)) = whole else { return };
        for (index, report) in self.sources.reports.iter().enumerate() {
            let wrong = [FindingCode::StoreFileMissing, FindingCode::StoreFileDamaged];
            if report.findings.iter().any(|finding| wrong.contains(&finding.code)) {
                let origin = Origin::Copy(self.sources.place(from));
                self.add(index, path.clone(), origin, bytes.len() as u64, Cure::File(bytes.clone()));
            }
        }
    }

    /// Returns the checkpoints whose own files are in question, because of a finding or because nothing could be found.
    fn affected(&self) -> BTreeSet<Sequence> {
        use FindingCode::*;
        let own_files = [
            ManifestMissing,
            ManifestDamaged,
            ManifestMisplaced,
            ManifestAltered,
            SumsMissing,
            SumsWrong,
            CheckpointMissing,
            ReplicaBehind,
            ReplicaDiverged,
            ChainBroken,
        ];
        let mut affected = BTreeSet::new();
        for (index, report) in self.sources.reports.iter().enumerate() {
            affected.extend(&report.uncompared);
            for finding in report.findings.iter().filter(|finding| own_files.contains(&finding.code)) {
                affected.extend(&finding.checkpoints);
                if finding.code == ChainBroken {
                    affected.extend(finding.checkpoints.iter().filter_map(|&child| self.sources.parent(index, child)));
                }
            }
        }
        affected
    }

    fn heal_checkpoint(&mut self, sequence: Sequence) {
        let Some(truth) = self.sources.truth(sequence) else { return };
        let indexs: Vec<usize> = self.sources.readable().map(|(index, _)| index).collect();
        for index in indexs {
            let source = self.sources.replicas[index].as_ref();
            if source.is_some_and(|source| source.sequences.contains(&sequence)) {
                self.heal_files(index, sequence, &truth);
            } else {
                self.heal_absence(index, sequence, &truth);
            }
        }
    }

    /// Repairs a checkpoint that has a directory in a replica.
    fn heal_files(&mut self, index: usize, sequence: Sequence, truth: &Truth) {
        let Some(files) = self.sources.files(index, sequence) else { return };
        if files.root.usable().is_none() || files.manifest.as_ref() != Some(&truth.manifest) {
            let (path, origin) = (layout::manifest(sequence), Origin::Copy(self.sources.place(truth.from)));
            let bytes = truth.manifest.len() as u64;
            self.add(index, path, origin, bytes, Cure::File(truth.manifest.clone()));
        }
        if let Some((sums, origin)) = &truth.sums
            && files.sums.as_ref() != Some(sums)
        {
            let path = layout::sums(sequence);
            self.add(index, path, origin.clone(), sums.len() as u64, Cure::File(sums.clone()));
        }
        // Verification could not know all objects of a checkpoint whose files are damaged.
        for object in truth.objects.iter().flatten() {
            self.heal_object(index, object.object);
        }
    }

    /// Writes a checkpoint that a replica is missing, if it should have it.
    fn heal_absence(&mut self, index: usize, sequence: Sequence, truth: &Truth) {
        let absent = [FindingCode::CheckpointMissing, FindingCode::ReplicaBehind];
        let mut findings = self.sources.reports[index].findings.iter();
        if !findings.any(|finding| absent.contains(&finding.code) && finding.checkpoints.contains(&sequence)) {
            return;
        }
        self.copy_checkpoint(index, sequence, truth);
    }

    /// Plans to copy a checkpoint to a replica unless it has it. Returns whether the replica will have it.
    pub(super) fn bring(&mut self, index: usize, sequence: Sequence) -> bool {
        let has_it = |source: &Source| source.sequences.contains(&sequence);
        if self.sources.replicas[index].as_ref().is_some_and(has_it)
            || self.steps.contains_key(&(index, layout::checkpoint_dir(sequence)))
        {
            return true;
        }
        self.sources.truth(sequence).is_some_and(|truth| self.copy_checkpoint(index, sequence, &truth))
    }

    /// Plans to write a checkpoint to a replica. Returns whether that is possible.
    fn copy_checkpoint(&mut self, index: usize, sequence: Sequence, truth: &Truth) -> bool {
        let (Some(objects), Some((sums, _))) = (&truth.objects, &truth.sums) else { return false };
        if objects.iter().any(|object| self.sources.find_object(object.object).is_none()) {
            return false;
        }
        let bytes = objects.iter().map(|object| object.bytes).fold(0, u64::saturating_add);
        let names = objects.iter().map(|object| object.object).collect();
        let cure = Cure::Checkpoint { objects: names, sums: sums.clone(), manifest: truth.manifest.clone() };
        self.add(index, layout::checkpoint_dir(sequence), Origin::Copy(self.sources.place(truth.from)), bytes, cure);
        true
    }

    fn heal_objects(&mut self) {
        use FindingCode::{ObjectDamaged, ObjectMissing, ObjectSize, ObjectUnreadable};
        let codes = [ObjectMissing, ObjectSize, ObjectDamaged, ObjectUnreadable];
        let reports = self.sources.reports;
        for (index, report) in reports.iter().enumerate() {
            for finding in report.findings.iter().filter(|finding| codes.contains(&finding.code)) {
                if let Some(object) = finding.subject.object() {
                    self.heal_object(index, object);
                }
            }
        }
    }

    /// Repairs an object that is missing or damaged.
    pub(super) fn heal_object(&mut self, index: usize, object: ObjectName) {
        if self.steps.contains_key(&(index, object.path())) || !self.sources.lacks_object(index, object) {
            return;
        }
        if let Some((from, bytes)) = self.sources.find_object(object) {
            let origin = Origin::Copy(self.sources.place(from));
            self.add(index, object.path(), origin, bytes.len() as u64, Cure::Object(object));
        }
    }
}
