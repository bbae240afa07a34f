//! Waiting for a server that may answer later.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::storage::bucket::fault::{Fault, fault};
use crate::storage::error::BucketFault;
use crate::values::lock::lock;
use crate::values::random::random;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a server is waited for that has not answered yet: its address may be wrong.
const FIRST_PATIENCE: Duration = Duration::from_secs(8);

/// Shorter waits are not reported.
const SILENCE: Duration = Duration::from_secs(2);

/// A request that failed and will be repeated.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    /// The address of the bucket.
    pub place: &'a str,
    pub fault: BucketFault,
    /// How long the request has been tried.
    pub waited: Duration,
    /// How long it may be tried in all.
    pub patience: Duration,
}

type Observer = Arc<dyn Fn(&Waiting) + Send + Sync>;

static OBSERVER: Mutex<Option<Observer>> = Mutex::new(None);

/// Has `observer` called for requests that have been repeated for more than two seconds, each time they fail.
///
/// One observer serves the whole process, the latest. Several threads may call it at once.
pub fn on_waiting(observer: impl Fn(&Waiting) + Send + Sync + 'static) {
    *lock(&OBSERVER) = Some(Arc::new(observer));
}

/// Decides whether a request is repeated, and when.
#[derive(Debug)]
pub(super) struct Patience<'a> {
    place: &'a str,
    limit: Duration,
    /// Whether the server has answered in this process.
    has_answered: &'a AtomicBool,
    begun: Instant,
    pause: Duration,
}

impl<'a> Patience<'a> {
    pub fn new(place: &'a str, limit: Duration, has_answered: &'a AtomicBool) -> Patience<'a> {
        Patience { place, limit, has_answered, begun: Instant::now(), pause: FIRST_PAUSE }
    }

    /// Starts over: the request made progress.
    pub fn renew(&mut self) {
        *self = Patience::new(self.place, self.limit, self.has_answered);
    }

    /// Waits before the request is repeated, or returns `error` if that is useless.
    pub async fn wait(&mut self, error: object_store::Error) -> object_store::Result<()> {
        let (pause, waited) = match (self.next(fault(&error)), self.begun.elapsed()) {
            (Some(pause), waited) => (pause, waited),
            (None, _) => return Err(error),
        };
        let observer = lock(&OBSERVER).clone().filter(|_| waited >= SILENCE);
        if let (Fault::Other(fault), Some(observer)) = (fault(&error), observer) {
            observer(&Waiting { place: self.place, fault, waited, patience: self.limit });
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Returns how long to wait after `fault`, or nothing if the request is not repeated.
    fn next(&mut self, fault: Fault) -> Option<Duration> {
        let limit = if self.has_answered.load(Ordering::Relaxed) { self.limit } else { self.limit.min(FIRST_PATIENCE) };
        if !fault.may_pass() || self.begun.elapsed() >= limit {
            return None;
        }
        let pause = self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        // Requests that failed together are not repeated together.
        Some(pause / 2 + pause.mul_f64(fraction() / 2.0))
    }
}

/// Returns a number between 0 and 1.
fn fraction() -> f64 {
    (random() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let answered = AtomicBool::new(true);
        let mut patience = Patience::new("s3://b", Duration::from_secs(60), &answered);
        let throttled = Fault::Other(BucketFault::Throttled);
        let pauses: Vec<Duration> = (0..10).filter_map(|_| patience.next(throttled)).collect();
        assert_eq!(pauses.len(), 10);
        assert!(pauses[0] >= FIRST_PAUSE / 2 && pauses[0] <= FIRST_PAUSE && pauses[9] >= LONGEST_PAUSE / 2);
        assert_eq!(patience.next(Fault::Missing), None);
        assert_eq!(patience.next(Fault::Other(BucketFault::Denied)), None);
        let mut none = Patience::new("s3://b", Duration::ZERO, &answered);
        assert_eq!(none.next(throttled), None);
    }
}
