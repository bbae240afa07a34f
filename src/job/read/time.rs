//! `process: window:` and `process: ttl:`

use crate::job::aggregate::AggregateSpec;
use crate::job::known_fields::KnownFields;
use crate::job::model::{
    AHEAD_MILLIS, Emit, EventTime, JobSpec, KeyField, MAX_WINDOWS, OnLate, TimeUnit, TtlSpec, WindowSpec, exact_millis,
};
use crate::job::read::field::field;
use crate::job::read::scalar::{choose, duration, object_or_path};
use crate::job::read::section::{Mistakes, Result, Section};
use crate::values::yaml::{Kind, Node};

const MAX_MILLIS: i64 = 3_660 * 86_400_000;

/// What depends on the time of records. At most one of the two.
pub(super) struct Timing {
    pub(super) window: Option<WindowSpec>,
    pub(super) ttl: Option<TtlSpec>,
}

/// Reads what `process`, which has these aggregates, does with the time of records.
pub(super) fn read(
    process: &Node,
    known: KnownFields<'_>,
    is_keyed: bool,
    key: &[KeyField],
    aggregates: &[AggregateSpec],
) -> Result<Timing> {
    let section = Section::new("process", process, "a map with `aggregate`")?;
    let window = section.get("window").map(|node| window(node, known)).transpose()?;
    if let (Some(node), false) = (section.get("window"), is_keyed) {
        return Err(node.unfit("`window` needs `key`: without a key each partition is a row of its own"));
    }
    let Some(ttl_node) = section.get("ttl") else {
        if let Some(node) = section.get("time").or(section.get("unit")).or(section.get("ahead")) {
            let reason = "`time`, `unit` and `ahead` in `process` need `ttl`; for windows, put them in `window`";
            return Err(node.unfit(reason));
        }
        if let (Some(_), Some(node)) = (&window, section.get("window")) {
            let taken = WindowSpec::COLUMNS.into_iter().find(|column| is_taken(column, aggregates, key));
            if let Some(column) = taken {
                return Err(node.unfit(format!("`window` adds a column `{column}`; rename the job's own")));
            }
        }
        return Ok(Timing { window, ttl: None });
    };
    if window.is_some() {
        let reason = "`ttl` and `window` cannot be used together: a window leaves the state when it closes";
        return Err(ttl_node.unfit(reason));
    }
    let ttl_millis = millis(ttl_node)?;
    let time = event_time(&section, known)?;
    // A key of one field has no column of its own in the state.
    let parts = if key.len() > 1 { key } else { &[] };
    if is_taken(TtlSpec::COLUMN, aggregates, parts) {
        let own = if is_taken(TtlSpec::COLUMN, aggregates, &[]) { "the aggregate" } else { "the job's own" };
        return Err(ttl_node.unfit(format!("`ttl` adds a column `{}`; rename {own}", TtlSpec::COLUMN)));
    }
    Ok(Timing { window, ttl: Some(TtlSpec { time, ttl_millis, ahead_millis: ahead(&section)? }) })
}

fn is_taken(column: &str, aggregates: &[AggregateSpec], key: &[KeyField]) -> bool {
    let is_key = key.iter().any(|part| part.field.last_name().eq_ignore_ascii_case(column));
    let mut names = aggregates.iter().flat_map(AggregateSpec::column_names);
    is_key || names.any(|name| name.eq_ignore_ascii_case(column))
}

fn window(node: &Node, known: KnownFields<'_>) -> Result<WindowSpec> {
    let section = Section::new("process.window", node, "a map such as `{time: ts, every: 1m}`")?;
    let mut mistakes = Mistakes::default();
    let time = mistakes.get(event_time(&section, known));
    let every = section.require("every", "how often a window starts, such as `1m`").and_then(millis);
    let every_millis = mistakes.get(every);
    let length_millis = mistakes.take(section.get("length").map(millis).transpose());
    let late_millis = mistakes.take(match section.get("late") {
        None => Ok(0),
        Some(node) => duration(node).and_then(|late| if late.is_zero() { Ok(0) } else { millis(node) }),
    });
    let on_late = mistakes.get(section.get("on_late").map_or(Ok(OnLate::Drop), on_late));
    let ahead_millis = mistakes.take(ahead(&section));
    mistakes.none()?;
    let (Some(time), Some(every_millis), Some(on_late)) = (time, every_millis, on_late) else {
        unreachable!("what could not be read is a mistake");
    };
    let length_millis = match section.get("length").zip(length_millis) {
        None => every_millis,
        Some((node, length)) => match length {
            length if length % every_millis != 0 => {
                let every = exact_millis(every_millis);
                return Err(node.wrong(&format!("a multiple of `every`, which is {every}")));
            }
            length if length / every_millis > MAX_WINDOWS => {
                let most = format!("at most {MAX_WINDOWS} times `every`: a record is in that many windows");
                return Err(node.wrong(&most));
            }
            length => length,
        },
    };
    Ok(WindowSpec { time, every_millis, length_millis, late_millis, on_late, ahead_millis })
}

fn ahead(section: &Section<'_>) -> Result<i64> {
    section.get("ahead").map_or(Ok(AHEAD_MILLIS), millis)
}

fn on_late(node: &Node) -> Result<OnLate> {
    if let Kind::Map(_) = node.kind {
        let section = Section::new("process.window.on_late", node, "")?;
        return Ok(OnLate::DeadLetter(object_or_path(section.require("dead_letter", "the file for late records")?)?));
    }
    let expected = "`drop`, `fail` or `dead_letter: FILE`";
    match node.text(expected)? {
        "drop" => Ok(OnLate::Drop),
        "fail" => Ok(OnLate::Fail),
        "dead_letter" => Err(node.unfit("`dead_letter` needs a file: `on_late: {dead_letter: late.jsonl}`")),
        _ => Err(node.wrong(expected)),
    }
}

fn event_time(section: &Section<'_>, known: KnownFields<'_>) -> Result<EventTime> {
    let node = section.require("time", "the field that says when a record happened, such as `ts`")?;
    let units = TimeUnit::ALL.map(|unit| (unit.name(), unit));
    let unit = section.get("unit").map_or(Ok(TimeUnit::Seconds), |node| choose(node, "unit", &units))?;
    Ok(EventTime { field: field(node, known)?, unit })
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

/// Rejects windows that do not fit the output or the checkpoints of `job`.
pub(super) fn check_output(job: &JobSpec, process: &Node) -> Result<()> {
    let Some(window) = &job.window else { return Ok(()) };
    let section = Section::new("process", process, "")?;
    let node = section.require("window", "")?;
    let section = Section::new("process.window", node, "")?;
    if job.output.as_ref().is_some_and(|output| output.emit == Emit::Final)
        && let Some(node) = section.get("late").or(section.get("on_late")).or(section.get("ahead"))
    {
        let reason = "`late`, `on_late` and `ahead` need `output: emit: changes`: with `emit: final` windows close at \
                      the end of the input, so no record is late";
        return Err(node.unfit(reason));
    }
    if let (OnLate::DeadLetter(_), false, Some(node)) =
        (&window.on_late, job.checkpoint.enabled, section.get("on_late"))
    {
        return Err(node.unfit("late records are written with each checkpoint, but `checkpoint: enabled` is false"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
