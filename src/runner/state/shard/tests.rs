use std::collections::BTreeMap;

use super::*;
use crate::values::value::{Column, ColumnType, Value};

fn codec() -> RowCodec {
    RowCodec::new(vec![Column::new("n", ColumnType::Int), Column::new("t", ColumnType::Text)])
}

fn hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

fn set(shard: &mut Shard, codec: &RowCodec, key: &str, number: i64) {
    let mut row = shard.row(hash(key.as_bytes()), key.as_bytes());
    row.set(0, codec.offset(0), ColumnType::Int, &number.to_le_bytes());
    row.set(1, codec.offset(1), ColumnType::Text, format!("text {number}").as_bytes());
}

fn contents(rows: &RowBatch, codec: &RowCodec) -> BTreeMap<String, i64> {
    let decode = |row: crate::format::rows::Row<'_>| {
        let values = codec.unpack(row.value.unwrap());
        let Value::Int(number) = values[0] else { panic!("{values:?}") };
        assert_eq!(values[1], Value::Text(format!("text {number}")));
        (String::from_utf8(row.key.to_vec()).unwrap(), number)
    };
    let contents: BTreeMap<_, _> = rows.iter().map(decode).collect();
    assert_eq!(contents.len(), rows.len(), "each row once");
    contents
}

#[test]
fn the_rows_of_two_cuts_merge_and_the_newer_row_wins() {
    use Change::{Delete, Insert, Update};
    let frozen = |kind, rows: &[(&str, Change, Option<u8>)]| {
        let mut batch = RowBatch::new();
        for (key, change, value) in rows {
            batch.push_changed(0, key.as_bytes(), *change, value.is_some(), |bytes| bytes.extend(*value));
        }
        FrozenRows { rows: batch, kind, keys: rows.len() as u64, emitted: Emitted::default() }
    };
    let older = [
        ("a", Insert, Some(1)),
        ("b", Insert, Some(1)),
        ("c", Update, Some(1)),
        ("e", Delete, None),
        ("f", Update, Some(1)),
    ];
    let newer = [
        ("b", Delete, None),
        ("c", Delete, None),
        ("d", Insert, Some(2)),
        ("e", Insert, Some(2)),
        ("f", Update, Some(2)),
    ];
    let both = frozen(SegmentKind::Base, &older).followed_by(frozen(SegmentKind::Delta, &newer));
    let rows = both.rows.iter().enumerate().map(|(place, row)| {
        let value = row.value.map(|value| value[0]);
        (String::from_utf8(row.key.to_vec()).unwrap(), both.rows.change(place), value)
    });
    let expected = [
        ("a", Insert, Some(1)),
        ("c", Delete, None),
        ("d", Insert, Some(2)),
        ("e", Update, Some(2)),
        ("f", Update, Some(2)),
    ];
    assert_eq!(rows.collect::<Vec<_>>(), expected.map(|(key, change, value)| (key.to_owned(), change, value)));
    assert_eq!((both.kind, both.keys), (SegmentKind::Base, 5));
}

#[test]
fn frozen_rows_are_the_state_at_the_cut_whatever_changes_while_they_are_taken() {
    let codec = codec();
    let mut shard = Shard::new(&codec);
    let mut model = BTreeMap::new();
    for i in 0..5_000 {
        set(&mut shard, &codec, &format!("key {i}"), i);
        model.insert(format!("key {i}"), i);
    }
    shard.freeze(false);
    let mut frozen = shard.take(100, |_| 7);
    let mut at = 0;
    while frozen.is_none() {
        for _ in 0..50 {
            at = (at + 37) % 6_000;
            set(&mut shard, &codec, &format!("key {at}"), -at);
        }
        frozen = shard.take(100, |_| 7);
    }
    let frozen = frozen.unwrap();
    assert_eq!(frozen.kind, SegmentKind::Base);
    assert_eq!(frozen.keys, 5_000);
    assert_eq!(contents(&frozen.rows, &codec), model);
    assert!(frozen.rows.iter().all(|row| row.task == 7));
    assert!(shard.take(100, |_| 7).is_none(), "not frozen");
}

