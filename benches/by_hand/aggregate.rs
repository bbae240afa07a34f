//! A job written by hand: every core reads files, owns some of the keys, and hands records to the cores that own
//! theirs.
//!
//! It handles no special case: any other record stops it, nothing is stored, memory is unbounded, and numbers are
//! floats.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use memchr::{memchr, memchr2, memrchr};

use crate::Outcome;
use crate::table::{Table, hash_of};

const BLOCK_BYTES: usize = 256 << 10;
/// Records that are looked up together.
const LOOK_AHEAD: usize = 64;
/// Records that are handed over together.
const BATCH_RECORDS: usize = 4096;

#[derive(Clone, Copy, PartialEq)]
enum Job {
    /// Count and sum of the amount for each user.
    User,
    /// Count for each page.
    Page,
    /// Count for each country and minute.
    Country,
}

/// Aggregates all files in `directory`, on all cores.
pub fn run(directory: &Path, job: &str) -> Outcome {
    let job = match job {
        "user" => Job::User,
        "page" => Job::Page,
        "country" => Job::Country,
        _ => return Err(format!("no such job: `{job}`").into()),
    };
    let begun = Instant::now();
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in directory.read_dir()? {
        files.push(entry?.path());
    }
    files.sort();
    let files = Mutex::new(files);
    let threads = std::thread::available_parallelism()?.get();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..threads).map(|_| unbounded()).unzip();
    let tables: Vec<Table> = std::thread::scope(|scope| {
        let (files, senders_of_all) = (&files, &senders);
        let own = receivers.into_iter().enumerate();
        let workers: Vec<_> = own
            .map(|(me, receiver)| {
                let outgoing = (0..threads).map(|_| Batch::default()).collect();
                let worker =
                    Worker { senders: senders_of_all.clone(), receiver, outgoing, me, table: Table::default() };
                scope.spawn(move || worker.run(files, job))
            })
            .collect();
        drop(senders);
        workers.into_iter().map(|worker| worker.join().expect("the records are well formed")).collect()
    });
    let keys: usize = tables.iter().map(|table| table.entries.len()).sum();
    let records: u64 = tables.iter().flat_map(|table| &table.entries).map(|entry| entry.count).sum();
    let sum: f64 = tables.iter().flat_map(|table| &table.entries).map(|entry| entry.sum).sum();
    let seconds = begun.elapsed().as_secs_f64();
    println!(r#"{{"records": {records}, "keys": {keys}, "sum": {sum:.2}, "seconds": {seconds:.4}}}"#);
    // Freeing the memory is not part of the work.
    std::process::exit(0)
}

/// Records on their way to the thread that owns their keys.
#[derive(Default)]
struct Batch {
    fields: Vec<Field>,
    keys: Vec<u8>,
}

/// The place of a record's key in its batch, and its number.
struct Field {
    hash: u64,
    from: usize,
    to: usize,
    amount: f64,
}

/// One thread: it reads files and owns some of the keys.
struct Worker {
    senders: Vec<Sender<Batch>>,
    receiver: Receiver<Batch>,
    outgoing: Vec<Batch>,
    me: usize,
    table: Table,
}

impl Worker {
    fn run(mut self, files: &Mutex<Vec<PathBuf>>, job: Job) -> Table {
        loop {
            let file = files.lock().expect("no thread panics while holding it").pop();
            let Some(file) = file else { break };
            self.read(&file, job);
        }
        for owner in 0..self.outgoing.len() {
            self.hand_over(owner);
        }
        self.senders.clear();
        while let Ok(batch) = self.receiver.recv() {
            apply(&mut self.table, &batch);
        }
        self.table
    }

    fn read(&mut self, path: &Path, job: Job) {
        let mut file = File::open(path).expect("the file can be opened");
        let mut block = vec![0; BLOCK_BYTES];
        let mut filled = 0;
        loop {
            let read = file.read(&mut block[filled..]).expect("the file can be read");
            filled += read;
            if filled == 0 {
                return;
            }
            let whole = if read == 0 { filled } else { memrchr(b'\n', &block[..filled]).map_or(0, |at| at + 1) };
            let mut at = 0;
            while at < whole {
                let end = memchr(b'\n', &block[at..whole]).map_or(whole, |length| at + length);
                self.route(&block[at..end], job);
                at = end + 1;
            }
            while let Ok(batch) = self.receiver.try_recv() {
                apply(&mut self.table, &batch);
            }
            block.copy_within(whole..filled, 0);
            filled -= whole;
            if read == 0 {
                return;
            }
        }
    }

