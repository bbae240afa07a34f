//! From a document's tree to a job: every value checked at its place.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::format::limits::MAX_VALUE_BYTES;
use crate::format::manifest::Mode;
use crate::job::calendar::Calendar;
use crate::job::exec;
use crate::job::exec::ExecSpec;
use crate::job::keys;
use crate::job::keys::{list, unknown};
use crate::job::priority;
use crate::job::time::Timing;
use crate::job::{
    AggregateFunction, AggregateSpec, CheckpointSpec, Emit, ExpressionError, FieldPath, InputFormat, InputSpec,
    JobSpec, KeepSpec, OnError, OutputFormat, OutputSpec, Schedule, time,
};
use crate::store::prune::DEFAULT_GRACE;
use crate::store::prune::policy::Policy;
use crate::values::units;
use crate::values::units::UnitError;
use crate::values::value::ColumnType;
use crate::values::yaml::{Entry, Kind, Mark, Node, Problem, YamlError};

const DEFAULT_TASKS: u32 = 64;
const MAX_TASKS: u64 = 1_000_000;
const DEFAULT_SCHEDULE: Duration = Duration::from_secs(60);
const MAX_SCHEDULE: Duration = Duration::from_secs(366 * 86_400);
const DEFAULT_RECORD_BYTES: u64 = 16 * 1024 * 1024;
const MAX_RECORD_BYTES: u64 = MAX_VALUE_BYTES as u64;
const MAX_AGGREGATES: usize = 1_000;
const MAX_NAME_CHARS: usize = 100;

/// Columns that tables of state have beside those of the job.
const RESERVED_COLUMNS: [&str; 3] = ["task", "key", "deleted"];

const TYPES: [(&str, ColumnType); 5] = [
    (ColumnType::Number.name(), ColumnType::Number),
    (ColumnType::Text.name(), ColumnType::Text),
    (ColumnType::Bool.name(), ColumnType::Bool),
    (ColumnType::Int.name(), ColumnType::Int),
    (ColumnType::Json.name(), ColumnType::Json),
];

pub(super) type Result<T, E = YamlError> = std::result::Result<T, E>;

/// Reads the whole job; relative paths are relative to `base`.
pub(super) fn job(root: &Node, base: &Path) -> Result<JobSpec> {
    let top = Section::new("", root, "a job file, which is a map with `job`, `input` and `process`")?;
    let job = job_name(top.require("job", "the job's name")?)?;
    let input = input(top.require("input", "the files to read")?)?;
    let filter = top.get("where").map(filter).transpose()?;
    let key = top.get("key").map(|node| field(node, &input.spec.format)).transpose()?;
    let tasks = tasks(&top, key.is_some())?;
    let process_node = top.require("process", "what to compute")?;
    let Process { aggregates, exec, native } = process(process_node, &input.spec.format, key.as_ref())?;
    let Timing { window, ttl } = time::read(process_node, &input.spec.format, key.as_ref(), &aggregates)?;
    check_types(&input, &aggregates)?;
    let checkpoint = checkpoint(top.get("checkpoint"), &job, key.is_some().then_some(tasks))?;
    if checkpoint.priority.is_some() {
        priority::check_process(process_node)?;
        if let (true, Some(node)) = (input.spec.follow, top.get("checkpoint")) {
            let mark = find(node, "mode", None).unwrap_or(node.mark);
            let reason = "`mode: priority` reads its input again from the oldest cut, and `follow` numbers blocks as they come: use another mode";
            return Err(unfit(mark, reason));
        }
    }
    let output = top.get("output").map(|node| output(node, exec.is_some())).transpose()?;
    let base = base.to_owned();
    let input = input.spec;
    let job =
        JobSpec { job, input, filter, key, tasks, aggregates, exec, native, window, ttl, checkpoint, output, base };
    check_output(&job, top.get("output"), process_node)?;
    Ok(job)
}

