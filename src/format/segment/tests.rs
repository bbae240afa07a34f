use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::format::error::TableError;
use crate::format::parquet::columns::table_columns;
use crate::format::parquet::schema::GROUP_ROWS;
use crate::format::parquet::writer::TableWriter;
use crate::format::row_batch::RowBatch;
use crate::format::rows::{Row, RowCodec};
use crate::format::segment::{SegmentReader, SegmentStats, SegmentWriter};
use crate::values::decimal::Decimal;
use crate::values::value::{Column, ColumnType, Value};

/// The rows of a segment; nothing for a tombstone.
type Rows = BTreeMap<(u32, String), Option<Vec<Value>>>;

fn columns_of(types: &[ColumnType]) -> Vec<Column> {
    types.iter().enumerate().map(|(i, column_type)| Column::new(format!("c{i}"), *column_type)).collect()
}

fn write(columns: &[Column], rows: &Rows) -> (Vec<u8>, SegmentStats) {
    write_with(SegmentWriter::new(columns), rows)
}

fn write_with(mut writer: SegmentWriter, rows: &Rows) -> (Vec<u8>, SegmentStats) {
    let codec = writer.codec.clone();
    for ((task, key), values) in rows {
        let mut packed = Vec::new();
        if let Some(values) = values {
            codec.pack(values, &mut packed);
        }
        writer.push(Row { task: *task, key: key.as_bytes(), value: values.as_ref().map(|_| packed.as_slice()) });
    }
    writer.finish()
}

fn read(bytes: Vec<u8>, columns: &[Column]) -> Result<Rows, TableError> {
    let codec = RowCodec::new(columns.to_vec());
    let mut rows = Rows::new();
    for batch in SegmentReader::open(bytes.into(), columns)? {
        for row in batch?.iter() {
            let key = String::from_utf8(row.key.to_vec()).expect("keys are read as UTF-8");
            let above = rows.insert((row.task, key), row.value.map(|packed| codec.unpack(packed)));
            assert_eq!(above, None, "a key comes once");
        }
    }
    Ok(rows)
}

fn any_value(column_type: ColumnType) -> BoxedStrategy<Value> {
    let most = 10i128.pow(38) - 1;
    let some = match column_type {
        ColumnType::Int => any::<i64>().prop_map(Value::Int).boxed(),
        ColumnType::Number => {
            (-most..=most).prop_map(|units| Value::Number(Decimal::from_units(units).unwrap())).boxed()
        }
        ColumnType::Text => any::<String>().prop_map(Value::Text).boxed(),
        ColumnType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        ColumnType::Json => any::<u32>().prop_map(|n| Value::Json(format!("[{n}]"))).boxed(),
        ColumnType::Sketch | ColumnType::Quantiles => {
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Sketch).boxed()
        }
    };
    prop_oneof![1 => Just(Value::Null), 4 => some].boxed()
}

fn any_table() -> impl Strategy<Value = (Vec<Column>, Rows)> {
    use ColumnType::*;
    let any_type = prop::sample::select(vec![Int, Number, Text, Bool, Json, Sketch, Quantiles]);
    prop::collection::vec(any_type, 0..10).prop_flat_map(|types| {
        let values: Vec<_> = types.iter().map(|column_type| any_value(*column_type)).collect();
        let row = prop_oneof![1 => Just(None), 4 => values.prop_map(Some)];
        let key = (prop_oneof![Just(0), Just(u32::MAX), 0..5u32], "u0000[0-9]{1,3}|\\PC{0,8}");
        let rows = prop::collection::btree_map(key, row, 0..200);
        (Just(columns_of(&types)), rows)
    })
}

proptest! {
    #[test]
    fn rows_are_read_as_they_were_written((columns, rows) in any_table()) {
        let (bytes, stats) = write(&columns, &rows);
        prop_assert_eq!(&write(&columns, &rows).0, &bytes, "equal rows give equal bytes");
        prop_assert_eq!(read(bytes, &columns), Ok(rows.clone()));
        let keys = || rows.keys().map(|(_, key)| key.clone());
        prop_assert_eq!(stats, SegmentStats {
            rows: rows.len() as u64,
            tombstones: rows.values().filter(|values| values.is_none()).count() as u64,
            smallest_key: keys().min().unwrap_or_default(),
            largest_key: keys().max().unwrap_or_default(),
        });
    }
}

fn counts(rows: usize) -> (Vec<Column>, Rows) {
    let row = |i: usize| ((i as u32 / 3000, format!("u{i:07}")), Some(vec![Value::Int(i as i64 % 7)]));
    (columns_of(&[ColumnType::Int]), (0..rows).map(row).collect())
}

