//! Writes a click stream for `examples/clicks.yaml`: the same bytes for the same arguments on every machine.
//!
//!     cargo run --release --example generate -- DIR LINES [FILES] [SEED]
//!
//! LINES is the number of records in all, spread over FILES files (default 4) named `clicks-0.jsonl`, `clicks-1.jsonl` and so on. A few users click
//! often and most seldom; time goes on within each file; every tenth click or so buys something.

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

/// The first click's time, in milliseconds since 1970: 2026-11-01T00:00:00Z.
const BEGIN_MILLIS: u64 = 1_793_491_200_000;

/// Users for each 1,000 records, at least 50 in all.
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
            eprintln!("error: cannot write below `{directory}`: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(directory: &Path, lines: u64, files: u64, seed: u64) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let users = (lines * USERS_PER_THOUSAND / 1_000).max(50);
    for file in 0..files {
        let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(file));
        let mut out = BufWriter::new(File::create(directory.join(format!("clicks-{file}.jsonl")))?);
        let mut millis = BEGIN_MILLIS;
        let lines_here = lines / files + u64::from(file < lines % files);
        for _ in 0..lines_here {
            millis += random.below(2_000);
            // The smaller of three numbers: a few users get much, most get little.
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

/// A small generator of random numbers (xorshift, then a multiplication), the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_add(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number from 0 to `limit`, without `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}