/// Refuses an output whose columns would share a name, and one that no checkpoint publishes.
fn check_output(job: &JobSpec, node: Option<&Node>, process: &Node) -> Result<()> {
    let emit = job.output.as_ref().map(|output| output.emit);
    if let (true, Some(Emit::Final), Some(node)) = (job.input.follow, emit, node) {
        let reason = "with `follow` the input does not end, so an output of all rows at its end is never written: use `emit: changes`";
        return Err(unfit(find(node, "emit", None).unwrap_or(node.mark), reason));
    }
    if let (Some(emit @ (Emit::Changes | Emit::Rows)), Some(node)) = (emit, node) {
        let mark = find(node, "emit", None).unwrap_or(node.mark);
        if !job.checkpoint.enabled {
            let emit = emit.name();
            let reason =
                format!("`emit: {emit}` publishes a file with each checkpoint, and `checkpoint: enabled` is false");
            return Err(unfit(mark, reason));
        }
        let named = |name: &str| emit == Emit::Changes && name.eq_ignore_ascii_case("op");
        if job.window.is_none() && (named(job.key_name()) || job.aggregates.iter().any(|one| named(&one.name))) {
            return Err(unfit(
                mark,
                "`emit: changes` has a column `op` of its own, and so has the job; name that otherwise",
            ));
        }
    }
    time::check_output(job, emit, process)
}

/// Returns the place of the scalar `value` at the dotted `key`, else of the key.
pub(super) fn find(root: &Node, key: &str, value: Option<&str>) -> Option<Mark> {
    let mut node = root;
    for name in key.split('.') {
        // The short forms have no maps: `input: data.csv` is also `input.files`.
        let Kind::Map(entries) = &node.kind else { break };
        node = entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value)?;
    }
    let is_value = |node: &&Node| node.scalar().is_some_and(|scalar| Some(scalar.text.as_str()) == value);
    let items = if let Kind::List(items) = &node.kind { items.as_slice() } else { &[] };
    Some(items.iter().find(is_value).unwrap_or(node).mark)
}

/// A map of the job file whose keys are all known.
pub(super) struct Section<'a> {
    name: &'static str,
    pub(super) mark: Mark,
    entries: &'a [Entry],
}

impl<'a> Section<'a> {
    pub(super) fn new(name: &'static str, node: &'a Node, expected: &str) -> Result<Section<'a>> {
        let entries = node.map(expected)?;
        for entry in entries {
            if let Some(reason) = keys::check(name, &entry.key) {
                return Err(unfit(entry.key_mark, reason));
            }
        }
        Ok(Section { name, mark: node.mark, entries })
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    pub(super) fn require(&self, key: &str, meaning: &str) -> Result<&'a Node> {
        let place = if self.name.is_empty() { String::new() } else { format!(" in `{}`", self.name) };
        self.get(key).ok_or_else(|| unfit(self.mark, format!("missing key `{key}`{place}: {meaning}")))
    }
}

fn job_name(node: &Node) -> Result<String> {
    let name = node.text("a name for the job")?;
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !name.starts_with(['.', '-'])
        && (1..=MAX_NAME_CHARS).contains(&name.len());
    if fits {
        return Ok(name.to_owned());
    }
    Err(node.wrong("a name of at most 100 letters, digits, `-`, `_` and `.` that begins with a letter, a digit or `_`"))
}

/// The input, and where its types stand.
struct Input {
    spec: InputSpec,
    type_marks: Vec<Mark>,
}

