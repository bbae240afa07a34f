//! The report on one replica of a target.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::finding::{FindingView, loss};
use super::read_times::Unread;
use crate::cli::error::CliError;
use crate::cli::text::{counted, ranges};
use crate::cli::ui::Ui;
use crate::ops::finding::{Finding, FindingCode};
use crate::ops::verify::Report;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units::{Age, Bytes, Count};

/// What runs leave behind when they are cut short.
const LEFTOVERS: [FindingCode; 2] = [FindingCode::ObjectUnused, FindingCode::Leftover];

/// How a report is printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Whether lines begin with the replica.
    pub(super) with_place: bool,
    /// Whether leftovers are listed one by one.
    pub(super) verbose: bool,
}

/// Prints the findings in one replica, and the verdict.
pub(super) fn show(report: &Report, unread: &Unread, style: Style, ui: &mut Ui) -> Result<(), CliError> {
    let place = if style.with_place { format!("{}: ", report.place) } else { String::new() };
    let is_listed = |finding: &&Finding| style.verbose || !LEFTOVERS.contains(&finding.code);
    for finding in report.findings.iter().filter(is_listed) {
        ui.out(format!("{place}{}: {}: `{}`", finding.severity().as_str(), finding.code, finding.path))?;
        ui.out(format!("  expected {}", finding.expected))?;
        ui.out(format!("  found {}", finding.found))?;
        if !finding.checkpoints.is_empty() {
            ui.out(format!("  affects {}", checkpoints(&finding.checkpoints)))?;
        }
        if let Some(lost) = &finding.lost {
            ui.out(format!("  {}", loss(finding, lost)))?;
        }
        match &finding.good_copy {
            Some(place) => ui.out(format!("  good copy in `{place}`"))?,
            None => ui.out(format!("  next: {}", finding.code.next_step()))?,
        }
    }
    if !style.verbose {
        show_leftovers(report, &place, ui)?;
    }
    ui.out(format!("{place}{}", verdict(report, unread, ui.now().timestamp())))
}

/// Prints how many leftovers there are, and how to remove them.
fn show_leftovers(report: &Report, place: &str, ui: &mut Ui) -> Result<(), CliError> {
    let count = |code: FindingCode| report.findings.iter().filter(|finding| finding.code == code).count() as u64;
    let counts: Vec<(FindingCode, u64)> =
        LEFTOVERS.into_iter().map(|code| (code, count(code))).filter(|(_, count)| *count > 0).collect();
    if counts.is_empty() {
        return Ok(());
    }
    let total = counts.iter().map(|(_, count)| count).sum();
    let by_code: Vec<String> = counts.iter().map(|(code, count)| format!("{code} {}", Count(*count))).collect();
    let files = counted(total, "file");
    ui.out(format!("{place}note: {files} of writes that were cut short or are in progress: {}", by_code.join(", ")))?;
    ui.out(format!("  next: `ckpt prune {} --keep-all` removes old ones; `ckpt verify -v` lists them", report.place))
}

/// Returns the last line.
fn verdict(report: &Report, unread: &Unread, now: Timestamp) -> String {
    if report.findings.iter().any(|finding| finding.code == FindingCode::ReplicaUnavailable) {
        return "NOT verified: unavailable".to_owned();
    }
    if report.refused.is_some() && !report.is_damaged() {
        return "NOT verified: a file cannot be read".to_owned();
    }
    if report.findings.iter().any(|finding| finding.code == FindingCode::CheckpointsLost) {
        return "NOT intact: the checkpoints are missing".to_owned();
    }
    if report.checkpoints.is_empty() {
        return "nothing to verify: there is no checkpoint".to_owned();
    }
    let scope = scope(report, unread, now);
    if report.is_intact() {
        let as_far = if report.unread > 0 { " as far as read" } else { "" };
        return format!("intact{as_far}: {scope}");
    }
    let damaged: Vec<Sequence> = report.damaged().into_iter().collect();
    let damaged = if damaged.is_empty() { "no checkpoint".to_owned() } else { checkpoints(&damaged) };
    let newest = match report.newest_intact() {
        Some(sequence) => format!("newest intact: {}", sequence.0),
        None => "none is intact".to_owned(),
    };
    format!("NOT intact: {damaged} damaged; {newest}; {scope}")
}

/// Says how much was verified, and what was not read.
fn scope(report: &Report, unread: &Unread, now: Timestamp) -> String {
    let checkpoints = counted(report.checkpoints.len() as u64, "checkpoint");
    let bytes = Bytes(report.read_bytes);
    if report.unread == 0 {
        return format!("{checkpoints}, {}, {bytes} read", counted(report.objects, "object"));
    }
    let read = Count(report.objects.saturating_sub(report.unread));
    let mut scope = format!("{checkpoints}, {read} of {}, {bytes} read", counted(report.objects, "object"));
    scope += &format!("; {} not read", Count(report.unread));
    let never = (unread.never > 0).then(|| format!("{} of them never before", Count(unread.never)));
    let oldest = unread.oldest.map(|time| format!("oldest reading {}", Age::between(time, now)));
    let details: Vec<String> = never.into_iter().chain(oldest).collect();
    if !details.is_empty() {
        scope += &format!(" ({})", details.join(", "));
    }
    scope
}

/// Names checkpoints by number: `checkpoints 1 to 4 and 7`.
fn checkpoints(sequences: &[Sequence]) -> String {
    let numbers: Vec<u64> = sequences.iter().map(|sequence| sequence.0).collect();
    format!("checkpoint{} {}", if numbers.len() == 1 { "" } else { "s" }, ranges(&numbers))
}

/// The report on one replica of a target.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct ReportView {
    target: String,
    store: String,
    intact: bool,
    checkpoints: Vec<u64>,
    damaged: Vec<u64>,
    newest_intact: Option<u64>,
    objects: u64,
    read_bytes: u64,
    /// Objects that were not read; only their size was checked.
    unread: u64,
    /// How many of these were never read, according to the state file.
    #[serde(skip_serializing_if = "Option::is_none")]
    never_read: Option<u64>,
    /// When the one of these was read that was not read for the longest time.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_reading: Option<Timestamp>,
    /// The first file that the system refused to read, and what it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    findings: Vec<FindingView>,
}

impl ReportView {
    /// Makes the view for `target`, as it was given.
    pub(super) fn new(target: &str, report: &Report, unread: &Unread) -> ReportView {
        ReportView {
            target: target.to_owned(),
            store: report.place.clone(),
            intact: report.is_intact(),
            checkpoints: report.checkpoints.iter().map(|sequence| sequence.0).collect(),
            damaged: report.damaged().iter().map(|sequence| sequence.0).collect(),
            newest_intact: report.newest_intact().map(|sequence| sequence.0),
            objects: report.objects,
            read_bytes: report.read_bytes,
            unread: report.unread,
            never_read: unread.is_known.then_some(unread.never),
            oldest_reading: unread.oldest,
            error: report.refused.as_ref().map(|error| in_one_line(error)),
            findings: report.findings.iter().map(|finding| FindingView::new(&report.place, finding)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_named_by_number() {
        let name = |numbers: &[u64]| checkpoints(&numbers.iter().copied().map(Sequence).collect::<Vec<_>>());
        assert_eq!(name(&[7]), "checkpoint 7");
        assert_eq!(name(&[1, 2, 3, 4, 7]), "checkpoints 1 to 4 and 7");
    }
}
