//! The job file: what it may say, and what it means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::format::manifest::Mode;
use crate::store::prune::policy::Policy;
use crate::values::value::ColumnType;
use crate::values::yaml;
use crate::values::yaml::YamlError;

mod aggregate;
pub mod calendar;
mod difference;
mod exec;
mod field;
mod given;
mod keys;
mod priority;
mod read;
mod time;
pub mod write;

pub use aggregate::{AggregateFunction, AggregateSpec};
pub use difference::{Difference, Effect, differences};
pub use exec::ExecSpec;
pub use field::{ExpressionError, FieldPath};
pub use given::{GivenInput, literal};
pub use keys::KEYS;
pub use priority::{PriorityClass, PrioritySpec, Selector, key_filter};
pub use time::{EventTime, OnLate, TimeUnit, TtlSpec, WindowSpec};

/// A job, as its file describes it. Paths are as written; [`JobSpec::resolve`] makes them usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// `job:` the name: letters, digits, `-`, `_` and `.`, at most 100, not beginning with `.` or `-`.
    pub job: String,
    /// `input:`
    pub input: InputSpec,
    /// `where:` a CEL expression; records for which it is not true are left out.
    pub filter: Option<String>,
    /// `key:` the field that routes; without it each partition is a task.
    pub key: Option<FieldPath>,
    /// `tasks:` 1 to 1,000,000, default 64; 0 without a key.
    pub tasks: u32,
    /// `process: aggregate:` in the order of the file; at least one, or else `exec`.
    pub aggregates: Vec<AggregateSpec>,
    /// `process: exec:` a program; then there are no aggregates.
    pub exec: Option<ExecSpec>,
    /// `process: native:` the name of a processor that the program has built in; then there is nothing else.
    pub native: Option<String>,
    /// `process: window:` the windows that each key has a row for; none: one row for all time.
    pub window: Option<WindowSpec>,
    /// `process: ttl:` how long a key stays without a record; none: for ever. Never together with windows.
    pub ttl: Option<TtlSpec>,
    /// `checkpoint:`
    pub checkpoint: CheckpointSpec,
    /// `output:`
    pub output: Option<OutputSpec>,
    /// The directory of the job file: what relative paths are relative to.
    pub base: PathBuf,
}

/// `input:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSpec {
    /// `files:` one path, a glob, or a list of them, each once; `-` alone is standard input.
    pub files: Vec<String>,
    /// `format: json | csv | text`; default by the first file's ending (`.jsonl .ndjson .json`, `.csv .tsv`, `.txt .log`, before `.gz` or `.zst`).
    pub format: InputFormat,
    /// `types:` of fields, for `min`, `max`, `first` and `last`: `number`, `text`, `bool`, `int` or `json`. What is not here is told from the first records.
    pub types: Vec<(FieldPath, ColumnType)>,
    /// `on_error:` default `fail`.
    pub on_error: OnError,
    /// `max_record_bytes:` default 16 MiB: a longer record is a bad record.
    pub max_record_bytes: u64,
    /// `follow:` whether files are read on as they grow; default false.
    pub follow: bool,
}

/// How the bytes of a partition are split into records, and these into fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFormat {
    /// A JSON object a line.
    Json,
    /// RFC 4180 with a header line; fields are named by it. `delimiter:` default `,`, a tab for `.tsv`.
    Csv {
        /// The byte between fields.
        delimiter: u8,
    },
    /// A line is a record with the one field `line`.
    Text,
    /// `format: text` with `split: words`: a line is a record, and each word (Unicode, UAX 29) in it is applied with the one field `word`.
    Words,
}

/// What happens to a bad record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnError {
    /// The run stops and names it.
    Fail,
    /// It is counted and left out.
    Skip,
    /// `dead_letter: FILE`: it is counted, left out, and appended to a file.
    DeadLetter(PathBuf),
}

/// `checkpoint:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSpec {
    /// `enabled:` default true.
    pub enabled: bool,
    /// `schedule:` default `1m` when neither `state_bytes` nor `records` is given; required in mode scheduled.
    pub schedule: Option<Schedule>,
    /// `state_bytes:` when so much state has changed since the last.
    pub state_bytes: Option<u64>,
    /// `records:` when so many records were applied since the last.
    pub records: Option<u64>,
    /// `min_pause:` between the end of one and the begin of the next, default none.
    pub min_pause: Duration,
    /// `jitter:` scheduled ones come up to so much later, default none.
    pub jitter: Duration,
    /// `timeout:` of an attempt to make a checkpoint; default none.
    pub timeout: Option<Duration>,
    /// `tolerate:` how many attempts in a row may fail before the run ends, default 0.
    pub tolerate: u32,
    /// `mode:` default elided.
    pub mode: Mode,
    /// `priorities:`, `budget:` and `max_staleness:`, in mode priority only.
    pub priority: Option<PrioritySpec>,
    /// `store:` default `checkpoints/JOB`.
    pub store: PathBuf,
    /// `replicas:` default none.
    pub replicas: Vec<PathBuf>,
    /// `min_copies:` of the store and its replicas, how many a checkpoint must be in before it counts; default all.
    pub min_copies: usize,
    /// `keep:` default everything.
    pub keep: Option<KeepSpec>,
}

