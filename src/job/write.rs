//! The canonical text of a job, which each checkpoint stores.

use std::path::Path;

use crate::job::model::{
    CheckpointSpec, Emit, Encoding, EventTime, ExecSpec, InputFormat, InputSpec, JobSpec, KeepSpec, KeyField, OnError,
    OnGone, OnLate, PriorityClass, PrioritySpec, Schedule, Selector, TopicSpec, WindowSpec, exact_millis,
};
use crate::store::prune::policy::Policy;
use crate::values::units::{exact_bytes, exact_duration};
use crate::values::value::Column;
use crate::values::yaml::quote;

/// Writes `job` as a job file with every default filled in.
pub(super) fn write(job: &JobSpec) -> String {
    let mut lines = Lines(String::new());
    lines.add(0, "job", &quote(&job.job));
    write_input(&mut lines, &job.input);
    if !job.input.computed.is_empty() {
        lines.begin(0, "let");
        for computed in &job.input.computed {
            lines.add(1, &quote(&computed.name), &quote(&computed.expression));
        }
    }
    if let Some(filter) = &job.filter {
        lines.add(0, "where", &quote(filter));
    }
    match &job.key[..] {
        [] => {}
        [KeyField { field, .. }] => lines.add(0, "key", &quote(&field.to_string())),
        fields => lines.list(0, "key", fields.iter().map(key_field)),
    }
    if job.is_partitioned {
        lines.add(0, "tasks", "partitions");
    } else if !job.key.is_empty() {
        lines.add(0, "tasks", &job.tasks.to_string());
    }
    write_process(&mut lines, job);
    write_checkpoint(&mut lines, &job.checkpoint);
    if let Some(output) = &job.output {
        lines.begin(0, "output");
        match &output.topic {
            None => lines.add(1, "files", &path(&output.files)),
            Some(topic) => write_output_topic(&mut lines, topic),
        }
        lines.add(1, "format", output.format.name());
        lines.add(1, "emit", output.emit.name());
        write_columns(&mut lines, &output.columns);
        if let Some(having) = &output.having {
            lines.add(1, "having", &quote(having));
        }
    }
    lines.0
}

fn key_field(part: &KeyField) -> String {
    let field = quote(&part.field.to_string());
    part.column_type.map_or_else(|| field.clone(), |column_type| format!("{{{field}: {}}}", column_type.name()))
}

fn write_input(lines: &mut Lines, input: &InputSpec) {
    lines.begin(0, "input");
    match &input.topic {
        None => lines.list(1, "files", input.files.iter().map(|file| quote(file))),
        Some(topic) => write_topic(lines, topic, input.follow),
    }
    lines.add(1, "format", input.format.name());
    match &input.format {
        InputFormat::Csv { delimiter } => lines.add(1, "delimiter", &quote(&char::from(*delimiter).to_string())),
        InputFormat::Words => lines.add(1, "split", "words"),
        InputFormat::Pattern(pattern) => lines.add(1, "pattern", &quote(pattern.text())),
        InputFormat::Json | InputFormat::Text => {}
    }
    if input.encoding != Encoding::Utf8 {
        lines.add(1, "encoding", input.encoding.name());
    }
    if !input.nulls.is_empty() {
        lines.list(1, "nulls", input.nulls.iter().map(|text| quote(text)));
    }
    if let Some(form) = &input.numbers {
        lines.begin(1, "numbers");
        if let Some(thousands) = form.thousands {
            lines.add(2, "thousands", &quote(&thousands.to_string()));
        }
        lines.add(2, "decimal", &quote(&form.decimal.to_string()));
        lines.add(2, "strip", &quote(&form.strip));
    }
    if !input.types.is_empty() {
        lines.begin(1, "types");
        for (field, column_type) in &input.types {
            lines.add(2, &quote(&field.to_string()), column_type.name());
        }
    }
    match (&input.on_error, input.max_bad) {
        (OnError::Fail, _) => lines.add(1, "on_error", "fail"),
        (OnError::Skip, None) => lines.add(1, "on_error", "skip"),
        (on_error, max) => {
            lines.begin(1, "on_error");
            if let OnError::DeadLetter(file) = on_error {
                lines.add(2, "dead_letter", &path(file));
            }
            if let Some(max) = max {
                lines.add(2, "max", &max.to_string());
            }
        }
    }
    // The default is left out, as in the definitions of jobs that are older than this key.
    if input.on_gone == OnGone::Warn {
        lines.add(1, "on_gone", "warn");
    }
    lines.add(1, "max_record_bytes", &exact_bytes(input.max_record_bytes));
    if input.topic.is_none() {
        lines.add(1, "follow", &input.follow.to_string());
    }
}

