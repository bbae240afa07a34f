//! `input:`

use std::path::Path;

use crate::format::limits::MAX_VALUE_BYTES;
use crate::input::names;
use crate::job::known_fields::KnownFields;
use crate::job::model::{
    ComputedField, Encoding, InputFormat, InputSpec, JobSpec, MaxBad, NumberForm, OnError, OnGone,
};
use crate::job::read::pattern::pattern;
use crate::job::read::scalar::{bytes, choose, object_or_path, path_text};
use crate::job::read::section::{Mistakes, Result, Section, mark_of, unfit};
use crate::job::read::types;
use crate::job::read::types::TypedField;
use crate::job::read::{cleaning, computed};
use crate::values::units;
use crate::values::url::is_url;
use crate::values::yaml::{Kind, Node};

const DEFAULT_RECORD_BYTES: u64 = 16 * 1024 * 1024;
const MAX_RECORD_BYTES: u64 = MAX_VALUE_BYTES as u64;
const FILES: &str = "a path, a glob or a list of them";

/// Reads the input, with the fields that `let:` computes. Returns the entries of `types:` with their places, too:
/// whether they fit depends on the aggregates.
///
/// If the names of the files must show the format, those that match below `base` do.
pub(super) fn read(node: &Node, computed: Option<&Node>, base: &Path) -> Result<(InputSpec, Vec<TypedField>)> {
    let is_short = !matches!(node.kind, Kind::Map(_));
    let section = if is_short { Section::empty("input", node) } else { Section::new("input", node, FILES)? };
    let mut mistakes = Mistakes::default();
    let files_node = if is_short { Ok(node) } else { section.require("files", FILES) };
    let listed = mistakes.get(files_node.and_then(|node| Ok((node, files(node)?))));
    let format = listed.as_ref().and_then(|(node, files)| mistakes.get(format(&section, node, files, base)));
    let fields = format.map(|format| fields(&section, computed, format, &mut mistakes));
    let on_error = mistakes.get(section.get("on_error").map_or(Ok((OnError::Fail, None)), on_error));
    let gone = [("stop", OnGone::Stop), ("warn", OnGone::Warn)];
    let on_gone = section.get("on_gone").map_or(Ok(OnGone::Stop), |node| choose(node, "on_gone", &gone));
    let on_gone = mistakes.get(on_gone);
    let max_record_bytes = section.get("max_record_bytes").map_or(Ok(DEFAULT_RECORD_BYTES), max_record_bytes);
    let max_record_bytes = mistakes.take(max_record_bytes);
    let files = listed.map(|(_, files)| files);
    let follow =
        mistakes.take(section.get("follow").map_or(Ok(false), |node| follow(node, files.as_deref().unwrap_or(&[]))));
    mistakes.none()?;
    let (Some(files), Some(fields), Some((on_error, max_bad)), Some(on_gone)) = (files, fields, on_error, on_gone)
    else {
        unreachable!("what could not be read is a mistake");
    };
    let Fields { format, computed, encoding, nulls, numbers, typed } = fields;
    let types = typed.iter().map(|typed| (typed.field.clone(), typed.column_type)).collect();
    let input = InputSpec {
        files,
        format,
        types,
        on_error,
        max_bad,
        on_gone,
        max_record_bytes,
        follow,
        computed,
        nulls,
        numbers,
        encoding,
    };
    Ok((input, typed))
}

/// The fields of records, and how they are read.
struct Fields {
    format: InputFormat,
    computed: Vec<ComputedField>,
    encoding: Encoding,
    nulls: Vec<String>,
    numbers: Option<NumberForm>,
    typed: Vec<TypedField>,
}

fn fields(section: &Section<'_>, computed: Option<&Node>, format: InputFormat, mistakes: &mut Mistakes) -> Fields {
    let encoding = mistakes.get(cleaning::encoding(section.get("encoding"), &format)).unwrap_or(Encoding::Utf8);
    let nulls = mistakes.take(cleaning::nulls(section.get("nulls"), &format));
    let numbers = mistakes.take(cleaning::numbers(section.get("numbers"), &format));
    let computed = mistakes.get(computed::read(computed, &format));
    let typed = computed.as_ref().map_or(Vec::new(), |computed| {
        let known = KnownFields::OfRecords { format: &format, computed };
        mistakes.take(types::read(section.get("types"), known))
    });
    let computed = computed.unwrap_or_default();
    Fields { format, computed, encoding, nulls, numbers, typed }
}

fn max_record_bytes(node: &Node) -> Result<u64> {
    match bytes(node)? {
        bytes @ 1..=MAX_RECORD_BYTES => Ok(bytes),
        _ => Err(node.wrong("a size from 1 byte to 32MiB")),
    }
}

