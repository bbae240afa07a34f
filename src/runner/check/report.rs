//! What a check finds.

use crate::format::manifest::Manifest;
use crate::format::positions::PositionRow;
use crate::input::record::FilterError;
use crate::input::{InputError, InputNote};
use crate::job::Difference;
use crate::runner::check_names::FirstRecords;
use crate::runner::output::topic::Unsent;
use crate::store::StoreNote;
use crate::values::error_chain::in_one_line;

/// What a run would find.
#[derive(Debug, Clone)]
pub struct Report {
    /// `None` if checkpoints are disabled.
    pub store: Option<String>,
    /// The run that holds the store, in its own words.
    pub holder: Option<String>,
    /// Whether workers hold it together, of which `holder` is one.
    pub are_workers_running: bool,
    pub latest: Option<Box<Manifest>>,
    /// Whether the store or its latest checkpoint cannot be read. One of the problems says why, and `inputs` is empty.
    pub is_unreadable: bool,
    /// How the job file differs from the job that wrote the latest checkpoint.
    pub differences: Vec<Difference>,
    pub inputs: Vec<InputReport>,
    /// What the topic of the output lacks, if it is a topic.
    pub unsent: Option<Unsent>,
    /// What a run would report about the input.
    pub input_notes: Vec<InputNote>,
    /// The reasons why a run could not start.
    pub problems: Vec<String>,
    /// What a run would report about the store and its replicas.
    pub notes: Vec<StoreNote>,
    /// What the first records say about the names in the job file, if the run would start from nothing.
    pub first_records: FirstRecords,
    /// What is wrong with `where:`, which would keep a run from starting too.
    pub filter: Option<FilterError>,
}

/// What a run would find of an input file.
#[derive(Debug, Clone)]
pub struct InputReport {
    pub partition: String,
    /// The position in the file, in bytes after decompression.
    pub offset: u64,
    pub state: InputState,
    /// The number of bytes that are still to be read, if that is known without reading them.
    pub unread_bytes: Option<u64>,
    /// For a partition of a topic, its place there.
    pub message: Option<InputMessages>,
    /// The worker that has made its last commit, if one of several workers has.
    pub worker: Option<String>,
}

/// What a run would find of a partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputMessages {
    /// The offset of the next message.
    pub offset: u64,
    /// The number of offsets up to the end; some of them may have no message.
    pub unread: u64,
}

/// What a run would find of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InputState {
    /// No checkpoint knows it.
    New,
    /// It was read in part.
    Unread,
    /// It is longer than when the checkpoint was made.
    Grown,
    /// It was read to its end.
    Read,
    /// It was renamed, and another file has or had its name.
    Rotated,
    /// It was read, and is gone.
    Gone,
    /// It cannot be read further. One of the problems says why.
    Bad,
}

impl InputState {
    pub fn name(self) -> &'static str {
        match self {
            InputState::New => "new",
            InputState::Unread => "unread",
            InputState::Grown => "grown",
            InputState::Read => "read",
            InputState::Rotated => "rotated",
            InputState::Gone => "gone",
            InputState::Bad => "bad",
        }
    }
}

impl Report {
    /// Returns whether a run would start.
    pub fn would_run(&self) -> bool {
        self.problems.is_empty() && self.filter.is_none()
    }

    /// Returns the number of files that are still to be read, and the minimum number of bytes.
    pub fn to_go(&self) -> (u64, u64) {
        let has_more = |input: &&InputReport| match input.state {
            InputState::Read | InputState::Gone | InputState::Bad => false,
            _ => input.unread_bytes != Some(0) && input.message.is_none_or(|message| message.unread > 0),
        };
        self.inputs
            .iter()
            .filter(has_more)
            .fold((0, 0), |(files, bytes), input| (files + 1, bytes + input.unread_bytes.unwrap_or(0)))
    }

    /// Notes that the file of `row` cannot be read further.
    pub(super) fn unreadable(&mut self, row: &PositionRow, error: &InputError) {
        self.problems.push(in_one_line(error));
        let (partition, offset) = (row.partition.clone(), row.offset);
        self.inputs.push(InputReport {
            partition,
            offset,
            state: InputState::Bad,
            unread_bytes: None,
            message: None,
            worker: None,
        });
    }
}
