//! `ckpt verify`: checks that checkpoints are intact.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use schemars::SchemaGenerator;

use crate::cli::args::{TARGETS_HELP, TargetArg};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json_schema::Document;
use crate::cli::progress::Unit;
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::ops::verify::{Choice, Depth, Options, Report, Sample, verify_with};
use crate::store::Store;
use crate::values::units;

mod finding;
mod metrics;
mod outcome;
mod read_times;
mod repair;
mod report;

use metrics::Metrics;
use outcome::Outcome;
use read_times::ReadTimesFile;

/// Check that checkpoints are intact
///
/// Checks every manifest, the chain between them, and the presence and SHA-256
/// of every object, in the store and all its replicas. If TARGET is a store, all
/// its checkpoints are checked, each object once. Verification continues after
/// damage is found; docs/findings.md explains each finding. The exit code is 0 if
/// everything is intact, 1 if something is damaged, 3 if everything is intact but
/// a replica is behind or unavailable, 4 if the system refuses to read a file,
/// and 10 if there is no checkpoint. If several targets are named, each of them
/// is checked, and the exit code is the worst.
///
/// --repair replaces damaged and missing files with good copies from any replica,
/// and moves the damaged files into damaged/. Intact files are not touched. The
/// job may be running.
///
/// Examples:
///   ckpt verify checkpoints/clicks
///   ckpt verify checkpoints/clicks@latest --deep
///   ckpt verify checkpoints/* --quick --quiet || mail -s 'checkpoints damaged' ops
///   ckpt verify checkpoints/clicks --sample 1/7
///   ckpt verify checkpoints/clicks --for 10m --state /var/lib/clicks-verified.json
///   ckpt verify checkpoints/clicks --repair --dry-run
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(required = true, value_name = "TARGET", help = TARGETS_HELP)]
    pub targets: Vec<TargetArg>,

    /// List the leftovers of runs that were cut short one by one, instead of counting them
    #[arg(long, short)]
    pub verbose: bool,

    /// Check only that every object exists and has the right size
    #[arg(long)]
    pub quick: bool,

    /// Also read every row: order, routing, counts and totals
    #[arg(long, conflicts_with = "quick")]
    pub deep: bool,

    /// Read only one Nth of the objects, a different part each day
    #[arg(long, value_name = "1/N", value_parser = parts, conflicts_with_all = ["quick", "deep"])]
    pub sample: Option<u64>,

    /// Stop starting new reads after this time, such as `10m`; next time, start with the objects unread for longest
    #[arg(long = "for", value_name = "TIME", value_parser = duration, requires = "state",
        conflicts_with_all = ["quick", "deep", "sample"])]
    pub time: Option<Duration>,

    /// The file where --for records when each object was read; must be outside the store
    #[arg(long, value_name = "FILE", requires = "time")]
    pub state: Option<PathBuf>,

    /// Also check a replica that the store does not know; can be repeated
    #[arg(long, value_name = "DIR")]
    pub replica: Vec<PathBuf>,

    /// Replace damaged files with good copies
    #[arg(long)]
    pub repair: bool,

    /// Write what was found as metrics to this file, for the textfile collector of Prometheus's node exporter
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,

    /// With --repair: show what would be repaired, without repairing it
    #[arg(long, requires = "repair")]
    pub dry_run: bool,
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

/// Parses a fraction such as `1/7`.
fn parts(text: &str) -> Result<u64, String> {
    let parts = text.strip_prefix("1/").and_then(|parts| parts.parse().ok());
    parts.filter(|parts| (1..=MAX_PARTS).contains(parts)).ok_or_else(|| format!("expected 1/2 to 1/{MAX_PARTS}"))
}

const MAX_PARTS: u64 = 366;

fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| error.to_string())
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<outcome::VerifyView>];

