//! Escapes in JSON strings.

/// Resolves the escapes in `inside`, the inside of a string that was checked.
pub(super) fn unescape(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (length, char) = match rest.as_bytes().get(at + 1) {
            Some(b'u') => {
                let unit = |at: usize| {
                    rest.get(at + 2..at + 6).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
                };
                match unit(at) {
                    high @ 0xD800..=0xDBFF => {
                        (12, char::from_u32(0x10000 + ((high - 0xD800) << 10) + (unit(at + 6) & 0x3FF)))
                    }
                    unit => (6, char::from_u32(unit)),
                }
            }
            Some(b'b') => (2, Some('\u{8}')),
            Some(b'f') => (2, Some('\u{c}')),
            Some(b'n') => (2, Some('\n')),
            Some(b'r') => (2, Some('\r')),
            Some(b't') => (2, Some('\t')),
            Some(other) => (2, Some(char::from(*other))),
            None => (1, None),
        };
        text.push(char.unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    text
}