#[test]
fn every_number_of_rows_around_the_sizes_of_blocks_and_batches_is_read() {
    for rows in (0..140).chain(255..260).chain(1023..1030).chain(8190..8195).chain([20_001, 40_000]) {
        let (columns, rows) = counts(rows);
        assert_eq!(read(write(&columns, &rows).0, &columns), Ok(rows));
    }
}

#[test]
fn batches_are_bounded_in_rows() {
    let (columns, rows) = counts(20_000);
    let reader = SegmentReader::open(write(&columns, &rows).0.into(), &columns).unwrap();
    let sizes: Vec<usize> = reader.map(|batch| batch.unwrap().len()).collect();
    assert_eq!(sizes, [8192, 8192, 3616]);
}

#[test]
fn long_keys_and_values_come_in_small_batches() {
    let columns = columns_of(&[ColumnType::Text]);
    let long = "x".repeat(1 << 20);
    let row = |i: usize| ((0, format!("{i:03}{long}")), Some(vec![Value::Text(format!("{i}{long}"))]));
    let rows: Rows = (0..40).map(row).collect();
    let (bytes, _) = write(&columns, &rows);
    let largest =
        SegmentReader::open(bytes.clone().into(), &columns).unwrap().map(|batch| batch.unwrap().memory_bytes()).max();
    assert!(largest < Some(300 << 20), "{largest:?}");
    assert_eq!(read(bytes, &columns), Ok(rows));
}

#[test]
fn other_columns_are_refused_and_both_are_named() {
    let (columns, rows) = counts(3);
    let (bytes, _) = write(&columns, &rows);
    let error = read(bytes, &columns_of(&[ColumnType::Number, ColumnType::Text])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected columns task UINT32 NOT NULL, key VARCHAR NOT NULL, deleted BOOLEAN NOT NULL, \
             c0 DECIMAL(38,18), c1 VARCHAR, found task UINT32 NOT NULL, key VARCHAR NOT NULL, \
             deleted BOOLEAN NOT NULL, c0 INT64"
    );
}

/// Writes rows past the checks of [`SegmentWriter`].
fn write_unchecked(rows: &[(u32, &str, bool, Option<i128>)]) -> Vec<u8> {
    use std::sync::Arc;

    use arrow_array::{BooleanArray, Decimal128Array, StringArray, UInt32Array};

    let columns = table_columns(&columns_of(&[ColumnType::Number]));
    let mut table = TableWriter::new(&columns, 2);
    let numbers = rows.iter().map(|row| row.3).collect::<Decimal128Array>();
    table.write(vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<UInt32Array>()),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<BooleanArray>()),
        Arc::new(numbers.with_precision_and_scale(38, 18).unwrap()),
    ]);
    table.finish()
}

#[test]
fn rows_that_the_format_does_not_allow_are_refused() {
    let columns = columns_of(&[ColumnType::Number]);
    let limit = 10i128.pow(38);
    let order = "is not after the row before it by task and key";
    let magnitude = "has a number whose magnitude is not below 10^20";
    for (rows, row, reason) in [
        (vec![(0, "a", false, Some(1)), (0, "a", false, Some(1))], 1, order),
        (vec![(0, "b", false, Some(1)), (0, "a", false, Some(1))], 1, order),
        (vec![(0, "a", false, None), (1, "b", false, None), (0, "c", false, None)], 2, order),
        (vec![(0, "a", false, Some(limit - 1)), (0, "b", false, Some(limit))], 1, magnitude),
        (vec![(0, "a", false, Some(-limit))], 0, magnitude),
        (vec![(0, "a", true, None), (0, "b", true, Some(0))], 1, "is a tombstone with a value"),
    ] {
        let found = read(write_unchecked(&rows), &columns);
        assert_eq!(found, Err(TableError::Row { row, reason: reason.to_owned() }), "{rows:?}");
    }
}

#[test]
fn order_is_checked_across_batches_and_nothing_follows_an_error() {
    let keys: Vec<String> = (0..8192).map(|i| format!("{i:05}")).collect();
    let mut rows: Vec<_> = keys.iter().map(|key| (0, key.as_str(), false, None)).collect();
    rows.push((0, "00000", false, None));
    let mut reader = SegmentReader::open(write_unchecked(&rows).into(), &columns_of(&[ColumnType::Number])).unwrap();
    assert!(reader.next().unwrap().is_ok());
    assert!(matches!(reader.next(), Some(Err(TableError::Row { row: 8192, .. }))));
    assert!(reader.next().is_none());
}

#[test]
#[should_panic(expected = "rows are pushed in ascending order")]
fn pushing_a_key_twice_panics() {
    let mut writer = SegmentWriter::new(&[]);
    writer.push(Row { task: 1, key: b"a", value: None });
    writer.push(Row { task: 1, key: b"a", value: None });
}

