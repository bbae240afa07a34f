//! A job file for an input that nobody has described yet, with comments that say what to edit.

use std::path::Path;

use crate::job::{FieldPath, InputFormat};
use crate::runner::survey::{SeenField, Survey};
use crate::values::units::{Count, shown};
use crate::values::value::ColumnType;
use crate::values::yaml::quote;

/// How many fields the comment lists, and how many are summed.
const MAX_LISTED: usize = 30;
const MAX_SUMS: usize = 3;

/// Words in the names of fields that group records.
const KEY_WORDS: [&str; 12] =
    ["user", "customer", "account", "client", "device", "sensor", "session", "host", "ip", "email", "name", "id"];

/// What a job file is made from.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The name of the job.
    pub name: &'a str,
    /// The name of the job file, for the commands in comments.
    pub file: &'a Path,
    /// Paths and globs, relative to the job file.
    pub files: &'a [String],
    pub format: &'a InputFormat,
    pub survey: &'a Survey,
}

impl Draft<'_> {
    /// Returns the text of the job file.
    pub fn text(&self) -> String {
        let file = shown(&self.file.display().to_string());
        let mut text = format!(
            "# A job for ckpt. Edit what is marked, and then:\n\
             #   ckpt check {file}     says what a run would do\n\
             #   ckpt run {file}       runs it, or continues it after a stop or a crash\n\
             \n\
             job: {}\n\
             \n\
             # EDIT: a glob such as data/*.csv includes files that appear later.\n\
             input:\n",
            quote(self.name)
        );
        match self.files {
            [only] => text += &format!("  files: {}\n", literal(only)),
            files => {
                text += "  files:\n";
                files.iter().for_each(|file| text += &format!("    - {}\n", literal(file)));
            }
        }
        text += &format!("  format: {}\n", self.format.name());
        match self.format {
            InputFormat::Csv { delimiter } => {
                text += &format!("  delimiter: {}\n", quote(&char::from(*delimiter).to_string()));
            }
            InputFormat::Words => text += "  split: words\n",
            InputFormat::Pattern(pattern) => text += &format!("  pattern: {}\n", literal(pattern.text())),
            InputFormat::Json | InputFormat::Text => {}
        }
        let key = self.key();
        let sums = self.sums(key);
        let is_missing = key.is_some_and(|key| key.count < self.good_records());
        let has_bad = self.survey.bad > 0 || is_missing || sums.iter().any(|field| field.odd > 0);
        text += match has_bad {
            false => {
                "  # A bad record stops the run. To leave out a few, and to collect them:\n  # on_error: {dead_letter: bad-records.jsonl, max: 1%}\n\n"
            }
            true => {
                "  # EDIT: some of the first records are bad. They are left out, and collected in this file. `max: 1%` limits them.\n  on_error: {dead_letter: bad-records.jsonl}\n\n"
            }
        };
        self.add_fields(&mut text);
        self.add_key(&mut text, key);
        self.add_process(&mut text, key, &sums);
        text += "# A run keeps its state here every minute, and continues from it.\ncheckpoint:\n  schedule: 1m\n";
        text += &format!("  store: {}\n\n", quote(&format!("checkpoints/{}", self.name)));
        text += "# EDIT: `format: csv` or `parquet`; `emit: changes` publishes the changed rows with each checkpoint.\n\
                 output:\n  files: out/\n  format: json\n";
        text
    }

    fn add_fields(&self, text: &mut String) {
        let Survey { records, bad, fields } = self.survey;
        if fields.is_empty() {
            return;
        }
        *text += &match records {
            1 => "# The fields in the only record".to_owned(),
            records => format!("# The fields in the first {} records", Count(*records)),
        };
        if *bad > 0 {
            *text += &format!(", {} of which are malformed", Count(*bad));
        }
        *text += ":\n";
        for field in fields.iter().take(MAX_LISTED) {
            if field.count == 0 {
                *text += &format!("#   {}: missing in all of them\n", shown(&field.path.to_string()));
                continue;
            }
            let kind = match (field.time, field.column_type) {
                (Some(_), _) => "time",
                (None, column_type) => column_type.name(),
            };
            let missing = match records - bad - field.count {
                0 => String::new(),
                missing => format!(", missing in {}", Count(missing)),
            };
            let odd = match field.odd {
                0 => String::new(),
                odd => format!(", {} of other types", Count(odd)),
            };
            *text += &format!(
                "#   {}: {kind}{odd}, {} different{missing}, such as {}\n",
                shown(&field.path.to_string()),
                Count(field.distinct as u64),
                field.example
            );
        }
        if fields.len() > MAX_LISTED {
            *text += &format!("#   and {} more\n", fields.len() - MAX_LISTED);
        }
        *text += "\n";
    }

    fn add_key(&self, text: &mut String, key: Option<&SeenField>) {
        if *self.format == InputFormat::Words {
            *text += "# Each word is a row.\nkey: word\n\n";
            return;
        }
        let Some(key) = key else {
            *text +=
                "# No field groups the records, so each file is a row. EDIT: `key: FIELD` for a row per value.\n\n";
            return;
        };
        let others: Vec<String> =
            self.keys().into_iter().skip(1).take(5).map(|field| shown(&field.path.to_string())).collect();
        *text += "# EDIT: records with the same value of this field are one row.";
        if !others.is_empty() {
            *text += &format!(" Others that may fit: {}.", others.join(", "));
        }
        *text += &format!("\nkey: {}\n\n", literal(&key.path.to_string()));
    }

    /// Returns the fields to add up.
    fn sums(&self, key: Option<&SeenField>) -> Vec<&SeenField> {
        let is_amount = |field: &&SeenField| {
            // Numbers that are all different, and have no fraction, are names of something.
            let is_name = is_id(field) || field.distinct as u64 == field.count && !field.example.contains('.');
            let is_common = field.count * 2 >= self.good_records();
            field.column_type == ColumnType::Number && field.time.is_none() && is_common && !is_name
        };
        let is_key = |field: &SeenField| key.is_some_and(|key| key.path == field.path);
        self.survey.fields.iter().filter(is_amount).filter(|field| !is_key(field)).take(MAX_SUMS).collect()
    }

    fn add_process(&self, text: &mut String, key: Option<&SeenField>, sums: &[&SeenField]) {
        let key_path = key.map(|key| &key.path);
        let mut columns = Columns::new(key_path, *self.format == InputFormat::Words);
        *text += "# EDIT: what to compute for each row: count, sum, avg, min, max, first, last,\n# approx_distinct, approx_quantile.\n\
                  process:\n  aggregate:\n";
        *text += &format!("    {}: count\n", columns.name("records"));
        let fields = || self.survey.fields.iter().filter(|field| Some(&field.path) != key_path && field.count > 0);
        for field in sums {
            let name = columns.name(&format!("{}_sum", field.path.last_name()));
            *text += &format!("    {name}: {}\n", literal(&format!("sum({})", field.path)));
        }
        // Of the times that most records have, the first.
        let time = fields().filter(|field| field.time.is_some()).rev().max_by_key(|field| field.count);
        if let Some(time) = time {
            let name = columns.name(&format!("last_{}", time.path.last_name()));
            *text += &format!("    {name}: {}\n", literal(&format!("max({})", time.path)));
            if key.is_some() {
                let unit = match time.time {
                    Some(unit) if time.column_type == ColumnType::Number => format!(", unit: {}", unit.name()),
                    _ => String::new(),
                };
                let field = literal(&time.path.to_string());
                *text += &format!(
                    "  # For a row per hour, with the time of the record:\n  # window: {{time: {field}{unit}, every: 1h}}\n"
                );
            }
        }
        *text += "\n";
    }

    fn good_records(&self) -> u64 {
        self.survey.records - self.survey.bad
    }

    fn key(&self) -> Option<&SeenField> {
        self.keys().into_iter().next()
    }

    /// Returns the fields that may group the records, the likeliest first: nearly every record has them, and
    /// values repeat.
    fn keys(&self) -> Vec<&SeenField> {
        let good = self.good_records();
        let may_group = |field: &&SeenField| {
            let is_scalar = matches!(field.column_type, ColumnType::Text | ColumnType::Number);
            let repeats = field.distinct > 1 && (field.distinct as u64) < good;
            let is_whole = field.column_type == ColumnType::Text || is_id(field);
            is_scalar && is_whole && repeats && field.count * 20 >= good * 19 && field.time.is_none()
        };
        let mut keys: Vec<&SeenField> = self.survey.fields.iter().filter(may_group).collect();
        let rank = |field: &SeenField| {
            let names = field.path.names.join("_").to_lowercase();
            let mut words = names.split(|c: char| !c.is_alphanumeric());
            let is_likely = words.any(|word| KEY_WORDS.contains(&word));
            // Too many values hardly group, and too few hardly tell apart.
            let repeats = field.distinct as u64 * 2 <= good;
            (!is_likely, !repeats, std::cmp::Reverse(field.distinct))
        };
        keys.sort_by_key(|field| rank(field));
        keys
    }
}

