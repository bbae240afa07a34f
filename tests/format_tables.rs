//! The promises of `docs/format.md`: any reader can read the tables, and the document shows what is really written.

use std::path::Path;
use std::process::Command;

use ckpt::format::index::{self, IndexRow, SegmentKind};
use ckpt::format::layout::{ObjectKind, ObjectName};
use ckpt::format::manifest::Manifest;
use ckpt::format::parquet::values::ValuesWriter;
use ckpt::format::positions::{self, PositionRow};
use ckpt::format::rows::{Row, RowCodec};
use ckpt::format::segment::{SegmentStats, SegmentWriter};
use ckpt::format::store_file::StoreFile;
use ckpt::values::decimal::Decimal;
use ckpt::values::digest::Digest;
use ckpt::values::value::{Column, ColumnType, Value};

#[test]
fn an_independent_reader_reads_every_table() {
    let python = |arguments: &[&str]| Command::new("python3").args(arguments).output();
    let installed = python(&["-c", "import duckdb"]).is_ok_and(|output| output.status.success());
    if !installed {
        let required = std::env::var_os("CKPT_REQUIRE_READER").is_some_and(|value| value == "1");
        assert!(!required, "CKPT_REQUIRE_READER=1, and `python3 -c 'import duckdb'` fails");
        eprintln!("skipped: reading the tables with DuckDB, which `pip install duckdb` installs");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    write_tables(directory.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/read_with_duckdb.py");
    let output = python(&[script, directory.path().to_str().unwrap()]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Writes the tables that `read_with_duckdb.py` knows.
fn write_tables(directory: &Path) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(directory.join(name), bytes).unwrap();
    let full = vec![
        Value::Int(-7),
        Value::Number(Decimal::from_units(10i128.pow(38) - 1).unwrap()),
        Value::Text("Zürich".to_owned()),
        Value::Bool(true),
        Value::Json("{\"a\":[1,2]}".to_owned()),
        Value::Sketch(vec![0, 255]),
    ];
    let nulls_but = |clicks: Value| [vec![clicks], vec![Value::Null; 5]].concat();
    let mut base = vec![(0, "ann".to_owned(), Some(full)), (0, "bob".to_owned(), Some(nulls_but(Value::Null)))];
    base.extend((0..50_000).map(|i| {
        let values = vec![
            Value::Int(i),
            Value::Number(Decimal::parse(b"-0.01").unwrap()),
            Value::Text(String::new()),
            Value::Bool(false),
            Value::Json("null".to_owned()),
            Value::Sketch(Vec::new()),
        ];
        (3, format!("u{i:07}"), Some(values))
    }));
    let delta = vec![
        (0, "bob".to_owned(), None),
        (0, "eve".to_owned(), Some(nulls_but(Value::Int(1)))),
        (3, "u0000000".to_owned(), Some(nulls_but(Value::Int(100)))),
    ];
    let mut rows = Vec::new();
    for (level, name, kind, content) in
        [(0, "base.parquet", SegmentKind::Base, base), (1, "delta.parquet", SegmentKind::Delta, delta)]
    {
        let (bytes, stats) = segment(&content);
        write(name, &bytes);
        rows.push(IndexRow {
            shard: 2,
            level,
            first_task: 32,
            last_task: 47,
            cut: u64::MAX - 1 + u64::from(level),
            kind,
            object: ObjectName { digest: Digest::from([[0xba, 0xcb][level as usize]; 32]), kind: ObjectKind::Parquet },
            bytes: bytes.len() as u64,
            rows: stats.rows,
            tombstones: stats.tombstones,
            smallest_key: stats.smallest_key,
            largest_key: stats.largest_key,
        });
    }
    write("index.parquet", &index::encode(&rows));
    let position = |partition: &str| PositionRow {
        cut: 9,
        offset: 1 << 40,
        record: 3,
        file_bytes: Some(1 << 41),
        ..PositionRow::at_start(partition.to_owned(), Digest::of(b"abc"))
    };
    let stdin = PositionRow { task: Some(4), offset: 12, record: 2, ended: true, file_bytes: None, ..position("-") };
    let columns = [
        Column::new("op", ColumnType::Text),
        Column::new("user", ColumnType::Text),
        Column::new("mean", ColumnType::Number),
        Column::new("users", ColumnType::Int),
    ];
    let mut output = ValuesWriter::new(&columns);
    let mean = Value::Number(Decimal::parse(b"0.5").expect("a number"));
    output.push(&[Value::Text("insert".to_owned()), Value::Text("ä".to_owned()), mean, Value::Int(7)]);
    output.push(&[Value::Text("delete".to_owned()), Value::Text("b".to_owned()), Value::Null, Value::Null]);
    write("output.parquet", &output.finish());
    let timed = PositionRow { event_time: Some(1_795_356_000_123), watermark: Some(-1), ..position("a") };
    write("timed_positions.parquet", &positions::encode(&[timed, position("b")]));
    write("positions.parquet", &positions::encode(&[stdin, position("data/ä.jsonl")]));
}

fn segment(rows: &[(u32, String, Option<Vec<Value>>)]) -> (Vec<u8>, SegmentStats) {
    use ColumnType::*;
    let columns: Vec<Column> =
        [("clicks", Int), ("spent", Number), ("city", Text), ("member", Bool), ("last", Json), ("users", Sketch)]
            .map(|(name, column_type)| Column::new(name, column_type))
            .into();
    let codec = RowCodec::new(columns.clone());
    let mut writer = SegmentWriter::new(&columns);
    for (task, key, values) in rows {
        let packed = values.as_ref().map(|values| {
            let mut packed = Vec::new();
            codec.pack(values, &mut packed);
            packed
        });
        writer.push(Row { task: *task, key: key.as_bytes(), value: packed.as_deref() });
    }
    writer.finish()
}

/// Returns the YAML block of `docs/format.md` below `heading`.
fn documented(heading: &str) -> &'static str {
    let document = include_str!("../docs/format.md");
    let section = document.split_once(&format!("\n## {heading}\n")).expect("the heading exists").1;
    section.split_once("```yaml\n").expect("a YAML block follows").1.split_once("```").expect("it ends").0
}

#[test]
fn the_manifest_in_the_document_is_valid() {
    let text = documented("manifest.yaml");
    let manifest: Manifest = serde_yaml::from_str(text).unwrap();
    assert_eq!(serde_yaml::to_string(&manifest).unwrap(), text);
}

#[test]
fn the_store_file_in_the_document_is_valid() {
    let text = documented("store.yaml");
    let file: StoreFile = serde_yaml::from_str(text).unwrap();
    assert_eq!(serde_yaml::to_string(&file).unwrap(), text);
}

#[test]
fn every_field_of_the_manifest_is_documented() {
    let section = include_str!("../docs/format.md").split_once("\n## manifest.yaml\n").unwrap().1;
    let (_, table) = section.split_once("| field | meaning |").unwrap();
    let manifest: serde_yaml::Value = serde_yaml::from_str(documented("manifest.yaml")).unwrap();
    for (name, value) in manifest.as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        let nested = value.as_mapping().filter(|_| matches!(name, "timings" | "totals" | "tables"));
        match nested {
            Some(fields) => fields.keys().for_each(|field| {
                let field = format!("`{name}.{}`", field.as_str().unwrap());
                assert!(table.contains(&field), "{field}");
            }),
            None => assert!(table.contains(&format!("`{name}`")), "{name}"),
        }
    }
}
