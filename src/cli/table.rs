//! Tables of aligned columns without rules.

use std::borrow::Cow;
use std::os::fd::AsFd;

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Width};

use crate::cli::table::fit::{Cut, GAP, fit, shorten, wrapped};
use crate::cli::text::escape;

mod fit;

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    name: Cow<'static, str>,
    right: bool,
    cut: Cut,
    is_optional: bool,
    /// The least width.
    least: usize,
}

impl Column {
    /// Makes a text column, aligned to the left and never cut.
    pub fn text(name: impl Into<Cow<'static, str>>) -> Column {
        Column { name: name.into(), right: false, cut: Cut::Never, is_optional: false, least: 0 }
    }

    /// Makes a number column, aligned to the right and never cut.
    pub fn number(name: impl Into<Cow<'static, str>>) -> Column {
        Column { right: true, ..Column::text(name) }
    }

    /// Makes a column of long text, whose end is cut off if the terminal is too narrow.
    pub fn long(name: impl Into<Cow<'static, str>>) -> Column {
        Column { cut: Cut::End, ..Column::text(name) }
    }

    /// Makes the last column of a table, of text that is never cut: where the terminal is too narrow, it continues on
    /// further lines.
    pub fn wrapped(name: impl Into<Cow<'static, str>>) -> Column {
        Column { cut: Cut::Wrap, ..Column::text(name) }
    }

    /// Makes a column of names that tell the rows apart, such as paths and keys. If the terminal is too narrow, each
    /// is shortened in its middle, and different names stay different.
    pub fn name(name: impl Into<Cow<'static, str>>) -> Column {
        Column { cut: Cut::Middle, ..Column::text(name) }
    }

    /// Makes the column at least `width` wide, so that tables that follow each other look like one.
    #[must_use]
    pub fn at_least(self, width: usize) -> Column {
        Column { least: width, ..self }
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
        let limits = fit(&cuts, look.width);
        let mut columns: Vec<Vec<Cow<'_, str>>> =
            shown.iter().zip(&limits).map(|(&at, &limit)| self.cells(at, limit)).collect();
        let continued = self.wrap(&shown, &wants, &limits, &mut columns);

        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.style_text_only();
        if look.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let names = shown.iter().zip(&limits).map(|(&at, &limit)| self.header(at, limit));
        table.set_header(names.map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
        table.add_rows((0..self.rows.len()).map(|row| columns.iter().map(move |cells| placed(&cells[row]))));
        for (place, &at) in shown.iter().enumerate() {
            let column = table.column_mut(place).expect("the header has every column");
            column.set_padding((if place == 0 { 0 } else { GAP }, 0));
            if self.columns[at].least > 0 {
                let width = self.columns[at].least + if place == 0 { 0 } else { usize::from(GAP) };
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width as u16)));
            }
            column.set_cell_alignment(if self.columns[at].right { CellAlignment::Right } else { CellAlignment::Left });
        }
        let mut lines: Vec<String> = table.trim_fmt().lines().map(str::to_owned).collect();
        for (row, line) in lines.iter_mut().skip(1).enumerate() {
            columns.iter().for_each(|cells| replace_placeholder(line, &cells[row]));
        }
        let mut continued = continued.into_iter();
        lines
            .into_iter()
            .enumerate()
            .flat_map(|(row, line)| {
                let further = if row == 0 { None } else { continued.next() };
                std::iter::once(line).chain(further.unwrap_or_default())
            })
            .collect()
    }

    /// Leaves the first line of each cell of a wrapped column, which is the last, in `columns`. Returns the further lines
    /// of each row.
    fn wrap(
        &self,
        shown: &[usize],
        wants: &[usize],
        limits: &[Option<usize>],
        columns: &mut [Vec<Cow<'_, str>>],
    ) -> Vec<Vec<String>> {
        let (Some(&at), Some(&Some(limit)), Some(cells)) = (shown.last(), limits.last(), columns.last_mut()) else {
            return Vec::new();
        };
        if self.columns[at].cut != Cut::Wrap {
            return Vec::new();
        }
        let before = shown.iter().zip(limits).rev().skip(1);
        let indent: usize = before.map(|(&at, limit)| limit.unwrap_or(wants[at]) + usize::from(GAP)).sum();
        let mut continued = Vec::new();
        for cell in cells {
            let mut lines = wrapped(cell, limit).into_iter();
            let first = lines.next().unwrap_or_default();
            continued.push(lines.map(|line| format!("{:indent$}{line}", "")).collect());
            *cell = Cow::Owned(first);
        }
        continued
    }

    fn header(&self, at: usize, limit: Option<usize>) -> String {
        let name = escape(&self.columns[at].name);
        shorten(&[&name], limit, Cut::End).remove(0).into_owned()
    }

    /// Returns the cells of a column, cut to `limit`.
    fn cells(&self, at: usize, limit: Option<usize>) -> Vec<Cow<'_, str>> {
        let cells: Vec<&str> = self.rows.iter().map(|row| row[at].as_str()).collect();
        shorten(&cells, limit, self.columns[at].cut)
    }

    /// Returns the columns to show: those that fit into `width`, and all that are not optional.
    fn shown(&self, wants: &[usize], width: Option<u16>) -> Vec<usize> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = width else { return shown };
        let least = |shown: &[usize]| {
            fit::least(&shown.iter().map(|&at| (wants[at], self.columns[at].cut)).collect::<Vec<_>>())
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
        let name = fit::width(&escape(&self.columns[at].name));
        cells.chain([name, self.columns[at].least]).max().unwrap_or(0)
    }
}

/// The width to which cells are padded. A longer cell makes its own line longer, and no other one.
const MOST_PADDED: usize = 100;

/// Fills the place of a cell that is longer than [`MOST_PADDED`] while the table is laid out. For private use, so no
/// text has it.
const PLACEHOLDER: &str = "\u{f8ff}";

fn is_overlong(cell: &str) -> bool {
    fit::width(cell) > MOST_PADDED
}

/// Returns what is laid out for `cell`.
fn placed(cell: &str) -> Cell {
    if is_overlong(cell) { Cell::new(PLACEHOLDER.repeat(MOST_PADDED)) } else { Cell::new(cell) }
}

/// Puts `cell` into the first place that was kept for an overlong one in `line`.
fn replace_placeholder(line: &mut String, cell: &str) {
    if is_overlong(cell) {
        *line = line.replacen(&PLACEHOLDER.repeat(MOST_PADDED), cell, 1);
    }
}

/// Returns the number of columns that `text` takes on a terminal.
pub(super) fn text_width(text: &str) -> usize {
    fit::width(text)
}

/// Returns the width of a terminal, or 80 if it is unknown.
pub(super) fn terminal_width(terminal: impl AsFd) -> u16 {
    match rustix::termios::tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        _ => 80,
    }
}

#[cfg(test)]
mod tests;
