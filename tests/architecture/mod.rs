//! `docs/architecture.md`, enforced: which way the code depends, and what each floor does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;

use regex::Regex;

use crate::support::repository;

mod imports;

use imports::{Imports, Module};

/// The module of every file below `src`, and its floor.
const FLOORS: [(&str, u8); 12] = [
    ("values", 1),
    ("format", 2),
    ("samza", 2),
    ("storage", 3),
    ("kafka", 3),
    ("store", 4),
    ("job", 5),
    ("input", 5),
    ("shape", 5),
    ("ops", 6),
    ("runner", 6),
    ("cli", 7),
];

/// Modules that do not know each other although their floors would let them: the module, and what it must not know.
const STRANGERS: [(&str, &str); 6] = [
    ("ops", "runner"),
    ("runner", "ops"),
    ("storage", "format"),
    ("kafka", "format"),
    ("samza", "format"),
    ("format", "samza"),
];

/// The rooms of the runner, from the bottom up. A room knows itself and those below it; the files in one entry are one
/// room.
const ROOMS: &[&[&str]] = &[
    &["encoder_slots", "bad_reasons", "rejected", "storage_opener", "ticket", "wall_clock"],
    &["state"],
    &["process"],
    &["output"],
    &["error", "lineage", "messages", "observer", "options", "resumable"],
    &["resume"],
    &["checkpoint"],
    &["pipeline"],
    &["check", "check_names", "import", "job_draft", "survey"],
];

/// Rooms on the same level that do not know each other: the room, and what it must not know.
const NEIGHBORS: [(&str, &str); 1] = [("checkpoint", "resume")];

