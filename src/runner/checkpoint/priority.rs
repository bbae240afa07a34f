//! Mode priority: which shards a checkpoint takes, and which ones wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::format::index::{shard_of, tasks_of};
use crate::input::globs::PartitionGlob;
use crate::input::record::{Field, Filter};
use crate::job::{PriorityClass, PrioritySpec, Selector, key_filter};

/// The classes of a run, and the class of each shard.
///
/// A shard belongs to the most important class that anything in it belongs to. For classes by task or partition, that
/// is known from the start; for classes by key, shards are classified as their keys arrive.
#[derive(Debug)]
pub struct Priorities {
    /// The most important first.
    pub classes: Vec<PriorityClass>,
    /// About how many bytes of changed rows one checkpoint takes.
    pub budget_bytes: Option<u64>,
    /// No shard waits longer than this.
    pub max_staleness: Duration,
    /// The index of each shard's class.
    ranks: Vec<AtomicUsize>,
    /// The classes by key, with their ranks.
    filters: Vec<(usize, Filter)>,
}

impl Priorities {
    /// Classifies the shards. `partitions` are the names and tasks of a job without a key.
    pub fn new(spec: &PrioritySpec, tasks: u32, shards: u32, partitions: &[(String, u32)]) -> Priorities {
        let mut classes = spec.classes.clone();
        if !classes.iter().any(|class| class.selector == Selector::Others) {
            // Lighter than any class in the job file.
            classes.push(PriorityClass { name: "others".to_owned(), selector: Selector::Others, weight: 0, every: 1 });
        }
        classes.sort_by_key(|class| std::cmp::Reverse(class.weight));
        let others = classes.iter().position(|class| class.selector == Selector::Others).unwrap_or(0);
        let mut ranks: Vec<Option<usize>> = vec![None; shards as usize];
        let mut filters = Vec::new();
        for (rank, class) in classes.iter().enumerate() {
            let mut classify = |shard: u32| {
                ranks[shard as usize].get_or_insert(rank);
            };
            match &class.selector {
                Selector::Tasks(first, last) => {
                    let last = (*last).min(tasks - 1);
                    (shard_of(*first, tasks, shards)..=shard_of(last, tasks, shards)).for_each(classify);
                }
                Selector::Partitions(glob) => {
                    let pattern = PartitionGlob::new(glob).ok();
                    let of_class =
                        partitions.iter().filter(|(name, _)| pattern.as_ref().is_some_and(|it| it.matches(name)));
                    of_class.for_each(|(_, task)| classify(shard_of(*task, tasks, shards)));
                }
                // It was checked when the job file was read.
                Selector::Key(expression) => filters.extend(key_filter(expression).ok().map(|filter| (rank, filter))),
                Selector::Others => {}
            }
        }
        let ranks = ranks.into_iter().map(|rank| AtomicUsize::new(rank.unwrap_or(others))).collect();
        let (budget_bytes, max_staleness) = (spec.budget_bytes, spec.max_staleness);
        Priorities { classes, budget_bytes, max_staleness, ranks, filters }
    }

    /// Returns the index of a shard's class: 0 is the most important.
    pub fn rank(&self, shard: u32) -> usize {
        self.ranks.get(shard as usize).map_or(0, |rank| rank.load(Ordering::Relaxed))
    }

    /// Returns whether the class of a shard may depend on its keys.
    pub fn has_key_classes(&self) -> bool {
        !self.filters.is_empty()
    }

    /// Classifies a shard by one of its keys.
    pub fn classify(&self, shard: u32, key: &[u8]) {
        let rank = self.rank(shard);
        let Ok(text) = std::str::from_utf8(key) else { return };
        for (class, filter) in self.filters.iter().filter(|(class, _)| *class < rank) {
            if filter.keeps(&[Field::Text(text.into())]).unwrap_or(false) {
                self.ranks[shard as usize].fetch_min(*class, Ordering::Relaxed);
            }
        }
    }

    /// Returns the shards, the most important first.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.ranks.len()).collect();
        order.sort_by_key(|shard| self.rank(*shard as u32));
        order
    }

    /// Returns the names of the classes, and the first and last tasks of the shards in each, for display.
    pub fn tasks_of_classes(&self, tasks: u32) -> Vec<(&str, Vec<(u32, u32)>)> {
        let shards = self.ranks.len() as u32;
        let of_class = |rank: usize| {
            (0..shards).filter(|shard| self.rank(*shard) == rank).map(|shard| tasks_of(shard, tasks, shards)).collect()
        };
        self.classes.iter().enumerate().map(|(rank, class)| (class.name.as_str(), of_class(rank))).collect()
    }
}

/// A shard when a checkpoint is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardStatus {
    /// The index of its class.
    pub rank: usize,
    /// Bytes of its rows that changed since it was last taken.
    pub changed_bytes: u64,
    /// Time since then.
    pub stale: Duration,
}