/// `checkpoint: schedule:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// An interval: after the last one, or aligned to the clock in mode scheduled.
    Every(Duration),
    /// A cron expression, for mode scheduled. [`crate::job::calendar::Calendar::cron`] reads it.
    Cron(String),
}

/// `checkpoint: keep:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepSpec {
    /// Which checkpoints stay; it has a rule.
    pub policy: Policy,
    /// `grace:` how long the others can be brought back, default `24h`.
    pub grace: Duration,
}

/// `output:`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSpec {
    /// `files:` a directory, which gets the file `JOB.jsonl`, `JOB.csv` or `JOB.parquet`; one for each checkpoint with [`Emit::Changes`] and [`Emit::Rows`].
    pub files: PathBuf,
    /// `format: json | csv | parquet`, default json.
    pub format: OutputFormat,
    /// `emit: final | changes | rows`; default `rows` with `exec`, else `final`.
    pub emit: Emit,
}

/// Which rows an output has, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emit {
    /// All rows, when the input has ended.
    Final,
    /// With each checkpoint those that changed since the one before, or the windows that were closed.
    Changes,
    /// With each checkpoint those that the program has emitted since the one before.
    Rows,
}

/// The format of an output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputFormat {
    /// A JSON object a line.
    Json,
    /// With a header line.
    Csv,
    /// An Apache Parquet table.
    Parquet,
}

/// What is wrong with a job file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct SpecError {
    /// The job file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong: lower case, names in backquotes.
    pub message: String,
}

impl SpecError {
    /// Makes an error about a value that only a run can judge, such as a glob that matches no file.
    ///
    /// The place is that of the scalar `value` at `key`, which is a dotted path such as `input.files`; else that of the key, else the file's beginning.
    pub fn about(text: &str, file: &Path, key: &str, value: Option<&str>, message: impl Into<String>) -> SpecError {
        let mark = yaml::parse(text).ok().and_then(|root| read::find(&root, key, value));
        let (line, column) = mark.map_or((1, 1), |mark| (mark.line, mark.column));
        SpecError { file: file.display().to_string(), line, column, message: message.into() }
    }

    fn new(file: &Path, error: YamlError) -> SpecError {
        SpecError {
            file: file.display().to_string(),
            line: error.mark.line,
            column: error.mark.column,
            message: error.problem.to_string(),
        }
    }
}

impl JobSpec {
    /// Reads the job file `text`, found at `file`.
    ///
    /// The `where:` expression is taken as it stands: [`crate::input::record::Filter`] compiles it, and [`SpecError::about`] says where it is wrong.
    pub fn parse(text: &str, file: &Path) -> Result<JobSpec, SpecError> {
        JobSpec::parse_given(text, file, GivenInput::None)
    }

    /// Reads the job file `text`, found at `file`, with other input than it names.
    pub fn parse_given(text: &str, file: &Path, input: GivenInput<'_>) -> Result<JobSpec, SpecError> {
        let base = file.parent().unwrap_or(Path::new(""));
        let mut root = yaml::parse(text).map_err(|error| SpecError::new(file, error))?;
        given::put(&mut root, input).and_then(|()| read::job(&root, base)).map_err(|error| SpecError::new(file, error))
    }

    /// Reads the job file with the content `bytes`, found at `file`.
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<JobSpec, SpecError> {
        JobSpec::from_bytes_given(bytes, file, GivenInput::None)
    }

    /// Reads the job file with the content `bytes`, found at `file`, with other input than it names.
    pub fn from_bytes_given(bytes: &[u8], file: &Path, input: GivenInput<'_>) -> Result<JobSpec, SpecError> {
        let text = yaml::decode(bytes).map_err(|error| SpecError::new(file, error))?;
        JobSpec::parse_given(text, file, input)
    }

    /// Returns the job as a job file with every default filled in: the same text for the same job, paths as written.
    ///
    /// [`JobSpec::parse`] of it gives this job again.
    pub fn definition(&self) -> String {
        write::write(self)
    }

