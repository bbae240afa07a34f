//! A running program: its process, and the three threads at its standard streams.

use std::collections::VecDeque;
use std::io;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::protocol::{Answer, MAX_ANSWER_BYTES};
use crate::runner::process::exec::plan::ExecPlan;
use crate::values::lock::lock;

/// The number of lines that wait to be written to the program.
const LINES_UNDER_WAY: usize = 32;
/// The number of answers that wait to be processed, so that a large state is never in memory all at once.
const ANSWERS_UNDER_WAY: usize = 4;
/// The number of lines of standard error that wait to be reported.
const STDERR_LINES_UNDER_WAY: usize = 64;
/// The longest line of standard error that is reported at once, in bytes. The rest is reported as further lines.
const STDERR_LINE_BYTES: usize = 4096;
/// How many bytes of a malformed line are shown.
const SHOWN_BYTES: usize = 200;
/// How many lines of standard error are remembered.
const LAST_LINES: usize = 3;
/// How long a program may continue after it has closed its standard output before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// How often to check whether the program has ended.
const END_TICK: Duration = Duration::from_millis(5);

/// What arrives from a program.
#[derive(Debug)]
pub(crate) enum Incoming {
    Answer(Answer),
    /// A line that is not an answer: its beginning, and why.
    Malformed {
        line: String,
        reason: String,
    },
    /// The program has closed its standard output.
    End,
}

/// A running program. Dropping this kills the program with all its descendants, and reaps it.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    /// Lines to write to its standard input. `None` once it was asked to end.
    pub(crate) lines: Option<Sender<Arc<Vec<u8>>>>,
    pub(crate) answers: Receiver<Incoming>,
    pub(crate) stderr_lines: Receiver<String>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts the program in its own process group: Ctrl-C in the terminal is meant for ckpt, which needs the program
    /// for its last checkpoint.
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
        let (stderr_sender, stderr_lines) = bounded(STDERR_LINES_UNDER_WAY);
        let last_lines = Arc::<Mutex<VecDeque<String>>>::default();
        let (stdin, stdout, stderr) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let missing = || io::Error::other("a standard stream is missing");
        let (stdin, stdout, stderr) =
            (stdin.ok_or_else(missing)?, stdout.ok_or_else(missing)?, stderr.ok_or_else(missing)?);
        // Not scoped: a grandchild that keeps a stream open must not keep the run from ending.
        std::thread::spawn(move || write(stdin, &lines));
        let printed = stderr_sender.clone();
        std::thread::spawn(move || read(stdout, &answer_sender, printed));
        let kept = Arc::clone(&last_lines);
        std::thread::spawn(move || listen(stderr, &stderr_sender, &kept));
        Ok(Child { process, lines: Some(line_sender), answers, stderr_lines, last_lines, status: None })
    }

    /// Waits until the program has ended and returns its status. Kills the program if it does not end within a short
    /// time.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < END_PATIENCE && !self.has_ended() {
            std::thread::sleep(END_TICK);
        }
        self.reap()
    }

    /// Returns the last line of standard error that is not empty.
    pub(crate) fn last_line(&self) -> Option<String> {
        let lines = lock(&self.last_lines);
        lines.iter().rev().find(|line| !line.trim().is_empty()).cloned()
    }

    /// Returns whether the program has ended. It stays a zombie, so its process id is not reused yet.
    pub(crate) fn has_ended(&self) -> bool {
        if self.status.is_some() {
            return true;
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.pid().is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_)) | Err(_)))
    }

    /// Kills the program and all its descendants.
    pub(crate) fn kill(&mut self) {
        let _ = self.reap();
    }

    /// Kills what is left of the program and its descendants, and reaps it.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        if let Some(pid) = self.pid() {
            // Until the program is reaped, no other process group can have its number.
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

/// Describes how a program ended: `with exit status 3`, `by signal 9`.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("with exit status {code}"),
        (None, Some(signal)) => format!("by signal {signal}"),
        (None, None) => "in an unknown way".to_owned(),
    }
}

/// Writes lines until there are no more, or the program does not read them anymore.
fn write(mut stdin: ChildStdin, lines: &Receiver<Arc<Vec<u8>>>) {
    for line in lines {
        if stdin.write_all(&line).is_err() {
            // The thread that reads standard output notices that the program is gone.
            return;
        }
    }
}

