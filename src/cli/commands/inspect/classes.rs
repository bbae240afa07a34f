//! How far each priority class of a checkpoint is behind.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::text::counted;
use crate::format::manifest::{Mode, OlderCut};
use crate::format::positions::PositionRow;
use crate::job::Selector;
use crate::job::definition::definition;
use crate::runner::checkpoint::priority::Priorities;
use crate::store::{Committed, Store};
use crate::values::units::{Count, Span};

/// A class, and how far its shards are behind the cut of the checkpoint.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ClassView {
    name: String,
    weight: u32,
    every: u32,
    /// Whether the class selects keys. Only the run knows its shards; they are counted in the other classes.
    by_key: bool,
    shards: u64,
    behind_shards: u64,
    records_behind: u64,
    seconds_behind: i64,
}

/// Returns the classes of a checkpoint in priority mode; none for another mode or if the job cannot be read.
pub(super) fn classes(store: &Store, committed: &Committed, positions: &[PositionRow]) -> Vec<ClassView> {
    let manifest = &committed.manifest;
    if manifest.mode != Mode::Priority {
        return Vec::new();
    }
    let Ok(definition) = definition(store, committed) else { return Vec::new() };
    let Some(spec) = &definition.checkpoint.priority else { return Vec::new() };
    let partitions: Vec<(String, u32)> =
        positions.iter().filter_map(|row| Some((row.partition.clone(), row.task?))).collect();
    let partitions: Vec<_> = partitions.into_iter().filter(|(_, task)| *task < manifest.tasks).collect();
    let priorities = Priorities::new(spec, manifest.tasks, manifest.shards, &partitions);
    let cut_of = |shard: &u32| manifest.older_cuts.iter().find(|cut| cut.shards.contains(shard));
    let view = |(rank, class): (usize, &crate::job::PriorityClass)| {
        let shards: Vec<u32> = (0..manifest.shards).filter(|shard| priorities.rank(*shard) == rank).collect();
        let behind: Vec<&OlderCut> = shards.iter().filter_map(cut_of).collect();
        let records = behind.iter().map(|cut| manifest.totals.records.saturating_sub(cut.records));
        let seconds = behind.iter().map(|cut| manifest.created.as_second().saturating_sub(cut.created.as_second()));
        ClassView {
            name: class.name.clone(),
            weight: class.weight,
            every: class.every,
            by_key: matches!(class.selector, Selector::Key(_)),
            shards: shards.len() as u64,
            behind_shards: behind.len() as u64,
            records_behind: records.max().unwrap_or(0),
            seconds_behind: seconds.max().unwrap_or(0).max(0),
        }
    };
    priorities.classes.iter().enumerate().map(view).collect()
}

impl ClassView {
    /// Tells whether to show the class. The implicit class of all other shards may be empty.
    pub(super) fn is_shown(&self) -> bool {
        self.shards > 0 || self.weight > 0
    }

    /// Describes the class for people.
    pub(super) fn line(&self) -> String {
        let name = &self.name;
        if self.by_key {
            return format!("{name}: by key; its shards are counted in the other classes");
        }
        let shards = counted(self.shards, "shard");
        if self.behind_shards == 0 {
            return format!("{name}: {shards}, none behind");
        }
        let time = Span(std::time::Duration::from_secs(self.seconds_behind.unsigned_abs()));
        format!(
            "{name}: {shards}, {} behind by at most {} records and {time}",
            self.behind_shards,
            Count(self.records_behind)
        )
    }
}
