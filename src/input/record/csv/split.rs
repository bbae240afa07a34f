//! The fields of a CSV record.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::input::record::bad_record::BadRecord;

/// Passes the fields of `record`, which has no line end, to `take` with their index. Returns the number of fields.
pub(crate) fn split<'a>(
    record: &'a str,
    delimiter: u8,
    mut take: impl FnMut(usize, Cow<'a, str>),
) -> Result<usize, BadRecord> {
    let bytes = record.as_bytes();
    let malformed = |at: usize, what: &str| BadRecord { reason: format!("malformed CSV at byte {at}: {what}") };
    let text =
        |from: usize, to: usize| record.get(from..to).ok_or_else(|| malformed(from, "a delimiter inside a character"));
    let mut at = 0;
    let mut index = 0;
    loop {
        let end;
        if bytes.get(at) == Some(&b'"') {
            let mut doubled = false;
            let mut from = at + 1;
            let close = loop {
                let Some(length) = memchr(b'"', &bytes[from..]) else {
                    return Err(malformed(at, "a quoted field has no closing quote"));
                };
                if bytes.get(from + length + 1) != Some(&b'"') {
                    break from + length;
                }
                doubled = true;
                from += length + 2;
            };
            end = close + 1;
            if bytes.get(end).is_some_and(|byte| *byte != delimiter) {
                return Err(malformed(end, "text after the closing quote of a field"));
            }
            let inside = text(at + 1, close)?;
            take(index, if doubled { Cow::Owned(inside.replace("\"\"", "\"")) } else { Cow::Borrowed(inside) });
        } else {
            end = memchr2(delimiter, b'\r', &bytes[at..]).map_or(bytes.len(), |length| at + length);
            if bytes.get(end) == Some(&b'\r') && delimiter != b'\r' {
                return Err(malformed(end, "a carriage return that is not part of a line end"));
            }
            take(index, Cow::Borrowed(text(at, end)?));
        }
        index += 1;
        if end == bytes.len() {
            return Ok(index);
        }
        at = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::record::csv::ends::CsvEnds;
    use proptest::prelude::*;

    /// The fields of each record according to csv-core.
    fn oracle(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv_core::ReaderBuilder::new().terminator(csv_core::Terminator::Any(b'\n')).build();
        let (mut records, mut fields, mut field) = (Vec::new(), Vec::new(), Vec::new());
        let mut input = bytes;
        loop {
            let mut output = [0; 64];
            let (result, taken, made) = reader.read_field(input, &mut output);
            input = &input[taken..];
            field.extend_from_slice(&output[..made]);
            match result {
                csv_core::ReadFieldResult::Field { record_end } => {
                    fields.push(std::mem::take(&mut field));
                    if record_end {
                        records.push(std::mem::take(&mut fields));
                    }
                }
                csv_core::ReadFieldResult::End => return records,
                csv_core::ReadFieldResult::InputEmpty | csv_core::ReadFieldResult::OutputFull => {}
            }
        }
    }

    fn ends(bytes: &[u8], piece: usize) -> Vec<usize> {
        let mut scan = CsvEnds::new(b',');
        let mut ends = Vec::new();
        for (i, piece_bytes) in bytes.chunks(piece).enumerate() {
            let mut from = 0;
            while let Some(end) = scan.next_end(piece_bytes, from) {
                ends.push(i * piece + end);
                from = end;
            }
        }
        if ends.last() != Some(&bytes.len()) && !bytes.is_empty() {
            ends.push(bytes.len());
        }
        ends
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn records_and_fields_are_those_of_csv_core(text in "[a\",\n]{0,40}", piece in 1usize..8) {
            let bytes = text.as_bytes();
            let ends = ends(bytes, piece);
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let records: Vec<&str> = starts.zip(&ends).map(|(start, end)| &text[start..*end]).collect();
            let records: Vec<&str> = records
                .into_iter()
                .map(|record| record.strip_suffix('\n').unwrap_or(record))
                .filter(|record| !record.is_empty())
                .collect();
            let expected = oracle(bytes);
            prop_assert_eq!(records.len(), expected.len());
            for (record, expected) in records.iter().zip(expected) {
                let mut fields = Vec::new();
                if let Ok(count) = split(record, b',', |_, field| fields.push(field.into_owned().into_bytes())) {
                    prop_assert_eq!(count, fields.len());
                    prop_assert_eq!(fields, expected);
                }
            }
        }
    }
}
