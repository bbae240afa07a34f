//! `ckpt inspect` without an option: what a checkpoint is.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::classes::ClassView;
use super::head::{ColumnView, Head, column_views, moment};
use crate::cli::error::CliError;
use crate::cli::json::{path_from, published};
use crate::cli::text::{self, counted};
use crate::cli::ui::Ui;
use crate::format::key_shape::{KeyPart, KeyShape};
use crate::format::manifest::{DeadLetter, Manifest, Mode, OlderCut, Output, Routing, Timings, Totals, Trigger};
use crate::ops::inspect::Description;
use crate::values::units::{Age, Bytes, Count, Span};

/// Prints the description of a checkpoint. In JSON, the paths of files that the run wrote start from `job_directory`.
pub(super) fn show(
    head: Head,
    description: &Description,
    job_directory: &Path,
    classes: &[ClassView],
    ui: &mut Ui,
) -> Result<(), CliError> {
    let manifest = &description.committed.manifest;
    if ui.is_json() {
        return ui.json(&DescriptionView::new(head, description, job_directory, classes));
    }
    ui.heading(format!("checkpoint {} of job {}", manifest.sequence.0, manifest.job))?;
    let lines = [
        vec![("store", head.store().to_owned())],
        origin_lines(description, ui),
        input_lines(description, ui),
        state_lines(manifest, classes),
        object_lines(description),
        file_lines(manifest),
    ];
    for (name, text) in lines.into_iter().flatten() {
        ui.out(format!("{name:<10} {text}"))?;
    }
    Ok(())
}

/// A line of the description: its name and its text.
type Line = (&'static str, String);

fn origin_lines(description: &Description, ui: &Ui) -> Vec<Line> {
    let manifest = &description.committed.manifest;
    let (created, now) = (ui.time(manifest.created), ui.now());
    let age = |time| Age::between(time, now.timestamp());
    let mut lines = vec![("created", format!("{created}, {}", age(manifest.created)))];
    if let Some(pin) = &description.pin {
        let since = pin.created.map_or_else(String::new, |created| format!(", {}", age(created)));
        lines.push(("pinned", format!("{}{since}", pin.reason.as_deref().unwrap_or("without a reason"))));
    }
    let parent = match manifest.parent {
        Some(parent) => format!("{}, manifest {}", parent.sequence.0, parent.sha256.short()),
        None => "none: the first".to_owned(),
    };
    lines.extend([("cause", text::cause(manifest)), ("mode", manifest.mode.name().to_owned())]);
    lines.extend(manifest.worker.iter().map(|worker| ("worker", worker.clone())));
    lines.extend([("parent", parent), ("manifest", description.committed.sha256.to_string())]);
    lines
}

fn input_lines(description: &Description, ui: &Ui) -> Vec<Line> {
    let manifest = &description.committed.manifest;
    let totals = manifest.totals;
    let input = format!(
        "{}, {} in {}, {} ended{}",
        counted(totals.records, "record"),
        Bytes(totals.input_bytes),
        counted(totals.partitions, "partition"),
        Count(description.ended_partitions),
        if manifest.ended { "; read to its end" } else { "" },
    );
    let mut lines = vec![("input", input)];
    if totals.skipped > 0 {
        lines.push(("skipped", counted(totals.skipped, "record")));
    }
    if let Some(watermark) = moment(description.watermark) {
        let of = if manifest.routing == Routing::KeyedPartition { ", the smallest of all partitions" } else { "" };
        lines.push(("watermark", ui.time(watermark) + of));
    }
    if totals.late > 0 {
        lines.push(("late", counted(totals.late, "record")));
    }
    lines.push(("cut", format!("block {} of {}", Count(manifest.block), Bytes(manifest.block_bytes))));
    lines
}

fn state_lines(manifest: &Manifest, classes: &[ClassView]) -> Vec<Line> {
    let totals = manifest.totals;
    let tasks = format!(
        "{} in {}, {}",
        Count(manifest.tasks.into()),
        counted(manifest.shards.into(), "shard"),
        text::routing(manifest.routing)
    );
    let columns = manifest.columns.iter().map(|column| format!("{} {}", column.name, column.column_type.name()));
    let mut lines = vec![("tasks", tasks)];
    lines.extend(classes.iter().filter(|class| class.is_shown()).map(|class| ("class", class.line())));
    lines.extend([
        ("state", format!("{}, {} changed", counted(totals.keys, "key"), Count(totals.changed_keys))),
        ("columns", columns.collect::<Vec<_>>().join(", ")),
    ]);
    if let Some(key) = &manifest.key {
        let part = |part: &KeyPart| match part.column_type {
            None => part.name.clone(),
            Some(column_type) => format!("{} {}", part.name, column_type.name()),
        };
        let mut parts: Vec<String> = key.parts.iter().map(part).collect();
        parts.extend(key.window.then(|| KeyShape::WINDOW_COLUMN.to_owned()));
        lines.insert(lines.len() - 1, ("key", parts.join(", ")));
    }
    lines
}

fn object_lines(description: &Description) -> Vec<Line> {
    let manifest = &description.committed.manifest;
    let (totals, timings) = (manifest.totals, manifest.timings);
    let span = |micros| Span(Duration::from_micros(micros));
    vec![
        (
            "objects",
            format!("{}, {}, {} of it new", Count(description.objects), Bytes(totals.bytes), Bytes(totals.new_bytes)),
        ),
        (
            "segments",
            format!(
                "{}, {} in {}, at most {} per shard",
                counted(description.bases, "base"),
                counted(description.deltas, "delta"),
                counted(description.filled_shards, "shard"),
                description.longest_chain
            ),
        ),
        (
            "took",
            format!(
                "pause {}, snapshot {}, write {}",
                span(timings.pause_micros),
                span(timings.snapshot_micros),
                span(timings.write_micros)
            ),
        ),
    ]
}

fn file_lines(manifest: &Manifest) -> Vec<Line> {
    let output = |output: &Output| {
        ("output", format!("{}, {}, {}", output.path, counted(output.rows, "row"), Bytes(output.bytes)))
    };
    let records = |name, file: &DeadLetter| (name, format!("{}, {}", file.path, Bytes(file.bytes)));
    let outputs = manifest.outputs.iter().map(output);
    let messages = manifest
        .messages
        .iter()
        .map(|messages| ("output", format!("topic {}, {}", messages.topic, counted(messages.rows, "message"))));
    let outputs = outputs.chain(messages);
    let dead = manifest.dead_letter.iter().map(|file| records("dead", file));
    outputs.chain(dead).chain(manifest.late_records.iter().map(|file| records("late records", file))).collect()
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct DescriptionView<'a> {
    #[serde(flatten)]
    head: Head,
    #[serde(flatten)]
    origin: OriginView,
    #[serde(flatten)]
    layout: LayoutView<'a>,
    timings: Timings,
    totals: Totals,
    #[serde(flatten)]
    contents: ContentsView,
    #[serde(flatten)]
    files: FilesView,
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<Timestamp>,
    pin: Option<PinView<'a>>,
    classes: &'a [ClassView],
    older_cuts: &'a [OlderCut],
}

/// Where the checkpoint comes from.
#[derive(Debug, Serialize, JsonSchema)]
struct OriginView {
    manifest_sha256: String,
    created: Timestamp,
    trigger: Trigger,
    mode: Mode,
    ended: bool,
    restored_from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    parent: Option<ParentView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ParentView {
    sequence: u64,
    sha256: String,
}

/// How the input and the state are divided.
#[derive(Debug, Serialize, JsonSchema)]
struct LayoutView<'a> {
    block: u64,
    block_bytes: u64,
    tasks: u32,
    shards: u32,
    routing: Routing,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: &'a Option<KeyShape>,
    columns: Vec<ColumnView<'a>>,
}

/// Counts that are not in the manifest.
#[derive(Debug, Serialize, JsonSchema)]
struct ContentsView {
    ended_partitions: u64,
    filled_shards: u64,
    bases: u64,
    deltas: u64,
    longest_chain: u64,
    objects: u64,
}

/// Files that the run wrote outside the store.
#[derive(Debug, Serialize, JsonSchema)]
struct FilesView {
    outputs: Vec<Output>,
    messages: Option<MessagesView>,
    dead_letter: Option<DeadLetter>,
    late_records: Option<DeadLetter>,
}

/// What the topic of the output gets after the commit.
#[derive(Debug, Serialize, JsonSchema)]
struct MessagesView {
    topic: String,
    /// The checkpoint that staged them: this one, or the one that it was restored from.
    checkpoint: u64,
    rows: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PinView<'a> {
    reason: Option<&'a str>,
    created: Option<Timestamp>,
}

impl<'a> DescriptionView<'a> {
    fn new(
        head: Head,
        description: &'a Description,
        job_directory: &Path,
        classes: &'a [ClassView],
    ) -> DescriptionView<'a> {
        let manifest = &description.committed.manifest;
        DescriptionView {
            head,
            origin: OriginView::new(description),
            layout: LayoutView::new(manifest),
            timings: manifest.timings,
            totals: manifest.totals,
            contents: ContentsView::new(description),
            files: FilesView::new(manifest, job_directory),
            watermark: moment(description.watermark),
            pin: description.pin.as_ref().map(|pin| PinView { reason: pin.reason.as_deref(), created: pin.created }),
            classes,
            older_cuts: &manifest.older_cuts,
        }
    }
}

