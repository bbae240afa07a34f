//! The damaged checkpoints that a run goes back behind, when it was told that it may.

use crate::format::manifest::{Manifest, Output};
use crate::job::Emit;
use crate::runner::error::RunError;
use crate::runner::observer::{Abandoned, Observer, RunEvent};
use crate::runner::output::plan::OutputPlan;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// A checkpoint that a run has gone back behind.
#[derive(Debug)]
pub struct LeftBehind {
    /// Its number.
    pub sequence: Sequence,
    /// Its manifest, when that is not what is damaged.
    pub manifest: Option<Manifest>,
    /// Why it can not be used.
    pub error: RunError,
}

/// Says what is left behind, and moves the output aside if a checkpoint has published it that is.
pub fn go_back(
    good: &Manifest,
    left_behind: &[LeftBehind],
    output: Option<&OutputPlan>,
    observer: &dyn Observer,
) -> Result<(), RunError> {
    let abandoned = left_behind.iter().map(|left| Abandoned {
        sequence: left.sequence,
        reason: in_one_line(&left.error),
        created: left.manifest.as_ref().map(|manifest| manifest.created),
        records: left.manifest.as_ref().map(|manifest| manifest.totals.records),
    });
    observer.event(&RunEvent::WentBack {
        sequence: good.sequence,
        created: good.created,
        records: good.totals.records,
        left_behind: abandoned.collect(),
    });
    // Files of changes go by the history that the state has: `publication` sees to them.
    let Some(plan) = output.filter(|plan| plan.emit == Emit::Final) else { return Ok(()) };
    let (name, path) = (plan.name(good.sequence), plan.path(good.sequence));
    let shown = || path.display().to_string();
    for LeftBehind { sequence, manifest, .. } in left_behind {
        // A manifest could name any file; only this job's own output is ever moved.
        let named = manifest.iter().flat_map(|manifest| &manifest.outputs).find(|named| named.path == name);
        // The good checkpoint has published the same: then it is right where it is.
        let is_good =
            |named: &Output| good.outputs.iter().any(|good| good.path == named.path && good.sha256 == named.sha256);
        match named {
            Some(named) if is_good(named) => {}
            Some(named) => {
                if let Some(aside) = plan.withdraw(Some(named), *sequence)? {
                    let aside = aside.display().to_string();
                    observer.event(&RunEvent::Withdrawn { sequence: *sequence, path: shown(), aside });
                }
            }
            None if manifest.is_none() && path.exists() => {
                observer.event(&RunEvent::PerhapsPublished { sequence: *sequence, path: shown() });
            }
            None => {}
        }
    }
    Ok(())
}
