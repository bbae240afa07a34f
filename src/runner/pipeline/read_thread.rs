//! The thread that reads the input.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select};

use crate::input::{Block, InputError, Reader, Step};
use crate::runner::messages::{Buffers, ThreadEvent};
use crate::runner::pipeline::gate::Gate;
use crate::runner::ticket::Ticket;

/// How long the thread waits before it checks again whether a followed file has grown.
const IDLE: Duration = Duration::from_millis(50);

/// What the thread holds.
pub(crate) struct ReadThread {
    pub(crate) reader: Reader,
    pub(crate) gate: Arc<Gate>,
    /// Closed when the run ends.
    pub(crate) alive: Receiver<()>,
    /// One for each block that may be in flight.
    pub(crate) permits: Receiver<()>,
    pub(crate) permit_sender: Sender<()>,
    pub(crate) buffers: Buffers,
    pub(crate) blocks: Sender<(Block, Arc<Ticket>)>,
    pub(crate) events: Sender<ThreadEvent>,
}

impl ReadThread {
    /// Hands out blocks until there are no more, the gate is closed, or the run has ended.
    pub(crate) fn run(mut self) {
        loop {
            select! {
                recv(self.alive) -> _ => return,
                recv(self.permits) -> _ => {}
            }
            let ticket = Arc::new(Ticket::new(self.permit_sender.clone()));
            match self.reader.next(self.buffers.take()) {
                Ok(Step::Block(block)) => {
                    let blocks = &self.blocks;
                    if !self.gate.pass(&mut self.reader, || drop(blocks.send((block, ticket)))) {
                        return;
                    }
                }
                Ok(Step::Idle) => {
                    if !self.gate.pass(&mut self.reader, || {}) {
                        return;
                    }
                    if self.alive.recv_timeout(IDLE) == Err(RecvTimeoutError::Disconnected) {
                        return;
                    }
                }
                Ok(Step::Ended) => return self.end(None),
                Err(error) => return self.end(Some(error)),
            }
        }
    }

    fn end(mut self, error: Option<InputError>) {
        let events = &self.events;
        let event = error.map_or(ThreadEvent::Ended, ThreadEvent::Input);
        self.gate.pass(&mut self.reader, || drop(events.send(event)));
    }
}
