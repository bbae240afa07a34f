//! What a program can do wrong.

use std::io;
use std::time::Duration;

use crate::values::units::{Span, shown};

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

pub(crate) fn at(place: &Option<String>) -> String {
    place.as_ref().map(|place| format!(", at {place}")).unwrap_or_default()
}

pub(crate) fn said(last_line: &Option<String>) -> String {
    last_line.as_ref().map(|line| format!("; it said last: {line}")).unwrap_or_default()
}