fn input(node: &Node) -> Result<Input> {
    const FILES: &str = "a path, a glob or a list of them";
    let short = !matches!(node.kind, Kind::Map(_));
    let entries = if short { &[][..] } else { node.map(FILES)? };
    let section = match short {
        true => Section { name: "input", mark: node.mark, entries },
        false => Section::new("input", node, FILES)?,
    };
    let files_node = if short { node } else { section.require("files", FILES)? };
    let files = files(files_node, FILES)?;
    let format = input_format(&section, files_node, &files)?;
    let types = types(section.get("types"), &format)?;
    let type_marks = types.iter().map(|typed| typed.mark).collect();
    let types = types.into_iter().map(|typed| (typed.field, typed.column_type)).collect();
    let on_error = section.get("on_error").map_or(Ok(OnError::Fail), on_error)?;
    let max_record_bytes = match section.get("max_record_bytes") {
        None => DEFAULT_RECORD_BYTES,
        Some(node) => match bytes(node)? {
            bytes @ 1..=MAX_RECORD_BYTES => bytes,
            _ => return Err(node.wrong("a size from 1 byte to 32MiB")),
        },
    };
    let follow = section.get("follow").map_or(Ok(false), |node| follow(node, &files))?;
    Ok(Input { spec: InputSpec { files, format, types, on_error, max_record_bytes, follow }, type_marks })
}

fn follow(node: &Node, files: &[String]) -> Result<bool> {
    if !node.boolean()? {
        return Ok(false);
    }
    if files.iter().any(|file| file == "-") {
        return Err(
            node.unfit("standard input is read until it is closed, and can not be followed: leave out `follow`")
        );
    }
    let is_packed = |file: &&String| [".gz", ".zst"].iter().any(|ending| file.to_ascii_lowercase().ends_with(ending));
    if let Some(file) = files.iter().find(is_packed) {
        let shown = units::shown(file);
        return Err(
            node.unfit(format!("`{shown}` is compressed, and a compressed file can not be followed as it grows"))
        );
    }
    Ok(true)
}

fn files(node: &Node, expected: &str) -> Result<Vec<String>> {
    let nodes = match &node.kind {
        // A lone dash is a list of nothing to YAML.
        Kind::List(items) if items.len() == 1 && items[0].is_null() => {
            return Err(node.unfit("for standard input, put the `-` in quotes: `files: \"-\"`"));
        }
        Kind::List(items) if items.is_empty() => return Err(node.wrong(&format!("{expected}, not empty"))),
        Kind::List(items) => items.as_slice(),
        Kind::Scalar(_) => std::slice::from_ref(node),
        Kind::Map(_) => return Err(node.wrong(expected)),
    };
    let mut files: Vec<String> = Vec::new();
    for node in nodes {
        let file = path_text(node, "a path or a glob")?;
        if file == "-" && nodes.len() > 1 {
            return Err(node.unfit("standard input, `-`, can not be read together with other files"));
        }
        if files.iter().any(|before| before == file) {
            return Err(node.unfit(format!("{node} is listed twice")));
        }
        files.push(file.to_owned());
    }
    Ok(files)
}

fn input_format(section: &Section<'_>, files_node: &Node, files: &[String]) -> Result<InputFormat> {
    let first = files.first().map_or("", String::as_str);
    let told = told_format(first);
    let named = section.get("format").map(|node| {
        choose(node, "format", &[("json", InputFormat::Json), ("csv", csv_of(&told)), ("text", InputFormat::Text)])
    });
    let format = match named {
        Some(format) => format?,
        None => told.ok_or_else(|| {
            let hint = "add `format: json`, `format: csv` or `format: text`";
            files_node.unfit(format!("the format can not be told from `{}`; {hint}", units::shown(first)))
        })?,
    };
    match (section.get("delimiter"), section.get("split")) {
        (Some(node), _) if !matches!(format, InputFormat::Csv { .. }) => {
            Err(node.unfit("`delimiter` needs `format: csv`"))
        }
        (_, Some(node)) if format != InputFormat::Text => Err(node.unfit("`split` needs `format: text`")),
        (Some(node), _) => Ok(InputFormat::Csv { delimiter: delimiter_byte(node)? }),
        (_, Some(node)) => choose(node, "split", &[("words", InputFormat::Words)]),
        (None, None) => Ok(format),
    }
}

/// Tells whether the ending of a file's name says its format.
pub(super) fn has_format(file: &str) -> bool {
    told_format(file).is_some()
}

