//! The thread that reads, and the gate through which its blocks go: where a cut can be taken at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select};

use crate::input::roster::StreamNames;
use crate::input::{Block, InputError, Move, Reader, Stand, Step};
use crate::runner::messages::{Buffers, Chosen, Event, Message, Stream};
use crate::runner::ticket::Ticket;

/// Where the handing out of blocks stands. A cut is taken here and not by the reader, which may be waiting for input.
pub(crate) struct Gate {
    handed: Mutex<Handed>,
    inboxes: Vec<Sender<Message>>,
    events: Sender<Event>,
    names: Arc<StreamNames>,
    /// Bytes that lie in followed files and were not handed out.
    unread_bytes: AtomicU64,
}

struct Handed {
    /// The number of the next block.
    next_number: u64,
    /// Where each stream stands before it; nothing for one that is over.
    stands: Vec<Option<Stand>>,
    /// Whether no more blocks are handed out.
    is_closed: bool,
}

impl Gate {
    /// Makes the gate of `reader`, which has handed out nothing yet; `inboxes` are the workers'.
    pub(crate) fn new(
        reader: &Reader,
        inboxes: Vec<Sender<Message>>,
        events: Sender<Event>,
        names: Arc<StreamNames>,
    ) -> Gate {
        let stands = reader.stands().into_iter().map(Some).collect();
        let handed = Handed { next_number: reader.next_number(), stands, is_closed: false };
        let unread_bytes = AtomicU64::new(reader.unread_bytes().unwrap_or(0));
        Gate { handed: Mutex::new(handed), inboxes, events, names, unread_bytes }
    }

    /// Cuts between the blocks that were handed out and those that were not, and tells the workers, who so hear of the cut before the next block.
    /// The cut takes the shards that are `chosen`. With `close` no more blocks are handed out; `ended` says that there are no more. Returns the number of the cut and where each stream
    /// stands; nothing for one that is over.
    pub(crate) fn cut(&self, chosen: Chosen, close: bool, ended: bool) -> (u64, Vec<Option<Stand>>) {
        let mut handed = self.handed();
        handed.is_closed |= close;
        for inbox in &self.inboxes {
            let _ = inbox.send(Message::Cut { number: handed.next_number, chosen: chosen.clone(), ended });
        }
        (handed.next_number, handed.stands.clone())
    }

    /// Tells whether every partition of an input that ends stands at least where `offsets` say, in the order of the partitions.
    pub(crate) fn has_come_to(&self, offsets: &[u64]) -> bool {
        let handed = self.handed();
        let mut stands = handed.stands.iter().zip(offsets);
        stands.all(|(stand, offset)| stand.as_ref().is_none_or(|stand| stand.place.offset >= *offset))
    }

    /// Returns how many bytes of followed files were not handed out when they were last looked at.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.unread_bytes.load(Ordering::Relaxed)
    }

    /// Hands a block out with `send` and takes over where the streams stand now. Returns false when the gate is closed.
    fn pass(&self, reader: &mut Reader, send: impl FnOnce()) -> bool {
        let mut handed = self.handed();
        if handed.is_closed {
            return false;
        }
        reader.take_moves(|moved| match moved {
            Move::To(stream, stand) if stream == handed.stands.len() => {
                // The directing thread hears of the stream before any of its blocks can be accounted for.
                self.names.push(stand.logical().into());
                let name = stand.logical().into();
                let opened = Stream { name, offset: 0, records: 0, counted_offset: 0, counted_records: 0 };
                let _ = self.events.send(Event::Opened(opened));
                handed.stands.push(Some(*stand));
            }
            Move::To(stream, stand) => handed.stands[stream] = Some(*stand),
            Move::Over(stream) => handed.stands[stream] = None,
        });
        handed.next_number = reader.next_number();
        if let Some(bytes) = reader.unread_bytes() {
            self.unread_bytes.store(bytes, Ordering::Relaxed);
        }
        send();
        true
    }

    fn handed(&self) -> MutexGuard<'_, Handed> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the reader waits before it looks again whether a followed file has grown.
const IDLE: Duration = Duration::from_millis(50);

/// The thread that reads.
pub(crate) struct Reading {
    pub(crate) reader: Reader,
    pub(crate) gate: Arc<Gate>,
    /// Ends when the run does.
    pub(crate) alive: Receiver<()>,
    pub(crate) permits: Receiver<()>,
    pub(crate) permit_sender: Sender<()>,
    pub(crate) buffers: Buffers,
    pub(crate) blocks: Sender<(Block, Arc<Ticket>)>,
    pub(crate) events: Sender<Event>,
}

impl Reading {
    /// Hands out blocks until there are no more, the gate is closed or the run has ended.
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
        self.gate.pass(&mut self.reader, || drop(events.send(error.map_or(Event::Ended, Event::Input))));
    }
}
