//! A worker whose records are applied by a program.

use std::sync::Arc;

use crate::format::index::{shard_of, tasks_of};
use crate::runner::error::RunError;
use crate::runner::messages::ThreadEvent;
use crate::runner::observer::RunEvent;
use crate::runner::pipeline::worker::thread::{Flow, Worker};
use crate::runner::process::exec::child::Incoming;
use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::process::exec::link::Link;
use crate::runner::process::exec::mirror;
use crate::runner::process::exec::plan::ExecPlan;
use crate::runner::process::exec::protocol::StateUpdate;
use crate::runner::process::exec::sources::Sources;
use crate::runner::process::exec::typed::RowWriter;
use crate::runner::ticket::Ticket;
use crate::shape::task_key::split_key;

impl Worker<'_> {
    /// Starts the worker's program, if the job has one, and hands it the state.
    pub(super) fn start_program(&mut self) -> Flow {
        let plan = self.plan;
        let Some(exec) = &plan.exec else { return Flow::Continue(()) };
        let mut tasks: Vec<(u32, u32)> = Vec::new();
        for (first, last) in self.shards.iter().map(|(shard, _)| tasks_of(*shard, plan.tasks, plan.shards)) {
            match tasks.last_mut() {
                Some(before) if before.1 + 1 == first => before.1 = last,
                _ => tasks.push((first, last)),
            }
        }
        let mut link = match Link::start(exec, self.number(), plan.workers, tasks) {
            Ok(link) => link,
            Err(failure) => return self.fail(failure),
        };
        let shards = &self.shards;
        let rows = |push: &mut dyn FnMut(u32, &str, &[u8]) -> bool| {
            let mut typed = RowWriter::new(&plan.codec);
            for (_, shard) in shards {
                for index in shard.indices() {
                    let (task, key) = split_key(shard.key(index));
                    let key = std::str::from_utf8(key).expect("keys are UTF-8");
                    let value = match exec.is_typed() {
                        true => typed.object(shard, index),
                        false => shard.bytes(index, 0).unwrap_or(b"null"),
                    };
                    if !push(task, key, value) {
                        return;
                    }
                }
            }
        };
        let restored = link.restore(rows, &self.gauges.aborting, |line| self.report_line(line));
        self.program = Some(link);
        match restored {
            Ok(true) => Flow::Continue(()),
            // The run is being aborted.
            Ok(false) => Flow::Break(()),
            Err(failure) => self.fail(failure),
        }
    }

    /// Looks after the program: sends it the time, and fails if it takes too long to answer.
    pub(super) fn tend_program(&mut self) -> Flow {
        let Some(link) = &mut self.program else { return Flow::Continue(()) };
        if link.is_tick_due() {
            link.tick(false);
        }
        // An answer that has arrived but was not taken yet is in time.
        let timely = if link.answers().is_empty() { link.check_requests() } else { Ok(()) };
        self.check(timely)
    }

    /// Asks the program for what changed before the cut of this number.
    pub(super) fn ask_for_cut(&mut self, number: u64, ended: bool) {
        let Some(link) = &mut self.program else { return };
        // The program learns of the end of the input before the last cut, which then includes what it does about it.
        if ended {
            link.tick(true);
        }
        link.checkpoint(number);
    }

    /// Hands the program its records of the next block.
    pub(super) fn send_batch(&mut self, body: &[u8], sources: Sources, ticket: Arc<Ticket>) {
        if let Some(link) = self.program.as_mut().filter(|_| !body.is_empty()) {
            link.batch(self.next, body, sources, ticket);
        }
    }

    /// Takes an answer of the program.
    pub(super) fn take_answer(&mut self, answer: Incoming) -> Flow {
        let Some(link) = &mut self.program else { return Flow::Continue(()) };
        let reply = match link.take(answer) {
            Ok(reply) => reply,
            Err(failure) => return self.fail(failure),
        };
        let before = self.load();
        let taken = self.take_over(&reply.update);
        self.gauges.add(self.load(), before);
        self.check(taken)?;
        if let Some(answer) = reply.answer {
            let _ = self.channels.events.send(ThreadEvent::Answered(answer));
        }
        if let Some((cut, paused)) = reply.cut {
            self.freeze(cut, paused);
        }
        Flow::Continue(())
    }

    /// Puts the changes and rows that the program handed over into the shards.
    fn take_over(&mut self, update: &StateUpdate) -> Result<(), ProgramFailure> {
        let plan = self.plan;
        for row in update.changes.iter() {
            let key = || String::from_utf8_lossy(row.key).into_owned();
            let place = self.place_of(row.task).ok_or(ProgramFailure::OtherTask { task: row.task })?;
            let is_typed = plan.exec.as_ref().is_some_and(ExecPlan::is_typed);
            mirror::put(&mut self.shards[place].1, &plan.codec, is_typed, row.task, row.key, row.value)
                .map_err(|reason| ProgramFailure::State { task: row.task, key: key(), reason })?;
        }
        if !update.rows.is_empty() && !plan.exec.as_ref().is_some_and(|exec| exec.emits()) {
            return Err(ProgramFailure::NoOutput);
        }
        for (task, row) in &update.rows {
            let checked = plan.exec.as_ref().map_or(Ok(()), |exec| exec.check_row(row));
            checked.map_err(|reason| ProgramFailure::Row { reason })?;
            let place = self.place_of(*task).ok_or(ProgramFailure::OtherTask { task: *task })?;
            self.shards[place].1.emitted().push_object(row);
        }
        Ok(())
    }

    /// Returns the index of the shard of `task` among the worker's shards, if it is one of them.
    fn place_of(&self, task: u32) -> Option<usize> {
        let plan = self.plan;
        let shard = (task < plan.tasks).then(|| shard_of(task, plan.tasks, plan.shards))? as usize;
        (shard % plan.workers == self.number()).then_some(shard / plan.workers)
    }

    /// Returns whether the program has answered everything.
    pub(super) fn is_program_idle(&self) -> bool {
        self.program.as_ref().is_none_or(Link::is_idle)
    }

    /// Asks the program to end, after everything was handed over.
    pub(super) fn close_program(&mut self) {
        let Some(link) = self.program.take() else { return };
        if let Some(message) = link.close(|line| self.report_line(line)) {
            self.report_line(format!("{} {message}", self.program_name()));
        }
    }

    /// Reports a line that the program wrote to its standard error.
    pub(super) fn report_line(&self, line: String) {
        let (program, worker) = (self.program_name().to_owned(), self.number());
        self.observer.event(&RunEvent::ProgramSaid { program, worker, line });
    }

    fn check(&mut self, result: Result<(), ProgramFailure>) -> Flow {
        result.map_or_else(|failure| self.fail(failure), Flow::Continue)
    }

    /// Ends the run because the program failed.
    fn fail(&mut self, mut failure: ProgramFailure) -> Flow {
        if let Some(mut link) = self.program.take() {
            link.drain(|line| self.report_line(line));
            if let ProgramFailure::Ended { last_line, .. } = &mut failure {
                *last_line = link.last_line();
            }
        }
        let program = self.program_name().to_owned();
        let error = RunError::Program { program, worker: self.number(), failure: Box::new(failure) };
        let _ = self.channels.events.send(ThreadEvent::Failed(Box::new(error)));
        Flow::Break(())
    }

    fn program_name(&self) -> &str {
        self.plan.exec.as_ref().map_or("", |exec| exec.name())
    }

    /// Returns the worker's number, which is the number of its first shard.
    fn number(&self) -> usize {
        self.shards.first().map_or(0, |(shard, _)| *shard as usize)
    }
}
