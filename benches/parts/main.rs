//! `cargo bench`: the speed of the parts, one after another, on one thread unless their names say otherwise.
//!
//!     cargo bench                  all parts
//!     cargo bench -- merge verify  those whose names contain one of the words
//!
//! `CKPT_BENCH_ROWS` is the number of rows (1,000,000), `CKPT_BENCH_TURNS` how often each part is run (7). The fastest
//! turn counts: other load on the machine only makes a turn slower.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ckpt::format::index::{self, IndexRow};
use ckpt::format::row_batch::RowBatch;
use ckpt::format::rows::{Row, RowCodec};
use ckpt::format::segment::keys::count_live;
use ckpt::format::segment::merge::Merge;
use ckpt::format::segment::{SegmentReader, SegmentWriter};
use ckpt::input::Block;
use ckpt::input::record::Extractor;
use ckpt::job::{FieldPath, InputFormat, LinePattern};
use ckpt::ops::diff::{Comparison, Scope, Side};
use ckpt::ops::verify::{Depth, verify};
use ckpt::runner::state::shard::Shard;
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::Store;
use ckpt::values::digest::Hasher;
use ckpt::values::id::{Sequence, StoreId};
use ckpt::values::progress::Silent;
use ckpt::values::value::{Column, ColumnType, Value};

#[path = "../by_hand/checkpoint.rs"]
mod checkpoint;

const TASKS: u32 = 64;
const SHARDS: u32 = 16;