fn follow(node: &Node, files: &[String]) -> Result<bool> {
    if !node.boolean()? {
        return Ok(false);
    }
    if files.iter().any(|file| file == "-") {
        return Err(node.unfit("standard input cannot be followed: it is read until it is closed; remove `follow`"));
    }
    if let Some(file) = files.iter().find(|file| is_url(Path::new(file))) {
        let shown = units::shown(file);
        let reason = "objects never grow; remove `follow`, and run the job again to read new objects";
        return Err(node.unfit(format!("`{shown}` cannot be followed: {reason}")));
    }
    let is_packed = |file: &&String| [".gz", ".zst"].iter().any(|ending| file.to_ascii_lowercase().ends_with(ending));
    if let Some(file) = files.iter().find(is_packed) {
        let shown = units::shown(file);
        return Err(node.unfit(format!("`{shown}` is compressed; compressed files cannot be followed")));
    }
    Ok(true)
}

fn files(node: &Node) -> Result<Vec<String>> {
    let nodes = match &node.kind {
        // YAML reads a lone dash as a list with nothing in it.
        Kind::List(items) if items.len() == 1 && items[0].is_null() => {
            return Err(node.unfit("for standard input, put the `-` in quotes: `files: \"-\"`"));
        }
        Kind::List(items) if items.is_empty() => return Err(node.wrong(&format!("{FILES}, not empty"))),
        Kind::List(items) => items.as_slice(),
        Kind::Scalar(_) => std::slice::from_ref(node),
        Kind::Map(_) => return Err(node.wrong(FILES)),
    };
    let mut files: Vec<String> = Vec::new();
    for node in nodes {
        let file = path_text(node, "a path or a glob")?;
        if file == "-" && nodes.len() > 1 {
            return Err(node.unfit("standard input, `-`, cannot be read together with other files"));
        }
        if is_url(Path::new(file)) {
            check_address(node, file)?;
        }
        if files.iter().any(|before| before == file) {
            return Err(node.unfit(format!("{node} is listed twice")));
        }
        files.push(file.to_owned());
    }
    Ok(files)
}

/// Refuses what cannot be the address of an object, or a glob over objects.
fn check_address(node: &Node, address: &str) -> Result<()> {
    #[cfg(not(feature = "s3"))]
    let parsed: std::result::Result<(), String> = Err(crate::values::url::WITHOUT_S3.to_owned());
    #[cfg(feature = "s3")]
    let parsed = crate::input::object::url::ObjectUrl::parse(address).map(drop);
    parsed.map_err(|reason| node.unfit(format!("cannot read `{}`: {reason}", units::shown(address))))
}

fn format(section: &Section<'_>, files_node: &Node, files: &[String], base: &Path) -> Result<InputFormat> {
    let (given, has_delimiter) = (section.get("format"), section.get("delimiter").is_some());
    let by_name = || formats_by_name(files, base);
    let csv = InputFormat::Csv { delimiter: b',' };
    let mut format = match given {
        Some(node) => {
            let json = InputFormat::Json;
            choose(
                node,
                "format",
                &[("json", json.clone()), ("jsonl", json), ("csv", csv), ("text", InputFormat::Text)],
            )?
        }
        None => match same_format(files_node, by_name(), has_delimiter)? {
            Some(format) => format,
            None if section.get("pattern").is_some() => InputFormat::Text,
            None => {
                let hint = "add `format: json`, `format: csv` or `format: text`";
                let first = units::shown(files.first().map_or("", String::as_str));
                return Err(files_node.unfit(format!("the name `{first}` does not show the format; {hint}")));
            }
        },
    };
    if let (Some(_), false, InputFormat::Csv { .. }) = (given, has_delimiter, &format) {
        let mut csv = by_name();
        csv.retain(|(_, format)| matches!(format, InputFormat::Csv { .. }));
        format = same_format(files_node, csv, false)?.unwrap_or(format);
    }
    if let Some(node) = section.get("pattern") {
        return match (format, section.get("split")) {
            (InputFormat::Text, None) => Ok(InputFormat::Pattern(pattern(node)?)),
            (InputFormat::Text, Some(_)) => Err(node.unfit("`pattern` and `split` cannot be used together")),
            _ => Err(node.unfit("`pattern` needs `format: text`")),
        };
    }
    match (section.get("delimiter"), section.get("split")) {
        (Some(node), _) if !matches!(format, InputFormat::Csv { .. }) => {
            Err(node.unfit("`delimiter` needs `format: csv`"))
        }
        (_, Some(node)) if format != InputFormat::Text => Err(node.unfit("`split` needs `format: text`")),
        (Some(node), _) => Ok(InputFormat::Csv { delimiter: delimiter(node)? }),
        (_, Some(node)) => choose(node, "split", &[("words", InputFormat::Words)]),
        (None, None) => Ok(format),
    }
}

