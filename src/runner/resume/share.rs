//! Whether several workers write their output to one place.

use crate::format::manifest::Manifest;
use crate::runner::options::Share;
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::OutputPlan;
use crate::runner::output::plans::OutputPlans;
use crate::store::Store;

/// Fails unless all `plans` that the checkpoint `last` of a worker publishes files of are those of that worker. Shows other
/// workers that this one, if it is one, writes to `outputs`.
pub fn share_places(
    store: Option<&Store>,
    last: Option<&Manifest>,
    outputs: &OutputPlans,
    plans: &[OutputPlan],
    share: Option<&Share>,
) -> Result<(), OutputError> {
    let Some(id) = store.map(|store| &store.file.store) else { return Ok(()) };
    if let Some((last, worker)) = last.and_then(|last| last.worker.as_ref().map(|worker| (last, worker))) {
        let is_used = |plan: &&OutputPlan| last.outputs.iter().any(|output| output.path == plan.name(last.sequence));
        plans.iter().filter(is_used).try_for_each(|plan| plan.check_sign(id, worker, last.sequence))?;
    }
    match share {
        Some(share) => outputs.iter().try_for_each(|plan| plan.sign(id, &share.worker)),
        None => Ok(()),
    }
}
