//! Rows that no run writes: a run refuses to resume from them, or misreads them, so `--deep` finds them.

use ckpt::format::quantiles::Quantiles;
use ckpt::format::sketch::Sketch;
use ckpt::ops::finding::{FindingCode, Severity};
use ckpt::ops::restore::{ExportFormat, apply_export, plan_export};
use ckpt::ops::verify::{Depth, verify};
use ckpt::store::Store;
use ckpt::values::decimal::Decimal;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use ckpt::values::value::{Column, ColumnType, Estimate, Value};

use ckpt::format::key_shape::{KeyPart, KeyShape};

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
fn an_estimate_that_is_not_that_of_its_sketch_is_found_until_it_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    // 13 has a wrong quantile, 14 a wrong count, 15 an estimate without a sketch, and 16 a sketch without an estimate.
    let value_of = |name: &str, clicks: i64| {
        let mut quantiles = Quantiles::default();
        quantiles.update(Decimal::ONE);
        let mut distinct = Sketch::default();
        (0..1_000u32).for_each(|value| distinct.update(&value.to_le_bytes()));
        match (name, clicks) {
            ("clicks", _) => Value::Int(clicks),
            ("ms" | "pages", 16) | ("ms_sketch" | "pages_sketch", 15) => Value::Null,
            ("ms", 13) => Value::Number(Decimal::parse(b"1.01").expect("a number")),
            ("ms", _) => Value::Number(Decimal::ONE),
            ("pages", 14) => Value::Int(distinct.estimate() * 103 / 100),
            // Another version of the library may round differently.
            ("pages", _) => Value::Int(distinct.estimate() + 3),
            ("ms_sketch", _) => Value::Sketch(quantiles.to_bytes()),
            _ => Value::Sketch(distinct.to_bytes()),
        }
    };
    let estimate = |name: &str, column_type, quantile: Option<&[u8]>| {
        let quantile = quantile.map(|text| Decimal::parse(text).expect("a number"));
        Column {
            estimate: Some(Estimate { sketch: format!("{name}_sketch"), quantile }),
            ..Column::new(name, column_type)
        }
    };
    let columns = vec![
        Column::new("clicks", ColumnType::Int),
        estimate("ms", ColumnType::Number, Some(b"0.5")),
        Column::new("ms_sketch", ColumnType::Quantiles),
        estimate("pages", ColumnType::Int, None),
        Column::new("pages_sketch", ColumnType::Sketch),
    ];
    let mut builder = StoreBuilder::keyed(dir.path()).with_columns(columns, value_of);
    builder.commit(&[("ann", Some(1)), ("bob", Some(2))]);
    assert_eq!(damage(&builder.store, Depth::Deep), []);
    for (wrong, number) in [(13, 2), (14, 4), (15, 6), (16, 8)] {
        builder.commit(&[("ann", Some(wrong))]);
        builder.commit(&[("ann", Some(1))]);
        let found = damage(&builder.store, Depth::Deep);
        let newest = found.last().expect("a finding");
        assert_eq!((newest.0, newest.1.as_slice()), (FindingCode::EstimateWrong, &[Sequence(number)][..]), "{found:?}");
        assert!(newest.2.contains("1 rows") && newest.2.ends_with("the first is \"ann\""), "{found:?}");
        assert_eq!(found.len() as u64, number / 2, "{found:?}");
    }
    assert_eq!(damage(&builder.store, Depth::Full), []);
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

#[test]
fn a_key_without_the_parts_of_the_jobs_key_is_found_and_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = StoreBuilder::keyed(&dir.path().join("store"));
    let part = |name: &str, column_type| KeyPart { name: name.to_owned(), column_type };
    let shape = KeyShape { parts: vec![part("user", None), part("size", Some(ColumnType::Int))], window: false };
    let job = JOB.replace("key: user", "key: [user, size: int]");
    let mut commit = |changes: &[(&str, Option<i64>)]| {
        let mut draft = builder.draft(changes);
        draft.job = job.clone().into_bytes();
        draft.manifest.key = Some(shape.clone());
        builder.commit_draft(draft)
    };
    let wrong = ["ann", r#"["a"]"#, r#"["a", 1]"#, r#"["a","1"]"#, r#"["a",1.0]"#, r#"["a",1]@x"#];
    commit(&[(r#"["a",1]"#, Some(1)), (r#"["",-2]"#, Some(1))]);
    let changes: Vec<_> = wrong.iter().map(|key| (*key, Some(2))).collect();
    commit(&changes);
    let changes: Vec<_> = wrong.iter().map(|key| (*key, None)).collect();
    commit(&changes);
    let found = damage(&builder.store, Depth::Deep);
    let rows: usize = found
        .iter()
        .map(|(code, checkpoints, found)| {
            assert_eq!((*code, checkpoints.as_slice()), (FindingCode::NotResumable, &[Sequence(2)][..]), "{found}");
            assert!(found.contains("whose key does not have them"), "{found}");
            found.split_once(' ').and_then(|(count, _)| count.parse::<usize>().ok()).expect("a count")
        })
        .sum();
    assert_eq!(rows, wrong.len(), "{found:?}");
    let refused = |sequence| {
        let committed = builder.store.manifest(Sequence(sequence)).expect("a manifest");
        ckpt::runner::resume::recover::recover(&builder.store, committed, 1)
            .map(|_| ())
            .map_err(|error| format!("{error:?}"))
    };
    assert!(refused(2).expect_err("refused").contains("does not have the parts"));
    assert_eq!((refused(1), refused(3)), (Ok(()), Ok(())));
    for format in [ExportFormat::Parquet, ExportFormat::Csv] {
        let target = dir.path().join(format!("{format:?}"));
        let plan = plan_export(&builder.store, Sequence(2), &target, format).expect("planned");
        let files = apply_export(&builder.store, &plan, &Silent).expect("written");
        assert_eq!(files.iter().map(|file| file.rows).sum::<u64>(), 2 + wrong.len() as u64);
    }
    let csv = std::fs::read_to_string(dir.path().join("Csv/state.csv")).expect("written");
    assert!(csv.contains(",a,1,1,") && csv.contains(",ann,,2,") && csv.contains(",\"[\"\"a\"\", 1]\",,2,"), "{csv}");
}

#[test]
fn a_manifest_whose_key_is_not_that_of_its_job_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = StoreBuilder::keyed(dir.path());
    let part = |name: &str| KeyPart { name: name.to_owned(), column_type: None };
    let shape = KeyShape { parts: vec![part("user"), part("size")], window: false };
    for (key, of_job) in [(None, "[user, size]"), (Some(shape.clone()), "user"), (Some(shape.clone()), "[size, user]")]
    {
        let mut draft = builder.draft(&[(r#"["a",1]"#, Some(1))]);
        draft.job = JOB.replace("key: user", &format!("key: {of_job}")).into_bytes();
        draft.manifest.key = key;
        builder.commit_draft(draft);
    }
    let mut draft = builder.draft(&[]);
    draft.job = JOB.replace("key: user", "key: [user, size]").into_bytes();
    draft.manifest.key = Some(shape);
    builder.commit_draft(draft);
    let found = damage(&builder.store, Depth::Full);
    let of: Vec<_> = found.iter().map(|(code, checkpoints, _)| (*code, checkpoints[0].0)).collect();
    assert_eq!(of, [1, 2, 3].map(|sequence| (FindingCode::NotResumable, sequence)), "{found:?}");
    assert!(found.iter().all(|(_, _, found)| found.contains("the parts of its key are not those")), "{found:?}");
}
