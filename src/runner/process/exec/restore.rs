//! How a program gets its state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{SendTimeoutError, never, select};

use super::child::Incoming;
use super::protocol;
use super::protocol::{Answer, PROTOCOL, RESTORE_BYTES};
use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::process::exec::link::{Link, TICK};

impl Link<'_> {
    /// Sends the program its state and waits until the program has loaded it. `rows` calls its argument with the task,
    /// key and value of each row.
    ///
    /// Returns false if `aborting` was set in the meantime.
    pub(crate) fn restore(
        &mut self,
        rows: impl FnOnce(&mut dyn FnMut(u32, &str, &[u8]) -> bool),
        aborting: &AtomicBool,
        mut tell: impl FnMut(String),
    ) -> Result<bool, ProgramFailure> {
        let mut line = Vec::new();
        let mut result = Ok(true);
        rows(&mut |task, key, value| {
            if line.is_empty() {
                protocol::begin_restore(&mut line);
            }
            protocol::push_row(&mut line, task, key, value);
            if line.len() < RESTORE_BYTES {
                return true;
            }
            protocol::end_restore(&mut line);
            result = self.post(std::mem::take(&mut line), aborting, &mut tell);
            matches!(result, Ok(true))
        });
        if !result? {
            return Ok(false);
        }
        if !line.is_empty() {
            protocol::end_restore(&mut line);
            if !self.post(line, aborting, &mut tell)? {
                return Ok(false);
            }
        }
        if !self.post(protocol::start(), aborting, &mut tell)? {
            return Ok(false);
        }
        self.heard = Instant::now();
        let mut stderr_lines = self.child.stderr_lines.clone();
        loop {
            let incoming = select! {
                recv(stderr_lines) -> line => {
                    match line {
                        Ok(line) => tell(line),
                        Err(_) => stderr_lines = never(),
                    }
                    Err(())
                }
                recv(self.child.answers) -> incoming => incoming.map_err(|_| ()),
                default(TICK) => Err(()),
            };
            match incoming {
                Ok(Incoming::Answer(Answer::Ready { protocol })) => {
                    if let Some(found) = protocol.filter(|found| *found != PROTOCOL) {
                        return Err(ProgramFailure::Protocol { expected: PROTOCOL, found });
                    }
                    self.ticked = Instant::now();
                    return Ok(true);
                }
                Ok(incoming) => {
                    self.take(incoming)?;
                    return Err(ProgramFailure::NotReady);
                }
                Err(_) => self.check_time()?,
            }
            if aborting.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
    }

    /// Sends a line before the program has been asked anything. The program may take its time to read it.
    fn post(
        &mut self,
        line: Vec<u8>,
        aborting: &AtomicBool,
        tell: &mut impl FnMut(String),
    ) -> Result<bool, ProgramFailure> {
        let mut line = Arc::new(line);
        self.heard = Instant::now();
        loop {
            let Some(lines) = &self.child.lines else { return Ok(false) };
            match lines.send_timeout(line, TICK) {
                Ok(()) => return Ok(true),
                Err(SendTimeoutError::Disconnected(_)) => return Err(self.ended()),
                Err(SendTimeoutError::Timeout(unsent)) => line = unsent,
            }
            self.child.stderr_lines.try_iter().for_each(&mut *tell);
            self.check_time()?;
            if aborting.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
    }
}
