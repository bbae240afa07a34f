//! The summary of a comparison, for people.

use super::report::{Report, name};
use super::tables::{show_positions, show_tasks, signed};
use crate::cli::error::CliError;
use crate::cli::text::{self, counted};
use crate::cli::ui::Ui;
use crate::ops::diff::{ColumnPair, Comparison, PositionChange, Tally};
use crate::values::units::{Bytes, Count, Span};

/// Prints how much changed, and where most.
pub(super) fn show(report: &Report, limit: u64, ui: &mut Ui) -> Result<(), CliError> {
    let (comparison, totals) = (report.comparison, report.totals);
    let (old, new) = (comparison.old.manifest(), comparison.new.manifest());
    ui.heading(if report.is_equal() { "equal" } else { "different" })?;
    let times = ui.times([old.created, new.created]);
    let mut line = |label: &str, text: String| ui.out(format!("{label:<10} {text}"));
    for (label, side) in [("old", &comparison.old), ("new", &comparison.new)] {
        let manifest = side.manifest();
        let created = times.show(manifest.created);
        let size = Bytes(manifest.totals.bytes);
        line(label, format!("{}, {created}, {}, {size}", name(side), counted(manifest.totals.keys, "key")))?;
    }
    let apart = new.created.duration_since(old.created);
    let order = if apart.is_negative() { "earlier" } else { "later" };
    line("apart", format!("{} {order}", Span(apart.unsigned_abs())))?;
    line("keys", tally(&totals.keys))?;
    line("tasks", format!("{} of {} changed", Count(totals.tasks.len() as u64), Count(new.tasks.into())))?;
    if comparison.scope.is_all() {
        line("positions", position_totals(report))?;
    }
    for pair in comparison.columns.pairs().iter().filter(|pair| !pair.is_common()) {
        line("column", column_change(pair))?;
    }
    let shared = comparison.shared_bytes();
    line("read", format!("{}; {} of segments are shared", Bytes(totals.bytes_read), Bytes(shared)))?;
    if !report.positions.is_empty() {
        ui.out("")?;
        show_positions(report.positions, limit, ui)?;
    }
    if !totals.tasks.is_empty() {
        ui.out("")?;
        show_tasks(totals, limit, true, ui)?;
    }
    Ok(())
}

fn position_totals(report: &Report) -> String {
    if report.positions.is_empty() {
        return "unchanged".to_owned();
    }
    let sum = |part: fn(&PositionChange) -> i128| report.positions.iter().map(part).sum::<i128>();
    let partitions = counted(report.comparison.new.manifest().totals.partitions, "partition");
    let moved = Count(report.positions.len() as u64);
    format!(
        "{moved} of {partitions} differ: {} bytes, {} records",
        signed(sum(PositionChange::bytes)),
        signed(sum(PositionChange::records))
    )
}

fn tally(tally: &Tally) -> String {
    let Tally { added, removed, changed } = *tally;
    format!("{} added, {} removed, {} changed", Count(added), Count(removed), Count(changed))
}

fn column_change(pair: &ColumnPair) -> String {
    match (pair.old, pair.new) {
        (Some(old), Some(new)) => {
            format!("{} was {} and is {}; its values were not compared", pair.name, old.name(), new.name())
        }
        (None, Some(new)) => format!("{} {} is new; its values were not compared", pair.name, new.name()),
        (Some(old), None) => format!("{} {} is gone; its values were not compared", pair.name, old.name()),
        (None, None) => pair.name.clone(),
    }
}

/// Notes what does not count as a difference but may explain one.
pub(super) fn show_notes(comparison: &Comparison, ui: &Ui) {
    let (old, new) = (comparison.old.manifest(), comparison.new.manifest());
    if old.job != new.job {
        ui.note(format!("the jobs differ: `{}` and `{}`", old.job, new.job));
    } else if comparison.job_differs() {
        ui.note("the job definitions differ: `ckpt inspect TARGET --job` prints them");
    }
    if !comparison.same_layout() {
        let layout = |tasks: u32, shards: u32, routing| {
            let tasks = counted(tasks.into(), "task");
            format!("{tasks} in {}, {}", counted(shards.into(), "shard"), text::routing(routing))
        };
        ui.note(format!(
            "the layouts differ, so everything was read: {}; {}",
            layout(old.tasks, old.shards, old.routing),
            layout(new.tasks, new.shards, new.routing)
        ));
    }
}
