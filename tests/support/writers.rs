//! What processes do to one store, for tests in which two of them do it at the same time.

use std::sync::Arc;
use std::time::Duration;

use ckpt::ops::restore::{PositionChanges, apply_rollback, plan_rollback};
use ckpt::ops::verify::{Depth, verify};
use ckpt::ops::{copy, pin, repair};
use ckpt::storage::Storage;
use ckpt::store::Store;
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{self, Request};
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A process that opens the store, does one thing and ends. It waits for nobody.
pub struct Process<'a> {
    pub places: Vec<Arc<dyn Storage>>,
    pub holder: &'a str,
    pub now: Timestamp,
}

type Outcome = Result<(), String>;

/// Returns an error as the tests print it.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn open(places: Vec<Arc<dyn Storage>>) -> Result<Store, String> {
    let mut store = Store::open(places).map_err(text)?;
    store.patience = Duration::ZERO;
    Ok(store)
}

impl Process<'_> {
    fn open(&self) -> Result<Store, String> {
        open(self.places.clone())
    }

    /// Prunes all but the newest two.
    pub fn prune(&self, grace: Duration) -> Outcome {
        let store = self.open()?;
        let request = Request { policy: Policy { last: 2, ..Policy::default() }, grace, zone: TimeZone::UTC };
        let plan = prune::plan(&store, &request, self.now, &Silent).map_err(text)?;
        prune::apply(&store, &plan, self.holder, &Silent).map(drop).map_err(text)
    }

    pub fn undo(&self) -> Outcome {
        let store = self.open()?;
        let plan = prune::plan_undo(&store, &Silent).map_err(text)?;
        prune::apply_undo(&store, &plan, self.holder, self.now, &Silent).map_err(text)
    }

    pub fn pin(&self, sequence: Sequence) -> Outcome {
        pin::pin(&self.open()?, sequence, None, self.now, self.holder).map(drop).map_err(text)
    }

    /// Commits checkpoint `sequence` again.
    pub fn roll_back(&self, sequence: Sequence) -> Outcome {
        let store = self.open()?;
        let plan = plan_rollback(&store, sequence, PositionChanges::default(), self.now).map_err(text)?;
        apply_rollback(&store, &plan, self.holder, &Silent).map(drop).map_err(text)
    }

    /// Copies all checkpoints of the store in `source` to the last of the places.
    pub fn copy_from(&self, source: Arc<dyn Storage>) -> Outcome {
        let source = open(vec![source])?;
        let target = Arc::clone(self.places.last().expect("a place"));
        let plan = copy::plan(&source, &source.sequences().map_err(text)?, target).map_err(text)?;
        copy::apply(&source, &plan, self.now, self.holder, &Silent).map(drop).map_err(text)
    }

    pub fn repair(&self) -> Outcome {
        let store = self.open()?;
        let reports = verify(&store, None, Depth::Full, &Silent).map_err(text)?;
        let _lock = store.lock_prune(self.holder).map_err(text)?;
        let plan = repair::plan(&store, &reports);
        repair::apply(&store, &plan, &Silent).into_iter().try_for_each(|outcome| outcome.result.map_err(text))
    }
}
