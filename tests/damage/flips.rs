//! Flipping any bit in a store is detected.
//!
//! Not covered, by design, and listed in `docs/reliability.md`: the texts of locks, requests, files that were moved out
//! of the way as damaged, temporary files, foreign files, and objects that no checkpoint needs. No answer and no
//! decision depends on what they contain.

use std::collections::BTreeMap;
use std::sync::Arc;

use ckpt::format::layout::{self, ObjectKind};
use ckpt::format::manifest::Routing;
use ckpt::format::store_file::StoreFile;
use ckpt::ops::finding::Finding;
use ckpt::ops::verify::{Depth, verify};
use ckpt::storage::Storage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::Store;
use ckpt::values::progress::Silent;
use ckpt::values::relpath::RelPath;
use jiff::Timestamp;

use super::scene::{Files, Place, Scene, files_of, in_bucket, on_disk};
use crate::support::store_builder::StoreBuilder;
use crate::support::{repository, tree};

/// A small source of numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A store to flip bits in: one set of files for each replica.
struct Shape {
    name: &'static str,
    replicas: Vec<Files>,
}

/// Returns a number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Returns whether `verify` reports anything about the bytes at `path`.
fn is_covered(path: &str) -> bool {
    let outside = [layout::LOCK_FILE, layout::PRUNE_LOCK_FILE, layout::OBJECTS_LOCK_FILE];
    !outside.contains(&path) && !path.starts_with(layout::REQUESTS) && !path.starts_with(layout::DAMAGED)
}

/// Builds a store of `rounds` checkpoints in memory, each of which changes some of `keys` keys.
fn built(name: &'static str, routing: Routing, keys: usize, rounds: usize) -> Shape {
    let storage = MemoryStorage::new();
    let mut builder = StoreBuilder::on(vec![Arc::new(storage.clone())], 8, 3, routing);
    let key = |number: usize| match routing {
        Routing::Partition => format!("p{}", number % 8),
        Routing::KeyHash | Routing::KeyedPartition | Routing::Program => format!("key-{number:06}"),
    };
    for round in 0..rounds {
        let count = if round == 0 { keys } else { 10.min(keys) };
        let keys: Vec<String> = (0..count).map(|number| key(number * (round + 1) % keys)).collect();
        let changes: BTreeMap<&str, Option<i64>> =
            keys.iter().enumerate().map(|(number, key)| (key.as_str(), Some((number + round) as i64))).collect();
        builder.commit(&changes.into_iter().collect::<Vec<_>>());
    }
    let store = &builder.store;
    let latest = store.latest().expect("read").expect("there").manifest;
    store.pin(latest.sequence, Some("for a test"), Timestamp::UNIX_EPOCH).expect("pinned");
    // What the builder put and no checkpoint names is not covered.
    let needed: Vec<String> = store
        .sequences()
        .expect("listed")
        .into_iter()
        .flat_map(|sequence| {
            let sums = storage.get(&layout::sums(sequence), 1 << 20).expect("read");
            layout::parse_sums(&sums).expect("a list").0
        })
        .map(|object| object.path().to_string())
        .collect();
    let is_needed = |path: &str| !path.starts_with(layout::OBJECTS) || needed.iter().any(|needed| needed == path);
    let files = files_of(&storage).into_iter().filter(|(path, _)| is_needed(path)).collect();
    Shape { name, replicas: vec![files] }
}

fn shapes(is_long: bool) -> Vec<Shape> {
    let scene = Scene::new();
    let golden = |name: &'static str, path: &str| {
        let mut files = tree(&repository::path(path));
        // It dates from before seals: nothing else vouches for its `created`.
        let bytes = files.get_mut("store.yaml").expect("a store");
        *bytes = StoreFile::from_yaml(bytes).expect("a store file").to_yaml().into_bytes();
        Shape { name, replicas: vec![files] }
    };
    vec![
        Shape { name: "replicas, pins, history", replicas: vec![scene.files("a"), scene.files("b")] },
        built("a few keys", Routing::KeyHash, 6, 3),
        built("no key", Routing::Partition, 8, 4),
        built("many checkpoints", Routing::KeyHash, 40, 60),
        built("many keys", Routing::KeyHash, if is_long { 100_000 } else { 5_000 }, 2),
        golden("golden, aggregates", "tests/data/golden/format-1/keyed/store"),
        golden("golden, a program", "tests/data/golden/format-1/program/store"),
    ]
}

