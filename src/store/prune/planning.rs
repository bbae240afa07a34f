//! Decides what a prune removes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::iter;
use std::time::Duration;

use jiff::Timestamp;

use crate::format::layout::{self, ObjectName};
use crate::store::prune::error::PruneError;
use crate::store::prune::plan::{Plan, PlannedCheckpoint, PrunedEarlier, Request};
use crate::store::prune::policy::{Candidate, Rule, decide};
use crate::store::prune::replica_plan::Decision;
use crate::store::prune::survey::{Survey, Surveyed};
use crate::store::store::Store;
use crate::values::digest::Digest;
use crate::values::id::Sequence;
use crate::values::progress::Progress;

/// How often planning starts over while other processes remove checkpoints.
const PLAN_ATTEMPTS: usize = 4;

/// Plans `request` at `now`. Reads every manifest and the list of its objects; writes nothing.
///
/// Fails with [`PruneError::Unreadable`] if it is unknown what some checkpoint needs, and with
/// [`StoreError::Diverged`](crate::store::StoreError) if replicas diverged. `progress` counts checkpoints.
pub fn plan(store: &Store, request: &Request, now: Timestamp, progress: &dyn Progress) -> Result<Plan, PruneError> {
    request.policy.check()?;
    for _ in 1..PLAN_ATTEMPTS {
        match plan_once(store, request, now, progress) {
            // Another prune may have renamed it after it was listed.
            Err(PruneError::Unreadable { source, .. }) if source.is_not_found() => {}
            planned => return planned,
        }
    }
    plan_once(store, request, now, progress)
}

fn plan_once(store: &Store, request: &Request, now: Timestamp, progress: &dyn Progress) -> Result<Plan, PruneError> {
    // Before anything is read: a pin that is set meanwhile is seen when the plan is applied.
    let pins: BTreeSet<Sequence> = store.pins()?.into_keys().collect();
    // Each checkpoint below is read from one replica, and stands for all of them.
    store.check_undivided()?;
    let mut survey = Survey::read(store, progress)?;
    if survey.live.is_empty() {
        // If the checkpoints are put back, they need their objects.
        store.check_not_lost()?;
    }
    let earlier = pruned_earlier(store, &mut survey, request.grace, now, progress)?;
    let mut kept_by = decide(&candidates(&survey), &pins, &request.policy, now, &request.zone)?;
    keep_newest_of_each(&survey, &mut kept_by);
    keep_for_rollback(&survey.live, &mut kept_by);

    let mut uses = Uses::new(&survey);
    for needs in &earlier.needs {
        uses.mark(needs, Use::Kept);
    }
    for (checkpoint, _) in survey.live.iter().zip(&kept_by).filter(|(_, kept_by)| !kept_by.is_empty()) {
        uses.mark(&checkpoint.needs, Use::Kept);
    }
    let checkpoints = planned(&survey, kept_by, &mut uses);

    let (needed, removed_objects) = (uses.named(Use::Kept), uses.named(Use::Removed));
    let removed = checkpoints.iter().filter(|c| c.is_removed()).map(|c| c.sequence).collect();
    let due = earlier.list.iter().filter(|e| e.is_due).map(|e| e.sequence).collect();
    let decision = Decision {
        removed: &removed,
        due: &due,
        needed_objects: &needed,
        removed_objects: &removed_objects,
        grace: request.grace,
        now,
    };
    let mut leftovers = Vec::new();
    let mut replicas = Vec::new();
    for (replica, contents) in store.replicas.iter().zip(&survey.replicas) {
        leftovers.extend(decision.leftovers(&replica.place(), contents));
        replicas.push(decision.plan(contents));
    }
    let parents = survey.live.iter().filter_map(|checkpoint| checkpoint.parent).collect();
    Ok(Plan { request: request.clone(), now, checkpoints, pruned: earlier.list, leftovers, needed, parents, replicas })
}

/// Keeps the newest checkpoint of each replica: one that is behind must not be left without any, or a run that reaches
/// no other would start over.
fn keep_newest_of_each(survey: &Survey, kept_by: &mut [Vec<Rule>]) {
    for newest in survey.replicas.iter().filter_map(|contents| contents.live.last()) {
        let checkpoint = survey.live.iter().position(|checkpoint| checkpoint.sequence == *newest);
        if let Some(rules) = checkpoint.map(|at| &mut kept_by[at]).filter(|rules| !rules.contains(&Rule::Latest)) {
            rules.insert(0, Rule::Latest);
        }
    }
}

