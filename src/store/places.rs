//! Which directories are the replicas of the store that somebody names, and in which order they are used.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::replicas_file::ReplicasFile;
use crate::storage::{Storage, StorageError, place};
use crate::store::health::StoreNote;
use crate::store::replica::Replica;
use crate::store::{Store, StoreError};
use crate::values::error_chain::in_one_line;
use crate::values::url::is_url;

/// The directories of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Places {
    /// In the order in which all writers commit.
    paths: Vec<PathBuf>,
    /// The one that is read first.
    preferred: usize,
    min_copies: usize,
    /// The replicas that the caller named, which must be usable.
    required: Vec<PathBuf>,
}

impl Store {
    /// Opens the store in the directory `own` with the replicas that it knows and those in `named`, which must be
    /// usable.
    ///
    /// `own` is read first. A store knows its replicas from `replicas.yaml`, which counts only if it names the store's
    /// own directory: a copy of a store that was made by hand, or is mounted elsewhere, stands alone.
    /// Fails with [`StoreError::NotAReplica`] for one of `named` that is not of this store, and with
    /// [`StoreError::SamePlace`] if one of them is `own`. If `replicas.yaml` cannot be used, the store is opened alone,
    /// with a note, and [`Store::check_places_known`] fails.
    pub fn open_at(own: &Path, named: &[PathBuf]) -> Result<Store, StoreError> {
        Store::open_at_through(own, named, &place::open)
    }

    /// Does the same, with the storage that `open` returns for each place.
    pub fn open_at_through(
        own: &Path,
        named: &[PathBuf],
        open: &dyn Fn(&Path) -> Arc<dyn Storage>,
    ) -> Result<Store, StoreError> {
        let (known, unread) = match Store::places(&Replica::new(open(own))) {
            Ok(known) => (known, None),
            Err(error) => (None, Some(Arc::new(error))),
        };
        let places = choose_places(own, known, named, real)?;
        let storages = places.paths.iter().map(|path| open(path)).collect();
        let store = match Store::open_available(storages, places.preferred, places.min_copies) {
            Err(StoreError::Storage(StorageError::NotADirectory { path })) => {
                return Err(StoreError::NoStore { place: path });
            }
            opened => opened?,
        };
        let store = Store { places_unread: unread, ..store };
        if let Err(error) = store.check_places_known() {
            store.health.note(StoreNote::PlacesUnread { reason: in_one_line(&error) });
        }
        let required: Vec<String> = places.required.iter().map(|path| path.display().to_string()).collect();
        match store.unavailable.iter().find(|absent| required.contains(&absent.storage.place())) {
            Some(absent) => {
                Err(StoreError::NotAReplica { place: absent.storage.place(), source: absent.error.clone() })
            }
            None => Ok(store),
        }
    }

    /// Fails with [`StoreError::PlacesUnread`] if it is unknown which replicas the store has. Callers that change or
    /// delete something must reach all of them.
    pub fn check_places_known(&self) -> Result<(), StoreError> {
        match &self.places_unread {
            Some(source) => Err(StoreError::PlacesUnread { place: self.place(), source: source.clone() }),
            None => Ok(()),
        }
    }
}

/// Decides which directories to open. `known` is the content of `own`'s `replicas.yaml`; `real` resolves symbolic
/// links.
fn choose_places(
    own: &Path,
    known: Option<ReplicasFile>,
    named: &[PathBuf],
    real: impl Fn(&Path) -> PathBuf,
) -> Result<Places, StoreError> {
    let listed = known.and_then(|known| {
        let paths: Vec<PathBuf> = known.places.iter().map(PathBuf::from).collect();
        let preferred = paths.iter().position(|path| is_whole(path) && real(path) == real(own))?;
        Some((paths, preferred, known.min_copies))
    });
    let (mut paths, preferred, min_copies) = listed.unwrap_or_else(|| (vec![own.to_owned()], 0, 1));
    let mut required = Vec::new();
    for replica in named {
        match paths.iter().position(|path| real(path) == real(replica)) {
            Some(index) if index == preferred => {
                let (place, other) = (replica.display().to_string(), own.display().to_string());
                return Err(StoreError::SamePlace { place, other });
            }
            Some(index) => required.push(paths[index].clone()),
            None => {
                required.push(replica.clone());
                paths.push(replica.clone());
            }
        }
    }
    // Messages show the name that the caller used.
    paths[preferred] = own.to_owned();
    Ok(Places { paths, preferred, min_copies, required })
}

/// Returns whether a path means the same place wherever it is used.
fn is_whole(path: &Path) -> bool {
    path.is_absolute() || is_url(path)
}

/// Returns a path without symbolic links, as far as they can be resolved.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::FORMAT;

    fn choose(own: &str, known: Option<(&[&str], usize)>, named: &[&str]) -> Result<Places, StoreError> {
        let known = known.map(|(places, min_copies)| ReplicasFile {
            format: FORMAT,
            min_copies,
            places: places.iter().map(|place| (*place).to_owned()).collect(),
        });
        let named: Vec<PathBuf> = named.iter().map(PathBuf::from).collect();
        // `link` is a symbolic link to `/a`.
        let real = |path: &Path| if path == Path::new("link") { PathBuf::from("/a") } else { path.to_owned() };
        choose_places(Path::new(own), known, &named, real)
    }

    fn places(paths: &[&str], preferred: usize, min_copies: usize, required: &[&str]) -> Places {
        let owned = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        Places { paths: owned(paths), preferred, min_copies, required: owned(required) }
    }

    #[test]
    fn the_list_of_replicas_counts_only_if_it_names_the_store_itself() {
        let known = Some((&["/b", "/a"][..], 2));
        assert_eq!(choose("link", known, &[]).unwrap(), places(&["/b", "link"], 1, 2, &[]));
        assert_eq!(choose("/copy", known, &[]).unwrap(), places(&["/copy"], 0, 1, &[]));
        assert_eq!(choose("/a", Some((&["a", "/b"], 1)), &[]).unwrap(), places(&["/a"], 0, 1, &[]));
        assert_eq!(choose("/a", None, &[]).unwrap(), places(&["/a"], 0, 1, &[]));
        let known = Some((&["/b", "s3://bucket/x"][..], 1));
        assert_eq!(choose("s3://bucket/x/", known, &[]).unwrap(), places(&["/b", "s3://bucket/x/"], 1, 1, &[]));
        assert_eq!(choose("s3://bucket/y", known, &[]).unwrap(), places(&["s3://bucket/y"], 0, 1, &[]));
    }

    #[test]
    fn named_replicas_are_required_and_are_not_the_store_itself() {
        let known = Some((&["/a", "/b"][..], 1));
        assert_eq!(choose("/a", known, &["/b", "/c"]).unwrap(), places(&["/a", "/b", "/c"], 0, 1, &["/b", "/c"]));
        assert!(matches!(choose("/a", None, &["link"]), Err(StoreError::SamePlace { .. })));
    }
}
