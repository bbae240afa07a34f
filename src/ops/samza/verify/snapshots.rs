//! Checks snapshots in blob stores: every byte of every file, in subdirectories too, whatever its size.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use super::report::{Report, add};
use crate::ops::samza::blobs::{Blob, Blobs};
use crate::ops::samza::finding::{SamzaCode, SamzaFinding};
use crate::ops::samza::found::{Found, Snapshot, Task};
use crate::ops::samza::read::DELETED;
use crate::samza::marker::Marker;
use crate::samza::snapshot_index::{FileIndex, SnapshotOwner};
use crate::values::progress::Progress;

pub(super) fn check(found: &Found, blobs: &Blobs<'_>, quick: bool, report: &mut Report, progress: &dyn Progress) {
    let mut checks = Checks { blobs, quick, report, progress, sums: HashMap::new(), used: HashSet::new() };
    let bytes = found.snapshots.iter().flat_map(|snapshot| snapshot.index.files()).map(|(_, file)| file.size());
    progress.start(bytes.sum());
    checks.excuse_unfinished(found);
    checks.check_markers(found);
    for snapshot in &found.snapshots {
        checks.check_index(snapshot, &found.snapshots);
        let superseded = checks.superseded(snapshot, found);
        checks.check_files(snapshot, superseded);
    }
    checks.find_unused(found);
}

/// The size and the CRC-32 of some blobs.
type Sum = (u64, u32);

struct Checks<'a, 'b> {
    blobs: &'a Blobs<'b>,
    quick: bool,
    report: &'a mut Report,
    progress: &'a dyn Progress,
    /// By the paths of the blobs. Snapshots share files.
    sums: HashMap<Vec<PathBuf>, Sum>,
    /// Blobs that a snapshot needs.
    used: HashSet<PathBuf>,
}

impl Checks<'_, '_> {
    /// Checks that the index that each checkpoint names exists, if there are snapshots of its job at all.
    fn check_markers(&mut self, found: &Found) {
        let readable: HashSet<&Path> = found.snapshots.iter().map(|snapshot| snapshot.path.as_path()).collect();
        for task in &found.tasks {
            let Some(v2) = &task.v2 else { continue };
            for state in &v2.checkpoint.state {
                let Marker::Snapshot { index } = &state.marker else { continue };
                let is_of_job =
                    |snapshot: &&Snapshot| task.job.as_ref().is_none_or(|job| *job == snapshot.index.owner.job_name);
                let Some(any) = found.snapshots.iter().find(is_of_job) else {
                    self.report.unchecked_markers += 1;
                    continue;
                };
                let (code, found) = match self.blobs.find(index, &any.index.owner, &any.path) {
                    Blob::File(path, _) if readable.contains(path) => continue,
                    Blob::File(path, bytes) => {
                        (SamzaCode::IndexDamaged, format!("{bytes} bytes that are not an index, `{}`", path.display()))
                    }
                    Blob::Deleted(path) => (SamzaCode::IndexMissing, format!("deleted, as `{}`", path.display())),
                    Blob::Missing => (SamzaCode::IndexMissing, "no such blob".to_owned()),
                };
                let expected = format!("the snapshot index `{index}`");
                add(&mut self.report.findings, code, (&v2.place, &task.name), expected, found);
            }
        }
    }

    /// Checks that an index is possible, and older than the one that replaced it.
    fn check_index(&mut self, snapshot: &Snapshot, all: &[Snapshot]) {
        let owner = &snapshot.index.owner;
        let mut wrong: Vec<(String, String)> = Vec::new();
        let mut paths = BTreeSet::new();
        for (path, _) in snapshot.index.files() {
            if !stays_inside(&path) {
                wrong.push(("paths inside the directory of the store".to_owned(), format!("`{path}`")));
            }
            if !paths.insert(path.clone()) {
                wrong.push(("each file once".to_owned(), format!("`{path}` twice")));
            }
        }
        if let Some(old) = self.previous(snapshot, all).map(|previous| &previous.index.owner) {
            if !is_same_store(old, owner) {
                wrong.push((
                    format!("a snapshot of {} before it", store_of(owner)),
                    format!("one of {}", store_of(old)),
                ));
            } else if old.checkpoint_id >= owner.checkpoint_id {
                let expected = format!("a snapshot before checkpoint {}", owner.checkpoint_id);
                wrong.push((expected, format!("checkpoint {}", old.checkpoint_id)));
            }
        }
        for (expected, found) in wrong {
            self.report(SamzaCode::IndexWrong, snapshot, expected, found);
        }
    }

