//! The names of files as text.

use std::ffi::OsStr;

/// Returns a name with `\xNN` in place of each byte that is not UTF-8, so that different names stay different.
pub fn readable(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn names_that_are_not_text_stay_different() {
        for (name, text) in
            [(&b"app.log"[..], "app.log"), (b"caf\xc3\xa9", "café"), (b"a.\xff", "a.\\xff"), (b"a.\xfe", "a.\\xfe")]
        {
            assert_eq!(readable(OsStr::from_bytes(name)), text);
        }
    }
}
