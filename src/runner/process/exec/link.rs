//! The conversation with a program: what it was asked, what it has answered, and what it did wrong.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendTimeoutError, TrySendError, never, select};

use super::child::{Child, Incoming, describe};
use super::protocol;
use super::protocol::{Answer, ColumnTypes, Hello, PROTOCOL, RESTORE_BYTES, StateUpdate};
use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::process::exec::plan::ExecPlan;
use crate::runner::process::exec::sources::Sources;
use crate::runner::rejected::{BlockAnswer, Rejected};
use crate::runner::ticket::Ticket;

/// The maximum number of requests that a program has not answered yet.
const REQUESTS_UNDER_WAY: usize = 8;
/// How often to check on what is waited for.
const TICK: Duration = Duration::from_millis(50);
/// How long what a program wrote may take to arrive after the program has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many characters of a record an error shows.
const SHOWN_BYTES: usize = 200;

/// A program and the requests that it has not answered yet.
#[derive(Debug)]
pub(crate) struct Link<'a> {
    plan: &'a ExecPlan,
    child: Child,
    next_number: u64,
    unanswered: VecDeque<Request>,
    /// When the program last answered, or was asked while no request was unanswered.
    heard: Instant,
    /// When the program began to work on the first unanswered request.
    begun: Instant,
    ticked: Instant,
    /// When it was first seen that the program has ended.
    ended: Option<Instant>,
}

/// A request that the program has not answered yet.
#[derive(Debug)]
struct Request {
    number: u64,
    kind: RequestKind,
}

#[derive(Debug)]
enum RequestKind {
    /// Records of a block.
    Batch(Batch),
    /// A checkpoint at the cut before this block.
    Checkpoint {
        cut: u64,
    },
    Tick,
}

/// The records of a block that the program was sent.
#[derive(Debug)]
struct Batch {
    /// The number of the block.
    block: u64,
    /// The line that was sent.
    line: Arc<Vec<u8>>,
    sources: Sources,
    /// The records that the program has rejected so far.
    rejected: Vec<Rejected>,
    /// Returned when the batch is answered.
    _ticket: Arc<Ticket>,
}

/// What an answer means for the worker.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The changes that the program hands over.
    pub(crate) update: StateUpdate,
    /// The cut for which the program has now handed over all changes, and how long it was paused for that.
    pub(crate) cut: Option<(u64, Duration)>,
    /// The batch that the program has now answered.
    pub(crate) answer: Option<BlockAnswer>,
}

impl Request {
    /// Notes records that the program rejects: their indices in the batch, and why.
    fn reject(&mut self, records: Vec<(usize, String)>) -> Result<(), ProgramFailure> {
        for (record, reason) in records {
            let RequestKind::Batch(batch) = &mut self.kind else {
                return Err(ProgramFailure::NoSuchRecord { record, records: 0 });
            };
            let Some(rejected) = batch.sources.rejected(record, reason) else {
                return Err(ProgramFailure::NoSuchRecord { record, records: batch.sources.count() });
            };
            batch.rejected.push(rejected);
        }
        Ok(())
    }
}