#[test]
fn a_task_is_found_without_reading_the_row_groups_of_others() {
    let codec = RowCodec::new(Vec::new());
    let mut packed = Vec::new();
    codec.pack(&[], &mut packed);
    let mut writer = SegmentWriter::new(&[]);
    for i in 0..GROUP_ROWS as u32 + 10 {
        let task = if i < GROUP_ROWS as u32 { i / 1000 } else { u32::MAX };
        writer.push(Row { task, key: format!("{i:07}").as_bytes(), value: Some(&packed) });
    }
    let bytes = bytes::Bytes::from(writer.finish().0);
    let rows_of = |task| {
        let reader = SegmentReader::open(bytes.clone(), &[]).unwrap().skip_to_task(task);
        let batches: Vec<RowBatch> = reader.map(Result::unwrap).collect();
        let of_task = batches.iter().flat_map(RowBatch::iter).filter(|row| row.task == task).count();
        (of_task, batches.iter().map(RowBatch::len).sum::<usize>())
    };
    assert_eq!(rows_of(u32::MAX), (10, 10));
    assert_eq!(rows_of(7), (1000, GROUP_ROWS));
    assert_eq!(rows_of(u32::MAX - 1), (0, 0));
}

/// Looks `wanted` up and returns what is found, by key.
fn find(bytes: Vec<u8>, columns: &[Column], wanted: &[(u32, String)]) -> Result<Rows, TableError> {
    let codec = RowCodec::new(columns.to_vec());
    let keys: Vec<(u32, &[u8])> = wanted.iter().map(|(task, key)| (*task, key.as_bytes())).collect();
    let mut found = Rows::new();
    SegmentReader::open(bytes.into(), columns)?.find(&keys, |place, value| {
        let above = found.insert(wanted[place].clone(), value.map(|packed| codec.unpack(packed)));
        assert_eq!(above, None, "a key is found once");
    })?;
    Ok(found)
}

proptest! {
    #[test]
    fn keys_that_are_looked_up_have_the_rows_that_reading_all_gives(
        (columns, rows) in any_table(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        others in prop::collection::vec((0..6u32, "u0000[0-9]{1,3}"), 0..20),
    ) {
        let all: Vec<&(u32, String)> = rows.keys().collect();
        let mut wanted: Vec<(u32, String)> = others;
        if !all.is_empty() {
            wanted.extend(picks.iter().map(|pick| (*pick.get(&all)).clone()));
        }
        wanted.sort();
        wanted.dedup();
        let expected: Rows =
            wanted.iter().filter_map(|key| Some((key.clone(), rows.get(key)?.clone()))).collect();
        prop_assert_eq!(find(write(&columns, &rows).0, &columns, &wanted), Ok(expected));
    }
}

#[test]
fn keys_are_found_in_pages_and_batches_far_apart() {
    let (columns, rows) = counts(100_000);
    let (bytes, _) = write(&columns, &rows);
    for step in [1, 7, 9_000, 40_001] {
        let expected: Rows = rows.clone().into_iter().step_by(step).collect();
        let wanted: Vec<(u32, String)> = expected.keys().cloned().collect();
        assert_eq!(find(bytes.clone(), &columns, &wanted), Ok(expected), "{step}");
    }
    assert_eq!(find(bytes.clone(), &columns, &[(99, "u".to_owned())]), Ok(Rows::new()));
    assert_eq!(find(bytes, &columns, &[]), Ok(Rows::new()));
}

#[test]
fn row_groups_without_a_key_that_is_looked_up_are_not_read() {
    // Three groups: two of task 0, whose keys follow each other, and one of task 1.
    let row = |i: usize| ((u32::from(i >= 2 * GROUP_ROWS), format!("{i:07}")), Some(vec![Value::Int(i as i64)]));
    let rows: Rows = (0..2 * GROUP_ROWS + 10).map(row).collect();
    let columns = columns_of(&[ColumnType::Int]);
    let (mut bytes, _) = write(&columns, &rows);
    // The first group begins the file.
    bytes[4..1000].fill(0xff);
    for i in [GROUP_ROWS, 2 * GROUP_ROWS - 1, 2 * GROUP_ROWS + 5] {
        let (key, values) = row(i);
        assert_eq!(find(bytes.clone(), &columns, std::slice::from_ref(&key)), Ok(Rows::from([(key, values)])));
    }
    assert_eq!(find(bytes.clone(), &columns, &[(1, "0000005".to_owned())]), Ok(Rows::new()));
    assert!(find(bytes, &columns, &[(0, "0000005".to_owned())]).is_err());
    // A bound that is cut short still holds.
    let long = |n: u8| (0, format!("{}{n}", "\u{7f}".repeat(300)));
    let rows: Rows = (0..9).map(|n| (long(n), Some(vec![Value::Int(n.into())]))).collect();
    let (bytes, _) = write(&columns, &rows);
    assert_eq!(find(bytes, &columns, &[long(8)]), Ok(Rows::from([(long(8), Some(vec![Value::Int(8)]))])));
}

#[test]
fn looking_keys_up_refuses_rows_that_do_not_ascend_and_tombstones_with_values() {
    let columns = columns_of(&[ColumnType::Number]);
    let look_up = |rows: &[(u32, &str, bool, Option<i128>)]| {
        find(write_unchecked(rows), &columns, &[(0, "a".to_owned()), (0, "c".to_owned())])
    };
    let unordered = [(0, "a", false, Some(1)), (0, "c", false, Some(1)), (0, "b", false, Some(1))];
    assert!(matches!(look_up(&unordered), Err(TableError::Row { row: 2, .. })));
    let dead = [(0, "a", false, Some(1)), (0, "b", false, Some(1)), (0, "c", true, Some(1))];
    assert!(matches!(look_up(&dead), Err(TableError::Row { row: 2, .. })));
}

/// Reads damaged bytes: whatever comes out, it comes without a panic, in bounded time, and is an error or rows in
/// order.
fn survive(bytes: Vec<u8>, columns: &[Column]) -> bool {
    let key = |i: u32| (i / 20, format!("u{i:07}"));
    let _ = find(bytes.clone(), columns, &[key(0), key(3), key(77), key(149), key(2999)]);
    let Ok(reader) = SegmentReader::open(bytes.into(), columns) else { return false };
    let codec = RowCodec::new(columns.to_vec());
    let mut last: Option<(u32, Vec<u8>)> = None;
    for batch in reader {
        let Ok(batch) = batch else { return false };
        for row in batch.iter() {
            let here = (row.task, row.key.to_vec());
            assert!(std::str::from_utf8(row.key).is_ok());
            assert!(last < Some(here.clone()), "{last:?} then {here:?}");
            row.value.map(|packed| codec.unpack(packed));
            last = Some(here);
        }
    }
    true
}

/// A small pseudo-random sequence, the same each time.
fn noise(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 33) as usize) % below
    }
}

