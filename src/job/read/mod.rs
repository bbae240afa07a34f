//! From the YAML tree of a job file to a job. Every value is checked, and every error points at its place.

use std::path::Path;

use crate::job::model::JobSpec;
use crate::job::read::field::{KnownFields, field};
use crate::job::read::process::Process;
use crate::job::read::section::{Result, Section, mark_of, unfit};
use crate::job::read::time::Timing;
use crate::job::read::types::TypedField;
use crate::values::yaml::Node;

mod aggregates;
mod checkpoint;
mod cleaning;
mod computed;
mod exec;
mod field;
pub(super) mod input;
mod output;
mod pattern;
mod priority;
mod process;
mod scalar;
pub(super) mod section;
mod time;
mod types;

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
    let job = job_name(top.require("job", "the job's name")?)?;
    let (input, types) = input::read(top.require("input", "the files to read")?, top.get("let"), base)?;
    let known = KnownFields::of(&input);
    let filter = top.get("where").map(filter).transpose()?;
    let key = top.get("key").map(|node| field(node, known)).transpose()?;
    let tasks = tasks(&top, key.is_some())?;
    let process_node = top.require("process", "what to compute")?;
    let Process { aggregates, exec, native } = process::read(process_node, known, key.as_ref())?;
    let Timing { window, ttl } = time::read(process_node, known, key.as_ref(), &aggregates)?;
    let checkpoint = checkpoint::read(top.get("checkpoint"), &job, key.is_some().then_some(tasks))?;
    if checkpoint.priority.is_some() {
        priority::check_process(process_node)?;
        if let (true, Some(node)) = (input.follow, top.get("checkpoint")) {
            let mark = mark_of(node, "mode", None).unwrap_or(node.mark);
            let reason = "`mode: priority` rereads input from the oldest cut, but `follow` numbers blocks as they \
                          arrive: use another mode";
            return Err(unfit(mark, reason));
        }
    }
    let output = top.get("output").map(|node| output::read(node, exec.is_some())).transpose()?;
    let base = base.to_owned();
    let job =
        JobSpec { job, input, filter, key, tasks, aggregates, exec, native, window, ttl, checkpoint, output, base };
    input::check_dead_letters(&job, top.require("input", "")?)?;
    output::check(&job, top.get("output"))?;
    time::check_output(&job, process_node)?;
    Ok((job, types))
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

fn filter(node: &Node) -> Result<String> {
    let expected = "an expression such as `amount > 0`";
    let text = node.text(expected)?;
    if text.trim().is_empty() { Err(node.wrong(expected)) } else { Ok(text.to_owned()) }
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
