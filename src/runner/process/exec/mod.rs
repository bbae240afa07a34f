//! Programs in any language: `process: exec`.
//!
//! Each worker has a program of its own and speaks with it over its standard streams, as `docs/protocol.md` says. The program owns the state of the
//! worker's tasks while it runs; what it hands over at each cut goes into the worker's shards, which hold a copy of it, so that checkpoints of a
//! program's state are made as those of any other: a row is (task, key) with one JSON column.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::format::limits::MAX_VALUE_BYTES;
use crate::format::rows::RowCodec;
use crate::input::Block;
use crate::input::record::csv;
use crate::input::record::{BadRecord, Field, Header, RecordPlace};
use crate::input::roster::StreamNames;
use crate::job::{ExecSpec, FieldPath, InputFormat, JobSpec};
use crate::runner::process::processor::{Context, ProcessError, Processor};
use crate::runner::state::shard::{RowMut, Shard};
use crate::values::units::{Span, shown};
use crate::values::value::{Column, ColumnType};

mod child;
mod link;
mod protocol;

pub(crate) use child::Incoming;
pub(crate) use link::Link;
use protocol::Answer;
pub(crate) use protocol::Handed;
pub use protocol::{MAX_ANSWER_BYTES, PROTOCOL};

/// The name of the one column that the state of a program has.
pub const VALUE_COLUMN: &str = "value";

/// The environment variable that tells a program that ckpt has started it.
pub const ROLE: &str = "CKPT_PROGRAM";

/// How the programs of a run are started, and what they are told.
#[derive(Debug)]
pub struct ExecPlan {
    command: Vec<String>,
    directory: PathBuf,
    environment: Vec<(OsString, OsString)>,
    timeout: Duration,
    tick: Option<Duration>,
    job: String,
    key: Option<String>,
    format: InputFormat,
    /// The names of the files that records come from, by the number of their stream.
    names: Arc<StreamNames>,
    /// Whether rows that it emits have somewhere to go.
    emits: bool,
}

impl ExecPlan {
    /// Makes the plan of `job` that runs `exec`. `environment` is added to that of ckpt.
    pub fn new(job: &JobSpec, exec: &ExecSpec, environment: &[(OsString, OsString)]) -> ExecPlan {
        let mut environment = environment.to_vec();
        environment.push((ROLE.into(), PROTOCOL.to_string().into()));
        ExecPlan {
            command: exec.command.clone(),
            directory: if job.base.as_os_str().is_empty() { PathBuf::from(".") } else { job.base.clone() },
            environment,
            timeout: exec.timeout,
            tick: exec.tick,
            job: job.job.clone(),
            key: job.key.as_ref().map(FieldPath::to_string),
            format: job.input.format.clone(),
            names: Arc::default(),
            emits: job.output.is_some(),
        }
    }

    /// Returns what is started: a path is relative to the job file's directory, a plain name is looked up in `PATH`.
    fn executable(&self) -> PathBuf {
        let program = PathBuf::from(&self.command[0]);
        if program.components().count() < 2 {
            return program;
        }
        std::path::absolute(self.directory.join(&program)).unwrap_or(program)
    }

    /// Says where the names of files are found.
    pub(crate) fn set_names(&mut self, names: Arc<StreamNames>) {
        self.names = names;
    }

    /// Tells whether rows that a program emits have somewhere to go.
    pub(crate) fn emits(&self) -> bool {
        self.emits
    }

    /// Returns what the program is called in messages: its script, if it has one.
    pub fn name(&self) -> &str {
        let script = self.command.get(1).filter(|argument| !argument.starts_with('-'));
        let path = script.unwrap_or(&self.command[0]);
        path.rsplit('/').next().unwrap_or(path)
    }

