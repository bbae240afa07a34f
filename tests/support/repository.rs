//! The repository under test.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the path of `name` in the repository.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Returns every file of the repository below `name`, sorted, with `/` between names. What examples have written, and git ignores,
/// is not part of it.
pub fn files(name: &str) -> Vec<String> {
    let ignored = fs::read_to_string(path(".gitignore")).expect("readable");
    let is_ignored = |dir: &str| {
        ignored.lines().any(|line| match line.strip_prefix('/') {
            Some(whole) => whole == dir,
            None => dir.rsplit('/').next() == line.strip_suffix('/'),
        })
    };
    let mut found = Vec::new();
    let mut open = vec![name.to_owned()];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(path(&dir)) else { continue };
        for entry in entries {
            let entry = entry.expect("readable");
            let name = format!("{dir}/{}", entry.file_name().to_str().expect("names are UTF-8"));
            match entry.file_type().expect("known").is_dir() {
                true if is_ignored(&name) => {}
                true => open.push(name),
                false => found.push(name),
            }
        }
    }
    found.sort();
    found
}

/// Returns every Markdown file of the project, sorted.
pub fn documents() -> Vec<String> {
    let at_root = ["CHANGELOG.md", "CONTRIBUTING.md", "README.md"].map(str::to_owned);
    let below = ["benches", "docs", "examples", "fuzz", "python", "tests"].into_iter().flat_map(files);
    at_root.into_iter().chain(below.filter(|name| name.ends_with(".md"))).collect()
}

/// Checks that `name` holds what the program generates now; with UPDATE=1 in the environment, writes it.
#[track_caller]
pub fn assert_generated(name: &str, content: &[u8]) {
    let path = path(name);
    if fs::read(&path).is_ok_and(|found| found == content) {
        return;
    }
    assert!(updates(), "{name} differs from what the program generates now: run `UPDATE=1 cargo test`");
    fs::create_dir_all(path.parent().expect("a file has a directory")).expect("created");
    fs::write(&path, content).expect("written");
}

/// Returns whether generated files should be written.
pub fn updates() -> bool {
    std::env::var_os("UPDATE").is_some_and(|value| value == "1")
}
