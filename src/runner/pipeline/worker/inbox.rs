//! What a worker does with the messages that it receives.

use crossbeam_channel::Receiver;

use crate::runner::messages::WorkerMessage;
use crate::runner::pipeline::worker::thread::{Flow, Worker};
use crate::runner::process::exec::child::Incoming;

impl Worker<'_> {
    /// Takes everything that has arrived: answers and lines of the program, and messages.
    pub(super) fn take_waiting(&mut self, answers: &Receiver<Incoming>, lines: &Receiver<String>) -> Flow {
        while let Ok(answer) = answers.try_recv() {
            self.take_answer(answer)?;
        }
        lines.try_iter().for_each(|line| self.report_line(line));
        while let Ok(message) = self.channels.inbox.try_recv() {
            self.take_message(message)?;
        }
        Flow::Continue(())
    }

    /// Takes a message. Nothing is applied yet.
    pub(super) fn take_message(&mut self, message: WorkerMessage) -> Flow {
        match message {
            WorkerMessage::Updates(updates) => _ = self.early.insert(updates.number, updates),
            WorkerMessage::Cut(cut) => {
                self.chosen.clone_from(&cut.chosen);
                self.cut = Some(cut);
            }
            WorkerMessage::Finish => self.is_finishing = true,
            WorkerMessage::Abort => return Flow::Break(()),
        }
        Flow::Continue(())
    }
}
