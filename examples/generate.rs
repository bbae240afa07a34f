//! Writes a click stream for `examples/clicks.yaml`. The same arguments give the same bytes on every machine.
//!
//!     cargo run --release --example generate -- DIR LINES [FILES] [SEED]
//!
//! LINES is the total number of records. They are spread over FILES files (default 4) named `clicks-0.jsonl`,
//! `clicks-1.jsonl` and so on. A few users click often and most of them rarely. Time only increases within a file.
//! About every tenth click buys something.
//!
//! `examples/data` holds the result of `generate examples/data 20000`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

const PAGES: [&str; 12] = [
    "/",
    "/search",
    "/news",
    "/shoes",
    "/shirts",
    "/hats",
    "/sale",
    "/cart",
    "/checkout",
    "/account",
    "/help",
    "/about",
];
const COUNTRIES: [&str; 10] = ["DE", "FR", "NL", "PL", "SE", "IT", "ES", "AT", "DK", "CZ"];

/// No click is earlier: 2026-11-01T00:00:00Z, in milliseconds since 1970.
const BEGIN_MILLIS: u64 = 1_793_491_200_000;

/// Users per 1,000 records. There are at least 50 users in total.
const USERS_PER_THOUSAND: u64 = 60;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(Some(default), |text| text.parse().ok());
    let (Some(directory), Some(lines), Some(files @ 1..=10_000), Some(seed), ..=4) =
        (arguments.first(), number(1, 0).filter(|_| arguments.len() > 1), number(2, 4), number(3, 1), arguments.len())
    else {
        eprintln!("usage: generate DIR LINES [FILES] [SEED]");
        return ExitCode::from(2);
    };
    match generate(Path::new(directory), lines, files, seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write to `{directory}`: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes `lines` clicks to `files` files in `directory`.
pub fn generate(directory: &Path, lines: u64, files: u64, seed: u64) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let users = (lines * USERS_PER_THOUSAND / 1_000).max(50);
    for file in 0..files {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(file));
        let mut out = BufWriter::new(File::create(directory.join(format!("clicks-{file}.jsonl")))?);
        let mut millis = BEGIN_MILLIS;
        let lines_here = lines / files + u64::from(file < lines % files);
        for _ in 0..lines_here {
            millis += random.below(2_000);
            // The smallest of three random numbers, so that a few users get many clicks.
            let user = random.below(users).min(random.below(users)).min(random.below(users));
            let page = PAGES[random.below(PAGES.len() as u64).min(random.below(PAGES.len() as u64)) as usize];
            let country = COUNTRIES[(user % COUNTRIES.len() as u64) as usize];
            write!(out, r#"{{"ts":{millis},"user":"u{user:06}","page":"{page}","country":"{country}","amount":"#)?;
            if random.below(10) == 0 {
                let cents = 99 + random.below(20_000);
                writeln!(out, "{}.{:02}}}", cents / 100, cents % 100)?;
            } else {
                writeln!(out, "0}}")?;
            }
        }
        out.flush()?;
    }
    Ok(())
}

/// A small random number generator (xorshift64*), the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        // The finalizer of SplitMix64: a bijection, so no two seeds share a state. Xorshift never leaves the state 0.
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Random((state ^ (state >> 31)).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number from 0 up to, but not including, `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}
