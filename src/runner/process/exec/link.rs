//! The conversation with a program: what it was asked, and what it has answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::child::{Child, Incoming};
use super::protocol;
use super::protocol::{Answer, ColumnTypes, Hello, PROTOCOL, StateUpdate};
use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::process::exec::plan::ExecPlan;
use crate::runner::process::exec::request::{Batch, Request, RequestKind};
use crate::runner::process::exec::sources::Sources;
use crate::runner::rejected::BlockAnswer;
use crate::runner::ticket::Ticket;

/// The maximum number of requests that a program has not answered yet.
const REQUESTS_UNDER_WAY: usize = 8;
/// How often to check on what is waited for.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// A program and the requests that it has not answered yet.
#[derive(Debug)]
pub(crate) struct Link<'a> {
    pub(super) plan: &'a ExecPlan,
    pub(super) child: Child,
    pub(super) next_number: u64,
    pub(super) unanswered: VecDeque<Request>,
    /// When the program last answered, or was asked while no request was unanswered.
    pub(super) heard: Instant,
    /// When the program began to work on the first unanswered request.
    pub(super) begun: Instant,
    pub(super) ticked: Instant,
    /// When it was first seen that the program has ended.
    pub(super) ended: Option<Instant>,
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
        let link = Link {
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
        link.send(Arc::new(hello.line()));
        Ok(link)
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
    pub(crate) fn batch(&mut self, block: u64, body: &[u8], sources: Sources, ticket: Arc<Ticket>) {
        let line = Arc::new(protocol::batch(self.next_number, body));
        let batch = Batch { block, line: Arc::clone(&line), sources, rejected: Vec::new(), _ticket: ticket };
        self.ask(line, RequestKind::Batch(batch));
    }

    /// Asks for everything that changed before `cut`.
    pub(crate) fn checkpoint(&mut self, cut: u64) {
        self.ask(Arc::new(protocol::checkpoint(self.next_number)), RequestKind::Checkpoint { cut });
    }

    /// Sends the program a tick. `ended` says whether the input has ended.
    pub(crate) fn tick(&mut self, ended: bool) {
        self.ticked = Instant::now();
        self.ask(Arc::new(protocol::tick(self.next_number, ended)), RequestKind::Tick);
    }

    /// Returns whether it is time to send the program a tick.
    pub(crate) fn is_tick_due(&self) -> bool {
        self.plan.tick.is_some_and(|tick| self.ticked.elapsed() >= tick)
            && self.has_room()
            && !self.unanswered.iter().any(|request| matches!(request.kind, RequestKind::Tick))
    }

    fn ask(&mut self, line: Arc<Vec<u8>>, kind: RequestKind) {
        if self.unanswered.is_empty() {
            self.heard = Instant::now();
            self.begun = self.heard;
        }
        self.unanswered.push_back(Request { number: self.next_number, kind });
        self.next_number += 1;
        self.send(line);
    }

    /// Sends a line. If the program does not read anymore, what it has said before tells why: it may have reported an error
    /// that was not taken yet.
    fn send(&self, line: Arc<Vec<u8>>) {
        if let Some(lines) = &self.child.lines {
            // The channel has room for every request that may be unanswered.
            let _ = lines.send(line);
        }
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
}
