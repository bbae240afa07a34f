//! The thread that prunes by the keep rules of the job file while records are processed.

use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::tz::TimeZone;

use crate::job::KeepSpec;
use crate::runner::observer::{Observer, RunEvent};
use crate::runner::wall_clock::WallClock;
use crate::store::prune::{Outcome, PruneError, Request, Writers, apply_beside, plan};
use crate::store::{Store, StoreError};
use crate::values::error_chain::in_one_line;
use crate::values::progress::Silent;

/// Seconds of rest after each second of pruning.
const REST: u32 = 10;

/// Prunes after commits.
pub(crate) struct Pruner<'a> {
    pub(crate) store: Store,
    pub(crate) keep: KeepSpec,
    /// What the lock says about who holds it.
    pub(crate) holder: String,
    pub(crate) clock: WallClock,
    pub(crate) observer: &'a dyn Observer,
    /// Whether it is that of one of several workers. Then nothing is pruned a last time: others may be writing, and prune
    /// after their next commits.
    pub(crate) is_shared: bool,
}

impl Pruner<'_> {
    /// Prunes for each notice of a commit, or for several at once. Returns the number of checkpoints that were pruned
    /// when there are no more notices, for a run alone after pruning a last time.
    ///
    /// By then no other thread of a run alone may write to the store, whose lock it holds. An error does not end the
    /// run; it is reported unless it is the same as the one before.
    pub(crate) fn run(self, commits: &Receiver<()>) -> u64 {
        let mut reported = None;
        let mut total = Pruned::default();
        let mut rested = Instant::now();
        let mut ended = false;
        while !ended && commits.recv().is_ok() {
            ended = loop {
                match commits.recv_deadline(rested) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => break false,
                    // The run is waiting for this thread.
                    Err(RecvTimeoutError::Disconnected) => break true,
                }
            };
            let begun = Instant::now();
            if !ended {
                self.prune(Writers::Unknown, &mut total, &mut reported);
            }
            rested = Instant::now() + begun.elapsed() * REST;
        }
        // For a commit whose notice was not handled, and for what had to be spared while the run was writing.
        if (ended || total.spared) && !self.is_shared {
            self.prune(Writers::Nobody, &mut total, &mut reported);
        }
        total.checkpoints
    }

    /// Prunes once. `reported` is the last reported error.
    fn prune(&self, writers: Writers, total: &mut Pruned, reported: &mut Option<String>) {
        match self.plan_and_apply(writers) {
            Ok(outcome) => {
                total.checkpoints += outcome.checkpoints;
                total.spared = outcome.spared > 0;
                *reported = None;
            }
            // Another process is pruning: the rest is done after the next commit.
            Err(PruneError::Moved { .. } | PruneError::Store(StoreError::Busy { .. })) => {}
            Err(error) => {
                let reason = in_one_line(&error);
                if reported.as_ref() != Some(&reason) {
                    self.observer.event(&RunEvent::NotPruned { reason: reason.clone() });
                    *reported = Some(reason);
                }
            }
        }
    }

    fn plan_and_apply(&self, writers: Writers) -> Result<Outcome, PruneError> {
        let request = Request { policy: self.keep.policy.clone(), grace: self.keep.grace, zone: TimeZone::UTC };
        // A lost replica is pruned once it is back.
        let store = self.store.without_lost();
        let plan = plan(&store, &request, self.clock.now(), &Silent)?;
        if !plan.has_work() {
            return Ok(Outcome::default());
        }
        apply_beside(&store, &plan, &self.holder, writers, &Silent)
    }
}

/// What a run has pruned so far.
#[derive(Debug, Default)]
struct Pruned {
    checkpoints: u64,
    /// Whether the last prune spared files that the run might have been about to need.
    spared: bool,
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use crossbeam_channel::bounded;
    use jiff::Timestamp;

    use super::*;
    use crate::format::store_file::StoreFile;
    use crate::runner::observer::Status;
    use crate::storage::Storage;
    use crate::storage::memory::MemoryStorage;
    use crate::store::prune::DEFAULT_GRACE;
    use crate::store::prune::policy::Policy;
    use crate::values::id::StoreId;

    #[derive(Default)]
    struct Listener(Mutex<Vec<String>>);

    impl Observer for Listener {
        fn event(&self, event: &RunEvent) {
            if let RunEvent::NotPruned { reason } = event {
                self.0.lock().unwrap().push(reason.clone());
            }
        }

        fn status(&self, _: &Status) {}
    }

    #[test]
    fn an_error_is_reported_once_and_does_not_end_the_thread() {
        let storage = MemoryStorage::new();
        let created = Timestamp::UNIX_EPOCH;
        let file = StoreFile { format: 1, store: StoreId::new([1; 16]), job: "a".to_owned(), created };
        let store = Store::create(vec![Arc::new(storage.clone())], file).unwrap();
        let damaged = crate::format::layout::checkpoint_dir(crate::values::id::Sequence(1));
        storage.create_dir(&damaged, &[("manifest.yaml", b"x"), ("SHA256SUMS", b"x")]).unwrap();
        let listener = Listener::default();
        let policy = Policy { last: 1, ..Policy::default() };
        let pruner = Pruner {
            store,
            keep: KeepSpec { policy, grace: DEFAULT_GRACE },
            holder: "a test".to_owned(),
            clock: WallClock::new(|| Timestamp::UNIX_EPOCH),
            observer: &listener,
            is_shared: false,
        };
        let (sender, commits) = bounded(1);
        let pruned = std::thread::scope(|scope| {
            let pruner = scope.spawn(move || pruner.run(&commits));
            for _ in 0..3 {
                sender.send(()).unwrap();
            }
            drop(sender);
            pruner.join().unwrap()
        });
        assert_eq!(pruned, 0);
        let reported = listener.0.into_inner().unwrap();
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert!(reported[0].starts_with("cannot tell what checkpoint 1 needs"), "{reported:?}");
    }
}
