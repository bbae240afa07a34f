//! Each reader beside each writer, which makes its changes at any call of the reader.
//!
//! By default each pair is tried at a sample of calls, chosen by `CKPT_SEED`; `CKPT_FAULTS=all` tries every call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ckpt::ops::diff::{Comparison, Scope, Side};
use ckpt::ops::latest::newest_intact;
use ckpt::ops::list::list;
use ckpt::ops::log::{self, log};
use ckpt::ops::pin::{pin, unpin};
use ckpt::ops::read::{ReadError, Selection, Snapshot};
use ckpt::ops::restore::{ExportFormat, PositionChanges, apply_export, apply_rollback, plan_export, plan_rollback};
use ckpt::ops::stats::stats;
use ckpt::ops::verify::{Depth, verify};
use ckpt::ops::{copy, inspect};
use ckpt::storage::Storage;
use ckpt::store::prune::{apply_undo, plan_undo};
use ckpt::store::records::history::{EventKind, NewEvent};
use ckpt::store::{Store, StoreError};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::SignedDuration;

use super::paced::{Calls, Pace, Paced, Schedule};
use super::{DAY, HOLDER, built, calm, now, open, prune};
use crate::support::random::{Random, seed};
use crate::support::simulated::Disk;
use crate::support::{AtEnd, Env};

