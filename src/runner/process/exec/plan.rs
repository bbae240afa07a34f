//! How the programs of a run are started, and what they are told.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::input::Block;
use crate::input::StreamNames;
use crate::input::record::{BadRecord, Field, Header, RecordPlace, csv, logfmt_pairs};
use crate::job::{Emit, ExecSpec, FieldPath, InputFormat, JobSpec, LinePattern};
use crate::runner::process::exec::protocol;
use crate::runner::process::exec::protocol::{HelloKey, PROTOCOL};
use crate::runner::process::exec::typed::partial_row;
use crate::values::value::Column;

/// How the programs of a run are started, and what they are told.
#[derive(Debug)]
pub struct ExecPlan {
    pub(crate) command: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) timeout: Duration,
    pub(crate) tick: Option<Duration>,
    pub(crate) job: String,
    pub(crate) key: Option<HelloKey>,
    format: InputFormat,
    /// The names of the fields of text.
    names_in_text: Vec<String>,
    /// The names of the partitions that records come from, by stream.
    names: Arc<StreamNames>,
    /// Whether there is an output for rows that a program emits.
    emits: bool,
    /// The columns of the program's state and of its rows, if it declares them.
    pub(crate) columns: Vec<Column>,
    pub(crate) output_columns: Vec<Column>,
}

impl ExecPlan {
    /// Makes the plan of `job`, which runs `exec`. `environment` is added to the environment of ckpt.
    pub fn new(job: &JobSpec, exec: &ExecSpec, environment: &[(OsString, OsString)]) -> ExecPlan {
        let mut environment = environment.to_vec();
        environment.push((PROGRAM_VARIABLE.into(), PROTOCOL.to_string().into()));
        ExecPlan {
            command: exec.command.clone(),
            directory: if job.base.as_os_str().is_empty() { PathBuf::from(".") } else { job.base.clone() },
            environment,
            timeout: exec.timeout,
            tick: exec.tick,
            job: job.job.clone(),
            key: HelloKey::new(job.key_fields().map(FieldPath::to_string).collect()),
            format: job.input.format.clone(),
            names_in_text: job.input.format.field_names().unwrap_or_default(),
            names: Arc::default(),
            emits: job.output.as_ref().is_some_and(|output| output.emit == Emit::Rows),
            columns: exec.columns.clone(),
            output_columns: job.output.as_ref().map(|output| output.columns.clone()).unwrap_or_default(),
        }
    }

    /// Returns what to start. A path is relative to the directory of the job file; a plain name is looked up in `PATH`.
    pub(crate) fn executable(&self) -> PathBuf {
        let program = PathBuf::from(&self.command[0]);
        if program.components().count() < 2 {
            return program;
        }
        std::path::absolute(self.directory.join(&program)).unwrap_or(program)
    }

    pub(crate) fn set_names(&mut self, names: Arc<StreamNames>) {
        self.names = names;
    }

    /// Returns whether there is an output for rows that a program emits.
    pub(crate) fn emits(&self) -> bool {
        self.emits
    }

    /// Returns whether the program declares the columns of its state.
    pub(crate) fn is_typed(&self) -> bool {
        !self.columns.is_empty()
    }

    /// Checks that a row that the program emits has the columns of the output, if the program declares them.
    pub(crate) fn check_row(&self, row: &str) -> Result<(), String> {
        if self.output_columns.is_empty() {
            Ok(())
        } else {
            partial_row(&self.output_columns, row.as_bytes()).map(drop)
        }
    }

    /// Returns the name of the program for messages: its script, if it has one.
    pub fn name(&self) -> &str {
        let script = self.command.get(1).filter(|argument| !argument.starts_with('-'));
        let path = script.unwrap_or(&self.command[0]);
        path.rsplit('/').next().unwrap_or(path)
    }

    /// Appends a record to the body of a batch, and begins the body if it is empty. On an error, `body` may have grown.
    ///
    /// `fields` are the values of [`Mirror::fields`](crate::runner::process::exec::mirror::Mirror).
    pub(crate) fn push(
        &self,
        body: &mut Vec<u8>,
        block: &Block,
        place: RecordPlace<'_>,
        fields: &[Field<'_>],
        task: u32,
    ) -> Result<(), BadRecord> {
        if body.is_empty() {
            protocol::begin_batch(body, &self.names.get(block.stream));
        }
        protocol::push_record(body, task, place.offset, |body| match &self.format {
            // The record was checked when it was parsed.
            InputFormat::Json => {
                body.extend_from_slice(place.bytes.trim_ascii());
                Ok(())
            }
            InputFormat::Csv { delimiter } => {
                let text = std::str::from_utf8(place.bytes).expect("the record was parsed as text");
                push_row(body, text, *delimiter, block.header.as_deref())
            }
            InputFormat::Pattern(LinePattern::Logfmt) => {
                let text = std::str::from_utf8(place.bytes).expect("the record was parsed as text");
                push_texts(body, logfmt_pairs(text).iter().map(|(name, value)| (*name, &**value)));
                Ok(())
            }
            InputFormat::Text | InputFormat::Words | InputFormat::Pattern(_) => {
                let texts = self.names_in_text.iter().zip(fields).filter_map(|(name, field)| match field {
                    Field::Text(text) => Some((name.as_str(), &**text)),
                    _ => None,
                });
                push_texts(body, texts);
                Ok(())
            }
        })
    }
}

/// The environment variable that tells a program that it was started by ckpt.
pub const PROGRAM_VARIABLE: &str = "CKPT_PROGRAM";

/// Appends an object of strings.
fn push_texts<'a>(body: &mut Vec<u8>, texts: impl Iterator<Item = (&'a str, &'a str)>) {
    body.push(b'{');
    for (index, (name, text)) in texts.enumerate() {
        if index > 0 {
            body.push(b',');
        }
        protocol::push_text(body, name);
        body.push(b':');
        protocol::push_text(body, text);
    }
    body.push(b'}');
}

/// Appends a CSV row as a JSON object of strings.
pub(crate) fn push_row(
    body: &mut Vec<u8>,
    text: &str,
    delimiter: u8,
    header: Option<&Header>,
) -> Result<(), BadRecord> {
    let names = header.map_or(&[][..], |header| &header.names);
    body.push(b'{');
    csv::split(text, delimiter, |index, field| {
        if let Some(name) = names.get(index) {
            if index > 0 {
                body.push(b',');
            }
            protocol::push_text(body, name);
            body.push(b':');
            protocol::push_text(body, &field);
        }
    })?;
    body.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_named_after_its_script_and_found_beside_the_job_file() {
        let job = |command: &str| {
            let text = format!("job: j\ninput: a.jsonl\nprocess: {{exec: {command}}}\n");
            JobSpec::parse(&text, std::path::Path::new("/jobs/j.yaml")).unwrap()
        };
        for (command, name, executable) in [
            ("[python3, lib/a.py, -x]", "a.py", "python3"),
            ("[./bin/count, -v]", "count", "/jobs/./bin/count"),
            ("[/usr/bin/env, -S, x]", "env", "/usr/bin/env"),
        ] {
            let job = job(command);
            let plan = ExecPlan::new(&job, job.exec.as_ref().unwrap(), &[]);
            assert_eq!((plan.name(), plan.executable()), (name, PathBuf::from(executable)));
        }
    }
}
