//! Offsets as a file of Java properties, in the form that Samza's checkpoint tool prints and reads:
//! `tasknames.TASK.systems.SYSTEM.streams.STREAM.partitions.NUMBER=OFFSET`.
//!
//! How keys and values are escaped is from the documentation of `java.util.Properties.load`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::checkpoint::Checkpoint;
use super::error::FormatError;
use super::marker::Marker;
use super::partition::StreamPartition;

/// How a key begins.
pub const PREFIX: &str = "tasknames.";

/// As the tool matches keys: a name may have dots.
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)^tasknames\.(.+)\.systems\.(.+)\.streams\.(.+)\.partitions\.([0-9]+)$").expect("it is valid")
});

/// Returns the line with an offset of a task.
pub fn line(task: &str, partition: &StreamPartition, offset: &str) -> String {
    let StreamPartition { system, stream, partition } = partition;
    let [task, system, stream] = [task, system, stream].map(escape_key);
    let offset = escape_value(offset);
    format!("{PREFIX}{task}.systems.{system}.streams.{stream}.partitions.{partition}={offset}\n")
}

/// Returns the checkpoint of each task that the tool would write: all offsets in one map, as in V1. The tool
/// leaves out other keys with a warning, so they are an error here.
pub fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Checkpoint>, FormatError> {
    let mut tasks: BTreeMap<String, Checkpoint> = BTreeMap::new();
    for (at, line) in logical_lines(bytes) {
        let (key, value) = split(&line).map_err(|reason| FormatError::new(at, reason))?;
        let unknown = || FormatError::new(at, format!("the key `{key}` is not that of an offset"));
        let parts = KEY.captures(&key).ok_or_else(unknown)?;
        let partition = StreamPartition {
            system: parts[2].to_owned(),
            stream: parts[3].to_owned(),
            partition: parts[4].parse().map_err(|_| unknown())?,
        };
        tasks.entry(parts[1].to_owned()).or_insert_with(Checkpoint::new_v1).add(partition, Some(value));
    }
    tasks.values_mut().for_each(|checkpoint| checkpoint.state.sort());
    Ok(tasks)
}

/// Returns the lines that are not empty and no comments, with the offset of each in bytes. A backslash at the end of a line
/// continues it in the next one, without the spaces at its start.
fn logical_lines(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lines: Vec<(usize, Vec<u8>)> = Vec::new();
    let (mut next, mut continues) = (0, false);
    while next < bytes.len() {
        let at = next;
        let length = bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len() - at);
        let line = &bytes[at..at + length];
        next += length + if bytes[at + length..].starts_with(b"\r\n") { 2 } else { 1 };
        let content = &line[spaces(line)..];
        let is_escaped = content.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
        let content = if is_escaped { &content[..content.len() - 1] } else { content };
        match lines.last_mut().filter(|_| continues) {
            Some((_, last)) => last.extend(content),
            None if matches!(content.first(), Some(b'#' | b'!')) => continue,
            None => lines.push((at, content.to_owned())),
        }
        continues = is_escaped;
    }
    lines.retain(|(_, line)| !line.is_empty());
    lines
}

/// Returns the number of spaces at the start.
fn spaces(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !is_space(*byte)).unwrap_or(bytes.len())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c')
}

/// Returns the key and the value of a line. A key ends at the first space, colon or equals sign that is not escaped.
fn split(line: &[u8]) -> Result<(String, String), &'static str> {
    let mut end = 0;
    while end < line.len() && !is_space(line[end]) && !matches!(line[end], b':' | b'=') {
        end += if line[end] == b'\\' { 2 } else { 1 };
    }
    let (key, rest) = line.split_at(end.min(line.len()));
    let mut rest = &rest[spaces(rest)..];
    if let [b':' | b'=', after @ ..] = rest {
        rest = &after[spaces(after)..];
    }
    Ok((unescape(key)?, unescape(rest)?))
}

