//! `ckpt prune` as JSON.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::json::{StoreHead, path_in};
use crate::store::Store;
use crate::store::prune::policy::Rule;
use crate::store::prune::{Fate, LeftoverKind, Outcome, Plan, PlannedCheckpoint, UndoPlan};

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PruneView<'a> {
    #[serde(flatten)]
    head: StoreHead,
    dry_run: bool,
    done: bool,
    policy: String,
    grace_seconds: u64,
    checkpoints: Vec<PlannedView>,
    removed: usize,
    removed_bytes: u64,
    earlier: Vec<EarlierView>,
    leftovers: Vec<LeftoverView<'a>>,
    leftover_bytes: u64,
    outcome: Option<OutcomeView<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PlannedView {
    sequence: u64,
    created: Timestamp,
    keys: u64,
    /// The rules that keep it; empty if it is removed.
    kept_by: Vec<&'static str>,
    frees_bytes: u64,
    whole: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct EarlierView {
    sequence: u64,
    pruned: Option<Timestamp>,
    due: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LeftoverView<'a> {
    place: &'a str,
    path: String,
    #[schemars(extend("enum" = ["object", "temporary", "set_aside", "foreign"]))]
    kind: &'static str,
    bytes: u64,
    age_seconds: Option<i64>,
    #[schemars(extend("enum" = ["remove", "wait", "leave"]))]
    fate: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OutcomeView<'a> {
    checkpoints: u64,
    expired: u64,
    objects: u64,
    temporary: u64,
    freed_bytes: u64,
    spared: u64,
    left: &'a [String],
}

impl<'a> PruneView<'a> {
    /// Makes the document.
    pub(super) fn new(dry_run: bool, store: &Store, plan: &'a Plan, outcome: Option<&'a Outcome>) -> PruneView<'a> {
        let checkpoint = |checkpoint: &PlannedCheckpoint| PlannedView {
            sequence: checkpoint.sequence.0,
            created: checkpoint.created,
            keys: checkpoint.keys,
            kept_by: checkpoint.kept_by.iter().copied().map(Rule::as_str).collect(),
            frees_bytes: checkpoint.frees_bytes,
            whole: checkpoint.is_whole,
        };
        let leftovers = plan.leftovers.iter().map(|leftover| LeftoverView {
            place: &leftover.place,
            path: path_in(&leftover.place, &leftover.path),
            kind: match leftover.kind {
                LeftoverKind::Object => "object",
                LeftoverKind::Temporary => "temporary",
                LeftoverKind::SetAside => "set_aside",
                LeftoverKind::Foreign => "foreign",
            },
            bytes: leftover.bytes,
            age_seconds: leftover.age_seconds,
            fate: match leftover.fate {
                Fate::Remove => "remove",
                Fate::Wait => "wait",
                Fate::Leave => "leave",
            },
        });
        let earlier = plan.pruned.iter().map(|earlier| EarlierView {
            sequence: earlier.sequence.0,
            pruned: earlier.pruned,
            due: earlier.is_due,
        });
        PruneView {
            head: StoreHead::new(store),
            dry_run,
            done: outcome.is_some(),
            policy: plan.request.policy.to_string(),
            grace_seconds: plan.request.grace.as_secs(),
            checkpoints: plan.checkpoints.iter().map(checkpoint).collect(),
            removed: plan.removed().count(),
            removed_bytes: plan.removed_bytes(),
            earlier: earlier.collect(),
            leftovers: leftovers.collect(),
            leftover_bytes: plan.leftover_bytes(),
            outcome: outcome.map(|outcome| OutcomeView {
                checkpoints: outcome.checkpoints,
                expired: outcome.expired,
                objects: outcome.objects,
                temporary: outcome.temporary,
                freed_bytes: outcome.freed_bytes,
                spared: outcome.spared,
                left: &outcome.left,
            }),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct UndoView {
    #[serde(flatten)]
    head: StoreHead,
    dry_run: bool,
    done: bool,
    pruned: Timestamp,
    checkpoints: Vec<u64>,
}

impl UndoView {
    /// Makes the document.
    pub(super) fn new(dry_run: bool, store: &Store, plan: &UndoPlan, done: bool) -> UndoView {
        UndoView {
            head: StoreHead::new(store),
            dry_run,
            done,
            pruned: plan.pruned,
            checkpoints: plan.checkpoints.iter().map(|(sequence, _)| sequence.0).collect(),
        }
    }
}
