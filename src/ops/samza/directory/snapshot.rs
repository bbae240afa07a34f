//! Which snapshot of a local store is the state at a checkpoint.

use super::contents::DirectoryContents;
use crate::ops::samza::found::{LocalStore, TaskCheckpoint};
use crate::samza::checkpoint::{Checkpoint, Version};
use crate::samza::offset_file::{OffsetFile, OffsetFileKind};

/// Why no directory is known to have the state at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("the checkpoint of task `{task}` has no id, so no snapshot is known to belong to it")]
    NoId { task: String },
    #[error("there is no snapshot of {store} of task `{task}` at its checkpoint `{id}`")]
    Missing { task: String, store: String, id: String },
    #[error("there are several snapshots of task `{task}` at its checkpoint, such as `{first}` and `{second}`")]
    Several { task: String, first: String, second: String },
    #[error("`{place}` has no CHECKPOINT-V2 that says the same as the checkpoint of task `{task}`: {what} differs")]
    Differs { place: String, task: String, what: &'static str },
    #[error("`{place}` has tables that its manifest does not name, such as `{name}`")]
    Unused { place: String, name: String },
    #[error("`{place}` has changes in a write-ahead log, which a snapshot does not have")]
    Logged { place: String },
    #[error("the rows in `{place}` expire, and those of the job would not")]
    Expires { place: String },
}

/// Returns the snapshot of a store that Samza made together with the checkpoint `used` of `task`: its directory has the
/// id in its name, and its CHECKPOINT-V2 the same id, inputs and state. `store` is the name of the store, if one is
/// named.
///
/// The files in use are never taken: they may be ahead of the checkpoint.
pub fn snapshot_of<'a>(
    task: &str,
    used: &TaskCheckpoint,
    store: Option<&str>,
    stores: &'a [LocalStore],
) -> Result<&'a LocalStore, SnapshotError> {
    let task_name = || task.to_owned();
    let id = used.checkpoint.id.ok_or_else(|| SnapshotError::NoId { task: task_name() })?;
    let is_it = |found: &&LocalStore| {
        found.has_database
            && found.task == task
            && found.snapshot == Some(id)
            && store.is_none_or(|name| found.store == name)
    };
    let mut all = stores.iter().filter(is_it);
    let found = match (all.next(), all.next()) {
        (Some(found), None) => found,
        (Some(first), Some(second)) => {
            let (first, second) = (first.place.clone(), second.place.clone());
            return Err(SnapshotError::Several { task: task_name(), first, second });
        }
        (None, _) => {
            let store = store.map_or_else(|| "a store".to_owned(), |name| format!("store `{name}`"));
            return Err(SnapshotError::Missing { task: task_name(), store, id: id.to_string() });
        }
    };
    let own = match found.files.get(&OffsetFileKind::Checkpoint) {
        Some(OffsetFile::Checkpoint(own)) => Some(own),
        _ => None,
    };
    match own.map_or(Some("the id"), |own| difference(own, &used.checkpoint)) {
        Some(what) => Err(SnapshotError::Differs { place: found.place.clone(), task: task_name(), what }),
        None => Ok(found),
    }
}

/// Says what differs between the V2 checkpoint of a directory and that of its task.
fn difference(own: &Checkpoint, used: &Checkpoint) -> Option<&'static str> {
    let has_same_state = match used.version {
        Version::V1 => own.changelogs() == used.changelogs(),
        Version::V2 => own.state == used.state,
    };
    match () {
        () if own.id != used.id => Some("the id"),
        () if own.inputs != used.inputs => Some("the offset of an input"),
        () if !has_same_state => Some("the state"),
        () => None,
    }
}

