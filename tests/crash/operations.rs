//! What people and programs do to an existing store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ckpt::format::layout;
use ckpt::format::manifest::{Routing, Trigger};
use ckpt::ops::pin::{pin, unpin};
use ckpt::ops::read::Snapshot;
use ckpt::ops::restore::{PositionChanges, RestoreError, apply_rollback, plan_rollback};
use ckpt::ops::verify::{Depth, verify};
use ckpt::ops::{copy, repair};
use ckpt::storage::Storage;
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{PruneError, Request, apply, apply_undo, plan, plan_undo, settle_undo};
use ckpt::store::records::attempts::{AttemptLog, AttemptOutcome};
use ckpt::store::records::line_log::Extent;
use ckpt::store::records::requests::Answer;
use ckpt::store::{Store, StoreError};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Copies, Story, copies, trials};
use crate::support::random::{Random, seed};
use crate::support::simulated::{Disk, Fault, Process, Survival};
use crate::support::store_builder::{StoreBuilder, attempt};

const DAY: Duration = Duration::from_secs(86_400);
const HOLDER: &str = "a test";

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

/// Makes a store of six checkpoints that share segments, fold bases and have a tombstone, with one replica per disk.
fn built(disks: usize) -> (StoreBuilder, Vec<Disk>, Copies) {
    let disks: Vec<Disk> = (0..disks).map(|_| Disk::new()).collect();
    let mut builder = StoreBuilder::on(calm(&disks), 8, 3, Routing::KeyHash);
    builder.commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4)), ("xan", Some(9))]);
    builder.commit(&[("cyd", Some(30)), ("eve", Some(5))]);
    builder.commit(&[("dan", None), ("fay", Some(6))]);
    builder.restart();
    builder.commit(&[("ann", Some(8)), ("gus", Some(1))]);
    builder.commit(&[("bob", Some(8))]);
    builder.commit(&[("eve", Some(9))]);
    let copies = copies(&builder.store);
    // What was committed is durable: the tests begin after a clean start.
    let disks = disks.iter().map(|disk| disk.after_power_failure(Survival::None)).collect();
    (builder, disks, copies)
}

