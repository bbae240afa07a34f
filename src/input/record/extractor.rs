//! From a block to the fields of its records.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use memchr::memchr;
use unicode_segmentation::UnicodeSegmentation;

use crate::input::block::Block;
use crate::input::messages::Messages;
use crate::input::record::bad_record::BadRecord;
use crate::input::record::csv::ends::CsvEnds;
use crate::input::record::csv::fields::CsvFields;
use crate::input::record::decoding::{decode, decoded_length};
use crate::input::record::field::Field;
use crate::input::record::header::Header;
use crate::input::record::json::fields::JsonFields;
use crate::input::record::line::{BYTE_ORDER_MARK, trim_line_end};
use crate::input::record::message_fields::{MessageFields, NumberTexts};
use crate::input::record::sightings::Sightings;
use crate::input::record::steps::Steps;
use crate::input::record::text::LineFields;
use crate::job::field::FieldPath;
use crate::job::model::{Encoding, InputFormat, InputSpec};

/// Where a record is in its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPlace<'a> {
    /// The index of its first byte in the block.
    pub at: usize,
    /// Its number in the block, from 0.
    pub index: u64,
    /// Where it begins in the partition: the offset of its first byte, or that of the message.
    pub offset: u64,
    /// Its bytes in UTF-8, without the line's end.
    pub bytes: &'a [u8],
}

/// Splits blocks into records, and records into the requested fields.
#[derive(Debug, Clone)]
pub struct Extractor {
    format: Format,
    field_count: usize,
    /// What makes the requested fields of those of the record, if they are not the same.
    steps: Option<Steps>,
    encoding: Encoding,
    max_record_bytes: u64,
    sightings: Option<Arc<Sightings>>,
    /// The fields that no record has had so far.
    unseen: Vec<usize>,
    /// Those of messages.
    of_message: MessageFields,
}

/// The requested fields, by format.
#[derive(Debug, Clone)]
enum Format {
    Json(JsonFields),
    Csv(CsvFields),
    /// Whether each requested field is the line.
    Text(Vec<bool>),
    /// Whether each requested field is the word.
    Words(Vec<bool>),
    Lines(Box<LineFields>),
}

impl Extractor {
    /// Returns an extractor of `fields`. A record longer than `max_record_bytes` is bad.
    ///
    /// In JSON a path of several names is a field of nested objects; in CSV it is the column whose name has the dots.
    pub fn new(format: &InputFormat, fields: &[FieldPath], max_record_bytes: u64) -> Extractor {
        let is = |name: &str| fields.iter().map(|field| field.names == [name]).collect();
        let format = match format {
            InputFormat::Json => Format::Json(JsonFields::new(fields)),
            InputFormat::Csv { delimiter } => Format::Csv(CsvFields::new(*delimiter, fields)),
            InputFormat::Text => Format::Text(is("line")),
            InputFormat::Words => Format::Words(is("word")),
            InputFormat::Pattern(pattern) => Format::Lines(Box::new(LineFields::new(pattern, fields))),
        };
        let (sightings, unseen) = (None, Vec::new());
        Extractor {
            format,
            field_count: fields.len(),
            steps: None,
            encoding: Encoding::Utf8,
            max_record_bytes,
            sightings,
            unseen,
            of_message: MessageFields::default(),
        }
    }

    /// Returns an extractor of `fields`, which the records of `input` have or which are computed.
    pub fn of_input(input: &InputSpec, fields: &[FieldPath]) -> Extractor {
        match Steps::new(input, fields) {
            None => Extractor::of_record(input, fields),
            Some((steps, of_record)) => Extractor { steps: Some(steps), ..Extractor::of_record(input, &of_record) },
        }
    }

    /// Returns an extractor of `fields`, which the records of `input` have. Nothing is computed, and no text is null.
    pub fn of_record(input: &InputSpec, fields: &[FieldPath]) -> Extractor {
        let of_message = input.topic.as_ref().map(|_| MessageFields::new(fields)).unwrap_or_default();
        let extractor = Extractor::new(&input.format, fields, input.max_record_bytes);
        Extractor { encoding: input.encoding, of_message, ..extractor }
    }