/// Reads answers up to the end, or to the first line that is not one.
///
/// Up to the first answer, a library may print something while it is loaded. Such lines are reported through `printed`.
fn read(stdout: ChildStdout, answers: &Sender<Incoming>, printed: Sender<String>) {
    let mut printed = Some(printed);
    let mut stdout = BufReader::with_capacity(1 << 18, stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = stdout.by_ref().take(MAX_ANSWER_BYTES as u64 + 1).read_until(b'\n', &mut line);
        let whole = line.strip_suffix(b"\n");
        let incoming = match (read, whole) {
            (Err(_) | Ok(0), _) => Incoming::End,
            (Ok(_), _) if line.len() > MAX_ANSWER_BYTES => {
                malformed(&line, format!("it is longer than {MAX_ANSWER_BYTES} bytes"))
            }
            // Truncated: the program ended while it was writing.
            (Ok(_), None) => Incoming::End,
            (Ok(_), Some(whole)) if whole.trim_ascii().is_empty() => continue,
            (Ok(_), Some(whole)) => {
                let (other, answer) = if printed.is_some() { split(whole) } else { (&[][..], Some(whole)) };
                if let Some(printed) = &printed {
                    for part in other.chunks(STDERR_LINE_BYTES) {
                        let _ = printed.send(String::from_utf8_lossy(part).into_owned());
                    }
                }
                let Some(answer) = answer else { continue };
                match Answer::parse(answer) {
                    Ok(answer) => Incoming::Answer(answer),
                    Err(reason) => malformed(answer, reason),
                }
            }
        };
        printed = None;
        let is_last = !matches!(incoming, Incoming::Answer(_));
        if answers.send(incoming).is_err() || is_last {
            break;
        }
    }
    // A program that continues to write must not block on a full pipe before it is asked to end.
    let _ = io::copy(&mut stdout, &mut io::sink());
}

/// Splits a line that may be printed by something else than the code that speaks the protocol: into what is not an
/// answer, and an answer.
///
/// A line that looks like an answer is returned as one, even if it is malformed.
fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    const BEGIN: &[u8] = b"{\"type\":";
    // Something may be printed without an end of the line.
    let begin = line.windows(BEGIN.len()).rposition(|window| window == BEGIN);
    if let Some(at) = begin.filter(|at| Answer::parse(&line[*at..]).is_ok()) {
        return (&line[..at], Some(&line[at..]));
    }
    let is_other = match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(value) => value.get("type").is_none(),
        Err(_) => !line.trim_ascii_start().starts_with(b"{\""),
    };
    if is_other { (line, None) } else { (&[], Some(line)) }
}

fn malformed(line: &[u8], reason: String) -> Incoming {
    let shown = &line[..line.len().min(SHOWN_BYTES)];
    let mut shown: String = String::from_utf8_lossy(shown).escape_debug().to_string().replace("\\\"", "\"");
    if line.len() > SHOWN_BYTES {
        shown.push('…');
    }
    Incoming::Malformed { line: shown, reason }
}

/// Passes on what the program writes to its standard error, line by line.
fn listen(stderr: ChildStderr, stderr_lines: &Sender<String>, last_lines: &Mutex<VecDeque<String>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match stderr.by_ref().take(STDERR_LINE_BYTES as u64).read_until(b'\n', &mut line) {
            Err(_) | Ok(0) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        {
            let mut kept = lock(last_lines);
            if kept.len() == LAST_LINES {
                kept.pop_front();
            }
            kept.push_back(text.clone());
        }
        if stderr_lines.send(text).is_err() {
            let _ = io::copy(&mut stderr, &mut io::sink());
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_before_the_first_answer_is_told_apart_from_it() {
        for (line, other, answer) in [
            ("Hello from a library", "Hello from a library", None),
            ("{'a': 1}", "{'a': 1}", None),
            (r#"{"event": "loaded"}"#, r#"{"event": "loaded"}"#, None),
            ("7", "7", None),
            (r#"{"type":"ready"}"#, "", Some(r#"{"type":"ready"}"#)),
            (r#"loading... {"type":"ready"}"#, "loading... ", Some(r#"{"type":"ready"}"#)),
            (r#"{"protocol": 1, "type": "ready"}"#, "", Some(r#"{"protocol": 1, "type": "ready"}"#)),
            (r#"{"type": "hello"}"#, "", Some(r#"{"type": "hello"}"#)),
            (r#"{"type":"ready""#, "", Some(r#"{"type":"ready""#)),
        ] {
            assert_eq!(split(line.as_bytes()), (other.as_bytes(), answer.map(str::as_bytes)), "{line}");
        }
    }
}