impl<'a> Link<'a> {
    /// Starts a program for worker number `worker` of `workers`, with these ranges of tasks.
    pub(crate) fn start(
        plan: &'a ExecPlan,
        worker: usize,
        workers: usize,
        tasks: Vec<(u32, u32)>,
    ) -> Result<Link<'a>, ProgramFailure> {
        let child = Child::start(plan).map_err(|source| ProgramFailure::Start { source })?;
        let now = Instant::now();
        let mut link = Link {
            plan,
            child,
            next_number: 1,
            unanswered: VecDeque::new(),
            heard: now,
            begun: now,
            ticked: now,
            ended: None,
        };
        let hello = Hello {
            kind: "hello",
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION"),
            job: &plan.job,
            worker,
            workers,
            tasks,
            key: plan.key.clone(),
            columns: ColumnTypes(&plan.columns),
            output_columns: ColumnTypes(&plan.output_columns),
        };
        link.send(hello.line())?;
        Ok(link)
    }

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

    /// Returns the channel of what arrives from the program, to pass to [`Link::take`].
    pub(crate) fn answers(&self) -> Receiver<Incoming> {
        self.child.answers.clone()
    }

    /// Returns the channel of the lines of the program's standard error.
    pub(crate) fn stderr_lines(&self) -> Receiver<String> {
        self.child.stderr_lines.clone()
    }

    /// Returns whether the program may be sent another request.
    pub(crate) fn has_room(&self) -> bool {
        self.unanswered.len() < REQUESTS_UNDER_WAY
    }

    /// Returns whether the program has answered everything.
    pub(crate) fn is_idle(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// Sends the program the records in `body`, which was made by [`ExecPlan::push`], of the block number `block`.
    pub(crate) fn batch(
        &mut self,
        block: u64,
        body: &[u8],
        sources: Sources,
        ticket: Arc<Ticket>,
    ) -> Result<(), ProgramFailure> {
        let line = Arc::new(protocol::batch(self.next_number, body));
        let batch = Batch { block, line: Arc::clone(&line), sources, rejected: Vec::new(), _ticket: ticket };
        self.ask(line, RequestKind::Batch(batch))
    }

    /// Asks for everything that changed before `cut`.
    pub(crate) fn checkpoint(&mut self, cut: u64) -> Result<(), ProgramFailure> {
        self.ask(Arc::new(protocol::checkpoint(self.next_number)), RequestKind::Checkpoint { cut })
    }

    /// Sends the program a tick. `ended` says whether the input has ended.
    pub(crate) fn tick(&mut self, ended: bool) -> Result<(), ProgramFailure> {
        self.ticked = Instant::now();
        self.ask(Arc::new(protocol::tick(self.next_number, ended)), RequestKind::Tick)
    }

    /// Returns whether it is time to send the program a tick.
    pub(crate) fn is_tick_due(&self) -> bool {
        self.plan.tick.is_some_and(|tick| self.ticked.elapsed() >= tick)
            && self.has_room()
            && !self.unanswered.iter().any(|request| matches!(request.kind, RequestKind::Tick))
    }

    fn ask(&mut self, line: Arc<Vec<u8>>, kind: RequestKind) -> Result<(), ProgramFailure> {
        if self.unanswered.is_empty() {
            self.heard = Instant::now();
            self.begun = self.heard;
        }
        self.unanswered.push_back(Request { number: self.next_number, kind });
        self.next_number += 1;
        let Some(lines) = &self.child.lines else { return Ok(()) };
        match lines.try_send(line) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(self.ended()),
            // The channel has room for every request that may be unanswered.
            Err(TrySendError::Full(line)) => lines.send(line).map_err(|_| self.ended()),
        }
    }

    fn send(&mut self, line: Vec<u8>) -> Result<(), ProgramFailure> {
        let Some(lines) = &self.child.lines else { return Ok(()) };
        lines.send(Arc::new(line)).map_err(|_| self.ended())
    }

    /// Processes what arrived from the program.
    pub(crate) fn take(&mut self, incoming: Incoming) -> Result<Reply, ProgramFailure> {
        self.heard = Instant::now();
        let answer = match incoming {
            Incoming::Answer(answer) => answer,
            Incoming::Malformed { line, reason } => return Err(ProgramFailure::Malformed { line, reason }),
            Incoming::End => return Err(self.ended()),
        };
        match answer {
            Answer::Part(mut update) => {
                let Some(request) = self.unanswered.front_mut() else { return Err(ProgramFailure::Unasked) };
                request.reject(std::mem::take(&mut update.rejected))?;
                Ok(Reply { update, cut: None, answer: None })
            }
            Answer::Done { number, mut update } => {
                let Some(mut request) = self.unanswered.pop_front() else { return Err(ProgramFailure::Unasked) };
                if request.number != number {
                    return Err(ProgramFailure::WrongNumber { expected: request.number, found: number });
                }
                request.reject(std::mem::take(&mut update.rejected))?;
                let begun = std::mem::replace(&mut self.begun, self.heard);
                let (cut, answer) = match request.kind {
                    RequestKind::Checkpoint { cut } => (Some((cut, begun.elapsed())), None),
                    RequestKind::Batch(Batch { block, rejected, .. }) => {
                        (None, Some(BlockAnswer { number: block, rejected }))
                    }
                    RequestKind::Tick => (None, None),
                };
                Ok(Reply { update, cut, answer })
            }
            Answer::Error { message, record, traceback } => {
                let place = record.and_then(|record| self.place_of(record));
                Err(ProgramFailure::Reported { message, place, traceback })
            }
            Answer::Ready { .. } => Err(ProgramFailure::Unasked),
        }
    }

    /// Fails if the program has ended, or has not answered a request for too long.
    pub(crate) fn check_requests(&mut self) -> Result<(), ProgramFailure> {
        if self.is_idle() { self.check_end() } else { self.check_time() }
    }

    /// Fails if the program has ended, or has not answered for too long.
    fn check_time(&mut self) -> Result<(), ProgramFailure> {
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
    fn ended(&mut self) -> ProgramFailure {
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
    fn place_of(&self, record: usize) -> Option<String> {
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
