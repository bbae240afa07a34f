//! What must hold of the store at every moment, whichever worker has committed what.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ckpt::format::manifest::Trigger;
use ckpt::format::positions::{BatchEnds, batch_ends};
use ckpt::format::store_file::StoreFile;
use ckpt::ops::finding::Severity;
use ckpt::ops::verify::{Depth, verify};
use ckpt::runner::resume::recover::recover;
use ckpt::storage::Storage;
use ckpt::store::{Committed, Store};
use ckpt::values::digest::Digest;
use ckpt::values::id::{Sequence, StoreId};
use ckpt::values::progress::Silent;
use jiff::Timestamp;

use super::files;
use super::worker::{Log, Outcome, PARTITIONS, Records, Term, late_at, name_of, rows_of, times_at};
use crate::support::objects::Objects;
use crate::support::simulated::Disk;

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Place {
    Bucket(Objects),
    Directory(Disk),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Bucket(_) => "bucket",
            Place::Directory(_) => "directory",
        })
    }
}

impl Place {
    /// Returns a place of each kind, with a store in which a run alone has made three checkpoints.
    pub fn both(records: Records) -> [Place; 2] {
        let places = [Place::Bucket(Objects::default()), Place::Directory(Disk::new())];
        places.iter().for_each(|place| place.begin(records));
        places
    }

    /// Returns a copy that changes on its own.
    pub fn copied(&self) -> Place {
        match self {
            Place::Bucket(objects) => Place::Bucket(objects.copied()),
            Place::Directory(disk) => Place::Directory(disk.after_death()),
        }
    }

    /// Returns it as a new process sees it.
    pub fn open(&self) -> Arc<dyn Storage> {
        match self {
            Place::Bucket(objects) => Arc::new(objects.client(None)),
            Place::Directory(disk) => Arc::new(disk.calm()),
        }
    }

    fn begin(&self, records: Records) {
        let file =
            StoreFile { format: 1, store: StoreId::new([1; 16]), job: "j".to_owned(), created: Timestamp::UNIX_EPOCH };
        Store::create(vec![self.open()], file).expect("created");
        let log = Arc::new(Log::new(records, false));
        let mut term = Term::start(self.open(), "alone", None, None, &log).expect("started");
        for _ in 0..3 {
            assert!(matches!(term.commit(), Outcome::Committed));
        }
    }
}

/// A checkpoint as it was seen.
#[derive(Debug, Clone)]
struct Seen {
    sha256: Digest,
    /// For each partition, its offset, and who committed it last and when.
    positions: BTreeMap<u32, (u64, Option<(String, i64)>)>,
    /// Where its batch ends, if it is part of one, and whether it completes that.
    ends: Option<BatchEnds>,
    is_complete: bool,
}

/// The checkpoints that were seen so far.
#[derive(Debug, Default)]
pub struct Chain(BTreeMap<Sequence, Seen>);

impl Chain {
    /// Looks at the checkpoints: those that were seen before are unchanged, and what must hold, holds of the new ones.
    pub fn look(&mut self, place: &Place, log: &Log, context: &str) {
        let store = Store::open(vec![place.open()]).expect("opened");
        let sequences = store.sequences().expect("listed");
        assert!(sequences.last() >= self.0.keys().last(), "{context}: the latest checkpoint is gone");
        for sequence in sequences {
            let committed = store.manifest(sequence).unwrap_or_else(|error| panic!("{context}: {sequence}: {error}"));
            match self.0.get(&sequence) {
                Some(seen) => assert_eq!(seen.sha256, committed.sha256, "{context}: {sequence} is another"),
                None => self.add(&store, committed, log, context),
            }
        }
        self.check_line(log, context);
    }

