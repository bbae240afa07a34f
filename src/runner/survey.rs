//! What the first records of an input look like, for a job file that does not exist yet.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::input::record::{Extractor, Field, is_number, logfmt_pairs};
use crate::input::{BlockReader, InputError, Source, one_per_file, partitions};
use crate::job::{EventTime, FieldPath, InputFormat, JobSpec, LinePattern, TimeUnit};
use crate::runner::process::event_time::TimeReader;
use crate::values::decimal::Decimal;
use crate::values::units::shown;
use crate::values::value::ColumnType;

/// How many records are read.
const MAX_RECORDS: u64 = 1_000;

/// How many blocks are read, in case the records are long.
const MAX_BLOCKS: usize = 64;

/// How many fields are described.
const MAX_FIELDS: usize = 200;

/// How deep nested objects are followed.
const MAX_DEPTH: usize = 4;

/// The years 2000 to 2100, in milliseconds. A number outside of them is not taken for a time.
const LIKELY_MILLIS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

/// What the first records look like.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// How many were read, malformed ones included.
    pub records: u64,
    /// How many are malformed.
    pub bad: u64,
    /// In the order in which they were found.
    pub fields: Vec<SeenField>,
}

/// A field of the first records.
#[derive(Debug, Clone)]
pub struct SeenField {
    pub path: FieldPath,
    /// `Json` if the values have several types, or are objects or arrays. `Number` if nearly all are numbers.
    pub column_type: ColumnType,
    /// How many values of a field of numbers are not numbers.
    pub odd: u64,
    /// How many records have it.
    pub count: u64,
    /// How many different values it has.
    pub distinct: usize,
    /// If its values are times, the unit of numbers. For text the unit does not matter.
    pub time: Option<TimeUnit>,
    /// The beginning of the first value.
    pub example: String,
}

/// Reads the first records of the input of `job`. Standard input is not read.
pub fn survey(job: &JobSpec) -> Result<Survey, InputError> {
    let input = &job.input;
    let partitions = one_per_file(partitions(input, &job.base)?, &job.base, |_| false);
    let mut survey = Survey::default();
    if partitions.iter().any(|partition| partition.source == Source::Stdin) {
        return Ok(survey);
    }
    let mut fields = Fields { format: &input.format, seen: Vec::new(), places: HashMap::new() };
    let mut reader = BlockReader::new(input, partitions.into(), &[], 0)?;
    let mut buffer = Vec::new();
    for _ in 0..MAX_BLOCKS {
        let Some(block) = reader.next(buffer)? else { break };
        let names = match (&block.header, &input.format) {
            (Some(header), _) => header.names.clone(),
            (None, InputFormat::Pattern(pattern)) => pattern.field_names().unwrap_or_default(),
            (None, _) => Vec::new(),
        };
        let names: Vec<FieldPath> = names.iter().filter(|name| !name.is_empty()).map(FieldPath::of).collect();
        names.iter().for_each(|name| _ = fields.place(name));
        Extractor::new(&input.format, &names, input.max_record_bytes).each(&block, |place, values| {
            match values {
                Err(_) => survey.bad += 1,
                Ok(_) if input.format == InputFormat::Json => match serde_json::from_slice(place.bytes) {
                    Ok(value) => fields.add_json(&mut Vec::new(), &value),
                    Err(_) => survey.bad += 1,
                },
                Ok(_) if input.format == InputFormat::Pattern(LinePattern::Logfmt) => {
                    let text = String::from_utf8_lossy(place.bytes);
                    for (name, value) in logfmt_pairs(&text).iter().filter(|(name, _)| !name.is_empty()) {
                        fields.add(&FieldPath::of(*name), &Field::Text(value.clone()));
                    }
                }
                Ok(values) => names.iter().zip(values).for_each(|(name, value)| fields.add(name, value)),
            }
            survey.records += 1;
            survey.records < MAX_RECORDS
        });
        if survey.records >= MAX_RECORDS {
            break;
        }
        buffer = block.bytes;
    }
    survey.fields = fields.seen.into_iter().map(Seen::finish).collect();
    Ok(survey)
}

/// Returns the named pattern that the first lines of the input of `job`, which is text, have, with their survey.
pub fn recognize(job: &JobSpec) -> Result<Option<(LinePattern, Survey)>, InputError> {
    for (_, pattern) in LinePattern::NAMED {
        let mut job = job.clone();
        job.input.format = InputFormat::Pattern(pattern.clone());
        let survey = survey(&job)?;
        if survey.is_of(&pattern) {
            return Ok(Some((pattern, survey)));
        }
    }
    Ok(None)
}