/// Returns the formats that the names of the files show, each with a name: the path or glob, or, if that does not show
/// a format, the files that it matches. A bucket is not asked.
fn formats_by_name(files: &[String], base: &Path) -> Vec<(String, InputFormat)> {
    let mut formats = Vec::new();
    for file in files {
        match format_by_name(file) {
            Some(format) => formats.push((file.clone(), format)),
            None if file == "-" => {}
            None => formats.extend(
                names(file, base).into_iter().filter_map(|name| format_by_name(&name).map(|format| (name, format))),
            ),
        }
    }
    formats
}

/// Returns the one format of all files, or nothing if there are none. `has_delimiter` says whether the job file names the
/// delimiter of CSV.
fn same_format(node: &Node, formats: Vec<(String, InputFormat)>, has_delimiter: bool) -> Result<Option<InputFormat>> {
    let mut formats = formats.into_iter();
    let Some((first, format)) = formats.next() else { return Ok(None) };
    let is_other = |other: &InputFormat| other.name() != format.name() || (!has_delimiter && *other != format);
    let Some((name, other)) = formats.find(|(_, other)| is_other(other)) else { return Ok(Some(format)) };
    let (first, name) = (units::shown(&first), units::shown(&name));
    Err(node.unfit(match other.name() == format.name() {
        true => format!("`{first}` and `{name}` have different delimiters; add `delimiter`, or read them in two jobs"),
        false => format!(
            "`{first}` is {} and `{name}` is {}, but a job reads one format; add `format`, or read them in two jobs",
            format.name(),
            other.name()
        ),
    }))
}

/// Returns the format that the extension of a file's name stands for.
pub(crate) fn format_by_name(file: &str) -> Option<InputFormat> {
    let name = file.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    let mut extension = name.rsplit_once('.')?.1;
    // Rotated logs: `access.log.1`, `access.log-20261024`.
    if is_rotation(extension) {
        extension = name.strip_suffix(extension)?.strip_suffix('.')?.rsplit_once('.')?.1;
    }
    if let Some((before, rotation)) = extension.split_once('-')
        && is_rotation(rotation)
    {
        extension = before;
    }
    match extension {
        "jsonl" | "ndjson" | "json" => Some(InputFormat::Json),
        "csv" => Some(InputFormat::Csv { delimiter: b',' }),
        "tsv" => Some(InputFormat::Csv { delimiter: b'\t' }),
        "txt" | "log" => Some(InputFormat::Text),
        _ => None,
    }
}

/// Returns whether `text` is the number or the date of a rotated log, or a glob for it.
fn is_rotation(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'*' | b'?'))
}

fn delimiter(node: &Node) -> Result<u8> {
    let expected = "one ASCII character such as `;`, or `tab`";
    match node.text(expected)? {
        "tab" => Ok(b'\t'),
        text => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(*byte),
            _ => Err(node.wrong(expected)),
        },
    }
}

/// Rejects dead letters in a bucket that no checkpoint would publish.
pub(super) fn check_dead_letters(job: &JobSpec, node: &Node) -> Result<()> {
    match &job.input.on_error {
        OnError::DeadLetter(path) if is_url(path) && !job.checkpoint.enabled => Err(unfit(
            mark_of(node, "on_error", None).unwrap_or(node.mark),
            "a bucket gets the dead letters with each checkpoint, but `checkpoint: enabled` is false",
        )),
        _ => Ok(()),
    }
}

fn on_error(node: &Node) -> Result<(OnError, Option<MaxBad>)> {
    if let Kind::Map(entries) = &node.kind {
        let section = Section::new("input.on_error", node, "")?;
        if entries.is_empty() {
            section.require("dead_letter", "the file for bad records")?;
        }
        let mut mistakes = Mistakes::default();
        let file = mistakes.take(section.get("dead_letter").map(object_or_path).transpose());
        let max_bad = mistakes.take(section.get("max").map(max_bad).transpose());
        mistakes.none()?;
        return Ok((file.map_or(OnError::Skip, OnError::DeadLetter), max_bad));
    }
    let expected = "`fail`, `skip` or `dead_letter: FILE`";
    match node.text(expected)? {
        "fail" => Ok((OnError::Fail, None)),
        "skip" => Ok((OnError::Skip, None)),
        "dead_letter" => Err(node.unfit("`dead_letter` needs a file: `on_error: {dead_letter: bad.jsonl}`")),
        _ => Err(node.wrong(expected)),
    }
}

fn max_bad(node: &Node) -> Result<MaxBad> {
    let expected = "a number of records, at least 1, or a share such as `1%` or `0.05%`";
    MaxBad::parse(node.text(expected)?).ok_or_else(|| node.wrong(expected))
}
