use proptest::prelude::*;

use super::*;

fn columns() -> Vec<Column> {
    use ColumnType::*;
    [Int, Number, Text, Bool, Json, Sketch, Int, Text, Int]
        .into_iter()
        .enumerate()
        .map(|(i, column_type)| Column::new(format!("c{i}"), column_type))
        .collect()
}

#[test]
fn a_value_unpacks_to_what_was_packed() {
    let codec = RowCodec::new(columns());
    let full = vec![
        Value::Int(-7),
        Value::Number(Decimal::parse(b"-12.34").unwrap()),
        Value::Text("å\u{0}b".to_owned()),
        Value::Bool(true),
        Value::Json("[1,{}]".to_owned()),
        Value::Sketch(vec![0, 255]),
        Value::Int(i64::MAX),
        Value::Text(String::new()),
        Value::Int(0),
    ];
    let mut packed = Vec::new();
    for hole in 0..=full.len() {
        let mut values = full.clone();
        if let Some(value) = values.get_mut(hole) {
            *value = Value::Null;
        }
        packed.clear();
        codec.pack(&values, &mut packed);
        assert_eq!(codec.unpack(&packed), values);
    }
    assert!(!codec.is_fixed());
    assert!(RowCodec::new(vec![Column::new("n", ColumnType::Int)]).is_fixed());
}

#[test]
fn two_changes_of_a_row_are_one() {
    use Change::{Delete, Insert, None, Update};
    for (first, second, both) in [
        (Insert, Update, Insert),
        (Insert, Delete, None),
        (Update, Update, Update),
        (Update, Delete, Delete),
        (Delete, Insert, Update),
        (None, Insert, Insert),
        (None, Delete, Delete),
        (Insert, None, Insert),
        (Delete, None, Delete),
    ] {
        assert_eq!(first.then(second), both, "{first:?} {second:?}");
    }
}

proptest! {
    #[test]
    fn rows_sort_as_their_tasks_and_keys_do(
        shared in "[ab]{0,12}",
        rows in prop::collection::vec((0..3u32, "[\\x00ab]{0,12}"), 0..60),
    ) {
        let mut batch = RowBatch::new();
        let mut expected: Vec<(u32, String, u8)> = Vec::new();
        for (number, (task, key)) in (0..).zip(rows) {
            let key = format!("{shared}{key}");
            batch.push(task, key.as_bytes(), Some(&[number]));
            expected.push((task, key, number));
        }
        batch.sort();
        expected.sort();
        let rows = batch.iter().map(|row| {
            (row.task, String::from_utf8(row.key.to_vec()).unwrap(), row.value.unwrap()[0])
        });
        prop_assert_eq!(rows.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn rows_sort_by_task_then_by_the_bytes_of_the_key() {
    let mut batch = RowBatch::new();
    for (task, key, value) in [
        (2, "a", Some("1")),
        (1, "longer-than-8-b", None),
        (1, "longer-than-8-a", Some("")),
        (1, "b", Some("x")),
        (1, "b\0", Some("y")),
        (1, "b", Some("z")),
    ] {
        batch.push(task, key.as_bytes(), value.map(str::as_bytes));
    }
    batch.sort();
    let rows: Vec<_> = batch
        .iter()
        .map(|row| {
            (row.task, std::str::from_utf8(row.key).unwrap(), row.value.map(|v| std::str::from_utf8(v).unwrap()))
        })
        .collect();
    assert_eq!(
        rows,
        [
            (1, "b", Some("x")),
            (1, "b", Some("z")),
            (1, "b\0", Some("y")),
            (1, "longer-than-8-a", Some("")),
            (1, "longer-than-8-b", None),
            (2, "a", Some("1"))
        ]
    );
}