/// Returns whether a field has numbers that name something, and so are not summed.
fn is_id(field: &SeenField) -> bool {
    let name = field.path.last_name().to_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    words.any(|word| matches!(word, "id" | "no" | "number" | "zip" | "code" | "year" | "port" | "status"))
}

/// Returns a name for a job that reads `input`: that of the file, without extensions, numbers and globs at its end.
pub fn job_name(input: &str) -> String {
    let name = input.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let stem: String = stem.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(60).collect();
    let stem = stem.trim_matches(['-', '_']);
    if stem.is_empty() { "job".to_owned() } else { stem.to_owned() }
}

/// Names of columns that are valid and different.
struct Columns {
    used: Vec<String>,
}

impl Columns {
    fn new(key: Option<&FieldPath>, is_words: bool) -> Columns {
        let key = key.map_or(if is_words { "word" } else { "partition" }, FieldPath::last_name);
        let reserved = ["task", "key", "deleted", "op", "event_time", "window_start", "window_end"];
        Columns { used: reserved.into_iter().chain([key]).map(str::to_lowercase).collect() }
    }

    fn name(&mut self, wanted: &str) -> String {
        let mut name: String = wanted.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).take(80).collect();
        if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            name.insert(0, '_');
        }
        while self.used.contains(&name.to_lowercase()) {
            name.push('_');
        }
        self.used.push(name.to_lowercase());
        quote(&name)
    }
}

/// Writes text that is not meant to have variables.
fn literal(text: &str) -> String {
    quote(&text.replace("${", "$${"))
}
