//! Finds the file of a blob. What a blob id is, only the blob store knows.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use super::listing::{Listed, Listing};
use super::read::DELETED;
use crate::samza::snapshot_index::SnapshotOwner;

/// The files of blobs by id, as the user says. They are below the paths that are read. Without a map, an id is a path.
pub type BlobMap = BTreeMap<String, PathBuf>;

/// Where a blob is.
pub(super) enum Blob<'a> {
    File(&'a Path, u64),
    /// The file that has the blob after it was deleted.
    Deleted(&'a Path),
    Missing,
}

/// The files in which blobs may be.
pub(super) struct Blobs<'a> {
    listing: &'a Listing,
    /// By file name.
    files: HashMap<&'a str, Vec<&'a Listed>>,
    /// By absolute path without links, for ids that are absolute paths.
    absolute: OnceCell<HashMap<PathBuf, &'a Listed>>,
    map: Option<&'a BlobMap>,
}

impl<'a> Blobs<'a> {
    pub(super) fn new(listing: &'a Listing, map: Option<&'a BlobMap>) -> Blobs<'a> {
        let mut files: HashMap<&str, Vec<&Listed>> = HashMap::new();
        for file in &listing.files {
            files.entry(file.name()).or_default().push(file);
        }
        Blobs { listing, files, absolute: OnceCell::new(), map }
    }

    /// Finds the blob with `id`, which belongs to `owner` and is named by the index in `index`.
    pub(super) fn find(&self, id: &str, owner: &SnapshotOwner, index: &Path) -> Blob<'a> {
        let file = |id: &str| match self.map {
            Some(map) => map.get(id).and_then(|path| self.exact(path)),
            None if id.starts_with('/') => {
                self.exact(Path::new(id)).or_else(|| self.nearest(&below_owner(id, owner), index))
            }
            None => self.nearest(id, index),
        };
        if let Some(file) = file(id) {
            return Blob::File(&file.path, file.bytes);
        }
        match file(&format!("{id}{DELETED}")) {
            Some(file) => Blob::Deleted(&file.path),
            None => Blob::Missing,
        }
    }

    /// Finds the file at `path`.
    fn exact(&self, path: &Path) -> Option<&'a Listed> {
        let real = |path: &Path| fs::canonicalize(path).ok();
        let files = self
            .absolute
            .get_or_init(|| self.listing.files.iter().filter_map(|file| Some((real(&file.path)?, file))).collect());
        files.get(&real(path)?).copied()
    }

    /// Finds the file whose path ends with `path`, the nearest to `index` if there are several.
    fn nearest(&self, path: &str, index: &Path) -> Option<&'a Listed> {
        let path = Path::new(path);
        let candidates = self.files.get(path.file_name()?.to_str()?)?;
        let common = |file: &Listed| file.path.components().zip(index.components()).take_while(|(a, b)| a == b).count();
        let fitting = candidates.iter().filter(|file| file.path.ends_with(path));
        fitting.max_by_key(|file| common(file)).copied()
    }
}

/// Returns the end of an id that is an absolute path, from the name of the job on: the blob store may have been moved
/// since. Any other id is returned as it is.
fn below_owner(id: &str, owner: &SnapshotOwner) -> String {
    let inner = format!("/{}/{}/", owner.job_name, owner.job_id);
    match id.find(&inner) {
        Some(at) if id.starts_with('/') => id[at + 1..].to_owned(),
        _ => id.to_owned(),
    }
}
