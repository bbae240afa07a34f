//! The gate that blocks pass on their way to the workers. A cut can be taken here at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crossbeam_channel::Sender;

use crate::input::StreamNames;
use crate::input::{PartitionLag, Position, PositionChange, Reader};
use crate::runner::messages::{ChosenShards, StreamProgress, ThreadEvent, WorkerCut, WorkerMessage};
use crate::runner::pipeline::recent::Recent;
use crate::values::lock::lock;

/// Knows which blocks were handed out. The cut is taken here and not by the reader, which may be waiting for input.
pub(crate) struct Gate {
    state: Mutex<GateState>,
    inboxes: Vec<Sender<WorkerMessage>>,
    events: Sender<ThreadEvent>,
    names: Arc<StreamNames>,
    /// Bytes in followed files that were not handed out.
    unread_bytes: AtomicU64,
    /// Messages of each partition of a topic that were not handed out, as far as is known.
    partition_lags: Mutex<Arc<[PartitionLag]>>,
}

struct GateState {
    /// The number of the next block.
    next_number: u64,
    /// Where each stream is before that block; nothing for one that is over.
    positions: Vec<Option<Position>>,
    /// Whether no more blocks are handed out.
    is_closed: bool,
    /// How they changed with the blocks that are not accounted for yet.
    recent: Recent<Position>,
}

impl Gate {
    /// Makes the gate of `reader`, which has not handed out anything yet; `inboxes` are the workers'.
    pub(crate) fn new(
        reader: &Reader,
        inboxes: Vec<Sender<WorkerMessage>>,
        events: Sender<ThreadEvent>,
        names: Arc<StreamNames>,
    ) -> Gate {
        let positions = reader.positions().into_iter().map(Some).collect();
        let state = GateState { next_number: reader.next_number(), positions, is_closed: false, recent: Recent::new() };
        let unread_bytes = AtomicU64::new(reader.unread_bytes().unwrap_or(0));
        Gate { state: Mutex::new(state), inboxes, events, names, unread_bytes, partition_lags: Mutex::default() }
    }

    /// Cuts between the blocks that were handed out and those that were not. Returns the number of the cut, and where
    /// each stream is at the cut; nothing for one that is over.
    ///
    /// The workers learn of the cut before the next block. With `close`, no more blocks are handed out; `ended` says
    /// that there are no more.
    pub(crate) fn cut(&self, chosen: ChosenShards, close: bool, ended: bool) -> (u64, Vec<Option<Position>>) {
        let mut state = lock(&self.state);
        state.is_closed |= close;
        let cut = WorkerCut { number: state.next_number, chosen, ended };
        for inbox in &self.inboxes {
            let _ = inbox.send(WorkerMessage::Cut(cut.clone()));
        }
        (state.next_number, state.positions.clone())
    }

    /// Cuts before the block `number`, which was handed out and is neither accounted for nor applied, and closes the
    /// gate. Returns where each stream was there.
    pub(crate) fn cut_before(&self, number: u64) -> Vec<Option<Position>> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        state.is_closed = true;
        state.recent.take_back(number, &mut state.positions);
        state.next_number = number;
        let cut = WorkerCut { number, chosen: None, ended: false };
        for inbox in &self.inboxes {
            let _ = inbox.send(WorkerMessage::Cut(cut.clone()));
        }
        state.positions.clone()
    }

    /// Notes that the blocks before `number` are accounted for.
    pub(crate) fn forget_before(&self, number: u64) {
        lock(&self.state).recent.forget_before(number);
    }

    /// Returns whether every partition was handed out at least up to its offset in `offsets`, which are in the order of
    /// the partitions. For an input that ends.
    pub(crate) fn has_reached(&self, offsets: &[u64]) -> bool {
        let state = lock(&self.state);
        let mut positions = state.positions.iter().zip(offsets);
        positions.all(|(position, offset)| position.as_ref().is_none_or(|position| position.offset >= *offset))
    }

    /// Returns how many bytes of followed files were not handed out when the reader last looked.
    pub(crate) fn unread_bytes(&self) -> u64 {
        self.unread_bytes.load(Ordering::Relaxed)
    }

    /// Returns how many messages of each partition of a topic were not handed out when the reader last looked.
    pub(crate) fn partition_lags(&self) -> Arc<[PartitionLag]> {
        Arc::clone(&lock(&self.partition_lags))
    }

    /// Hands a block out with `send`, and takes over from the reader where the streams are now. Returns false if the
    /// gate is closed.
    pub(super) fn pass(&self, reader: &mut Reader, send: impl FnOnce()) -> bool {
        let mut state = lock(&self.state);
        if state.is_closed {
            return false;
        }
        let number_before = state.next_number;
        let (streams, mut before) = (state.positions.len(), Vec::new());
        reader.take_changes(|moved| match moved {
            PositionChange::Moved(stream, position) if stream == state.positions.len() => {
                // The director learns of the stream before any of its blocks can be accounted for.
                self.names.push(position.logical().into());
                let name = position.logical().into();
                let opened = StreamProgress { name, offset: 0, records: 0, counted_offset: 0, counted_records: 0 };
                let _ = self.events.send(ThreadEvent::Opened(opened));
                state.positions.push(Some(*position));
            }
            PositionChange::Moved(stream, position) => {
                before.push((stream, state.positions[stream].replace(*position)));
            }
            PositionChange::Over(stream) => before.push((stream, state.positions[stream].take())),
        });
        for note in reader.take_notes() {
            let _ = self.events.send(ThreadEvent::InputNote(note));
        }
        state.next_number = reader.next_number();
        let next_number = state.next_number;
        if !before.is_empty() || state.positions.len() > streams || next_number > number_before {
            state.recent.note(next_number > number_before, next_number, streams, before);
        }
        if let Some(bytes) = reader.unread_bytes() {
            self.unread_bytes.store(bytes, Ordering::Relaxed);
        }
        if let Some(lags) = reader.take_partition_lags() {
            *lock(&self.partition_lags) = lags.into();
        }
        send();
        true
    }
}
