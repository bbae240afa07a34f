//! The thread that reads: hands out blocks, and announces cuts between them.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, select_biased};

use super::Event;
use crate::runner::input::{Block, BlockReader};
use crate::runner::worker::{Buffers, Message, Ticket};

/// What the reader is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Announce a cut before the next block.
    Cut,
    /// Announce a cut and hand out no more blocks.
    CutAndStop,
}

/// The thread that reads.
pub(super) struct Reading {
    pub(super) reader: BlockReader,
    pub(super) commands: Receiver<Command>,
    pub(super) permits: Receiver<()>,
    pub(super) permit_sender: Sender<()>,
    pub(super) buffers: Buffers,
    pub(super) blocks: Sender<(Block, Arc<Ticket>)>,
    pub(super) inboxes: Vec<Sender<Message>>,
    pub(super) events: Sender<Event>,
}

impl Reading {
    /// Hands out blocks until there are no more, then only follows commands; returns when nobody is there to give any.
    pub(super) fn run(mut self) {
        let mut permits = self.permits.clone();
        loop {
            // A command comes before the next block: a cut is announced as soon as it can be.
            select_biased! {
                recv(self.commands) -> command => match command {
                    Err(_) => return,
                    Ok(command) => {
                        self.cut();
                        if command == Command::CutAndStop {
                            permits = crossbeam_channel::never();
                        }
                    }
                },
                recv(permits) -> _ => {
                    let buffer = self.buffers.take();
                    match self.reader.next(buffer) {
                        Ok(Some(block)) => {
                            let ticket = Arc::new(Ticket::new(self.permit_sender.clone()));
                            let _ = self.blocks.send((block, ticket));
                        }
                        ended => {
                            permits = crossbeam_channel::never();
                            let event = ended.err().map_or(Event::Ended, Event::Input);
                            let _ = self.events.send(event);
                        }
                    }
                }
            }
        }
    }

    fn cut(&mut self) {
        let number = self.reader.next_number();
        // The workers hear of the cut before the block of its number is handed out, and so before any of them can apply it.
        for inbox in &self.inboxes {
            let _ = inbox.send(Message::Cut(number));
        }
        let _ = self.events.send(Event::Cut(number, self.reader.places()));
    }
}