fn main() {
    let mut bench = Bench::from_environment();
    let rows = number("CKPT_BENCH_ROWS", 1_000_000);
    let codec = RowCodec::new(vec![Column::new("n", ColumnType::Int), Column::new("s", ColumnType::Number)]);
    hashing(&mut bench);
    records(&mut bench, rows);
    access_log(&mut bench, rows);
    state(&mut bench, &codec, rows);
    segments(&mut bench, &codec, rows);
    stores(&mut bench, &codec, rows);
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// Which parts are measured, and how often.
struct Bench {
    words: Vec<String>,
    turns: u64,
}

impl Bench {
    fn from_environment() -> Bench {
        // Cargo adds its own flags.
        let words = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
        Bench { words, turns: number("CKPT_BENCH_TURNS", 7).max(1) }
    }

    /// Measures `work` on what `prepare` makes for each turn. A turn does `count` of `unit`.
    fn with<T>(&mut self, name: &str, count: u64, unit: &str, mut prepare: impl FnMut() -> T, mut work: impl FnMut(T)) {
        if !self.words.is_empty() && !self.words.iter().any(|word| name.contains(word.as_str())) {
            return;
        }
        let mut best = Duration::MAX;
        for _ in 0..self.turns {
            let prepared = prepare();
            let begun = Instant::now();
            work(prepared);
            best = best.min(begun.elapsed());
        }
        let seconds = best.as_secs_f64();
        let each = seconds * 1e9 / count as f64;
        println!(
            "{name:36} {:>9.2} million {unit}/s {each:>9.2} ns each {:>9.1} ms",
            count as f64 / seconds / 1e6,
            seconds * 1e3
        );
    }

    fn measure(&mut self, name: &str, count: u64, unit: &str, mut work: impl FnMut()) {
        self.with(name, count, unit, || (), |()| work());
    }
}

fn hashing(bench: &mut Bench) {
    let bytes = vec![7u8; 64 << 20];
    bench.measure("hash 64 MiB", bytes.len() as u64, "bytes", || {
        let mut hasher = Hasher::new();
        bytes.chunks(256 << 10).for_each(|piece| hasher.update(piece));
        black_box(hasher.finish());
    });
    let key = b"user-0123abcd";
    bench.measure("task of a key", 1_000_000, "keys", || {
        for _ in 0..1_000_000 {
            black_box(index::task_of_key(black_box(key), TASKS));
        }
    });
}

/// Returns the key of a number. All keys are different, and those of neighbors are far apart.
fn key(number: u64) -> String {
    format!("user-{:08x}", number.wrapping_mul(2_654_435_761) as u32)
}

fn records(bench: &mut Bench, rows: u64) {
    let lines: String = (0..rows.min(100_000))
        .map(|n| {
            let (user, page, cents) = (n * 7919 % 1_000_000, n % 5_000, n % 60_000);
            format!(
                "{{\"ts\":{},\"user\":\"u{user:07}\",\"page\":\"/catalog/item-{page:05}\",\"country\":\"DE\",\"amount\":{}.{:02}}}\n",
                1_767_225_600_000 + n,
                cents / 100,
                cents % 100
            )
        })
        .collect();
    let block = block_of(lines);
    let fields = ["user", "amount"].map(|name| FieldPath::parse(name).expect("a field"));
    let mut extractor = Extractor::new(&InputFormat::Json, &fields, 16 << 20);
    bench.measure("scan JSON lines, two fields", rows.min(100_000), "records", || {
        let mut seen = 0;
        extractor.each(&block, |_, fields| {
            seen += usize::from(fields.is_ok());
            true
        });
        assert_eq!(black_box(seen) as u64, rows.min(100_000));
    });
}

fn access_log(bench: &mut Bench, rows: u64) {
    let count = rows.min(100_000);
    let line = |n: u64| {
        format!(
            "192.0.2.{} - - [24/Oct/2026:13:{:02}:{:02} +0200] \"GET /catalog/item-{:05} HTTP/1.1\" {} {} \
             \"https://example.com/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\"\n",
            n % 250,
            n / 60 % 60,
            n % 60,
            n * 7919 % 5_000,
            [200, 200, 304, 404][n as usize % 4],
            n * 31 % 60_000
        )
    };
    let block = block_of((0..count).map(line).collect());
    let fields = ["path", "status", "bytes"].map(|name| FieldPath::parse(name).expect("a field"));
    let by_hand = r#"(?<host>\S+) (?<ident>\S+) (?<user>\S+) \[(?<time>[^\]]+)\] "(?<method>[A-Z]+) (?<path>\S+) [^"]*" (?<status>\d+) (?<bytes>\d+|-) "[^"]*" "[^"]*""#;
    for (name, pattern) in [
        ("split lines of the combined format", LinePattern::Combined),
        ("match lines with an expression", LinePattern::Regex(by_hand.to_owned())),
    ] {
        let mut extractor = Extractor::new(&InputFormat::Pattern(pattern), &fields, 16 << 20);
        bench.measure(name, count, "records", || {
            let mut seen = 0;
            extractor.each(&block, |_, fields| {
                seen += usize::from(fields.is_ok());
                true
            });
            assert_eq!(black_box(seen) as u64, count);
        });
    }
}

/// Returns a block with `lines`.
fn block_of(lines: String) -> Block {
    Block {
        number: 0,
        partition: 0,
        stream: 0,
        offset: 0,
        end_offset: lines.len() as u64,
        continues_line: false,
        bytes: lines.into_bytes(),
        header: None,
        messages: None,
        released: Vec::new(),
    }
}

fn state(bench: &mut Bench, codec: &RowCodec, rows: u64) {
    let keys: Vec<(u64, String)> =
        (0..rows).map(key).map(|key| (xxhash_rust::xxh3::xxh3_64(key.as_bytes()), key)).collect();
    let fill = |shard: &mut Shard| {
        for (hash, key) in &keys {
            let mut row = shard.row(*hash, key.as_bytes());
            let count = if row.has(0) { row.int(0) } else { 0 };
            row.set_int(0, count + 1);
            row.set_present(0);
        }
    };
    let full = || {
        let mut shard = Shard::new(codec);
        fill(&mut shard);
        shard
    };
    bench.with(
        "table: new keys",
        rows,
        "keys",
        || Shard::new(codec),
        |mut shard| {
            fill(&mut shard);
            // Freeing the memory is not part of it.
            std::mem::forget(shard);
        },
    );
    let mut shard = full();
    bench.measure("table: known keys", rows, "keys", || fill(&mut shard));
    let task_of = |key: &[u8]| index::task_of_key(key, TASKS);
    let snapshot = |mut shard: Shard| {
        shard.freeze(true);
        shard.take(usize::MAX / 2, task_of).expect("all are taken").rows
    };
    bench.with("snapshot: take all rows", rows, "rows", full, |shard| drop(black_box(snapshot(shard))));
    bench.with("snapshot: sort", rows, "rows", || snapshot(full()), |mut taken| taken.sort());
}

/// Makes a segment of every `step`-th key of a shard.
fn segment(
    codec: &RowCodec,
    keys: &[(u32, String)],
    step: usize,
    count: i64,
) -> (Vec<u8>, ckpt::format::segment::SegmentStats) {
    let mut writer = SegmentWriter::new(codec.columns());
    let mut packed = Vec::new();
    for (number, (task, key)) in keys.iter().enumerate().step_by(step) {
        packed.clear();
        let sum = ckpt::values::decimal::Decimal::from_units(number as i128 * 10i128.pow(16)).expect("in bounds");
        codec.pack(&[Value::Int(count), Value::Number(sum)], &mut packed);
        writer.push(Row { task: *task, key: key.as_bytes(), value: Some(&packed) });
    }
    writer.finish()
}

/// Returns the keys of `shard`, sorted by task and key.
fn keys_of(rows: u64, shard: Option<u32>) -> Vec<(u32, String)> {
    let mut keys: Vec<(u32, String)> =
        (0..rows).map(key).map(|key| (index::task_of_key(key.as_bytes(), TASKS), key)).collect();
    keys.retain(|(task, _)| shard.is_none_or(|shard| index::shard_of(*task, TASKS, SHARDS) == shard));
    keys.sort();
    keys
}

fn segments(bench: &mut Bench, codec: &RowCodec, rows: u64) {
    let keys = keys_of(rows, None);
    let columns = codec.columns();
    let (base, _) = segment(codec, &keys, 1, 1);
    let base = bytes::Bytes::from(base);
    bench.measure("segment: encode", rows, "rows", || drop(black_box(segment(codec, &keys, 1, 1))));
    let open = |bytes: &bytes::Bytes| SegmentReader::open(bytes.clone(), columns).expect("a segment");
    let count = |reader: SegmentReader| reader.map(|batch| batch.expect("rows").len() as u64).sum::<u64>();
    bench.measure("segment: decode rows", rows, "rows", || assert_eq!(black_box(count(open(&base))), rows));
    bench.measure("segment: decode and check keys", rows, "rows", || {
        let keys = open(&base).into_keys().map(|batch| batch.expect("keys").len() as u64);
        assert_eq!(black_box(keys.sum::<u64>()), rows);
    });
    let deltas: Vec<bytes::Bytes> = (2..18).map(|n| segment(codec, &keys[n..], 100, n as i64).0.into()).collect();
    let chain = || [&base].into_iter().chain(&deltas).map(open).collect::<Vec<_>>();
    bench.measure("merge: a base and 16 deltas of 1 %", rows, "rows", || {
        let mut live = 0;
        Merge::new(chain())
            .for_each(|row| {
                live += u64::from(row.value.is_some());
                true
            })
            .expect("rows");
        assert_eq!(black_box(live), rows);
    });
    bench.measure("merge: count live keys of the same", rows, "rows", || {
        let keys = |bytes: &bytes::Bytes| open(bytes).into_keys();
        assert_eq!(count_live(keys(&base), deltas.iter().map(keys).collect()), Ok(vec![rows; 17]));
    });
    let mut batch = RowBatch::new();
    bench.measure("rows: append to a batch", rows, "rows", || {
        batch.clear();
        keys.iter().for_each(|(task, key)| batch.push(*task, key.as_bytes(), Some(&[0; 25])));
    });
}

fn stores(bench: &mut Bench, codec: &RowCodec, rows: u64) {
    let file = ckpt::format::store_file::StoreFile {
        format: 1,
        store: StoreId::new([7; 16]),
        job: "bench".to_owned(),
        created: "2026-01-01T00:00:00Z".parse().expect("a time"),
    };
    let store = Store::create(vec![Arc::new(MemoryStorage::new())], file).expect("created");
    let mut chains: Vec<IndexRow> = Vec::new();
    let mut deltas: Vec<IndexRow> = Vec::new();
    for shard in 0..SHARDS {
        let keys = keys_of(rows, Some(shard));
        let put = |level, step, count| {
            let (bytes, stats) = segment(codec, &keys, step, count);
            checkpoint::put_segment(&store, (shard, TASKS, SHARDS), level, &bytes, stats).expect("put")
        };
        let base = put(0, 1, 1);
        deltas.extend([base.clone(), put(1, 100, 2)]);
        chains.push(base);
    }
    let keys = checkpoint::Keys { total: rows, changed: rows, tasks: TASKS, shards: SHARDS };
    let first = checkpoint::commit(&store, codec.columns(), &chains, None, keys).expect("committed");
    checkpoint::commit(&store, codec.columns(), &deltas, Some(first), keys).expect("committed");
    let bytes: u64 = deltas.iter().map(|row| row.bytes).sum();
    let verified = |depth| {
        let reports = verify(&store, None, depth, &Silent).expect("verified");
        assert!(reports.iter().all(|report| report.is_intact()), "{reports:?}");
    };
    bench.measure("verify, all threads", bytes, "bytes", || verified(Depth::Full));
    bench.measure("verify --deep, two chains, all threads", rows * 2, "rows", || verified(Depth::Deep));
    bench.measure("diff of 1 %, all threads", rows / 100, "changed keys", || {
        let side = |number| Side::open(store.clone(), Sequence(number)).expect("read");
        let mut changed = 0;
        let comparison = Comparison::new(side(1), side(2), Scope::default());
        comparison
            .changes(&Silent, |_| {
                changed += 1;
                true
            })
            .expect("compared");
        assert!(changed >= rows / 100, "{changed}");
    });
}
