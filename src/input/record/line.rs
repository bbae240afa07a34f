//! What a file of text has beside its lines.

/// What some programs write before UTF-8 text.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Returns `line` without its `\n` or `\r\n`.
#[inline]
pub(crate) fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Returns whether what follows a last line without a line end is its line end, and not more of the line.
///
/// `next` are the next bytes of the file, at least two if it has them. A `\r` that ends the file may be half of a line
/// end; if not, the line continues after it.
pub(crate) fn is_line_end(next: &[u8]) -> bool {
    matches!(next, [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..])
}

/// Returns how many of the bytes `next` are the line end of a last line that was read without it.
///
/// They must be skipped: where empty lines are records, the line end by itself would be another one.
pub(crate) fn late_line_end(next: &[u8]) -> usize {
    match next {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] | [b'\r'] => 1,
        _ => 0,
    }
}
