//! From the YAML tree of a job file to a job. Every value is checked, and every error points at its place.

use std::path::Path;

use crate::job::known_fields::KnownFields;
use crate::job::model::JobSpec;
use crate::job::read::field::expression;
use crate::job::read::process::Process;
use crate::job::read::section::{Mistakes, Result, Section, all, mark_of, node_of, unfit};
use crate::job::read::time::Timing;
use crate::job::read::types::TypedField;
use crate::values::yaml::Node;

mod aggregates;
mod checkpoint;
mod cleaning;
mod columns;
mod computed;
mod exec;
mod field;
pub(super) mod input;
mod key;
mod output;
mod pattern;
mod priority;
mod process;
mod scalar;
pub(super) mod section;
mod time;
mod topic;
mod types;
pub(super) mod unknown_keys;

const DEFAULT_TASKS: u32 = 64;
const MAX_TASKS: u64 = 1_000_000;
const MAX_NAME_CHARS: usize = 100;

/// Reads the whole job. Relative paths are relative to `base`.
pub(super) fn job(root: &Node, base: &Path) -> Result<JobSpec> {
    let (job, types) = read(root, base)?;
    types::check_use(&types, &job.aggregates, &job.input.format)?;
    Ok(job)
}

/// Reads the definition of a job in a checkpoint. The types in it may be those that an earlier version assumed before
/// it saw a value, and that a job file may not have.
pub(super) fn definition(root: &Node) -> Result<JobSpec> {
    read(root, Path::new("")).map(|(job, _)| job)
}

fn read(root: &Node, base: &Path) -> Result<(JobSpec, Vec<TypedField>)> {
    let top = Section::new("", root, "a job file, which is a map with `job`, `input` and `process`")?;
    let mut mistakes = Mistakes::default();
    let job = mistakes.take(top.require("job", "the job's name").and_then(job_name));
    let input_node = mistakes.get(top.require("input", "the files to read"));
    let input = input_node.and_then(|node| mistakes.get(input::read(node, top.get("let"), base)));
    // JSON can have any field, so an unknown format adds no mistakes to the one that it is.
    let known = input.as_ref().map_or(KnownFields::ANY, |(input, _)| KnownFields::of(input));
    let filter = mistakes.take(top.get("where").map(|node| expression(node, "amount > 0")).transpose());
    let key = mistakes.take(top.get("key").map_or(Ok(Vec::new()), |node| key::read(node, known)));
    let is_keyed = top.get("key").is_some();
    let tasks = mistakes.get(tasks(&top, is_keyed));
    let process_node = mistakes.get(top.require("process", "what to compute"));
    let process = process_node.and_then(|node| mistakes.get(process::read(node, known, is_keyed, &key)));
    let aggregates = process.as_ref().map_or(&[][..], |process| &process.aggregates);
    let timing = process_node.and_then(|node| mistakes.get(time::read(node, known, is_keyed, &key, aggregates)));
    let is_partitioned = top.get("tasks").is_some_and(is_partitions);
    let tasks_of_key = is_keyed.then_some(tasks.filter(|_| !is_partitioned).unwrap_or(MAX_TASKS as u32));
    let checkpoint = mistakes.get(checkpoint::read(top.get("checkpoint"), &job, tasks_of_key));
    let is_program = process_node.is_some_and(|node| node_of(node, "exec", None).is_some());
    let input_topic = input.as_ref().and_then(|(input, _)| input.topic.as_ref());
    let output = top.get("output").map(|node| output::read(node, is_program, input_topic));
    let output = mistakes.take(output.transpose());
    mistakes.none()?;
    let everything = (input, tasks, process_node.zip(process), timing, checkpoint);
    let (Some((input, types)), Some(tasks), Some((process_node, process)), Some(timing), Some(checkpoint)) = everything
    else {
        unreachable!("what could not be read is a mistake");
    };
    let (Process { aggregates, delete, exec, native }, Timing { window, ttl }) = (process, timing);
    let base = base.to_owned();
    let job = JobSpec {
        job,
        input,
        filter,
        key,
        tasks,
        is_partitioned,
        aggregates,
        delete,
        exec,
        native,
        window,
        ttl,
        checkpoint,
        output,
        base,
    };
    all([
        check_partitioned(&job, top.get("tasks")),
        check_priority(&job, process_node, top.get("checkpoint")),
        check_program(&job, process_node),
        input::check_dead_letters(&job, top.require("input", "")?),
        output::check(&job, top.get("output")),
        time::check_output(&job, process_node),
    ])?;
    Ok((job, types))
}

/// Rejects tasks that are partitions where the partitions do not separate the keys.
fn check_partitioned(job: &JobSpec, tasks: Option<&Node>) -> Result<()> {
    match tasks.filter(|_| job.is_partitioned) {
        None => Ok(()),
        Some(node) if job.input.topic.is_none() => {
            Err(node.unfit("`tasks: partitions` needs a topic: only its producers keep the keys of partitions apart"))
        }
        Some(node) if job.key.len() > 1 => {
            Err(node.unfit("`tasks: partitions` needs a key of one field, which is the key of the messages"))
        }
        Some(_) => Ok(()),
    }
}

/// Rejects what does not work in mode priority.
fn check_priority(job: &JobSpec, process: &Node, checkpoint: Option<&Node>) -> Result<()> {
    if job.checkpoint.priority.is_none() {
        return Ok(());
    }
    priority::check_process(process)?;
    match checkpoint {
        Some(node) if job.input.topic.is_some() => {
            let mark = mark_of(node, "mode", None).unwrap_or(node.mark);
            let reason = "`mode: priority` rereads input from the oldest cut, but the messages of a topic come in \
                          another order each time: use another mode";
            Err(unfit(mark, reason))
        }
        Some(node) if job.input.follow => {
            let mark = mark_of(node, "mode", None).unwrap_or(node.mark);
            let reason = "`mode: priority` rereads input from the oldest cut, but `follow` numbers blocks as they \
                          arrive: use another mode";
            Err(unfit(mark, reason))
        }
        _ => Ok(()),
    }
}

/// Rejects a program that would read a topic.
fn check_program(job: &JobSpec, process: &Node) -> Result<()> {
    match node_of(process, "exec", None) {
        Some(node) if job.input.topic.is_some() => {
            Err(node.unfit("programs cannot read topics yet: use `aggregate`, or read the messages from files"))
        }
        _ => Ok(()),
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
    Err(node.wrong("a name of at most 100 letters, digits, `-`, `_` and `.` that starts with a letter, a digit or `_`"))
}

fn tasks(top: &Section<'_>, keyed: bool) -> Result<u32> {
    match top.get("tasks") {
        None if keyed => Ok(DEFAULT_TASKS),
        None => Ok(0),
        Some(node) if !keyed => Err(node.unfit("`tasks` needs `key`: without a key each partition is a task")),
        Some(node) if is_partitions(node) => Ok(0),
        Some(node) => {
            let expected = "a whole number of tasks from 1 to 1000000";
            match node.integer(expected)? {
                tasks @ 1..=MAX_TASKS => Ok(u32::try_from(tasks).expect("a million fits")),
                _ => Err(node.wrong(expected)),
            }
        }
    }
}

/// Returns whether the value of `tasks:` says that each partition is a task.
fn is_partitions(tasks: &Node) -> bool {
    tasks.text("").is_ok_and(|text| text == "partitions")
}