impl Survey {
    /// Returns whether nearly all records fit `pattern`, and it is likely to be meant.
    fn is_of(&self, pattern: &LinePattern) -> bool {
        let good = self.records - self.bad;
        if good == 0 || self.bad * 20 > self.records {
            return false;
        }
        let of = |name: &str| self.fields.iter().find(|field| field.path == FieldPath::of(name));
        let count = |name: &str| of(name).map_or(0, |field| field.count);
        match pattern {
            // Prose may have an `=`, and a name without one is `true`, but not the same names again and again.
            LinePattern::Logfmt => {
                let is_steady = |field: &&SeenField| field.count * 10 >= good * 9 && field.example != "true";
                self.fields.iter().filter(is_steady).count() > 1
            }
            // Any text that follows a time could be a host and a message.
            LinePattern::Rfc3164 => {
                let is_classic = of("time").is_some_and(|time| time.time.is_none());
                count("app") * 2 >= good && (is_classic || count("pid") > 0)
            }
            LinePattern::Common | LinePattern::Combined | LinePattern::Rfc5424 | LinePattern::Regex(_) => true,
        }
    }
}

/// The fields that were found so far.
struct Fields<'a> {
    format: &'a InputFormat,
    seen: Vec<Seen>,
    places: HashMap<FieldPath, usize>,
}

/// The values of a field.
struct Seen {
    field: SeenField,
    column_type: Option<ColumnType>,
    numbers: u64,
    hashes: HashSet<u64>,
    /// The units in which all values are times.
    times: Vec<(TimeUnit, TimeReader)>,
}

impl Fields<'_> {
    /// Returns the place of a field in the list, or nothing if the list is full.
    fn place(&mut self, path: &FieldPath) -> Option<usize> {
        if let Some(place) = self.places.get(path) {
            return Some(*place);
        }
        if self.seen.len() == MAX_FIELDS {
            return None;
        }
        let times = TimeUnit::ALL.map(|unit| {
            let time = EventTime { field: path.clone(), unit };
            (unit, TimeReader::new(&time, self.format))
        });
        let field = SeenField {
            path: path.clone(),
            column_type: ColumnType::Json,
            odd: 0,
            count: 0,
            distinct: 0,
            time: None,
            example: String::new(),
        };
        self.seen.push(Seen { field, column_type: None, numbers: 0, hashes: HashSet::new(), times: times.to_vec() });
        self.places.insert(path.clone(), self.seen.len() - 1);
        Some(self.seen.len() - 1)
    }

    /// Adds the members of an object, and those of the objects in it.
    fn add_json(&mut self, names: &mut Vec<String>, value: &Value) {
        let path = || FieldPath { names: names.clone() };
        match value {
            Value::Null => {}
            Value::Object(members) if names.len() < MAX_DEPTH => {
                for (name, value) in members.iter().filter(|(name, _)| !name.is_empty()) {
                    names.push(name.clone());
                    self.add_json(names, value);
                    names.pop();
                }
            }
            Value::String(text) => self.add(&path(), &Field::Text(text.into())),
            Value::Number(number) => self.add(&path(), &Field::Number(&number.to_string())),
            Value::Bool(value) => self.add(&path(), &Field::Bool(*value)),
            Value::Array(_) | Value::Object(_) => self.add(&path(), &Field::Json(&value.to_string())),
        }
    }

    fn add(&mut self, path: &FieldPath, value: &Field<'_>) {
        let has_text_only = *self.format != InputFormat::Json;
        let (found, text) = match value {
            Field::Missing => return,
            Field::Text(text) if has_text_only && is_exact(text) => (ColumnType::Number, text.to_string()),
            Field::Text(text) => (ColumnType::Text, text.to_string()),
            Field::Number(text) if is_exact(text) => (ColumnType::Number, (*text).to_owned()),
            Field::Number(text) | Field::Json(text) => (ColumnType::Json, (*text).to_owned()),
            Field::Bool(value) => (ColumnType::Bool, value.to_string()),
        };
        let Some(place) = self.place(path) else { return };
        let seen = &mut self.seen[place];
        seen.column_type = match seen.column_type {
            None => Some(found),
            Some(known) if known == found => Some(known),
            Some(_) if has_text_only => Some(ColumnType::Text),
            Some(_) => Some(ColumnType::Json),
        };
        if seen.field.count == 0 {
            seen.field.example = shown(&text.chars().take(40).collect::<String>());
        }
        seen.field.count += 1;
        seen.numbers += u64::from(found == ColumnType::Number);
        seen.hashes.insert(xxh3_64(text.as_bytes()));
        let is_text = found == ColumnType::Text;
        seen.times.retain(|(_, time)| time.millis(value).is_ok_and(|time| is_text || LIKELY_MILLIS.contains(&time)));
    }
}

impl Seen {
    fn finish(self) -> SeenField {
        let mut column_type = self.column_type.unwrap_or(ColumnType::Json);
        let may_be_numbers = self.numbers > 0 && self.numbers * 20 >= self.field.count * 19;
        if may_be_numbers {
            column_type = ColumnType::Number;
        }
        let may_be_time = self.field.count > 0 && matches!(column_type, ColumnType::Text | ColumnType::Number);
        SeenField {
            column_type,
            odd: if may_be_numbers { self.field.count - self.numbers } else { 0 },
            distinct: self.hashes.len(),
            time: self.times.first().filter(|_| may_be_time).map(|(unit, _)| *unit),
            ..self.field
        }
    }
}

/// Returns whether `text` is a number as JSON spells it, and within the bounds of exact numbers.
fn is_exact(text: &str) -> bool {
    is_number(text) && Decimal::parse(text.as_bytes()).is_ok()
}
