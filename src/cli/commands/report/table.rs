//! Tables of the page, which its script makes sortable and searchable.

use maud::{Markup, html};

use crate::cli::text::escape;

/// The longest text in a cell, in characters.
const MAX_CHARS: usize = 300;

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Aligned on the right.
    Number,
    /// Long text, which is broken into lines.
    Wide,
}

/// A cell: its text, and the number that it is sorted by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    text: String,
    sort: Option<f64>,
}

impl Cell {
    /// Makes a cell with text, which may come from anywhere.
    pub(super) fn text(text: impl AsRef<str>) -> Cell {
        Cell { text: shorten(text.as_ref()), sort: None }
    }

    /// Makes a cell that is sorted by a number.
    pub(super) fn number(text: impl ToString, sort: f64) -> Cell {
        Cell { text: text.to_string(), sort: Some(sort) }
    }

    /// Makes a cell for a value that is not known.
    pub(super) fn none() -> Cell {
        Cell { text: "-".to_owned(), sort: None }
    }
}

/// Returns text that is safe to show: with invisible characters as escapes, and not longer than a cell may be.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", escape(&text[..end])),
        None => escape(text).into_owned(),
    }
}

/// A table.
pub(super) struct Table {
    pub(super) caption: &'static str,
    pub(super) columns: Vec<(&'static str, Kind)>,
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Returns the table as HTML. `left_out` says what it does not have.
    pub(super) fn html(&self, id: &str, left_out: Option<String>) -> Markup {
        if self.rows.is_empty() {
            return html! { p.soft { (self.caption) ": none." } };
        }
        html! {
            div.scroll role="region" aria-labelledby=(id) tabindex="0" {
                table data-live {
                    caption id=(id) { (self.caption) }
                    thead {
                        tr {
                            @for (name, kind) in &self.columns {
                                th scope="col" class=[class(*kind)] { (name) }
                            }
                        }
                    }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (cell, (_, kind)) in row.iter().zip(&self.columns) {
                                    td class=[class(*kind)] data-sort=[cell.sort] { (cell.text) }
                                }
                            }
                        }
                    }
                }
            }
            @if let Some(left_out) = left_out {
                p.soft { (left_out) }
            }
        }
    }
}

fn class(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Text => None,
        Kind::Number => Some("number"),
        Kind::Wide => Some("wide"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_anywhere_is_shown_and_never_acts() {
        let table = Table {
            caption: "Keys",
            columns: vec![("Key", Kind::Wide), ("Bytes", Kind::Number)],
            rows: vec![vec![Cell::text("</script><img onerror=\"x\">&\u{202e}\n"), Cell::number("7 B", 7.0)]],
        };
        let html = table.html("keys", None).into_string();
        assert!(html.contains("&lt;/script&gt;&lt;img onerror=&quot;x&quot;&gt;&amp;\\u{202e}\\n"), "{html}");
        assert!(html.contains("data-sort=\"7\""), "{html}");
    }

    #[test]
    fn a_long_text_loses_its_end() {
        let long = "é".repeat(MAX_CHARS + 1);
        assert_eq!(shorten(&long).chars().count(), MAX_CHARS + 1);
        assert!(shorten(&long).ends_with('…') && shorten(&long[2..]).ends_with('é'));
    }
}
