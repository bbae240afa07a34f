//! Where reading starts, and the reader that starts there.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::format::positions::{BatchEnds, PositionRow};
use crate::input::partition_tasks::PartitionTasks;
use crate::input::record::record_fields;
use crate::input::{BlockReader, Columns, FollowReader, Partition, Reader, Source, TopicReader, absent_columns};
use crate::job::message_field::MessageField;
use crate::runner::error::{ResumeError, RunError};
use crate::runner::lineage::Lineage;
use crate::runner::observer::RunEvent;
use crate::runner::options::TICK;
use crate::runner::pipeline::plan::{Plan, Replay};
use crate::runner::pipeline::run::Run;

/// Makes the reader of a run that continues from `lineage`, and plans what shards with an older cut apply again.
/// One of several workers that read a batch reads up to `ends`. Returns nothing if the run is asked to stop first.
pub(crate) fn open_reader(
    run: &Run<'_>,
    plan: &mut Plan,
    lineage: &Lineage,
    ends: Option<&BatchEnds>,
) -> Result<Option<Reader>, RunError> {
    let several_cuts = || {
        let last = lineage.last.as_ref().filter(|_| !lineage.older.is_empty());
        last.map(|last| ResumeError::SeveralCuts { sequence: last.manifest.sequence })
    };
    if (run.job.input.follow || run.job.input.topic.is_some())
        && let Some(error) = several_cuts()
    {
        return Err(error.into());
    }
    let partition_tasks = plan.partition_tasks().cloned();
    let used = record_fields(&run.job.input, &run.fields(plan));
    let uses_headers = used.iter().any(|field| matches!(MessageField::of(field), Some(MessageField::Header(_))));
    let mut columns = run.columns(plan);
    if lineage.last.is_none() && !run.job.input.follow && run.job.native.is_none() {
        columns.require(absent_columns(&run.job.input, &run.partitions, &columns.optional)?);
    }
    let start = start_positions(lineage, &run.partitions);
    plan.replay = replay(lineage, &start, &run.partitions, plan.shards);
    if plan.replay.is_some() {
        if (plan.timing.is_some() || plan.exec.is_some())
            && let Some(error) = several_cuts()
        {
            return Err(error.into());
        }
        // What the newest cut has read must still be there as well.
        let newest = lineage.positions.values().filter(|row| row.partition != "-").cloned().collect();
        let tasks = partition_tasks.clone();
        if make_reader(run, &columns, uses_headers, newest, lineage, (tasks, None))?.is_none() {
            return Ok(None);
        }
    }
    let mut reader = make_reader(run, &columns, uses_headers, start, lineage, (partition_tasks, ends.cloned()))?;
    for note in reader.iter_mut().flat_map(Reader::take_notes) {
        run.observer.event(&RunEvent::Input(note));
    }
    Ok(reader)
}

/// Returns when the input was last looked at: at the latest checkpoint, or just now if there is none. Nothing for a
/// restored checkpoint, whose positions are older.
fn last_look(run: &Run<'_>, lineage: &Lineage) -> Option<SystemTime> {
    match &lineage.last {
        Some(last) if last.manifest.restored_from.is_some() => None,
        Some(last) => Some(last.manifest.created.into()),
        None => Some(run.clock.now().into()),
    }
}

