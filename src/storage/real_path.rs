//! Where a path leads.

use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// Returns `path` as an absolute path without symbolic links, `.` and `..`, as far as it exists. What does not exist
/// yet is resolved by its text.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    let mut real = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::ParentDir => drop(real.pop()),
            other => real.push(other),
        }
        real = fs::canonicalize(&real).unwrap_or(real);
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_before_a_parent_is_taken_and_missing_names_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        symlink("a/b", root.join("link")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        let cases = [
            ("link", "a/b"),
            ("link/../x", "a/x"),
            ("./a/./b/..", "a"),
            ("new/x/../y", "new/y"),
            ("circle/x", "circle/x"),
            ("../../../../../../../../..", "/"),
        ];
        for (path, expected) in cases {
            assert_eq!(real_path(&root.join(path)).unwrap(), root.join(expected), "{path}");
        }
    }
}
