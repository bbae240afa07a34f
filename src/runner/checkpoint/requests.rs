//! The thread that takes requests for checkpoints out of the store, and brings the answers back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use jiff::Timestamp;

use crate::store::Store;
use crate::store::records::requests::Answer;

/// How often it looks for requests.
const EVERY: Duration = Duration::from_millis(100);

/// A request that waits: the number of its place, and its id.
pub type Request = (usize, String);

/// The requests that wait, as the directing thread sees them.
#[derive(Debug)]
pub struct Requests {
    waiting: Arc<Mutex<BTreeSet<Request>>>,
    answers: Sender<(Request, Answer)>,
    /// Those that the attempt under way serves.
    serving: Vec<Request>,
}

impl Requests {
    /// Makes the two ends: what the directing thread holds, and the thread's work.
    pub fn new(store: Store, clock: fn() -> Timestamp) -> (Requests, Desk) {
        let waiting = Arc::new(Mutex::default());
        let (sender, answers) = unbounded();
        let desk = Desk { store, clock, waiting: Arc::clone(&waiting), answers };
        (Requests { waiting, answers: sender, serving: Vec::new() }, desk)
    }

    /// Tells whether somebody waits for a cut.
    pub fn is_any(&self) -> bool {
        !self.waiting().is_empty()
    }

    /// Notes that a cut is taken, which serves all who wait.
    pub fn serve(&mut self) {
        let waiting = std::mem::take(&mut *self.waiting());
        self.serving.extend(waiting);
    }

    /// Answers those that were served.
    pub fn answer(&mut self, answer: &Answer) {
        for request in self.serving.drain(..) {
            let _ = self.answers.send((request, answer.clone()));
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeSet<Request>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work of the thread.
#[derive(Debug)]
pub struct Desk {
    store: Store,
    clock: fn() -> Timestamp,
    waiting: Arc<Mutex<BTreeSet<Request>>>,
    answers: Receiver<(Request, Answer)>,
}

impl Desk {
    /// Looks for requests and writes answers until the directing thread lets go of the other end.
    pub fn run(self) {
        // Handed over, and not yet gone from the store.
        let mut known: BTreeSet<Request> = BTreeSet::new();
        loop {
            match self.answers.recv_timeout(EVERY) {
                Ok(((index, id), answer)) => {
                    self.store.answer(index, &id, &answer);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let found: BTreeSet<Request> = self.store.requests((self.clock)()).into_iter().collect();
            known.retain(|request| found.contains(request));
            let new: Vec<Request> = found.difference(&known).cloned().collect();
            known.extend(new.iter().cloned());
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::store_file::StoreFile;
    use crate::storage::memory::MemoryStorage;
    use crate::store::records::attempts::AttemptOutcome;
    use crate::values::id::StoreId;

    #[test]
    fn who_asks_is_handed_over_once_and_answered() {
        let created = Timestamp::UNIX_EPOCH;
        let file = StoreFile { format: 1, store: StoreId::new([1; 16]), job: "a".to_owned(), created };
        let store = Store::create(vec![Arc::new(MemoryStorage::new())], file).unwrap();
        let (mut requests, desk) = Requests::new(store.clone(), || Timestamp::UNIX_EPOCH);
        std::thread::scope(|scope| {
            scope.spawn(|| desk.run());
            let id = "0123456789abcdef0123456789abcdef";
            store.request(id, "a test", created).unwrap();
            while !requests.is_any() {
                std::thread::yield_now();
            }
            requests.serve();
            assert!(!requests.is_any());
            std::thread::sleep(3 * EVERY);
            assert!(!requests.is_any(), "it is handed over once");
            requests.answer(&Answer::new(AttemptOutcome::Elided, created));
            while store.take_answer(id).unwrap().is_none() {
                std::thread::yield_now();
            }
            drop(requests);
        });
    }
}
