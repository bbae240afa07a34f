//! Where a character of a scalar is in its document.

use std::iter::Peekable;

use crate::values::yaml::error::Mark;
use crate::values::yaml::node::{Node, Scalar, Style};

/// Returns where character `index` of a scalar's text is in `source`, the document; the end of the scalar if it has
/// fewer characters.
///
/// A document writes line breaks and indentation in many ways. So this counts the characters in between.
pub fn place(source: &str, node: &Node, index: usize) -> Mark {
    let Some(scalar) = node.scalar() else { return node.mark };
    let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let all = visible(&scalar.text);
    let before: usize = scalar.text.chars().take(index).filter(|c| !c.is_whitespace()).count();
    let mut written = Written::new(source, node.mark, scalar);
    let mut end = node.mark;
    let mut count = 0;
    while let Some((mark, after, is_visible)) = written.next().filter(|_| count < all) {
        if is_visible {
            if count == before {
                return mark;
            }
            count += 1;
            end = after;
        }
    }
    end
}

/// The characters of a scalar as a document writes them.
struct Written<I: Iterator<Item = (Mark, char)>> {
    characters: Peekable<I>,
    style: Style,
}

impl Written<std::vec::IntoIter<(Mark, char)>> {
    fn new(source: &str, start: Mark, scalar: &Scalar) -> Self {
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let mut characters = Vec::new();
        for (at, line) in source.lines().enumerate().skip(start.line.saturating_sub(1)) {
            let first = if at + 1 == start.line { start.column } else { 1 };
            let marked = line.chars().chain(['\n']).enumerate().skip(first - 1);
            characters.extend(marked.map(|(column, c)| (Mark { line: at + 1, column: column + 1 }, c)));
        }
        let mut written = Written { characters: characters.into_iter().peekable(), style: scalar.style };
        written.skip_head(source, start, scalar);
        written
    }

    /// Skips what precedes the text: a tag, an anchor, the header of a block, the opening quote.
    fn skip_head(&mut self, source: &str, start: Mark, scalar: &Scalar) {
        let first_line = source.lines().nth(start.line.saturating_sub(1)).unwrap_or_default();
        let from_start: String = first_line.chars().skip(start.column - 1).collect();
        let is_at_text = from_start.trim_end() == scalar.text.lines().next().unwrap_or_default().trim_end();
        if self.style == Style::Block {
            // The place of a block is that of its text, unless it has a tag or an anchor.
            if !is_at_text && from_start.starts_with(['!', '&']) {
                while self.characters.next_if(|(mark, _)| mark.line == start.line).is_some() {}
            }
            return;
        }
        while self.characters.peek().is_some_and(|(_, c)| ['!', '&'].contains(c)) {
            while self.characters.next_if(|(_, c)| !c.is_whitespace()).is_some() {}
            while self.characters.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        }
        if self.style != Style::Plain {
            self.characters.next();
        }
    }
}

impl<I: Iterator<Item = (Mark, char)>> Written<I> {
    /// Returns where the next character is, where the following one is, and whether it is visible.
    fn next(&mut self) -> Option<(Mark, Mark, bool)> {
        let (mark, c) = self.characters.next()?;
        let is_visible = match (self.style, c) {
            (Style::SingleQuoted, '\'') => self.characters.next().is_some(),
            (Style::DoubleQuoted, '\\') => self.escape(),
            _ => !c.is_whitespace(),
        };
        let after = self.characters.peek().map_or(mark, |(mark, _)| *mark);
        Some((mark, after, is_visible))
    }

    /// Skips an escape, and returns whether it stands for something visible.
    fn escape(&mut self) -> bool {
        let digits = match self.characters.next() {
            Some((_, 'x')) => 2,
            Some((_, 'u')) => 4,
            Some((_, 'U')) => 8,
            Some((_, c)) => {
                return !matches!(c, 'n' | 't' | 'r' | 'v' | 'f' | 'N' | '_' | 'L' | 'P') && !c.is_whitespace();
            }
            None => return false,
        };
        let digits: String = self.characters.by_ref().take(digits).map(|(_, c)| c).collect();
        let c = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
        c.is_none_or(|c| !c.is_whitespace())
    }
}
