//! What was found, as JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::finding::{FindingView, RefusedView};
use super::open::unreadable;
use crate::cli::error::CliError;
use crate::cli::json::VERSION;
use crate::cli::ui::Ui;
use crate::ops::samza::found::{Found, LocalStore, Snapshot, Task, TaskCheckpoint};
use crate::samza::checkpoint::{Checkpoint, Offset, StoreState};
use crate::samza::marker::Marker;
use crate::samza::offset_file::{OffsetFile, OffsetFileKind};
use crate::samza::partition::StreamPartition;
use crate::values::units::Age;

/// Prints the document.
pub(super) fn print(found: &Found, ui: &mut Ui) -> Result<(), CliError> {
    let now = ui.now().timestamp();
    ui.json(&FoundView {
        version: VERSION,
        tasks: found.tasks.iter().map(|task| TaskView::new(task, now)).collect(),
        stores: found.stores.iter().map(|store| StoreView::new(store, now)).collect(),
        snapshots: found.snapshots.iter().map(SnapshotView::new).collect(),
        unreadable: unreadable(found).map(FindingView::from).collect(),
        refused: found.refused.iter().map(RefusedView::from).collect(),
    })
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FoundView<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    tasks: Vec<TaskView<'a>>,
    stores: Vec<StoreView<'a>>,
    snapshots: Vec<SnapshotView<'a>>,
    unreadable: Vec<FindingView<'a>>,
    refused: Vec<RefusedView<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct TaskView<'a> {
    job: Option<&'a str>,
    task: &'a str,
    v1: Option<CheckpointView<'a>>,
    v2: Option<CheckpointView<'a>>,
    /// Whether the two disagree.
    differ: bool,
}

impl<'a> TaskView<'a> {
    fn new(task: &'a Task, now: Timestamp) -> TaskView<'a> {
        let view = |found: &'a Option<TaskCheckpoint>| found.as_ref().map(|found| CheckpointView::new(found, now));
        TaskView {
            job: task.job.as_deref(),
            task: &task.name,
            v1: view(&task.v1),
            v2: view(&task.v2),
            differ: task.is_divided(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct CheckpointView<'a> {
    path: &'a str,
    written: Option<Timestamp>,
    age_seconds: Option<i64>,
    #[serde(flatten)]
    contents: ContentsView<'a>,
}

impl<'a> CheckpointView<'a> {
    fn new(found: &'a TaskCheckpoint, now: Timestamp) -> CheckpointView<'a> {
        CheckpointView {
            path: &found.place,
            written: found.written,
            age_seconds: found.time().map(|time| Age::between(time, now).seconds),
            contents: ContentsView::from(&found.checkpoint),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct ContentsView<'a> {
    checkpoint: Option<String>,
    inputs: Vec<OffsetView<'a>>,
    state: Vec<StateView<'a>>,
}

impl<'a> From<&'a Checkpoint> for ContentsView<'a> {
    fn from(checkpoint: &'a Checkpoint) -> ContentsView<'a> {
        ContentsView {
            checkpoint: checkpoint.id.map(|id| id.to_string()),
            inputs: offset_views(&checkpoint.inputs),
            state: checkpoint.state.iter().map(StateView::from).collect(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct OffsetView<'a> {
    system: &'a str,
    stream: &'a str,
    partition: u32,
    offset: Option<&'a str>,
}

impl<'a> OffsetView<'a> {
    pub(super) fn new(partition: &'a StreamPartition, offset: &'a Offset) -> OffsetView<'a> {
        let StreamPartition { system, stream, partition } = partition;
        OffsetView { system, stream, partition: *partition, offset: offset.as_deref() }
    }
}

fn offset_views(offsets: &BTreeMap<StreamPartition, Offset>) -> Vec<OffsetView<'_>> {
    offsets.iter().map(|(partition, offset)| OffsetView::new(partition, offset)).collect()
}

/// Where the state of a store is: in a changelog, in the blob of a snapshot index, or in what another backend wrote.
#[derive(Debug, Serialize, JsonSchema)]
struct StateView<'a> {
    store: Option<&'a str>,
    backend: Option<&'a str>,
    changelog: Option<OffsetView<'a>>,
    snapshot_index: Option<&'a str>,
    marker: Option<&'a str>,
}

impl<'a> From<&'a StoreState> for StateView<'a> {
    fn from(state: &'a StoreState) -> StateView<'a> {
        let (store, backend) = (state.store.as_deref(), state.backend.as_deref());
        let none = StateView { store, backend, changelog: None, snapshot_index: None, marker: None };
        match &state.marker {
            Marker::Changelog { partition, offset, .. } => {
                StateView { changelog: Some(OffsetView::new(partition, offset)), ..none }
            }
            Marker::Snapshot { index } => StateView { snapshot_index: Some(index), ..none },
            Marker::Other { text } | Marker::Unreadable { text } => StateView { marker: Some(text), ..none },
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct StoreView<'a> {
    store: &'a str,
    task: &'a str,
    path: &'a str,
    /// The checkpoint in the name of the directory; null for the files in use.
    snapshot: Option<String>,
    written: Option<Timestamp>,
    age_seconds: Option<i64>,
    files: Vec<OffsetFileView<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OffsetFileView<'a> {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<ContentsView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offsets: Option<Vec<OffsetView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<&'a str>,
}

impl<'a> OffsetFileView<'a> {
    fn new(kind: OffsetFileKind, file: &'a OffsetFile) -> OffsetFileView<'a> {
        let none = OffsetFileView { name: kind.file_name(), contents: None, offsets: None, offset: None };
        match file {
            OffsetFile::Checkpoint(checkpoint) => {
                OffsetFileView { contents: Some(ContentsView::from(checkpoint)), ..none }
            }
            OffsetFile::Offsets(offsets) => OffsetFileView { offsets: Some(offset_views(offsets)), ..none },
            OffsetFile::Bare(offset) => OffsetFileView { offset: Some(offset), ..none },
        }
    }
}

impl<'a> StoreView<'a> {
    fn new(store: &'a LocalStore, now: Timestamp) -> StoreView<'a> {
        StoreView {
            store: &store.store,
            task: &store.task,
            path: &store.place,
            snapshot: store.snapshot.map(|id| id.to_string()),
            written: store.written,
            age_seconds: store.written.map(|time| Age::between(time, now).seconds),
            files: store.files.iter().map(|(kind, file)| OffsetFileView::new(*kind, file)).collect(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct SnapshotView<'a> {
    job: &'a str,
    job_id: &'a str,
    task: &'a str,
    store: &'a str,
    checkpoint: String,
    created: Option<Timestamp>,
    path: &'a str,
    previous: Option<&'a str>,
    files: Vec<FileView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FileView {
    path: String,
    bytes: u64,
    crc32: String,
    blobs: Vec<String>,
}

impl<'a> SnapshotView<'a> {
    fn new(snapshot: &'a Snapshot) -> SnapshotView<'a> {
        let owner = &snapshot.index.owner;
        let files = snapshot.index.files().into_iter().map(|(path, file)| FileView {
            path,
            bytes: file.size(),
            crc32: format!("{:08x}", file.checksum),
            blobs: file.parts().iter().map(|part| part.blob_id.clone()).collect(),
        });
        SnapshotView {
            job: &owner.job_name,
            job_id: &owner.job_id,
            task: &owner.task_name,
            store: &owner.store_name,
            checkpoint: owner.checkpoint_id.to_string(),
            created: Timestamp::from_millisecond(snapshot.index.creation_time_millis).ok(),
            path: &snapshot.place,
            previous: snapshot.index.previous.as_deref(),
            files: files.collect(),
        }
    }
}