#[test]
fn a_delta_holds_what_changed_since_the_last_cut() {
    let codec = codec();
    let mut shard = Shard::new(&codec);
    for i in 0..1_000 {
        set(&mut shard, &codec, &format!("key {i}"), i);
    }
    let taken = |shard: &mut Shard| {
        shard.freeze(false);
        shard.take(usize::MAX / 2, |_| 0).unwrap()
    };
    assert_eq!(taken(&mut shard).kind, SegmentKind::Base);
    set(&mut shard, &codec, "key 3", 33);
    set(&mut shard, &codec, "new", 1);
    assert!(shard.changed_bytes() > 0);
    let delta = taken(&mut shard);
    assert_eq!(delta.kind, SegmentKind::Delta);
    assert_eq!(contents(&delta.rows, &codec), BTreeMap::from([("key 3".into(), 33), ("new".into(), 1)]));
    assert_eq!((delta.keys, shard.changed_bytes()), (1_001, 0));
    let nothing = taken(&mut shard);
    assert!(nothing.rows.is_empty() && nothing.kind == SegmentKind::Delta);
    for i in 0..600 {
        set(&mut shard, &codec, &format!("key {i}"), -i);
    }
    let base = taken(&mut shard);
    assert_eq!((base.kind, base.rows.len()), (SegmentKind::Base, 1_001), "most rows changed: all are taken");
}

#[test]
fn keys_of_any_length_and_with_equal_hashes_have_separate_rows() {
    let codec = codec();
    let mut shard = Shard::new(&codec);
    let keys: Vec<String> = (0..40).flat_map(|n| ["a", "b"].map(|letter| letter.repeat(n))).skip(1).collect();
    for (i, key) in keys.iter().enumerate() {
        // Half of them have one hash.
        let hash = if i % 2 == 0 { 7 } else { hash(key.as_bytes()) };
        shard.row(hash, key.as_bytes()).set(0, codec.offset(0), ColumnType::Int, &(i as i64).to_le_bytes());
    }
    assert_eq!(shard.keys(), keys.len() as u64);
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(shard.key(i), key.as_bytes());
        let mut packed = Vec::new();
        shard.pack_row(i, &mut packed);
        assert_eq!(codec.unpack(&packed)[0], Value::Int(i as i64));
    }
}

fn remove(shard: &mut Shard, key: &str) -> bool {
    shard.remove(hash(key.as_bytes()), key.as_bytes())
}

/// Makes a cut. Returns its kind, and for each key how it changed and its number, if it has one.
fn cut(shard: &mut Shard, codec: &RowCodec) -> (SegmentKind, BTreeMap<String, (Change, Option<i64>)>) {
    shard.freeze(false);
    let frozen = shard.take(usize::MAX / 2, |_| 0).unwrap();
    let rows: BTreeMap<_, _> = (0..frozen.rows.len())
        .map(|index| {
            let row = frozen.rows.row(index);
            let number = row.value.map(|value| match codec.unpack(value)[0] {
                Value::Int(number) => number,
                _ => panic!("a number"),
            });
            (String::from_utf8(row.key.to_vec()).unwrap(), (frozen.rows.change(index), number))
        })
        .collect();
    assert_eq!(rows.len(), frozen.rows.len(), "each row once");
    (frozen.kind, rows)
}

#[test]
fn a_cut_says_how_each_row_changed() {
    use Change::{Delete, Insert, None as Nothing, Update};
    let codec = codec();
    let mut shard = Shard::new(&codec);
    for i in 0..20 {
        set(&mut shard, &codec, &format!("key {i}"), i);
    }
    assert!(!remove(&mut shard, "other") && remove(&mut shard, "key 0"));
    let (kind, rows) = cut(&mut shard, &codec);
    assert_eq!((kind, rows.len()), (SegmentKind::Base, 19), "a row that came and went was never there");
    assert!(rows.values().all(|(change, _)| *change == Insert));
    set(&mut shard, &codec, "key 1", 100);
    set(&mut shard, &codec, "a new key that is long", 7);
    set(&mut shard, &codec, "passing", 8);
    for key in ["passing", "key 2", "key 3"] {
        assert!(remove(&mut shard, key));
    }
    set(&mut shard, &codec, "key 3", 300);
    assert_eq!(shard.keys(), 19);
    let (kind, rows) = cut(&mut shard, &codec);
    let expected = [
        ("a new key that is long", (Insert, Some(7))),
        ("key 1", (Update, Some(100))),
        ("key 2", (Delete, None)),
        ("key 3", (Update, Some(300))),
    ];
    assert_eq!(kind, SegmentKind::Delta);
    assert_eq!(rows, expected.map(|(key, row)| (key.to_owned(), row)).into());
    for i in 4..15 {
        assert!(remove(&mut shard, &format!("key {i}")));
    }
    let (kind, rows) = cut(&mut shard, &codec);
    assert_eq!(kind, SegmentKind::Base, "most rows changed");
    assert_eq!(rows.values().filter(|row| **row == (Delete, None)).count(), 11);
    assert_eq!(rows.values().filter(|(change, value)| *change == Nothing && value.is_some()).count(), 8);
    let left: Vec<String> = rows.into_iter().filter(|(_, row)| row.1.is_some()).map(|(key, _)| key).collect();
    for key in left {
        assert!(remove(&mut shard, &key));
    }
    let (kind, rows) = cut(&mut shard, &codec);
    assert_eq!((kind, rows.len(), shard.keys()), (SegmentKind::Base, 8, 0));
    assert!(cut(&mut shard, &codec).1.is_empty());
}