fn write_topic(lines: &mut Lines, topic: &TopicSpec, is_followed: bool) {
    lines.begin(1, "kafka");
    lines.add(2, "brokers", &quote(&topic.brokers));
    lines.add(2, "topic", &quote(&topic.topic));
    lines.add(2, "start", topic.start.name());
    if !is_followed {
        lines.add(2, "until", "latest");
    }
    if !topic.columns.is_empty() {
        lines.list(2, "columns", topic.columns.iter().map(|column| quote(column)));
    }
    write_connection(lines, topic);
}

fn write_output_topic(lines: &mut Lines, topic: &TopicSpec) {
    lines.begin(1, "kafka");
    lines.add(2, "brokers", &quote(&topic.brokers));
    lines.add(2, "topic", &quote(&topic.topic));
    write_connection(lines, topic);
}

/// Writes how the brokers of a topic are reached.
fn write_connection(lines: &mut Lines, topic: &TopicSpec) {
    if !topic.settings.is_empty() {
        lines.begin(2, "settings");
        for (name, value) in &topic.settings {
            lines.add(3, &quote(name), &quote(value));
        }
    }
    if let Some(file) = &topic.settings_file {
        lines.add(2, "settings_file", &path(file));
    }
    lines.add(2, "timeout", &exact_duration(topic.timeout));
}

fn write_process(lines: &mut Lines, job: &JobSpec) {
    lines.begin(0, "process");
    if let Some(program) = &job.exec {
        write_exec(lines, program);
    } else if let Some(native) = &job.native {
        lines.add(1, "native", &quote(native));
    } else {
        lines.begin(1, "aggregate");
    }
    for aggregate in &job.aggregates {
        lines.add(2, &quote(&aggregate.name), &quote(&aggregate.to_string()));
    }
    if let Some(delete) = &job.delete {
        lines.add(1, "delete", &quote(&delete.expression));
    }
    if let Some(window) = &job.window {
        // Where no record can be late, the two keys about late records are errors.
        let has_late = job.output.as_ref().is_none_or(|output| output.emit == Emit::Changes);
        write_window(lines, window, has_late);
    }
    if let Some(ttl) = &job.ttl {
        lines.add(1, "ttl", &exact_millis(ttl.ttl_millis));
        write_time(lines, 1, &ttl.time);
        lines.add(1, "ahead", &exact_millis(ttl.ahead_millis));
    }
}

/// Writes the columns that a program declares, if it does.
fn write_columns(lines: &mut Lines, columns: &[Column]) {
    if !columns.is_empty() {
        lines.begin(1, "columns");
    }
    for column in columns {
        lines.add(2, &quote(&column.name), column.column_type.name());
    }
}

fn write_exec(lines: &mut Lines, exec: &ExecSpec) {
    lines.list(1, "exec", exec.command.iter().map(|word| quote(word)));
    lines.add(1, "timeout", &exact_duration(exec.timeout));
    lines.add(1, "restarts", &exec.restarts.to_string());
    if exec.restarts > 0 {
        lines.add(1, "backoff", &exact_duration(exec.backoff));
    }
    if let Some(tick) = exec.tick {
        lines.add(1, "tick", &exact_duration(tick));
    }
    write_columns(lines, &exec.columns);
}

fn write_window(lines: &mut Lines, window: &WindowSpec, has_late: bool) {
    lines.begin(1, "window");
    write_time(lines, 2, &window.time);
    lines.add(2, "every", &exact_millis(window.every_millis));
    lines.add(2, "length", &exact_millis(window.length_millis));
    if !has_late {
        return;
    }
    lines.add(2, "late", &exact_millis(window.late_millis));
    match &window.on_late {
        OnLate::Drop => lines.add(2, "on_late", "drop"),
        OnLate::Fail => lines.add(2, "on_late", "fail"),
        OnLate::DeadLetter(file) => {
            lines.begin(2, "on_late");
            lines.add(3, "dead_letter", &path(file));
        }
    }
    lines.add(2, "ahead", &exact_millis(window.ahead_millis));
}

