use proptest::prelude::*;

use super::*;
use crate::format::document::MAX_REASON_CHARS;
use crate::values::value::ColumnType;

fn object(content: &str, kind: ObjectKind) -> ObjectRef {
    let object = ObjectName { digest: Digest::of(content.as_bytes()), kind };
    ObjectRef { object, bytes: content.len() as u64 }
}

fn sample() -> Manifest {
    Manifest {
        format: 1,
        job: "spend-per-user".to_owned(),
        store: StoreId::new([7; 16]),
        sequence: Sequence(42),
        parent: Some(Parent { sequence: Sequence(41), sha256: Digest::of(b"41") }),
        created: "2026-11-22T14:00:00.125Z".parse().unwrap(),
        mode: Mode::Elided,
        trigger: Trigger::StateBytes,
        ended: false,
        restored_from: None,
        worker: None,
        tasks: 64,
        shards: 8,
        routing: Routing::KeyHash,
        block: 1234,
        older_cuts: Vec::new(),
        block_bytes: 262_144,
        key: None,
        columns: vec![Column::new("clicks", ColumnType::Int), Column::new("spent", ColumnType::Number)],
        timings: Timings { pause_micros: 900, snapshot_micros: 12_000, write_micros: 150_000 },
        totals: Totals { keys: u64::MAX, changed_keys: 5, ..Totals::default() },
        outputs: vec![Output {
            path: "out/a.jsonl".to_owned(),
            sha256: Digest::of(b"out"),
            bytes: 3,
            rows: 1,
            staged: None,
        }],
        dead_letter: Some(DeadLetter { path: "bad.jsonl".to_owned(), bytes: 9 }),
        late_records: None,
        messages: None,
        tables: Tables {
            index: object("index", ObjectKind::Parquet),
            positions: object("positions", ObjectKind::Parquet),
            job: object("job", ObjectKind::Yaml),
        },
    }
}