/// Chooses the shards of checkpoint number `round`, from 0, if the next one comes about `interval` later.
///
/// Shards that would wait longer than `max_staleness` are taken in any case. Then come the classes whose turn it is,
/// the most important first, and in a class the shards that have changed most, as long as they fit the budget; one is
/// taken whatever it costs. A shard that has not changed by the cut is always taken, chosen or not: it costs nothing.
pub fn choose(priorities: &Priorities, shards: &[ShardStatus], round: u64, interval: Duration) -> Vec<bool> {
    let is_late = |seen: &ShardStatus| seen.stale.saturating_add(interval) > priorities.max_staleness;
    let is_due = |seen: &ShardStatus| {
        let every = priorities.classes.get(seen.rank).map_or(1, |class| u64::from(class.every));
        round.is_multiple_of(every.max(1))
    };
    // A shard that has not changed yet may change before the cut: then it is taken if it is its turn.
    let mut taken: Vec<bool> =
        shards.iter().map(|seen| is_late(seen) || (seen.changed_bytes == 0 && is_due(seen))).collect();
    let changed = |(seen, taken): (&ShardStatus, &bool)| if *taken { seen.changed_bytes } else { 0 };
    let mut bytes: u64 = shards.iter().zip(&taken).map(changed).fold(0, u64::saturating_add);
    let mut candidates: Vec<usize> = (0..shards.len()).filter(|&at| !taken[at] && is_due(&shards[at])).collect();
    candidates.sort_by_key(|&at| (shards[at].rank, std::cmp::Reverse(shards[at].changed_bytes), at));
    for at in candidates {
        let with = bytes.saturating_add(shards[at].changed_bytes);
        if bytes == 0 || priorities.budget_bytes.is_none_or(|budget| with <= budget) {
            taken[at] = true;
            bytes = with;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, selector: Selector, weight: u32, every: u32) -> PriorityClass {
        PriorityClass { name: name.to_owned(), selector, weight, every }
    }

    fn spec(classes: Vec<PriorityClass>, budget_bytes: Option<u64>) -> PrioritySpec {
        PrioritySpec { classes, budget_bytes, max_staleness: Duration::from_secs(100) }
    }

    fn seen(rank: usize, changed_bytes: u64, stale: u64) -> ShardStatus {
        ShardStatus { rank, changed_bytes, stale: Duration::from_secs(stale) }
    }

    #[test]
    fn a_shard_belongs_to_the_most_important_class_of_anything_in_it() {
        let classes = vec![
            class("some", Selector::Tasks(0, 7), 2, 1),
            class("vip", Selector::Tasks(3, 3), 9, 1),
            class("key", Selector::Key("key == 'x'".to_owned()), 5, 1),
        ];
        // Four tasks per shard.
        let priorities = Priorities::new(&spec(classes, None), 16, 4, &[]);
        let names: Vec<&str> = priorities.classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["vip", "key", "some", "others"]);
        let ranks = |priorities: &Priorities| (0..4).map(|shard| priorities.rank(shard)).collect::<Vec<_>>();
        assert_eq!(ranks(&priorities), [0, 2, 3, 3]);
        for shard in 0..3 {
            priorities.classify(shard, b"y");
            priorities.classify(shard, b"x");
        }
        assert_eq!(ranks(&priorities), [0, 1, 1, 3]);
        assert_eq!(priorities.order(), [0, 1, 2, 3]);
        assert_eq!(priorities.tasks_of_classes(16)[1], ("key", vec![(4, 7), (8, 11)]));
        let files = ["eu-1".to_owned(), "us-1".to_owned(), "eu-2".to_owned()];
        let partitions: Vec<(String, u32)> = files.into_iter().zip(0..).collect();
        let by_file = vec![class("eu", Selector::Partitions("eu-*".to_owned()), 1, 1)];
        let priorities = Priorities::new(&spec(by_file, None), 3, 3, &partitions);
        assert_eq!((0..3).map(|shard| priorities.rank(shard)).collect::<Vec<_>>(), [0, 1, 0]);
    }

    #[test]
    fn the_important_come_first_then_the_most_changed_within_the_budget() {
        let classes = vec![class("a", Selector::Tasks(0, 0), 9, 1), class("b", Selector::Tasks(1, 3), 1, 3)];
        let priorities = |budget| Priorities::new(&spec(classes.clone(), budget), 5, 5, &[]);
        let interval = Duration::from_secs(10);
        let shards = [seen(0, 50, 0), seen(1, 10, 0), seen(1, 30, 0), seen(1, 0, 90), seen(2, 20, 0)];
        let taken = |budget, round, shards: &[ShardStatus]| -> Vec<usize> {
            let chosen = choose(&priorities(budget), shards, round, interval);
            (0..shards.len()).filter(|&at| chosen[at]).collect()
        };
        assert_eq!(taken(None, 0, &shards), [0, 1, 2, 3, 4]);
        assert_eq!(taken(None, 1, &shards), [0, 4], "class b is taken every third time");
        assert_eq!(taken(None, 3, &shards), [0, 1, 2, 3, 4]);
        assert_eq!(taken(Some(80), 0, &shards), [0, 2, 3]);
        assert_eq!(taken(Some(60), 0, &shards), [0, 1, 3], "a small enough shard still fits");
        assert_eq!(taken(Some(1), 0, &shards), [0, 3], "one is taken whatever it costs");
        let late = [seen(0, 50, 0), seen(1, 10, 95), seen(1, 30, 89), seen(1, 0, 99), seen(2, 20, 91)];
        assert_eq!(taken(Some(1), 1, &late), [1, 3, 4], "no shard waits longer than the bound");
    }
}
