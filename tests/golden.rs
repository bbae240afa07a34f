//! Stores of every format that was ever released: they open, verify clean, read as recorded, and their jobs resume.

use std::fs;
use std::path::Path;

use crate::support::{Env, repository};

/// The stores, by the directory of their job.
const STORES: &[&str] = &[
    "format-1/keyed",
    "format-1/keyless",
    "format-1/objects",
    "format-1/packed",
    "format-1/parts",
    "format-1/program",
];
/// The store of a job that reads its `data/` from a bucket.
const OBJECTS: &str = "format-1/objects";

/// Creates a directory with a copy of a job as it was left.
fn left_behind(name: &str) -> Env {
    let env = Env::new();
    let from = format!("tests/data/golden/{name}");
    for file in repository::files(&from) {
        let inner = file.strip_prefix(&format!("{from}/")).expect("the file is below");
        env.write(inner, fs::read(repository::path(&file)).expect("readable"));
    }
    env
}

/// Serves the data of a job as objects. Returns false if this `ckpt` reads none.
#[cfg(feature = "s3")]
fn serve_data(env: &mut Env) -> bool {
    let server = crate::support::object_server::ObjectServer::start(env);
    for (name, bytes) in crate::support::tree(&env.path("data")) {
        server.put(&format!("golden/{name}"), bytes);
    }
    true
}

#[cfg(not(feature = "s3"))]
fn serve_data(_: &mut Env) -> bool {
    false
}

#[test]
fn every_format_has_a_golden_store() {
    let formats: Vec<String> = (1..=ckpt::format::FORMAT).map(|format| format!("format-{format}/")).collect();
    for format in formats {
        assert!(STORES.iter().any(|store| store.starts_with(&format)), "{format}");
    }
}

#[test]
fn golden_stores_verify_clean_and_read_as_recorded() {
    for name in STORES {
        let env = left_behind(name);
        let verified = env.run(&["verify", "--deep", "store"]).expect(0);
        assert!(verified.stdout.starts_with("intact: "), "{name}: {verified}");
        let state = env.run(&["inspect", "store", "--json", "--state", "--limit", "0"]).expect(0);
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        let (found, recorded) = (parse(&state.stdout), parse(&env.read("state.json")));
        for field in ["job", "sequence", "columns", "rows"] {
            assert_eq!(found[field], recorded[field], "{name}: {field}");
        }
    }
}

#[test]
fn sha256sum_proves_golden_stores_without_ckpt() {
    for name in STORES {
        let env = left_behind(name);
        for checkpoint in fs::read_dir(env.path("store/checkpoints")).expect("readable") {
            let dir = checkpoint.expect("readable").path();
            let output = env.shell(&format!("cd '{}' && sha256sum --quiet -c SHA256SUMS", dir.display()));
            output.expect(0);
        }
    }
}

#[test]
fn jobs_resume_from_golden_stores() {
    for name in STORES {
        let mut env = left_behind(name);
        if *name == OBJECTS && !serve_data(&mut env) {
            continue;
        }
        let outputs = |env: &Env| -> Vec<(String, Vec<u8>)> {
            let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
            // Not every job has an output.
            let files = fs::read_dir(env.path("out")).into_iter().flatten().map(|file| file.expect("readable").path());
            let mut all: Vec<_> = files.map(|path| (name(&path), fs::read(&path).expect("readable"))).collect();
            all.sort();
            all
        };
        let before = outputs(&env);
        if !before.is_empty() {
            fs::remove_dir_all(env.path("out")).expect("removed");
        }
        let again = env.run(&["run", "--must-resume", "job.yaml"]).expect(0);
        assert!(again.stdout.contains("  checkpoints   0, "), "{name}: nothing was new: {again}");
        assert_eq!(outputs(&env), before, "{name}");
    }
}
