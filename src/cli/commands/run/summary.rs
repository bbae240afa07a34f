//! The summary at the end of a run.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::{VERSION, published};
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::format::manifest::Output;
use crate::job::JobSpec;
use crate::runner::bad_reasons::{BadExample, BadReason};
use crate::runner::observer::{PublishedChanges, Summary};
use crate::values::id::Sequence;
use crate::values::units::{Bytes, Count, Rate, Span};

/// Prints the summary.
pub(super) fn show(job: &JobSpec, summary: &Summary, ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        return ui.json(&SummaryView::new(job, summary));
    }
    ui.heading(format!("{}: {}", job.job, end_of(summary)))?;
    let resumed =
        summary.resumed_from.map_or_else(|| "nothing".to_owned(), |sequence| format!("checkpoint {}", sequence.0));
    ui.out(format!("  resumed from  {resumed}"))?;
    ui.out(format!("  records       {}", records(summary)))?;
    for reason in &summary.bad_reasons {
        ui.out(format!("  bad           {}", bad_reason(reason)))?;
    }
    ui.out(format!("  keys          {}", Count(summary.keys)))?;
    ui.out(format!("  checkpoints   {}", checkpoints(job, summary)))?;
    if summary.restarts > 0 {
        ui.out(format!("  restarts      {}", Count(summary.restarts)))?;
    }
    if let (Some(output), PublishedChanges { files: 1.., rows, bytes, .. }) = (&job.output, summary.changes) {
        let (place, parts) = match &output.topic {
            Some(topic) => (format!("topic {}", topic.topic), text::counted(summary.changes.files, "transaction")),
            None => (job.resolve(&output.files).display().to_string(), text::counted(summary.changes.files, "file")),
        };
        ui.out(format!("  output        {place} ({parts}, {}, {})", text::counted(rows, "row"), Bytes(bytes)))?;
    }
    for output in &summary.outputs {
        let path = job.resolve(Path::new(&output.path));
        ui.out(format!(
            "  output        {} ({}, {})",
            path.display(),
            text::counted(output.rows, "row"),
            Bytes(output.bytes)
        ))?;
    }
    Ok(())
}

/// Says how many records are bad for a reason, with an example.
pub(super) fn bad_reason(reason: &BadReason) -> String {
    let BadExample { partition, offset, record, reason: why, beginning } = &reason.example;
    let such_as = if reason.count == 1 { "" } else { "such as " };
    let records = text::counted(reason.count, "record");
    format!("{records}: {why} ({such_as}record {record} of `{partition}` at {offset}: `{beginning}`)")
}

fn records(summary: &Summary) -> String {
    let rate = Rate { count: summary.records, elapsed: summary.elapsed };
    let mut text = format!("{} in {} ({rate})", Count(summary.records), Span(summary.elapsed));
    if summary.records != summary.records_in_all {
        text += &format!(", {} in total", Count(summary.records_in_all));
    }
    if summary.skipped_in_all > 0 {
        text += &format!(", {} of them bad and skipped", Count(summary.skipped_in_all));
    }
    if summary.late_in_all > 0 {
        text += &format!(", {} of them late", Count(summary.late_in_all));
    }
    text
}

fn checkpoints(job: &JobSpec, summary: &Summary) -> String {
    let mut text = if job.checkpoint.enabled { Count(summary.checkpoints).to_string() } else { "disabled".to_owned() };
    if let Some(latest) = summary.latest {
        text += &format!(", latest {}, {} written", latest.0, Bytes(summary.checkpoint_bytes));
    }
    if summary.pruned > 0 {
        text += &format!(", {} pruned", Count(summary.pruned));
    }
    if let Some(pause) = quantile(&summary.pauses_micros, 99) {
        text += &format!(", pause {}", Span(Duration::from_micros(pause)));
    }
    text
}

/// Warns about what is missing from the result, and returns the exit code.
pub(super) fn warn(summary: &Summary, ui: &Ui) -> Exit {
    let mut exit = Exit::Clean;
    let skipped = [
        (summary.skipped, summary.skipped_in_all, "bad record", "skipped"),
        (summary.late, summary.late_in_all, "late record", "left out"),
    ];
    for (number, in_all, noun, done) in skipped.into_iter().filter(|(number, ..)| *number > 0) {
        let verb = if number == 1 { "was" } else { "were" };
        let total = if number == in_all { String::new() } else { format!(", {} since the job began", Count(in_all)) };
        ui.warn(format!("{} {verb} {done}{total}", text::counted(number, noun)));
        exit = Exit::Incomplete;
    }
    if summary.early > 0 {
        let records = text::counted(summary.early, "record");
        ui.warn(format!("{records} too far ahead of the others did not move the watermark (see `ahead`)"));
        exit = Exit::Incomplete;
    }
    // Earlier runs may have seen it.
    for field in summary.absent_fields.iter().filter(|_| summary.resumed_from.is_none()) {
        let absent = match summary.records {
            1 => "the only record does not have".to_owned(),
            records => format!("none of the {} records has", Count(records)),
        };
        ui.warn(format!("{absent} `{field}`, which the job uses; it was null"));
    }
    for place in &summary.replicas_behind {
        ui.warn(format!("replica `{place}` is behind; it catches up in the next run, when it is available"));
        exit = Exit::Incomplete;
    }
    exit
}

