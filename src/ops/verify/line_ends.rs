//! Files in which LF became CRLF, as transfers in text mode and `git` with `core.autocrlf` do.

/// Returns `found`, and adds that only the line ends differ if `is_right` says so of `bytes` with LF.
pub(super) fn explain(found: String, bytes: &[u8], is_right: impl FnOnce(&[u8]) -> bool) -> String {
    match with_lf(bytes) {
        Some(original) if is_right(&original) => format!("{found}; only its line ends differ: CRLF instead of LF"),
        _ => found,
    }
}

/// Returns `bytes` with LF in place of each CRLF, if there is any.
fn with_lf(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_before_lf = |place: usize| bytes[place] == b'\r' && bytes.get(place + 1) == Some(&b'\n');
    let kept = (0..bytes.len()).filter(|&place| !is_before_lf(place));
    let original: Vec<u8> = kept.map(|place| bytes[place]).collect();
    (original.len() < bytes.len()).then_some(original)
}
