//! Which shards a cut takes, in mode priority.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::format::manifest::Trigger;
use crate::runner::checkpoint::priority::{Priorities, ShardStatus, choose};
use crate::runner::lineage::Lineage;
use crate::runner::pipeline::gauges::Gauges;
use crate::runner::pipeline::plan::Plan;
use crate::runner::pipeline::run::Run;

/// The shards that a cut takes.
pub(super) enum CutShards {
    All,
    Some(Arc<[bool]>),
    /// Some shards have changed, but it is not their turn.
    None,
}

/// Whose turn it is.
pub(super) struct Turns {
    priorities: Option<Arc<Priorities>>,
    /// When each shard was last taken.
    taken_at: Vec<Instant>,
    /// How many checkpoints were due.
    rounds: u64,
    /// The bytes that had changed in the shards that the last cut left out.
    left_out_bytes: u64,
}

impl Turns {
    /// Makes the turns of a run that starts at `now` and continues from `lineage`. Shards that the checkpoint has at an
    /// older cut have waited since then.
    pub(super) fn new(run: &Run<'_>, plan: &Plan, lineage: &Lineage, now: Instant) -> Turns {
        let mut taken_at = match &plan.priorities {
            Some(_) => vec![now; plan.shards as usize],
            None => Vec::new(),
        };
        for older in &lineage.older {
            let age = run.clock.now().duration_since(older.cut.created);
            let since = Duration::try_from(age).ok().and_then(|age| now.checked_sub(age)).unwrap_or(now);
            for shard in &older.cut.shards {
                if let Some(taken_at) = taken_at.get_mut(*shard as usize) {
                    *taken_at = since;
                }
            }
        }
        Turns { priorities: plan.priorities.clone(), taken_at, rounds: 0, left_out_bytes: 0 }
    }

    /// Chooses the shards of a cut. A requested one and the last one get all of them.
    pub(super) fn choose(&mut self, trigger: Trigger, gauges: &Gauges, interval: Duration) -> CutShards {
        let now = Instant::now();
        let Some(priorities) = &self.priorities else { return CutShards::All };
        if !matches!(trigger, Trigger::Schedule | Trigger::StateBytes | Trigger::Records) {
            self.taken_at.fill(now);
            self.left_out_bytes = 0;
            return CutShards::All;
        }
        let shards: Vec<ShardStatus> = (0..)
            .zip(self.taken_at.iter().zip(&gauges.shards))
            .map(|(shard, (taken_at, changed))| ShardStatus {
                rank: priorities.rank(shard),
                changed_bytes: changed.load(Ordering::Relaxed),
                stale: now.saturating_duration_since(*taken_at),
            })
            .collect();
        let chosen = choose(priorities, &shards, self.rounds, interval);
        self.rounds += 1;
        let is_changed = |shard: &ShardStatus| shard.changed_bytes > 0;
        let any =
            |wanted: bool| shards.iter().zip(&chosen).any(|(shard, chosen)| is_changed(shard) && *chosen == wanted);
        if any(false) && !any(true) {
            self.left_out_bytes = gauges.changed_bytes.load(Ordering::Relaxed);
            return CutShards::None;
        }
        for (taken_at, (shard, chosen)) in self.taken_at.iter_mut().zip(shards.iter().zip(&chosen)) {
            if *chosen || !is_changed(shard) {
                *taken_at = now;
            }
        }
        let left_out = shards.iter().zip(&chosen).filter(|(_, chosen)| !**chosen);
        self.left_out_bytes = left_out.map(|(shard, _)| shard.changed_bytes).sum();
        CutShards::Some(chosen.into())
    }

    /// Returns the bytes that have changed since the last cut; what it left out does not count.
    pub(super) fn changed_bytes(&self, gauges: &Gauges) -> u64 {
        gauges.changed_bytes.load(Ordering::Relaxed).saturating_sub(self.left_out_bytes)
    }

    /// Returns whether a changed shard has waited as long as it may.
    pub(super) fn is_stale(&self, gauges: &Gauges) -> bool {
        let Some(priorities) = &self.priorities else { return false };
        let shards = self.taken_at.iter().zip(&gauges.shards);
        let changed = shards.filter(|(_, changed)| changed.load(Ordering::Relaxed) > 0);
        changed.map(|(taken_at, _)| taken_at.elapsed()).any(|stale| stale >= priorities.max_staleness)
    }
}
