//! The canonical text of a job, which each checkpoint stores.

use std::path::Path;

use crate::job::{InputFormat, InputSpec, JobSpec, OnError, PrioritySpec, Schedule, Selector, exec, time};
use crate::store::prune::policy::Policy;
use crate::values::units::{exact_bytes, exact_duration};
use crate::values::yaml::quote;

/// Writes `job` as a job file.
pub(super) fn write(job: &JobSpec) -> String {
    let mut lines = Lines(String::new());
    lines.add(0, "job", &quote(&job.job));
    write_input(&mut lines, &job.input);
    if let Some(filter) = &job.filter {
        lines.add(0, "where", &quote(filter));
    }
    if let Some(key) = &job.key {
        lines.add(0, "key", &quote(&key.to_string()));
        lines.add(0, "tasks", &job.tasks.to_string());
    }
    lines.begin(0, "process");
    if let Some(program) = &job.exec {
        exec::write(&mut lines, program);
    } else if let Some(native) = &job.native {
        lines.add(1, "native", &quote(native));
    } else {
        lines.begin(1, "aggregate");
    }
    for aggregate in &job.aggregates {
        lines.add(2, &quote(&aggregate.name), &quote(&aggregate.to_string()));
    }
    time::write(&mut lines, job);
    let checkpoint = &job.checkpoint;
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
        write_priority(&mut lines, priority);
    }
    lines.add(1, "store", &path(&checkpoint.store));
    if !checkpoint.replicas.is_empty() {
        lines.list(1, "replicas", checkpoint.replicas.iter().map(|replica| path(replica)));
        lines.add(1, "min_copies", &checkpoint.min_copies.to_string());
    }
    if let Some(keep) = &checkpoint.keep {
        lines.begin(1, "keep");
        let Policy { last, hourly, daily, weekly, monthly, .. } = keep.policy;
        for (key, count) in
            [("last", last), ("hourly", hourly), ("daily", daily), ("weekly", weekly), ("monthly", monthly)]
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
    if let Some(output) = &job.output {
        lines.begin(0, "output");
        lines.add(1, "files", &path(&output.files));
        lines.add(1, "format", output.format.name());
        lines.add(1, "emit", output.emit.name());
    }
    lines.0
}

fn write_priority(lines: &mut Lines, priority: &PrioritySpec) {
    if !priority.classes.is_empty() {
        lines.list(
            1,
            "priorities",
            priority.classes.iter().map(|class| {
                let selector = match &class.selector {
                    Selector::Tasks(first, last) => format!("tasks: {first}-{last}, "),
                    Selector::Key(expression) => format!("key: {}, ", quote(expression)),
                    Selector::Partitions(glob) => format!("partitions: {}, ", quote(glob)),
                    Selector::Others => String::new(),
                };
                format!("{{name: {}, {selector}weight: {}, every: {}}}", quote(&class.name), class.weight, class.every)
            }),
        );
    }
    if let Some(bytes) = priority.budget_bytes {
        lines.add(1, "budget", &exact_bytes(bytes));
    }
    lines.add(1, "max_staleness", &exact_duration(priority.max_staleness));
}

fn write_input(lines: &mut Lines, input: &InputSpec) {
    lines.begin(0, "input");
    lines.list(1, "files", input.files.iter().map(|file| quote(file)));
    lines.add(1, "format", input.format.name());
    match input.format {
        InputFormat::Csv { delimiter } => lines.add(1, "delimiter", &quote(&char::from(delimiter).to_string())),
        InputFormat::Words => lines.add(1, "split", "words"),
        InputFormat::Json | InputFormat::Text => {}
    }
    if !input.types.is_empty() {
        lines.begin(1, "types");
        for (field, column_type) in &input.types {
            lines.add(2, &quote(&field.to_string()), column_type.name());
        }
    }
    match &input.on_error {
        OnError::Fail => lines.add(1, "on_error", "fail"),
        OnError::Skip => lines.add(1, "on_error", "skip"),
        OnError::DeadLetter(file) => {
            lines.begin(1, "on_error");
            lines.add(2, "dead_letter", &path(file));
        }
    }
    lines.add(1, "max_record_bytes", &exact_bytes(input.max_record_bytes));
    lines.add(1, "follow", &input.follow.to_string());
}

/// Paths come from a job file, which is text.
pub(super) fn path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// The lines of a job file.
pub(super) struct Lines(String);

impl Lines {
    pub(super) fn add(&mut self, depth: usize, key: &str, value: &str) {
        self.0 += &format!("{}{key}: {value}\n", "  ".repeat(depth));
    }

    pub(super) fn begin(&mut self, depth: usize, key: &str) {
        self.0 += &format!("{}{key}:\n", "  ".repeat(depth));
    }

    pub(super) fn list(&mut self, depth: usize, key: &str, items: impl Iterator<Item = String>) {
        self.begin(depth, key);
        for item in items {
            self.0 += &format!("{}- {item}\n", "  ".repeat(depth + 1));
        }
    }
}