/// Says how the run ended.
pub(super) fn end_of(summary: &Summary) -> &'static str {
    if summary.ended { "the input was read to its end" } else { "stopped; run it again to continue" }
}

/// Returns a percentile of ascending values.
fn quantile(values: &[u64], percent: usize) -> Option<u64> {
    let last = values.len().checked_sub(1)?;
    Some(values[(last * percent).div_ceil(100)])
}

/// The summary as JSON.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct SummaryView<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    job: &'a str,
    ended: bool,
    resumed_from: Option<Sequence>,
    left_behind: &'a [Sequence],
    latest: Option<Sequence>,
    records: u64,
    records_in_all: u64,
    records_per_second: u64,
    skipped: u64,
    skipped_in_all: u64,
    bad_records: Vec<BadRecordsView<'a>>,
    late: u64,
    late_in_all: u64,
    early: u64,
    input_bytes: u64,
    keys: u64,
    checkpoints: u64,
    checkpoint_bytes: u64,
    pruned: u64,
    restarts: u64,
    pause_micros_median: Option<u64>,
    pause_micros_p99: Option<u64>,
    pause_micros_max: Option<u64>,
    loading_seconds: f64,
    elapsed_seconds: f64,
    outputs: Vec<Output>,
    changes: ChangesView,
    replicas_behind: &'a [String],
    absent_fields: &'a [String],
}

/// The bad records of one reason.
#[derive(Debug, Serialize, JsonSchema)]
struct BadRecordsView<'a> {
    count: u64,
    reason: &'a str,
    partition: &'a str,
    offset: u64,
    record: u64,
    data: &'a str,
}

impl<'a> BadRecordsView<'a> {
    fn new(bad: &'a BadReason) -> BadRecordsView<'a> {
        let BadExample { partition, offset, record, reason, beginning } = &bad.example;
        BadRecordsView {
            count: bad.count,
            reason,
            partition,
            offset: offset.number(),
            record: *record,
            data: beginning,
        }
    }
}

/// Totals of the files of changes.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangesView {
    files: u64,
    rows: u64,
    bytes: u64,
}

impl<'a> SummaryView<'a> {
    /// Makes the view.
    pub(super) fn new(job: &'a JobSpec, summary: &'a Summary) -> SummaryView<'a> {
        let pauses = &summary.pauses_micros;
        SummaryView {
            version: VERSION,
            job: &job.job,
            ended: summary.ended,
            resumed_from: summary.resumed_from,
            left_behind: &summary.skipped_checkpoints,
            latest: summary.latest,
            records: summary.records,
            records_in_all: summary.records_in_all,
            records_per_second: Rate { count: summary.records, elapsed: summary.elapsed }.per_second(),
            skipped: summary.skipped,
            skipped_in_all: summary.skipped_in_all,
            bad_records: summary.bad_reasons.iter().map(BadRecordsView::new).collect(),
            late: summary.late,
            late_in_all: summary.late_in_all,
            early: summary.early,
            input_bytes: summary.input_bytes,
            keys: summary.keys,
            checkpoints: summary.checkpoints,
            checkpoint_bytes: summary.checkpoint_bytes,
            pruned: summary.pruned,
            restarts: summary.restarts,
            pause_micros_median: quantile(pauses, 50),
            pause_micros_p99: quantile(pauses, 99),
            pause_micros_max: quantile(pauses, 100),
            loading_seconds: summary.loading.as_secs_f64(),
            elapsed_seconds: summary.elapsed.as_secs_f64(),
            outputs: published(&job.base, &summary.outputs),
            changes: {
                let PublishedChanges { files, rows, bytes } = summary.changes;
                ChangesView { files, rows, bytes }
            },
            replicas_behind: &summary.replicas_behind,
            absent_fields: &summary.absent_fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(
            [quantile(&values, 0), quantile(&values, 50), quantile(&values, 99), quantile(&values, 100)],
            [Some(1), Some(51), Some(100), Some(100)]
        );
        assert_eq!((quantile(&[7], 99), quantile(&[], 99)), (Some(7), None));
    }
}
