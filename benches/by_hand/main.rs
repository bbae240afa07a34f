//! What `benches/compare` needs: inputs, a big store, and the work of a job written by hand, to compare with.
//!
//!     cargo build --release --example by_hand
//!     target/release/examples/by_hand clicks DIR LINES FILES USERS PAGES
//!     target/release/examples/by_hand keys FILE COUNT FIRST STRIDE IDS
//!     target/release/examples/by_hand store DIR MIB
//!     target/release/examples/by_hand aggregate DIR user|page|country
//!     target/release/examples/by_hand load STORE
//!
//! `aggregate` and `load` print their results and times as JSON.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

mod aggregate;
mod checkpoint;
mod inputs;
mod load;
mod store;
mod table;

/// Success, or a message for people.
type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["clicks", directory, lines, files, users, pages] => {
            numbers([lines, files, users, pages]).and_then(|n| inputs::clicks(Path::new(directory), n))
        }
        ["keys", file, count, first, stride, ids] => {
            numbers([count, first, stride, ids]).and_then(|n| inputs::keys(Path::new(file), n))
        }
        ["store", directory, mebibytes] => numbers([mebibytes]).and_then(|[n]| store::make(Path::new(directory), n)),
        ["aggregate", directory, job] => aggregate::run(Path::new(directory), job),
        ["load", store] => load::run(Path::new(store)),
        _ => Err("usage: see the top of benches/by_hand/main.rs".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn numbers<const N: usize>(texts: [&str; N]) -> Result<[u64; N], Box<dyn Error + Send + Sync>> {
    let mut numbers = [0; N];
    for (number, text) in numbers.iter_mut().zip(texts) {
        *number = text.parse().map_err(|error| format!("`{text}`: {error}"))?;
    }
    Ok(numbers)
}