    /// Adds a checkpoint after checking what it has.
    fn add(&mut self, store: &Store, committed: Committed, log: &Log, context: &str) {
        let (sequence, sha256) = (committed.manifest.sequence, committed.sha256);
        let context = format!("{context}: checkpoint {sequence}");
        let before = sequence.0.checked_sub(1).map(Sequence);
        match (&committed.manifest.parent, before.and_then(|before| self.0.get(&before).zip(Some(before)))) {
            (Some(parent), Some((seen, before))) => {
                assert_eq!((parent.sequence, parent.sha256), (before, seen.sha256), "{context}: its parent");
            }
            (parent, _) => assert!(parent.is_some() || sequence == Sequence::FIRST, "{context}: it has no parent"),
        }
        let is_restored = committed.manifest.trigger == Trigger::Restore;
        let (is_complete, is_shared) = (committed.manifest.ended, committed.manifest.worker.is_some());
        let (late_in_all, mut late) = (committed.manifest.totals.late, 0);
        let recovered = recover(store, committed, 1).unwrap_or_else(|error| panic!("{context}: {error}"));
        let cuts = log.cuts.lock().expect("no panic").clone();
        let mut positions = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let row = recovered.lineage.positions.get(&name_of(partition));
            let offset = row.and_then(|row| row.message.as_ref()).map_or(0, |message| message.offset);
            let rows = rows_of(&recovered.shards[partition as usize]);
            assert_eq!(rows, log.records.fold(partition, offset), "{context}: partition {partition} at {offset}");
            let times = row.map_or([None; 2], |row| [row.event_time, row.watermark]);
            assert_eq!(times, times_at(partition, offset), "{context}: partition {partition} at {offset}");
            late += late_at(partition, offset);
            let commit = row.and_then(|row| row.committed.as_ref()).map(|it| (it.worker.clone(), it.time));
            if let Some(commit) = &commit {
                let cut = cuts.get(commit).unwrap_or_else(|| panic!("{context}: {commit:?} is not a cut"));
                assert_eq!(cut.offsets.get(&partition), Some(&offset), "{context}: partition {partition}: {cut:?}");
            }
            let latest = self.0.range(..sequence).next_back().map(|(_, seen)| &seen.positions[&partition]);
            let went_back = latest.is_some_and(|(before, _)| *before > offset);
            assert!(!went_back || is_restored, "{context}: partition {partition} went back to {offset}");
            positions.insert(partition, (offset, commit));
        }
        assert_eq!(late_in_all, late, "{context}: late records");
        let ends = batch_ends(recovered.lineage.positions.values());
        let before = self.0.range(..sequence).next_back().map(|(_, seen)| seen);
        if let Some(before) = before.filter(|before| is_shared && before.ends.is_some() && !before.is_complete) {
            assert_eq!(ends, before.ends, "{context}: the ends of a batch that is not complete");
        }
        for row in recovered.lineage.positions.values().filter(|_| is_shared) {
            let end = ends.as_ref().zip(row.task).map(|(ends, task)| ends[&task]);
            let offset = row.message.as_ref().map(|message| message.offset);
            assert!(end.is_none() || offset <= end, "{context}: {row:?}");
            assert!(!(row.ended || is_complete) || (row.ended && offset == end), "{context}: {row:?}");
        }
        assert!(!is_shared || log.asked.is_some() == ends.is_some(), "{context}: {ends:?}");
        self.0.insert(sequence, Seen { sha256, positions, ends, is_complete });
    }

    /// Returns how many batches workers have completed.
    pub fn completed(&self) -> usize {
        self.0.values().filter(|seen| seen.is_complete).count()
    }

    /// Checks that a worker that has lost a partition does not commit it again before it has loaded it again.
    fn check_line(&self, log: &Log, context: &str) {
        let cuts = log.cuts.lock().expect("no panic");
        for partition in 0..PARTITIONS {
            let commits = self.0.values().filter_map(|seen| seen.positions[&partition].1.as_ref());
            let mut terms: Vec<u64> = commits.map(|commit| cuts[commit].term).collect();
            terms.dedup();
            let mut once = terms.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(terms.len(), once.len(), "{context}: partition {partition} was committed by turns: {terms:?}");
        }
    }
}

/// Checks that `ckpt verify --deep` finds no damage.
fn verify_deep(place: &Place, context: &str) {
    let store = Store::open(vec![place.open()]).expect("opened");
    for report in verify(&store, None, Depth::Deep, &Silent).expect("verified") {
        for finding in &report.findings {
            assert!(finding.severity() != Severity::Damage, "{context}: {finding:?}");
        }
    }
}

/// Checks that a run alone continues from the latest checkpoint.
pub fn continue_alone(place: &Place, log: &Arc<Log>, chain: &mut Chain, context: &str) {
    let mut term =
        Term::start(place.open(), "alone", None, None, log).unwrap_or_else(|error| panic!("{context}: {error}"));
    let outcome = term.commit();
    assert!(matches!(outcome, Outcome::Committed), "{context}: {outcome:?}");
    drop(term);
    chain.look(place, log, context);
    if let Some(dir) = &log.files {
        files::check(dir.path(), place, log.records, context);
    }
    verify_deep(place, context);
}
