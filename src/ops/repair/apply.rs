//! Applies the plan of a repair.

use crate::ops::repair::plan::RepairPlan;
use crate::ops::repair::step::Step;
use crate::ops::verify::places;
use crate::store::{Replica, Store, StoreError};
use crate::values::progress::Progress;

/// A step, and why it failed if it did.
#[derive(Debug)]
pub struct Outcome {
    pub step: Step,
    pub result: Result<(), StoreError>,
}

/// Applies the steps of `plan`, and returns the outcome of each. A step that fails does not stop the others.
///
/// The file in the place of a good one is moved into `damaged/`. `progress` counts bytes. If the repair is
/// interrupted, the steps so far count, and the next repair continues.
pub fn apply(store: &Store, plan: &RepairPlan, progress: &dyn Progress) -> Vec<Outcome> {
    progress.start(plan.steps.iter().map(|step| step.bytes).sum());
    let sources: Vec<Replica> = places(store).into_iter().flatten().map(|place| place.replica).collect();
    let mut outcomes = Vec::new();
    for step in &plan.steps {
        let result = step.apply(&sources);
        progress.advance(step.bytes);
        outcomes.push(Outcome { step: step.clone(), result });
    }
    outcomes
}