/// Tells the format of a file by the ending of its name.
fn told_format(file: &str) -> Option<InputFormat> {
    let name = file.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "jsonl" | "ndjson" | "json" => Some(InputFormat::Json),
        "csv" => Some(InputFormat::Csv { delimiter: b',' }),
        "tsv" => Some(InputFormat::Csv { delimiter: b'\t' }),
        "txt" | "log" => Some(InputFormat::Text),
        _ => None,
    }
}

/// Returns CSV with the delimiter that the file's ending tells, else a comma.
fn csv_of(told: &Option<InputFormat>) -> InputFormat {
    match told {
        Some(csv @ InputFormat::Csv { .. }) => csv.clone(),
        _ => InputFormat::Csv { delimiter: b',' },
    }
}

fn delimiter_byte(node: &Node) -> Result<u8> {
    let expected = "one ASCII character such as `;`, or `tab`";
    match node.text(expected)? {
        "tab" => Ok(b'\t'),
        text => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(*byte),
            _ => Err(node.wrong(expected)),
        },
    }
}

/// An entry of `types:`.
struct TypedField {
    field: FieldPath,
    column_type: ColumnType,
    mark: Mark,
}

fn types(node: Option<&Node>, format: &InputFormat) -> Result<Vec<TypedField>> {
    let mut types: Vec<TypedField> = Vec::new();
    let entries = node.map_or(Ok(&[][..]), |node| node.map("a map from fields to types"))?;
    for entry in entries {
        let mark = entry.key_mark;
        let field = FieldPath::parse(&entry.key).map_err(|error| unfit(mark, error.reason))?;
        check_field(&field, format, mark)?;
        if types.iter().any(|before| before.field == field) {
            return Err(unfit(mark, format!("the type of `{field}` is given twice")));
        }
        let column_type = choose(&entry.value, "type", &TYPES)?;
        types.push(TypedField { field, column_type, mark });
    }
    Ok(types)
}

fn on_error(node: &Node) -> Result<OnError> {
    if let Kind::Map(_) = node.kind {
        let section = Section::new("input.on_error", node, "")?;
        let file = section.require("dead_letter", "the file for bad records")?;
        return Ok(OnError::DeadLetter(path(file)?));
    }
    let expected = "`fail`, `skip` or `dead_letter: FILE`";
    match node.text(expected)? {
        "fail" => Ok(OnError::Fail),
        "skip" => Ok(OnError::Skip),
        "dead_letter" => Err(node.unfit("`dead_letter` needs a file: `on_error: {dead_letter: bad.jsonl}`")),
        _ => Err(node.wrong(expected)),
    }
}

fn filter(node: &Node) -> Result<String> {
    let expected = "an expression such as `amount > 0`";
    let text = node.text(expected)?;
    if text.trim().is_empty() { Err(node.wrong(expected)) } else { Ok(text.to_owned()) }
}

pub(super) fn field(node: &Node, format: &InputFormat) -> Result<FieldPath> {
    let text = node.text("a field such as `user` or `user.id`")?;
    let field = FieldPath::parse(text).map_err(|error| within(node, error))?;
    check_field(&field, format, node.mark)?;
    Ok(field)
}

/// Refuses a field that records of this format never have.
fn check_field(field: &FieldPath, format: &InputFormat, mark: Mark) -> Result<()> {
    let only = match format {
        InputFormat::Json => return Ok(()),
        InputFormat::Csv { .. } if !field.is_nested() => return Ok(()),
        InputFormat::Csv { .. } => {
            let column = FieldPath::of(field.names.join("."));
            let reason =
                format!("CSV has no fields inside others; a column with dots in its name is written `{column}`");
            return Err(unfit(mark, reason));
        }
        InputFormat::Text => "line",
        InputFormat::Words => "word",
    };
    if *field == FieldPath::of(only) {
        return Ok(());
    }
    let split = if only == "word" { " split into words" } else { "" };
    Err(unfit(mark, format!("text{split} has the one field `{only}`, found `{}`", units::shown(&field.to_string()))))
}