/// Checks that the contents of a snapshot are all that it had when it was made, and that a job can continue them.
///
/// Samza writes all changes into tables before RocksDB makes the snapshot, and the manifest names every table that is
/// copied into it: a table that it does not name, or changes in a log, say that the files do not belong together.
pub fn check_whole(place: &str, contents: &DirectoryContents) -> Result<(), SnapshotError> {
    let place = || place.to_owned();
    if let Some(name) = contents.unused.first() {
        return Err(SnapshotError::Unused { place: place(), name: name.clone() });
    }
    match (contents.logged_bytes, contents.expires) {
        (1.., _) => Err(SnapshotError::Logged { place: place() }),
        (0, true) => Err(SnapshotError::Expires { place: place() }),
        (0, false) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const ID: &str = "1795875711229-977673";

    /// A V2 checkpoint whose input and changelog are at these offsets.
    fn checkpoint(id: &str, input: u32, changelog: u32) -> Checkpoint {
        let marker = format!(
            r#"{{\"version\":1,\"changelog-ssp\":{{\"system\":\"kafka\",\"partition\":0,\"stream\":\"log\"}},\"changelog-offset\":\"{changelog}\"}}"#
        );
        let text = format!(
            r#"{{"checkpoint-id":"{id}","input-offsets":{{"kafka.t.0":"{input}"}},"state-checkpoint-markers":{{"{}":{{"s":"{marker}"}}}},"version":2}}"#,
            crate::samza::marker::CHANGELOG_BACKEND
        );
        Checkpoint::parse_v2(text.as_bytes()).expect("a checkpoint")
    }

    fn local(store: &str, snapshot: Option<&str>, own: Option<Checkpoint>) -> LocalStore {
        LocalStore {
            place: format!("{store}/Partition_0-{}", snapshot.unwrap_or_default()),
            store: store.to_owned(),
            task: "Partition 0".to_owned(),
            snapshot: snapshot.map(|id| id.parse().expect("an id")),
            files: own.map(|own| (OffsetFileKind::Checkpoint, OffsetFile::Checkpoint(own))).into_iter().collect(),
            has_database: true,
            written: None,
        }
    }

    fn choose(used: Checkpoint, store: Option<&str>, stores: &[LocalStore]) -> Result<String, String> {
        let used = TaskCheckpoint { checkpoint: used, place: String::new(), written: None };
        let found = snapshot_of("Partition 0", &used, store, stores);
        found.map(|store| store.place.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_snapshot_of_the_same_checkpoint_is_taken() {
        let used = || checkpoint(ID, 9, 8);
        let in_use = local("s", None, Some(used()));
        let same = local("s", Some(ID), Some(used()));
        let older = local("s", Some("1795875711229-1"), Some(checkpoint("1795875711229-1", 9, 8)));
        let place = same.place.clone();
        assert_eq!(choose(used(), None, &[in_use.clone(), older.clone(), same.clone()]), Ok(place.clone()));
        let other = local("t", Some(ID), Some(used()));
        assert_eq!(choose(used(), Some("s"), &[same.clone(), other.clone()]), Ok(place));
        let error = |stores: &[LocalStore]| choose(used(), None, stores).expect_err("refused");
        assert!(error(&[in_use, older]).starts_with("there is no snapshot of a store of task `Partition 0`"));
        assert!(error(&[same.clone(), other]).starts_with("there are several snapshots"));
        let without_rows = LocalStore { has_database: false, ..same };
        assert!(error(&[without_rows]).starts_with("there is no snapshot"));
    }

    #[test]
    fn the_checkpoint_beside_the_rows_says_the_same_as_that_of_the_task() {
        let error = |used: Checkpoint, own: Option<Checkpoint>| {
            choose(used, None, &[local("s", Some(ID), own)]).expect_err("refused")
        };
        let used = || checkpoint(ID, 9, 8);
        assert!(error(used(), None).ends_with("the id differs"));
        assert!(error(used(), Some(checkpoint("1795875711229-1", 9, 8))).ends_with("the id differs"));
        assert!(error(used(), Some(checkpoint(ID, 10, 8))).ends_with("the offset of an input differs"));
        assert!(error(used(), Some(checkpoint(ID, 9, 7))).ends_with("the state differs"));
        let v1 = |changelog| Checkpoint { version: Version::V1, ..checkpoint(ID, 9, changelog) };
        assert!(choose(v1(8), None, &[local("s", Some(ID), Some(used()))]).is_ok());
        assert!(error(v1(7), Some(used())).ends_with("the state differs"));
        let nameless = Checkpoint { id: None, inputs: BTreeMap::new(), ..used() };
        assert!(error(nameless, Some(used())).contains("has no id"));
    }

    #[test]
    fn rows_that_are_not_all_in_the_tables_of_the_snapshot_are_refused() {
        let whole = DirectoryContents::default();
        assert_eq!(check_whole("s", &whole), Ok(()));
        for (contents, end) in [
            (DirectoryContents { unused: vec!["000009.sst".to_owned()], ..whole.clone() }, "such as `000009.sst`"),
            (DirectoryContents { logged_bytes: 1, ..whole.clone() }, "which a snapshot does not have"),
            (DirectoryContents { expires: true, ..whole.clone() }, "those of the job would not"),
        ] {
            assert!(check_whole("s", &contents).expect_err("refused").to_string().ends_with(end), "{end}");
        }
    }
}