/// If the latest checkpoint is a rollback, keeps what the next run needs to withdraw and reinstate files.
///
/// For files of changes, that is its history: a file may have been withdrawn by an earlier rollback that nobody knows of any
/// more, and only the manifests say which files are part of the history. For dead letters, it is what was the latest
/// checkpoint before.
fn keep_for_rollback(live: &[Surveyed], kept_by: &mut [Vec<Rule>]) {
    let Some(latest) = live.last().filter(|latest| latest.restored_from.is_some()) else { return };
    let position = |sequence| live.binary_search_by_key(&sequence, |checkpoint| checkpoint.sequence).ok();
    let find = |sequence: Option<Sequence>| sequence.and_then(position).map(|at| &live[at]);
    let history = iter::successors(Some(latest), |at| find(at.restored_from.or(at.parent)));
    let history = history.filter(|_| live.iter().any(|checkpoint| checkpoint.has_changes));
    let before = iter::successors(Some(latest), |at| find(at.parent.filter(|_| at.restored_from.is_some())));
    let before = before.filter(|_| live.iter().any(|checkpoint| checkpoint.has_dead_letters));
    for checkpoint in history.chain(before) {
        let rules = position(checkpoint.sequence).map(|at| &mut kept_by[at]);
        if let Some(rules) = rules.filter(|rules| !rules.contains(&Rule::Latest) && !rules.contains(&Rule::Rollback)) {
            rules.push(Rule::Rollback);
        }
    }
}

/// Who needs an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// No checkpoint.
    Nothing,
    /// A checkpoint that is kept, or one that can still be brought back.
    Kept,
    /// Only checkpoints that are removed.
    Removed,
}

/// Who needs each object of a survey.
struct Uses<'a> {
    survey: &'a Survey,
    uses: Vec<Use>,
}

impl<'a> Uses<'a> {
    fn new(survey: &'a Survey) -> Uses<'a> {
        Uses { survey, uses: vec![Use::Nothing; survey.objects.names.len()] }
    }

    /// Marks those of `objects` that have no use yet, and returns how many bytes of them exist.
    fn mark(&mut self, objects: &[u32], by: Use) -> u64 {
        let mut bytes = 0u64;
        for &number in objects {
            let used = &mut self.uses[number as usize];
            if *used == Use::Nothing {
                *used = by;
                if self.survey.objects.exists[number as usize] {
                    bytes = bytes.saturating_add(self.survey.objects.bytes[number as usize]);
                }
            }
        }
        bytes
    }

    fn named(&self, wanted: Use) -> HashSet<ObjectName> {
        let names = self.survey.objects.names.iter().zip(&self.uses).filter(|(_, used)| **used == wanted);
        names.map(|(name, _)| *name).collect()
    }
}

/// Returns the checkpoints, ascending. A removed checkpoint frees what no newer one needs.
fn planned(survey: &Survey, kept_by: Vec<Vec<Rule>>, uses: &mut Uses<'_>) -> Vec<PlannedCheckpoint> {
    let mut checkpoints = Vec::with_capacity(survey.live.len());
    for (checkpoint, kept_by) in survey.live.iter().zip(kept_by).rev() {
        let frees_bytes = if kept_by.is_empty() { uses.mark(&checkpoint.needs, Use::Removed) } else { 0 };
        let Surveyed { sequence, sha256, created, keys, is_whole, .. } = *checkpoint;
        checkpoints.push(PlannedCheckpoint { sequence, sha256, created, keys, kept_by, frees_bytes, is_whole });
    }
    checkpoints.reverse();
    checkpoints
}

/// Returns the facts that the retention policy decides by.
fn candidates(survey: &Survey) -> Vec<Candidate> {
    let mut seen = vec![false; survey.objects.names.len()];
    let mut candidates: Vec<Candidate> = Vec::with_capacity(survey.live.len());
    for checkpoint in survey.live.iter().rev() {
        let new = checkpoint.needs.iter().copied();
        let new = new.filter(|&number| !std::mem::replace(&mut seen[number as usize], true));
        candidates.push(Candidate {
            sequence: checkpoint.sequence,
            created: checkpoint.created,
            bytes: survey.objects.sum(new),
            is_whole: checkpoint.is_whole,
        });
    }
    candidates.reverse();
    candidates
}

/// Checkpoints that were pruned before, and the objects of those that can be brought back.
struct Earlier {
    list: Vec<PrunedEarlier>,
    needs: Vec<Vec<u32>>,
}

fn pruned_earlier(
    store: &Store,
    survey: &mut Survey,
    grace: Duration,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<Earlier, PruneError> {
    let sequences: BTreeSet<Sequence> = survey.pruned();
    if sequences.is_empty() {
        return Ok(Earlier { list: Vec::new(), needs: Vec::new() });
    }
    let departures = store.history()?.departures();
    let mut list: Vec<PrunedEarlier> = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        let pruned = departures.of(sequence).and_then(|departure| departure.time);
        // A checkpoint that the history does not know counts as pruned just now.
        let is_due =
            grace.is_zero() || pruned.is_some_and(|pruned| pruned.checked_add(grace).is_ok_and(|end| end <= now));
        list.push(PrunedEarlier { sequence, pruned, is_due, sha256: None });
    }
    let waiting: Vec<Sequence> = list.iter().filter(|e| !e.is_due).map(|e| e.sequence).collect();
    let read = survey.checkpoints(store, &waiting, layout::pruned_dir, progress)?;
    let hashes: BTreeMap<Sequence, Digest> = read.iter().map(|read| (read.sequence, read.sha256)).collect();
    for earlier in &mut list {
        earlier.sha256 = hashes.get(&earlier.sequence).copied();
    }
    Ok(Earlier { list, needs: read.into_iter().map(|read| read.needs).collect() })
}
