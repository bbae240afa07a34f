//! How a program ends: asked to, on its own, or because it does not answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::child::describe;
use super::protocol;
use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::process::exec::link::{Link, TICK};
use crate::runner::process::exec::request::{Batch, RequestKind};

/// How long what a program wrote may take to arrive after the program has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many characters of a record an error shows.
const SHOWN_BYTES: usize = 200;

impl Link<'_> {
    /// Fails if the program has ended, or has not answered a request for too long.
    pub(crate) fn check_requests(&mut self) -> Result<(), ProgramFailure> {
        if self.is_idle() { self.check_end() } else { self.check_time() }
    }

    /// Fails if the program has ended, or has not answered for too long.
    pub(super) fn check_time(&mut self) -> Result<(), ProgramFailure> {
        self.check_end()?;
        let timeout = self.plan.timeout;
        if self.heard.elapsed() <= timeout {
            return Ok(());
        }
        Err(if self.child.has_ended() { self.ended() } else { ProgramFailure::Silent { timeout, place: self.work() } })
    }

    /// Fails if the program has ended.
    ///
    /// The end of its standard output does not always show that: a process that it has started may keep the stream
    /// open.
    fn check_end(&mut self) -> Result<(), ProgramFailure> {
        if self.heard.elapsed() < TICK {
            return Ok(());
        }
        match self.ended {
            None if self.child.has_ended() => self.ended = Some(Instant::now()),
            Some(ended) if ended.max(self.heard).elapsed() > LAST_WORDS => return Err(self.ended()),
            _ => {}
        }
        Ok(())
    }

    /// Asks the program to end and waits until it has. How it ends does not fail the run, because everything was handed
    /// over.
    ///
    /// Returns a warning if it did not end cleanly.
    pub(crate) fn close(mut self, mut tell: impl FnMut(String)) -> Option<String> {
        if let Some(lines) = self.child.lines.take() {
            let _ = lines.send_timeout(Arc::new(protocol::close()), TICK);
        }
        let begun = Instant::now();
        while begun.elapsed() < self.plan.timeout && !self.child.has_ended() {
            match self.child.stderr_lines.recv_timeout(TICK) {
                Ok(line) => tell(line),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        let status = self.child.wait();
        self.drain(tell);
        match status {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("ended {} when it was asked to close", describe(status))),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Returns the last line of the program's standard error that was passed on.
    pub(crate) fn last_line(&self) -> Option<String> {
        self.child.last_line()
    }

    /// Kills the program if it is still running, and passes on the rest of its standard error.
    pub(crate) fn drain(&mut self, mut tell: impl FnMut(String)) {
        self.child.kill();
        // The stream ends soon, unless a descendant that cannot be killed keeps it open.
        while let Ok(line) = self.child.stderr_lines.recv_timeout(4 * TICK) {
            tell(line);
        }
    }

    /// Returns the failure of a program that ended when it should not have.
    pub(super) fn ended(&mut self) -> ProgramFailure {
        let place = self.work();
        match self.child.wait() {
            Ok(status) => ProgramFailure::Ended { how: describe(status), last_line: None, place },
            Err(source) => ProgramFailure::UnknownEnd { source },
        }
    }

    /// Describes the records that the program was working on.
    fn work(&self) -> Option<String> {
        let RequestKind::Batch(Batch { line, .. }) = &self.unanswered.front()?.kind else { return None };
        let (partition, first, last) = protocol::extent_of(line)?;
        Some(if first == last {
            format!("the record at byte {first} of `{partition}`")
        } else {
            format!("the records at bytes {first} to {last} of `{partition}`")
        })
    }

    /// Describes a record of the batch that the program was working on.
    pub(super) fn place_of(&self, record: usize) -> Option<String> {
        let RequestKind::Batch(Batch { line, .. }) = &self.unanswered.front()?.kind else { return None };
        let (partition, _, _) = protocol::extent_of(line)?;
        let (offset, data) = protocol::record_of(line, record)?;
        let mut shown: String = data.chars().take(SHOWN_BYTES).collect();
        if shown.len() < data.len() {
            shown.push('…');
        }
        Some(format!("the record at byte {offset} of `{partition}`, which begins `{shown}`"))
    }
}
