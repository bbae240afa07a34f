//! Fits the cells of a table into the width of a terminal.

use std::borrow::Cow;
use std::collections::HashSet;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The spaces between columns.
pub(super) const GAP: u16 = 2;
/// The width to which a column may be cut.
const LEAST: usize = 8;
/// The width to which a column may be wrapped.
const LEAST_WRAPPED: usize = 30;

/// What is left out of a cell that is too wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nothing: the line is longer than the terminal.
    Never,
    /// Its end.
    End,
    /// Its middle, or another part if equal cells would come out.
    Middle,
    /// Nothing: it continues on further lines.
    Wrap,
}

/// Returns the number of columns that `text` takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Returns the width that a table needs at least. Each column has the width that it wants and how it is cut.
pub(super) fn least(columns: &[(usize, Cut)]) -> usize {
    let least = |&(want, cut): &(usize, Cut)| match cut {
        Cut::Never => want,
        Cut::Wrap => want.min(LEAST_WRAPPED),
        Cut::End | Cut::Middle => want.min(LEAST),
    };
    columns.iter().map(least).sum::<usize>() + gaps(columns.len())
}

/// Divides the width of a terminal among `columns`, and returns the width to which the cells of each are cut: `None`
/// if they are not. Without a terminal nothing is cut.
pub(super) fn fit(columns: &[(usize, Cut)], terminal: Option<u16>) -> Vec<Option<usize>> {
    let mut limits = vec![None; columns.len()];
    let Some(terminal) = terminal else { return limits };
    let fixed: usize = columns.iter().filter(|(_, cut)| *cut == Cut::Never).map(|(want, _)| want).sum();
    let gaps = gaps(columns.len());
    let mut left = usize::from(terminal).saturating_sub(fixed + gaps);
    let mut flexible: Vec<usize> = (0..columns.len()).filter(|&at| columns[at].1 != Cut::Never).collect();
    // What a narrow column does not need is for the wider ones.
    flexible.sort_by_key(|&at| columns[at].0);
    for (place, &at) in flexible.iter().enumerate() {
        let least = if columns[at].1 == Cut::Wrap { LEAST_WRAPPED } else { LEAST };
        let share = (left / (flexible.len() - place)).max(least);
        let width = columns[at].0.min(share);
        left = left.saturating_sub(width);
        limits[at] = Some(width);
    }
    limits
}

fn gaps(columns: usize) -> usize {
    usize::from(GAP) * columns.saturating_sub(1)
}

/// Cuts each of `cells` to `limit`.
///
/// With [`Cut::Middle`], cells that differ still differ afterwards. If no part tells them apart, they stay whole.
pub(super) fn shorten<'a>(cells: &[&'a str], limit: Option<usize>, cut: Cut) -> Vec<Cow<'a, str>> {
    let whole = || cells.iter().copied().map(Cow::Borrowed).collect();
    let Some(limit) = limit else { return whole() };
    let with_end = |end: usize| cells.iter().map(|cell| shortened(cell, limit, end)).collect::<Vec<_>>();
    match cut {
        Cut::Never | Cut::Wrap => whole(),
        Cut::End => with_end(0),
        Cut::Middle => {
            let different = cells.iter().collect::<HashSet<_>>().len();
            let room = limit.saturating_sub(1);
            let all_differ = |cells: &Vec<Cow<'_, str>>| cells.iter().collect::<HashSet<_>>().len() == different;
            [room / 2, room, 0].into_iter().map(with_end).find(all_differ).unwrap_or_else(whole)
        }
    }
}

/// Cuts `text` to `limit` columns, of which the last `end` are those of its own end. `…` is where something is missing.
fn shortened(text: &str, limit: usize, end: usize) -> Cow<'_, str> {
    if width(text) <= limit {
        return Cow::Borrowed(text);
    }
    let fits = |room: usize| {
        let mut used = 0;
        move |c: &char| {
            used += c.width().unwrap_or(0);
            used <= room
        }
    };
    let start_bytes: usize = text.chars().take_while(fits(limit.saturating_sub(end + 1))).map(char::len_utf8).sum();
    let end_bytes: usize = text.chars().rev().take_while(fits(end)).map(char::len_utf8).sum();
    Cow::Owned(format!("{}…{}", &text[..start_bytes], &text[text.len() - end_bytes..]))
}

/// Splits `text` into lines of at most `limit` columns: between words, or within a word that is longer than a line.
pub(super) fn wrapped(text: &str, limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word;
        if !line.is_empty() && width(&line) + 1 + width(word) > limit {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        while width(word) > limit - width(&line).min(limit) {
            let mut used = width(&line);
            let mut end = 0;
            for c in word.chars() {
                used += c.width().unwrap_or(0);
                if used > limit && end > 0 {
                    break;
                }
                end += c.len_utf8();
            }
            line.push_str(&word[..end]);
            word = &word[end..];
            lines.push(std::mem::take(&mut line));
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}