    /// Returns the snapshot that `snapshot` replaced, if it still exists.
    fn previous<'s>(&self, snapshot: &Snapshot, all: &'s [Snapshot]) -> Option<&'s Snapshot> {
        let id = snapshot.index.previous.as_deref()?;
        match self.blobs.find(id, &snapshot.index.owner, &snapshot.path) {
            Blob::File(path, _) => all.iter().find(|other| other.path == path),
            Blob::Deleted(_) | Blob::Missing => None,
        }
    }

    /// Returns the file of the index that the checkpoint of a store names, or `None` if no such checkpoint was read.
    fn named(&self, snapshot: &Snapshot, tasks: &[Task]) -> Option<Option<&Path>> {
        let owner = &snapshot.index.owner;
        tasks.iter().find_map(|task| {
            let is_of_job = task.job.as_ref().is_none_or(|job| *job == owner.job_name);
            let v2 = task.v2.as_ref().filter(|_| is_of_job && task.name == owner.task_name)?;
            let state = v2.checkpoint.state.iter().find(|state| state.store.as_deref() == Some(&owner.store_name))?;
            let Marker::Snapshot { index } = &state.marker else { return None };
            Some(match self.blobs.find(index, owner, &snapshot.path) {
                Blob::File(path, _) => Some(path),
                Blob::Deleted(_) | Blob::Missing => None,
            })
        })
    }

    /// Says why a snapshot is not in use, as far as it can be known. The checkpoints decide, if they were read.
    fn superseded(&self, snapshot: &Snapshot, found: &Found) -> Option<&'static str> {
        if let Some(named) = self.named(snapshot, &found.tasks) {
            return (named != Some(&snapshot.path)).then_some("one that no checkpoint names");
        }
        let is_old = found.snapshots.iter().any(|newer| {
            is_same_store(&newer.index.owner, &snapshot.index.owner)
                && self.previous(newer, &found.snapshots).is_some_and(|old| old.path == snapshot.path)
        });
        is_old.then_some("an older one")
    }

    /// An index that cannot be read is not needed if the checkpoints of all stores in its directory name others.
    fn excuse_unfinished(&mut self, found: &Found) {
        let mut findings = std::mem::take(&mut self.report.findings);
        for finding in findings.iter_mut().filter(|finding| finding.code == SamzaCode::IndexDamaged) {
            let path = Path::new(&finding.path);
            let beside = || found.snapshots.iter().filter(|snapshot| snapshot.path.parent() == path.parent());
            let names_another =
                |snapshot: &Snapshot| self.named(snapshot, &found.tasks).flatten().is_some_and(|named| named != path);
            if beside().next().is_some() && beside().all(names_another) {
                finding.code = SamzaCode::IndexUnfinished;
            }
        }
        self.report.findings = findings;
    }

    fn check_files(&mut self, snapshot: &Snapshot, superseded: Option<&str>) {
        let mut gone = 0;
        for (path, file) in snapshot.index.files() {
            match self.paths(file, snapshot) {
                Ok(paths) => self.check_file(&path, file, paths, snapshot),
                Err(_) if superseded.is_some() => gone += 1,
                Err(missing) => {
                    let expected = format!("the file `{path}` of store `{}`", snapshot.index.owner.store_name);
                    self.report(SamzaCode::BlobMissing, snapshot, expected, missing);
                }
            }
        }
        if let Some(reason) = superseded {
            let files = snapshot.index.files().len();
            let found = format!("{reason}, {gone} of whose {files} files are gone");
            self.report(SamzaCode::IndexSuperseded, snapshot, "only the snapshot in use".to_owned(), found);
        }
    }

    /// Returns the files that make one file of a snapshot, or says which of them is missing.
    fn paths(&self, file: &FileIndex, snapshot: &Snapshot) -> Result<Vec<(PathBuf, u64)>, String> {
        let find = |id: &str| match self.blobs.find(id, &snapshot.index.owner, &snapshot.path) {
            Blob::File(path, bytes) => Ok((path.to_owned(), bytes)),
            Blob::Deleted(path) => Err(format!("blob `{id}` deleted, as `{}`", path.display())),
            Blob::Missing => Err(format!("no blob `{id}`")),
        };
        file.parts().into_iter().map(|part| find(&part.blob_id)).collect()
    }

    fn check_file(&mut self, path: &str, file: &FileIndex, parts: Vec<(PathBuf, u64)>, snapshot: &Snapshot) {
        self.used.extend(parts.iter().map(|(path, _)| path.clone()));
        self.report.blobs += parts.len() as u64;
        let size: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
        if self.quick || size != file.size() {
            if size != file.size() {
                let (expected, found) = (format!("{} bytes of `{path}`", file.size()), format!("{size} bytes"));
                self.report(SamzaCode::BlobSize, snapshot, expected, found);
            }
            return;
        }
        let paths: Vec<PathBuf> = parts.into_iter().map(|(path, _)| path).collect();
        let sum = match self.sums.get(&paths) {
            Some(sum) => *sum,
            None => match self.sum(&paths) {
                Ok(sum) => *self.sums.entry(paths).or_insert(sum),
                Err((path, error)) => return self.report.refused.push((path.display().to_string(), error.to_string())),
            },
        };
        if sum != (file.size(), file.checksum) {
            let expected = format!("{} bytes of `{path}` with CRC-32 {:08x}", file.size(), file.checksum);
            let found = format!("{} bytes with CRC-32 {:08x}", sum.0, sum.1);
            self.report(SamzaCode::BlobDamaged, snapshot, expected, found);
        }
    }

    /// Reads blobs, one after the other.
    fn sum(&mut self, paths: &[PathBuf]) -> Result<Sum, (PathBuf, io::Error)> {
        let mut hasher = crc32fast::Hasher::new();
        let mut size = 0;
        let mut buffer = vec![0; 256 << 10];
        for path in paths {
            let fault = |error| (path.clone(), error);
            let mut file = File::open(path).map_err(fault)?;
            loop {
                let read = match file.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(fault(error)),
                };
                hasher.update(&buffer[..read]);
                size += read as u64;
                self.report.read_bytes += read as u64;
                self.progress.advance(read as u64);
            }
        }
        Ok((size, hasher.finalize()))
    }

    /// Finds blobs beside those of snapshots that no snapshot needs.
    fn find_unused(&mut self, found: &Found) {
        let directories: BTreeSet<&Path> = self
            .used
            .iter()
            .map(PathBuf::as_path)
            .chain(found.snapshots.iter().map(|s| s.path.as_path()))
            .filter_map(Path::parent)
            .collect();
        let indexes: HashSet<&Path> = found.snapshots.iter().map(|snapshot| snapshot.path.as_path()).collect();
        let damaged: HashSet<&str> = found.findings.iter().map(|finding| finding.path.as_str()).collect();
        let unused = found.listing.files.iter().filter(|file| {
            let is_blob = file.path.parent().is_some_and(|parent| directories.contains(parent));
            let is_known = indexes.contains(file.path.as_path()) || damaged.contains(file.shown().as_str());
            is_blob && !is_known && !self.used.contains(&file.path) && !file.name().ends_with(DELETED)
        });
        let unused: Vec<SamzaFinding> = unused
            .map(|file| {
                let found = format!("{} bytes", file.bytes);
                SamzaFinding::new(SamzaCode::BlobUnused, file.shown(), "a snapshot that needs it", found)
            })
            .collect();
        self.report.findings.extend(unused);
    }

    fn report(&mut self, code: SamzaCode, snapshot: &Snapshot, expected: String, found: String) {
        let place = (snapshot.place.as_str(), snapshot.index.owner.task_name.as_str());
        add(&mut self.report.findings, code, place, expected, found);
    }
}

fn is_same_store(one: &SnapshotOwner, other: &SnapshotOwner) -> bool {
    let key = |owner: &SnapshotOwner| {
        [&owner.job_name, &owner.job_id, &owner.task_name, &owner.store_name].map(String::clone)
    };
    key(one) == key(other)
}

fn store_of(owner: &SnapshotOwner) -> String {
    format!("store `{}` of task `{}`", owner.store_name, owner.task_name)
}

/// Tells whether a path of an index leads only downward. A restore creates the files by these names.
fn stays_inside(path: &str) -> bool {
    !path.is_empty()
        && path.split('/').all(|name| !matches!(name, "" | "." | ".."))
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}
