//! Reconciles the output files in place with the checkpoint that a run resumes from.
//!
//! The files of `emit: changes` build on each other, so those in place must be those of the history of the state. After
//! a roll back, or after damaged checkpoints were skipped, the files of checkpoints that are no longer part of the
//! history are superseded, and the files of those that are part of it again are reinstated.

use crate::format::manifest::{Manifest, Output};
use crate::runner::error::RunError;
use crate::runner::observer::{Observer, RunEvent};
use crate::runner::output::plan::OutputPlan;
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;

/// The checkpoints that led to a state.
#[derive(Debug, Default)]
struct History {
    /// The checkpoints of the history, the newest first, each with the files that it has published.
    members: Vec<(Sequence, Vec<Output>)>,
    /// The numbers of abandoned checkpoints, as ranges that exclude both bounds.
    abandoned: Vec<(Sequence, Sequence)>,
}

/// Finishes what a crash has interrupted, supersedes the files of abandoned checkpoints, and removes what was never
/// published.
///
/// `last` is the checkpoint that the run resumes from, and `newest` the highest number in use. `plans` say where the
/// output of the job goes and, if that has changed, where the output of `last` went.
pub fn reconcile(
    store: Option<&Store>,
    last: Option<&Manifest>,
    newest: Option<Sequence>,
    plans: &[OutputPlan],
    observer: &dyn Observer,
) -> Result<(), RunError> {
    let history = match (store, last) {
        (Some(store), Some(last)) => history(store, last, newest.unwrap_or(last.sequence), plans)?,
        _ => History::default(),
    };
    for plan in plans {
        for (sequence, outputs) in &history.members {
            for output in outputs {
                if plan.recover(output, *sequence)?
                    || (plan.emit.is_by_checkpoint() && plan.reinstate(output, *sequence)?)
                {
                    let path = plan.path(*sequence).display().to_string();
                    observer.event(&RunEvent::Published { path, rows: output.rows, bytes: output.bytes });
                }
            }
        }
        let is_abandoned =
            |sequence: &Sequence| history.abandoned.iter().any(|(after, before)| after < sequence && sequence < before);
        for sequence in plan.sequences()?.into_iter().filter(is_abandoned) {
            let path = plan.path(sequence).display().to_string();
            if let Some(moved_to) = plan.supersede(None, sequence)? {
                let moved_to = moved_to.display().to_string();
                observer.event(&RunEvent::Superseded { sequence, path, moved_to });
            }
        }
        plan.remove_strays()?;
    }
    Ok(())
}

/// Follows the history back from `last`. Looks only at `last` itself, unless the run has rolled back or skipped
/// checkpoints. Fails if the system refuses to read one.
fn history(store: &Store, last: &Manifest, newest: Sequence, plans: &[OutputPlan]) -> Result<History, StoreError> {
    let mut history = History::default();
    if newest > last.sequence {
        history.abandoned.push((last.sequence, newest.next()));
    }
    let is_behind = newest > last.sequence || last.restored_from.is_some();
    let whole = is_behind && plans.iter().any(|plan| plan.emit.is_by_checkpoint());
    let mut at = last.clone();
    loop {
        let before = at.restored_from.or(at.parent.map(|parent| parent.sequence));
        let continues = whole || at.restored_from.is_some();
        history.members.push((at.sequence, std::mem::take(&mut at.outputs)));
        let Some(before) = before.filter(|before| *before < at.sequence && continues) else { break };
        history.abandoned.push((before, at.sequence));
        // The history ends at a checkpoint that was pruned or is damaged. The files of older checkpoints stay as they
        // are.
        match store.manifest(before) {
            Ok(committed) => at = committed.manifest,
            Err(error) if error.is_inconclusive() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(history)
}
