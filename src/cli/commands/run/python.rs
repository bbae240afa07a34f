//! Jobs that are Python scripts: `ckpt run job.py`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::values::digest::Digest;

/// The Python module that jobs import, which `pip install ./python` installs too.
const MODULE: &str = include_str!("../../../../python/samza.py");

/// The largest job description of a script, in bytes: that of a job file.
const MAX_JOB_BYTES: u64 = 1 << 20;

/// Tells whether the job is a script.
pub(super) fn is_script(job: &Path) -> bool {
    job.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("py"))
}

/// Asks a script for its job. Returns a job file in JSON.
pub(super) fn describe(script: &Path, environment: &[(OsString, OsString)]) -> Result<Vec<u8>, CliError> {
    let shown = script.display();
    if let Err(error) = fs::metadata(script) {
        return Err(CliError::usage(format!("cannot read job `{shown}`")).caused_by(&error));
    }
    let python = env::var_os("CKPT_PYTHON").unwrap_or_else(|| "python3".into());
    let directory = script.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = |error: &io::Error| {
        CliError::usage(format!("cannot run `{}` on `{shown}`", python.to_string_lossy()))
            .caused_by(error)
            .hint("a Python job needs Python 3.9 or later; set `CKPT_PYTHON` to choose the interpreter")
    };
    let mut child = Command::new(&python)
        .arg(script.file_name().unwrap_or(script.as_os_str()))
        .current_dir(directory)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("CKPT_DESCRIBE", "1")
        .env_remove(crate::runner::process::exec::plan::PROGRAM_VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot(&error))?;
    let mut text = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_JOB_BYTES + 1).read_to_end(&mut text).map_err(|error| cannot(&error))?;
    }
    let status = child.wait().map_err(|error| cannot(&error))?;
    if !status.success() {
        return Err(CliError::usage(format!("`{shown}` did not describe its job: it ended with {status}")));
    }
    if text.is_empty() {
        return Err(CliError::usage(format!("`{shown}` did not describe its job"))
            .hint("it must create a SamzaJob and call `run()`: `if __name__ == '__main__': MyJob().run()`"));
    }
    Ok(text)
}

/// Returns the environment in which Python finds the module, after any installed one.
///
/// Empty if the module cannot be written; then it must be installed.
pub(super) fn environment() -> Vec<(OsString, OsString)> {
    let Ok(directory) = module_directory() else { return Vec::new() };
    let path = match env::var_os("PYTHONPATH").filter(|path| !path.is_empty()) {
        None => directory.into_os_string(),
        Some(mut path) => {
            path.push(":");
            path.push(directory);
            path
        }
    };
    vec![("PYTHONPATH".into(), path)]
}

/// Writes the module into the user's cache if needed, and returns its directory.
fn module_directory() -> io::Result<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| Path::new(value).is_absolute()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let cache = cache.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cache directory"))?;
    let digest = Digest::of(MODULE.as_bytes()).to_string();
    let directory = cache.join("ckpt").join("python").join(&digest[..16]);
    let path = directory.join("samza.py");
    if fs::read(&path).is_ok_and(|found| found == MODULE.as_bytes()) {
        return Ok(directory);
    }
    fs::create_dir_all(&directory)?;
    let temporary = directory.join(format!(".samza.py.{}", std::process::id()));
    fs::write(&temporary, MODULE)?;
    fs::rename(&temporary, &path)?;
    Ok(directory)
}

/// Returns the input files of the command line as a job names them: relative if they are below its directory, else
/// absolute.
pub(super) fn inputs(given: &[PathBuf], job: &Path) -> Result<Vec<String>, CliError> {
    let cannot = |path: &Path, error: &io::Error| {
        CliError::usage(format!("cannot read input `{}`", path.display())).caused_by(error)
    };
    let base =
        std::path::absolute(job.parent().unwrap_or(Path::new("")).join(".")).map_err(|error| cannot(job, &error))?;
    let name = |path: &PathBuf| {
        if path.as_os_str() == OsStr::new("-") {
            return Ok("-".to_owned());
        }
        fs::metadata(path).map_err(|error| cannot(path, &error))?;
        let absolute = std::path::absolute(path).map_err(|error| cannot(path, &error))?;
        let name = absolute.strip_prefix(&base).unwrap_or(&absolute);
        match name.to_str() {
            Some(name) => Ok(crate::input::globs::literal(name)),
            None => {
                Err(CliError::new(Exit::Usage, format!("the name of input `{}` is not valid UTF-8", path.display())))
            }
        }
    };
    given.iter().map(name).collect()
}
