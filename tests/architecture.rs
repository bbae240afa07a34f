//! `docs/architecture.md`, enforced: which way the code depends, and what each floor does not know.

use std::fs;
use std::sync::LazyLock;

use regex::Regex;

use crate::support::repository;

/// The module of every file below `src`, and its floor.
const FLOORS: [(&str, u8); 9] = [
    ("values", 1),
    ("format", 2),
    ("storage", 3),
    ("store", 4),
    ("job", 5),
    ("input", 5),
    ("ops", 6),
    ("runner", 6),
    ("cli", 7),
];

/// Modules that do not know each other although their floors would let them: who, and whom not.
const STRANGERS: [(&str, &str); 3] = [("ops", "runner"), ("runner", "ops"), ("storage", "format")];

/// The homes of crates that are easily used everywhere: what begins with the path is one.
const HOMES: [(&str, &[&str]); 17] = [
    ("arrow_array", &["src/format/"]),
    ("arrow_schema", &["src/format/"]),
    ("cel", &["src/input/record/"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/"]),
    ("comfy_table", &["src/cli/table.rs"]),
    ("cronexpr", &["src/job/calendar.rs"]),
    ("flate2", &["src/input/"]),
    ("glob", &["src/input/"]),
    ("indicatif", &["src/cli/progress.rs", "src/cli/progress/"]),
    ("parquet", &["src/format/"]),
    ("prometheus_client", &["src/cli/"]),
    ("saphyr_parser", &["src/values/yaml/"]),
    ("serde_yaml", &["src/values/yaml/"]),
    ("sha2", &["src/values/digest.rs"]),
    ("signal_hook", &["src/runner/", "src/cli/"]),
    ("walkdir", &["src/storage/local/"]),
];

/// What only some may do, outside of their unit tests: what, where, and how it is said.
const DOINGS: [(&str, &[&str], &str); 4] = [
    (r"\be?print(?:ln)?!|\bdbg!", &["src/cli/"], "prints"),
    (r"\b(?:Timestamp|Zoned|SystemTime)::now\b", &["src/cli/"], "reads the clock"),
    (r"\benv::", &["src/cli/"], "reads the environment"),
    (
        r"\bstd::fs\b|\bFile::open\b",
        &["src/storage/", "src/input/", "src/runner/", "src/ops/", "src/cli/"],
        "opens files",
    ),
];

#[test]
fn every_module_has_a_floor_and_every_floor_its_modules() {
    let mut modules: Vec<String> = repository::files("src").iter().filter_map(|file| module(file)).collect();
    modules.dedup();
    let mut expected: Vec<&str> = FLOORS.iter().map(|(name, _)| *name).collect();
    expected.sort_unstable();
    modules.sort();
    modules.dedup();
    assert_eq!(modules, expected);
}

#[test]
fn the_document_names_every_module() {
    let text = fs::read_to_string(repository::path("docs/architecture.md")).expect("readable");
    for (name, floor) in FLOORS {
        let mut rows = text.lines().filter(|line| line.starts_with(&format!("| {floor} ")));
        assert!(rows.any(|row| row.contains(&format!("`{name}`"))), "{name} is not on floor {floor}");
    }
}

#[test]
fn the_code_depends_downwards_only() {
    let broken: Vec<String> = repository::files("src")
        .iter()
        .filter(|file| file.ends_with(".rs"))
        .flat_map(|file| broken_rules(file, &fs::read_to_string(repository::path(file)).expect("readable")))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn broken_rules_are_found() {
    let cases = [
        ("src/storage/mod.rs", "use crate::store::Store;"),
        ("src/storage/mod.rs", "use crate::format::layout;"),
        ("src/values/id.rs", "use crate::{values::digest::Digest, format::{layout, manifest}};"),
        ("src/ops/list.rs", "let run = crate::runner::pipeline::run;"),
        ("src/runner/mod.rs", "use crate::ops::verify;"),
        ("src/ops/list.rs", "println!(\"x\");"),
        ("src/ops/list.rs", "use clap::Args;"),
        ("src/cli/commands/list.rs", "comfy_table::Table::new()"),
        ("src/store/mod.rs", "use std::time; SystemTime::now();"),
        ("src/format/segment/mod.rs", "std::fs::read(path)"),
    ];
    for (file, text) in cases {
        assert_eq!(broken_rules(file, text).len(), 1, "{file}: {text}: {:?}", broken_rules(file, text));
    }
    let fine = [
        ("src/store/mod.rs", "use crate::{storage::Storage, format::{layout, manifest}};"),
        ("src/values/id.rs", "//! See [`crate::store`], and do not use println!()."),
        ("src/ops/list.rs", "fn f() {}\n#[cfg(test)]\nmod tests { fn f() { println!(); } }"),
        ("src/cli/commands/list.rs", "use clap::Args; use crate::ops::list; println!();"),
    ];
    for (file, text) in fine {
        assert_eq!(broken_rules(file, text), [""; 0], "{file}: {text}");
    }
}

/// Returns a line for every rule that the file breaks.
fn broken_rules(file: &str, text: &str) -> Vec<String> {
    let Some(here) = module(file) else { return Vec::new() };
    let code = without_comments(text);
    let may = |homes: &[&str]| homes.iter().any(|home| file.starts_with(home));
    let mut broken = Vec::new();
    for used in modules_used(&code) {
        if floor(&used) > floor(&here) || STRANGERS.contains(&(here.as_str(), used.as_str())) {
            broken.push(format!("{file} uses `crate::{used}`, which it should not know"));
        }
    }
    for (name, homes) in HOMES {
        if !may(homes) && used_crate(name).is_match(&code) {
            broken.push(format!("{file} uses the crate `{name}`, whose home is {homes:?}"));
        }
    }
    let without_tests = code.split("#[cfg(test)]").next().unwrap_or_default();
    for (pattern, homes, doing) in DOINGS {
        if !may(homes) && Regex::new(pattern).expect("well formed").is_match(without_tests) {
            broken.push(format!("{file} {doing}, which only {homes:?} may"));
        }
    }
    broken
}

fn used_crate(name: &str) -> Regex {
    Regex::new(&format!(r"(?:^|[^\w:])(?:::)?{name}::|\buse {name};")).expect("well formed")
}

/// Returns the module of a file: `storage` of `src/storage/local/mod.rs`. The roots of library and binary have none.
fn module(file: &str) -> Option<String> {
    let name = file.strip_prefix("src/")?.split('/').next()?.trim_end_matches(".rs");
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

fn floor(module: &str) -> u8 {
    FLOORS.iter().find(|(name, _)| *name == module).map_or(0, |(_, floor)| *floor)
}

/// Returns the modules that are named behind `crate::`, also inside braces; each once.
fn modules_used(code: &str) -> Vec<String> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bcrate::(\w+|\{)").expect("well formed"));
    let mut used = Vec::new();
    for named in NAMED.captures_iter(code) {
        let name = named.get(1).expect("the group is not optional");
        match name.as_str() {
            "{" => used.extend(outermost_names(&code[name.end()..])),
            name => used.push(name.to_owned()),
        }
    }
    used.sort();
    used.dedup();
    used
}

/// Returns the first name of every path in a group whose opening brace is behind us.
fn outermost_names(group: &str) -> Vec<String> {
    let mut depth = 1;
    let mut outermost = String::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 1 => outermost.push(c),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    let first = |path: &str| path.trim().split("::").next().unwrap_or_default().to_owned();
    outermost.split(',').map(first).filter(|name| !name.is_empty()).collect()
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}
