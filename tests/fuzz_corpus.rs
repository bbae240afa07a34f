//! The fuzz corpus and mutations of it, without a fuzzer: a regression fails `cargo test`.
//!
//! `fuzz/checks` defines what is checked. `cargo fuzz` looks for more, see `fuzz/README.md`. Here each target also gets
//! a few hundred mutations of its corpus; `CKPT_FUZZ_SECONDS` sets the seconds per target instead, and `CKPT_SEED`
//! selects the mutations.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../fuzz/checks/mod.rs"]
pub(crate) mod checks;

/// How many mutations of its corpus a target gets when no time is set.
const MUTATIONS: usize = 300;

/// A small source of numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn seed() -> u64 {
    std::env::var("CKPT_SEED").map_or(1, |text| text.parse().expect("CKPT_SEED is a number"))
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.expect("listed").path())
        .collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).expect("read"))).collect()
}

/// Changes, removes, repeats or swaps pieces of `bytes`, or inserts a piece of `other`.
fn mutate(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    const WORDS: [&[u8]; 16] = [
        b"\0",
        b"\xff",
        b"\n",
        b"18446744073709551615",
        b"-1",
        b"../",
        b"&a ",
        b"*a",
        b"{",
        b"[[[[",
        b"\"",
        b": ",
        b"\xc3\xa9",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff\x0f",
        b"\x80",
    ];
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let end = (at + random.below(24) as usize).min(bytes.len());
        let piece = match random.below(7) {
            0 if at < bytes.len() => {
                bytes[at] ^= 1 << random.below(8);
                continue;
            }
            1 if at < bytes.len() => {
                bytes[at] = random.next() as u8;
                continue;
            }
            2 => Vec::new(),
            3 => [&bytes[at..end], &bytes[at..end]].concat(),
            4 => WORDS[random.below(WORDS.len() as u64) as usize].to_vec(),
            5 if !other.is_empty() => {
                let from = random.below(other.len() as u64) as usize;
                other[from..(from + random.below(64) as usize).min(other.len())].to_vec()
            }
            _ => {
                bytes.truncate(end.max(1));
                continue;
            }
        };
        bytes.splice(at..end, piece);
    }
    bytes
}

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(corpus.len() >= 5, "{target} has a corpus");
    for (path, bytes) in &corpus {
        let checked = catch_unwind(|| check(bytes));
        assert!(checked.is_ok(), "{}", path.display());
    }
    let seed = seed();
    let mut random = Random(seed);
    let time =
        std::env::var("CKPT_FUZZ_SECONDS").ok().map(|text| text.parse().map(Duration::from_secs).expect("seconds"));
    let begun = Instant::now();
    let mut tried = 0;
    while time.map_or(tried < MUTATIONS, |time| begun.elapsed() < time) {
        let one = &corpus[random.below(corpus.len() as u64) as usize].1;
        let other = &corpus[random.below(corpus.len() as u64) as usize].1;
        let bytes = mutate(&mut random, one, other);
        if catch_unwind(AssertUnwindSafe(|| check(&bytes))).is_err() {
            let found = std::env::temp_dir().join(format!("ckpt-{target}-{seed}-{tried}"));
            fs::write(&found, &bytes).expect("written");
            panic!("CKPT_SEED={seed}: {target} fails with {}", found.display());
        }
        tried += 1;
    }
    println!("{target}: {} files, {tried} mutations of them, CKPT_SEED={seed}", corpus.len());
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name), checks::$name::check);
        })*

        #[test]
        fn every_target_is_replayed() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
            let mut names: Vec<String> = fs::read_dir(root)
                .expect("listed")
                .map(|entry| entry.expect("listed").path().file_stem().expect("a name").to_string_lossy().into_owned())
                .collect();
            names.sort();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! { arguments expression job_file manifest protocol records samza store tables }

/// When `CKPT_FUZZ_SEEDS` names a directory, writes the initial corpus there, from files that the program itself
/// writes.
#[test]
fn seeds_are_files_that_the_program_writes() {
    use crate::support::store_builder::three_checkpoints;
    use ckpt::format::rows::{Row, RowCodec};
    use ckpt::format::segment::SegmentWriter;
    use ckpt::values::value::Value;

    let dir = tempfile::tempdir().expect("a directory");
    three_checkpoints(&dir.path().join("s"));
    let out = std::env::var_os("CKPT_FUZZ_SEEDS").map(PathBuf::from);
    let put = |target: &str, name: &str, bytes: &[u8]| {
        if let Some(out) = &out {
            fs::create_dir_all(out.join(target)).expect("made");
            fs::write(out.join(target).join(name), bytes).expect("written");
        }
    };
    let codec = RowCodec::new(checks::tables::columns());
    for rows in [0usize, 1, 3, 40] {
        let mut writer = SegmentWriter::new(&checks::tables::columns());
        for i in 0..rows {
            let number = ckpt::values::decimal::Decimal::parse(format!("{i}.5").as_bytes()).expect("a number");
            let json = Value::Json(format!("[{i}]"));
            let values = [
                Value::Int(i as i64),
                Value::Number(number),
                Value::Text("t".into()),
                Value::Bool(true),
                json,
                Value::Sketch(vec![1]),
            ];
            let mut packed = Vec::new();
            codec.pack(&values, &mut packed);
            let value = (i % 7 != 5).then_some(packed.as_slice());
            writer.push(Row { task: i as u32 / 10, key: format!("key {i:03}").as_bytes(), value });
        }
        let (bytes, _) = writer.finish();
        put("tables", &format!("segment-{rows}"), &[b"\x02".as_slice(), &bytes].concat());
        checks::tables::check(&[b"\x02".as_slice(), &bytes].concat());
    }
    for (name, bytes) in crate::support::tree(dir.path()) {
        let name = name.rsplit('/').take(2).collect::<Vec<_>>().join("-").chars().take(24).collect::<String>();
        match bytes.starts_with(b"PAR1") {
            true => {
                for kind in [0u8, 1] {
                    let table = bytes::Bytes::from(bytes.clone());
                    let is_one = match kind {
                        0 => ckpt::format::index::decode(table).is_ok(),
                        _ => ckpt::format::positions::decode(table).is_ok(),
                    };
                    if is_one {
                        put("tables", &format!("{kind}-{name}"), &[&[kind], bytes.as_slice()].concat());
                    }
                }
            }
            false => {
                put("manifest", &name, &bytes);
                if name.starts_with("manifest") {
                    put("store", &name, &[b"\x05".as_slice(), &bytes].concat());
                }
            }
        }
    }
}