    /// Returns `path` below the job file's directory, unless it is absolute.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }

    /// Returns the name of the first output column: the key's last name, or `partition` without a key.
    pub fn key_name(&self) -> &str {
        self.key.as_ref().map_or("partition", FieldPath::last_name)
    }
}

impl InputFormat {
    /// Returns the format's name in a job file; splitting text into words is not part of it.
    pub fn name(&self) -> &'static str {
        match self {
            InputFormat::Json => "json",
            InputFormat::Csv { .. } => "csv",
            InputFormat::Text | InputFormat::Words => "text",
        }
    }
}

impl OutputFormat {
    /// Returns the format's name in a job file.
    pub fn name(self) -> &'static str {
        match self {
            OutputFormat::Json => "json",
            OutputFormat::Csv => "csv",
            OutputFormat::Parquet => "parquet",
        }
    }

    /// Returns the ending of the files' names.
    pub fn ending(self) -> &'static str {
        match self {
            OutputFormat::Json => "jsonl",
            OutputFormat::Csv => "csv",
            OutputFormat::Parquet => "parquet",
        }
    }
}

impl Emit {
    /// Tells whether each checkpoint publishes a file of its own.
    pub fn is_by_checkpoint(self) -> bool {
        matches!(self, Emit::Changes | Emit::Rows)
    }