impl FilesView {
    fn new(manifest: &Manifest, job_directory: &Path) -> FilesView {
        let rejected = |file: &Option<DeadLetter>| {
            file.as_ref().map(|file| DeadLetter { path: path_from(job_directory, &file.path), bytes: file.bytes })
        };
        FilesView {
            outputs: published(job_directory, &manifest.outputs),
            messages: manifest.messages.as_ref().map(|messages| MessagesView {
                topic: messages.topic.clone(),
                checkpoint: messages.checkpoint.0,
                rows: messages.rows,
            }),
            dead_letter: rejected(&manifest.dead_letter),
            late_records: rejected(&manifest.late_records),
        }
    }
}

impl OriginView {
    fn new(description: &Description) -> OriginView {
        let manifest = &description.committed.manifest;
        OriginView {
            manifest_sha256: description.committed.sha256.to_string(),
            created: manifest.created,
            trigger: manifest.trigger,
            mode: manifest.mode,
            ended: manifest.ended,
            restored_from: manifest.restored_from.map(|sequence| sequence.0),
            worker: manifest.worker.clone(),
            parent: manifest
                .parent
                .map(|parent| ParentView { sequence: parent.sequence.0, sha256: parent.sha256.to_string() }),
        }
    }
}

impl LayoutView<'_> {
    fn new(manifest: &Manifest) -> LayoutView<'_> {
        LayoutView {
            block: manifest.block,
            block_bytes: manifest.block_bytes,
            tasks: manifest.tasks,
            shards: manifest.shards,
            routing: manifest.routing,
            key: &manifest.key,
            columns: column_views(manifest),
        }
    }
}

impl ContentsView {
    fn new(description: &Description) -> ContentsView {
        ContentsView {
            ended_partitions: description.ended_partitions,
            filled_shards: description.filled_shards,
            bases: description.bases,
            deltas: description.deltas,
            longest_chain: description.longest_chain,
            objects: description.objects,
        }
    }
}