    /// Notes in `sightings` which of the fields records have: of [`record_fields`](super::record_fields), those that
    /// the requested ones are or are computed from.
    #[must_use]
    pub fn noting(mut self, sightings: Arc<Sightings>) -> Extractor {
        self.unseen = (0..sightings.count()).collect();
        self.sightings = Some(sightings);
        self
    }

    /// Passes each record of `block` to `visit`: its fields in the order of the request, or what is wrong with it. See
    /// `split`.
    pub fn each(
        &mut self,
        block: &Block,
        mut visit: impl FnMut(RecordPlace<'_>, Result<&[Field<'_>], BadRecord>) -> bool,
    ) -> u64 {
        let Some(steps) = self.steps.take() else { return self.watch(block, visit) };
        let count = self.watch(block, |place, fields| match fields {
            Err(bad) => visit(place, Err(bad)),
            Ok(fields) => steps.apply(fields, |fields| visit(place, fields)),
        });
        self.steps = Some(steps);
        count
    }

    /// Splits `block`, and notes the fields that its records have.
    fn watch(
        &mut self,
        block: &Block,
        mut visit: impl FnMut(RecordPlace<'_>, Result<&[Field<'_>], BadRecord>) -> bool,
    ) -> u64 {
        if self.unseen.is_empty() {
            return self.split(block, visit);
        }
        let mut unseen = std::mem::take(&mut self.unseen);
        let before = unseen.clone();
        let mut has_records = false;
        let count = self.split(block, |place, fields| {
            if let Ok(fields) = &fields {
                has_records = true;
                unseen.retain(|field| matches!(fields[*field], Field::Missing));
            }
            visit(place, fields)
        });
        // A column may be empty in every record.
        if let Format::Csv(csv) = &self.format {
            unseen.retain(|field| !csv.has_column(*field));
        }
        if let Some(sightings) = self.sightings.as_ref().filter(|_| has_records) {
            sightings.see_record();
            before.iter().filter(|field| !unseen.contains(field)).for_each(|field| sightings.see(*field));
        }
        self.unseen = unseen;
        count
    }

    /// Passes each record of `block` to `visit`: its own fields, or what is wrong with it.
    ///
    /// The whole record is checked, so malformed JSON after the last requested field is found, too. Empty lines are
    /// records of [`InputFormat::Text`], and of nothing else. With [`InputFormat::Words`] a record is passed once for
    /// each word, with the same place. Stops when `visit` returns false. Returns the number of records, including the
    /// one at which it stopped.
    fn split(
        &mut self,
        block: &Block,
        mut visit: impl FnMut(RecordPlace<'_>, Result<&[Field<'_>], BadRecord>) -> bool,
    ) -> u64 {
        if let Some(messages) = &block.messages {
            return self.split_messages(block, messages, visit);
        }
        let decoded = decode(self.encoding, &block.bytes);
        let source = Text { block, encoding: self.encoding, decoded: decoded.as_deref() };
        let mut fields = vec![Field::Missing; self.field_count];
        let max_record_bytes = self.max_record_bytes;
        match &mut self.format {
            Format::Json(json) if json.is_direct() => lines(source, max_record_bytes, Skip::Blank, |place, text| {
                clear(&mut fields);
                let result = text.and_then(|text| json.extract(text, &mut fields));
                visit(place, result.map(|()| &*fields))
            }),
            Format::Json(json) => {
                let mut slots = vec![Field::Missing; json.slot_count()];
                lines(source, max_record_bytes, Skip::Blank, |place, text| {
                    clear(&mut slots);
                    let result = text.and_then(|text| json.extract(text, &mut slots));
                    for (field, slot) in fields.iter_mut().zip(json.slots()) {
                        *field = slots[*slot].clone();
                    }
                    visit(place, result.map(|()| &*fields))
                })
            }
            Format::Csv(csv) => {
                csv.select(block.header.as_ref().unwrap_or(&Arc::new(Header { names: Vec::new() })));
                let mut ends = CsvEnds::new(csv.delimiter);
                let next_end = |bytes: &[u8], from: usize| ends.next_end(bytes, from);
                records(source, max_record_bytes, Skip::Empty, next_end, |place, text| {
                    clear(&mut fields);
                    let result = text.and_then(|text| csv.extract(text, &mut fields));
                    visit(place, result.map(|()| &*fields))
                })
            }
            Format::Text(is_line) => lines(source, max_record_bytes, Skip::Nothing, |place, text| match text {
                Err(bad) => visit(place, Err(bad)),
                Ok(text) => {
                    set(&mut fields, is_line, text);
                    visit(place, Ok(&fields))
                }
            }),
            Format::Lines(line_fields) => lines(source, max_record_bytes, Skip::Empty, |place, text| {
                clear(&mut fields);
                let result = text.and_then(|text| line_fields.extract(text, &mut fields));
                visit(place, result.map(|()| &*fields))
            }),
            Format::Words(is_word) => lines(source, max_record_bytes, Skip::Empty, |place, text| match text {
                Err(bad) => visit(place, Err(bad)),
                Ok(text) => text.unicode_words().all(|word| {
                    set(&mut fields, is_word, word);
                    visit(place, Ok(&fields))
                }),
            }),
        }
    }
}