fn tasks(top: &Section<'_>, keyed: bool) -> Result<u32> {
    match top.get("tasks") {
        None if keyed => Ok(DEFAULT_TASKS),
        None => Ok(0),
        Some(node) if !keyed => Err(node.unfit("`tasks` needs `key`: without a key each partition is a task")),
        Some(node) => {
            let expected = "a whole number of tasks from 1 to 1000000";
            match node.integer(expected)? {
                tasks @ 1..=MAX_TASKS => Ok(u32::try_from(tasks).expect("a million fits")),
                _ => Err(node.wrong(expected)),
            }
        }
    }
}

/// `process:`
#[derive(Default)]
struct Process {
    aggregates: Vec<AggregateSpec>,
    exec: Option<ExecSpec>,
    native: Option<String>,
}

fn process(node: &Node, format: &InputFormat, key: Option<&FieldPath>) -> Result<Process> {
    let section = Section::new("process", node, "a map with `aggregate` or `exec`")?;
    if let Some(exec) = exec::read(&section)? {
        return Ok(Process { exec: Some(exec), ..Process::default() });
    }
    if let Some(native) = exec::read_native(&section)? {
        return Ok(Process { native: Some(native), ..Process::default() });
    }
    let expected = "a map from names to aggregates such as `clicks: count`";
    let node = section.require("aggregate", "what to compute for each key, or `exec`: a program of your own")?;
    let entries = node.map(expected)?;
    if entries.is_empty() {
        return Err(node.unfit(format!("expected {expected}, found an empty one")));
    }
    if entries.len() > MAX_AGGREGATES {
        return Err(node.unfit(format!("expected at most {MAX_AGGREGATES} aggregates, found {}", entries.len())));
    }
    let aggregates = entries.iter().map(|entry| aggregate(entry, format, key)).collect::<Result<Vec<_>>>()?;
    check_columns(entries, &aggregates)?;
    Ok(Process { aggregates, ..Process::default() })
}

/// Refuses aggregates that would share a name in the output or a column of state. Capitals make no difference: they make none in SQL.
fn check_columns(entries: &[Entry], aggregates: &[AggregateSpec]) -> Result<()> {
    let (mut names, mut columns) = (HashMap::new(), HashMap::new());
    for (entry, aggregate) in entries.iter().zip(aggregates) {
        let name = &aggregate.name;
        if let Some(other) = names.insert(name.to_lowercase(), name) {
            let reason = format!("`{name}` and `{other}` differ only in capitals; name one of them otherwise");
            return Err(unfit(entry.key_mark, reason));
        }
        for column in aggregate.column_names() {
            if let Some(other) = columns.insert(column.to_lowercase(), name) {
                let reason =
                    format!("`{name}` and `{other}` both need the column `{column}`; name one of them otherwise");
                return Err(unfit(entry.key_mark, reason));
            }
        }
    }
    Ok(())
}

fn aggregate(entry: &Entry, format: &InputFormat, key: Option<&FieldPath>) -> Result<AggregateSpec> {
    let name = entry.key.as_str();
    let shown = units::shown(name);
    let key_name = key.map_or("partition", FieldPath::last_name);
    let fits = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().count() <= MAX_NAME_CHARS;
    if !fits {
        let expected = "a name of at most 100 letters, digits, `_` and `-` that begins with a letter or `_`";
        return Err(unfit(entry.key_mark, format!("expected {expected}, found `{shown}`")));
    }
    if name.to_lowercase() == key_name.to_lowercase() {
        let owner = if key.is_some() { "the key" } else { "the name of the partition" };
        return Err(unfit(entry.key_mark, format!("the column `{shown}` is {owner}; name the aggregate otherwise")));
    }
    if RESERVED_COLUMNS.contains(&name.to_lowercase().as_str()) {
        let reason =
            format!("the name `{shown}` is taken: {} are columns of every table of state", list(&RESERVED_COLUMNS));
        return Err(unfit(entry.key_mark, reason));
    }
    let node = &entry.value;
    let expression = node.text("an aggregate such as `count` or `sum(amount)`")?;
    let aggregate = AggregateSpec::parse(name, expression).map_err(|error| within(node, error))?;
    for field in aggregate.field.iter().chain(&aggregate.by) {
        check_field(field, format, node.mark)?;
    }
    Ok(aggregate)
}

