//! The messages between ckpt and a program: one JSON object per line. `docs/protocol.md` is the specification.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::format::row_batch::RowBatch;
use crate::values::value::Column;

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// The maximum length of a line that a program writes, in bytes, including its end.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A `restore` is sent once it has this many bytes.
pub(crate) const RESTORE_BYTES: usize = 1 << 20;

/// The first line of the conversation.
#[derive(Debug, Serialize)]
pub(crate) struct Hello<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) protocol: u32,
    pub(crate) version: &'a str,
    pub(crate) job: &'a str,
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    /// The first and the last task of each range that the program is given.
    pub(crate) tasks: Vec<(u32, u32)>,
    pub(crate) key: Option<HelloKey>,
    #[serde(skip_serializing_if = "ColumnTypes::is_empty")]
    pub(crate) columns: ColumnTypes<'a>,
    #[serde(skip_serializing_if = "ColumnTypes::is_empty")]
    pub(crate) output_columns: ColumnTypes<'a>,
}

/// The fields that route records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum HelloKey {
    One(String),
    Several(Vec<String>),
}

impl HelloKey {
    pub(crate) fn new(mut fields: Vec<String>) -> Option<HelloKey> {
        match fields.len() {
            0 => None,
            1 => fields.pop().map(HelloKey::One),
            _ => Some(HelloKey::Several(fields)),
        }
    }
}

/// Declared columns: an object with their names and types, in order.
#[derive(Debug)]
pub(crate) struct ColumnTypes<'a>(pub(crate) &'a [Column]);

impl ColumnTypes<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for ColumnTypes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|column| (&column.name, column.column_type)))
    }
}

impl Hello<'_> {
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a greeting is always JSON");
        line.push(b'\n');
        line
    }
}

/// Returns the line that follows the last row of the state.
pub(crate) fn start() -> Vec<u8> {
    b"{\"type\":\"start\"}\n".to_vec()
}

/// Returns the line that asks a program to end.
pub(crate) fn close() -> Vec<u8> {
    b"{\"type\":\"close\"}\n".to_vec()
}

/// Returns the line that asks for everything that changed.
pub(crate) fn checkpoint(number: u64) -> Vec<u8> {
    format!("{{\"type\":\"checkpoint\",\"number\":{number}}}\n").into_bytes()
}

/// Returns the line of a tick. `ended` says whether the input has ended.
pub(crate) fn tick(number: u64, ended: bool) -> Vec<u8> {
    format!("{{\"type\":\"tick\",\"number\":{number},\"ended\":{ended}}}\n").into_bytes()
}

/// Returns the line of a batch. `body` was made by [`begin_batch`] and [`push_record`].
pub(crate) fn batch(number: u64, body: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(body.len() + 48);
    line.extend_from_slice(format!("{{\"type\":\"batch\",\"number\":{number},").as_bytes());
    line.extend_from_slice(body);
    line.extend_from_slice(b"]}\n");
    line
}

/// Begins the body of a batch of records of `partition`.
pub(crate) fn begin_batch(body: &mut Vec<u8>, partition: &str) {
    body.extend_from_slice(b"\"partition\":");
    push_text(body, partition);
    body.extend_from_slice(b",\"records\":[");
}

/// Appends a record to the body of a batch. `push_data` appends its data as JSON.
pub(crate) fn push_record(
    body: &mut Vec<u8>,
    task: u32,
    offset: u64,
    push_data: impl FnOnce(&mut Vec<u8>) -> Result<(), crate::input::record::BadRecord>,
) -> Result<(), crate::input::record::BadRecord> {
    if body.last() != Some(&b'[') {
        body.push(b',');
    }
    body.push(b'[');
    push_number(body, task.into());
    body.push(b',');
    push_number(body, offset);
    body.push(b',');
    push_data(body)?;
    body.push(b']');
    Ok(())
}

/// Begins a `restore`.
pub(crate) fn begin_restore(line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"type\":\"restore\",\"rows\":[");
}

/// Appends a row to a `restore`.
pub(crate) fn push_row(line: &mut Vec<u8>, task: u32, key: &str, value: &[u8]) {
    if line.last() != Some(&b'[') {
        line.push(b',');
    }
    line.push(b'[');
    push_number(line, task.into());
    line.push(b',');
    push_text(line, key);
    line.push(b',');
    line.extend_from_slice(value);
    line.push(b']');
}

/// Ends a `restore`.
pub(crate) fn end_restore(line: &mut Vec<u8>) {
    line.extend_from_slice(b"]}\n");
}

/// Appends `text` as JSON.
pub(crate) fn push_text(line: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(line, text).expect("text is always JSON");
}

fn push_number(line: &mut Vec<u8>, number: u64) {
    serde_json::to_writer(line, &number).expect("a number is always JSON");
}

