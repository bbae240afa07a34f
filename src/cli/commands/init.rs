//! `ckpt init`: writes a job file for an input.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf, absolute};

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::VERSION;
use crate::cli::json_schema::Document;
use crate::cli::text::counted;
use crate::cli::ui::Ui;
use crate::input::{InputError, names};
use crate::job::{InputFormat, JobSpec};
use crate::runner::job_draft::{Draft, job_name};
use crate::runner::survey::{Survey, recognize, survey};
use crate::values::url::is_url;
use crate::values::yaml::quote;

/// Look at an input and write a job file for it
///
/// Reads the first records and writes a job file with comments: which fields there
/// are and of what type, a field to group the records by and others that may fit,
/// what can be added up, and where the time is. Access logs, syslog and logfmt are
/// recognized by their lines. The job file runs as it is; what to edit is marked.
///
/// Examples:
///   ckpt init examples/data/orders.jsonl
///   ckpt init "examples/data/clicks-*.jsonl" --output per-user.yaml
///   ckpt init "/var/log/nginx/access.log*"
///   ckpt init examples/data/words.txt --format text --output -
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Files, globs in quotes, or objects in a bucket
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<PathBuf>,

    /// The job file to write, which must not exist; `-` means standard output [default: named after the first input]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The format of the input, if the names of the files do not show it [default: from the names, or the first bytes]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
}

/// The formats of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line; `jsonl` means the same
    #[value(alias = "jsonl")]
    Json,
    /// CSV with a header line
    Csv,
    /// Lines of text
    Text,
}

/// How much of a file is read to find its format and its delimiter.
const SNIFFED_BYTES: u64 = 64 * 1024;

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<InitView>];

/// Looks at the input and writes the job file.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let given = args.inputs.iter().map(|input| text_of(input)).collect::<Result<Vec<_>, _>>()?;
    let name = job_name(&given[0]);
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    let file = match &args.output {
        Some(file) if !to_stdout => file.clone(),
        _ => PathBuf::from(format!("{name}.yaml")),
    };
    let files = given.iter().map(|input| below(input, &file)).collect::<Result<Vec<_>, _>>()?;
    let job = job_of(&name, &files, &file, args.format)?;
    let (format, survey) = look_at(&job).map_err(|error| match error {
        InputError::NothingMatches { .. } => CliError::usage(error.to_string()),
        error => CliError::of(Exit::Failed, &error),
    })?;
    let draft = Draft { name: &name, file: &file, files: &job.input.files, format: &format, survey: &survey };
    let text = draft.text();
    let written = JobSpec::parse(&text, &file)
        .map_err(|error| CliError::new(Exit::Failed, format!("cannot write a job file for this input: {error}")))?;
    if to_stdout {
        ui.out_bytes(text.as_bytes())?;
        return Ok(Exit::Clean);
    }
    write(&file, &text)?;
    let key = written.key_fields().next().map(ToString::to_string);
    if ui.is_json() {
        let fields = survey.fields.iter().map(|field| field.path.to_string()).collect();
        let file = file.display().to_string();
        ui.json(&InitView {
            version: VERSION,
            file,
            job: name,
            records: survey.records,
            bad: survey.bad,
            key,
            fields,
        })?;
    } else {
        let (records, fields) = (counted(survey.records, "record"), counted(survey.fields.len() as u64, "field"));
        let key = key.map_or("no key".to_owned(), |key| format!("key `{key}`"));
        ui.out(format!("wrote {}: {fields} in the first {records}, {key}", file.display()))?;
        ui.note(format!("`ckpt run {}` runs the job; the file says what to edit", file.display()));
    }
    Ok(Exit::Clean)
}

/// Reads the first records. Returns the format too: lines of text may have one of the named patterns.
fn look_at(job: &JobSpec) -> Result<(InputFormat, Survey), InputError> {
    if job.input.format == InputFormat::Text
        && let Some((pattern, survey)) = recognize(job)?
    {
        return Ok((InputFormat::Pattern(pattern), survey));
    }
    Ok((job.input.format.clone(), survey(job)?))
}

