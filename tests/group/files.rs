//! The files that the workers of a play publish in a directory that all of them share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ckpt::format::manifest::Manifest;
use ckpt::job::JobSpec;
use ckpt::runner::error::RunError;
use ckpt::runner::lineage::Lineage;
use ckpt::runner::observer::{Observer, RunEvent, Status};
use ckpt::runner::options::Share;
use ckpt::runner::output::plan::OutputPlan;
use ckpt::runner::output::plans::OutputPlans;
use ckpt::runner::output::publisher::Publisher;
use ckpt::runner::resume::outputs::History;
use ckpt::runner::resume::share::share_places;
use ckpt::store::Store;
use ckpt::values::digest::Digest;
use ckpt::values::value::ColumnType;
use serde_json::Value;

use super::check::Place;
use super::worker::{DEFINITION, PARTITIONS, Records, columns, name_of};
use crate::support::in_process::shape_of_changes;

struct Nobody;

impl Observer for Nobody {
    fn event(&self, _: &RunEvent) {}
    fn status(&self, _: &Status) {}
}

/// Returns a publisher that writes nothing.
pub fn none() -> Publisher {
    Publisher { changes: None, topic: None, shown: None, dead: None, late: None, names: Arc::default() }
}

/// Does what a worker, or a run alone, does when it starts from `lineage`: reconciles the files in `dir` with it. Returns what
/// publishes there.
pub fn begin(dir: &Path, store: &Store, lineage: &Lineage, share: Option<&Share>) -> Result<Publisher, RunError> {
    let text = format!("{DEFINITION}output: {{files: out, emit: changes}}\n");
    let job = JobSpec::parse(&text, &dir.join("job.yaml")).expect("a job");
    let outputs = OutputPlans::new(&job, share.is_some())?;
    let plans: Vec<OutputPlan> = outputs.iter().cloned().collect();
    let last = lineage.last.as_ref().map(|last| &last.manifest);
    let newest = if share.is_some() { last.map(|last| last.sequence) } else { lineage.newest };
    share_places(Some(store), last, &outputs, &plans, share)?;
    let is_alone = share.is_none() && !store.is_remote();
    History::of(Some(store), last, newest, &plans)?.reconcile(Some(store), &plans, is_alone, &Nobody)?;
    let shape = shape_of_changes(&job, ColumnType::Int, columns(), true);
    Ok(Publisher { changes: outputs.rows.map(|plan| (plan, shape)), ..none() })
}

/// The rows that a file has: for each task and key, its number.
type FileRows = BTreeMap<(u32, String), i64>;

/// Returns how far a checkpoint has applied each partition.
fn offsets(store: &Store, manifest: &Manifest) -> BTreeMap<u32, u64> {
    let bytes = store.object(manifest.tables.positions).expect("read");
    let rows = ckpt::format::positions::decode(bytes).expect("positions");
    let offset = |partition: &u32| {
        let row = rows.iter().find(|row| row.partition == name_of(*partition))?;
        Some((*partition, row.message.as_ref()?.offset))
    };
    (0..PARTITIONS).filter_map(|partition| offset(&partition)).collect()
}

/// Returns what the file of a checkpoint has: the rows that have changed since the one before.
fn expected(records: Records, before: &BTreeMap<u32, u64>, after: &BTreeMap<u32, u64>) -> FileRows {
    let mut rows = FileRows::new();
    for (&partition, &end) in after {
        let begin = before.get(&partition).copied().unwrap_or(0);
        let state = records.fold(partition, end);
        for key in (begin..end).flat_map(|record| records.changed_by(partition, record)) {
            let value = state[&key];
            rows.insert((partition, key), value);
        }
    }
    rows
}

fn read(path: &Path, context: &str) -> (Digest, FileRows) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{context}: {}: {error}", path.display()));
    let mut rows = FileRows::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let task = u32::try_from(row["task"].as_u64().expect("a task")).expect("small");
        let key = row["k"].as_str().expect("a key").to_owned();
        let before = rows.insert((task, key), row["n"].as_i64().expect("a number"));
        assert!(before.is_none(), "{context}: {line} is in the file twice");
    }
    (Digest::of(text.as_bytes()), rows)
}

/// Checks that the files in place are those of the history of the latest checkpoint, with the rows that each has changed, and that
/// nothing else is left.
pub fn check(dir: &Path, place: &Place, records: Records, context: &str) {
    let store = Store::open(vec![place.open()]).expect("opened");
    let out = dir.join("out");
    let (mut names, mut hidden) = (BTreeSet::new(), Vec::new());
    for entry in std::fs::read_dir(&out).into_iter().flatten() {
        let name = entry.expect("listed").file_name().into_string().expect("text");
        match name.strip_prefix('.') {
            None if name.contains(".withdrawn-") => {}
            None => drop(names.insert(name)),
            Some(rest) => hidden.extend((!rest.contains(".ckpt-worker-")).then_some(name)),
        }
    }
    assert!(hidden.is_empty(), "{context}: {hidden:?} are left");
    let mut at = store.latest().expect("read").map(|latest| latest.manifest);
    // Where the history was pruned, older files stay.
    let mut oldest = None;
    while let Some(manifest) = at {
        let context = format!("{context}: checkpoint {}", manifest.sequence);
        oldest = Some(manifest.sequence);
        let before = manifest.restored_from.or(manifest.parent.map(|parent| parent.sequence));
        let before = before.and_then(|before| store.manifest(before).ok()).map(|before| before.manifest);
        for output in &manifest.outputs {
            let name = output.path.strip_prefix("out/").expect("in the directory");
            assert!(names.remove(name), "{context}: {name} is not in place");
            let (digest, rows) = read(&out.join(name), &context);
            assert_eq!(digest, output.sha256, "{context}");
            if let Some(before) = &before {
                assert_eq!(rows, expected(records, &offsets(&store, before), &offsets(&store, &manifest)), "{context}");
            }
        }
        if let (true, Some(before)) = (manifest.outputs.is_empty(), &before) {
            // The first ones are those of a run that published nothing.
            let is_new = manifest.sequence.0 > 3 && manifest.restored_from.is_none();
            assert!(!is_new || offsets(&store, before) == offsets(&store, &manifest), "{context}: it has no file");
        }
        at = before;
    }
    let number = |name: &String| name.trim_start_matches("j-").trim_end_matches(".jsonl").parse().ok();
    names.retain(|name| number(name) >= oldest);
    assert!(names.is_empty(), "{context}: {names:?} are in place, and not of the history");
}
