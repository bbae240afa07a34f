//! Text that is not UTF-8.

use crate::job::model::Encoding;

/// What windows-1252 has from byte 0x80 to 0x9F. Bytes without a character are control characters, as in Latin-1.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Returns `bytes` as text. Returns `None` for UTF-8, which needs no decoding.
pub(crate) fn decode(encoding: Encoding, bytes: &[u8]) -> Option<String> {
    let char_of = char_of(encoding)?;
    Some(bytes.iter().copied().map(char_of).collect())
}

/// Returns how many bytes of UTF-8 `bytes` are.
pub(super) fn decoded_length(encoding: Encoding, bytes: &[u8]) -> usize {
    char_of(encoding).map_or(bytes.len(), |char_of| bytes.iter().map(|byte| char_of(*byte).len_utf8()).sum())
}

fn char_of(encoding: Encoding) -> Option<fn(u8) -> char> {
    match encoding {
        Encoding::Utf8 => None,
        Encoding::Latin1 => Some(char::from),
        Encoding::Windows1252 => Some(|byte| match byte {
            0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
            _ => char::from(byte),
        }),
    }
}
