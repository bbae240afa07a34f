//! Which input files a run would read, and from where.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::positions::PositionRow;
use crate::input;
use crate::input::partition_tasks::PartitionTasks;
use crate::input::{
    BlockReader, Compression, FollowReader, InputError, Partition, Position, ResumedPartitions, TopicReader,
};
use crate::job::JobSpec;
use crate::runner::check::report::{InputMessages, InputReport, InputState, Report};
use crate::values::error_chain::in_one_line;

/// Checks the files and objects. Returns the files that have unread records. Reading objects would cost requests.
pub(super) fn check_files(job: &JobSpec, start: &[PositionRow], report: &mut Report) -> Vec<Partition> {
    let created = report.latest.as_ref().map(|latest| latest.created).unwrap_or_default();
    let listed = match ResumedPartitions::list(&job.input, &job.base, start, created.into()) {
        Ok(listed) => listed,
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Vec::new();
        }
    };
    let is_file = |partition: &&Partition| matches!(partition.source, input::Source::File(_));
    let mut unread = Vec::new();
    let missing: Vec<&PositionRow> = listed.missing(&job.input).collect();
    for row in &missing {
        report.unreadable(row, &InputError::Gone { partition: row.partition.clone(), offset: row.offset });
    }
    let by_name: HashMap<&str, &PositionRow> = start.iter().map(|row| (row.partition.as_str(), row)).collect();
    for partition in &listed.partitions {
        let Some(&row) = by_name.get(partition.name.as_str()) else {
            let unread_bytes = partition.file_bytes.filter(|_| partition.compression == Compression::None);
            let (offset, state) = (0, InputState::New);
            report.inputs.push(InputReport {
                partition: partition.name.clone(),
                offset,
                state,
                unread_bytes,
                message: None,
                worker: None,
            });
            unread.extend(Some(partition).filter(is_file).cloned());
            continue;
        };
        // What standard input will contain is unknown until it is read.
        let proven = match partition.source {
            input::Source::Stdin | input::Source::Topic => None,
            input::Source::Gone => {
                if !missing.iter().any(|row| row.partition == partition.name) {
                    let (offset, state) = (row.offset, InputState::Gone);
                    report.inputs.push(InputReport {
                        partition: partition.name.clone(),
                        offset,
                        state,
                        unread_bytes: Some(0),
                        message: None,
                        worker: None,
                    });
                }
                continue;
            }
            input::Source::File(_) | input::Source::Object(_) => {
                let alone: Arc<[Partition]> = Arc::new([partition.clone()]);
                Some(BlockReader::new(&job.input, alone, std::slice::from_ref(row), row.cut))
            }
        };
        match proven {
            Some(Err(error)) => report.unreadable(row, &error),
            Some(Ok(reader)) => {
                let ended = reader.positions().first().is_some_and(|position| position.ended);
                let is_plain = partition.compression == Compression::None;
                let state = if ended {
                    InputState::Read
                } else if partition.file_bytes > row.file_bytes {
                    InputState::Grown
                } else {
                    InputState::Unread
                };
                let size = partition.file_bytes.filter(|_| is_plain);
                unread.extend(Some(partition).filter(|partition| !ended && is_file(partition)).cloned());
                let unread_bytes = if ended { Some(0) } else { size.map(|size| size.saturating_sub(row.offset)) };
                report.inputs.push(InputReport {
                    partition: partition.name.clone(),
                    offset: row.offset,
                    state,
                    unread_bytes,
                    message: None,
                    worker: None,
                });
            }
            None => report.inputs.push(InputReport {
                partition: partition.name.clone(),
                offset: row.offset,
                state: InputState::Unread,
                unread_bytes: None,
                message: None,
                worker: None,
            }),
        }
    }
    unread
}

/// Checks the partitions of a topic.
pub(super) fn check_topic(job: &JobSpec, start: &[PositionRow], report: &mut Report) {
    let tasks = report.latest.as_ref().filter(|_| job.is_partitioned && !start.is_empty()).map(|latest| {
        let known = start.iter().filter_map(|row| Some((row.logical(), row.task?)));
        Arc::new(PartitionTasks::fixed(known, latest.tasks))
    });
    let reader = TopicReader::new(&job.input, &job.base, start, 0, tasks, None, None);
    let looked = reader.and_then(|mut reader| Ok((reader.look()?, reader.take_notes())));
    let (partitions, notes) = match looked {
        Ok(looked) => looked,
        Err(error) => return report.problems.push(in_one_line(&error)),
    };
    report.input_notes = notes;
    for (position, unread) in partitions {
        let Some(message) = &position.message else { continue };
        let row = start.iter().find(|row| row.partition == position.partition.name);
        let state = match row {
            None => InputState::New,
            Some(_) if unread == 0 => InputState::Read,
            Some(_) => InputState::Unread,
        };
        report.inputs.push(InputReport {
            partition: position.partition.name.clone(),
            offset: position.offset,
            state,
            unread_bytes: None,
            message: Some(InputMessages { offset: message.offset, unread }),
            worker: row.and_then(|row| row.committed.as_ref()).map(|commit| commit.worker.clone()),
        });
    }
}

/// Checks followed files. Returns those that have unread records.
pub(super) fn check_followed(job: &JobSpec, start: &[PositionRow], report: &mut Report) -> Vec<Partition> {
    let last = report.latest.as_ref().filter(|latest| latest.restored_from.is_none());
    let since = last.map(|latest| latest.created.into());
    let reader = FollowReader::new(&job.input, &job.base, start, 0, None, since);
    let positions = reader.and_then(|mut reader| reader.look());
    let positions = match positions {
        Ok(positions) => positions,
        Err(error) => {
            report.problems.push(in_one_line(&error));
            return Vec::new();
        }
    };
    let mut with_unread = Vec::new();
    for Position { partition, generation_of, inode, offset, .. } in positions {
        let size = partition.file_bytes.unwrap_or(0);
        let row = start.iter().find(|row| row.inode == inode && row.offset == offset);
        let unread = size.saturating_sub(offset);
        let state = match row {
            None if generation_of.is_none() => InputState::New,
            _ if generation_of.is_some() && unread > 0 => InputState::Rotated,
            _ if unread == 0 => InputState::Read,
            Some(row) if row.file_bytes.is_some_and(|bytes| size > bytes) => InputState::Grown,
            _ => InputState::Unread,
        };
        report.inputs.push(InputReport {
            partition: partition.name.clone(),
            offset,
            state,
            unread_bytes: Some(unread),
            message: None,
            worker: None,
        });
        if unread > 0 && generation_of.is_none() {
            with_unread.push(Partition::clone(&partition));
        }
    }
    with_unread
}
