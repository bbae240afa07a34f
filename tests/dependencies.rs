//! What the program is built from, as far as that can be checked without a network: `cargo deny` checks more, using
//! `deny.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::repository;

fn read(name: &str) -> String {
    fs::read_to_string(repository::path(name)).expect("the file is in the repository")
}

/// A package of the lock file: its name, version, source and checksum.
fn packages() -> Vec<BTreeMap<String, String>> {
    let text = read("Cargo.lock");
    let entry = |block: &str| {
        let fields = block.lines().filter_map(|line| line.split_once(" = "));
        fields.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
    };
    text.split("[[package]]").skip(1).map(entry).collect()
}

#[test]
fn every_dependency_is_from_the_one_registry_and_has_a_checksum() {
    let (own, others): (Vec<_>, Vec<_>) = packages().into_iter().partition(|package| package["name"] == "ckpt");
    assert_eq!(own.len(), 1);
    let sources: BTreeSet<&str> = others.iter().map(|package| package["source"].as_str()).collect();
    assert!(others.len() > 100 && sources.len() == 1, "{sources:?}");
    assert!(sources.iter().all(|source| source.starts_with("registry+")));
    assert!(others.iter().all(|package| package.get("checksum").is_some_and(|checksum| checksum.len() == 64)));
}

#[test]
fn crates_with_two_versions_are_listed_with_a_reason() {
    let deny = read("deny.toml");
    let mut versions: BTreeMap<String, u32> = BTreeMap::new();
    for package in packages() {
        *versions.entry(package["name"].clone()).or_default() += 1;
    }
    let twice: Vec<&String> = versions.iter().filter(|(_, count)| **count > 1).map(|(name, _)| name).collect();
    for name in &twice {
        let line = deny.lines().find(|line| line.contains(&format!("crate = \"{name}\"")));
        assert!(
            line.is_some_and(|line| line.contains("reason = \"")),
            "`{name}` is there in several versions: say why in deny.toml"
        );
    }
    assert_eq!(deny.matches("crate = \"").count(), twice.len(), "a line of deny.toml has no effect");
}
