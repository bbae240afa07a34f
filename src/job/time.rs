//! What of a job goes by the time of its records: windows, and keys that expire.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::job::read::{Result, Section, choose, duration, field, path};
use crate::job::write;
use crate::job::write::Lines;
use crate::job::{AggregateSpec, Emit, FieldPath, InputFormat, JobSpec};
use crate::values::units::exact_duration;
use crate::values::value::{Column, ColumnType};
use crate::values::yaml::{Kind, Node, quote};

/// `time:` where a record says when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTime {
    /// The field: a text as in RFC 3339, or a number.
    pub field: FieldPath,
    /// `unit: s | ms | us | ns` what a number counts since 1970-01-01T00:00:00Z, default `s`.
    pub unit: TimeUnit,
}

/// What a number that is a time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// `s`
    Seconds,
    /// `ms`
    Milliseconds,
    /// `us`
    Microseconds,
    /// `ns`
    Nanoseconds,
}

/// `process: window:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpec {
    /// `time:` and `unit:`
    pub time: EventTime,
    /// `every:` from the start of one window to that of the next, in milliseconds; starts are multiples of it since 1970-01-01T00:00:00Z.
    pub every_millis: i64,
    /// `length:` from the start of a window to its end, in milliseconds; a multiple of `every`, which is the default.
    pub length_millis: i64,
    /// `late:` how far a record may be behind those before it, in milliseconds, default 0.
    pub late_millis: i64,
    /// `on_late:` what happens to a record that is later, default `drop`.
    pub on_late: OnLate,
}

/// What happens to a record all of whose windows are closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnLate {
    /// It is counted and left out.
    Drop,
    /// The run stops and names it.
    Fail,
    /// `dead_letter: FILE`: it is counted, left out, and appended to a file.
    DeadLetter(PathBuf),
}

/// `process: ttl:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TtlSpec {
    /// `time:` and `unit:`
    pub time: EventTime,
    /// `ttl:` how long a key stays without a record, in milliseconds.
    pub ttl_millis: i64,
}

/// What [`read`] finds.
pub(super) struct Timing {
    pub(super) window: Option<WindowSpec>,
    pub(super) ttl: Option<TtlSpec>,
}

/// The most windows that a record is in.
pub const MAX_WINDOWS: i64 = 1_000;
const MAX_MILLIS: i64 = 3_660 * 86_400_000;

const UNITS: [(&str, TimeUnit); 4] = [
    ("s", TimeUnit::Seconds),
    ("ms", TimeUnit::Milliseconds),
    ("us", TimeUnit::Microseconds),
    ("ns", TimeUnit::Nanoseconds),
];

impl TimeUnit {
    /// Returns the name in a job file.
    pub fn name(self) -> &'static str {
        UNITS.iter().find(|(_, unit)| *unit == self).map_or("", |(name, _)| name)
    }

    /// Returns how many there are in a second.
    pub fn per_second(self) -> i64 {
        match self {
            TimeUnit::Seconds => 1,
            TimeUnit::Milliseconds => 1_000,
            TimeUnit::Microseconds => 1_000_000,
            TimeUnit::Nanoseconds => 1_000_000_000,
        }
    }

    /// Returns how many milliseconds `number` of this unit are, rounded down; nothing when they are too many.
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
    pub const COLUMNS: [&str; 2] = ["window_start", "window_end"];

    /// Tells whether `other` divides time into the same windows.
    pub fn has_rows_of(&self, other: &WindowSpec) -> bool {
        (&self.time, self.every_millis, self.length_millis) == (&other.time, other.every_millis, other.length_millis)
    }
}

impl TtlSpec {
    /// The column of state that holds the time of a key's latest record, in milliseconds since 1970-01-01T00:00:00Z.
    pub const COLUMN: &str = "event_time";

    /// Returns that column.
    pub fn column() -> Column {
        Column::new(TtlSpec::COLUMN, ColumnType::Int)
    }
}

/// Reads what `process`, whose aggregates are known, says of time.
pub(super) fn read(
    process: &Node,
    format: &InputFormat,
    key: Option<&FieldPath>,
    aggregates: &[AggregateSpec],
) -> Result<Timing> {
    let section = Section::new("process", process, "a map with `aggregate`")?;
    let window = section.get("window").map(|node| window(node, format)).transpose()?;
    if let (Some(node), None) = (section.get("window"), key) {
        return Err(node.unfit("`window` needs `key`: without a key each partition is a row of its own"));
    }
    let Some(ttl_node) = section.get("ttl") else {
        if let Some(node) = section.get("time").or(section.get("unit")) {
            return Err(node.unfit("`time` and `unit` of `process` need `ttl`; those of windows are in `window`"));
        }
        if let (Some(_), Some(node)) = (&window, section.get("window")) {
            let taken = WindowSpec::COLUMNS.into_iter().find(|column| is_taken(column, aggregates, key));
            if let Some(column) = taken {
                return Err(
                    node.unfit(format!("a window has a column `{column}` of its own; name the job's otherwise"))
                );
            }
        }
        return Ok(Timing { window, ttl: None });
    };
    if window.is_some() {
        return Err(
            ttl_node.unfit("`ttl` and `window` can not be together: a window leaves the state when it is closed")
        );
    }
    let ttl_millis = millis(ttl_node)?;
    let time = event_time(&section, format)?;
    if is_taken(TtlSpec::COLUMN, aggregates, None) {
        let reason = format!("`ttl` keeps a column `{}` of its own; name the aggregate otherwise", TtlSpec::COLUMN);
        return Err(ttl_node.unfit(reason));
    }
    Ok(Timing { window, ttl: Some(TtlSpec { time, ttl_millis }) })
}