/// Refuses types that no aggregate asks for, or that it can not use.
fn check_types(input: &Input, aggregates: &[AggregateSpec]) -> Result<()> {
    use AggregateFunction::{Avg, Max, Min, Sum};
    for ((field, column_type), mark) in input.spec.types.iter().zip(&input.type_marks) {
        let ordered = !matches!(column_type, ColumnType::Bool | ColumnType::Json);
        let numeric = matches!(column_type, ColumnType::Number | ColumnType::Int);
        let mut used = false;
        for aggregate in aggregates {
            let is_field = aggregate.field.as_ref() == Some(field);
            let is_by = aggregate.by.as_ref() == Some(field);
            used |= is_field || is_by;
            let needs_number = is_field && (matches!(aggregate.function, Sum | Avg) || aggregate.round.is_some());
            let needs_order = is_by || is_field && matches!(aggregate.function, Min | Max);
            let type_name = column_type.name();
            if needs_number && !numeric {
                let reason = format!("`{aggregate}` needs numbers, but the type of `{field}` is {type_name}");
                return Err(unfit(*mark, reason));
            }
            if needs_order && !ordered {
                let reason = format!("`{aggregate}` needs an order, but the type of `{field}` is {type_name}");
                return Err(unfit(*mark, reason));
            }
        }
        if !used {
            return Err(unfit(*mark, format!("no aggregate uses the field `{}`", units::shown(&field.to_string()))));
        }
    }
    Ok(())
}

fn checkpoint(node: Option<&Node>, job: &str, tasks: Option<u32>) -> Result<CheckpointSpec> {
    let default_store = Path::new("checkpoints").join(job);
    let Some(node) = node else {
        return Ok(CheckpointSpec {
            enabled: true,
            schedule: Some(Schedule::Every(DEFAULT_SCHEDULE)),
            state_bytes: None,
            records: None,
            min_pause: Duration::ZERO,
            jitter: Duration::ZERO,
            timeout: None,
            tolerate: 0,
            mode: Mode::Elided,
            priority: None,
            store: default_store,
            replicas: Vec::new(),
            min_copies: 1,
            keep: None,
        });
    };
    let section = Section::new("checkpoint", node, "a map such as `{schedule: 10m}`")?;
    let enabled = section.get("enabled").map_or(Ok(true), Node::boolean)?;
    let state_bytes = section.get("state_bytes").map(state_bytes).transpose()?;
    let records = section.get("records").map(records).transpose()?;
    let mode = section.get("mode").map_or(Ok(Mode::Elided), mode)?;
    let schedule = match section.get("schedule") {
        Some(node) => Some(schedule(node, mode)?),
        None if mode == Mode::Scheduled => {
            let reason = "`mode: scheduled` needs a `schedule`, such as `6h` or `\"0 */6 * * *\"`";
            return Err(section.get("mode").map_or_else(|| unfit(section.mark, reason), |node| node.unfit(reason)));
        }
        None => (state_bytes.is_none() && records.is_none()).then_some(Schedule::Every(DEFAULT_SCHEDULE)),
    };
    let min_pause = section.get("min_pause").map_or(Ok(Duration::ZERO), duration)?;
    let jitter = section.get("jitter").map_or(Ok(Duration::ZERO), duration)?;
    if let (Some(node), None) = (section.get("jitter"), &schedule) {
        return Err(node.unfit("`jitter` delays scheduled checkpoints; it needs a `schedule`"));
    }
    let timeout = section.get("timeout").map(longer_than_zero).transpose()?;
    let tolerate = section.get("tolerate").map_or(Ok(0), tolerate)?;
    let priority = priority::read(&section, mode, tasks)?;
    let store = section.get("store").map_or(Ok(default_store), path)?;
    let replicas = replicas(section.get("replicas"), &store)?;
    let copies = 1 + replicas.len();
    let min_copies = section.get("min_copies").map_or(Ok(copies), |node| min_copies(node, copies))?;
    let keep = section.get("keep").map(keep).transpose()?;
    Ok(CheckpointSpec {
        enabled,
        schedule,
        state_bytes,
        records,
        min_pause,
        jitter,
        timeout,
        tolerate,
        mode,
        priority,
        store,
        replicas,
        min_copies,
        keep,
    })
}

