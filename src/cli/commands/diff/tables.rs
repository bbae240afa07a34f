//! The tables of a comparison.

use crate::cli::error::CliError;
use crate::cli::table::{Column, Table};
use crate::cli::text::{self, counted};
use crate::cli::ui::Ui;
use crate::format::positions::PositionRow;
use crate::ops::diff::{KeyTotals, PositionChange, Tally};
use crate::values::units::Count;

/// Notes how many rows the limit left out.
pub(super) fn note_left_out(all: u64, limit: u64, noun: &str, ui: &Ui) {
    if all > limit {
        ui.note(format!("{} not shown: `--limit 0` shows all", counted(all - limit, &format!("more {noun}"))));
    }
}

/// Shows the partitions whose positions differ, those with the largest difference first.
pub(super) fn show_positions(positions: &[PositionChange], limit: u64, ui: &mut Ui) -> Result<(), CliError> {
    let mut sorted: Vec<&PositionChange> = positions.iter().collect();
    sorted.sort_by_key(|change| std::cmp::Reverse(change.bytes().unsigned_abs()));
    let mut table = Table::new([
        Column::name("PARTITION"),
        Column::number("BYTES"),
        Column::number("RECORDS"),
        Column::number("OFFSET"),
        Column::text(""),
    ]);
    for change in sorted.iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
        let offset = change.new.as_ref().map(|row| Count(row.offset));
        table.row([
            change.partition.clone(),
            signed(change.bytes()),
            signed(change.records()),
            text::or_dash(offset),
            position_word(change).to_owned(),
        ]);
    }
    ui.table(&table)?;
    note_left_out(positions.len() as u64, limit, "partition", ui);
    Ok(())
}

/// Describes a difference that the numbers do not show.
fn position_word(change: &PositionChange) -> &'static str {
    let ended = |row: &Option<PositionRow>| row.as_ref().is_some_and(|row| row.ended);
    match (&change.old, &change.new) {
        (None, _) => "new",
        (_, None) => "gone",
        _ if change.input_differs() => "other input",
        _ if ended(&change.new) && !ended(&change.old) => "ended",
        _ if ended(&change.old) && !ended(&change.new) => "reopened",
        _ => "",
    }
}

/// Shows the tasks with differences, in order or those with the most first.
pub(super) fn show_tasks(totals: &KeyTotals, limit: u64, most_first: bool, ui: &mut Ui) -> Result<(), CliError> {
    let mut tasks: Vec<(u32, &Tally)> = totals.tasks.iter().map(|(task, tally)| (*task, tally)).collect();
    if most_first {
        tasks.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.all()));
    }
    let mut table = Table::new(["TASK", "ADDED", "REMOVED", "CHANGED"].map(Column::number));
    for (task, tally) in tasks.iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
        let Tally { added, removed, changed } = tally;
        table.row([task.to_string()].into_iter().chain([added, removed, changed].map(|n| Count(*n).to_string())));
    }
    ui.table(&table)?;
    note_left_out(tasks.len() as u64, limit, "task", ui);
    Ok(())
}

/// Returns a number with its sign: `+1,234`.
pub(super) fn signed(number: i128) -> String {
    let sign = match number {
        0 => "",
        1.. => "+",
        _ => "-",
    };
    format!("{sign}{}", Count(u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_its_sign() {
        assert_eq!([0, 1234, -5].map(signed), ["0", "+1,234", "-5"]);
        assert_eq!(signed(-i128::from(u64::MAX)), "-18,446,744,073,709,551,615");
    }
}
