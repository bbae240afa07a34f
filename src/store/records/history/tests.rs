use std::sync::Arc;

use super::*;
use crate::format::store_file::StoreFile;
use crate::storage::Storage;
use crate::storage::memory::MemoryStorage;
use crate::values::digest::Digest;
use crate::values::id::StoreId;

fn store(replicas: usize) -> (Store, Vec<MemoryStorage>) {
    let storages: Vec<MemoryStorage> = (0..replicas).map(|_| MemoryStorage::new()).collect();
    let now = Timestamp::UNIX_EPOCH;
    let file = StoreFile { format: FORMAT, store: StoreId::new([1; 16]), job: "a".to_owned(), created: now };
    let all = storages.iter().map(|storage| Arc::new(storage.clone()) as Arc<dyn Storage>).collect();
    (Store::create(all, file).unwrap(), storages)
}

fn event(kind: EventKind, sequences: impl IntoIterator<Item = u64>) -> NewEvent {
    let checkpoint = |number: u64| EventCheckpoint {
        sequence: Sequence(number),
        sha256: Digest::of(&number.to_le_bytes()),
        time: None,
    };
    NewEvent {
        time: Timestamp::UNIX_EPOCH,
        kind,
        policy: Some("--keep-last 1".to_owned()),
        checkpoints: sequences.into_iter().map(checkpoint).collect(),
        files: None,
        bytes: 5,
    }
}

#[test]
fn what_was_pruned_and_not_brought_back_has_departed() {
    let (store, _) = store(2);
    store.record(&event(EventKind::Pruned, [1, 2, 3])).unwrap();
    store.record(&event(EventKind::Undone, [2, 3])).unwrap();
    store.record(&event(EventKind::Pruned, [3])).unwrap();
    store.record(&event(EventKind::RemovedLeftovers, [])).unwrap();
    let history = store.history().unwrap();
    assert_eq!((history.events.len(), history.last), (4, 4));
    let departures = history.departures();
    let gone: Vec<u64> = (1..=4).filter(|&number| departures.of(Sequence(number)).is_some()).collect();
    assert_eq!(gone, [1, 3]);
    assert_eq!(departures.of(Sequence(3)).unwrap().sha256, Some(Digest::of(&3u64.to_le_bytes())));
}

#[test]
fn an_event_that_one_replica_lost_is_read_from_the_other_and_a_damaged_one_is_passed_over() {
    let (store, storages) = store(2);
    for number in 1..=3 {
        store.record(&event(EventKind::Pruned, [number])).unwrap();
    }
    storages[0].delete(&layout::event(1)).unwrap();
    for storage in &storages {
        storage.replace(&layout::event(3), b"\xff").unwrap();
    }
    let history = store.history().unwrap();
    assert_eq!(history.events.iter().map(|event| event.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((history.last, history.unreadable), (3, vec![3]));
    store.record(&event(EventKind::Pruned, [9])).unwrap();
    assert_eq!(store.history().unwrap().last, 4, "a number is never taken twice");
}

#[test]
fn events_of_a_later_version_are_passed_over() {
    let (store, storages) = store(1);
    let text = "format: 1\nnumber: 1\ntime: 1970-01-01T00:00:00Z\nevent: repainted\ncolor: red\nbytes: 0\n";
    storages[0].create(&layout::event(1), text.as_bytes()).unwrap();
    assert_eq!(store.history().unwrap().events[0].event, EventKind::Other);
}

#[test]
fn an_event_of_many_checkpoints_is_several_that_can_be_read() {
    let (store, _) = store(1);
    store.record(&event(EventKind::Pruned, 1..=10_000)).unwrap();
    let history = store.history().unwrap();
    assert_eq!((history.events.len(), history.unreadable.len()), (3, 0));
    let departures = history.departures();
    assert!((1..=10_000).all(|number| departures.of(Sequence(number)).is_some()));
    assert_eq!(history.events.iter().map(|event| event.bytes).sum::<u64>(), 5);
}

#[test]
fn a_long_history_is_folded_and_still_knows_all_that_departed() {
    let (store, _) = store(2);
    let named = BTreeSet::from([Sequence(40), Sequence(50)]);
    for number in 1..=450 {
        store.record(&event(EventKind::Pruned, [number])).unwrap();
        if number == 60 {
            store.record(&event(EventKind::Undone, [30])).unwrap();
        }
        store.fold_history(&named, Timestamp::UNIX_EPOCH).unwrap();
    }
    let history = store.history().unwrap();
    assert!(history.events.len() <= MAX_EVENTS && history.unreadable.is_empty());
    let departures = history.departures();
    for number in 1..=450 {
        let found = departures.of(Sequence(number));
        assert_eq!(found.is_some(), number != 30, "{number}");
        if named.contains(&Sequence(number)) {
            assert_eq!(found.unwrap().sha256, Some(Digest::of(&number.to_le_bytes())));
        }
    }
    assert_eq!(history.events.iter().map(|event| event.bytes).sum::<u64>(), 451 * 5);
}
