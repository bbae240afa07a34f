//! `ckpt inspect --positions`: how far each partition was applied.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::head::{Head, moment};
use crate::cli::error::CliError;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::format::positions::PositionRow;
use crate::values::units::Count;

/// Prints the positions.
pub(super) fn show(head: Head, rows: &[PositionRow], ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        let positions = rows.iter().map(PositionView::new).collect();
        return ui.json(&PositionsView { head, positions });
    }
    let mut columns = vec![
        Column::name("PARTITION"),
        Column::number("TASK"),
        Column::number("OFFSET"),
        Column::number("RECORD"),
        Column::number("FILE SIZE"),
        Column::number("CUT"),
        Column::text("ENDED"),
    ];
    // A job that does not go by time has no event times.
    let is_topic = rows.iter().any(|row| row.message.is_some());
    columns.extend(is_topic.then(|| Column::number("TOPIC OFFSET")));
    let end_of = |row: &PositionRow| row.message.as_ref().and_then(|message| message.batch_end);
    let is_batch = rows.iter().any(|row| end_of(row).is_some());
    columns.extend(is_batch.then(|| Column::number("BATCH END")));
    let has_workers = rows.iter().any(|row| row.committed.is_some());
    columns.extend(has_workers.then(|| Column::name("WORKER")));
    let has_time = rows.iter().any(|row| row.event_time.is_some());
    columns.extend(has_time.then(|| Column::text("TIME")));
    // Otherwise it is that of the checkpoint.
    let has_own = rows.windows(2).any(|pair| pair[0].cut == pair[1].cut && pair[0].watermark != pair[1].watermark);
    columns.extend(has_own.then(|| Column::text("WATERMARK")));
    let mut table = Table::new(columns);
    for row in rows {
        let time = has_time.then(|| text::or_dash(moment(row.event_time).map(|time| ui.time(time))));
        let mut cells = vec![
            row.partition.clone(),
            text::or_dash(row.task),
            Count(row.offset).to_string(),
            Count(row.record).to_string(),
            text::or_dash(row.file_bytes.map(Count)),
            Count(row.cut).to_string(),
            text::yes(row.ended).to_owned(),
        ];
        let message = row.message.as_ref().map(|message| Count(message.offset));
        cells.extend(is_topic.then(|| text::or_dash(message)));
        cells.extend(is_batch.then(|| text::or_dash(end_of(row).map(Count))));
        let worker = row.committed.as_ref().map(|commit| &commit.worker);
        cells.extend(has_workers.then(|| text::or_dash(worker)));
        cells.extend(time);
        cells.extend(has_own.then(|| text::or_dash(moment(row.watermark).map(|time| ui.time(time)))));
        table.row(cells);
    }
    ui.table(&table)
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PositionsView<'a> {
    #[serde(flatten)]
    head: Head,
    positions: Vec<PositionView<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct PositionView<'a> {
    partition: &'a str,
    task: Option<u32>,
    cut: u64,
    offset: u64,
    record: u64,
    ended: bool,
    file_bytes: Option<u64>,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader_epoch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_end: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watermark: Option<Timestamp>,
}

impl<'a> PositionView<'a> {
    fn new(row: &'a PositionRow) -> PositionView<'a> {
        let (message, commit) = (row.message.as_ref(), row.committed.as_ref());
        PositionView {
            partition: &row.partition,
            task: row.task,
            cut: row.cut,
            offset: row.offset,
            record: row.record,
            ended: row.ended,
            file_bytes: row.file_bytes,
            fingerprint: row.fingerprint.to_string(),
            etag: row.etag.as_deref(),
            topic_id: message.and_then(|message| message.topic_id.as_deref()),
            topic_offset: message.map(|message| message.offset),
            leader_epoch: message.and_then(|message| message.leader_epoch),
            proof_offset: message.and_then(|message| message.proof_offset),
            batch_end: message.and_then(|message| message.batch_end),
            worker: commit.map(|commit| commit.worker.as_str()),
            committed: moment(commit.map(|commit| commit.time)),
            event_time: moment(row.event_time),
            watermark: moment(row.watermark),
        }
    }
}