/// Reads how many of `copies`, the store and its replicas, a checkpoint needs.
fn min_copies(node: &Node, copies: usize) -> Result<usize> {
    let number = node.text("a number")?.parse().ok().filter(|number| (1..=copies).contains(number));
    number.ok_or_else(|| node.wrong(&format!("a number from 1 to {copies}, which counts the store and its replicas")))
}

fn keep(node: &Node) -> Result<KeepSpec> {
    let section = Section::new("checkpoint.keep", node, "a map such as `{last: 10, daily: 7}`")?;
    let count = |key| section.get(key).map_or(Ok(0), |node| node.integer("a whole number of checkpoints"));
    let duration = |key| section.get(key).map(duration).transpose();
    let policy = Policy {
        all: false,
        last: count("last")?,
        hourly: count("hourly")?,
        daily: count("daily")?,
        weekly: count("weekly")?,
        monthly: count("monthly")?,
        within: duration("within")?,
        bytes: section.get("bytes").map(bytes).transpose()?,
    };
    if policy.check().is_err() {
        return Err(node.unfit("`keep` needs a rule that keeps something, such as `last: 10`"));
    }
    Ok(KeepSpec { policy, grace: duration("grace")?.unwrap_or(DEFAULT_GRACE) })
}

pub(super) fn duration(node: &Node) -> Result<Duration> {
    units::parse_duration(node.text(units::DURATION_FORM)?).map_err(|error| unit(node, error))
}

pub(super) fn longer_than_zero(node: &Node) -> Result<Duration> {
    match duration(node)? {
        Duration::ZERO => Err(node.wrong("a duration longer than zero")),
        duration => Ok(duration),
    }
}

fn tolerate(node: &Node) -> Result<u32> {
    let expected = "a whole number of failed checkpoints in a row, at most 1000000";
    let number = node.integer(expected)?;
    u32::try_from(number).ok().filter(|number| *number <= 1_000_000).ok_or_else(|| node.wrong(expected))
}

fn records(node: &Node) -> Result<u64> {
    let expected = "a whole number of records, at least 1";
    match node.integer(expected)? {
        0 => Err(node.wrong(expected)),
        records => Ok(records),
    }
}

fn schedule(node: &Node, mode: Mode) -> Result<Schedule> {
    let text = node.text(units::DURATION_FORM)?;
    let is_cron = text.starts_with('@') || text.split_whitespace().count() >= 5 || text.contains('*');
    if is_cron {
        if mode != Mode::Scheduled {
            let reason = "a cron expression needs `mode: scheduled`; the other modes take an interval such as `10m`";
            return Err(node.unfit(reason));
        }
        Calendar::cron(text).map_err(|reason| node.unfit(format!("no cron expression: {reason}")))?;
        return Ok(Schedule::Cron(text.to_owned()));
    }
    let schedule = units::parse_duration(text).map_err(|error| unit(node, error))?;
    if schedule.is_zero() || schedule > MAX_SCHEDULE {
        return Err(node.wrong("a duration longer than zero and at most `366d`"));
    }
    Ok(Schedule::Every(schedule))
}

fn state_bytes(node: &Node) -> Result<u64> {
    match bytes(node)? {
        0 => Err(node.wrong("a size larger than zero")),
        bytes => Ok(bytes),
    }
}

