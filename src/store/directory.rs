//! The directories of a store, and what belongs in each.

use crate::format::layout::{self, CHECKPOINTS, DAMAGED, HISTORY, OBJECTS, PINS, PRUNED, REQUESTS};
use crate::storage::{Entry, EntryKind};
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;

/// A directory that file systems have at their root, where a store may be.
pub const LOST_AND_FOUND: &str = "lost+found";

/// A directory of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directory {
    Root,
    Checkpoints,
    Pruned,
    Pins,
    History,
    Requests,
    Damaged,
    /// The directory above [`Directory::Objects`].
    AboveObjects,
    /// The directory of the directories that hold objects, one for each two first digits.
    Objects,
}

impl Directory {
    /// Returns its path; nothing for the root.
    pub fn path(self) -> Option<RelPath> {
        let name = match self {
            Directory::Root => return None,
            Directory::Checkpoints => CHECKPOINTS,
            Directory::Pruned => PRUNED,
            Directory::Pins => PINS,
            Directory::History => HISTORY,
            Directory::Requests => REQUESTS,
            Directory::Damaged => DAMAGED,
            Directory::AboveObjects => return Directory::Objects.path()?.parent(),
            Directory::Objects => OBJECTS,
        };
        Some(layout::directory(name))
    }

    /// Tells whether `entry` is something that belongs in it.
    pub fn holds(self, entry: &Entry) -> bool {
        let name = entry.name.as_str();
        let (is_file, is_directory) = (entry.kind == EntryKind::File, entry.kind == EntryKind::Directory);
        match self {
            Directory::Root => match name {
                layout::STORE_FILE
                | layout::REPLICAS_FILE
                | layout::LOCK_FILE
                | layout::PRUNE_LOCK_FILE
                | layout::OBJECTS_LOCK_FILE => is_file,
                CHECKPOINTS | DAMAGED | PINS | HISTORY | PRUNED | REQUESTS | LOST_AND_FOUND | "objects" => is_directory,
                _ => false,
            },
            Directory::Checkpoints | Directory::Pruned => is_directory && name.parse::<Sequence>().is_ok(),
            Directory::Pins => is_file && layout::parse_pin(name).is_some(),
            Directory::History => {
                let parsers = [layout::parse_event, layout::parse_attempts, layout::parse_operations];
                is_file && parsers.iter().any(|parse| parse(name).is_some())
            }
            Directory::Requests => {
                is_file && (layout::parse_request(name).is_some() || layout::parse_answer(name).is_some())
            }
            Directory::Damaged => is_file,
            Directory::AboveObjects => is_directory && OBJECTS.ends_with(&format!("/{name}")),
            Directory::Objects => {
                let is_hexadecimal = name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                is_directory && name.len() == 2 && is_hexadecimal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_directory_holds_what_the_format_puts_there() {
        let entry = |name: &str, kind| Entry { name: name.to_owned(), kind, bytes: 0, modified_seconds: None };
        let holds = |directory: Directory, name: &str| {
            [EntryKind::File, EntryKind::Directory, EntryKind::Other].map(|kind| directory.holds(&entry(name, kind)))
        };
        let (file, directory, nothing) = ([true, false, false], [false, true, false], [false; 3]);
        let cases = [
            (Directory::Root, "store.yaml", file),
            (Directory::Root, "pins", directory),
            (Directory::Root, "notes", nothing),
            (Directory::Root, "lost+found", directory),
            (Directory::Checkpoints, "00000042", directory),
            (Directory::Pruned, "42", nothing),
            (Directory::Pins, "00000042.yaml", file),
            (Directory::History, "00000007.yaml", file),
            (Directory::History, "attempts-00000001.jsonl", file),
            (Directory::History, "operations-00000001.jsonl", file),
            (Directory::History, "others-00000001.jsonl", nothing),
            (Directory::Requests, "0123456789abcdef0123456789abcdef.answer.yaml", file),
            (Directory::Requests, "x.yaml", nothing),
            (Directory::Damaged, "anything", file),
            (Directory::AboveObjects, "sha256", directory),
            (Directory::AboveObjects, "ha256", nothing),
            (Directory::Objects, "3f", directory),
            (Directory::Objects, "3F", nothing),
        ];
        for (place, name, expected) in cases {
            assert_eq!(holds(place, name), expected, "{place:?} {name}");
        }
        assert_eq!(Directory::AboveObjects.path().unwrap().as_str(), "objects");
    }
}