/// Verifies each target, prints the findings, and repairs them if asked.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let begun = Instant::now();
    if args.time.is_some() && args.targets.len() > 1 {
        return Err(CliError::usage("`--for` verifies one store at a time, each with its own state file"));
    }
    let mut read_times = args.state.as_deref().map(ReadTimesFile::load).transpose()?;
    // A mistake in any argument is reported before anything is read.
    let targets: Vec<Target> = args.targets.iter().map(TargetArg::parse).collect::<Result<_, _>>()?;
    let mut outcome = Outcome::default();
    let metrics = Metrics::default();
    for (given, target) in args.targets.iter().zip(&targets) {
        let name = given.as_ref().to_string_lossy();
        let done = verify(args, target, begun, read_times.as_mut(), ui).and_then(|(store, reports)| {
            reports.iter().for_each(|report| metrics.add(report));
            show(args, &name, &store, &reports, read_times.as_ref(), &mut outcome, ui)
        });
        match done {
            // One that is not a store, or cannot be read, does not keep the others from being verified.
            Err(error) if targets.len() > 1 => outcome.fail(&name, error, ui),
            Err(error) => {
                if let Some(path) = &args.metrics_file {
                    metrics.write(error.exit, ui.now().timestamp(), path)?;
                }
                return Err(error);
            }
            Ok(()) => {}
        }
    }
    if let (Some(read_times), Some(path)) = (&read_times, &args.state) {
        read_times.save(path)?;
    }
    let exit = outcome.exit(args.repair && !args.dry_run);
    if let Some(path) = &args.metrics_file {
        metrics.write(exit, ui.now().timestamp(), path)?;
    }
    if ui.is_json() {
        ui.json(&outcome.into_view())?;
    }
    Ok(exit)
}

/// Shows the reports on one target, and repairs it if asked.
fn show(
    args: &Args,
    name: &str,
    store: &Store,
    reports: &[Report],
    read_times: Option<&ReadTimesFile>,
    outcome: &mut Outcome,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let with_place = args.targets.len() > 1 || reports.len() > 1;
    for report in reports {
        let unread = read_times.map(|read_times| read_times.unread(report)).unwrap_or_default();
        outcome.add(name, report, &unread);
        if !ui.is_json() {
            let style = report::Style { with_place, verbose: args.verbose };
            report::show(report, &unread, style, ui)?;
        }
    }
    if let Some(refused) = reports.iter().find_map(|report| report.refused.clone()) {
        let error = CliError::from(refused);
        let error =
            if args.repair { error.hint("nothing was repaired: what cannot be read may be intact") } else { error };
        outcome.fail(name, error, ui);
        return Ok(());
    }
    if args.repair {
        return repair::repair(args.dry_run, store, reports, outcome, ui);
    }
    if !ui.is_json() && reports.iter().flat_map(|report| &report.findings).any(|f| f.good_copy.is_some()) {
        ui.note("good copies exist: `ckpt verify --repair` replaces the damaged files");
    }
    Ok(())
}

/// Verifies one target in all replicas of its store.
fn verify(
    args: &Args,
    target: &Target,
    begun: Instant,
    read_times: Option<&mut ReadTimesFile>,
    ui: &Ui,
) -> Result<(Store, Vec<Report>), CliError> {
    let store = target.open_with(&args.replica, ui)?;
    let seen = read_times.as_ref().map(|read_times| read_times.of_store(&store)).unwrap_or_default();
    let enough = || args.time.is_some_and(|time| begun.elapsed() >= time);
    let choice = match (args.sample, args.time) {
        (Some(parts), _) => Choice::Sample(Sample { parts, day: day(ui) }),
        (None, Some(_)) => Choice::Turn { read_times: &seen, enough: &enough },
        (None, None) => Choice::All,
    };
    let verify = |only| -> Result<Vec<Report>, CliError> {
        let options = Options { only, depth: args.depth(), choice };
        Ok(verify_with(&store, &options, &ui.progress("verifying", Unit::Bytes))?)
    };
    let reports = match &target.reference {
        None => verify(None)?,
        Some(_) => target.read(&store, &ui.now(), |sequence| verify(Some(sequence)))?,
    };
    if let Some(read_times) = read_times {
        read_times.update(&reports, ui.now().timestamp());
    }
    Ok((store, reports))
}

/// Returns the current day, in days since 1970-01-01 UTC.
fn day(ui: &Ui) -> u64 {
    u64::try_from(ui.now().timestamp().as_second().div_euclid(86_400)).unwrap_or(0)
}
