//! Positions are read as they were written.

use super::*;

fn row(partition: &str, cut: u64) -> PositionRow {
    PositionRow {
        cut,
        offset: u64::MAX,
        record: 7,
        file_bytes: Some(1 << 40),
        ..PositionRow::at_start(partition.to_owned(), Digest::of(partition.as_bytes()))
    }
}

#[test]
fn the_columns_of_time_are_there_only_when_a_row_has_a_time() {
    let plain = encode(&[row("a", 1), row("b", 1)]);
    let timed = PositionRow { event_time: Some(-5), watermark: Some(i64::MIN), ..row("a", 1) };
    let rows = vec![timed, row("b", 1)];
    let bytes = encode(&rows);
    assert_eq!(decode(bytes.clone().into()), Ok(rows));
    assert_eq!(decode(plain.into()), Ok(vec![row("a", 1), row("b", 1)]));
}

#[test]
fn positions_are_read_as_they_were_written_in_order() {
    let stdin = PositionRow { task: Some(3), ended: true, file_bytes: None, ..row("-", 5) };
    let rows = vec![stdin, row("a/ü.jsonl", 1), row("a/ü.jsonl", 2), row("b", 0)];
    let bytes = encode(&rows);
    assert_eq!(decode(bytes.clone().into()), Ok(rows.clone()));
    let backwards: Vec<PositionRow> = rows.iter().rev().cloned().collect();
    assert_eq!(encode(&backwards), bytes);
    assert_eq!(decode(encode(&[]).into()), Ok(vec![]));
}

#[test]
fn the_columns_of_followed_files_are_there_when_a_row_needs_them() {
    let rotated = PositionRow { generation_of: Some("a.log".to_owned()), inode: Some(u64::MAX), ..row("a.log.1", 4) };
    for rows in [vec![row("a.log", 4), rotated.clone()], vec![PositionRow { inode: Some(7), ..row("a.log", 4) }]] {
        let bytes = encode(&rows);
        assert_eq!(decode(bytes.into()), Ok(rows));
    }
    assert_eq!((rotated.logical(), row("b", 1).logical()), ("a.log", "b"));
}

#[test]
fn the_column_of_objects_is_there_with_any_of_the_others() {
    let object = PositionRow { etag: Some("9b2cf5-3".to_owned()), ..row("s3://data/a.jsonl", 4) };
    let timed = PositionRow { event_time: Some(7), ..object.clone() };
    let followed = PositionRow { inode: Some(7), ..row("a.log", 4) };
    for rows in [vec![object], vec![timed.clone()], vec![followed, timed]] {
        assert_eq!(decode(encode(&rows).into()), Ok(rows));
    }
}

#[test]
fn the_columns_of_messages_are_there_with_any_of_the_others() {
    let message = MessagePosition {
        topic_id: Some("x9zyOZ8XQO6cP0f1LLb0Mw".to_owned()),
        offset: 1 << 50,
        leader_epoch: Some(7),
        proof_offset: Some((1 << 50) - 2),
        batch_end: None,
    };
    let least = MessagePosition { topic_id: None, leader_epoch: None, proof_offset: None, ..message.clone() };
    let read = PositionRow { message: Some(message), ..row("clicks/0", 4) };
    let unread = PositionRow { message: Some(least), event_time: Some(7), ..row("clicks/1", 4) };
    for rows in [vec![read.clone()], vec![read, unread, row("data.jsonl", 4)]] {
        assert_eq!(decode(encode(&rows).into()), Ok(rows));
    }
}

#[test]
fn many_positions_are_read_whole() {
    let rows: Vec<PositionRow> = (0..10_000).map(|i| row(&format!("part-{i:05}"), 1)).collect();
    assert_eq!(decode(encode(&rows).into()), Ok(rows));
}

#[test]
fn a_position_that_comes_twice_is_refused() {
    let error = decode(encode(&[row("a", 1), row("a", 1)]).into()).unwrap_err();
    assert_eq!(error.to_string(), "row 1: is not after the row before it by partition and cut");
}

#[test]
fn the_columns_of_workers_are_there_with_any_of_the_others() {
    let commit = WorkerCommit { worker: "pod-ä".to_owned(), time: 1_795_356_000_123 };
    let message =
        MessagePosition { topic_id: None, offset: 7, leader_epoch: None, proof_offset: None, batch_end: None };
    let mine = PositionRow { committed: Some(commit), message: Some(message), ..row("clicks/0", 4) };
    let timed = PositionRow { event_time: Some(7), ..row("clicks/1", 4) };
    for rows in [vec![mine.clone()], vec![mine, timed]] {
        assert_eq!(decode(encode(&rows).into()), Ok(rows));
    }
}

#[test]
fn the_column_of_batches_is_there_with_any_of_the_others_and_all_rows_say_where_the_batch_ends() {
    let at = |offset, batch_end| {
        Some(MessagePosition { topic_id: None, offset, leader_epoch: None, proof_offset: None, batch_end })
    };
    let in_batch = PositionRow { task: Some(0), message: at(7, Some(9)), ..row("clicks/0", 4) };
    let other = PositionRow { task: Some(1), message: at(5, Some(5)), event_time: Some(7), ..row("clicks/1", 4) };
    let rows = vec![in_batch.clone(), other.clone()];
    assert_eq!(decode(encode(&rows).into()), Ok(rows.clone()));
    assert_eq!(batch_ends(&rows), Some(BatchEnds::from([(0, 9), (1, 5)])));
    let without = PositionRow { task: Some(1), message: at(5, None), ..row("clicks/1", 4) };
    let mixed = vec![in_batch, without.clone()];
    assert_eq!(decode(encode(&mixed).into()), Ok(mixed.clone()));
    assert_eq!((batch_ends(&mixed), batch_ends(&[without]), batch_ends(&[])), (None, None, None));
}
