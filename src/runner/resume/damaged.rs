//! The damaged checkpoints that a run with `--latest-good` skips.

use crate::format::manifest::{Manifest, Output};
use crate::job::Emit;
use crate::runner::error::RunError;
use crate::runner::observer::{Observer, RunEvent, SkippedCheckpoint};
use crate::runner::output::plan::OutputPlan;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// A checkpoint that cannot be used.
#[derive(Debug)]
pub struct DamagedCheckpoint {
    pub sequence: Sequence,
    /// Its manifest, if that can be read.
    pub manifest: Option<Manifest>,
    pub error: RunError,
}

/// Reports the checkpoints that are skipped for `good`, and supersedes the output file if one of them has published it.
pub fn skip(
    good: &Manifest,
    damaged: &[DamagedCheckpoint],
    output: Option<&OutputPlan>,
    observer: &dyn Observer,
) -> Result<(), RunError> {
    let skipped = damaged.iter().map(|damaged| SkippedCheckpoint {
        sequence: damaged.sequence,
        reason: in_one_line(&damaged.error),
        created: damaged.manifest.as_ref().map(|manifest| manifest.created),
        records: damaged.manifest.as_ref().map(|manifest| manifest.totals.records),
    });
    observer.event(&RunEvent::WentBack {
        sequence: good.sequence,
        created: good.created,
        records: good.totals.records,
        skipped: skipped.collect(),
    });
    // Files of changes depend on the whole history of the state: `outputs::reconcile` handles them.
    let Some(plan) = output.filter(|plan| plan.emit == Emit::Final) else { return Ok(()) };
    let name = plan.name(good.sequence);
    let shown = || plan.shown(good.sequence);
    for DamagedCheckpoint { sequence, manifest, .. } in damaged {
        // A manifest could name any file. Only the output of this job is ever moved.
        let named = manifest.iter().flat_map(|manifest| &manifest.outputs).find(|named| named.path == name);
        // If the good checkpoint has published the same file, it is in the right place.
        let is_good =
            |named: &Output| good.outputs.iter().any(|good| good.path == named.path && good.sha256 == named.sha256);
        match named {
            Some(named) if is_good(named) => {}
            Some(named) => {
                if let Some(moved_to) = plan.supersede(Some(named), *sequence)? {
                    observer.event(&RunEvent::Superseded { sequence: *sequence, path: shown(), moved_to });
                }
            }
            None if manifest.is_none() && plan.is_in_place(*sequence)? => {
                observer.event(&RunEvent::PerhapsPublished { sequence: *sequence, path: shown() });
            }
            None => {}
        }
    }
    Ok(())
}