    /// Returns the name in a job file.
    pub fn name(self) -> &'static str {
        match self {
            Emit::Final => "final",
            Emit::Changes => "changes",
            Emit::Rows => "rows",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
job: spend.per-user_1
input:
  files: [data/a b.csv.gz, "x-*.csv"]
  delimiter: ";"
  types: {ts: int, '"unit price"': number}
  on_error: {dead_letter: bad.csv}
  max_record_bytes: 1.5MiB
  follow: false
where: |
  amount > 0
    && country == "DE"
key: user
tasks: 1000000
process:
  aggregate:
    clicks: count()
    spent: sum( round(amount,2) )
    home: first(city by ts)
    seen: max(ts)
    price: max("unit price")
    größe: approx_distinct("a.b")
checkpoint:
  enabled: true
  schedule: 90m
  state_bytes: 64MiB
  records: 5000000
  min_pause: 500ms
  jitter: 10s
  timeout: 2m
  tolerate: 3
  mode: elided
  store: ../stores/x
  replicas: [/mnt/other, "no"]
  min_copies: 2
  keep: {last: 10, hourly: 24, daily: 7, weekly: 4, monthly: 12, within: 36h, bytes: 10GiB, grace: 90m}
output: {files: out/, format: csv, emit: final}
"#;

    fn parse(text: &str) -> JobSpec {
        JobSpec::parse(text, Path::new("jobs/job.yaml")).unwrap()
    }

    #[test]
    fn every_key_ends_up_where_it_belongs() {
        let job = parse(FULL);
        assert_eq!(job.job, "spend.per-user_1");
        assert_eq!(job.input.files, ["data/a b.csv.gz", "x-*.csv"]);
        assert_eq!(job.input.format, InputFormat::Csv { delimiter: b';' });
        assert_eq!(
            job.input.types,
            [(FieldPath::of("ts"), ColumnType::Int), (FieldPath::of("unit price"), ColumnType::Number)]
        );
        assert_eq!(job.input.on_error, OnError::DeadLetter(PathBuf::from("bad.csv")));
        assert_eq!(job.input.max_record_bytes, 3 << 19);
        assert_eq!(job.filter.as_deref(), Some("amount > 0\n  && country == \"DE\"\n"));
        assert_eq!((job.key.clone(), job.tasks), (Some(FieldPath::of("user")), 1_000_000));
        let names: Vec<&str> = job.aggregates.iter().map(|aggregate| aggregate.name.as_str()).collect();
        assert_eq!(names, ["clicks", "spent", "home", "seen", "price", "größe"]);
        assert_eq!(job.checkpoint.schedule, Some(Schedule::Every(Duration::from_secs(5_400))));
        assert_eq!(job.checkpoint.records, Some(5_000_000));
        let (min_pause, jitter) = (Duration::from_millis(500), Duration::from_secs(10));
        assert_eq!((job.checkpoint.min_pause, job.checkpoint.jitter), (min_pause, jitter));
        assert_eq!(job.checkpoint.state_bytes, Some(64 << 20));
        assert_eq!((job.checkpoint.timeout, job.checkpoint.tolerate), (Some(Duration::from_secs(120)), 3));
        assert_eq!(job.checkpoint.replicas, [Path::new("/mnt/other"), Path::new("no")]);
        assert_eq!(job.checkpoint.min_copies, 2);
        let keep = job.checkpoint.keep.clone().unwrap();
        let rules = "--keep-last 10 --keep-hourly 24 --keep-daily 7 --keep-weekly 4 --keep-monthly 12";
        assert_eq!(keep.policy.to_string(), format!("{rules} --keep-within 1d12h --keep-bytes 10GiB"));
        assert_eq!(keep.grace, Duration::from_secs(5_400));
        let output = OutputSpec { files: PathBuf::from("out/"), format: OutputFormat::Csv, emit: Emit::Final };
        assert_eq!(job.output, Some(output));
        assert_eq!(job.resolve(&job.checkpoint.store), Path::new("jobs/../stores/x"));
        assert_eq!(job.resolve(Path::new("/abs")), Path::new("/abs"));
        assert_eq!(job.key_name(), "user");
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let job = parse("job: 42\ninput: data.jsonl\nkey: no\nprocess: {aggregate: {n: count}}\n");
        assert_eq!((job.job.as_str(), job.key_name(), job.tasks), ("42", "no", 64));
        assert_eq!((job.input.format, job.input.on_error), (InputFormat::Json, OnError::Fail));
        assert_eq!(job.input.max_record_bytes, 16 << 20);
        assert_eq!((job.filter, job.output), (None, None));
        assert!(job.checkpoint.enabled);
        assert_eq!(job.checkpoint.schedule, Some(Schedule::Every(Duration::from_secs(60))));
        assert_eq!((job.checkpoint.state_bytes, job.checkpoint.keep), (None, None));
        assert_eq!(job.checkpoint.store, Path::new("checkpoints/42"));
        assert_eq!(job.checkpoint.min_copies, 1);
        let job = parse("job: a\ninput: b.txt\nprocess: {aggregate: {n: count}}\ncheckpoint: {state_bytes: 1}\n");
        assert_eq!((job.key_name(), job.tasks, &job.checkpoint.schedule), ("partition", 0, &None));
    }

    #[test]
    fn the_format_is_told_from_the_first_file() {
        for (file, format) in [
            ("a.jsonl", InputFormat::Json),
            ("a.ndjson.gz", InputFormat::Json),
            ("*.JSON", InputFormat::Json),
            ("a.csv.zst", InputFormat::Csv { delimiter: b',' }),
            ("a.tsv", InputFormat::Csv { delimiter: b'\t' }),
            ("a.txt", InputFormat::Text),
            ("var/x.log.gz", InputFormat::Text),
        ] {
            let job = parse(&format!("job: a\ninput: '{file}'\nprocess: {{aggregate: {{n: count}}}}\n"));
            assert_eq!(job.input.format, format, "{file}");
        }
        let job = "job: a\ninput: {files: x.tsv, format: csv}\nprocess: {aggregate: {n: count}}\n";
        assert_eq!(parse(job).input.format, InputFormat::Csv { delimiter: b'\t' });
        let job = "job: a\ninput: {files: \"-\", format: text, split: words}\nprocess: {aggregate: {n: count}}\n";
        assert_eq!(parse(job).input.format, InputFormat::Words);
    }

    #[test]
    fn a_definition_is_the_same_job_and_its_own_definition() {
        let short = "job: a\ninput: b.txt\nprocess: {aggregate: {n: count}}\n";
        let words = "job: a\ninput: {files: x.txt, split: words}\nkey: word\nprocess: {aggregate: {n: count}}\n";
        for text in [FULL, short, words] {
            let job = parse(text);
            let definition = job.definition();
            assert_eq!(parse(&definition), job, "{definition}");
            assert_eq!(parse(&definition).definition(), definition);
            assert!(!definition.contains("jobs/"), "{definition}");
        }
        assert_eq!(
            parse(short).definition(),
            "job: a\ninput:\n  files:\n    - b.txt\n  format: text\n  on_error: fail\n  max_record_bytes: 16MiB\n  \
             follow: false\nprocess:\n  aggregate:\n    \"n\": count\ncheckpoint:\n  enabled: true\n  schedule: 1m\n  \
             mode: elided\n  store: checkpoints/a\n"
        );
    }

    #[test]
    fn differences_name_what_no_longer_fits() {
        let old = parse(FULL);
        let told = |from: &str, to: &str| -> Vec<String> {
            assert!(FULL.contains(from), "{from}");
            let new = parse(&FULL.replace(from, to));
            differences(&old, &new).iter().map(Difference::to_string).collect()
        };
        assert!(differences(&old, &old).is_empty());
        for (from, to) in [
            ("amount > 0", "amount > 1"),
            ("90m", "5m"),
            ("../stores/x", "y"),
            ("out/", "other/"),
            ("x-*.csv", "y-*.csv"),
            ("{dead_letter: bad.csv}", "skip"),
            ("count()", "count"),
            ("  min_copies: 2\n", ""),
        ] {
            assert_eq!(told(from, to), [""; 0], "{from}");
        }
        for (from, to, difference) in [
            ("sum( round(amount,2) )", "avg(amount)", "aggregate `spent` was sum(round(amount, 2)), is avg(amount)"),
            ("city by ts", "city", "aggregate `home` was first(city by ts), is first(city)"),
            ("tasks: 1000000", "tasks: 64", "`tasks` was 1000000, is 64"),
            ("key: user", "key: account", "the key was `user`, is `account`"),
            ("key: user\ntasks: 1000000", "", "the key was `user`, is gone"),
            ("    clicks: count()\n", "", "aggregate `clicks` was count, is gone"),
            ("    clicks: count()\n", "    clicks: count\n    all: count\n", "aggregate `all` is new: count"),
            ("\";\"", "tab", "the input format was csv separated by `;`, is csv separated by tabs"),
            ("ts: int", "ts: text", "the type of `ts` was int, is text"),
        ] {
            assert_eq!(told(from, to), [difference], "{from}");
        }
        // A field of which the state has no values may have any type.
        let unused = FULL.replace("    home: first(city by ts)\n    seen: max(ts)\n", "    late: max(ts)\n");
        let found = differences(&old, &parse(&unused.replace("ts: int", "ts: text")));
        assert!(found.iter().all(|difference| difference.effect() != Effect::Unfit), "{found:?}");
        let words = "job: a\ninput: {files: x.txt, split: words}\nprocess: {aggregate: {n: count, m: count(word)}}\n";
        let lines = "job: a\ninput: x.txt\nprocess: {aggregate: {m: count(line), n: count}}\n";
        let found = differences(&parse(words), &parse(lines));
        assert_eq!(
            found.iter().map(Difference::to_string).collect::<Vec<_>>(),
            [
                "the input format was text split into words, is text",
                "aggregate `m` was count(word), is count(line)",
                "the aggregates were in the order n, m, are in the order m, n"
            ]
        );
        let swapped = words.replace("n: count, m: count(word)", "m: count(word), n: count");
        assert_eq!(
            differences(&parse(words), &parse(&swapped)).iter().map(Difference::to_string).collect::<Vec<_>>(),
            ["the aggregates were in the order n, m, are in the order m, n"]
        );
    }

    #[test]
    fn an_error_of_the_run_stands_at_its_value() {
        let place = |text: &str, key: &str, value: Option<&str>| {
            let error = SpecError::about(text, Path::new("job.yaml"), key, value, "no");
            (error.line, error.column)
        };
        assert_eq!(place(FULL, "input.files", Some("x-*.csv")), (4, 28));
        assert_eq!(place(FULL, "input.files", Some("gone")), (4, 10));
        assert_eq!(place(FULL, "key", None), (13, 6));
        assert_eq!(place("input: a.csv", "input.files", Some("a.csv")), (1, 8));
        assert_eq!(place("input: a.csv", "where", None), (1, 1));
        assert_eq!(place("[", "where", None), (1, 1));
        let error = SpecError::about(FULL, Path::new("job.yaml"), "where", None, "is wrong");
        assert_eq!(error.to_string(), "job.yaml:11:3: is wrong");
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error_with_a_place() {
        let error = JobSpec::from_bytes(b"job: a\nkey: \xff", Path::new("job.yaml")).unwrap_err();
        assert_eq!(error.to_string(), "job.yaml:2:6: expected UTF-8 text, found the byte 0xff");
    }

    proptest::proptest! {
        #[test]
        fn a_job_file_with_slips_is_refused_or_has_a_definition(
            slips in proptest::collection::vec((0..FULL.len(), "[a-z0-9:{}()\\[\\]\"'.,#&*!|> \n-]{0,3}", 0..4usize), 1..4),
        ) {
            let mut text: Vec<char> = FULL.chars().collect();
            for (at, put, gone) in slips {
                let at = at.min(text.len());
                let end = (at + gone).min(text.len());
                text.splice(at..end, put.chars());
            }
            let text: String = text.into_iter().collect();
            if let Ok(job) = JobSpec::parse(&text, Path::new("jobs/job.yaml")) {
                proptest::prop_assert_eq!(JobSpec::parse(&job.definition(), Path::new("jobs/job.yaml")), Ok(job));
            }
        }
    }
}
