//! What tests of the binary build on: a separate environment for every test.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{fs, thread};

use tempfile::TempDir;

pub mod browser;
#[cfg(feature = "s3")]
pub mod bucket;
pub mod document;
pub mod failing;
pub mod headed;
pub mod in_process;
pub mod interleaved;
pub mod json_schema;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "s3")]
pub mod lossy;
#[cfg(feature = "s3")]
pub mod object_server;
pub mod objects;
pub mod random;
pub mod refusing;
pub mod repository;
pub mod simulated;
pub mod store_builder;
pub mod terminal;
pub mod turns;
#[cfg(feature = "kafka")]
pub mod wire;
pub mod writers;

/// A directory of its own, and the binary with a cleared environment in it.
pub struct Env {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command printed, and how it ended. The test's directory is shown as `$DIR`.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    /// The exit code; 128 plus the signal's number when a signal ended the command.
    pub status: i32,
}

impl Env {
    /// Creates an empty directory.
    pub fn new() -> Env {
        Env::with(tempfile::tempdir())
    }

    /// Creates an empty directory in memory, where the machine has such a place: for tests that flush hundreds of
    /// times.
    pub fn in_memory() -> Env {
        Env::with(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()))
    }

    fn with(dir: std::io::Result<TempDir>) -> Env {
        let variables = [("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("COLUMNS", "80")];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Env { dir: dir.expect("a temporary directory"), variables: variables.map(own).to_vec() }
    }

    /// Sets a variable for the commands that follow.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Env {
        self.variables.retain(|(old, _)| old != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes a variable for the commands that follow.
    pub fn unset(&mut self, name: &str) -> &mut Env {
        self.variables.retain(|(old, _)| old != name);
        self
    }

    /// Stops the clock at `now`, in RFC 3339, for the commands that follow.
    pub fn at(&mut self, now: &str) -> &mut Env {
        self.set("CKPT_NOW", now)
    }

    /// Returns the test's directory, in which the commands run.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the path of `name` in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file, and creates the directories above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a directory")).expect("created");
        fs::write(&path, content).expect("written");
        path
    }

    /// Adds to the end of a file, as a program that writes a log does: the file is never cut, not even for a moment.
    pub fn append(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.path(name));
        file.and_then(|mut file| file.write_all(content.as_ref())).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Returns the text of a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Returns the binary with its arguments, ready to start: for tests that signal or kill it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments);
        self.prepare(&mut command);
        command
    }

    /// Runs the binary without input. With `--json`, what it prints must fit its schema.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, b"")
    }

    /// Runs the binary and feeds it `input`. With `--json`, what it prints must fit its schema.
    #[track_caller]
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let output = self.finish(self.command(arguments), input);
        json_schema::check(arguments, &output);
        output
    }

    /// Runs a shell command line in which `ckpt` is the binary: for pipes and closed streams.
    pub fn shell(&self, line: &str) -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        self.prepare(&mut command);
        command.env("PATH", path_with_binary());
        self.finish(command, b"")
    }

    /// Runs the binary with a terminal of 80 columns as standard output and standard error.
    pub fn run_on_terminal(&self, arguments: &[&str]) -> terminal::Seen {
        let mut command = self.command(arguments);
        command.env_remove("COLUMNS").env("TERM", "xterm-256color");
        let mut seen = terminal::run(command, 80);
        seen.text = self.hide_dir(&seen.text);
        seen
    }

    /// Does the same with the terminal as standard input too, where `typed` is typed.
    pub fn type_on_terminal(&self, arguments: &[&str], typed: &str) -> terminal::Seen {
        let mut command = self.command(arguments);
        command.env_remove("COLUMNS").env("TERM", "xterm-256color");
        let mut seen = terminal::type_and_run(command, 80, typed);
        seen.text = self.hide_dir(&seen.text);
        seen
    }

    fn prepare(&self, command: &mut Command) {
        command.current_dir(self.dir()).env_clear().env("HOME", self.dir()).envs(self.variables.iter().cloned());
    }

    fn finish(&self, mut command: Command, input: &[u8]) -> Output {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        // A command that does not read its input may close it.
        let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("waited");
        feeder.join().expect("no panic");
        let text = |bytes: Vec<u8>| self.hide_dir(&String::from_utf8_lossy(&bytes));
        Output { stdout: text(output.stdout), stderr: text(output.stderr), status: code(output.status) }
    }

    fn hide_dir(&self, text: &str) -> String {
        let real = self.dir().canonicalize().expect("the directory exists");
        text.replace(&real.display().to_string(), "$DIR").replace(&self.dir().display().to_string(), "$DIR")
    }
}

impl Output {
    /// Returns the output after checking the exit code.
    #[track_caller]
    pub fn expect(self, status: i32) -> Output {
        assert_eq!(self.status, status, "{self}");
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status: {}\nstdout:\n{}\nstderr:\n{}", self.status, self.stdout, self.stderr)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Returns the binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ckpt"))
}

/// Returns a PATH in which the binary comes first.
pub fn path_with_binary() -> std::ffi::OsString {
    let first = binary().parent().expect("the binary is in a directory").to_owned();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(first).chain(std::env::split_paths(&rest))).expect("no colon in it")
}

/// Calls its function when it is dropped, even if the test fails: a thread that waits for this test would wait forever.
pub struct AtEnd<F: Fn()>(pub F);

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A process that ends with the test.
pub struct Ending(pub Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the exit code as a shell shows it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("the process has ended")
}

/// Returns every file below `dir` with its bytes, by its relative path.
pub fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.expect("listed"));
    let files = entries.filter(|entry| entry.file_type().is_file());
    let read = |path: &Path| {
        let name = path.strip_prefix(dir).expect("below").to_str().expect("UTF-8").to_owned();
        (name, fs::read(path).expect("readable"))
    };
    files.map(|entry| read(entry.path())).collect()
}

/// Clears the texts of locks, which say who had them last.
pub fn clear_lock_texts(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    files.iter_mut().filter(|(name, _)| name.ends_with(".lock")).for_each(|(_, text)| text.clear());
    files
}

#[test]
fn an_environment_is_empty_but_for_what_is_set() {
    let mut env = Env::new();
    let output =
        env.set("LC_ALL", "C").shell("env | grep -v -e ^PWD= -e ^PATH= -e ^_= -e ^SHLVL= -e ^OLDPWD= | sort").expect(0);
    assert_eq!(output.stdout, "COLUMNS=80\nHOME=$DIR\nLC_ALL=C\nTZ=UTC\n");
    assert_eq!(env.shell("kill -9 $$").status, 137);
    env.write("a/b", "c");
    assert_eq!(env.shell("cat a/b; echo $PWD").expect(0).stdout, "c$DIR\n");
    assert!(env.path("a").is_dir());
    assert_eq!(env.read("a/b"), "c");
}