    /// Appends a record to the body of a batch, which it begins when `body` is empty. On an error `body` may have grown.
    ///
    /// `fields` are those of [`Mirror::fields`].
    pub(crate) fn push(
        &self,
        body: &mut Vec<u8>,
        block: &Block,
        place: RecordPlace<'_>,
        fields: &[Field<'_>],
        task: u32,
    ) -> Result<(), BadRecord> {
        if body.is_empty() {
            protocol::begin_batch(body, &self.names.get(block.stream));
        }
        protocol::push_record(body, task, block.offset + place.at as u64, |body| match &self.format {
            // It was checked when it was taken apart.
            InputFormat::Json => {
                body.extend_from_slice(place.bytes.trim_ascii());
                Ok(())
            }
            InputFormat::Csv { delimiter } => {
                let text = std::str::from_utf8(place.bytes).expect("the record was taken apart as text");
                push_row(body, text, *delimiter, block.header.as_deref())
            }
            InputFormat::Text | InputFormat::Words => {
                let name = if self.format == InputFormat::Text { "line" } else { "word" };
                body.push(b'{');
                if let Some(Field::Text(text)) = fields.first() {
                    protocol::push_text(body, name);
                    body.push(b':');
                    protocol::push_text(body, text);
                }
                body.push(b'}');
                Ok(())
            }
        })
    }
}

/// Appends a row of CSV as an object of texts.
fn push_row(body: &mut Vec<u8>, text: &str, delimiter: u8, header: Option<&Header>) -> Result<(), BadRecord> {
    let names = header.map_or(&[][..], |header| &header.names);
    body.push(b'{');
    csv::split(text, delimiter, |index, field| {
        if let Some(name) = names.get(index) {
            if index > 0 {
                body.push(b',');
            }
            protocol::push_text(body, name);
            body.push(b':');
            protocol::push_text(body, &field);
        }
    })?;
    body.push(b'}');
    Ok(())
}

/// The copy of a program's state that a run keeps: rows of one JSON column. Records are not applied to it, but sent to the program.
#[derive(Debug)]
pub struct Mirror {
    fields: Vec<FieldPath>,
    columns: Vec<Column>,
}

impl Mirror {
    /// Makes the copy for input of `format`.
    pub fn new(format: &InputFormat) -> Mirror {
        let fields = match format {
            InputFormat::Json | InputFormat::Csv { .. } => Vec::new(),
            InputFormat::Text => vec![FieldPath::of("line")],
            InputFormat::Words => vec![FieldPath::of("word")],
        };
        Mirror { fields, columns: vec![Column::new(VALUE_COLUMN, ColumnType::Json)] }
    }
}

impl Processor for Mirror {
    fn fields(&self) -> &[FieldPath] {
        &self.fields
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn pack(&self, _: &[Field<'_>], _: &mut Vec<u8>) -> Result<(), BadRecord> {
        Ok(())
    }

    fn apply(&self, _: &[u8], _: &mut RowMut<'_>, _: &mut Context<'_>) -> Result<(), ProcessError> {
        Err(ProcessError { reason: "records are applied by the program".to_owned() })
    }
}

/// What a line of a program says, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its `type`.
    pub kind: &'static str,
    /// Changed keys.
    pub changed: usize,
    /// Deleted keys.
    pub deleted: usize,
    /// Rows for the output.
    pub emitted: usize,
}

/// Reads a line of a program as a run does, and tells what it says: for tests of the protocol. The error says what is wrong with it.
pub fn read_answer(line: &[u8]) -> Result<Said, String> {
    let of = |kind, handed: &Handed| {
        let deleted = handed.changes.iter().filter(|row| row.value.is_none()).count();
        let changed = handed.changes.iter().count() - deleted;
        Said { kind, changed, deleted, emitted: handed.rows.len() }
    };
    Ok(match Answer::parse(line)? {
        Answer::Ready { .. } => of("ready", &Handed::default()),
        Answer::Error { .. } => of("error", &Handed::default()),
        Answer::Part(handed) => of("part", &handed),
        Answer::Done { handed, .. } => of("done", &handed),
    })
}

/// The bytes of the task before each key of a program's state in memory.
pub(crate) const TASK_BYTES: usize = 4;

/// Returns what a key of a program's state is in a shard: two tasks may have the same keys.
pub(crate) fn shard_key(task: u32, key: &[u8]) -> Vec<u8> {
    let mut bytes = task.to_be_bytes().to_vec();
    bytes.extend_from_slice(key);
    bytes
}

/// Returns the task and the key of a key in a shard.
pub(crate) fn split_key(key: &[u8]) -> (u32, &[u8]) {
    let (task, key) = key.split_first_chunk().expect("a key of a program's state begins with its task");
    (u32::from_be_bytes(*task), key)
}

/// Puts a change of a program's state into the shard that holds its task. A value that is what is there already changes nothing.
pub(crate) fn put(
    shard: &mut Shard,
    codec: &RowCodec,
    task: u32,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), String> {
    let key = shard_key(task, key);
    let hash = xxh3_64(&key);
    let Some(value) = value else {
        shard.remove(hash, &key);
        return Ok(());
    };
    if key.len() - TASK_BYTES > MAX_VALUE_BYTES {
        return Err(format!("a key of {} bytes, expected at most {MAX_VALUE_BYTES}", key.len() - TASK_BYTES));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(format!("a value of {} bytes, expected at most {MAX_VALUE_BYTES}", value.len()));
    }
    let at = codec.offset(0);
    if shard.find(hash, &key).is_some_and(|row| shard.bytes(row, 0) == Some(value)) {
        return Ok(());
    }
    // What a reader of JSON may not take is refused here: numbers out of range, halves of surrogate pairs, very deep nesting.
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(value) {
        return Err(format!("a value that is no JSON: {error}"));
    }
    shard.row(hash, &key).set(0, at, ColumnType::Json, value);
    Ok(())
}

/// What a program did wrong.
#[derive(Debug, thiserror::Error)]
pub enum ProgramFailure {
    /// It could not be started.
    #[error("it can not be started")]
    Start {
        /// What the system said.
        source: io::Error,
    },
    /// It ended, which it should not have.
    #[error("it ended {how}{}{}", at(.place), said(.last_line))]
    Ended {
        /// Its exit status or signal.
        how: String,
        /// What it wrote last to its standard error.
        last_line: Option<String>,
        /// What it was working on.
        place: Option<String>,
    },
    /// How it ended can not be told.
    #[error("it ended")]
    Lost {
        /// What the system said.
        source: io::Error,
    },
    /// It did not answer.
    #[error("it has not answered for {}{}", Span(*.timeout), at(.place))]
    Silent {
        /// How long it had.
        timeout: Duration,
        /// What it was working on.
        place: Option<String>,
    },
    /// It wrote a line that is no answer.
    #[error("it wrote a line that is no answer, because {reason}: `{line}`")]
    Garbage {
        /// The line's beginning.
        line: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It answered something that it was not asked.
    #[error("it answered {found} when {expected} was to be answered")]
    WrongNumber {
        /// The number of the request.
        expected: u64,
        /// The number of the answer.
        found: u64,
    },
    /// It answered when there was nothing to answer.
    #[error("it answered without being asked")]
    Unasked,
    /// It was to say that it is ready, and said something else.
    #[error("its first answer is not `ready`")]
    NotReady,
    /// It speaks another version of the protocol.
    #[error("it speaks version {found} of the protocol, expected {expected}")]
    Protocol {
        /// That of ckpt.
        expected: u32,
        /// That of the program.
        found: u32,
    },
    /// It said that it can not go on.
    #[error("it says: {message}{}", at(.place))]
    Reported {
        /// What it said.
        message: String,
        /// The record.
        place: Option<String>,
    },
    /// It handed over something of a task that is another program's, or none.
    #[error("it handed over something of task {task}, which is not one of its own")]
    OtherTask {
        /// The task.
        task: u32,
    },
    /// It emitted a row.
    #[error("it emitted a row, but the job has no `output`")]
    NoOutput,
    /// It handed over something that can not be state.
    #[error("it handed over {reason} (task {task}, key `{}`)", shown(.key))]
    State {
        /// The task.
        task: u32,
        /// The key.
        key: String,
        /// What is wrong.
        reason: String,
    },
}

fn at(place: &Option<String>) -> String {
    place.as_ref().map(|place| format!(", at {place}")).unwrap_or_default()
}

fn said(last_line: &Option<String>) -> String {
    last_line.as_ref().map(|line| format!("; it said last: {line}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::limits::MAX_VALUE_BYTES;

    fn taken(shard: &mut Shard) -> Vec<(u32, String, Option<String>)> {
        shard.freeze(false);
        let mut snapshot = shard.take(usize::MAX / 2, |key| split_key(key).0).expect("all of it");
        snapshot.rows.split_tasks();
        snapshot.rows.sort();
        let codec = RowCodec::new(vec![Column::new(VALUE_COLUMN, ColumnType::Json)]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let value = |packed: &[u8]| codec.unpack(packed)[0].to_json();
        snapshot.rows.iter().map(|row| (row.task, text(row.key), row.value.map(value))).collect()
    }

    #[test]
    fn only_what_differs_is_a_change_and_tasks_have_keys_of_their_own() {
        let codec = RowCodec::new(Mirror::new(&InputFormat::Json).columns().to_vec());
        let mut shard = Shard::new(&codec);
        let put = |shard: &mut Shard, task, value: Option<&str>| {
            put(shard, &codec, task, b"k", value.map(str::as_bytes)).unwrap();
        };
        for task in 0..8 {
            put(&mut shard, task, Some("{\"n\": 1}"));
        }
        assert_eq!(taken(&mut shard).len(), 8);
        put(&mut shard, 5, Some("{\"n\": 1}"));
        put(&mut shard, 7, None);
        put(&mut shard, 6, Some("2"));
        put(&mut shard, 6, Some("[3]"));
        let row = |task, value: Option<&str>| (task, "k".to_owned(), value.map(str::to_owned));
        assert_eq!(taken(&mut shard), [row(6, Some("[3]")), row(7, None)]);
        assert_eq!(taken(&mut shard), []);
    }

    #[test]
    fn what_is_no_json_or_too_large_is_refused() {
        let codec = RowCodec::new(Mirror::new(&InputFormat::Json).columns().to_vec());
        let mut shard = Shard::new(&codec);
        let long = format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES));
        for value in ["", "nul", "{", "1e999", "\"\\ud800\"", &"[".repeat(100_000), &long] {
            assert!(put(&mut shard, &codec, 0, b"k", Some(value.as_bytes())).is_err(), "{:.20}", value);
        }
        assert!(put(&mut shard, &codec, 0, &vec![b'k'; MAX_VALUE_BYTES + 1], Some(b"1")).is_err());
        assert_eq!(shard.keys(), 0);
    }

    #[test]
    fn a_program_is_called_by_its_script_and_found_beside_the_job_file() {
        let job = |command: &str| {
            let text = format!("job: j\ninput: a.jsonl\nprocess: {{exec: {command}}}\n");
            JobSpec::parse(&text, std::path::Path::new("/jobs/j.yaml")).unwrap()
        };
        for (command, name, executable) in [
            ("[python3, lib/a.py, -x]", "a.py", "python3"),
            ("[./bin/count, -v]", "count", "/jobs/./bin/count"),
            ("[/usr/bin/env, -S, x]", "env", "/usr/bin/env"),
        ] {
            let job = job(command);
            let plan = ExecPlan::new(&job, job.exec.as_ref().unwrap(), &[]);
            assert_eq!((plan.name(), plan.executable()), (name, PathBuf::from(executable)));
        }
    }
}