fn calm(disks: &[Disk]) -> Vec<Arc<dyn Storage>> {
    disks.iter().map(|disk| Arc::new(disk.calm()) as Arc<dyn Storage>).collect()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn last(count: u64, grace: Duration) -> Request {
    Request { policy: Policy { last: count, ..Policy::default() }, grace, zone: TimeZone::UTC }
}

fn prune_at(storages: Vec<Arc<dyn Storage>>, request: &Request, now: Timestamp) -> Result<(), String> {
    let store = Store::open(storages).map_err(text)?;
    let plan = plan(&store, request, now, &Silent).map_err(text)?;
    apply(&store, &plan, HOLDER, &Silent).map_err(text).map(drop)
}

#[test]
fn a_prune_with_and_without_a_grace_period() {
    for (name, grace) in [("prune", Duration::ZERO), ("prune with grace", DAY)] {
        let (_, before, copies) = built(2);
        let operation = |storages| prune_at(storages, &last(2, grace), now());
        Story { name, before, operation: &operation, copies: &copies, kept: BTreeSet::from([5, 6]), sample: 24 }
            .try_all();
    }
}

#[test]
fn the_end_of_a_grace_period() {
    let (_, before, copies) = built(2);
    prune_at(calm(&before), &last(2, DAY), now()).expect("pruned");
    let later = now() + SignedDuration::from_hours(25);
    let operation = |storages| prune_at(storages, &last(2, Duration::ZERO), later);
    let name = "end of the grace time";
    Story { name, before, operation: &operation, copies: &copies, kept: BTreeSet::from([5, 6]), sample: 24 }.try_all();
}

#[test]
fn an_undo() {
    let (_, before, copies) = built(2);
    prune_at(calm(&before), &last(2, DAY), now()).expect("pruned");
    let operation = |storages| {
        let store = Store::open(storages).map_err(text)?;
        let plan = match plan_undo(&store, &Silent) {
            Err(PruneError::NothingToUndo { .. }) => return settle_undo(&store, HOLDER).map_err(text),
            plan => plan.map_err(text)?,
        };
        apply_undo(&store, &plan, HOLDER, now(), &Silent).map_err(text)
    };
    Story { name: "undo", before, operation: &operation, copies: &copies, kept: BTreeSet::from([5, 6]), sample: 24 }
        .try_all();
}

#[test]
fn a_rollback_with_and_without_another_position() {
    for name in ["restore", "restore --seek", "restore --forget"] {
        let (_, before, mut copies) = built(2);
        copies.insert(7, copies[&3].clone());
        let operation = |storages| {
            let store = Store::open_for_writing(storages, 2, HOLDER).map_err(text)?.0;
            let latest = store.latest().map_err(text)?.expect("there are checkpoints").manifest;
            if latest.trigger == Trigger::Restore {
                return Ok(());
            }
            let snapshot = Snapshot::open(&store, Sequence(3)).map_err(text)?;
            let mut positions = snapshot.positions(&store).map_err(text)?;
            positions.iter_mut().for_each(|row| (row.offset, row.record) = (0, 0));
            let changes = match name {
                "restore --seek" => PositionChanges { seeks: positions, forget: Vec::new() },
                "restore --forget" => {
                    let forget = positions.into_iter().map(|row| row.partition).collect();
                    PositionChanges { seeks: Vec::new(), forget }
                }
                _ => PositionChanges::default(),
            };
            let plan = plan_rollback(&store, Sequence(3), changes, now()).map_err(text)?;
            match apply_rollback(&store, &plan, HOLDER, &Silent) {
                Err(error @ RestoreError::Moved { .. }) => panic!("nothing else uses the store: {error}"),
                done => done.map_err(text).map(drop),
            }
        };
        let kept = (1..=6).collect();
        Story { name, before, operation: &operation, copies: &copies, kept, sample: 24 }.try_all();
    }
}

#[test]
fn a_repair() {
    let (builder, before, copies) = built(2);
    let manifest = builder.store.manifest(Sequence(4)).expect("read").manifest;
    let disk = &before[1];
    for table in [manifest.tables.index, manifest.tables.positions] {
        disk.damage(table.object.path().as_str(), Some(b"damaged"));
    }
    disk.damage(layout::manifest(Sequence(2)).as_str(), Some(b"damaged"));
    disk.damage(layout::sums(Sequence(3)).as_str(), None);
    for name in ["manifest.yaml", "SHA256SUMS"] {
        disk.damage(&format!("{}/{name}", layout::checkpoint_dir(Sequence(1))), None);
    }
    disk.damage(layout::checkpoint_dir(Sequence(1)).as_str(), None);
    let operation = |storages| {
        let store = Store::open(storages).map_err(text)?;
        let reports = verify(&store, None, Depth::Full, &Silent).map_err(text)?;
        let plan = repair::plan(&store, &reports);
        if let Some((_, finding)) = plan.hopeless.first() {
            return Err(format!("hopeless: {finding:?}"));
        }
        repair::apply(&store, &plan, &Silent).into_iter().try_for_each(|outcome| outcome.result.map_err(text))
    };
    // What is damaged on one disk is whole on the other: each is looked at by itself only when everything is done.
    let mut random = Random(seed(0x5eed));
    let after = |disks: &[Disk], survival| -> Vec<Disk> {
        disks.iter().map(|disk| disk.after_power_failure(survival)).collect()
    };
    let fork = || -> Vec<Disk> { before.iter().map(Disk::after_death).collect() };
    let open = |disks: &[Disk], process: &Process| -> Vec<Arc<dyn Storage>> {
        disks.iter().map(|disk| Arc::new(disk.open(process)) as Arc<dyn Storage>).collect()
    };
    let (end, process) = (fork(), Process::default());
    operation(open(&end, &process)).expect("undisturbed");
    let expected = super::contents(&after(&end, Survival::None));
    super::check_disks(&after(&end, Survival::None), &copies, "repaired");
    let mut tally = super::Tally::default();
    for (fault, aftermath) in trials(process.changes(), process.calls(), 24, &mut random) {
        let (disks, process) = (fork(), Process::new(fault));
        let outcome = operation(open(&disks, &process));
        let context = format!("repair: {fault:?} at {:?}, {outcome:?}, then {aftermath:?}", process.struck());
        match fault {
            Fault::Die { .. } => tally.deaths += 1,
            Fault::Refuse { .. } => tally.refusals += 1,
            _ => tally.full += 1,
        }
        let disks: Vec<Disk> = disks.iter().map(|disk| aftermath.of(disk)).collect();
        // The good copy is unchanged, whatever happens to the other.
        super::check_disks(&disks[..1], &copies, &context);
        operation(open(&disks, &Process::default())).unwrap_or_else(|error| panic!("{context}, then again: {error}"));
        for survival in [Survival::All, Survival::None] {
            let left = after(&disks, survival);
            let context = format!("{context}, done again, then {survival:?}");
            // What a repair that died has healed need not be durable, even though the next repair found it whole: it is
            // found again.
            operation(open(&left, &Process::default())).unwrap_or_else(|error| panic!("{context}: {error}"));
            super::check_disks(&left, &copies, &context);
            super::assert_same(&super::contents(&left), &expected, &context);
        }
    }
    tally.print("repair", process.changes(), process.calls());
}

#[test]
fn a_copy_to_a_new_place_and_to_one_that_has_some_checkpoints() {
    let (builder, _, copies) = built(1);
    for (name, there) in [("copy", vec![]), ("copy of the rest", vec![2, 3])] {
        let target = Disk::new();
        let copy = |target: Arc<dyn Storage>, sequences: &[Sequence]| {
            let plan = copy::plan(&builder.store, sequences, target).map_err(text)?;
            let copied = copy::apply(&builder.store, &plan, now(), HOLDER, &Silent).map_err(text)?;
            assert!(copied.unreadable.is_empty(), "{:?}", copied.unreadable);
            Ok(())
        };
        let some: Vec<Sequence> = there.iter().copied().map(Sequence).collect();
        if !some.is_empty() {
            copy(Arc::new(target.calm()), &some).expect("copied");
        }
        let all = builder.store.sequences().expect("listed");
        let operation = |mut storages: Vec<Arc<dyn Storage>>| copy(storages.remove(0), &all);
        let (before, kept) = (vec![target.after_power_failure(Survival::None)], there.into_iter().collect());
        Story { name, before, operation: &operation, copies: &copies, kept, sample: 24 }.try_all();
    }
}

#[test]
fn catching_up_a_replica_that_is_behind_and_a_new_one() {
    let (_, before, copies) = built(2);
    for number in [5, 6] {
        for name in ["manifest.yaml", "SHA256SUMS"] {
            before[1].damage(&format!("{}/{name}", layout::checkpoint_dir(Sequence(number))), None);
        }
        before[1].damage(layout::checkpoint_dir(Sequence(number)).as_str(), None);
    }
    let operation = |storages: Vec<Arc<dyn Storage>>| {
        let places = (0..storages.len()).map(|number| format!("/{number}")).collect();
        let store = Store::open_for_writing(storages, 2, HOLDER).map_err(text)?.0;
        store.set_places(places).map_err(text)?;
        match store.lost().is_empty() {
            true => Ok(()),
            false => Err(format!("{:?}", store.lost())),
        }
    };
    let kept = (1..=6).collect();
    let before = vec![before[0].clone(), before[1].clone(), Disk::new()];
    Story { name: "catch-up", before, operation: &operation, copies: &copies, kept, sample: 16 }.try_all();
}

#[test]
fn pins_that_are_set_changed_and_removed() {
    let (builder, before, copies) = built(2);
    drop(builder);
    let open = |storages| Store::open(storages).map_err(text);
    pin(&open(calm(&before)).expect("opened"), Sequence(2), Some("before"), now(), HOLDER).expect("pinned");
    pin(&open(calm(&before)).expect("opened"), Sequence(4), None, now(), HOLDER).expect("pinned");
    let set = |storages| pin(&open(storages)?, Sequence(3), None, now(), HOLDER).map_err(text).map(drop);
    let change = |storages| pin(&open(storages)?, Sequence(2), Some("after"), now(), HOLDER).map_err(text).map(drop);
    let take = |storages| unpin(&open(storages)?, Sequence(4), HOLDER).map_err(text).map(drop);
    type Operation<'a> = &'a (dyn Fn(Vec<Arc<dyn Storage>>) -> Result<(), String> + Sync);
    let all: [(&str, Operation<'_>); 3] = [("pin", &set), ("pin again", &change), ("unpin", &take)];
    for (name, operation) in all {
        let kept = (1..=6).collect();
        let before = before.iter().map(Disk::after_death).collect();
        Story { name, before, operation, copies: &copies, kept, sample: 16 }.try_all();
    }
}

#[test]
fn requests_and_their_answers_disturb_nothing() {
    let (_, before, copies) = built(1);
    let id = "0123456789abcdef0123456789abcdef";
    let operation = |storages: Vec<Arc<dyn Storage>>| {
        let store = Store::open(storages).map_err(text)?;
        match store.request(id, HOLDER, now()) {
            Err(StoreError::Storage(error)) if error.is_exists() => {}
            asked => asked.map_err(text)?,
        }
        for (place, id) in store.requests(now()) {
            store.answer(place, &id, &Answer::new(AttemptOutcome::Elided, now()));
        }
        // An answer that was lost is asked for again.
        store.take_answer(id).map_err(text).map(drop)
    };
    let (name, kept) = ("requests", (1..=6).collect());
    let mut random = Random(seed(0x5eed));
    let story = Story { name, before, operation: &operation, copies: &copies, kept, sample: 20 };
    let (end, process) = (story.fork(), Process::default());
    story.act(&end, &process).expect("undisturbed");
    let left: Vec<String> = end[0].files().into_keys().filter(|name| name.starts_with("requests/")).collect();
    assert!(left.is_empty(), "{left:?}");
    let mut tally = super::Tally::default();
    for (fault, aftermath) in trials(process.changes(), process.calls(), 20, &mut random) {
        let (disks, process) = (story.fork(), Process::new(fault));
        let _ = story.act(&disks, &process);
        let context = format!("requests: {fault:?}, then {aftermath:?}");
        tally.deaths += 1;
        let disks = super::after(&disks, aftermath);
        story.check(&disks, &context);
        story.act(&disks, &Process::default()).unwrap_or_else(|error| panic!("{context}: {error}"));
        story.check(&super::after(&disks, super::Aftermath::PowerFailure(Survival::None)), &context);
    }
    tally.print(name, process.changes(), process.calls());
}

#[test]
fn the_log_of_attempts_keeps_every_written_line_and_continues_after_a_torn_one() {
    let (_, before, _) = built(2);
    let write = |disks: &[Disk], process: &Process| {
        let storages = disks.iter().map(|disk| Arc::new(disk.open(process)) as Arc<dyn Storage>).collect();
        let Ok(store) = Store::open(storages) else { return 0 };
        let mut log = AttemptLog::open(&store, "0123456789abcdef");
        let mut written = 0;
        for _ in 0..4 {
            log.add(&store, attempt(now()));
            written += u64::from(process.struck().is_none());
        }
        written
    };
    let numbers = |disks: &[Disk]| -> Vec<u64> {
        let store = Store::open(calm(disks)).expect("opened");
        store.attempts(Extent::Whole).expect("read").attempts.iter().map(|attempt| attempt.number).collect()
    };
    let process = Process::default();
    let fork = || -> Vec<Disk> { before.iter().map(Disk::after_death).collect() };
    assert_eq!(write(&fork(), &process), 4);
    let mut random = Random(seed(0x5eed));
    let mut tally = super::Tally::default();
    for (fault, aftermath) in trials(process.changes(), process.calls(), 24, &mut random) {
        let (disks, process) = (fork(), Process::new(fault));
        let written = write(&disks, &process);
        let context = format!("log: {fault:?} at {:?}, then {aftermath:?}", process.struck());
        tally.deaths += u64::from(matches!(fault, Fault::Die { .. }));
        tally.refusals += u64::from(!matches!(fault, Fault::Die { .. }));
        let disks = super::after(&disks, aftermath);
        let found = numbers(&disks);
        if matches!(fault, Fault::Die { .. }) {
            assert!(found.len() as u64 >= written, "{context}: {written} were written, found {found:?}");
        }
        assert!(found.iter().copied().eq(1..=found.len() as u64), "{context}: {found:?}");
        write(&disks, &Process::default());
        let disks = super::after(&disks, super::Aftermath::PowerFailure(Survival::None));
        let again = numbers(&disks);
        assert!(again.iter().copied().eq(1..=found.len() as u64 + 4), "{context}: {found:?}, then {again:?}");
    }
    tally.print("log of attempts", process.changes(), process.calls());
}
