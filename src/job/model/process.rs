//! `process:` beside its aggregates: programs, windows, and keys that expire.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::format::key_shape::KeyShape;
use crate::job::field::FieldPath;
use crate::values::units::exact_duration;
use crate::values::value::{Column, ColumnType};

/// The most windows that one record is in.
pub const MAX_WINDOWS: i64 = 1_000;

/// The default of `ahead:`, 366 days: longer than most inputs pause, and shorter than clocks are wrong that were never
/// set.
pub const AHEAD_MILLIS: i64 = 366 * 86_400_000;

/// `process: exec:` and the keys that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecSpec {
    /// `exec:` the program and its arguments; never empty.
    pub command: Vec<String>,
    /// `timeout:` the longest that an answer may take; default `1m`.
    pub timeout: Duration,
    /// `restarts:` how often in a row, without a new checkpoint in between, the run resumes from the latest one after
    /// the program has failed; default 0.
    pub restarts: u32,
    /// `backoff:` the wait before the first restart, which doubles with each further one; default `1s`.
    pub backoff: Duration,
    /// `tick:` how often the program is told the time.
    pub tick: Option<Duration>,
    /// `columns:` the columns of the program's state; empty if each value is any JSON.
    pub columns: Vec<Column>,
}

impl ExecSpec {
    /// The only column of a program's state, unless it declares its columns.
    pub const COLUMN: &str = "value";

    /// Returns the columns of the program's state.
    pub fn state_columns(&self) -> Vec<Column> {
        if self.columns.is_empty() {
            vec![Column::new(ExecSpec::COLUMN, ColumnType::Json)]
        } else {
            self.columns.clone()
        }
    }
}

impl fmt::Display for ExecSpec {
    /// Writes the command the way a shell shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command.join(" "))
    }
}

/// `time:` and `unit:`: where a record has its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTime {
    /// `time:` the field: RFC 3339 text, or a number.
    pub field: FieldPath,
    /// `unit: s | ms | us | ns` of a number, counted since 1970-01-01T00:00:00Z; default `s`.
    pub unit: TimeUnit,
}

/// The unit of a time that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// `process: window:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpec {
    pub time: EventTime,
    /// `every:` from the start of one window to the start of the next. Starts are multiples of it since
    /// 1970-01-01T00:00:00Z.
    pub every_millis: i64,
    /// `length:` from the start of a window to its end; a multiple of `every`, which is the default.
    pub length_millis: i64,
    /// `late:` how far a record may be behind the records before it; default 0.
    pub late_millis: i64,
    /// `on_late:` what happens to a record that is later than that; default `drop`.
    pub on_late: OnLate,
    /// `ahead:` how far a record may be ahead of the others and still move the watermark; 366 days by default.
    pub ahead_millis: i64,
}

/// What happens to a record whose windows are all closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnLate {
    /// It is counted and skipped.
    Drop,
    /// The run stops and reports it.
    Fail,
    /// `dead_letter: FILE`: it is counted, skipped, and appended to a file.
    DeadLetter(PathBuf),
}

/// `process: ttl:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TtlSpec {
    pub time: EventTime,
    /// `ttl:` how long a key stays without a record.
    pub ttl_millis: i64,
    /// `ahead:` as in [`WindowSpec::ahead_millis`].
    pub ahead_millis: i64,
}

impl TimeUnit {
    /// All units, from the longest to the shortest.
    pub const ALL: [TimeUnit; 4] =
        [TimeUnit::Seconds, TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds];

    /// Returns the value of `unit:` in a job file.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Seconds => "s",
            TimeUnit::Milliseconds => "ms",
            TimeUnit::Microseconds => "us",
            TimeUnit::Nanoseconds => "ns",
        }
    }

    /// Returns how many of this unit are in a second.
    pub fn per_second(self) -> i64 {
        match self {
            TimeUnit::Seconds => 1,
            TimeUnit::Milliseconds => 1_000,
            TimeUnit::Microseconds => 1_000_000,
            TimeUnit::Nanoseconds => 1_000_000_000,
        }
    }

    /// Converts `number` of this unit to milliseconds, rounded down. Returns `None` on overflow.
    #[inline]
    pub fn millis(self, number: i64) -> Option<i64> {
        match self {
            TimeUnit::Seconds => number.checked_mul(1_000),
            TimeUnit::Milliseconds => Some(number),
            TimeUnit::Microseconds => Some(number.div_euclid(1_000)),
            TimeUnit::Nanoseconds => Some(number.div_euclid(1_000_000)),
        }
    }
}

impl WindowSpec {
    /// The columns that the output has between the key and the aggregates.
    pub const COLUMNS: [&str; 2] = [KeyShape::WINDOW_COLUMN, "window_end"];

    /// Returns whether `other` divides time into the same windows.
    pub fn has_rows_of(&self, other: &WindowSpec) -> bool {
        (&self.time, self.every_millis, self.length_millis) == (&other.time, other.every_millis, other.length_millis)
    }
}

impl TtlSpec {
    /// The column of state with the time of a key's latest record, in milliseconds since 1970-01-01T00:00:00Z.
    pub const COLUMN: &str = "event_time";

    /// Returns that column with its type.
    pub fn column() -> Column {
        Column::new(TtlSpec::COLUMN, ColumnType::Int)
    }
}

impl fmt::Display for EventTime {
    /// Writes the field and its unit: `ts in ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.field, self.unit.name())
    }
}

impl fmt::Display for WindowSpec {
    /// Writes what the rows of state depend on: `5m every 1m by ts in ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, every) = (exact_millis(self.length_millis), exact_millis(self.every_millis));
        write!(f, "{length} every {every} by {}", self.time)
    }
}

/// Writes milliseconds as a duration that a job file can have.
pub(crate) fn exact_millis(millis: i64) -> String {
    exact_duration(Duration::from_millis(millis.unsigned_abs()))
}