fn write_time(lines: &mut Lines, depth: usize, time: &EventTime) {
    lines.add(depth, "time", &quote(&time.field.to_string()));
    lines.add(depth, "unit", time.unit.name());
}

fn write_checkpoint(lines: &mut Lines, checkpoint: &CheckpointSpec) {
    lines.begin(0, "checkpoint");
    lines.add(1, "enabled", &checkpoint.enabled.to_string());
    match &checkpoint.schedule {
        None => {}
        Some(Schedule::Every(interval)) => lines.add(1, "schedule", &exact_duration(*interval)),
        Some(Schedule::Cron(expression)) => lines.add(1, "schedule", &quote(expression)),
    }
    if let Some(bytes) = checkpoint.state_bytes {
        lines.add(1, "state_bytes", &exact_bytes(bytes));
    }
    if let Some(records) = checkpoint.records {
        lines.add(1, "records", &records.to_string());
    }
    for (key, duration) in [("min_pause", checkpoint.min_pause), ("jitter", checkpoint.jitter)] {
        if !duration.is_zero() {
            lines.add(1, key, &exact_duration(duration));
        }
    }
    if let Some(timeout) = checkpoint.timeout {
        lines.add(1, "timeout", &exact_duration(timeout));
    }
    if checkpoint.tolerate > 0 {
        lines.add(1, "tolerate", &checkpoint.tolerate.to_string());
    }
    lines.add(1, "mode", checkpoint.mode.name());
    if let Some(priority) = &checkpoint.priority {
        write_priority(lines, priority);
    }
    lines.add(1, "store", &path(&checkpoint.store));
    if !checkpoint.replicas.is_empty() {
        lines.list(1, "replicas", checkpoint.replicas.iter().map(|replica| path(replica)));
        lines.add(1, "min_copies", &checkpoint.min_copies.to_string());
    }
    if let Some(keep) = &checkpoint.keep {
        write_keep(lines, keep);
    }
}

fn write_priority(lines: &mut Lines, priority: &PrioritySpec) {
    if !priority.classes.is_empty() {
        lines.list(1, "priorities", priority.classes.iter().map(class));
    }
    if let Some(bytes) = priority.budget_bytes {
        lines.add(1, "budget", &exact_bytes(bytes));
    }
    lines.add(1, "max_staleness", &exact_duration(priority.max_staleness));
}

fn class(class: &PriorityClass) -> String {
    let selector = match &class.selector {
        Selector::Tasks(first, last) => format!("tasks: {first}-{last}, "),
        Selector::Key(expression) => format!("key: {}, ", quote(expression)),
        Selector::Partitions(glob) => format!("partitions: {}, ", quote(glob)),
        Selector::Others => String::new(),
    };
    format!("{{name: {}, {selector}weight: {}, every: {}}}", quote(&class.name), class.weight, class.every)
}

fn write_keep(lines: &mut Lines, keep: &KeepSpec) {
    lines.begin(1, "keep");
    let Policy { last, hourly, daily, weekly, monthly, .. } = keep.policy;
    for (key, count) in [("last", last), ("hourly", hourly), ("daily", daily), ("weekly", weekly), ("monthly", monthly)]
    {
        if count > 0 {
            lines.add(2, key, &count.to_string());
        }
    }
    if let Some(within) = keep.policy.within {
        lines.add(2, "within", &exact_duration(within));
    }
    if let Some(bytes) = keep.policy.bytes {
        lines.add(2, "bytes", &exact_bytes(bytes));
    }
    lines.add(2, "grace", &exact_duration(keep.grace));
}

/// Writes a path. Paths come from a job file, so they are UTF-8.
fn path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// The lines of a job file.
struct Lines(String);

impl Lines {
    fn add(&mut self, depth: usize, key: &str, value: &str) {
        self.0 += &format!("{}{key}: {value}\n", "  ".repeat(depth));
    }

    fn begin(&mut self, depth: usize, key: &str) {
        self.0 += &format!("{}{key}:\n", "  ".repeat(depth));
    }

    fn list(&mut self, depth: usize, key: &str, items: impl Iterator<Item = String>) {
        self.begin(depth, key);
        for item in items {
            self.0 += &format!("{}- {item}\n", "  ".repeat(depth + 1));
        }
    }
}
