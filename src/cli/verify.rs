//! `ckpt verify`: proves that checkpoints are what was committed.

use std::ffi::OsString;

use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::progress::Unit;
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words::counted;
use crate::id::Sequence;
use crate::ops::finding::{Finding, Severity};
use crate::ops::verify::{Depth, Report, verify};
use crate::units::Bytes;

/// Prove that checkpoints are what was committed
///
/// Checks every manifest, the chain between them, that every object is there,
/// and the SHA-256 of every byte. With a store as TARGET that is done for all
/// its checkpoints, each object once. Goes on to the end whatever it finds;
/// docs/findings.md explains each code. Exit code 0 means intact, 1 that
/// something is damaged.
///
/// Examples:
///   ckpt verify checkpoints/clicks
///   ckpt verify checkpoints/clicks@latest --deep
///   ckpt verify checkpoints/* --quick --quiet || mail -s 'checkpoints damaged' ops
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Stores, checkpoint directories inside them, or STORE@REF, where REF is a number, `latest`, `latest~2` or a time
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<OsString>,

    /// Look only whether every object is there with its size; read no state
    #[arg(long)]
    pub quick: bool,

    /// Read every row too: order, routing, counts and totals
    #[arg(long, conflicts_with = "quick")]
    pub deep: bool,
}

impl Args {
    fn depth(&self) -> Depth {
        match (self.quick, self.deep) {
            (true, _) => Depth::Quick,
            (_, true) => Depth::Deep,
            _ => Depth::Full,
        }
    }
}

/// Verifies each target and prints what was found.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let mut views = Vec::new();
    let mut intact = true;
    for text in &args.targets {
        let target = Target::parse(text)?;
        let store = target.open()?;
        let only = target.reference.as_ref().map(|_| target.sequence(&store, &ui.now())).transpose()?;
        let reports = verify(&store, only, args.depth(), &ui.progress("verifying", Unit::Bytes))?;
        for report in reports {
            intact &= report.is_intact();
            if ui.is_json() {
                views.push(ReportView::new(&text.to_string_lossy(), &report));
            } else {
                show(&report, args.targets.len() > 1, ui)?;
            }
        }
    }
    if ui.is_json() {
        ui.json(&VerifyView { version: 1, intact, targets: views })?;
    }
    Ok(if intact { Exit::Clean } else { Exit::No })
}

fn show(report: &Report, with_place: bool, ui: &mut Ui) -> Result<(), CliError> {
    let place = if with_place { format!("{}: ", report.place) } else { String::new() };
    for finding in &report.findings {
        ui.out(format!("{place}{}: {}: `{}`", finding.severity().as_str(), finding.code, finding.path))?;
        ui.out(format!("  expected {}", finding.expected))?;
        ui.out(format!("  found {}", finding.found))?;
        if let Some(checkpoints) = checkpoints(&finding.checkpoints) {
            ui.out(format!("  concerns {checkpoints}"))?;
        }
        ui.out(format!("  next: {}", finding.code.next_step()))?;
    }
    ui.out(format!("{place}{}", verdict(report)))
}

/// Returns the closing line.
fn verdict(report: &Report) -> String {
    let looked = format!(
        "{}, {}, {} read",
        counted(report.checkpoints.len() as u64, "checkpoint"),
        counted(report.objects, "object"),
        Bytes(report.read_bytes)
    );
    if report.is_intact() {
        return format!("intact: {looked}");
    }
    let damaged: Vec<Sequence> = report.damaged().into_iter().collect();
    let damaged = checkpoints(&damaged).unwrap_or_else(|| "no checkpoint".to_owned());
    let newest = match report.newest_intact() {
        Some(sequence) => format!("newest intact: {}", sequence.0),
        None => "none is intact".to_owned(),
    };
    format!("NOT intact: {damaged} damaged; {newest}; {looked}")
}

/// Names checkpoints, runs of numbers as a range: `checkpoints 1 to 4 and 7`.
fn checkpoints(sequences: &[Sequence]) -> Option<String> {
    let ranges = sequences.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0)).filter_map(|run| match run {
        [] => None,
        [one] => Some(one.0.to_string()),
        [first, second] => Some(format!("{}, {}", first.0, second.0)),
        [first, .., last] => Some(format!("{} to {}", first.0, last.0)),
    });
    let ranges: Vec<String> = ranges.collect();
    let noun = if sequences.len() == 1 { "checkpoint" } else { "checkpoints" };
    (!ranges.is_empty()).then(|| format!("{noun} {}", ranges.join(", ")))
}

#[derive(Debug, Serialize)]
struct VerifyView {
    version: u32,
    intact: bool,
    targets: Vec<ReportView>,
}

#[derive(Debug, Serialize)]
struct ReportView {
    target: String,
    store: String,
    intact: bool,
    checkpoints: Vec<u64>,
    damaged: Vec<u64>,
    newest_intact: Option<u64>,
    objects: u64,
    read_bytes: u64,
    findings: Vec<FindingView>,
}

#[derive(Debug, Serialize)]
struct FindingView {
    code: &'static str,
    severity: &'static str,
    path: String,
    expected: String,
    found: String,
    checkpoints: Vec<u64>,
    next_step: &'static str,
}

impl ReportView {
    fn new(target: &str, report: &Report) -> ReportView {
        ReportView {
            target: target.to_owned(),
            store: report.place.clone(),
            intact: report.is_intact(),
            checkpoints: report.checkpoints.iter().map(|sequence| sequence.0).collect(),
            damaged: report.damaged().iter().map(|sequence| sequence.0).collect(),
            newest_intact: report.newest_intact().map(|sequence| sequence.0),
            objects: report.objects,
            read_bytes: report.read_bytes,
            findings: report.findings.iter().map(FindingView::new).collect(),
        }
    }
}

impl FindingView {
    fn new(finding: &Finding) -> FindingView {
        let severity: Severity = finding.severity();
        FindingView {
            code: finding.code.as_str(),
            severity: severity.as_str(),
            path: finding.path.clone(),
            expected: finding.expected.clone(),
            found: finding.found.clone(),
            checkpoints: finding.checkpoints.iter().map(|sequence| sequence.0).collect(),
            next_step: finding.code.next_step(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_named_in_runs() {
        let name = |numbers: &[u64]| {
            checkpoints(&numbers.iter().map(|number| Sequence(*number)).collect::<Vec<_>>()).unwrap_or_default()
        };
        assert_eq!(name(&[]), "");
        assert_eq!(name(&[7]), "checkpoint 7");
        assert_eq!(name(&[1, 2, 3, 4, 7, 9, 10]), "checkpoints 1 to 4, 7, 9, 10");
        assert_eq!(name(&[u64::MAX - 1, u64::MAX]), format!("checkpoints {}, {}", u64::MAX - 1, u64::MAX));
    }
}