/// Returns what is found, or nothing when the store cannot even be opened.
fn found(storages: &[Arc<dyn Storage>]) -> Option<Vec<Vec<Finding>>> {
    let store = Store::open_available(storages.to_vec(), 0, storages.len()).ok()?;
    let reports = verify(&store, None, Depth::Full, &Silent).ok()?;
    Some(reports.into_iter().map(|report| report.findings).collect())
}

#[test]
fn a_bit_that_is_flipped_anywhere_is_found() {
    flip(on_disk);
}

#[test]
fn a_bit_that_is_flipped_anywhere_in_a_bucket_is_found() {
    flip(in_bucket);
}

/// Flips bits of stores in a `place`, one after another.
fn flip(place: Place) {
    let (tries, seed) = (number("CKPT_FLIPS", 300), number("CKPT_SEED", 1));
    println!("CKPT_FLIPS={tries} CKPT_SEED={seed}");
    let shapes = shapes(tries >= 10_000);
    let mut random = Random(seed);
    let mut missed = Vec::new();
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    for (number, shape) in shapes.iter().enumerate() {
        let storages: Vec<Arc<dyn Storage>> = shape.replicas.iter().map(place).collect();
        let before = found(&storages).expect("whole");
        let files: Vec<(usize, &String, &Vec<u8>)> = shape
            .replicas
            .iter()
            .enumerate()
            .flat_map(|(replica, files)| files.iter().map(move |(path, bytes)| (replica, path, bytes)))
            .filter(|(_, path, bytes)| is_covered(path) && !bytes.is_empty())
            .collect();
        let total: u64 = files.iter().map(|(.., bytes)| bytes.len() as u64).sum();
        let own = tries / shapes.len() as u64 + u64::from((number as u64) < tries % shapes.len() as u64);
        for flip in 0..own {
            // Choose every second one by bytes, the others by files: small files would hardly ever be hit.
            let (replica, path, bytes, at) = if flip % 2 == 0 {
                let mut at = random.below(total);
                let file = files.iter().find(|(.., bytes)| {
                    let is_here = at < bytes.len() as u64;
                    if !is_here {
                        at -= bytes.len() as u64;
                    }
                    is_here
                });
                let (replica, path, bytes) = file.expect("the offset is below the total");
                (*replica, *path, *bytes, at as usize)
            } else {
                let (replica, path, bytes) = files[random.below(files.len() as u64) as usize];
                (replica, path, bytes, random.below(bytes.len() as u64) as usize)
            };
            let bit = random.below(8);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let place = RelPath::new(path).expect("a plain path");
            storages[replica].replace(&place, &flipped).expect("written");
            match found(&storages) {
                None => *codes.entry("refused".to_owned()).or_default() += 1,
                Some(after) => {
                    let old: Vec<&Finding> = before.iter().flatten().collect();
                    let mut new = after.iter().flatten().filter(|finding| !old.contains(finding));
                    // The finding names the file, or a file of the same checkpoint that contradicts it.
                    let beside = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                    let named = new.clone().find(|finding| finding.path == *path);
                    let is_of_checkpoint =
                        |finding: &&Finding| path.starts_with(layout::CHECKPOINTS) && finding.path.starts_with(beside);
                    match named.or_else(|| new.find(is_of_checkpoint)) {
                        Some(finding) => *codes.entry(finding.code.to_string()).or_default() += 1,
                        None => missed.push(format!("{}: bit {bit} of byte {at} of {path} in {replica}", shape.name)),
                    }
                }
            }
            storages[replica].replace(&place, bytes).expect("written");
        }
    }
    println!("{} of {tries} found: {codes:?}", tries - missed.len() as u64);
    assert!(missed.is_empty(), "{} missed: {missed:#?}", missed.len());
    assert_eq!(codes.values().sum::<u64>(), tries);
}

#[test]
fn an_object_that_no_checkpoint_needs_is_compared_before_it_is_ever_used() {
    let storage = MemoryStorage::new();
    let builder = StoreBuilder::on(vec![Arc::new(storage.clone())], 8, 3, Routing::KeyHash);
    let put = builder.store.put(b"rows", ObjectKind::Parquet).expect("put");
    let path = put.object.object.path();
    storage.replace(&path, b"rowz").expect("written");
    assert!(builder.store.put(b"rows", ObjectKind::Parquet).expect("put").new, "the object should be rewritten");
    assert_eq!(&storage.get(&path, 10).expect("read")[..], b"rows");
    assert_eq!(&storage.get(&layout::damaged(put.object.object, 1), 10).expect("kept")[..], b"rowz");
}
