//! What a run would do, without starting it. Writes nothing and keeps no lock.

use crate::input::Partition;
use crate::input::record::Filter;
use crate::job::{FieldPath, JobSpec};
use crate::runner::check::inputs::{check_files, check_followed, check_topic};
use crate::runner::check::store::check_store;
use crate::runner::check_names::{FirstRecords, first_records};
use crate::runner::error::RunError;
use crate::runner::output::dead_letter::DeadLetterFile;
use crate::runner::output::plans::{OutputPlans, line_files};
use crate::runner::pipeline::paths::check_paths;
use crate::values::error_chain::in_one_line;

mod inputs;
mod report;
mod store;

pub use report::{InputMessages, InputReport, InputState, Report};

/// Checks everything that a run of `job` checks before its first record, except for the state itself, which
/// `ckpt verify` checks.
///
/// What would keep a run from starting is in the report. Fails only if the store cannot be examined.
pub fn check(job: &JobSpec) -> Result<Report, RunError> {
    let mut report = Report {
        store: None,
        holder: None,
        are_workers_running: false,
        latest: None,
        is_unreadable: false,
        differences: Vec::new(),
        inputs: Vec::new(),
        unsent: None,
        input_notes: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
        first_records: FirstRecords::default(),
        filter: None,
    };
    let outputs = OutputPlans::new(job, false).unwrap_or_else(|error| {
        report.problems.push(in_one_line(&error));
        OutputPlans::default()
    });
    let mut filter_fields = Vec::new();
    if let Some(expression) = &job.filter {
        match Filter::of_input(expression, &job.input) {
            Ok(filter) => filter_fields = filter.fields().to_vec(),
            Err(error) => report.filter = Some(error),
        }
    }
    report.problems.extend(check_paths(job, &outputs).err().map(|error| in_one_line(&error)));
    let start = if job.checkpoint.enabled { check_store(job, &outputs, &mut report)? } else { Some(Vec::new()) };
    let Some(start) = start else {
        report.is_unreadable = true;
        return Ok(report);
    };
    check_line_files(job, &mut report);
    let unread = match job.input.follow {
        _ if job.input.topic.is_some() => {
            check_topic(job, &start, &mut report);
            Vec::new()
        }
        true => check_followed(job, &start, &mut report),
        false => check_files(job, &start, &mut report),
    };
    check_first_records(job, &filter_fields, unread, &mut report);
    Ok(report)
}

/// Checks whether a run could open the files of dead letters and late records.
fn check_line_files(job: &JobSpec, report: &mut Report) {
    // The first run after a roll back puts the lines back that the checkpoint counts.
    let last = report.latest.as_deref();
    if last.is_some_and(|last| last.restored_from.is_some()) {
        return;
    }
    for file in line_files(job) {
        let name = file.path.display().to_string();
        let checked = DeadLetterFile::check(&name, &job.resolve(file.path), last.and_then(file.part));
        report.problems.extend(checked.err().map(|error| in_one_line(&error)));
    }
}

/// Compares the names in the job file with the first records of `unread`, files that a run would read.
fn check_first_records(job: &JobSpec, filter: &[FieldPath], unread: Vec<Partition>, report: &mut Report) {
    if unread.is_empty() {
        return;
    }
    let is_new = report.latest.is_none() && unread.len() == report.inputs.len();
    match first_records(job, filter, unread, is_new) {
        Ok(found) if report.latest.is_none() => report.first_records = found,
        // Earlier runs may have seen what the first records of the new files do not have.
        Ok(_) => {}
        Err(error) => {
            let problem = in_one_line(&error);
            if !report.problems.contains(&problem) {
                report.problems.push(problem);
            }
        }
    }
}