impl Extractor {
    /// Passes each message of `block` to `visit` like [`Extractor::split`] does a record. A message is one record.
    fn split_messages(
        &mut self,
        block: &Block,
        messages: &Messages,
        mut visit: impl FnMut(RecordPlace<'_>, Result<&[Field<'_>], BadRecord>) -> bool,
    ) -> u64 {
        if let Format::Csv(csv) = &mut self.format {
            csv.select(block.header.as_ref().unwrap_or(&Arc::new(Header { names: Vec::new() })));
        }
        for number in 0..messages.count() {
            let value = messages.value(number);
            let (at, bytes) = (value.start, trim_line_end(&block.bytes[value]));
            let place = RecordPlace { at, index: number as u64, offset: messages.offset(number), bytes };
            let numbers =
                if self.of_message.has_numbers() { NumberTexts::of(messages, number) } else { Default::default() };
            let mut fields = vec![Field::Missing; self.field_count];
            let checked = self.of_message.check_tombstone(messages, number).and_then(|()| self.check_bytes(bytes));
            let result = checked.and_then(|text| {
                if !messages.is_tombstone(number) {
                    self.format.extract(text, &mut fields)?;
                }
                self.of_message.fill(messages, number, &numbers, &mut fields)?;
                Ok(text)
            });
            let goes_on = match (result, &self.format) {
                (Err(bad), _) => visit(place, Err(bad)),
                (Ok(text), Format::Words(is_word)) if !messages.is_tombstone(number) => {
                    text.unicode_words().all(|word| {
                        set(&mut fields, is_word, word);
                        visit(place, Ok(&fields))
                    })
                }
                (Ok(_), _) => visit(place, Ok(&fields)),
            };
            if !goes_on {
                return number as u64 + 1;
            }
        }
        messages.count() as u64
    }

    /// Returns the text of a value that is not too long.
    fn check_bytes<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, BadRecord> {
        if bytes.len() as u64 > self.max_record_bytes {
            return Err(BadRecord { reason: format!("is longer than {} bytes", self.max_record_bytes) });
        }
        text(None, bytes, 0..0)
    }
}

impl Format {
    /// Sets the requested fields of the record `text`. Words are left out.
    fn extract<'a>(&mut self, text: &'a str, fields: &mut [Field<'a>]) -> Result<(), BadRecord> {
        match self {
            Format::Json(json) if json.is_direct() => json.extract(text, fields),
            Format::Json(json) => {
                let mut slots = vec![Field::Missing; json.slot_count()];
                json.extract(text, &mut slots)?;
                for (field, slot) in fields.iter_mut().zip(json.slots()) {
                    *field = slots[*slot].clone();
                }
                Ok(())
            }
            Format::Csv(csv) => {
                let end = CsvEnds::new(csv.delimiter).next_end(text.as_bytes(), 0);
                if end.is_some_and(|end| end < text.len()) {
                    return Err(BadRecord { reason: "has more than one row, expected one row per message".to_owned() });
                }
                csv.extract(text, fields)
            }
            Format::Text(is_line) => {
                set(fields, is_line, text);
                Ok(())
            }
            Format::Lines(line_fields) => line_fields.extract(text, fields),
            Format::Words(_) => Ok(()),
        }
    }
}