/// What a program answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The program has loaded the state.
    Ready { protocol: Option<u32> },
    /// A part of the answer to the first unanswered request.
    Part(StateUpdate),
    /// The end of the answer to the request with this number.
    Done { number: u64, update: StateUpdate },
    /// The program cannot continue. `record` is an index into the batch that it was working on.
    Error { message: String, record: Option<usize>, traceback: Option<String> },
}

/// What a program hands over: changes to its state, and output.
#[derive(Debug, Default)]
pub(crate) struct StateUpdate {
    /// The changed keys with their values as JSON, and the deleted keys, in the order in which they apply.
    pub(crate) changes: RowBatch,
    /// Rows for the output: the task and a JSON object for each.
    pub(crate) rows: Vec<(u32, Box<str>)>,
    /// Records of the current batch that the program rejects: their indices, and why.
    pub(crate) rejected: Vec<(usize, String)>,
}

/// An answer as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: String,
    number: Option<u64>,
    protocol: Option<u32>,
    #[serde(borrow, default)]
    changed: Vec<(u32, String, &'a RawValue)>,
    #[serde(default)]
    deleted: Vec<(u32, String)>,
    #[serde(borrow, default)]
    emit: Vec<(u32, &'a RawValue)>,
    #[serde(default)]
    rejected: Vec<(usize, String)>,
    message: Option<String>,
    record: Option<usize>,
    traceback: Option<String>,
}

impl Answer {
    /// Parses a line. The error says what is wrong with it.
    pub(crate) fn parse(line: &[u8]) -> Result<Answer, String> {
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        // Every message is a single line, so its number says nothing.
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| {
            let text = error.to_string();
            text.replace(&format!(" at line 1 column {}", error.column()), &format!(" at byte {}", error.column()))
        })?;
        let unexpected = |field: &str| Err(format!("`{}` has no `{field}`", line.kind));
        let hands_over = matches!(line.kind.as_str(), "part" | "done");
        for (field, is_there) in [
            ("changed", !line.changed.is_empty()),
            ("deleted", !line.deleted.is_empty()),
            ("emit", !line.emit.is_empty()),
            ("rejected", !line.rejected.is_empty()),
        ] {
            if is_there && !hands_over {
                return unexpected(field);
            }
        }
        for (field, is_there, kind) in [
            ("number", line.number.is_some(), "done"),
            ("protocol", line.protocol.is_some(), "ready"),
            ("message", line.message.is_some(), "error"),
            ("record", line.record.is_some(), "error"),
            ("traceback", line.traceback.is_some(), "error"),
        ] {
            if is_there && line.kind != kind {
                return unexpected(field);
            }
        }
        let missing = |field: &str| format!("`{}` needs a `{field}`", line.kind);
        match line.kind.as_str() {
            "ready" => Ok(Answer::Ready { protocol: line.protocol }),
            "error" => Ok(Answer::Error {
                message: line.message.ok_or("`error` needs a `message`")?,
                record: line.record,
                traceback: line.traceback,
            }),
            "part" => Ok(Answer::Part(StateUpdate::from_line(line)?)),
            "done" => Ok(Answer::Done {
                number: line.number.ok_or_else(|| missing("number"))?,
                update: StateUpdate::from_line(line)?,
            }),
            other => Err(format!("`{}` is not an answer type", crate::values::units::shown(other))),
        }
    }
}

impl StateUpdate {
    fn from_line(line: Line<'_>) -> Result<StateUpdate, String> {
        let mut update = StateUpdate::default();
        for (task, key, value) in &line.changed {
            update.changes.push(*task, key.as_bytes(), Some(value.get().as_bytes()));
        }
        for (task, key) in &line.deleted {
            update.changes.push(*task, key.as_bytes(), None);
        }
        for (task, row) in &line.emit {
            if !row.get().starts_with('{') {
                return Err("a row in `emit` is not an object".to_owned());
            }
            update.rows.push((*task, row.get().into()));
        }
        update.rejected = line.rejected;
        Ok(update)
    }
}

/// Finds a record in a batch. Returns its offset, and its data as JSON.
pub(crate) fn record_of(batch: &[u8], index: usize) -> Option<(u64, String)> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        records: Vec<(u32, u64, &'a RawValue)>,
    }
    let batch: Batch<'_> = serde_json::from_slice(batch).ok()?;
    batch.records.get(index).map(|(_, offset, data)| (*offset, data.get().to_owned()))
}

/// Returns the partition of a batch, and the offsets of its first and its last record.
pub(crate) fn extent_of(batch: &[u8]) -> Option<(String, u64, u64)> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        partition: String,
        #[serde(borrow)]
        records: Vec<(u32, u64, &'a RawValue)>,
    }
    let batch: Batch<'_> = serde_json::from_slice(batch).ok()?;
    Some((batch.partition, batch.records.first()?.1, batch.records.last()?.1))
}

/// The kind of an answer and its number of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerSummary {
    pub kind: &'static str,
    pub changed: usize,
    pub deleted: usize,
    pub emitted: usize,
    pub rejected: usize,
}

