//! The report on one replica of a target.

use serde::Serialize;

use super::finding::{FindingView, loss};
use super::outcome::RepairView;
use crate::cli::error::CliError;
use crate::cli::text::{counted, ranges};
use crate::cli::ui::Ui;
use crate::ops::finding::FindingCode;
use crate::ops::verify::Report;
use crate::values::id::Sequence;
use crate::values::units::Bytes;

/// Prints the findings in one replica, and the verdict.
pub(super) fn show(report: &Report, with_place: bool, ui: &mut Ui) -> Result<(), CliError> {
    let place = if with_place { format!("{}: ", report.place) } else { String::new() };
    for finding in &report.findings {
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
    ui.out(format!("{place}{}", verdict(report)))
}

/// Returns the last line.
fn verdict(report: &Report) -> String {
    let mut scope = format!(
        "{}, {}, {} read",
        counted(report.checkpoints.len() as u64, "checkpoint"),
        counted(report.objects, "object"),
        Bytes(report.read_bytes)
    );
    if report.findings.iter().any(|finding| finding.code == FindingCode::ReplicaUnavailable) {
        return "NOT verified: unavailable".to_owned();
    }
    if report.checkpoints.is_empty() {
        return "nothing to verify: there is no checkpoint".to_owned();
    }
    if report.unread > 0 && report.read_bytes > 0 {
        scope += &format!(", {} not read", counted(report.unread, "object"));
    }
    if report.is_intact() {
        return format!("intact: {scope}");
    }
    let damaged: Vec<Sequence> = report.damaged().into_iter().collect();
    let damaged = if damaged.is_empty() { "no checkpoint".to_owned() } else { checkpoints(&damaged) };
    let newest = match report.newest_intact() {
        Some(sequence) => format!("newest intact: {}", sequence.0),
        None => "none is intact".to_owned(),
    };
    format!("NOT intact: {damaged} damaged; {newest}; {scope}")
}

/// Names checkpoints by number: `checkpoints 1 to 4 and 7`.
fn checkpoints(sequences: &[Sequence]) -> String {
    let numbers: Vec<u64> = sequences.iter().map(|sequence| sequence.0).collect();
    format!("checkpoint{} {}", if numbers.len() == 1 { "" } else { "s" }, ranges(&numbers))
}

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct VerifyView {
    pub(super) version: u32,
    pub(super) intact: bool,
    pub(super) targets: Vec<ReportView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repair: Option<RepairView>,
}

/// The report on one replica of a target.
#[derive(Debug, Serialize)]
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
    findings: Vec<FindingView>,
}

impl ReportView {
    /// Makes the view for `target`, as it was given.
    pub(super) fn new(target: &str, report: &Report) -> ReportView {
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
