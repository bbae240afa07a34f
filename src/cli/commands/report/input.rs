//! How far each partition of the input was applied.

use jiff::Timestamp;
use maud::{Markup, html};

use super::page::{Page, left_out, part, section};
use super::table::{Cell, Kind, Table};
use super::timeline::size;
use crate::cli::text::counted;
use crate::format::positions::PositionRow;
use crate::values::units::{Bytes, Count};

/// How many partitions the table has.
const MAX_ROWS: usize = 300;

impl Page<'_> {
    /// Returns the section about the input.
    pub(super) fn input(&self) -> Markup {
        section("input", part(&self.report.positions, "", "There is no checkpoint yet.", |rows| self.positions(rows)))
    }

    fn positions(&self, rows: &[PositionRow]) -> Markup {
        let mut rows: Vec<&PositionRow> = rows.iter().collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(lag(row)), row.ended));
        let known = rows.iter().filter_map(|row| lag(row)).fold(0, u64::saturating_add);
        let unknown = rows.iter().filter(|row| lag(row).is_none()).count() as u64;
        let ended = rows.iter().filter(|row| row.ended).count() as u64;
        let shown = &rows[..rows.len().min(MAX_ROWS)];
        let has_time = rows.iter().any(|row| row.event_time.is_some());
        let mut columns = vec![
            ("Partition", Kind::Wide),
            ("Unread then", Kind::Number),
            ("Position", Kind::Number),
            ("Records", Kind::Number),
            ("Ended", Kind::Text),
        ];
        columns.extend(has_time.then_some(("Latest event", Kind::Text)));
        let moved = |row: &PositionRow| {
            let changes = self.report.changes.as_ref().ok()?;
            let change = changes.positions.iter().find(|change| change.partition == row.partition);
            Some(change.map_or(0, |change| change.records()))
        };
        let has_moved = self.report.changes.is_ok();
        columns.extend(has_moved.then_some(("Since the checkpoint before", Kind::Number)));
        let cells = |row: &&PositionRow| {
            let mut cells = vec![
                Cell::text(&row.partition),
                lag(row).map_or(Cell::none(), size),
                size(row.offset),
                Cell::number(Count(row.record), row.record as f64),
                Cell::text(if row.ended { "yes" } else { "no" }),
            ];
            if has_time {
                let time = row.event_time.and_then(|millis| Timestamp::from_millisecond(millis).ok());
                cells.push(time.map_or(Cell::none(), |time| self.when(time)));
            }
            cells.extend(moved(row).map(|records| Cell::number(format!("{records:+} records"), records as f64)));
            cells
        };
        let table = Table {
            caption: "Partitions, those with most unread first",
            columns,
            rows: shown.iter().map(cells).collect(),
        };
        html! {
            p {
                (counted(rows.len() as u64, "partition")) ", " (Count(ended)) " read to the end. When the newest "
                "checkpoint was made, " (Bytes(known)) " were still unread in the files that it had seen"
                @if unknown > 0 { "; for " (counted(unknown, "partition")) " that is not known" }
                ". What was written since is not counted: " code { "ckpt check" } " looks at the input as it is now."
            }
            (table.html("input-table", left_out(shown.len(), rows.len(), "most behind")))
        }
    }
}

/// Returns how many bytes of a partition were still unread at the checkpoint. For compressed input that is not known.
fn lag(row: &PositionRow) -> Option<u64> {
    let is_compressed = [".gz", ".zst"].iter().any(|end| row.logical().ends_with(end) || row.partition.ends_with(end));
    match row.file_bytes {
        _ if row.ended => Some(0),
        Some(bytes) if !is_compressed => Some(bytes.saturating_sub(row.offset)),
        _ => None,
    }
}
