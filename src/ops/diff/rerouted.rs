//! Compares two checkpoints that route keys to tasks in different ways: with other numbers of tasks or shards, or by
//! hash and by partition.
//!
//! The new one is read once, in its own order. Of the old one, a window of tasks is in memory at a time, sorted in
//! that order; the old one is read once for each window.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::format::index::IndexRow;
use crate::format::row_batch::RowBatch;
use crate::format::rows::Row;
use crate::ops::diff::change::Change;
use crate::ops::diff::comparison::{Comparison, TaskOf};
use crate::ops::read::{ReadError, Selection};
use crate::values::progress::Progress;

/// Passes the differences to `visit`, and returns the bytes of segments that were read.
pub(super) fn compare(
    comparison: &Comparison,
    progress: &dyn Progress,
    visit: &mut dyn FnMut(Change<'_>) -> bool,
) -> Result<u64, ReadError> {
    let (old, new) = (comparison.old.manifest(), comparison.new.manifest());
    let windows = match comparison.scope.task {
        Some(task) => vec![Window { first: task, end: task.saturating_add(1) }],
        None => windows(new.tasks, old.totals.keys, comparison.limits.window_rows),
    };
    let bytes = |rows: &[IndexRow]| rows.iter().fold(0u64, |sum, row| sum.saturating_add(row.bytes));
    let old_bytes = bytes(&comparison.old.snapshot.index).saturating_mul(windows.len() as u64);
    progress.start(old_bytes.saturating_add(bytes(&comparison.new.snapshot.index)));
    let counted = Counted { progress, bytes: AtomicU64::new(0) };
    let mut walk = Walk {
        comparison,
        task_of: comparison.new_task(),
        counted: &counted,
        windows: windows.into_iter(),
        end: 0,
        rows: RowBatch::new(),
        at: 0,
        visit,
    };
    walk.run()?;
    Ok(counted.bytes.load(Ordering::Relaxed))
}

/// The tasks from `first` to before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    first: u32,
    end: u32,
}

impl Window {
    fn holds(self, task: u32) -> bool {
        self.first <= task && (task < self.end || self.end == u32::MAX)
    }
}

/// Cuts `tasks` into windows, so that `rows` rows that are spread evenly are at most `window_rows` in each. The last
/// window has no end: it also gets the rows that the new checkpoint routes nowhere.
fn windows(tasks: u32, rows: u64, window_rows: u64) -> Vec<Window> {
    let tasks = u64::from(tasks);
    let count = rows.div_ceil(window_rows.max(1)).clamp(1, tasks.max(1));
    let first = |window: u64| (window * tasks / count) as u32;
    let end = |window: u64| if window + 1 == count { u32::MAX } else { first(window + 1) };
    (0..count).map(|window| Window { first: first(window), end: end(window) }).collect()
}

/// Walks through the rows of the new checkpoint and those of the old one in step.
struct Walk<'a, V: ?Sized> {
    comparison: &'a Comparison,
    task_of: TaskOf<'a>,
    counted: &'a Counted<'a>,
    windows: std::vec::IntoIter<Window>,
    /// The end of the current window.
    end: u32,
    /// The old rows of the window, sorted, with tasks as the new checkpoint routes them. A row that it routes nowhere
    /// comes after all others: its task is the new number of tasks plus its old task.
    rows: RowBatch,
    at: usize,
    visit: &'a mut V,
}

impl<V: FnMut(Change<'_>) -> bool + ?Sized> Walk<'_, V> {
    fn run(&mut self) -> Result<(), ReadError> {
        let comparison = self.comparison;
        let selection = Selection { task: comparison.scope.task, keys: comparison.scope.keys.clone() };
        let mut failed = None;
        let mut stopped = false;
        comparison.new.snapshot.rows(&comparison.new.store, &selection, self.counted, |row| {
            if !comparison.scope.holds(row.task, row.key) {
                return true;
            }
            let wanted = self.take(row.task, row.key, row.value);
            stopped = matches!(wanted, Ok(false));
            wanted.unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        })?;
        match failed {
            Some(error) => return Err(error),
            None if stopped => return Ok(()),
            None => {}
        }
        while self.drain() && self.next_window()? {}
        Ok(())
    }

    /// Takes a row of the new checkpoint, after those of the old one that come before it.
    fn take(&mut self, task: u32, key: &[u8], value: Option<&[u8]>) -> Result<bool, ReadError> {
        while task >= self.end {
            if !self.drain() {
                return Ok(false);
            }
            if !self.next_window()? {
                break;
            }
        }
        while self.at < self.rows.len() && self.rows.row(self.at).sort_key() < (task, key) {
            if !self.remove() {
                return Ok(false);
            }
        }
        let mut old = None;
        if self.at < self.rows.len() && self.rows.row(self.at).sort_key() == (task, key) {
            old = self.rows.row(self.at).value;
            self.at += 1;
        }
        let differ = match (old, value) {
            (Some(old), Some(new)) => self.comparison.columns.differ(old, new),
            _ => true,
        };
        Ok(!differ || (self.visit)(Change { task, key, old, new: value }))
    }

    /// Passes on a row of the old checkpoint that the new one does not have.
    fn remove(&mut self) -> bool {
        let row = self.rows.row(self.at);
        self.at += 1;
        let tasks = self.comparison.new.manifest().tasks;
        let task = row.task.checked_sub(tasks).unwrap_or(row.task);
        (self.visit)(Change { task, key: row.key, old: row.value, new: None })
    }

    /// Passes on the rest of the window as removed.
    fn drain(&mut self) -> bool {
        while self.at < self.rows.len() {
            if !self.remove() {
                return false;
            }
        }
        true
    }

    /// Reads the old rows of the next window, if there is one.
    fn next_window(&mut self) -> Result<bool, ReadError> {
        let Some(window) = self.windows.next() else { return Ok(false) };
        let comparison = self.comparison;
        let tasks = comparison.new.manifest().tasks;
        let rows = RefCell::new(RowBatch::new());
        let keep = |row: Row<'_>| {
            let task = (self.task_of)(row.task, row.key).unwrap_or_else(|| tasks.saturating_add(row.task));
            if window.holds(task) && comparison.scope.holds(task, row.key) {
                rows.borrow_mut().push(task, row.key, row.value);
            }
            true
        };
        comparison.old.snapshot.rows(&comparison.old.store, &Selection::default(), self.counted, keep)?;
        self.rows = rows.into_inner();
        self.rows.sort();
        (self.at, self.end) = (0, window.end);
        Ok(true)
    }
}

/// Passes progress on, and adds up the bytes of objects that were read.
struct Counted<'a> {
    progress: &'a dyn Progress,
    bytes: AtomicU64,
}

impl Progress for Counted<'_> {
    fn advance(&self, units: u64) {
        self.bytes.fetch_add(units, Ordering::Relaxed);
        self.progress.advance(units);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_all_tasks_and_are_no_more_than_these() {
        let windows = |tasks, rows, window_rows| -> Vec<(u32, u32)> {
            windows(tasks, rows, window_rows).iter().map(|window| (window.first, window.end)).collect()
        };
        assert_eq!(windows(8, 100, 1000), [(0, u32::MAX)]);
        assert_eq!(windows(8, 0, 1000), [(0, u32::MAX)]);
        assert_eq!(windows(8, 3000, 1000), [(0, 2), (2, 5), (5, u32::MAX)]);
        assert_eq!(windows(2, u64::MAX, 1), [(0, 1), (1, u32::MAX)]);
        assert_eq!(windows(1, 5, 0), [(0, u32::MAX)]);
    }
}