fn is_taken(column: &str, aggregates: &[AggregateSpec], key: Option<&FieldPath>) -> bool {
    let is_key = key.is_some_and(|key| key.last_name().eq_ignore_ascii_case(column));
    let mut names = aggregates.iter().flat_map(AggregateSpec::column_names);
    is_key || names.any(|name| name.eq_ignore_ascii_case(column))
}

fn window(node: &Node, format: &InputFormat) -> Result<WindowSpec> {
    let section = Section::new("process.window", node, "a map such as `{time: ts, every: 1m}`")?;
    let time = event_time(&section, format)?;
    let every_millis = millis(section.require("every", "how long after a window the next begins, such as `1m`")?)?;
    let length_millis = match section.get("length") {
        None => every_millis,
        Some(node) => match millis(node)? {
            length if length % every_millis != 0 => {
                let every = show(every_millis);
                return Err(node.wrong(&format!("a multiple of `every`, which is {every}")));
            }
            length if length / every_millis > MAX_WINDOWS => {
                let most = format!("at most {MAX_WINDOWS} times `every`: a record is in as many windows");
                return Err(node.wrong(&most));
            }
            length => length,
        },
    };
    let late_millis = match section.get("late") {
        None => 0,
        Some(node) if duration(node)?.is_zero() => 0,
        Some(node) => millis(node)?,
    };
    let on_late = section.get("on_late").map_or(Ok(OnLate::Drop), on_late)?;
    Ok(WindowSpec { time, every_millis, length_millis, late_millis, on_late })
}

fn on_late(node: &Node) -> Result<OnLate> {
    if let Kind::Map(_) = node.kind {
        let section = Section::new("process.window.on_late", node, "")?;
        return Ok(OnLate::DeadLetter(path(section.require("dead_letter", "the file for late records")?)?));
    }
    let expected = "`drop`, `fail` or `dead_letter: FILE`";
    match node.text(expected)? {
        "drop" => Ok(OnLate::Drop),
        "fail" => Ok(OnLate::Fail),
        "dead_letter" => Err(node.unfit("`dead_letter` needs a file: `on_late: {dead_letter: late.jsonl}`")),
        _ => Err(node.wrong(expected)),
    }
}

fn event_time(section: &Section<'_>, format: &InputFormat) -> Result<EventTime> {
    let node = section.require("time", "the field that says when a record happened, such as `ts`")?;
    let unit = section.get("unit").map_or(Ok(TimeUnit::Seconds), |node| choose(node, "unit", &UNITS))?;
    Ok(EventTime { field: field(node, format)?, unit })
}

/// Reads a duration of whole milliseconds, longer than zero.
fn millis(node: &Node) -> Result<i64> {
    let duration = duration(node)?;
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    if !(1..=MAX_MILLIS).contains(&millis) || !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(node.wrong("a duration of whole milliseconds, from `1ms` to `3660d`"));
    }
    Ok(millis)
}

/// Refuses what an output or the checkpoints do not go with.
pub(super) fn check_output(job: &JobSpec, emit: Option<Emit>, process: &Node) -> Result<()> {
    let Some(window) = &job.window else { return Ok(()) };
    let section = Section::new("process", process, "")?;
    let node = section.require("window", "")?;
    let section = Section::new("process.window", node, "")?;
    if emit == Some(Emit::Final)
        && let Some(node) = section.get("late").or(section.get("on_late"))
    {
        return Err(node.unfit(
            "`late` and `on_late` need `output: emit: changes`: with `emit: final` no window is closed before the end, and no record is late",
        ));
    }
    if let (OnLate::DeadLetter(_), false, Some(node)) =
        (&window.on_late, job.checkpoint.enabled, section.get("on_late"))
    {
        return Err(node.unfit("late records are written with a checkpoint, and `checkpoint: enabled` is false"));
    }
    Ok(())
}

/// Writes what `job` says of time into `process`.
pub(super) fn write(lines: &mut Lines, job: &JobSpec) {
    if let Some(window) = &job.window {
        lines.begin(1, "window");
        write_time(lines, 2, &window.time);
        lines.add(2, "every", &show(window.every_millis));
        lines.add(2, "length", &show(window.length_millis));
        // Where no record can be late these two are refused.
        if job.output.as_ref().is_none_or(|output| output.emit == Emit::Changes) {
            lines.add(2, "late", &show(window.late_millis));
            match &window.on_late {
                OnLate::Drop => lines.add(2, "on_late", "drop"),
                OnLate::Fail => lines.add(2, "on_late", "fail"),
                OnLate::DeadLetter(file) => {
                    lines.begin(2, "on_late");
                    lines.add(3, "dead_letter", &write::path(file));
                }
            }
        }
    }
    if let Some(ttl) = &job.ttl {
        lines.add(1, "ttl", &show(ttl.ttl_millis));
        write_time(lines, 1, &ttl.time);
    }
}

fn write_time(lines: &mut Lines, depth: usize, time: &EventTime) {
    lines.add(depth, "time", &quote(&time.field.to_string()));
    lines.add(depth, "unit", time.unit.name());
}

fn show(millis: i64) -> String {
    exact_duration(Duration::from_millis(millis.unsigned_abs()))
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
        write!(f, "{} every {} by {}", show(self.length_millis), show(self.every_millis), self.time)
    }
}

#[cfg(test)]
mod tests;