fn text_of(path: &Path) -> Result<String, CliError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| CliError::usage(format!("the name of an input must be UTF-8: `{}` is not", path.display())))
}

/// Returns `input` as the job file `file` must name it: relative to its directory, and without globs if it is a file.
fn below(input: &str, file: &Path) -> Result<String, CliError> {
    if is_url(Path::new(input)) || input == "-" {
        return Ok(input.to_owned());
    }
    let is_here = file.parent().is_none_or(|parent| parent.as_os_str().is_empty());
    let path = if is_here {
        input.to_owned()
    } else {
        text_of(&absolute(input).map_err(|error| CliError::io("find", input, &error))?)?
    };
    if !Path::new(input).is_file() {
        return Ok(path);
    }
    Ok(path.chars().map(|c| if "*?[]".contains(c) { format!("[{c}]") } else { c.to_string() }).collect())
}

/// Returns a job that reads the input, with the format that its names or its first bytes show.
fn job_of(name: &str, files: &[String], file: &Path, format: Option<Format>) -> Result<JobSpec, CliError> {
    let listed: Vec<String> = files.iter().map(|file| quote(file)).collect();
    let parse = |more: &str| {
        let input = format!("{{files: [{}]{more}}}", listed.join(", "));
        let text = format!("job: {}\ninput: {input}\nprocess: {{aggregate: {{records: count}}}}\n", quote(name));
        JobSpec::parse(&text, file)
    };
    let beginning = beginning(files, file);
    let csv = || match delimiter_of(&beginning) {
        ',' => ", format: csv".to_owned(),
        other => format!(", format: csv, delimiter: {}", quote(&other.to_string())),
    };
    let more = match format {
        Some(Format::Json) => ", format: json".to_owned(),
        Some(Format::Text) => ", format: text".to_owned(),
        Some(Format::Csv) => csv(),
        None => match parse("").map(|job| job.input.format.name()) {
            Ok("csv") if !beginning.is_empty() => csv(),
            Ok(_) => String::new(),
            Err(_) if beginning.trim_start().starts_with('{') => ", format: json".to_owned(),
            Err(_) if looks_like_csv(&beginning) => csv(),
            Err(_) => String::new(),
        },
    };
    parse(&more).map_err(|error| CliError::usage(error.message).hint("`--format` says what the format of the input is"))
}

/// Returns the first bytes of the first file, if it is one that can be read as it is.
fn beginning(files: &[String], job_file: &Path) -> String {
    let base = job_file.parent().unwrap_or(Path::new(""));
    let first = files.iter().find_map(|file| names(file, base).into_iter().next());
    let is_plain = |name: &String| !name.ends_with(".gz") && !name.ends_with(".zst");
    let mut bytes = Vec::new();
    if let Some(name) = first.filter(is_plain)
        && let Ok(file) = File::open(base.join(name))
    {
        let _ = file.take(SNIFFED_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the delimiter that the header line has most often.
fn delimiter_of(beginning: &str) -> char {
    let header = beginning.lines().next().unwrap_or_default();
    let count = |delimiter: char| header.matches(delimiter).count();
    // The last of several maxima wins.
    ['|', '\t', ';', ','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(',')
}

/// Returns whether the first two lines have the same number of delimiters.
fn looks_like_csv(beginning: &str) -> bool {
    let delimiter = delimiter_of(beginning);
    let mut counts = beginning.lines().take(2).map(|line| line.matches(delimiter).count());
    let first = counts.next().unwrap_or(0);
    first > 0 && counts.all(|count| count == first)
}

fn write(file: &Path, text: &str) -> Result<(), CliError> {
    let created = OpenOptions::new().write(true).create_new(true).open(file);
    let mut opened = created.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::usage(format!("`{}` exists", file.display()))
            .hint("`--output FILE` names another job file; `--output -` prints it"),
        _ => CliError::io("create", file, &error),
    })?;
    opened.write_all(text.as_bytes()).map_err(|error| CliError::io("write", file, &error))
}

#[derive(Debug, Serialize, JsonSchema)]
struct InitView {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    file: String,
    job: String,
    records: u64,
    bad: u64,
    key: Option<String>,
    fields: Vec<String>,
}
