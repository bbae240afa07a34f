//! `input:`

use std::fmt;
use std::path::PathBuf;

use crate::job::field::FieldPath;
use crate::job::model::number_form::NumberForm;
use crate::job::model::pattern::LinePattern;
use crate::job::model::topic::TopicSpec;
use crate::values::value::ColumnType;

/// `input:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSpec {
    /// `files:` a path, a glob, the URL of an object or a glob of URLs, or a list of them without duplicates; a lone `-`
    /// is standard input.
    pub files: Vec<String>,
    /// `kafka:` a topic, which is read instead of files.
    pub topic: Option<TopicSpec>,
    /// `format: json | csv | text`. The default follows from the extension of the files, before `.gz` or `.zst`:
    /// `.jsonl`, `.ndjson` and `.json`; `.csv` and `.tsv`; `.txt` and `.log`.
    pub format: InputFormat,
    /// `types:` of fields for `min`, `max`, `first` and `last`: `number`, `text`, `bool`, `int` or `json`. The first
    /// records decide the others.
    pub types: Vec<(FieldPath, ColumnType)>,
    /// `on_error:` default `fail`.
    pub on_error: OnError,
    /// `on_error: max:` the bad records that are too many; default none.
    pub max_bad: Option<MaxBad>,
    /// `on_gone:` default `stop`.
    pub on_gone: OnGone,
    /// `max_record_bytes:` default 16 MiB. A longer record is a bad record.
    pub max_record_bytes: u64,
    /// `follow:` whether to keep reading files as they grow; default false. A topic is followed unless it is read
    /// `until: latest`.
    pub follow: bool,
    /// `let:` at the top of the job file: fields that are computed of each record, in order.
    pub computed: Vec<ComputedField>,
    /// `nulls:` texts that stand for a missing value.
    pub nulls: Vec<String>,
    /// `numbers:` how numbers are written.
    pub numbers: Option<NumberForm>,
    /// `encoding:` default UTF-8.
    pub encoding: Encoding,
}

/// What the bytes of text stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// ISO 8859-1.
    Latin1,
    Windows1252,
}

impl Encoding {
    /// The encodings with their names in job files.
    pub const NAMED: [(&str, Encoding); 3] =
        [("utf-8", Encoding::Utf8), ("latin-1", Encoding::Latin1), ("windows-1252", Encoding::Windows1252)];

    /// Returns the value of `encoding:` in a job file.
    pub fn name(self) -> &'static str {
        Encoding::NAMED.iter().find(|(_, encoding)| *encoding == self).map_or("", |(name, _)| name)
    }
}

/// `let:` a field that is computed from the fields of a record and the computed ones before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedField {
    pub name: String,
    /// What the expression uses: fields of the record, and computed fields before this one.
    pub fields: Vec<FieldPath>,
    /// In the language of `where:`, with exact numbers.
    pub expression: String,
}

/// How the bytes of a partition are split into records, and records into fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFormat {
    /// One JSON object per line.
    Json,
    /// RFC 4180 with a header line that names the fields. `delimiter:` default `,`, or a tab for `.tsv`.
    Csv { delimiter: u8 },
    /// Each line is a record with the single field `line`.
    Text,
    /// `format: text` with `split: words`: each line is a record, and each of its words (Unicode, UAX 29) is applied
    /// with the single field `word`.
    Words,
    /// `format: text` with `pattern:` each line is a record with the fields of the pattern.
    Pattern(LinePattern),
}

/// What happens to a bad record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnError {
    /// The run stops and reports it.
    Fail,
    /// It is counted and skipped.
    Skip,
    /// `dead_letter: FILE`: it is counted, skipped, and appended to a file.
    DeadLetter(PathBuf),
}

/// How many bad records a job may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxBad {
    /// `max: 100`
    Records(u64),
    /// `max: 1%` of all records, in millionths.
    Share(u32),
}

impl MaxBad {
    /// Returns whether `bad` of `records` are more than that.
    pub fn is_exceeded(self, bad: u64, records: u64) -> bool {
        match self {
            MaxBad::Records(max) => bad > max,
            MaxBad::Share(millionths) => u128::from(bad) * 1_000_000 > u128::from(records) * u128::from(millionths),
        }
    }

    /// Parses a number of records, or a percentage with up to four decimal places.
    pub fn parse(text: &str) -> Option<MaxBad> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.to_owned());
        let Some(percent) = text.strip_suffix('%') else {
            return digits(text)?.parse().ok().filter(|records| *records > 0).map(MaxBad::Records);
        };
        let (whole, fraction) = percent.trim_end().split_once('.').unwrap_or((percent.trim_end(), "0"));
        let fraction = digits(fraction).filter(|fraction| (1..=4).contains(&fraction.len()))?;
        let whole = digits(whole).filter(|whole| !whole.is_empty())?;
        let millionths: u32 = format!("{whole}{fraction:0<4}").parse().ok()?;
        (1..1_000_000).contains(&millionths).then_some(MaxBad::Share(millionths))
    }
}

impl fmt::Display for MaxBad {
    /// Writes it as in a job file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaxBad::Records(max) => write!(f, "{max}"),
            MaxBad::Share(millionths) => {
                let text = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
                write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// What happens when a file is gone that was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGone {
    /// The run stops and reports it.
    Stop,
    /// The run warns and continues without it.
    Warn,
}

impl InputFormat {
    /// Returns the value of `format:` in a job file. All kinds of text have the same one.
    pub fn name(&self) -> &'static str {
        match self {
            InputFormat::Json => "json",
            InputFormat::Csv { .. } => "csv",
            InputFormat::Text | InputFormat::Words | InputFormat::Pattern(_) => "text",
        }
    }

    /// Returns the names of the fields that a record can have. Returns `None` if the job file does not tell them.
    pub fn field_names(&self) -> Option<Vec<String>> {
        match self {
            InputFormat::Json | InputFormat::Csv { .. } => None,
            InputFormat::Text => Some(vec!["line".to_owned()]),
            InputFormat::Words => Some(vec!["word".to_owned()]),
            InputFormat::Pattern(pattern) => pattern.field_names(),
        }
    }

    /// Returns whether the fields have no types of their own, so that text which is a number is one.
    pub fn has_numbers_in_text(&self) -> bool {
        matches!(self, InputFormat::Csv { .. } | InputFormat::Pattern(_))
    }
}