/// Reads Latin-1 with escapes, among them the code units of UTF-16.
fn unescape(bytes: &[u8]) -> Result<String, &'static str> {
    let mut units: Vec<u16> = Vec::new();
    let mut bytes = bytes.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' {
            units.push(byte.into());
            continue;
        }
        match bytes.next() {
            Some(b'u') => {
                let digits = bytes.as_slice().get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
                let unit = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                let unit = unit.and_then(|digits| u16::from_str_radix(digits, 16).ok());
                units.push(unit.ok_or("expected four hexadecimal digits after `\\u`")?);
                bytes = bytes.as_slice()[4..].iter();
            }
            Some(b't') => units.push(u16::from(b'\t')),
            Some(b'n') => units.push(u16::from(b'\n')),
            Some(b'r') => units.push(u16::from(b'\r')),
            Some(b'f') => units.push(0x0c),
            Some(&other) => units.push(other.into()),
            None => {}
        }
    }
    String::from_utf16(&units).map_err(|_| "expected text in UTF-16 after `\\u`")
}

/// Escapes a part of a key. Java ends a key at a space, a colon or an equals sign.
fn escape_key(text: &str) -> String {
    escape(text, |c| matches!(c, ' ' | ':' | '=' | '#' | '!'))
}

fn escape_value(text: &str) -> String {
    escape(text, |c| c == ' ')
}

fn escape(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped += "\\\\",
            c if is_special(c) => escaped.extend(['\\', c]),
            ' '..='~' => escaped.push(c),
            // A file of properties is in Latin-1; everything else is written as UTF-16.
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped += &format!("\\u{unit:04x}")),
        }
    }
    escaped
}

/// Returns the offsets that a checkpoint has in this form. In V1, those of changelogs are among them.
pub fn offsets(checkpoint: &Checkpoint) -> Vec<(&StreamPartition, String)> {
    let inputs = checkpoint.inputs.iter().filter_map(|(partition, offset)| Some((partition, offset.clone()?)));
    let changelogs = checkpoint.state.iter().filter_map(|state| match &state.marker {
        Marker::Changelog { partition, offset, id: Some(id) } => {
            Some((partition, format!("{id}:{}", offset.as_deref().unwrap_or("null"))))
        }
        _ => None,
    });
    inputs.chain(changelogs).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The offsets of each task.
    fn read(text: &str) -> Vec<(String, String, String)> {
        let tasks = parse(text.as_bytes()).expect("offsets");
        let rows = tasks.iter().flat_map(|(task, checkpoint)| {
            offsets(checkpoint).into_iter().map(|(partition, offset)| (task.clone(), partition.to_string(), offset))
        });
        rows.collect()
    }

    fn row(task: &str, partition: &str, offset: &str) -> (String, String, String) {
        (task.to_owned(), partition.to_owned(), offset.to_owned())
    }

    #[test]
    fn lines_are_read_as_java_reads_them() {
        let text = "# a comment\n  ! another\n\n\
                    tasknames.Partition\\ 0.systems.kafka.streams.page-views.partitions.0 = 99\n\
                    \ttasknames.SystemStreamPartition\\ [kafka,\\ a.b,\\ 7].systems.kafka.streams.a.b.partitions.7:5\r\n\
                    tasknames.caf\\u00e9.systems.kafka.\\\r\n    streams.s.partitions.1 \\\n 42\n";
        let expected = [
            row("Partition 0", "kafka.page-views.0", "99"),
            row("SystemStreamPartition [kafka, a.b, 7]", "kafka.a.b.7", "5"),
            row("café", "kafka.s.1", "42"),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn what_is_no_offset_is_named_with_its_place() {
        let error = |text: &str| parse(text.as_bytes()).expect_err("refused").to_string();
        assert_eq!(error("# x\njob.name=j\n"), "the key `job.name` is not that of an offset at byte 4");
        let line = "tasknames.t.systems.s.streams.s.partitions.4294967296=1";
        assert!(error(line).contains("is not that of an offset"));
        assert_eq!(error("a\\u12=1"), "expected four hexadecimal digits after `\\u` at byte 0");
        assert_eq!(error("a\\ud800=1"), "expected text in UTF-16 after `\\u` at byte 0");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(task in "\\PC{1,12}", stream in "[^.]{1,8}", number: u32, offset in "\\PC{0,8}") {
            let partition = StreamPartition { system: "k:=# !\\".to_owned(), stream, partition: number };
            let text = line(&task, &partition, &offset);
            prop_assert!(text.is_ascii());
            prop_assert_eq!(read(&text), [row(&task, &partition.to_string(), &offset)]);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
