//! What can go wrong with a program.

use std::io;
use std::time::Duration;

use crate::values::units::{Span, shown};

/// What a program did wrong.
#[derive(Debug, thiserror::Error)]
pub enum ProgramFailure {
    #[error("it cannot be started")]
    Start { source: io::Error },
    /// It ended before it was asked to.
    #[error("it ended {how}{}{}", at(.place), last_words(.last_line))]
    Ended {
        /// Its exit status or signal.
        how: String,
        /// The last line of its standard error.
        last_line: Option<String>,
        /// What it was working on.
        place: Option<String>,
    },
    /// It ended, and the system does not say how.
    #[error("it ended")]
    UnknownEnd { source: io::Error },
    #[error("it has not answered for {}{}", Span(*.timeout), at(.place))]
    Silent {
        timeout: Duration,
        /// What it was working on.
        place: Option<String>,
    },
    /// It wrote a line that is not an answer.
    #[error("it wrote a line that is not an answer: {reason}: `{line}`")]
    Malformed {
        /// The beginning of the line.
        line: String,
        reason: String,
    },
    #[error("it answered request {found}, expected an answer to request {expected}")]
    WrongNumber { expected: u64, found: u64 },
    /// It answered although no request was unanswered.
    #[error("it answered without being asked")]
    Unasked,
    #[error("its first answer is not `ready`")]
    NotReady,
    #[error("it speaks version {found} of the protocol, expected {expected}")]
    Protocol { expected: u32, found: u32 },
    /// It reported an error.
    #[error("it says: {message}{}", at(.place))]
    Reported {
        message: String,
        /// The record that it was working on.
        place: Option<String>,
        /// The lines of the program that led to the error.
        traceback: Option<String>,
    },
    /// It handed over something for a task that it was not given.
    #[error("it handed over something for task {task}, which is not one of its own")]
    OtherTask { task: u32 },
    #[error("it emitted a row, but the job has no `output` with `emit: rows`")]
    NoOutput,
    /// It emitted a row that does not have the columns of the output.
    #[error("it emitted {reason}")]
    Row { reason: String },
    /// It rejected a record that the request does not have.
    #[error("it rejected record {record} of a request that has {records} records")]
    NoSuchRecord { record: usize, records: usize },
    /// It handed over something that cannot be stored.
    #[error("it handed over {reason} (task {task}, key `{}`)", shown(.key))]
    State { task: u32, key: String, reason: String },
}

fn at(place: &Option<String>) -> String {
    place.as_ref().map(|place| format!(", at {place}")).unwrap_or_default()
}

fn last_words(last_line: &Option<String>) -> String {
    last_line.as_ref().map(|line| format!("; last line of standard error: {line}")).unwrap_or_default()
}