#[test]
fn frozen_rows_include_rows_that_are_removed_while_they_are_taken() {
    let codec = codec();
    let mut shard = Shard::new(&codec);
    let mut model = BTreeMap::new();
    for i in 0..3_000 {
        set(&mut shard, &codec, &format!("key {i}"), i);
        model.insert(format!("key {i}"), i);
    }
    shard.freeze(false);
    let mut at = 0;
    let frozen = loop {
        for _ in 0..40 {
            at += 1;
            remove(&mut shard, &format!("key {}", at * 37 % 3_000));
            set(&mut shard, &codec, &format!("new {at}"), at);
        }
        if let Some(frozen) = shard.take(100, |_| 7) {
            break frozen;
        }
    };
    assert_eq!(contents(&frozen.rows, &codec), model);
}

#[test]
fn a_shard_whose_rows_come_and_go_behaves_like_a_map_and_does_not_grow() {
    let codec = codec();
    let mut shard = Shard::new(&codec);
    let mut model: BTreeMap<String, i64> = BTreeMap::new();
    let mut stored: BTreeMap<String, i64> = BTreeMap::new();
    let mut memory = Vec::new();
    let mut random = 1_u64;
    for round in 0..40 {
        for _ in 0..2_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (random >> 33) as i64 % 1_500;
            // Long keys and short ones, different in each round as windows are.
            let key = match number % 2 {
                0 => format!("{number}"),
                _ => format!("a key of some length {number} {}", round % 7 + 10),
            };
            if random >> 20 & 1 == 0 {
                assert_eq!(remove(&mut shard, &key), model.remove(&key).is_some(), "{key}");
            } else {
                set(&mut shard, &codec, &key, number);
                model.insert(key, number);
            }
        }
        let rest: Vec<String> = model.keys().filter(|_| round % 7 == 6).cloned().collect();
        for key in rest {
            assert!(remove(&mut shard, &key) && model.remove(&key).is_some());
        }
        assert_eq!(shard.keys(), model.len() as u64);
        let mut seen = BTreeMap::new();
        shard.for_each(|key, packed| {
            let Value::Int(number) = codec.unpack(packed)[0] else { panic!("a number") };
            seen.insert(String::from_utf8(key.to_vec()).unwrap(), number);
        });
        assert_eq!(seen, model);
        // What the cuts say, applied in order, gives the same.
        for (key, (change, number)) in cut(&mut shard, &codec).1 {
            let before = match number {
                Some(number) => stored.insert(key.clone(), number),
                None => stored.remove(&key),
            };
            let fits = match change {
                Change::Insert => before.is_none(),
                Change::None => before == number,
                Change::Update | Change::Delete => before.is_some(),
            };
            assert!(fits, "{key} {change:?} {before:?}");
        }
        assert_eq!(stored, model);
        memory.push(shard.memory_bytes());
    }
    assert!(memory[39] <= memory[13] * 5 / 4, "{memory:?}");
    assert!(shard.variables.slots.len() < 3_000, "{}", shard.variables.slots.len());
}

#[test]
fn loaded_rows_are_unchanged_and_do_not_count_as_changes() {
    let codec = codec();
    let mut shard = Shard::new(&codec);
    for i in 0..100 {
        set(&mut shard, &codec, &format!("key {i}"), i);
    }
    let mut other = Shard::new(&codec);
    shard.for_each(|key, packed| assert!(other.load(hash(key), key, packed)));
    let mut packed = Vec::new();
    other.pack_row(42, &mut packed);
    assert_eq!(codec.unpack(&packed)[1], Value::Text("text 42".into()));
    assert_eq!((other.changed_bytes(), other.keys()), (0, 100));
    other.freeze(false);
    assert!(other.take(usize::MAX / 2, |_| 0).unwrap().rows.is_empty());
}
