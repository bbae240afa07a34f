//! The worker whose records are applied by a program.

use std::sync::Arc;
use std::time::Duration;

use crate::format::index::{shard_of, tasks_of};
use crate::runner::error::RunError;
use crate::runner::observer::RunEvent;
use crate::runner::pipeline::gauges::Load;
use crate::runner::pipeline::worker::{Event, Worker};
use crate::runner::process::exec::child::Incoming;
use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::process::exec::link::Link;
use crate::runner::process::exec::mirror;
use crate::runner::process::exec::protocol::StateUpdate;
use crate::runner::ticket::Ticket;

impl Worker<'_> {
    /// Starts the worker's program, if the job has one, and hands it the state. Returns false when the run can not go on.
    pub(crate) fn start_program(&mut self) -> bool {
        let plan = self.plan;
        let Some(exec) = &plan.exec else { return true };
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
            for (_, shard) in shards {
                for index in shard.indices() {
                    let (task, key) = mirror::split_key(shard.key(index));
                    let key = std::str::from_utf8(key).expect("keys are UTF-8");
                    if !push(task, key, shard.bytes(index, 0).unwrap_or(b"null")) {
                        return;
                    }
                }
            }
        };
        let restored = link.restore(rows, &self.gauges.aborting, |line| self.tell(line));
        self.program = Some(link);
        match restored {
            Ok(goes_on) => goes_on,
            Err(failure) => self.fail(failure),
        }
    }

    /// Looks after the program: the time it takes, and the time it is told. Returns false when the run can not go on.
    pub(crate) fn tend_program(&mut self) -> bool {
        let Some(link) = &mut self.program else { return true };
        let ticked = if link.is_tick_due() { link.tick(false) } else { Ok(()) };
        // What has come already is an answer.
        let timely = if link.answers().is_empty() { link.check_time() } else { Ok(()) };
        ticked.and(timely).map_or_else(|failure| self.fail(failure), |()| true)
    }

    /// Asks the program for what changed before the cut of this number. Returns false when the run can not go on.
    pub(crate) fn ask_for_cut(&mut self, number: u64, ended: bool) -> bool {
        let Some(link) = &mut self.program else { return true };
        // When the input has ended that is told before the last cut, so that what the program makes of it is in it.
        let told = if ended { link.tick(true) } else { Ok(()) };
        told.and_then(|()| link.checkpoint(number)).map_or_else(|failure| self.fail(failure), |()| true)
    }

    /// Hands the program the records of a block. Returns false when the run can not go on.
    pub(crate) fn send_batch(&mut self, body: &[u8], ticket: Arc<Ticket>) -> bool {
        let Some(link) = &mut self.program else { return true };
        if body.is_empty() {
            return true;
        }
        link.batch(body, ticket).map_or_else(|failure| self.fail(failure), |()| true)
    }

    /// Takes what came from the program. Returns false when the run can not go on.
    pub(crate) fn take_answer(&mut self, incoming: Incoming) -> bool {
        let Some(link) = &mut self.program else { return true };
        let given = match link.take(incoming) {
            Ok(given) => given,
            Err(failure) => return self.fail(failure),
        };
        let before = self.load();
        let taken = self.take_over(&given.update);
        self.gauges.add(self.load(), before);
        if let Err(failure) = taken {
            return self.fail(failure);
        }
        if let Some((cut, stood_still)) = given.cut {
            self.freeze(cut, stood_still);
        }
        true
    }

    /// Puts what the program handed over into the shards.
    fn take_over(&mut self, update: &StateUpdate) -> Result<(), ProgramFailure> {
        let plan = self.plan;
        for row in update.changes.iter() {
            let key = || String::from_utf8_lossy(row.key).into_owned();
            let place = self.place_of(row.task).ok_or(ProgramFailure::OtherTask { task: row.task })?;
            mirror::put(&mut self.shards[place].1, &plan.codec, row.task, row.key, row.value)
                .map_err(|reason| ProgramFailure::State { task: row.task, key: key(), reason })?;
        }
        if !update.rows.is_empty() && !plan.exec.as_ref().is_some_and(|exec| exec.emits()) {
            return Err(ProgramFailure::NoOutput);
        }
        for (task, row) in &update.rows {
            let place = self.place_of(*task).ok_or(ProgramFailure::OtherTask { task: *task })?;
            self.shards[place].1.emitted().push_object(row);
        }
        Ok(())
    }

    /// Returns where the shard of `task` stands among the worker's, if it is one of them.
    fn place_of(&self, task: u32) -> Option<usize> {
        let plan = self.plan;
        let shard = (task < plan.tasks).then(|| shard_of(task, plan.tasks, plan.shards))? as usize;
        (shard % plan.workers == self.number()).then_some(shard / plan.workers)
    }

    /// Tells whether the program has answered everything.
    pub(crate) fn is_program_idle(&self) -> bool {
        self.program.as_ref().is_none_or(Link::is_idle)
    }

    /// Asks the program to end, after everything was handed over.
    pub(crate) fn close_program(&mut self) {
        let Some(link) = self.program.take() else { return };
        if let Some(message) = link.close(|line| self.tell(line)) {
            self.tell(format!("{} {message}", self.program_name()));
        }
    }

    /// Passes on a line that the program wrote to its standard error.
    pub(crate) fn tell(&self, line: String) {
        let (program, worker) = (self.program_name().to_owned(), self.number());
        self.observer.event(&RunEvent::ProgramSaid { program, worker, line });
    }

    /// Ends the run with what the program did wrong.
    fn fail(&mut self, mut failure: ProgramFailure) -> bool {
        if let Some(mut link) = self.program.take() {
            link.drain(|line| self.tell(line));
            if let ProgramFailure::Ended { last_line, .. } = &mut failure {
                *last_line = link.last_line();
            }
        }
        let program = self.program_name().to_owned();
        let error = RunError::Program { program, worker: self.number(), failure };
        let _ = self.lines.events.send(Event::Failed(Box::new(error)));
        false
    }

    fn program_name(&self) -> &str {
        self.plan.exec.as_ref().map_or("", |exec| exec.name())
    }

    /// Returns the worker's number: that of its first shard.
    fn number(&self) -> usize {
        self.shards.first().map_or(0, |(shard, _)| *shard as usize)
    }

    /// Freezes all shards: what they hold is what they held at the cut of this number. The worker, or its program, has stood still for `stood_still`
    /// besides.
    pub(crate) fn freeze(&mut self, cut: u64, stood_still: Duration) {
        let begun = std::time::Instant::now();
        let before = self.load();
        let mut left_out = Vec::new();
        for (number, shard) in &mut self.shards {
            let is_chosen = self.chosen.as_ref().is_none_or(|chosen| chosen[*number as usize]);
            if is_chosen || !shard.has_changed() {
                shard.freeze(self.plan.takes_all);
            } else {
                left_out.push(*number);
            }
        }
        let after: Load = self.load();
        self.gauges.add(after, before);
        self.tell_changes();
        let pause_micros = (stood_still + begun.elapsed()).as_micros() as u64;
        self.snapshotting = Some(super::Snapshotting { cut, pause_micros, next_shard: 0, room: None, left_out });
    }
}
