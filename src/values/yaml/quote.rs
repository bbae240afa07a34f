//! Writing text as a scalar.

/// Returns `text` as a scalar that every YAML reader reads as text: plain where that is safe, otherwise in double
/// quotes.
pub fn quote(text: &str) -> String {
    let plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    let begins_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    // Older readers take these for a boolean or for nothing.
    let special = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if begins_plain && text.bytes().all(plain_byte) && !special.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                quoted += &format!("\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
