//! Tables of aligned columns without rules.

use std::borrow::Cow;

use crate::cli::color::{BOLD, paint};
use crate::cli::table::fit::{Cut, Widths, shorten};
use crate::cli::text::escape;

mod fit;

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    name: Cow<'static, str>,
    right: bool,
    cut: Cut,
    is_optional: bool,
}

impl Column {
    /// Makes a text column, aligned to the left and never cut.
    pub fn text(name: impl Into<Cow<'static, str>>) -> Column {
        Column { name: name.into(), right: false, cut: Cut::Never, is_optional: false }
    }

    /// Makes a number column, aligned to the right and never cut.
    pub fn number(name: impl Into<Cow<'static, str>>) -> Column {
        Column { right: true, ..Column::text(name) }
    }

    /// Makes a column of long text, whose end is cut off if the terminal is too narrow.
    pub fn long(name: impl Into<Cow<'static, str>>) -> Column {
        Column { cut: Cut::End, ..Column::text(name) }
    }

    /// Makes a column of names that tell the rows apart, such as paths and keys. If the terminal is too narrow, each
    /// is shortened in its middle, and different names stay different.
    pub fn name(name: impl Into<Cow<'static, str>>) -> Column {
        Column { cut: Cut::Middle, ..Column::text(name) }
    }

    /// Leaves the column out if the terminal is too narrow for all of them, the last optional one first.
    #[must_use]
    pub fn optional(self) -> Column {
        Column { is_optional: true, ..self }
    }
}

/// How a table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Whether the header is bold.
    pub color: bool,
    /// The width of the terminal in characters; `None` if nothing is cut.
    pub width: Option<u16>,
}

/// Rows of cells under a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table without rows.
    pub fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row of one cell per column. Control characters are shown as escapes.
    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| escape(cell.as_ref()).into_owned()).collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "one cell per column");
        self.rows.push(cells);
    }

    /// Tells whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the lines, without trailing spaces.
    pub fn render(&self, look: Look) -> Vec<String> {
        let wants: Vec<usize> = (0..self.columns.len()).map(|at| self.natural_width(at)).collect();
        let shown = self.shown(&wants, look.width);
        let cuts: Vec<(usize, Cut)> = shown.iter().map(|&at| (wants[at], self.columns[at].cut)).collect();
        let widths = Widths::fit(&cuts, look.width);
        let mut lines = vec![String::new(); self.rows.len() + 1];
        for (place, &at) in shown.iter().enumerate() {
            let column = &self.columns[at];
            let name = escape(&column.name);
            let header = shorten(&[&name], widths.limit(place), Cut::End);
            let cells: Vec<&str> = self.rows.iter().map(|row| row[at].as_str()).collect();
            let cells = shorten(&cells, widths.limit(place), column.cut);
            for (line, cell) in lines.iter_mut().zip(header.iter().chain(&cells)) {
                widths.put(line, place, cell, column.right);
            }
        }
        lines.iter_mut().for_each(|line| line.truncate(line.trim_end_matches(' ').len()));
        lines[0] = paint(look.color, BOLD, &lines[0]);
        lines
    }

    /// Returns the columns to show: those that fit into `width`, and all that are not optional.
    fn shown(&self, wants: &[usize], width: Option<u16>) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = width else { return shown };
        let least = |shown: &[usize]| {
            Widths::least(&shown.iter().map(|&at| (wants[at], self.columns[at].cut)).collect::<Vec<_>>())
        };
        while least(&shown) > usize::from(width) {
            let Some(last) = shown.iter().rposition(|&at| self.columns[at].is_optional) else { break };
            shown.remove(last);
        }
        shown
    }

    /// Returns the width of the widest cell of a column.
    fn natural_width(&self, at: usize) -> usize {
        let cells = self.rows.iter().map(|row| fit::width(&row[at]));
        cells.chain([fit::width(&escape(&self.columns[at].name))]).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
