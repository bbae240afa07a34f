//! The types of fields, according to the first records.

use std::path::Path;
use std::sync::Arc;

use crate::input::block::Block;
use crate::input::block_reader::BlockReader;
use crate::input::error::InputError;
use crate::input::partition::{Partition, Source};
use crate::input::record::extractor::Extractor;
use crate::input::record::field::Field;
use crate::input::record::json::scan::is_number;
use crate::input::topic::TopicReader;
use crate::job::field::FieldPath;
use crate::job::model::InputSpec;
use crate::values::decimal::Decimal;
use crate::values::value::ColumnType;

/// Returns the types of `fields` in the first `max_records` records of the input, or `None` for a field that none of
/// them has.
///
/// A field that only has numbers is a number, and likewise for bools and text; anything else is JSON. In CSV and
/// in text with a pattern, text that is a JSON number is a number, so `007` stays text. Bad records are skipped, and so is the last line of a followed
/// file until it is whole. Standard input is not read, so the
/// result for each field is `None`. Relative paths are relative to `base`.
pub fn sample(
    input: &InputSpec,
    base: &Path,
    partitions: &Arc<[Partition]>,
    fields: &[FieldPath],
    max_records: u64,
) -> Result<Vec<Option<ColumnType>>, InputError> {
    let mut types = vec![None; fields.len()];
    if fields.is_empty() || partitions.iter().any(|partition| partition.source == Source::Stdin) {
        return Ok(types);
    }
    let has_text_only = input.format.has_numbers_in_text();
    let existing = partitions.iter().filter(|partition| partition.source != Source::Gone).cloned().collect();
    let mut reader = match &input.topic {
        None => SampleReader::Files(Box::new(BlockReader::new(input, existing, &[], 0)?)),
        Some(_) => {
            let input = InputSpec { follow: false, ..input.clone() };
            SampleReader::Topic(Box::new(TopicReader::new(&input, base, &[], 0, None, None, None)?))
        }
    };
    let mut extractor = Extractor::of_input(input, fields);
    let mut seen_count = 0;
    let mut buffer = Vec::new();
    while seen_count < max_records
        && let Some(block) = reader.next_block(buffer, input.follow)?
    {
        extractor.each(&block, |place, record| {
            let is_whole =
                !input.follow || block.messages.is_some() || place.at + place.bytes.len() < block.bytes.len();
            if !is_whole {
                return false;
            }
            seen_count += 1;
            for (known, field) in types.iter_mut().zip(record.unwrap_or_default()) {
                *known = join(*known, type_of(field, has_text_only));
            }
            seen_count < max_records
        });
        buffer = block.bytes;
    }
    // A CSV column that has both numbers and other text is text.
    if has_text_only {
        types
            .iter_mut()
            .filter(|known| **known == Some(ColumnType::Json))
            .for_each(|known| *known = Some(ColumnType::Text));
    }
    Ok(types)
}

/// Reads the first records.
enum SampleReader {
    Files(Box<BlockReader>),
    /// Up to the latest message.
    Topic(Box<TopicReader>),
}

impl SampleReader {
    /// Returns the next block. A header line that has not arrived yet ends a followed input.
    fn next_block(&mut self, buffer: Vec<u8>, follow: bool) -> Result<Option<Block>, InputError> {
        match self {
            SampleReader::Files(reader) => match reader.next(buffer) {
                Err(InputError::Header { .. }) if follow => Ok(None),
                other => other,
            },
            SampleReader::Topic(reader) => loop {
                let block = reader.next_block()?;
                if block.is_some() || reader.has_ended() {
                    return Ok(block);
                }
            },
        }
    }
}

fn type_of(field: &Field<'_>, has_text_only: bool) -> Option<ColumnType> {
    match field {
        Field::Missing => None,
        Field::Text(text) if has_text_only && is_number(text) && Decimal::parse(text.as_bytes()).is_ok() => {
            Some(ColumnType::Number)
        }
        Field::Text(_) => Some(ColumnType::Text),
        Field::Number(_) => Some(ColumnType::Number),
        Field::Bool(_) => Some(ColumnType::Bool),
        Field::Json(_) => Some(ColumnType::Json),
    }
}

fn join(known: Option<ColumnType>, found: Option<ColumnType>) -> Option<ColumnType> {
    match (known, found) {
        (None, one) | (one, None) => one,
        (Some(known), Some(found)) if known == found => Some(known),
        _ => Some(ColumnType::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::listing::partitions;
    use crate::job::model::{InputFormat, OnError, OnGone};

    fn paths(names: &[&str]) -> Vec<FieldPath> {
        names.iter().copied().map(FieldPath::of).collect()
    }

    fn input(file: &str, format: InputFormat) -> InputSpec {
        InputSpec {
            files: vec![file.to_owned()],
            topic: None,
            format,
            types: vec![],
            on_error: OnError::Fail,
            max_bad: None,
            on_gone: OnGone::Stop,
            max_record_bytes: 1000,
            follow: false,
            computed: vec![],
            nulls: vec![],
            numbers: None,
            encoding: crate::job::model::Encoding::Utf8,
        }
    }

    fn types(format: InputFormat, fields: &[&str], content: &str, max_records: u64) -> Vec<Option<ColumnType>> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("x"), content).unwrap();
        let input = input("x", format);
        let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
        sample(&input, directory.path(), &listed, &paths(fields), max_records).unwrap()
    }

    #[test]
    fn types_follow_from_the_first_records() {
        use ColumnType::*;
        let json = concat!(
            r#"{"n":1,"t":"1","b":true,"j":[],"m":1,"x":null}"#,
            "\n[]\n",
            r#"{"n":2.5,"t":"x","b":false,"j":{},"m":"1"}"#,
            "\n",
            r#"{"n":"late"}"#,
            "\n",
        );
        let fields = ["n", "t", "b", "j", "m", "x", "nothing"];
        let expected = [Some(Number), Some(Text), Some(Bool), Some(Json), Some(Json), None, None];
        assert_eq!(types(InputFormat::Json, &fields, json, 3), expected);
        assert_eq!(types(InputFormat::Json, &["n"], json, 4), [Some(Json)]);
        assert_eq!(types(InputFormat::Json, &["n"], "", 4), [None]);
        let csv = "n,id,t,m,e\n1,007,x,1,\n-2.50,008,y,x,\n";
        let expected = [Some(Number), Some(Text), Some(Text), Some(Text), None];
        assert_eq!(types(InputFormat::Csv { delimiter: b',' }, &["n", "id", "t", "m", "e"], csv, 1000), expected);
        assert_eq!(types(InputFormat::Text, &["line"], "1\n", 1000), [Some(Text)]);
    }

    #[test]
    fn standard_input_is_not_read() {
        let input = input("-", InputFormat::Json);
        let listed: Arc<[Partition]> = partitions(&input, std::path::Path::new("")).unwrap().into();
        assert_eq!(sample(&input, std::path::Path::new(""), &listed, &paths(&["a"]), 1000).unwrap(), [None]);
    }
}
