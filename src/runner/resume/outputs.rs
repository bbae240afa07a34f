//! Reconciles the output files in place with the checkpoint that a run resumes from.
//!
//! The files of `emit: changes` build on each other, so those in place must be those of the history of the state. After
//! a roll back, or after damaged checkpoints were skipped, the files of checkpoints that are no longer part of the
//! history are superseded, and the files of those that are part of it again are reinstated.

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use crate::format::manifest::{Manifest, Output};
use crate::runner::error::RunError;
use crate::runner::observer::{Observer, RunEvent};
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::OutputPlan;
use crate::store::{Store, StoreError};
use crate::values::id::Sequence;

/// The checkpoints that led to a state.
#[derive(Debug, Default)]
pub struct History {
    /// The checkpoints of the history, the newest first, each with the files that it has published.
    members: Vec<(Sequence, Vec<Output>)>,
    /// The numbers of abandoned checkpoints, as ranges that exclude both bounds.
    abandoned: Vec<(Sequence, Sequence)>,
    /// The highest number in use.
    newest: Option<Sequence>,
}

impl History {
    /// Follows the history back from `last`, the checkpoint that the run resumes from; `newest` is the highest number
    /// in use. `plans` say where the output of the job goes and, if that has changed, where the output of `last` went.
    ///
    /// Looks only at `last` itself, unless the run has rolled back or skipped checkpoints. Fails if the system refuses
    /// to read one.
    pub fn of(
        store: Option<&Store>,
        last: Option<&Manifest>,
        newest: Option<Sequence>,
        plans: &[OutputPlan],
    ) -> Result<History, StoreError> {
        let (Some(store), Some(last)) = (store, last) else { return Ok(History { newest, ..History::default() }) };
        let newest = newest.unwrap_or(last.sequence);
        let mut history = History { newest: Some(newest), ..History::default() };
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
            // The history ends at a checkpoint that was pruned or is damaged. The files of older checkpoints stay as
            // they are.
            match store.manifest(before) {
                Ok(committed) => at = committed.manifest,
                Err(error) if error.is_inconclusive() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(history)
    }

    /// Finishes what a crash has interrupted, supersedes the files of abandoned checkpoints, and removes what was never
    /// published. If the run `is_alone`, no other run of the job can have staged anything.
    pub fn reconcile(
        &self,
        store: Option<&Store>,
        plans: &[OutputPlan],
        is_alone: bool,
        observer: &dyn Observer,
    ) -> Result<(), RunError> {
        for plan in plans {
            self.reconcile_place(store, plan, is_alone, observer)?;
        }
        Ok(())
    }

    fn reconcile_place(
        &self,
        store: Option<&Store>,
        plan: &OutputPlan,
        is_alone: bool,
        observer: &dyn Observer,
    ) -> Result<(), RunError> {
        let (mut staged, begun) = (plan.staged_names()?, Instant::now());
        let existing = match &self.members[..] {
            [] => HashSet::new(),
            [(only, _)] if self.abandoned.is_empty() => plan.names(Some(*only))?,
            _ => plan.names(None)?,
        };
        for (sequence, outputs) in &self.members {
            for output in outputs.iter().filter(|output| output.path == plan.name(*sequence)) {
                let is_published = match output.staged {
                    // What is not staged anymore was published.
                    Some(_) => {
                        staged.iter().any(|staged| staged.id == output.staged)
                            && plan.follow(output, *sequence, begun)?
                    }
                    None => plan.recover(output, *sequence, &mut staged)?,
                };
                if is_published || (plan.emit.is_by_checkpoint() && plan.reinstate(output, *sequence, &existing)?) {
                    let path = plan.shown(*sequence);
                    observer.event(&RunEvent::Published { path, rows: output.rows, bytes: output.bytes });
                }
            }
        }
        self.withdraw(plan, &existing, observer)?;
        let is_abandoned = |sequence: &Sequence| self.is_abandoned(*sequence);
        if plan.is_shared && staged.iter().any(|staged| is_abandoned(&staged.sequence)) {
            staged = plan.wait_for_authors(&is_abandoned)?;
        }
        // A crash has kept it from being published. It may become part of the history again.
        for sequence in staged.iter().map(|staged| staged.sequence).filter(is_abandoned).collect::<BTreeSet<_>>() {
            for output in self.outputs_of(store, sequence)? {
                if let Some(moved_to) = plan.supersede_staged(&output, sequence, &mut staged)? {
                    observer.event(&RunEvent::Superseded { sequence, path: plan.shown(sequence), moved_to });
                }
            }
        }
        if plan.is_shared && !self.abandoned.is_empty() {
            // Other workers may have published meanwhile what they had committed. Now there is nothing left to publish.
            self.withdraw(plan, &plan.names(None)?, observer)?;
        }
        let newest = if is_alone { Some(Sequence(u64::MAX)) } else { self.newest };
        Ok(plan.remove_strays(staged, newest)?)
    }

    fn is_abandoned(&self, sequence: Sequence) -> bool {
        self.abandoned.iter().any(|(after, before)| *after < sequence && sequence < *before)
    }

    /// Supersedes the files of abandoned checkpoints among those with the names `existing`.
    fn withdraw(
        &self,
        plan: &OutputPlan,
        existing: &HashSet<String>,
        observer: &dyn Observer,
    ) -> Result<(), OutputError> {
        let found: BTreeSet<Sequence> = existing.iter().filter_map(|name| plan.sequence_of(name)).collect();
        for sequence in found.into_iter().filter(|sequence| self.is_abandoned(*sequence)) {
            if let Some(moved_to) = plan.supersede(None, sequence)? {
                observer.event(&RunEvent::Superseded { sequence, path: plan.shown(sequence), moved_to });
            }
        }
        Ok(())
    }

    /// Returns the files that an abandoned checkpoint publishes; none if it was never committed, or was pruned. Fails if
    /// the system refuses to read it.
    fn outputs_of(&self, store: Option<&Store>, sequence: Sequence) -> Result<Vec<Output>, StoreError> {
        match store.map(|store| store.manifest(sequence)) {
            Some(Ok(committed)) => Ok(committed.manifest.outputs),
            Some(Err(error)) if error.is_inconclusive() => Err(error),
            Some(Err(_)) | None => Ok(Vec::new()),
        }
    }
}