fn reason(text: &str) -> String {
    match Manifest::from_yaml(text.as_bytes()) {
        Err(error @ ManifestError::Malformed { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_manifest_reads_as_it_was_written_and_is_written_the_same_each_time() {
    let yaml = sample().to_yaml();
    assert_eq!(Manifest::from_yaml(yaml.as_bytes()).unwrap(), sample());
    assert_eq!(sample().to_yaml(), yaml);
    let head: Vec<_> = yaml.lines().take(7).collect();
    let sha256 = Digest::of(b"41");
    assert_eq!(
        head.join("\n"),
        format!(
            "format: 1\njob: spend-per-user\nstore: '07070707070707070707070707070707'\nsequence: 42\nparent:\n  \
                 sequence: 41\n  sha256: {sha256}"
        )
    );
    assert!(yaml.contains("created: 2026-11-22T14:00:00.125Z\n"), "{yaml}");
    let plain = Manifest { parent: None, outputs: vec![], dead_letter: None, ..sample() };
    let yaml = plain.to_yaml();
    assert!(!yaml.contains("parent") && !yaml.contains("outputs") && !yaml.contains("dead_letter"), "{yaml}");
    assert_eq!(Manifest::from_yaml(yaml.as_bytes()).unwrap(), plain);
}

#[test]
fn another_format_is_named_whatever_else_is_new() {
    let yaml = sample().to_yaml();
    for (text, format) in [
        (yaml.replace("format: 1", "format: 2"), 2),
        (yaml.replace("format: 1", "format: 2") + "encryption: {cipher: new}\n", 2),
        (yaml.replace("format: 1", "format: 99999999999"), 99_999_999_999),
        ("format: 0\n".to_owned(), 0),
    ] {
        match Manifest::from_yaml(text.as_bytes()) {
            Err(ManifestError::Format { found }) => assert_eq!(found, format),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let yaml = sample().to_yaml();
    assert!(reason(&yaml.replace("sequence: 42", "sequence: 0")).starts_with("sequence:"));
    assert!(reason(&yaml.replace("sequence: 41", "sequence: 42")).starts_with("parent:"));
    assert!(reason(&yaml.replace("sequence: 41", "sequence: 0")).starts_with("parent:"));
    assert!(reason(&yaml.replace("tasks: 64", "restored_from: 42\ntasks: 64")).starts_with("restored_from:"));
    assert!(reason(&yaml.replace("tasks: 64", "tasks: 0")).starts_with("tasks:"));
    assert!(reason(&yaml.replace("shards: 8", "shards: 0")).starts_with("shards:"));
    assert!(reason(&yaml.replace("shards: 8", "shards: 65")).starts_with("shards:"));
    assert!(
        reason(&yaml.replace("key_hash", "keyed_partition")).starts_with("shards: expected 64, one for each partition")
    );
    assert!(reason(&yaml.replace("block_bytes: 262144", "block_bytes: 0")).starts_with("block_bytes:"));
    assert!(reason(&yaml.replace("name: spent", "name: clicks")).starts_with("columns:"));
    for estimate in ["sketch: gone", "sketch: clicks", "sketch: clicks\n    quantile: '0.5'"] {
        let wrong = format!("type: number\n  estimate:\n    {estimate}");
        assert!(reason(&yaml.replace("type: number", &wrong)).starts_with("columns: \"spent\""), "{estimate}");
    }
    for quantile in ["'1.5'", "'-0'", "'0.50'", "half"] {
        let wrong = format!("type: number\n  estimate:\n    sketch: clicks\n    quantile: {quantile}");
        assert!(reason(&yaml.replace("type: number", &wrong)).contains("from 0 to 1"), "{quantile}");
    }
    let with_key = |parts: &str| yaml.replace("columns:", &format!("key: {{parts: [{parts}]}}\ncolumns:"));
    assert!(Manifest::from_yaml(with_key("{name: a}, {name: b, type: int}").as_bytes()).is_ok());
    let nine: Vec<String> = (0..9).map(|part| format!("{{name: p{part}}}")).collect();
    for parts in ["", "{name: a}", "{name: a}, {name: a}", "{name: a}, {name: clicks}", &nine.join(", ")] {
        assert!(reason(&with_key(parts)).starts_with("key:"), "{parts}");
    }
    for staged in ["9f86", "../../../etc/passwd1", "9F86D081884C7D65"] {
        let wrong = yaml.replace("  rows: 1", &format!("  rows: 1\n  staged: {staged}"));
        assert!(reason(&wrong).contains("16 lower-case hexadecimal digits"), "{staged}");
    }
    assert!(reason(&yaml.replace(".yaml", ".parquet")).starts_with("tables.job:"));
    assert!(reason(&yaml.replace("ended: false", "ended: false\nended: true")).contains("duplicate"));
    assert!(reason(&yaml.replace("ended: false", "endet: false")).contains("endet"));
    assert!(reason(&yaml.replace("tasks: 64", "tasks: -1")).contains("tasks"));
    assert!(reason(&format!("{yaml}---\n{yaml}")).contains("document"));
    reason("");
}

#[test]
fn a_reason_holds_nothing_that_a_terminal_obeys() {
    let text = reason(&format!("\"\\e[2J{}\": 1\nformat: 1", "x".repeat(1000)));
    assert!(!text.chars().any(char::is_control) && text.chars().count() <= MAX_REASON_CHARS, "{text}");
}

#[test]
fn a_manifest_that_is_too_large_is_not_parsed() {
    let large = sample().to_yaml() + &"#".repeat(Manifest::MAX_BYTES as usize);
    assert!(matches!(Manifest::from_yaml(large.as_bytes()), Err(ManifestError::TooLarge { .. })));
}

#[test]
fn aliases_are_refused() {
    let text = "x".repeat(40_000);
    let outputs = |alias: &str| format!("outputs: [&a {text}{}]\n", alias.repeat(4_000));
    for alias in [", *a", ",*a", "\n,\n*a"] {
        assert!(reason(&outputs(alias)).contains("aliases"), "{alias:?}");
    }
    assert!(reason("job: &a b\nstore: *a\n").contains("aliases"));
    let laughs: String = (0..60).map(|i| format!("k{i}: &k{i} [*k{0}, *k{0}, *k{0}]\n", i - 1)).collect();
    reason(&format!("k-1: &k-1 ha\n{laughs}"));
    reason(&"[".repeat(60_000));
    reason(&"{a: ".repeat(15_000));
}

#[test]
fn names_and_paths_may_hold_what_aliases_are_made_of() {
    for text in ["R & D", "&anchor", "*", "a * b & c", "'&x' *y", "&a *a, *a", &"* &".repeat(100), &"*".repeat(9_000)] {
        let manifest = Manifest {
            job: (*text).to_owned(),
            columns: vec![Column::new(format!("&{text}"), ColumnType::Json)],
            ..sample()
        };
        assert_eq!(Manifest::from_yaml(manifest.to_yaml().as_bytes()).unwrap(), manifest);
    }
}

proptest! {
    #[test]
    fn any_text_survives(job in any::<String>(), column in "\\PC*", path in "[ -~\\n\\t\\r]*") {
        let mut manifest = sample();
        manifest.job = job;
        manifest.columns[0].name = format!("{column}1");
        manifest.outputs[0].path = path;
        prop_assert_eq!(Manifest::from_yaml(manifest.to_yaml().as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Manifest::from_yaml(&bytes).is_err());
    }

    #[test]
    fn a_manifest_with_any_damage_is_read_without_a_panic(
        at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = sample().to_yaml().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Manifest::from_yaml(&bytes);
        let _ = Manifest::from_yaml(&bytes[..cut.index(bytes.len())]);
    }
}
