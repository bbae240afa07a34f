//! A running program: its process, and the three threads at its standard streams.

use std::collections::VecDeque;
use std::io;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::protocol::{Answer, MAX_ANSWER_BYTES};
use crate::runner::process::exec::plan::ExecPlan;

/// Lines on their way to the program.
const LINES_UNDER_WAY: usize = 32;
/// Answers on their way from it: what it hands over is never in memory all at once.
const ANSWERS_UNDER_WAY: usize = 4;
/// Lines of its standard error that wait to be told.
const SAID_UNDER_WAY: usize = 64;
/// Bytes of a line of standard error that are told; the rest comes as further lines.
const SAID_BYTES: usize = 4096;
/// Bytes of a line that is no answer that are shown.
const SHOWN_BYTES: usize = 200;
/// The last lines of standard error that are remembered.
const LAST_LINES: usize = 3;
/// How long a program that has closed its standard output may go on before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether it has ended.
const END_TICK: Duration = Duration::from_millis(5);

/// What comes from a program.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// An answer.
    Answer(Answer),
    /// A line that is none: its beginning, and why.
    Garbage { line: String, reason: String },
    /// It has closed its standard output.
    End,
}

/// A running program. It is killed, with all that it has started, and reaped when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    /// Lines to write to its standard input; nothing once it is to end.
    pub(crate) lines: Option<Sender<Arc<Vec<u8>>>>,
    pub(crate) answers: Receiver<Incoming>,
    pub(crate) said: Receiver<String>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts the program, in a process group of its own: a Ctrl-C in the terminal is for ckpt, which needs the program for its last checkpoint.
    pub(crate) fn start(plan: &ExecPlan) -> io::Result<Child> {
        let mut process = Command::new(plan.executable())
            .args(&plan.command[1..])
            .current_dir(&plan.directory)
            .envs(plan.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (line_sender, lines) = bounded(LINES_UNDER_WAY);
        let (answer_sender, answers) = bounded(ANSWERS_UNDER_WAY);
        let (said_sender, said) = bounded(SAID_UNDER_WAY);
        let last_lines = Arc::<Mutex<VecDeque<String>>>::default();
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let missing = || io::Error::other("a standard stream is missing");
        let (stdin, stdout, stderr) =
            (stdin.ok_or_else(missing)?, stdout.ok_or_else(missing)?, stderr.ok_or_else(missing)?);
        // Not scoped: a grandchild that keeps a stream open must not keep the run from ending.
        std::thread::spawn(move || write(stdin, &lines));
        std::thread::spawn(move || read(stdout, &answer_sender));
        let kept = Arc::clone(&last_lines);
        std::thread::spawn(move || listen(stderr, &said_sender, &kept));
        Ok(Child { process, lines: Some(line_sender), answers, said, last_lines, status: None })
    }

    /// Returns how the program ended, once it has; it is killed when it does not end by itself within a little while.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < END_PATIENCE && !self.has_ended() {
            std::thread::sleep(END_TICK);
        }
        self.reap()
    }

    /// Returns the last line that the program has written to its standard error and that is not empty.
    pub(crate) fn last_line(&self) -> Option<String> {
        let lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().rev().find(|line| !line.trim().is_empty()).cloned()
    }

    /// Tells whether the program has ended. It stays a zombie: its number belongs to no other process yet.
    pub(crate) fn has_ended(&self) -> bool {
        if self.status.is_some() {
            return true;
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.pid().is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_)) | Err(_)))
    }

    /// Kills the program and what it has started.
    pub(crate) fn kill(&mut self) {
        let _ = self.reap();
    }

    /// Kills what is left of the program and of what it has started, and takes its status.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        if let Some(pid) = self.pid() {
            // While it is not reaped, the number of its group can not be that of another.
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let status = self.process.wait()?;
        self.status = Some(status);
        Ok(status)
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.process.id().cast_signed())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.reap();
    }
}

/// Says how a program ended: `with exit status 3`, `by signal 9`.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("with exit status {code}"),
        (None, Some(signal)) => format!("by signal {signal}"),
        (None, None) => "in an unknown way".to_owned(),
    }
}

/// Writes lines until there are no more, or nobody reads them.
fn write(mut stdin: ChildStdin, lines: &Receiver<Arc<Vec<u8>>>) {
    for line in lines {
        if stdin.write_all(&line).is_err() {
            // That the program has gone is told by its standard output.
            return;
        }
    }
}

/// Reads answers until the first line that is none, or the end.
fn read(stdout: ChildStdout, answers: &Sender<Incoming>) {
    let mut stdout = BufReader::with_capacity(1 << 18, stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = stdout.by_ref().take(MAX_ANSWER_BYTES as u64 + 1).read_until(b'\n', &mut line);
        let whole = line.strip_suffix(b"\n");
        let incoming = match (read, whole) {
            (Err(_) | Ok(0), _) => Incoming::End,
            (Ok(_), _) if line.len() > MAX_ANSWER_BYTES => {
                garbage(&line, format!("it is longer than {MAX_ANSWER_BYTES} bytes"))
            }
            // Cut short: the program ended while it wrote.
            (Ok(_), None) => Incoming::End,
            (Ok(_), Some(whole)) if whole.trim_ascii().is_empty() => continue,
            (Ok(_), Some(whole)) => match Answer::parse(whole) {
                Ok(answer) => Incoming::Answer(answer),
                Err(reason) => garbage(whole, reason),
            },
        };
        let is_last = !matches!(incoming, Incoming::Answer(_));
        if answers.send(incoming).is_err() || is_last {
            break;
        }
    }
    // A program that goes on writing must not be stopped by a full pipe before it is told to end.
    let _ = io::copy(&mut stdout, &mut io::sink());
}

fn garbage(line: &[u8], reason: String) -> Incoming {
    let shown = &line[..line.len().min(SHOWN_BYTES)];
    let mut shown: String = String::from_utf8_lossy(shown).escape_debug().to_string().replace("\\\"", "\"");
    if line.len() > SHOWN_BYTES {
        shown.push('…');
    }
    Incoming::Garbage { line: shown, reason }
}

/// Passes on what the program writes to its standard error, line by line.
fn listen(stderr: ChildStderr, said: &Sender<String>, last_lines: &Mutex<VecDeque<String>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match stderr.by_ref().take(SAID_BYTES as u64).read_until(b'\n', &mut line) {
            Err(_) | Ok(0) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        {
            let mut kept = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == LAST_LINES {
                kept.pop_front();
            }
            kept.push_back(text.clone());
        }
        if said.send(text).is_err() {
            let _ = io::copy(&mut stderr, &mut io::sink());
            return;
        }
    }
}