/// Makes the reader, which checks that the input is the one that was read before. Returns nothing if the run is asked
/// to stop first: a read that never returns must not keep the run from ending.
fn make_reader(
    run: &Run<'_>,
    columns: &Columns,
    uses_headers: bool,
    start: Vec<PositionRow>,
    lineage: &Lineage,
    (partition_tasks, ends): (Option<Arc<PartitionTasks>>, Option<BatchEnds>),
) -> Result<Option<Reader>, RunError> {
    let last = lineage.last.as_ref().map(|last| &last.manifest);
    let next_block = last.map_or(0, |last| last.block);
    let had_bad_records = last.is_some_and(|last| last.totals.skipped > 0);
    let since = last_look(run, lineage);
    let (sender, receiver) = bounded(1);
    let (columns, share) = (columns.clone(), run.share.map(|share| share.partitions.clone()));
    let (input, base, partitions) = (run.job.input.clone(), run.job.base.clone(), Arc::clone(&run.partitions));
    // Watermarks move between blocks, so with event time the ends of blocks must not depend on time.
    let may_pause = run.job.window.is_none() && run.job.ttl.is_none();
    std::thread::spawn(move || {
        let reader = match input.follow {
            _ if input.topic.is_some() => {
                TopicReader::new(&input, &base, &start, next_block, partition_tasks, share, ends)
                    .map(|reader| if uses_headers { reader } else { reader.without_headers() })
                    .and_then(|reader| reader.with_columns(columns))
                    .map(|reader| Reader::Topic(Box::new(reader)))
            }
            false => {
                let number = |partition: &Partition| {
                    partition_tasks.as_ref().map(|partition_tasks| partition_tasks.number(&partition.name))
                };
                let numbers = partitions.iter().map(number).map(Option::flatten).collect();
                BlockReader::resuming(&input, partitions, &start, next_block, had_bad_records)
                    .map(|reader| reader.with_task_numbers(numbers).with_columns(columns).with_pauses(may_pause))
                    .map(|reader| Reader::Bounded(Box::new(reader)))
            }
            true => FollowReader::new(&input, &base, &start, next_block, partition_tasks, since)
                .map(|reader| Reader::Following(Box::new(reader.with_columns(columns)))),
        };
        let _ = sender.send(reader);
    });
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(reader) => return Ok(Some(reader?)),
            Err(RecvTimeoutError::Disconnected) => return Err(RunError::Panicked),
            Err(RecvTimeoutError::Timeout) if run.control.stop.load(Ordering::Relaxed) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Returns where reading starts: at the smallest position of each partition over all cuts that shards have.
fn start_positions(lineage: &Lineage, partitions: &[Partition]) -> Vec<PositionRow> {
    if lineage.older.is_empty() {
        return lineage.positions.values().cloned().collect();
    }
    let present = partitions.iter().filter(|partition| partition.source != Source::Gone);
    let present: HashSet<&str> = present.map(|partition| partition.name.as_str()).collect();
    let mut start: Vec<PositionRow> = Vec::new();
    for (name, newest) in &lineage.positions {
        // A partition that is gone is reported with the position of the newest cut.
        let older =
            lineage.older.iter().filter(|_| present.contains(name.as_str())).map(|older| older.positions.get(name));
        let smallest = older.min_by_key(|row| row.map_or(0, |row| row.offset));
        match smallest {
            Some(Some(older)) if older.offset < newest.offset => start.push(older.clone()),
            // A cut before the partition was known: it is read from its beginning.
            Some(None) if newest.offset > 0 => {}
            _ => start.push(newest.clone()),
        }
    }
    start
}

/// Returns what the shards with an older cut apply again, if there are any.
fn replay(lineage: &Lineage, start: &[PositionRow], partitions: &[Partition], shards: u32) -> Option<Replay> {
    if lineage.older.is_empty() {
        return None;
    }
    let offsets = |positions: &BTreeMap<String, PositionRow>| -> Vec<u64> {
        partitions.iter().map(|it| positions.get(&it.name).map_or(0, |row| row.offset)).collect()
    };
    let until = offsets(&lineage.positions);
    let mut from = vec![until.clone(); shards as usize];
    for older in &lineage.older {
        let offsets = offsets(&older.positions);
        for shard in &older.cut.shards {
            if let Some(from) = from.get_mut(*shard as usize) {
                from.clone_from(&offsets);
            }
        }
    }
    let start: HashMap<&str, u64> = start.iter().map(|row| (row.partition.as_str(), row.record)).collect();
    let records = partitions.iter().map(|it| start.get(it.name.as_str()).copied().unwrap_or(0)).collect();
    Some(Replay { until, records, from })
}
