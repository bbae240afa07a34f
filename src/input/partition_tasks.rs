//! The tasks of partitions, where each partition is a task: in a job without a key, and if a job with a topic says so.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

use crate::values::lock::{read, write};

/// The number of tasks of a job without a key that follows its input. Files that appear later get free tasks.
pub const FOLLOWING_TASKS: u32 = 65_536;

/// Which task each partition has. Partitions can be added during a run, and are never removed.
#[derive(Debug)]
pub struct PartitionTasks {
    /// The number of tasks. Each has at most one partition.
    tasks: u32,
    /// Whether no partition can be added.
    is_fixed: bool,
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Names and tasks, in the order in which they were added.
    list: Vec<(Arc<str>, u32)>,
    by_name: HashMap<Arc<str>, usize>,
    taken: HashSet<u32>,
}

impl PartitionTasks {
    /// Assigns the partitions `known` to the tasks that they have, and the `new` ones to the next tasks.
    ///
    /// The number of tasks is that of all partitions ever seen. With `following` it is at least [`FOLLOWING_TASKS`],
    /// and partitions are added later.
    pub fn new<'a>(
        known: impl Iterator<Item = (&'a str, u32)>,
        new: impl Iterator<Item = &'a str>,
        following: bool,
    ) -> PartitionTasks {
        let mut entries = Entries::default();
        for (name, task) in known {
            entries.add(name, task);
        }
        let mut tasks = entries.taken.iter().max().map_or(0, |last| last + 1);
        if following {
            tasks = tasks.max(FOLLOWING_TASKS);
        } else {
            for name in new {
                if !entries.by_name.contains_key(name) {
                    entries.add(name, tasks);
                    tasks += 1;
                }
            }
        }
        PartitionTasks { tasks: tasks.max(1), is_fixed: false, entries: RwLock::new(entries) }
    }

    /// Assigns the partitions `known` to the `tasks` that they have. There are no others.
    pub fn fixed<'a>(known: impl Iterator<Item = (&'a str, u32)>, tasks: u32) -> PartitionTasks {
        let mut entries = Entries::default();
        for (name, task) in known {
            entries.add(name, task);
        }
        PartitionTasks { tasks: tasks.max(1), is_fixed: true, entries: RwLock::new(entries) }
    }

    pub fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    pub fn tasks(&self) -> u32 {
        self.tasks
    }

    /// Returns the number of the partition `name`, which is added if it is new, or `None` if no task is free.
    pub fn number(&self, name: &str) -> Option<u32> {
        let mut entries = write(&self.entries);
        if let Some(&number) = entries.by_name.get(name) {
            return u32::try_from(number).ok();
        }
        if self.is_fixed {
            return None;
        }
        // Neighbors go to different shards, which are ranges of tasks. The factor is odd, so if the number of tasks is
        // a power of two every task gets a turn.
        let turns = entries.list.len() as u64..u64::from(self.tasks);
        let mut tasks = turns.map(|turn| (turn * 40_503 % u64::from(self.tasks)) as u32);
        let free = tasks.find(|task| !entries.taken.contains(task));
        let free = free.or_else(|| (0..self.tasks).find(|task| !entries.taken.contains(task)))?;
        entries.add(name, free);
        u32::try_from(entries.list.len() - 1).ok()
    }

    /// Returns the name and the task of partition `number`.
    ///
    /// # Panics
    ///
    /// If there is no such partition.
    pub fn entry(&self, number: u32) -> (Arc<str>, u32) {
        let entries = read(&self.entries);
        entries.list[number as usize].clone()
    }

    pub fn task(&self, name: &str) -> Option<u32> {
        let entries = read(&self.entries);
        entries.by_name.get(name).map(|&number| entries.list[number].1)
    }
}

impl Entries {
    fn add(&mut self, name: &str, task: u32) {
        if self.by_name.contains_key(name) {
            return;
        }
        let name: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&name), self.list.len());
        self.list.push((name, task));
        self.taken.insert(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_keep_their_tasks_and_new_ones_get_the_next() {
        let known = [("b", 1), ("gone", 0)];
        let tasks_of = PartitionTasks::new(known.into_iter(), ["a", "b", "c"].into_iter(), false);
        assert_eq!(tasks_of.tasks(), 4);
        assert_eq!(["a", "b", "c", "gone"].map(|name| tasks_of.task(name)), [Some(2), Some(1), Some(3), Some(0)]);
        assert_eq!(tasks_of.number("more"), None);
        let empty: [(&str, u32); 0] = [];
        assert_eq!(PartitionTasks::new(empty.into_iter(), [].into_iter(), false).tasks(), 1);
    }

    #[test]
    fn fixed_partitions_are_all_there_are() {
        let tasks_of = PartitionTasks::fixed([("t/0", 0), ("t/10", 2), ("t/2", 1)].into_iter(), 4);
        assert_eq!((tasks_of.tasks(), tasks_of.number("t/2"), tasks_of.task("t/2")), (4, Some(2), Some(1)));
        assert_eq!((tasks_of.number("t/3"), tasks_of.task("t/3")), (None, None), "a free task does not help");
    }

    #[test]
    fn with_follow_every_task_is_given_once_and_neighbors_are_far_apart() {
        let tasks_of = PartitionTasks::new([("old", 40_503)].into_iter(), [].into_iter(), true);
        let mut tasks = HashSet::from([40_503]);
        for n in 1..FOLLOWING_TASKS {
            let name = format!("file {n}");
            let number = tasks_of.number(&name).unwrap();
            assert_eq!(tasks_of.number(&name), Some(number));
            let (found, task) = tasks_of.entry(number);
            assert_eq!((&*found, tasks_of.task(&name)), (name.as_str(), Some(task)));
            assert!(tasks.insert(task) && task < FOLLOWING_TASKS);
        }
        assert_eq!(tasks_of.number("one too many"), None);
        let shards: HashSet<u32> = (0..16).map(|n| tasks_of.entry(n).1 / 4096).collect();
        assert!(shards.len() > 8, "{shards:?}");
    }
}
