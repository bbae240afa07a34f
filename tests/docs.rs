//! The examples in the documents print what the documents say. `tests/support/document.rs` describes their form.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::support::document::{self, generate};
use crate::support::repository;

#[test]
fn the_examples_in_the_documents_are_true() {
    let wrong: Vec<String> = repository::documents()
        .iter()
        .flat_map(|name| document::check(name, &fs::read_to_string(repository::path(name)).expect("readable")))
        .collect();
    if repository::updates() {
        draw(&[]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_sample_clicks_are_what_the_generator_writes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    generate::generate(dir.path(), 20_000, 4, 1).expect("written");
    for file in 0..4 {
        let name = format!("clicks-{file}.jsonl");
        let expected = fs::read(dir.path().join(&name)).expect("readable");
        repository::assert_generated(&format!("examples/data/{name}"), &expected);
    }
}

#[test]
fn no_two_sample_files_are_equal() {
    let mut files: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for dir in ["examples/data", "examples/programs/data"] {
        for name in repository::files(dir) {
            let content = fs::read(repository::path(&name)).expect("readable");
            if let Some(other) = files.insert(content, name.clone()) {
                panic!("{name} equals {other}");
            }
        }
    }
    assert!(files.len() >= 10);
}

#[test]
fn the_generator_writes_other_clicks_for_every_file_and_seed() {
    let mut seen = BTreeMap::new();
    for seed in 0..8 {
        let dir = tempfile::tempdir().expect("a temporary directory");
        generate::generate(dir.path(), 8 * 20, 8, seed).expect("written");
        for file in 0..8 {
            let clicks = fs::read(dir.path().join(format!("clicks-{file}.jsonl"))).expect("readable");
            assert_eq!(seen.insert(clicks, (seed, file)), None, "seed {seed}, file {file}");
        }
    }
}

#[test]
fn the_picture_shows_the_demo_of_the_readme() {
    if !repository::updates() {
        draw(&["--check"]);
    }
}

#[track_caller]
fn draw(arguments: &[&str]) {
    match Command::new("python3").arg(repository::path("docs/images/make")).args(arguments).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("skipped: cannot start python3: {error}"),
    }
}

#[test]
fn the_job_in_the_readme_is_that_of_the_examples() {
    let readme = fs::read_to_string(repository::path("README.md")).expect("readable");
    let example = fs::read_to_string(repository::path("examples/visits.py")).expect("readable");
    let block = readme.split_once("```python\n").and_then(|(_, rest)| rest.split_once("```")).expect("a block").0;
    assert!(example.ends_with(block), "README.md and examples/visits.py differ");
}

/// A number in the README that is not in the page behind it is outdated.
#[test]
fn the_figures_in_the_readme_are_those_of_the_performance_page() {
    let readme = fs::read_to_string(repository::path("README.md")).expect("readable");
    let page = fs::read_to_string(repository::path("docs/performance.md")).expect("readable");
    let section = readme.split_once("\n## Performance\n").expect("the heading exists").1;
    let section = section.split_once("\n## ").expect("another heading follows").0;
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert_eq!(rows.len(), 4, "{rows:?}");
    for row in rows {
        let figure = row.trim_end_matches(" |").rsplit("| ").next().expect("a row has cells");
        assert!(page.contains(&format!("| {figure} ")), "docs/performance.md does not say {figure:?}");
    }
}

/// Links between documents are paths, so a page that moves or a heading that changes is found here.
#[test]
fn the_links_between_the_documents_resolve() {
    let wrong: Vec<String> = repository::documents().iter().flat_map(|name| document::broken_links(name)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