/// Reads a store, and fails if it finds it damaged. The flag says whether no change is half done.
type Reader = (&'static str, fn(&Store, bool) -> Result<(), String>);

/// Changes a store.
type Writer = (&'static str, fn(Vec<Arc<dyn Storage>>) -> Result<(), String>);

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A checkpoint that is pinned, and one that most prunes of these tests remove.
const KEPT: Sequence = Sequence(4);
const PRUNED: Sequence = Sequence(3);

const READERS: [Reader; 10] = [
    ("verify", |store, is_settled| verified(store, Depth::Full, is_settled)),
    ("verify --quick", |store, is_settled| verified(store, Depth::Quick, is_settled)),
    ("verify --deep", |store, is_settled| verified(store, Depth::Deep, is_settled)),
    ("verify STORE@3", |store, _| match verify(store, Some(PRUNED), Depth::Full, &Silent) {
        Err(StoreError::NoCheckpoint { .. }) => Ok(()),
        Err(error) => Err(text(error)),
        Ok(reports) => match reports.iter().all(|report| report.is_intact()) {
            true => Ok(()),
            false => Err(format!("{reports:?}")),
        },
    }),
    ("list", |store, _| {
        let listing = list(store, None).map_err(text)?;
        if listing.is_clean() && listing.last_good.is_some() { Ok(()) } else { Err(format!("{listing:?}")) }
    }),
    ("stats", |store, _| {
        let stats = stats(store, &Silent).map_err(text)?;
        if stats.is_clean() { Ok(()) } else { Err(format!("{stats:?}")) }
    }),
    ("latest, log", |store, _| {
        let newest = newest_intact(store, None, &Silent).map_err(text)?;
        let selection = log::Selection::default();
        let log = log(store, &selection).map_err(text)?;
        let latest = store.latest().map_err(text)?;
        let is_good = newest.committed.is_some() && newest.damaged.is_empty() && latest.is_some();
        if is_good && log.unreadable == 0 { Ok(()) } else { Err(format!("{newest:?} {log:?}")) }
    }),
    ("inspect, diff", |store, _| {
        allowed(PRUNED, inspected(store, PRUNED))?;
        inspected(store, KEPT).map_err(text)?;
        let compare = || -> Result<(), ReadError> {
            let sides = [Side::open(store.clone(), PRUNED)?, Side::open(store.clone(), KEPT)?];
            let [old, new] = sides;
            let comparison = Comparison::new(old, new, Scope::default());
            comparison.changes(&Silent, |_| true).map(drop)
        };
        allowed(PRUNED, compare())
    }),
    ("restore --to", |store, _| {
        let env = Env::new();
        let export = |sequence, name: &str, format| {
            let plan = plan_export(store, sequence, &env.path(name), format).map_err(text)?;
            apply_export(store, &plan, &Silent).map(drop).map_err(text)
        };
        export(KEPT, "kept", ExportFormat::Parquet)?;
        match export(PRUNED, "pruned", ExportFormat::Csv) {
            Err(error) if error.ends_with("has no checkpoint 00000003") => Ok(()),
            done => done,
        }
    }),
    ("copy", |store, _| {
        let target = Disk::new();
        let sequences = store.sequences().map_err(text)?;
        let plan = copy::plan(store, &sequences, Arc::new(target.calm())).map_err(text)?;
        let copied = copy::apply(store, &plan, now(), HOLDER, &Silent).map_err(text)?;
        if !copied.unreadable.is_empty() || plan.steps.values().any(|step| matches!(step, copy::Step::Unreadable(_))) {
            return Err(format!("{copied:?}"));
        }
        verified(&open(&[target]), Depth::Full, true)
    }),
];

fn verified(store: &Store, depth: Depth, is_settled: bool) -> Result<(), String> {
    let reports = verify(store, None, depth, &Silent).map_err(text)?;
    let is_right = |report: &ckpt::ops::verify::Report| report.is_intact() && (report.is_complete() || !is_settled);
    if reports.iter().all(is_right) { Ok(()) } else { Err(format!("{reports:#?}")) }
}

fn inspected(store: &Store, sequence: Sequence) -> Result<(), ReadError> {
    inspect::describe(store, sequence)?;
    inspect::objects(store, sequence)?;
    inspect::tasks(store, sequence, true, None, &Silent)?;
    let snapshot = Snapshot::open(store, sequence)?;
    snapshot.job(store)?;
    inspect::state(store, &snapshot, &Selection::default(), None, &Silent).map(drop)
}

/// A checkpoint that is pruned while it is read does not exist any more.
fn allowed(sequence: Sequence, read: Result<(), ReadError>) -> Result<(), String> {
    match read {
        Err(error) if error.is_removed() => {
            assert_eq!(sequence, PRUNED, "only this one is pruned");
            Ok(())
        }
        read => read.map_err(text),
    }
}

const WRITERS: [Writer; 9] = [
    ("prune", |storages| prune(&opened(storages)?, 1, Duration::ZERO, now())),
    ("prune with a grace period", |storages| prune(&opened(storages)?, 1, DAY, now())),
    ("the end of a grace period", |storages| {
        prune(&opened(storages)?, 4, Duration::ZERO, now() + SignedDuration::from_hours(25))
    }),
    ("prune --undo", |storages| {
        let store = opened(storages)?;
        let plan = plan_undo(&store, &Silent).map_err(text)?;
        apply_undo(&store, &plan, HOLDER, now(), &Silent).map_err(text)
    }),
    ("restore", |storages| roll_back(&opened(storages)?, Sequence(4))),
    ("a job that commits and prunes", |storages| {
        let store = opened(storages)?;
        for sequence in [4, 6, 4] {
            roll_back(&store, Sequence(sequence))?;
            prune(&store, 3, Duration::ZERO, now())?;
        }
        Ok(())
    }),
    ("pin, unpin", |storages| {
        let store = opened(storages)?;
        pin(&store, Sequence(5), Some("a reason"), now(), HOLDER).map_err(text)?;
        pin(&store, Sequence(4), Some("another"), now(), HOLDER).map_err(text)?;
        unpin(&store, Sequence(4), HOLDER).map(drop).map_err(text)
    }),
    ("catching up", |storages| {
        let (store, _lock) = Store::open_for_writing(storages, 2, HOLDER).map_err(text)?;
        if store.lost().is_empty() { Ok(()) } else { Err(format!("{:?}", store.lost())) }
    }),
    ("folding the history", |storages| {
        opened(storages)?.fold_history(&(1..=9).map(Sequence).collect(), now()).map_err(text)
    }),
];

fn opened(storages: Vec<Arc<dyn Storage>>) -> Result<Store, String> {
    Store::open(storages).map_err(text)
}

fn roll_back(store: &Store, sequence: Sequence) -> Result<(), String> {
    let plan = plan_rollback(store, sequence, PositionChanges::default(), now()).map_err(text)?;
    apply_rollback(store, &plan, HOLDER, &Silent).map(drop).map_err(text)
}

/// Returns the disks on which a writer starts.
fn disks_for(writer: &str, disks: &[Disk]) -> Vec<Disk> {
    let disks: Vec<Disk> = disks.iter().map(Disk::after_death).collect();
    match writer {
        "catching up" => {
            for sequence in [5, 6] {
                let directory = ckpt::format::layout::checkpoint_dir(Sequence(sequence));
                for name in ["/manifest.yaml", "/SHA256SUMS", ""] {
                    disks[1].damage(&format!("{directory}{name}"), None);
                }
            }
        }
        "folding the history" => {
            let store = open(&disks);
            for _ in 0..205 {
                store.record(&NewEvent::of_checkpoints(now(), EventKind::RemovedLeftovers, [])).expect("recorded");
            }
        }
        _ => {}
    }
    disks
}

/// Reads while the writer works, and returns how many calls the reader made.
fn read_beside(reader: &Reader, writer: &Writer, disks: &[Disk], schedule: Option<Schedule>) -> u64 {
    let disks = disks_for(writer.0, disks);
    let pace = Pace::default();
    let made = Arc::new(AtomicU64::new(0));
    let calls = Calls { made: made.clone(), pace: schedule.map(|schedule| (pace.clone(), schedule)) };
    let wrap = |calls: Option<Calls>, pace: Option<Pace>| -> Vec<Arc<dyn Storage>> {
        let wrap = |inner| Arc::new(Paced { inner, calls: calls.clone(), pace: pace.clone() }) as Arc<dyn Storage>;
        calm(&disks).into_iter().map(wrap).collect()
    };
    let (reading, writing) = (wrap(Some(calls), None), wrap(None, Some(pace.clone())));
    let context = format!("`{}` beside `{}`, {schedule:?}", reader.0, writer.0);
    thread::scope(|scope| {
        let written = scope.spawn(|| {
            let _finished = AtEnd(|| pace.finish());
            writer.1(writing)
        });
        if let Some(Schedule::Stopped(count)) = schedule {
            pace.advance(count);
        }
        // A replica that was behind before may have been listed for the last time before it caught up.
        let is_settled = !matches!(schedule, Some(Schedule::EachFrom(_) | Schedule::Stopped(_)));
        let is_settled = is_settled && writer.0 != "catching up";
        let released = AtEnd(|| pace.release());
        let read = opened(reading).and_then(|store| reader.1(&store, is_settled));
        drop(released);
        let written = written.join().expect("the writer does not panic");
        assert_eq!(read, Ok(()), "{context}");
        assert_eq!(written, Ok(()), "{context}");
    });
    made.load(Ordering::SeqCst)
}

/// Tries a reader beside every writer.
fn try_all(reader: &Reader) {
    let try_all = std::env::var("CKPT_FAULTS").is_ok_and(|faults| faults == "all");
    let mut random = Random(seed(0xbe51de));
    let (_, disks) = built(2);
    for writer in &WRITERS {
        let calls = read_beside(reader, writer, &disks, None);
        let at_random: Vec<u64> = (0..3).map(|_| random.below(calls)).collect();
        for at in if try_all { (0..calls).collect() } else { at_random } {
            read_beside(reader, writer, &disks, Some(Schedule::AllAt(at)));
            if try_all || at % 2 == 0 {
                read_beside(reader, writer, &disks, Some(Schedule::EachFrom(at)));
            }
        }
        for count in if try_all { (0..60).collect() } else { vec![random.below(30)] } {
            read_beside(reader, writer, &disks, Some(Schedule::Stopped(count)));
        }
    }
}

#[test]
fn verify_beside_each_writer_finds_no_damage() {
    READERS[..4].iter().for_each(try_all);
}

#[test]
fn list_stats_latest_and_log_beside_each_writer_find_no_damage() {
    READERS[4..7].iter().for_each(try_all);
}

#[test]
fn inspect_diff_restore_to_and_copy_beside_each_writer_find_no_damage() {
    READERS[7..].iter().for_each(try_all);
}
