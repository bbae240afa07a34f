//! The arguments of a job, and how it is read.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use super::python;
use crate::cli::error::CliError;
use crate::job::{GivenInput, JobFileError, JobSpec, Overrides, Variables};
use crate::values::yaml;

/// The job, and the files that it reads.
#[derive(Debug, Clone, clap::Args)]
pub struct JobArgs {
    /// The job file, or a Python script with a SamzaJob class
    #[arg(value_name = "JOB")]
    pub job: PathBuf,

    /// Files to read instead of those that the job names; `-` means standard input
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// Use VALUE instead of what the job file has for KEY, such as `checkpoint.schedule=1s`; may be repeated. Without a
    /// value, the key is left out
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
}

impl JobArgs {
    /// Returns `message` about the value of a dotted key, with its place if that is in a job file.
    pub fn at_key(&self, text: &str, key: &str, message: String) -> String {
        match python::is_script(&self.job) {
            true => format!("{}: {message}", self.job.display()),
            false => JobFileError::about(text, &self.job, key, None, message).to_string(),
        }
    }
}

/// Reads the job. Returns its definition, its text, and the environment of its programs.
pub fn read_job(args: &JobArgs) -> Result<(JobSpec, Vec<u8>, Environment), CliError> {
    let inputs = python::inputs(&args.inputs, &args.job)?;
    let is_script = python::is_script(&args.job);
    let mut environment = if is_script { python::environment() } else { Environment::new() };
    let bytes = if is_script {
        python::describe(&args.job, &environment)?
    } else {
        // It may be a pipe or a device, so the read is limited to what a job file may have, and one byte more.
        let limit = yaml::MAX_BYTES as u64 + 1;
        let mut bytes = Vec::new();
        let read = File::open(&args.job).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        read.map_err(|error| {
            CliError::usage(format!("cannot read job file `{}`", args.job.display())).caused_by(&error)
        })?;
        bytes
    };
    let given = if !inputs.is_empty() {
        GivenInput::Files(&inputs)
    } else if is_script && !std::io::stdin().is_terminal() {
        GivenInput::StandardInput
    } else {
        GivenInput::None
    };
    let variable = |name: &str| env::var(name).ok();
    // A script knows the environment itself.
    let variables: Option<Variables<'_>> = if is_script { None } else { Some(&variable) };
    let overrides = Overrides { input: given, settings: &args.settings, variables };
    let job = JobSpec::from_bytes_with(&bytes, &args.job, &overrides)
        .map_err(|error| job_error(&error, &String::from_utf8_lossy(&bytes), args))?;
    if job.exec.is_some() && environment.is_empty() {
        environment = python::environment();
    }
    Ok((job, bytes, environment))
}

/// Variables for the environment of programs.
pub type Environment = Vec<(OsString, OsString)>;

/// Reports an error in a job: with its position in the job file, or with the part of a script's `configs`.
pub(super) fn job_error(error: &JobFileError, text: &str, args: &JobArgs) -> CliError {
    if !python::is_script(&args.job) || error.line == 0 {
        let mut wrong = CliError::usage(error.to_string());
        wrong.others = error.others.iter().map(ToString::to_string).collect();
        return wrong;
    }
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default().trim().trim_end_matches([',', '{']);
    let place = if error.line > 1 { format!(" at `{line}`") } else { String::new() };
    let error_in_configs = CliError::usage(format!("{}: configs{place}: {}", error.file, error.message));
    if error.message.starts_with("missing key `input`") {
        return error_in_configs
            .hint("set `self.configs['input']`, name files on the command line, or pipe records into it");
    }
    error_in_configs
}
