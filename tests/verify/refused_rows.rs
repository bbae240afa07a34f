//! Rows that no run writes: a run refuses to resume from them, or misreads them, so `--deep` finds them.

use ckpt::format::quantiles::Quantiles;
use ckpt::ops::finding::{FindingCode, Severity};
use ckpt::ops::verify::{Depth, verify};
use ckpt::store::Store;
use ckpt::values::decimal::Decimal;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use ckpt::values::value::{Column, ColumnType, Estimate, Value};

use crate::support::store_builder::{JOB, StoreBuilder};

/// Returns what is found at `depth` in a checkpoint: the code, the checkpoint, and what was found.
fn damage(store: &Store, depth: Depth) -> Vec<(FindingCode, Vec<Sequence>, String)> {
    let reports = verify(store, None, depth, &Silent).expect("verified");
    let findings = reports.into_iter().flat_map(|report| report.findings);
    let damage = findings.filter(|finding| finding.severity() == Severity::Damage);
    damage.map(|finding| (finding.code, finding.checkpoints, finding.found)).collect()
}

#[test]
fn a_sketch_that_no_run_can_read_is_found_until_it_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let value_of = |name: &str, clicks: i64| match name {
        "clicks" => Value::Int(clicks),
        _ if clicks == 13 => Value::Sketch(b"not a sketch".to_vec()),
        _ => Value::Null,
    };
    let columns = vec![Column::new("clicks", ColumnType::Int), Column::new("pages", ColumnType::Sketch)];
    let mut builder = StoreBuilder::keyed(dir.path()).with_columns(columns, value_of);
    builder.commit(&[("ann", Some(1)), ("bob", Some(2))]);
    builder.commit(&[("ann", Some(13))]);
    builder.commit(&[("bob", Some(3))]);
    builder.commit(&[("ann", Some(4))]);
    let found = damage(&builder.store, Depth::Deep);
    let of: Vec<_> = found.iter().map(|(code, checkpoints, _)| (*code, checkpoints[0].0)).collect();
    assert_eq!(of, [(FindingCode::NotResumable, 2), (FindingCode::NotResumable, 3)], "{found:?}");
    assert!(found[0].2.contains("1 rows") && found[0].2.ends_with("the first is \"ann\""), "{found:?}");
    assert_eq!(damage(&builder.store, Depth::Full), []);
}

#[test]
fn a_sketch_of_quantiles_that_no_run_can_read_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let value_of = |name: &str, clicks: i64| match name {
        "clicks" => Value::Int(clicks),
        "ms_sketch" if clicks == 13 => Value::Sketch(Quantiles::default().to_bytes()),
        "ms_sketch" => {
            let mut sketch = Quantiles::default();
            sketch.update(Decimal::ONE);
            Value::Sketch(sketch.to_bytes())
        }
        _ => Value::Number(Decimal::ONE),
    };
    let mut estimate = Column::new("ms", ColumnType::Number);
    estimate.estimate =
        Some(Estimate { sketch: "ms_sketch".to_owned(), quantile: Some(Decimal::parse(b"0.5").expect("a number")) });
    let columns =
        vec![Column::new("clicks", ColumnType::Int), estimate, Column::new("ms_sketch", ColumnType::Quantiles)];
    let mut builder = StoreBuilder::keyed(dir.path()).with_columns(columns, value_of);
    builder.commit(&[("ann", Some(1))]);
    assert_eq!(damage(&builder.store, Depth::Deep), []);
    builder.commit(&[("bob", Some(13))]);
    let found = damage(&builder.store, Depth::Deep);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 == FindingCode::NotResumable && found[0].2.ends_with("the first is \"bob\""), "{found:?}");
}

#[test]
fn a_key_without_the_start_of_a_window_is_found_in_a_job_with_windows() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = StoreBuilder::keyed(dir.path());
    let job = JOB.replace("process: {", "process: {window: {time: ts, every: 1m}, ");
    let mut commit = |changes: &[(&str, Option<i64>)]| {
        let mut draft = builder.draft(changes);
        draft.job = job.clone().into_bytes();
        builder.commit_draft(draft)
    };
    commit(&[("ann@2026-11-22T14:00:00Z", Some(1))]);
    commit(&[("bob@2026-11-22T14:00:30Z", Some(2)), ("cyd", Some(2))]);
    commit(&[("bob@2026-11-22T14:00:30Z", None), ("cyd", None)]);
    let found = damage(&builder.store, Depth::Deep);
    assert!(!found.is_empty());
    for (code, checkpoints, found) in &found {
        assert_eq!((*code, checkpoints.as_slice()), (FindingCode::NotResumable, &[Sequence(2)][..]), "{found}");
        assert!(found.contains("whose key does not"), "{found}");
    }
}
