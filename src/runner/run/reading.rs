//! The thread that reads, and the gate through which its blocks go: where a cut can be taken at any time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, select};

use super::Event;
use crate::runner::input::{Block, BlockReader, InputError, Place};
use crate::runner::worker::{Buffers, Chosen, Message, Ticket};

/// Where the handing out of blocks stands. A cut is taken here and not by the reader, which may be waiting for input.
pub(super) struct Gate {
    handed: Mutex<Handed>,
    inboxes: Vec<Sender<Message>>,
}

struct Handed {
    /// The number of the next block.
    next_number: u64,
    /// Where each partition stands before it.
    places: Vec<Place>,
    /// Whether no more blocks are handed out.
    is_closed: bool,
}

impl Gate {
    /// Makes the gate of `reader`, which has handed out nothing yet; `inboxes` are the workers'.
    pub(super) fn new(reader: &BlockReader, inboxes: Vec<Sender<Message>>) -> Gate {
        let handed = Handed { next_number: reader.next_number(), places: reader.places(), is_closed: false };
        Gate { handed: Mutex::new(handed), inboxes }
    }

    /// Cuts between the blocks that were handed out and those that were not, and tells the workers, who so hear of the cut before the next block.
    /// The cut takes the shards that are `chosen`. With `close` no more blocks are handed out; `ended` says that there are no more. Returns the number of the cut and where each partition stands.
    pub(super) fn cut(&self, chosen: Chosen, close: bool, ended: bool) -> (u64, Vec<Place>) {
        let mut handed = self.handed();
        handed.is_closed |= close;
        for inbox in &self.inboxes {
            let _ = inbox.send(Message::Cut { number: handed.next_number, chosen: chosen.clone(), ended });
        }
        (handed.next_number, handed.places.clone())
    }

    /// Tells whether every partition stands at least where `offsets` say, in the order of the partitions.
    pub(super) fn has_come_to(&self, offsets: &[u64]) -> bool {
        self.handed().places.iter().zip(offsets).all(|(place, offset)| place.offset >= *offset)
    }

    /// Hands `block` out with `send` and takes over where the partitions stand now. Returns false when the gate is closed.
    fn pass(&self, reader: &mut BlockReader, send: impl FnOnce()) -> bool {
        let mut handed = self.handed();
        if handed.is_closed {
            return false;
        }
        reader.take_moved(|partition, place| handed.places[partition] = place);
        handed.next_number = reader.next_number();
        send();
        true
    }

    fn handed(&self) -> MutexGuard<'_, Handed> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that reads.
pub(super) struct Reading {
    pub(super) reader: BlockReader,
    pub(super) gate: Arc<Gate>,
    /// Ends when the run does.
    pub(super) alive: Receiver<()>,
    pub(super) permits: Receiver<()>,
    pub(super) permit_sender: Sender<()>,
    pub(super) buffers: Buffers,
    pub(super) blocks: Sender<(Block, Arc<Ticket>)>,
    pub(super) events: Sender<Event>,
}

impl Reading {
    /// Hands out blocks until there are no more, the gate is closed or the run has ended.
    pub(super) fn run(mut self) {
        loop {
            select! {
                recv(self.alive) -> _ => return,
                recv(self.permits) -> _ => {}
            }
            match self.reader.next(self.buffers.take()) {
                Ok(Some(block)) => {
                    let ticket = Arc::new(Ticket::new(self.permit_sender.clone()));
                    let blocks = &self.blocks;
                    if !self.gate.pass(&mut self.reader, || drop(blocks.send((block, ticket)))) {
                        return;
                    }
                }
                ended => return self.end(ended.err()),
            }
        }
    }

    fn end(mut self, error: Option<InputError>) {
        let events = &self.events;
        self.gate.pass(&mut self.reader, || drop(events.send(error.map_or(Event::Ended, Event::Input))));
    }
}