/// Returns files to damage, small ones, with pages that are compressed and with pages that are not: damage to these
/// reaches the decoders.
fn samples() -> Vec<(Vec<Column>, Vec<u8>)> {
    use ColumnType::*;
    let columns = columns_of(&[Int, Number, Text, Bool, Json, Sketch]);
    let row = |i: usize| {
        let values = vec![
            Value::Int(i as i64 * 77),
            Value::Number(Decimal::from_units(i as i128 * 10i128.pow(16)).unwrap()),
            if i.is_multiple_of(3) { Value::Null } else { Value::Text(format!("t{i}")) },
            Value::Bool(i.is_multiple_of(2)),
            Value::Json(format!("{{\"a\":{i}}}")),
            Value::Sketch(vec![i as u8; i % 9]),
        ];
        ((i as u32 / 20, format!("u{i:07}")), (i % 10 != 9).then_some(values))
    };
    let rows: Rows = (0..150).map(row).collect();
    let (few, many) = ((columns, rows), counts(3000));
    let samples = [&few, &many].into_iter().flat_map(|(columns, rows)| {
        let mut uncompressed = SegmentWriter::new(columns);
        uncompressed.table = TableWriter::new_uncompressed(&table_columns(columns), 2);
        [SegmentWriter::new(columns), uncompressed].map(|writer| (columns.clone(), write_with(writer, rows).0))
    });
    samples.collect()
}

#[test]
fn flipped_bits_give_errors_or_rows_in_order_and_never_a_panic() {
    for (columns, bytes) in samples() {
        assert!(survive(bytes.clone(), &columns));
        let mut random = noise(bytes.len() as u64);
        for round in 0..2000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + round % 3 {
                let bit = random(damaged.len() * 8);
                damaged[bit / 8] ^= 1 << (bit % 8);
            }
            survive(damaged, &columns);
        }
    }
}

#[test]
fn cut_and_overwritten_files_give_errors_or_rows_in_order_and_never_a_panic() {
    for (columns, bytes) in samples() {
        for end in (0..bytes.len()).step_by(7) {
            assert!(!survive(bytes[..end].to_vec(), &columns), "cut at {end}");
        }
        let mut random = noise(7);
        for _ in 0..1500 {
            // Numbers of the largest kind where lengths and counts may stand.
            let mut damaged = bytes.clone();
            let at = random(damaged.len());
            let fill = [0u8, 0x7f, 0xff][random(3)];
            for byte in damaged.iter_mut().skip(at).take(1 + random(9)) {
                *byte = fill;
            }
            survive(damaged, &columns);
        }
    }
}