/// The homes of crates that are easily used everywhere: the crate, and the paths that its home files begin with.
const HOMES: [(&str, &[&str]); 28] = [
    ("arrow_array", &["src/format/"]),
    ("arrow_schema", &["src/format/"]),
    ("base64", &["src/cli/commands/report/"]),
    ("maud", &["src/cli/commands/report/"]),
    ("plotters", &["src/cli/commands/report/"]),
    ("cel", &["src/input/record/"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/"]),
    ("comfy_table", &["src/cli/table"]),
    ("unicode_width", &["src/cli/table"]),
    ("crc32fast", &["src/samza/", "src/ops/samza/"]),
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
    ("object_store", &["src/storage/bucket/"]),
    ("rdkafka", &["src/kafka/"]),
    ("reqwest", &["src/storage/bucket/"]),
    ("rocksdb", &["src/ops/samza/directory/database.rs"]),
    ("rustls", &["src/storage/bucket/"]),
    ("tokio", &["src/storage/bucket/"]),
    ("walkdir", &["src/ops/samza/listing.rs"]),
];

/// What only some modules may do, outside their unit tests: what, where, and how to describe it.
const DOINGS: [(&str, &[&str], &str); 4] = [
    (r"\be?print(?:ln)?!|\bdbg!", &["src/cli/"], "prints"),
    (r"\b(?:Timestamp|Zoned|SystemTime)::now\b", &["src/cli/"], "reads the clock"),
    (r"\benv::", &["src/cli/", "src/storage/bucket/settings.rs"], "reads the environment"),
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
fn the_code_depends_downward_only() {
    let broken: Vec<String> = repository::files("src")
        .iter()
        .filter(|file| file.ends_with(".rs"))
        .flat_map(|file| broken_rules(file, &fs::read_to_string(repository::path(file)).expect("readable")))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_room_of_the_runner_knows_only_those_below_it() {
    let broken: Vec<String> = FILES
        .iter()
        .flat_map(|(module, imports)| imports.code.iter().filter_map(|path| climbs(module, path)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let path = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
    for (from, to) in [
        ("runner::state::shard", "runner::process::window"),
        ("runner::resume::adapt", "runner::pipeline::run"),
        ("runner::messages", "runner::checkpoint::draft"),
        ("runner::checkpoint::draft", "runner::resume::recover"),
    ] {
        assert!(climbs(&path(from), &path(to)).is_some(), "{from} may not know {to}");
    }
    for (from, to) in [("runner::pipeline::run", "runner::state::shard"), ("runner::state::row", "format::rows::Row")] {
        assert_eq!(climbs(&path(from), &path(to)), None);
    }
}

/// Returns a line if `module`, a room of the runner, may not know what is at `path`.
fn climbs(module: &[String], path: &[String]) -> Option<String> {
    let [here, there] = [module, path].map(|path| match path {
        [floor, room, ..] if floor == "runner" => Some(room.as_str()),
        _ => None,
    });
    let (here, there) = (here?, there?);
    let height = |room: &str| ROOMS.iter().position(|rooms| rooms.contains(&room));
    let may = height(there)? <= height(here)? && !NEIGHBORS.contains(&(here, there));
    (!may).then(|| format!("{} uses `crate::{}`, which is above it", module.join("::"), path.join("::")))
}

#[test]
fn every_file_of_the_runner_is_in_a_room() {
    let rooms: BTreeSet<&str> = ROOMS.iter().flat_map(|rooms| rooms.iter().copied()).collect();
    let found: BTreeSet<&str> =
        FILES.keys().filter(|path| path.len() > 1 && path[0] == "runner").map(|path| path[1].as_str()).collect();
    assert_eq!(rooms, found);
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let circles =
        imports::circles(&FILES.iter().map(|(module, imports)| (module.clone(), imports.code.clone())).collect());
    let show = |circle: &Vec<Module>| circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(", ");
    assert!(
        circles.is_empty(),
        "these files import each other:\n{}",
        circles.iter().map(show).collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn cycles_are_found() {
    let circles_of = |files: &[(&str, &str)]| -> Vec<Vec<String>> {
        let modules: BTreeSet<Module> = files.iter().filter_map(|(file, _)| imports::module_of(file)).collect();
        let read = |(file, text): &(&str, &str)| {
            let module = imports::module_of(file)?;
            let code = imports::read(&module, &children(&modules, &module), text).code;
            Some((module, code))
        };
        let circles = imports::circles(&files.iter().filter_map(read).collect());
        circles.iter().map(|circle| circle.iter().map(|module| module.join("::")).collect()).collect()
    };
    // Two files, connected by a group, an alias, a path in a type, and a path in a macro.
    for way in [
        "use crate::{store::{lock::Lock, other}};",
        "use super::lock as locks;",
        "fn f(_: &crate::store::lock::Lock) {}",
        "fn f() { println!(\"{}\", crate::store::lock::name()) }",
    ] {
        let files = [("src/store/open.rs", way), ("src/store/lock.rs", "use crate::store::open::Open;")];
        assert_eq!(circles_of(&files), [["store::lock", "store::open"]], "{way}");
    }
    // A parent and a child, through a re-export.
    let files =
        [("src/store/mod.rs", "pub use lock::Lock; pub struct Store;"), ("src/store/lock.rs", "use super::Store;")];
    assert_eq!(circles_of(&files), [["store", "store::lock"]]);
    // Three files, the long way around.
    let files = [("src/a.rs", "use crate::b::B;"), ("src/b.rs", "use crate::c::C;"), ("src/c.rs", "use crate::a::A;")];
    assert_eq!(circles_of(&files), [["a", "b", "c"]]);
    // Declared children, unit tests and other crates do not make a cycle.
    let files = [
        ("src/store/mod.rs", "pub mod lock; pub use lock::Lock;"),
        ("src/store/lock.rs", "use std::fs; #[cfg(test)] mod tests { use crate::store::Lock; use super::*; }"),
        ("src/store/lock/tests.rs", "use crate::store::Lock;"),
    ];
    assert_eq!(circles_of(&files), [[""; 0]; 0]);
}

#[test]
fn broken_rules_are_found() {
    let cases = [
        ("src/storage/mod.rs", "use crate::store::Store;"),
        ("src/storage/mod.rs", "use crate::format::layout;"),
        ("src/values/id.rs", "use crate::{values::digest::Digest, format::{layout, manifest}};"),
        ("src/ops/list.rs", "fn f() { let run = crate::runner::pipeline::run; }"),
        ("src/runner/mod.rs", "use crate::ops::verify;"),
        ("src/ops/list.rs", "fn f() { println!(\"x\"); }"),
        ("src/ops/list.rs", "use clap::Args;"),
        ("src/cli/commands/list.rs", "fn f() { comfy_table::Table::new(); }"),
        ("src/store/mod.rs", "use std::time; fn f() { SystemTime::now(); }"),
        ("src/format/segment/mod.rs", "fn f() { std::fs::read(path); }"),
    ];
    for (file, text) in cases {
        assert_eq!(broken_rules(file, text).len(), 1, "{file}: {text}: {:?}", broken_rules(file, text));
    }
    let fine = [
        ("src/store/mod.rs", "use crate::{storage::Storage, format::{layout, manifest}};"),
        ("src/values/id.rs", "//! See [`crate::store`], and do not use println!()."),
        ("src/ops/list.rs", "fn f() {}\n#[cfg(test)]\nmod tests { fn f() { println!(); } }"),
        ("src/cli/commands/list.rs", "use clap::Args; use crate::ops::list; fn f() { println!(); }"),
    ];
    for (file, text) in fine {
        assert_eq!(broken_rules(file, text), [""; 0], "{file}: {text}");
    }
}

/// Returns a line for every rule that the file breaks.
fn broken_rules(file: &str, text: &str) -> Vec<String> {
    let Some(here) = module(file) else { return Vec::new() };
    let code = without_comments(text);
    let path = imports::module_of(file).unwrap_or_default();
    let Imports { code: used, tests } = imports::read(&path, &BTreeSet::new(), text);
    let used: BTreeSet<&str> = used.union(&tests).filter_map(|path| path.first()).map(String::as_str).collect();
    let may = |homes: &[&str]| homes.iter().any(|home| file.starts_with(home));
    let mut broken = Vec::new();
    for used in used {
        if floor(used) > floor(&here) || STRANGERS.contains(&(here.as_str(), used)) {
            broken.push(format!("{file} uses `crate::{used}`, which it should not know"));
        }
    }
    for (name, homes) in HOMES {
        if !may(homes) && used_crate(name).is_match(&code) {
            broken.push(format!("{file} uses the crate `{name}`, whose home is {homes:?}"));
        }
    }
    let is_test = path.last().is_some_and(|name| name == "tests");
    let without_tests = if is_test { "" } else { code.split("#[cfg(test)]").next().unwrap_or_default() };
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

/// Returns the module of a file: `storage` for `src/storage/local/mod.rs`. The roots of library and binary have none.
fn module(file: &str) -> Option<String> {
    let name = file.strip_prefix("src/")?.split('/').next()?.trim_end_matches(".rs");
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

fn floor(module: &str) -> u8 {
    FLOORS.iter().find(|(name, _)| *name == module).map_or(0, |(_, floor)| *floor)
}

/// Every file below `src` as a module, with what it imports.
static FILES: LazyLock<BTreeMap<Module, Imports>> = LazyLock::new(|| {
    let files: BTreeMap<Module, String> =
        repository::files("src").into_iter().filter_map(|file| Some((imports::module_of(&file)?, file))).collect();
    let modules: BTreeSet<Module> = files.keys().cloned().collect();
    let read = |(module, file): (Module, String)| {
        let text = fs::read_to_string(repository::path(&file)).expect("readable");
        let imports = imports::read(&module, &children(&modules, &module), &text);
        (module, imports)
    };
    files.into_iter().map(read).collect()
});

/// Returns the names of the modules directly below `module`.
fn children(modules: &BTreeSet<Module>, module: &[String]) -> BTreeSet<String> {
    let below = modules.iter().filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
    below.filter_map(|other| other.last().cloned()).collect()
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}
