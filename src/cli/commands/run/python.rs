//! Jobs that are Python scripts: `ckpt run job.py`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::input::object::url::is_url;
use crate::values::digest::Digest;

mod describing;

/// The name of a file of the Python package, and its content.
macro_rules! module {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../python/samza/", $name)))
    };
}

/// The Python package that jobs import, which `pip install .` installs too. `__init__.py` is the last file: when it
/// exists, the others do.
const PACKAGE: [(&str, &str); 12] = [
    module!("_columns.py"),
    module!("_errors.py"),
    module!("_job.py"),
    module!("_json.py"),
    module!("_program.py"),
    module!("_start.py"),
    module!("_state.py"),
    module!("_streams.py"),
    module!("_worker.py"),
    module!("py.typed"),
    module!("testing.py"),
    module!("__init__.py"),
];

/// The line that precedes the description of a job. What is printed before it is not part of the job.
const MARK: &str = "--- ckpt job ---";

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
    let mut command = Command::new(&python);
    command
        .arg(argument(script))
        .current_dir(directory)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("CKPT_DESCRIBE", MARK)
        .env_remove(crate::runner::process::exec::plan::PROGRAM_VARIABLE);
    let (printed, status) = describing::run(command).map_err(|error| cannot(&error))?;
    let (other, job) = split(&printed);
    if !other.is_empty() {
        // The script may print while it is loaded. That goes where everything else that it prints goes.
        let _ = io::stderr().write_all(&[other.trim_ascii_end(), b"\n"].concat());
    }
    if !status.success() {
        let failure = CliError::usage(format!("`{shown}` did not describe its job: it ended with {status}"));
        return Err(match module_directory() {
            Ok(_) => failure,
            Err(error) => failure.hint(format!(
                "the module `samza` could not be provided ({error}); set `XDG_CACHE_HOME` to a writable directory"
            )),
        });
    }
    if job.is_empty() {
        return Err(CliError::usage(format!("`{shown}` did not describe its job"))
            .hint("it must create a SamzaJob and call `run()`: `if __name__ == '__main__': MyJob().run()`"));
    }
    Ok(job.to_vec())
}

/// Returns the name of a script as an argument of Python, to which a name that begins with `-` is an option.
fn argument(script: &Path) -> OsString {
    let name = script.file_name().unwrap_or(script.as_os_str());
    if name.as_encoded_bytes().starts_with(b"-") { Path::new(".").join(name).into_os_string() } else { name.to_owned() }
}

/// Splits what a script printed into the description of its job, and what precedes it.
fn split(printed: &[u8]) -> (&[u8], &[u8]) {
    let mark = format!("\n{MARK}\n");
    match printed.windows(mark.len()).rposition(|window| window == mark.as_bytes()) {
        Some(at) => (&printed[..at], &printed[at + mark.len()..]),
        // An older module that the script found elsewhere does not write the mark.
        None if printed.starts_with(b"{") => (&[], printed),
        None => (printed, &[]),
    }
}

/// Returns the environment in which Python finds the package, unless another one precedes it in `PYTHONPATH`.
///
/// Empty if the package cannot be written; then it must be installed.
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

/// Writes the package if needed, into the user's cache or else into a temporary directory. Returns the directory that
/// it is in.
fn module_directory() -> io::Result<PathBuf> {
    let digest = Digest::of(PACKAGE.map(|(name, content)| [name, content].join("\n")).concat().as_bytes()).to_string();
    let write_below = |directory: PathBuf| {
        // In PYTHONPATH a colon ends a path.
        if directory.as_os_str().as_encoded_bytes().contains(&b':') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{}` has a colon", directory.display())));
        }
        write_package(directory.join(&digest[..16]))
    };
    cache_directory().and_then(write_below).or_else(|error| {
        // A system service may have no home, or one that is read-only.
        private_directory(&env::temp_dir()).and_then(write_below).map_err(|_| error)
    })
}

/// Returns the directory for packages in the user's cache.
fn cache_directory() -> io::Result<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| Path::new(value).is_absolute()).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let cache = cache.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cache directory"))?;
    Ok(cache.join("ckpt").join("python"))
}

/// Returns a directory below `parent` that only this user can write to, which it makes if needed.
///
/// Everybody can write to a temporary directory, and the writer of the package decides what the job runs. So a
/// directory of another user, or a symbolic link, is an error.
fn private_directory(parent: &Path) -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let directory = parent.join(format!("ckpt-python-{user}"));
    match fs::DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(&directory)?;
    if !found.is_dir() || found.uid() != user || found.mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not a private directory"));
    }
    Ok(directory)
}

/// Writes the files of the package below `directory`, unless they exist. Returns the directory.
fn write_package(directory: PathBuf) -> io::Result<PathBuf> {
    let package = directory.join("samza");
    for (name, content) in PACKAGE {
        let path = package.join(name);
        if fs::read(&path).is_ok_and(|found| found == content.as_bytes()) {
            continue;
        }
        let write = || {
            fs::create_dir_all(&package)?;
            let temporary = package.join(format!(".{name}.{}", std::process::id()));
            fs::write(&temporary, content)?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|error| io::Error::new(error.kind(), format!("cannot write `{}`: {error}", path.display())))?;
    }
    Ok(directory)
}

/// Returns the input files of the command line as a job names them: relative if they are below its directory, else
/// absolute. A URL stays as it is.
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
        if let Some(url) = path.to_str().filter(|path| is_url(path)) {
            return Ok(url.to_owned());
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let made = private_directory(parent.path()).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o700);
        assert_eq!(private_directory(parent.path()).unwrap(), made);
        fs::set_permissions(&made, fs::Permissions::from_mode(0o720)).unwrap();
        assert!(private_directory(parent.path()).is_err());
        fs::set_permissions(&made, fs::Permissions::from_mode(0o700)).unwrap();
        let other = parent.path().join("other");
        fs::rename(&made, &other).unwrap();
        symlink(&other, &made).unwrap();
        assert!(private_directory(parent.path()).is_err());
    }

    #[test]
    fn what_a_script_prints_is_not_part_of_its_job() {
        for (printed, other, job) in [
            ("\n--- ckpt job ---\n{}\n", "", "{}\n"),
            ("hello\n\n--- ckpt job ---\n{}\n", "hello\n", "{}\n"),
            ("{no end\n--- ckpt job ---\n{}\n", "{no end", "{}\n"),
            ("{}\n", "", "{}\n"),
            ("hello\n", "hello\n", ""),
            ("", "", ""),
        ] {
            assert_eq!(split(printed.as_bytes()), (other.as_bytes(), job.as_bytes()), "{printed}");
        }
    }
}
