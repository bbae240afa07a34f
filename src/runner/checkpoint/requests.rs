//! The thread that looks for requests for checkpoints in the store, and writes the answers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use crate::runner::wall_clock::WallClock;
use crate::store::Store;
use crate::store::records::requests::{Answer, AnsweredPart};
use crate::values::lock::lock;

/// How often the thread looks for requests.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The same in object storage, where each look is a request that costs money.
const REMOTE_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// A request that is waiting: the index of its replica, and its id.
pub type WaitingRequest = (usize, String);

/// The requests that are waiting, as the director sees them.
#[derive(Debug)]
pub struct Requests {
    waiting: Arc<Mutex<BTreeSet<WaitingRequest>>>,
    answers: Sender<(WaitingRequest, Answer)>,
    /// Those that the current attempt serves.
    serving: Vec<WaitingRequest>,
}

impl Requests {
    /// Makes the two ends: the director's, and the thread's. One of several workers answers for its `part`.
    pub fn new(store: Store, clock: WallClock, part: Option<AnsweredPart>) -> (Requests, RequestPoller) {
        let waiting = Arc::new(Mutex::default());
        let (sender, answers) = unbounded();
        let poller = RequestPoller { store, clock, part, waiting: Arc::clone(&waiting), answers };
        (Requests { waiting, answers: sender, serving: Vec::new() }, poller)
    }

    /// Returns whether a request is waiting for a cut.
    pub fn is_any(&self) -> bool {
        !lock(&self.waiting).is_empty()
    }

    /// Notes that a cut is being taken, which serves all requests that are waiting.
    pub fn serve(&mut self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        self.serving.extend(waiting);
    }

    /// Answers the requests that were served.
    pub fn answer(&mut self, answer: &Answer) {
        for request in self.serving.drain(..) {
            let _ = self.answers.send((request, answer.clone()));
        }
    }
}

/// The end of the thread.
#[derive(Debug)]
pub struct RequestPoller {
    store: Store,
    clock: WallClock,
    part: Option<AnsweredPart>,
    waiting: Arc<Mutex<BTreeSet<WaitingRequest>>>,
    answers: Receiver<(WaitingRequest, Answer)>,
}

impl RequestPoller {
    /// Looks for requests and writes answers until the director drops the other end.
    pub fn run(self) {
        // Those that were passed on and are still in the store.
        let mut known: BTreeSet<WaitingRequest> = BTreeSet::new();
        let is_remote = self.store.is_remote();
        let interval = if is_remote { REMOTE_POLL_INTERVAL } else { POLL_INTERVAL };
        loop {
            match self.answers.recv_timeout(interval) {
                Ok(((index, id), answer)) => {
                    self.store.answer(index, &id, &Answer { part: self.part.clone(), ..answer });
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let found: BTreeSet<WaitingRequest> = self.store.requests(self.clock.now()).into_iter().collect();
            known.retain(|request| found.contains(request));
            let new: Vec<WaitingRequest> = found.difference(&known).cloned().collect();
            known.extend(new.iter().cloned());
            lock(&self.waiting).extend(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::format::store_file::StoreFile;
    use crate::storage::memory::MemoryStorage;
    use crate::store::records::attempts::AttemptOutcome;
    use crate::values::id::StoreId;

    #[test]
    fn a_request_is_passed_on_once_and_answered() {
        let created = Timestamp::UNIX_EPOCH;
        let file = StoreFile { format: 1, store: StoreId::new([1; 16]), job: "a".to_owned(), created };
        let store = Store::create(vec![Arc::new(MemoryStorage::new())], file).unwrap();
        let (mut requests, poller) = Requests::new(store.clone(), WallClock::new(|| Timestamp::UNIX_EPOCH), None);
        std::thread::scope(|scope| {
            scope.spawn(|| poller.run());
            let id = "0123456789abcdef0123456789abcdef";
            store.request(id, "a test", created).unwrap();
            while !requests.is_any() {
                std::thread::yield_now();
            }
            requests.serve();
            assert!(!requests.is_any());
            std::thread::sleep(3 * POLL_INTERVAL);
            assert!(!requests.is_any(), "it is passed on once");
            requests.answer(&Answer::new(AttemptOutcome::Elided, created));
            while store.take_answer(id).unwrap().is_none() {
                std::thread::yield_now();
            }
            drop(requests);
        });
    }
}
