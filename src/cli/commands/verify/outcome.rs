//! The outcome of a verification of all targets.

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::ops::repair::{self, Origin, RepairPlan};
use crate::ops::verify::Report;
use crate::values::error_chain::in_one_line;

/// The outcome for all targets together.
pub(super) struct Outcome {
    pub(super) intact: bool,
    /// Whether there was no checkpoint at all, so that nothing was verified.
    empty: bool,
    /// Whether no replica is behind or unavailable.
    pub(super) complete: bool,
    /// Whether everything that was damaged was repaired.
    pub(super) repaired: bool,
    pub(super) repair: Option<RepairView>,
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome { intact: true, empty: true, complete: true, repaired: true, repair: None }
    }
}

impl Outcome {
    /// Adds the report on one replica.
    pub(super) fn add(&mut self, report: &Report) {
        self.intact &= report.is_intact();
        self.empty &= report.checkpoints.is_empty();
        self.complete &= report.is_complete();
    }

    /// Returns the exit code. `repairs` tells whether damage was to be repaired.
    pub(super) fn exit(&self, repairs: bool) -> Exit {
        let is_whole = self.intact || (repairs && self.repaired);
        match (is_whole, self.complete) {
            (false, _) => Exit::No,
            _ if self.empty => Exit::NotFound,
            (true, false) => Exit::Incomplete,
            (true, true) => Exit::Clean,
        }
    }
}

/// What `--repair` did, or would do.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct RepairView {
    dry_run: bool,
    steps: Vec<StepView>,
    hopeless: Vec<HopelessView>,
}

#[derive(Debug, Clone, Serialize)]
struct StepView {
    store: String,
    path: String,
    /// The replica with the good copy; null if the file is derived from others.
    from: Option<String>,
    bytes: u64,
    done: bool,
    error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct HopelessView {
    store: String,
    code: &'static str,
    path: String,
}

impl RepairView {
    /// Makes a view without steps.
    pub(super) fn new(dry_run: bool) -> RepairView {
        RepairView { dry_run, ..RepairView::default() }
    }

    /// Adds the repair of one store.
    pub(super) fn add(&mut self, plan: &RepairPlan, outcomes: &[repair::Outcome]) {
        for (number, step) in plan.steps.iter().enumerate() {
            let result = outcomes.get(number).map(|outcome| &outcome.result);
            self.steps.push(StepView {
                store: step.place.clone(),
                path: step.path.to_string(),
                from: match &step.origin {
                    Origin::Copy(place) => Some(place.clone()),
                    Origin::Made => None,
                },
                bytes: step.bytes,
                done: matches!(result, Some(Ok(()))),
                error: result.and_then(|result| result.as_ref().err()).map(|error| in_one_line(error)),
            });
        }
        self.hopeless.extend(plan.hopeless.iter().map(|(place, finding)| HopelessView {
            store: place.clone(),
            code: finding.code.as_str(),
            path: finding.path.clone(),
        }));
    }
}