fn mode(node: &Node) -> Result<Mode> {
    choose(node, "mode", &[("elided", Mode::Elided), ("priority", Mode::Priority), ("scheduled", Mode::Scheduled)])
}

fn replicas(node: Option<&Node>, store: &Path) -> Result<Vec<PathBuf>> {
    let mut replicas = Vec::new();
    let nodes = node.map_or(Ok(&[][..]), |node| node.list("a list of directories"))?;
    for node in nodes {
        let replica = path(node)?;
        if replica == store {
            return Err(node.unfit(format!("the replica {node} is the store itself")));
        }
        if replicas.contains(&replica) {
            return Err(node.unfit(format!("{node} is listed twice")));
        }
        replicas.push(replica);
    }
    Ok(replicas)
}

/// Reads `output:`; `is_program` says that the rows are those of a program.
fn output(node: &Node, is_program: bool) -> Result<OutputSpec> {
    let default = if is_program { Emit::Rows } else { Emit::Final };
    if node.scalar().is_some() {
        return Ok(OutputSpec { files: path(node)?, format: OutputFormat::Json, emit: default });
    }
    let section = Section::new("output", node, "a directory, or a map with `files`")?;
    let files = path(section.require("files", "the directory to write to")?)?;
    let formats = [("json", OutputFormat::Json), ("csv", OutputFormat::Csv), ("parquet", OutputFormat::Parquet)];
    let format = section.get("format").map_or(Ok(OutputFormat::Json), |node| choose(node, "format", &formats))?;
    let emits = [("final", Emit::Final), ("changes", Emit::Changes), ("rows", Emit::Rows)];
    let emit = section.get("emit").map_or(Ok(default), |node| choose(node, "emit", &emits))?;
    if let (Some(node), true) = (section.get("emit"), (emit == Emit::Rows) != is_program) {
        return Err(node.unfit(match is_program {
            true => "the output of a program is what it emits: `emit: rows`",
            false => "`emit: rows` needs `exec`: the rows that a program emits",
        }));
    }
    if let (Some(node), true) = (section.get("format"), is_program && format != OutputFormat::Json) {
        return Err(node.unfit("the rows of a program have no fixed columns: its output needs `format: json`"));
    }
    Ok(OutputSpec { files, format, emit })
}

/// Reads a whole number from `least` to `most`.
pub(super) fn within_range(node: &Node, least: u32, most: u32) -> Result<u32> {
    let expected = format!("a whole number from {least} to {most}");
    let number = node.integer(&expected)?;
    let number = u32::try_from(number).ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| node.wrong(&expected))
}

/// Returns what the name in `node` stands for.
pub(super) fn choose<T: Clone>(node: &Node, what: &str, choices: &[(&str, T)]) -> Result<T> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let name = node.text(&format!("one of {}", list(&names)))?;
    let chosen = choices.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    chosen.ok_or_else(|| node.unfit(unknown(what, name, "", &names)))
}

pub(super) fn bytes(node: &Node) -> Result<u64> {
    units::parse_bytes(node.text(units::SIZE_FORM)?).map_err(|error| unit(node, error))
}

pub(super) fn path(node: &Node) -> Result<PathBuf> {
    path_text(node, "a path").map(PathBuf::from)
}

fn path_text<'a>(node: &'a Node, expected: &str) -> Result<&'a str> {
    let text = node.text(expected)?;
    if text.is_empty() || text.contains('\0') { Err(node.wrong(expected)) } else { Ok(text) }
}

fn unit(node: &Node, error: UnitError) -> YamlError {
    node.unfit(error.to_string())
}

/// Puts an error inside a scalar at the character that it is about.
fn within(node: &Node, error: ExpressionError) -> YamlError {
    unfit(node.mark_within(error.at), error.reason)
}

pub(super) fn unfit(mark: Mark, reason: impl Into<String>) -> YamlError {
    YamlError { mark, problem: Problem::Unfit { reason: reason.into() } }
}
