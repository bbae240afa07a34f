//! The input of the soak jobs.

use super::super::data::{Random, clicks, json};

/// A file: its name and its bytes.
pub(super) type File = (String, Vec<u8>);

/// Returns `count` small files and two larger ones: many blocks, so that many cuts are possible.
pub(super) fn many(ending: &str, count: u64, render: impl Fn(u64, usize) -> Vec<u8>) -> Vec<File> {
    let part =
        |i: u64| (format!("data-{i:04}.{ending}"), render(i, if i.is_multiple_of(count / 2) { 7_000 } else { 60 }));
    (0..count).map(part).collect()
}

/// Puts a bad record between some of the lines.
pub(super) fn spoil(seed: u64, bytes: &[u8]) -> Vec<u8> {
    let mut random = Random(seed);
    let mut spoiled = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match random.below(50) {
            0 => spoiled.extend_from_slice(b"{\"user\":{\"id\":7},\"amount\":\"much\"}\n"),
            1 => spoiled.extend_from_slice(b"\xff not JSON\n"),
            _ => {}
        }
        spoiled.extend_from_slice(line);
    }
    spoiled
}

/// Ten years in milliseconds.
const FAR_AHEAD: i64 = 3_653 * 86_400_000;

/// Returns files whose records are in order of time, with a few exceptions, of which some are far ahead.
pub(super) fn in_time(files: u64, count: usize) -> Vec<File> {
    let part = |file: u64| {
        let mut random = Random(file);
        let mut all = clicks(file, count, 50);
        for (i, click) in all.iter_mut().enumerate() {
            let behind = if random.below(500) == 0 { random.below(3_000) } else { random.below(40) };
            let ahead = if i % 1_500 == 700 { FAR_AHEAD } else { 0 };
            click.ts = 1_795_356_000_000 + i as i64 * 5 - behind as i64 + ahead;
            // Users come and go.
            click.user = format!("{}-{}", click.user, i / 400);
        }
        (format!("data-{file:04}.jsonl"), json(&all).bytes)
    };
    (0..files).map(part).collect()
}

/// Returns lines of words, some of them rare.
pub(super) fn words(seed: u64, lines: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut word = || {
        let range = [10, 100, 3_000][random.below(3) as usize];
        format!("word{}", random.below(range))
    };
    let line = |_| format!("{} {}, {}.\n", word(), word(), word());
    (0..lines).map(line).collect::<String>().into_bytes()
}
