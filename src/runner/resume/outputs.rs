//! The output files that are there when a run starts: put right before it goes on.
//!
//! The files of `emit: changes` build on each other, so those in place must be those of the history that the state has come by. After a roll back, or
//! after damaged checkpoints were left behind, the files of the checkpoints that are no part of it any more are withdrawn, and those that
//! are part of it again are put back.

use crate::format::manifest::{Manifest, Output};
use crate::runner::error::RunError;
use crate::runner::observer::{Observer, RunEvent};
use crate::runner::output::plan::OutputPlan;
use crate::store::Store;
use crate::values::id::Sequence;

/// What is known of the checkpoints by which a state has come about.
#[derive(Debug, Default)]
struct History {
    /// Those that the state has come by, the newest first, each with the files that it has published.
    members: Vec<(Sequence, Vec<Output>)>,
    /// The numbers of others: ranges without their bounds.
    others: Vec<(Sequence, Sequence)>,
}

/// Finishes what a crash has cut short, withdraws the files of checkpoints that were gone back behind, and removes what was never published.
///
/// `last` is the checkpoint that the run goes on from and `newest` the highest number that is taken. `plans` are where the job's output goes and,
/// when that has changed, where the output of `last` went.
pub fn settle(
    store: Option<&Store>,
    last: Option<&Manifest>,
    newest: Option<Sequence>,
    plans: &[OutputPlan],
    observer: &dyn Observer,
) -> Result<(), RunError> {
    let history = match (store, last) {
        (Some(store), Some(last)) => history(store, last, newest.unwrap_or(last.sequence), plans),
        _ => History::default(),
    };
    for plan in plans {
        for (sequence, outputs) in &history.members {
            for output in outputs {
                if plan.recover(output, *sequence)?
                    || (plan.emit.is_by_checkpoint() && plan.put_back(output, *sequence)?)
                {
                    let path = plan.path(*sequence).display().to_string();
                    observer.event(&RunEvent::Published { path, rows: output.rows, bytes: output.bytes });
                }
            }
        }
        let is_other =
            |sequence: &Sequence| history.others.iter().any(|(after, before)| after < sequence && sequence < before);
        for sequence in plan.sequences()?.into_iter().filter(is_other) {
            let path = plan.path(sequence).display().to_string();
            if let Some(aside) = plan.withdraw(None, sequence)? {
                observer.event(&RunEvent::Withdrawn { sequence, path, aside: aside.display().to_string() });
            }
        }
        plan.remove_strays()?;
    }
    Ok(())
}

/// Looks back from `last`: only at itself, unless it was rolled back to or gone back to.
fn history(store: &Store, last: &Manifest, newest: Sequence, plans: &[OutputPlan]) -> History {
    let mut history = History::default();
    if newest > last.sequence {
        history.others.push((last.sequence, newest.next()));
    }
    let went_back = newest > last.sequence || last.restored_from.is_some();
    let whole = went_back && plans.iter().any(|plan| plan.emit.is_by_checkpoint());
    let mut at = last.clone();
    loop {
        let before = at.restored_from.or(at.parent.map(|parent| parent.sequence));
        let goes_on = whole || at.restored_from.is_some();
        history.members.push((at.sequence, std::mem::take(&mut at.outputs)));
        let Some(before) = before.filter(|before| *before < at.sequence && goes_on) else { break };
        history.others.push((before, at.sequence));
        // What was pruned, or is damaged, ends what is known: the files of older checkpoints stay as they are.
        match store.manifest(before) {
            Ok(committed) => at = committed.manifest,
            Err(_) => break,
        }
    }
    history
}
