//! Inputs: the same bytes for the same arguments on every machine.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::Outcome;

const COUNTRIES: [&str; 16] =
    ["US", "DE", "FR", "IN", "BR", "CN", "JP", "GB", "NG", "PL", "ES", "IT", "SE", "MX", "EG", "ID"];

/// The first click's time, in milliseconds since 1970: 2026-01-01T00:00:00Z.
const BEGIN_MILLIS: u64 = 1_767_225_600_000;

/// Writes clicks of `users` on `pages` into `files` files. All users are equally likely, and so are all pages.
///
/// Clicks are two milliseconds apart, and one in sixteen is late by up to two seconds.
pub fn clicks(directory: &Path, [lines, files, users, pages]: [u64; 4]) -> Outcome {
    fs::create_dir_all(directory)?;
    let writers: Vec<_> = (0..files)
        .map(|file| {
            let path = directory.join(format!("clicks-{file}.jsonl"));
            std::thread::spawn(move || write_clicks(&path, file, lines / files, users, pages))
        })
        .collect();
    writers.into_iter().try_for_each(|writer| writer.join().expect("writers do not panic"))
}

fn write_clicks(path: &Path, file: u64, lines: u64, users: u64, pages: u64) -> Outcome {
    let mut random = Random(Random(file).next());
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for line in 0..lines {
        let late = if random.below(16) == 0 { random.below(2_000) } else { 0 };
        let millis = BEGIN_MILLIS + 10_000 + line * 2 - late;
        let (user, page, cents) = (random.below(users), random.below(pages), random.below(60_000));
        let (section, country) = (page % 20, COUNTRIES[(user % 16) as usize]);
        writeln!(
            out,
            r#"{{"ts":{millis},"user":"u{user:07}","page":"/catalog/section-{section:02}/item-{page:05}","country":"{country}","amount":{}.{:02}}}"#,
            cents / 100,
            cents % 100
        )?;
    }
    Ok(out.flush()?)
}

/// Writes `count` records with the keys `first`, `first + stride` and so on modulo `ids`, scrambled so that they are in
/// no order.
pub fn keys(file: &Path, [count, first, stride, ids]: [u64; 4]) -> Outcome {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    for line in 0..count {
        let id = (first + line * stride) % ids.max(1);
        // The factor is odd, so the first 2^32 are all different.
        let name = id.wrapping_mul(2_654_435_761) as u32;
        writeln!(out, r#"{{"u":"user-{name:08x}","v":{}}}"#, line % 1_000)?;
    }
    Ok(out.flush()?)
}

/// A small generator of random numbers: splitmix64.
pub struct Random(pub u64);

impl Random {
    /// Returns 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}
