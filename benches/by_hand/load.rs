//! The minimum work of a resume: read and hash every byte, decode the rows, and build a table of the keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use bytes::Bytes;
use ckpt::values::digest::Digest;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::Outcome;
use crate::table::{Table, hash_of};

/// The work of one thread, and how long each part took.
#[derive(Default)]
struct Work {
    table: Table,
    bytes: u64,
    hashing: Duration,
    decoding: Duration,
    building: Duration,
}

/// Loads all segments of the only checkpoint of `store`, whose values are a count and a sum, on all cores.
pub fn run(store: &Path) -> Outcome {
    let begun = Instant::now();
    let mut objects: Vec<PathBuf> = Vec::new();
    for directory in fs::read_dir(store.join("objects/sha256"))? {
        for object in fs::read_dir(directory?.path())? {
            objects.push(object?.path());
        }
    }
    let objects = Mutex::new(objects);
    let works: Vec<Work> = std::thread::scope(|scope| {
        let worker = || {
            let mut work = Work::default();
            loop {
                let object = objects.lock().expect("no thread panics while holding it").pop();
                let Some(object) = object else { return work };
                load(&object, &mut work).expect("the objects are intact");
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("the objects are intact")).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    let keys: usize = works.iter().map(|work| work.table.entries.len()).sum();
    let bytes: u64 = works.iter().map(|work| work.bytes).sum();
    let sum = |part: fn(&Work) -> Duration| works.iter().map(part).sum::<Duration>().as_secs_f64();
    let (hashing, decoding, building) = (sum(|w| w.hashing), sum(|w| w.decoding), sum(|w| w.building));
    println!(
        r#"{{"keys": {keys}, "bytes": {bytes}, "seconds": {seconds:.4}, "cpu_hashing": {hashing:.4}, "cpu_decoding": {decoding:.4}, "cpu_building": {building:.4}}}"#
    );
    std::process::exit(0)
}

fn load(object: &Path, work: &mut Work) -> Outcome {
    let started = Instant::now();
    let bytes = Bytes::from(fs::read(object)?);
    let digest = Digest::of(&bytes).to_string();
    if object.file_stem().and_then(|name| name.to_str()) != Some(digest.as_str()) {
        return Err(format!("`{}` is damaged", object.display()).into());
    }
    work.bytes += bytes.len() as u64;
    work.hashing += started.elapsed();
    if object.extension().is_none_or(|ending| ending != "parquet") {
        return Ok(());
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    // The index and the positions are tables too.
    if reader.schema().field(0).name() != "task" {
        return Ok(());
    }
    let mut started = Instant::now();
    for batch in reader.with_batch_size(8192).build()? {
        let batch = batch?;
        work.decoding += started.elapsed();
        started = Instant::now();
        let keys = batch.column(1).as_string::<i32>();
        let counts = batch.column(3).as_primitive::<Int64Type>();
        let sums = batch.column(4).as_primitive::<Decimal128Type>();
        for row in 0..batch.num_rows() {
            let key = keys.value(row).as_bytes();
            work.table.add(hash_of(key), key, counts.value(row) as u64, sums.value(row) as f64);
        }
        assert_eq!(sums.null_count(), 0, "every key has a sum");
        work.building += started.elapsed();
        started = Instant::now();
    }
    Ok(())
}
