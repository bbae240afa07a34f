//! Whether a path leads into a store, where nothing but the store itself may be written.

use std::path::{Component, Path, PathBuf};

use crate::format::layout::{CHECKPOINTS, OBJECTS, STORE_FILE};
use crate::storage::real_path::real_path;
use crate::values::url::is_url;

/// Returns the directory of the store that `path` is, or is in, if any. `path` need not exist.
///
/// Both count: where the path leads, and what it passes through by its text, because a directory of a store may be a
/// symbolic link to another disk.
pub fn enclosing_store(path: &Path) -> Option<PathBuf> {
    store_above(path, 0)
}

/// Does the same for the directory of a store, which may be a store but not be in one.
pub fn outer_store(path: &Path) -> Option<PathBuf> {
    store_above(path, 1)
}

/// Looks at the directories above `path`, from `levels` above it.
fn store_above(path: &Path, levels: usize) -> Option<PathBuf> {
    if is_url(path) {
        return None;
    }
    // A path that cannot be resolved cannot be written to either.
    let real = real_path(path).ok()?;
    let spelled = without_parents(&std::path::absolute(path).ok()?);
    let mut above = real.ancestors().skip(levels).chain(spelled.ancestors().skip(levels));
    above.find(|directory| is_store(directory)).map(Path::to_owned)
}

/// Returns whether `directory` is a store, or was one before its `store.yaml` was lost.
fn is_store(directory: &Path) -> bool {
    directory.join(STORE_FILE).is_file() || (directory.join(CHECKPOINTS).is_dir() && directory.join(OBJECTS).is_dir())
}

/// Resolves `..` by the text of an absolute path.
fn without_parents(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_into_a_store_is_recognized_however_it_is_spelled() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("s/objects/sha256")).unwrap();
        fs::create_dir_all(root.join("disk")).unwrap();
        fs::write(root.join("s/store.yaml"), "x").unwrap();
        fs::create_dir_all(root.join("lost/checkpoints")).unwrap();
        fs::create_dir_all(root.join("lost/objects/sha256")).unwrap();
        symlink("s/objects", root.join("link")).unwrap();
        symlink("../disk", root.join("s/linked")).unwrap();
        for (path, expected) in [
            ("s", Some("s")),
            ("s/x/y", Some("s")),
            ("s/objects/sha256/../../x", Some("s")),
            ("link/x", Some("s")),
            ("link/../x", Some("s")),
            ("s/linked/x", Some("s")),
            ("disk/../s/x", Some("s")),
            ("lost/x", Some("lost")),
            ("s/../x", None),
            ("disk/x", None),
            ("s2/x", None),
        ] {
            let found = enclosing_store(&root.join(path));
            assert_eq!(found, expected.map(|store| root.join(store)), "{path}");
            let outer = outer_store(&root.join(path));
            assert_eq!(outer, found.filter(|_| path != "s"), "{path}");
        }
    }
}
