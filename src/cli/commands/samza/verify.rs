//! `ckpt samza verify`: checks that what Samza wrote is whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use super::finding::{FindingView, RefusedView};
use super::open::{BrokerArgs, PATH_HELP, open};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::VERSION;
use crate::cli::progress::Unit;
use crate::cli::text::counted;
use crate::cli::ui::Ui;
use crate::ops::samza::blobs::BlobMap;
use crate::ops::samza::verify::{Options, Report, verify};
use crate::values::units::Bytes;

/// Check that checkpoints of Samza are whole
///
/// Checks that every checkpoint file and message can be read, the CRC-32 of the
/// offset files of local stores, and for each snapshot in a blob store the
/// presence, size and CRC-32 of every file, in subdirectories too, whatever its
/// size. If the checkpoint topic or a dump of it is among the paths, also checks
/// that the snapshots exist that its checkpoints name. docs/findings.md explains each
/// finding. The exit code is 0 if everything is intact, 1 if something is damaged,
/// 4 if the system refuses to read a file, and 10 if there is nothing of Samza.
///
/// The id of a blob is the path of a file, or its end. If the blob store has other
/// ids, --blobs names a JSON file with the file of each, `{"ID": "PATH"}`.
///
/// Examples:
///   ckpt samza verify samza/checkpoints
///   ckpt samza verify samza/blobs samza/topic.jsonl --quick
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(required = true, value_name = "PATH", help = PATH_HELP)]
    pub paths: Vec<PathBuf>,

    /// Check only that every blob exists and has the right size
    #[arg(long)]
    pub quick: bool,

    /// A JSON file with the file of each blob id; relative paths start at its directory
    #[arg(long, value_name = "FILE")]
    pub blobs: Option<PathBuf>,

    #[command(flatten)]
    pub brokers: BrokerArgs,
}

/// Verifies the paths and prints the findings.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let blobs = args.blobs.as_deref().map(read_map).transpose()?;
    let found = open(&args.paths, &args.brokers)?;
    let options = Options { quick: args.quick, blobs: blobs.as_ref() };
    let report = verify(&found, options, &ui.progress("verifying", Unit::Bytes));
    if ui.is_json() {
        ui.json(&View::new(&report))?;
    } else {
        show(&report, ui)?;
    }
    for (path, reason) in &report.refused {
        ui.error(&CliError::new(Exit::Failed, format!("cannot read `{path}`")).cause(reason));
    }
    Ok(match (report.is_damaged(), report.refused.is_empty()) {
        (true, _) => Exit::No,
        (false, false) => Exit::Failed,
        (false, true) => Exit::Clean,
    })
}

/// Reads the file that says which file each blob is.
fn read_map(path: &Path) -> Result<BlobMap, CliError> {
    let bytes = fs::read(path).map_err(|error| CliError::io("read", path, &error))?;
    let map: BTreeMap<String, PathBuf> = serde_json::from_slice(&bytes).map_err(|error| {
        CliError::usage(format!("`{}` is not a JSON object of paths by blob id", path.display())).caused_by(&error)
    })?;
    let directory = path.parent().unwrap_or(Path::new(""));
    Ok(map.into_iter().map(|(id, path)| (id, directory.join(path))).collect())
}

fn show(report: &Report, ui: &mut Ui) -> Result<(), CliError> {
    for finding in &report.findings {
        ui.out(format!("{}: {}: `{}`", finding.code.severity().as_str(), finding.code, finding.path))?;
        ui.out(format!("  expected {}", finding.expected))?;
        ui.out(format!("  found {}", finding.found))?;
        if let Some(task) = &finding.task {
            ui.out(format!("  affects task `{task}`"))?;
        }
        ui.out(format!("  next: {}", finding.code.next_step()))?;
    }
    let verdict = match (report.is_intact(), report.is_damaged()) {
        (true, _) => "intact",
        (_, true) => "NOT intact",
        _ => "NOT verified: a file cannot be read",
    };
    ui.out(format!("{verdict}: {}", scope(report)))?;
    if report.unchecked_markers > 0 {
        let snapshots = counted(report.unchecked_markers, "snapshot");
        ui.note(format!("{snapshots} in a blob store not checked: add the path of the blob store"));
    }
    Ok(())
}

/// Says how much was verified.
fn scope(report: &Report) -> String {
    let parts = [
        (report.checkpoints, "checkpoint"),
        (report.stores, "local store"),
        (report.snapshots, "snapshot"),
        (report.blobs, "blob"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, noun)| counted(*count, noun));
    parts.chain([format!("{} read", Bytes(report.read_bytes))]).collect::<Vec<_>>().join(", ")
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct View<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    intact: bool,
    checkpoints: u64,
    stores: u64,
    snapshots: u64,
    blobs: u64,
    /// Snapshots that a checkpoint names, in a blob store that was not given.
    unchecked_snapshots: u64,
    read_bytes: u64,
    findings: Vec<FindingView<'a>>,
    refused: Vec<RefusedView<'a>>,
}

impl<'a> View<'a> {
    fn new(report: &'a Report) -> View<'a> {
        View {
            version: VERSION,
            intact: report.is_intact(),
            checkpoints: report.checkpoints,
            stores: report.stores,
            snapshots: report.snapshots,
            blobs: report.blobs,
            unchecked_snapshots: report.unchecked_markers,
            read_bytes: report.read_bytes,
            findings: report.findings.iter().map(FindingView::from).collect(),
            refused: report.refused.iter().map(RefusedView::from).collect(),
        }
    }
}