/// Makes all fields missing. Unlike `fill`, which clones, this compiles to a few stores.
#[inline(always)]
fn clear(fields: &mut [Field<'_>]) {
    for field in fields {
        *field = Field::Missing;
    }
}

fn set<'a>(fields: &mut [Field<'a>], is_wanted: &[bool], text: &'a str) {
    for (field, _) in fields.iter_mut().zip(is_wanted).filter(|(_, is_wanted)| **is_wanted) {
        *field = Field::Text(Cow::Borrowed(text));
    }
}

/// A block and, if it is not UTF-8, its text.
#[derive(Clone, Copy)]
struct Text<'a> {
    block: &'a Block,
    encoding: Encoding,
    decoded: Option<&'a str>,
}

/// Which lines are not records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skip {
    Nothing,
    /// Lines without a byte.
    Empty,
    /// Lines that have only white space.
    Blank,
}

/// Passes the lines of `block` to `visit`.
#[inline]
fn lines<'a>(
    source: Text<'a>,
    max_record_bytes: u64,
    skip: Skip,
    visit: impl FnMut(RecordPlace<'a>, Result<&'a str, BadRecord>) -> bool,
) -> u64 {
    let next_end = |bytes: &[u8], from: usize| memchr(b'\n', &bytes[from..]).map(|length| from + length + 1);
    records(source, max_record_bytes, skip, next_end, visit)
}

/// Passes the records of `block`, whose ends `next_end` finds, to `visit`: their text, or what is wrong with them.
#[inline]
fn records<'a>(
    source: Text<'a>,
    max_record_bytes: u64,
    skip: Skip,
    mut next_end: impl FnMut(&[u8], usize) -> Option<usize>,
    mut visit: impl FnMut(RecordPlace<'a>, Result<&'a str, BadRecord>) -> bool,
) -> u64 {
    let Text { block, encoding, decoded } = source;
    let bytes = block.bytes.as_slice();
    // The index of the next byte, and of its character in the decoded text.
    let mut reached = (0, 0);
    // Checking all bytes at once is faster. If that fails, each record is checked by itself.
    let whole = if decoded.is_some() { None } else { std::str::from_utf8(bytes).ok() };
    let mut next = if block.offset == 0 && bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut index = 0;
    while next < bytes.len() {
        let at = next;
        next = next_end(bytes, at).unwrap_or(bytes.len());
        let record = trim_line_end(&bytes[at..next]);
        let is_skipped = match record.first() {
            None => skip != Skip::Nothing || (at == 0 && block.continues_line),
            Some(first) => skip == Skip::Blank && first.is_ascii_whitespace() && record.trim_ascii().is_empty(),
        };
        if is_skipped {
            continue;
        }
        let decoded = decoded.map(|decoded| {
            let start = reached.1 + decoded_length(encoding, &bytes[reached.0..at]);
            reached = (at + record.len(), start + decoded_length(encoding, record));
            &decoded[start..reached.1]
        });
        let offset = block.offset + at as u64;
        let place = RecordPlace { at, index, offset, bytes: decoded.map_or(record, str::as_bytes) };
        index += 1;
        let text = if record.len() as u64 > max_record_bytes {
            Err(BadRecord { reason: format!("is longer than {max_record_bytes} bytes") })
        } else {
            decoded.map_or_else(|| text(whole, record, at..at + record.len()), Ok)
        };
        if !visit(place, text) {
            break;
        }
    }
    index
}

#[inline]
fn text<'a>(whole: Option<&'a str>, record: &'a [u8], range: Range<usize>) -> Result<&'a str, BadRecord> {
    match whole.and_then(|whole| whole.get(range)) {
        Some(text) => Ok(text),
        None => std::str::from_utf8(record)
            .map_err(|error| BadRecord { reason: format!("invalid UTF-8 at byte {}", error.valid_up_to()) }),
    }
}

#[cfg(test)]
mod tests;
