//! The partitions of a job without a key, each a task of its own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

/// The number of tasks of a job without a key that follows its input: files that appear while it runs get tasks that are free.
pub const FOLLOWING_TASKS: u32 = 65_536;

/// Which partition is which task. Partitions can be added while a run goes on, and are never removed.
#[derive(Debug)]
pub struct Roster {
    /// The number of tasks, of which each has at most one partition.
    tasks: u32,
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Name and task, in the order in which they were added.
    list: Vec<(Arc<str>, u32)>,
    by_name: HashMap<Arc<str>, usize>,
    taken: HashSet<u32>,
}

impl Roster {
    /// Makes the roster of partitions that come one by one: those that `known` has with their tasks, then `new` ones.
    ///
    /// Its tasks are as many as the partitions that there were and are; with `following`, [`FOLLOWING_TASKS`] at least, since more will come.
    pub fn new<'a>(
        known: impl Iterator<Item = (&'a str, u32)>,
        new: impl Iterator<Item = &'a str>,
        following: bool,
    ) -> Roster {
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
        Roster { tasks: tasks.max(1), entries: RwLock::new(entries) }
    }

    /// Returns the number of tasks.
    pub fn tasks(&self) -> u32 {
        self.tasks
    }

    /// Returns the number of the partition `name`, which is added if need be; nothing when no task is free.
    pub fn number(&self, name: &str) -> Option<u32> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&number) = entries.by_name.get(name) {
            return u32::try_from(number).ok();
        }
        // Neighbours go to different shards, which are ranges of tasks. The factor is odd, so with a power of two as the number of tasks
        // every task has its turn.
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
    /// When there is no such partition.
    pub fn entry(&self, number: u32) -> (Arc<str>, u32) {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.list[number as usize].clone()
    }

    /// Returns the task of the partition `name`.
    pub fn task(&self, name: &str) -> Option<u32> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
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

/// The names of the partitions that the streams of a run belong to, which come while it goes on.
#[derive(Debug, Default)]
pub struct StreamNames(RwLock<Vec<Arc<str>>>);

impl StreamNames {
    /// Makes the list of those that there are when the run begins.
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> StreamNames {
        StreamNames(RwLock::new(names.map(Arc::from).collect()))
    }

    /// Adds the name of the next stream.
    pub fn push(&self, name: Arc<str>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(name);
    }

    /// Returns the name for stream `number`.
    ///
    /// # Panics
    ///
    /// When there is no such stream.
    pub fn get(&self, number: u32) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)[number as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_keep_their_tasks_and_new_ones_get_the_next() {
        let known = [("b", 1), ("gone", 0)];
        let roster = Roster::new(known.into_iter(), ["a", "b", "c"].into_iter(), false);
        assert_eq!(roster.tasks(), 4);
        assert_eq!(["a", "b", "c", "gone"].map(|name| roster.task(name)), [Some(2), Some(1), Some(3), Some(0)]);
        assert_eq!(roster.number("more"), None);
        let empty: [(&str, u32); 0] = [];
        assert_eq!(Roster::new(empty.into_iter(), [].into_iter(), false).tasks(), 1);
    }

    #[test]
    fn while_it_follows_every_task_can_be_given_once_and_neighbours_lie_apart() {
        let roster = Roster::new([("old", 40_503)].into_iter(), [].into_iter(), true);
        let mut tasks = HashSet::from([40_503]);
        for n in 1..FOLLOWING_TASKS {
            let name = format!("file {n}");
            let number = roster.number(&name).unwrap();
            assert_eq!(roster.number(&name), Some(number));
            let (found, task) = roster.entry(number);
            assert_eq!((&*found, roster.task(&name)), (name.as_str(), Some(task)));
            assert!(tasks.insert(task) && task < FOLLOWING_TASKS);
        }
        assert_eq!(roster.number("one too many"), None);
        let shards: HashSet<u32> = (0..16).map(|n| roster.entry(n).1 / 4096).collect();
        assert!(shards.len() > 8, "{shards:?}");
    }
}
