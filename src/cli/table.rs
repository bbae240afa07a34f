//! Tables of aligned columns without rules.

use std::borrow::Cow;

use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Width};

use crate::cli::text::escape;

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    name: Cow<'static, str>,
    right: bool,
    /// The width to which the column may be cut; `None` if it is never cut.
    least_width: Option<u16>,
}

impl Column {
    /// Makes a text column, aligned to the left and never cut.
    pub fn text(name: impl Into<Cow<'static, str>>) -> Column {
        Column { name: name.into(), right: false, least_width: None }
    }

    /// Makes a number column, aligned to the right and never cut.
    pub fn number(name: impl Into<Cow<'static, str>>) -> Column {
        Column { name: name.into(), right: true, least_width: None }
    }

    /// Makes a column of long text, which is cut if the terminal is too narrow.
    pub fn long(name: impl Into<Cow<'static, str>>) -> Column {
        Column { name: name.into(), right: false, least_width: Some(8) }
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
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_truncation_indicator("…").set_delimiter('\0').style_text_only();
        if look.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        match look.width {
            Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        table.set_header(one_line(
            self.columns.iter().map(|column| Cell::new(escape(&column.name)).add_attribute(Attribute::Bold)),
        ));
        table.add_rows(self.rows.iter().map(|row| one_line(row.iter().map(Cell::new))));
        for (at, column) in self.columns.iter().enumerate() {
            let shown = table.column_mut(at).expect("the header has every column");
            shown.set_padding((if at == 0 { 0 } else { GAP }, 0));
            shown.set_cell_alignment(if column.right { CellAlignment::Right } else { CellAlignment::Left });
            shown.set_constraint(match column.least_width {
                Some(width) if look.width.is_some() => ColumnConstraint::LowerBoundary(Width::Fixed(width)),
                _ => ColumnConstraint::ContentWidth,
            });
        }
        table.trim_fmt().lines().map(str::to_owned).collect()
    }
}

/// The spaces between columns.
const GAP: u16 = 2;

fn one_line(cells: impl Iterator<Item = Cell>) -> Row {
    let mut row = Row::from(cells.collect::<Vec<_>>());
    row.max_height(1);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new([Column::text("NUMBER"), Column::number("KEYS"), Column::long("JOB"), Column::text("MODE")]);
        table.row(["1", "12", "spend-per-user", "elided"]);
        table.row(["42", "1,234,567", "a\u{1b}[31m\nb", "scheduled"]);
        table
    }

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        assert_eq!(
            table().render(Look::default()),
            [
                "NUMBER       KEYS  JOB             MODE",
                "1              12  spend-per-user  elided",
                "42      1,234,567  a\\u{1b}[31m\\nb  scheduled",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_long_columns_only() {
        let look = Look { color: false, width: Some(40) };
        assert_eq!(
            table().render(look),
            [
                "NUMBER       KEYS  JOB         MODE",
                "1              12  spend-per…  elided",
                "42      1,234,567  a\\u{1b}[3…  scheduled",
            ]
        );
        let wide = Look { color: false, width: Some(200) };
        assert_eq!(table().render(wide), table().render(Look::default()));
    }

    #[test]
    fn no_width_makes_it_fail_and_only_long_columns_are_cut() {
        for width in 0..60 {
            let lines = table().render(Look { color: false, width: Some(width) });
            assert_eq!(lines.len(), 3, "{width}");
            assert!(lines[2].starts_with("42      1,234,567  "), "{width}: {lines:?}");
            assert!(lines[2].ends_with("  scheduled"), "{width}: {lines:?}");
        }
    }

    #[test]
    fn the_header_is_bold_only_with_color() {
        let lines = table().render(Look { color: true, width: None });
        assert!(lines[0].contains("\u{1b}[1mNUMBER"), "{lines:?}");
        assert!(!lines[1].contains('\u{1b}'));
        assert!(!table().render(Look::default())[0].contains('\u{1b}'));
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        let empty = Table::new([Column::text("A"), Column::number("B")]);
        assert!(empty.is_empty());
        assert_eq!(empty.render(Look::default()), ["A  B"]);
    }
}