/// Parses a line of a program as a run does, for tests of the protocol. The error says what is wrong with it.
pub fn read_answer(line: &[u8]) -> Result<AnswerSummary, String> {
    let of = |kind, update: &StateUpdate| {
        let deleted = update.changes.iter().filter(|row| row.value.is_none()).count();
        let changed = update.changes.iter().count() - deleted;
        AnswerSummary { kind, changed, deleted, emitted: update.rows.len(), rejected: update.rejected.len() }
    };
    Ok(match Answer::parse(line)? {
        Answer::Ready { .. } => of("ready", &StateUpdate::default()),
        Answer::Error { .. } => of("error", &StateUpdate::default()),
        Answer::Part(update) => of("part", &update),
        Answer::Done { update, .. } => of("done", &update),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_parsed() {
        let line = br#"{"type":"done","number":7,"changed":[[3,"a",{"n":1}],[3,"b\"",null]],"deleted":[[3,"a"]],"emit":[[3,{"x": [1]}]]}"#;
        let Ok(Answer::Done { number: 7, update }) = Answer::parse(line) else { panic!("{:?}", Answer::parse(line)) };
        let rows: Vec<_> = update.changes.iter().map(|row| (row.task, row.key, row.value)).collect();
        assert_eq!(rows, [(3, &b"a"[..], Some(&br#"{"n":1}"#[..])), (3, b"b\"", Some(b"null")), (3, b"a", None)]);
        assert_eq!(update.rows, [(3, r#"{"x": [1]}"#.into())]);
        assert!(matches!(Answer::parse(br#"{"type":"ready","protocol":1}"#), Ok(Answer::Ready { protocol: Some(1) })));
        assert!(matches!(Answer::parse(br#"{"type":"part"}"#), Ok(Answer::Part(_))));
        let line = br#"{"type":"part","rejected":[[0,"no amount"],[7,"too old"]]}"#;
        let Ok(Answer::Part(update)) = Answer::parse(line) else { panic!("{:?}", Answer::parse(line)) };
        assert_eq!(update.rejected, [(0, "no amount".to_owned()), (7, "too old".to_owned())]);
        let error = Answer::parse(br#"{"type":"error","message":"no","record":2}"#);
        assert!(matches!(error, Ok(Answer::Error { message, record: Some(2), traceback: None }) if message == "no"));
        let error = Answer::parse(br#"{"type":"error","message":"no","traceback":"line 1\nline 2"}"#);
        assert!(matches!(error, Ok(Answer::Error { traceback: Some(lines), .. }) if lines == "line 1\nline 2"));
    }

    #[test]
    fn lines_that_are_not_answers_are_refused_with_a_reason() {
        for (line, reason) in [
            (&b"hello"[..], "expected value at byte 1"),
            (b"\xff", "it is not UTF-8"),
            (b"{}", "missing field `type` at byte 2"),
            (br#"{"type":"yes"}"#, "`yes` is not an answer type"),
            (br#"{"type":"done"}"#, "`done` needs a `number`"),
            (br#"{"type":"error"}"#, "`error` needs a `message`"),
            (br#"{"type":"ready","number":1}"#, "`ready` has no `number`"),
            (br#"{"type":"ready","emit":[[1,{}]]}"#, "`ready` has no `emit`"),
            (br#"{"type":"ready","rejected":[[1,"no"]]}"#, "`ready` has no `rejected`"),
            (br#"{"type":"part","emit":[[1,2]]}"#, "a row in `emit` is not an object"),
            (
                br#"{"type":"done","number":1,"changed":[["a",1]]}"#,
                "invalid type: string \"a\", expected u32 at byte 41",
            ),
            (
                br#"{"type":"done","number":1,"emited":[]}"#,
                "unknown field `emited`, expected one of `type`, `number`, `protocol`, `changed`, `deleted`, `emit`, `rejected`, `message`, `record`, `traceback` at byte 34",
            ),
        ] {
            assert_eq!(Answer::parse(line).unwrap_err(), reason);
        }
    }

    #[test]
    fn a_batch_is_one_line_in_which_records_can_be_found() {
        let mut body = Vec::new();
        begin_batch(&mut body, "a\"b.jsonl");
        for (task, offset, data) in [(1, 0, "{\"n\":1}"), (9, 8, "{\"n\":2}")] {
            let push = |body: &mut Vec<u8>| {
                body.extend_from_slice(data.as_bytes());
                Ok(())
            };
            push_record(&mut body, task, offset, push).unwrap();
        }
        let line = batch(4, &body);
        assert_eq!(
            String::from_utf8(line.clone()).unwrap(),
            "{\"type\":\"batch\",\"number\":4,\"partition\":\"a\\\"b.jsonl\",\"records\":[[1,0,{\"n\":1}],[9,8,{\"n\":2}]]}\n"
        );
        assert_eq!(record_of(&line, 1), Some((8, "{\"n\":2}".to_owned())));
        assert_eq!(record_of(&line, 2), None);
        assert_eq!(extent_of(&line), Some(("a\"b.jsonl".to_owned(), 0, 8)));
    }
}