    #[inline]
    fn route(&mut self, line: &[u8], job: Job) {
        let (key, number) = parse(line, job);
        let mut minute = [0; 8];
        let mut amount = 0.0;
        match job {
            Job::User => amount = decimal(number),
            Job::Page => {}
            Job::Country => minute = (integer(number) / 60_000).to_be_bytes(),
        }
        let made = [key, &minute];
        let hash = if job == Job::Country { hash_of(&made.concat()) } else { hash_of(key) };
        let owner = (hash >> 40) as usize % self.outgoing.len();
        let batch = &mut self.outgoing[owner];
        let from = batch.keys.len();
        batch.keys.extend_from_slice(key);
        if job == Job::Country {
            batch.keys.extend_from_slice(&minute);
        }
        batch.fields.push(Field { hash, from, to: batch.keys.len(), amount });
        if batch.fields.len() == BATCH_RECORDS {
            self.hand_over(owner);
        }
    }

    fn hand_over(&mut self, owner: usize) {
        let batch = &mut self.outgoing[owner];
        if owner == self.me {
            apply(&mut self.table, batch);
            batch.fields.clear();
            batch.keys.clear();
        } else {
            // The others run until every sender is gone.
            let _ = self.senders[owner].send(std::mem::take(batch));
        }
    }
}

fn apply(table: &mut Table, batch: &Batch) {
    for fields in batch.fields.chunks(LOOK_AHEAD) {
        table.look_ahead(fields.iter().map(|field| field.hash));
        for field in fields {
            table.add(field.hash, &batch.keys[field.from..field.to], 1, field.amount);
        }
    }
}

/// Extracts the fields that the job needs from a line, in any order, and skips the others.
#[inline]
fn parse(line: &[u8], job: Job) -> (&[u8], &[u8]) {
    let (first, second): (&[u8], &[u8]) = match job {
        Job::User => (b"user", b"amount"),
        Job::Page => (b"page", b""),
        Job::Country => (b"country", b"ts"),
    };
    let (mut key, mut number) = ((0, 0), (0, 0));
    let mut missing = 1 + usize::from(!second.is_empty());
    assert_eq!(line[0], b'{', "an object");
    let mut at = 1;
    while missing > 0 {
        assert_eq!(line[at], b'"', "a name");
        let name = (at + 1, end_of_text(line, at + 1));
        at = name.1 + 1;
        assert_eq!(line[at], b':', "a value");
        at += 1;
        let value = if line[at] == b'"' {
            let value = (at + 1, end_of_text(line, at + 1));
            at = value.1 + 1;
            value
        } else {
            let length = memchr2(b',', b'}', &line[at..]).expect("a value ends");
            let value = (at, at + length);
            at = value.1;
            value
        };
        at += 1;
        let name = &line[name.0..name.1];
        if name == first {
            key = value;
            missing -= 1;
        } else if name == second {
            number = value;
            missing -= 1;
        }
    }
    (&line[key.0..key.1], &line[number.0..number.1])
}

#[inline]
fn integer(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

#[inline]
fn end_of_text(line: &[u8], from: usize) -> usize {
    let end = from + memchr2(b'"', b'\\', &line[from..]).expect("a text ends");
    assert_eq!(line[end], b'"', "no escapes");
    end
}

#[inline]
fn decimal(digits: &[u8]) -> f64 {
    let (mut whole, mut scale, mut is_fraction) = (0u64, 1u64, false);
    for &digit in digits {
        if digit == b'.' {
            is_fraction = true;
        } else {
            whole = whole * 10 + u64::from(digit - b'0');
            scale *= if is_fraction { 10 } else { 1 };
        }
    }
    whole as f64 / scale as f64
}
