//! `ckpt verify`: proves that checkpoints are what was committed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cli::commands::verify::memory::Memory;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::progress::Unit;
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words::{self, counted};
use crate::ops::finding::{Finding, FindingCode, Lost, Severity};
use crate::ops::repair::{self, Origin, RepairPlan, Step};
use crate::ops::verify::{Choice, Depth, Options, Report, Sample, verify_with};
use crate::store::Store;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units;
use crate::values::units::Bytes;

mod memory;

/// Prove that checkpoints are what was committed
///
/// Checks every manifest, the chain between them, that every object is there,
/// and the SHA-256 of every byte, in the store and in all its replicas. With a
/// store as TARGET that is done for all its checkpoints, each object once. Goes
/// on to the end whatever it finds; docs/findings.md explains each code. Exit
/// code 0 means intact, 1 that something is damaged, 3 that all there is is
/// intact, but a replica is behind or not there, 10 that there is no checkpoint.
///
/// --repair puts good copies in the place of what is damaged or missing, from
/// whichever replica has one, and moves what was there into damaged/. Nothing
/// that is intact is touched, and the job may be running.
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
    /// Stores, checkpoint directories inside them, or STORE@REF, where REF is a number, `latest`, `latest~2` or a time
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<OsString>,

    /// Look only whether every object is there with its size; read no state
    #[arg(long)]
    pub quick: bool,

    /// Read every row too: order, routing, counts and totals
    #[arg(long, conflicts_with = "quick")]
    pub deep: bool,

    /// Read only one Nth of the objects, another each day
    #[arg(long, value_name = "1/N", value_parser = parts, conflicts_with_all = ["quick", "deep"])]
    pub sample: Option<u64>,

    /// Begin to read no more objects after this time (`10m`); the next time goes on with what was not read for longest
    #[arg(long = "for", value_name = "TIME", value_parser = duration, requires = "state",
        conflicts_with_all = ["quick", "deep", "sample"])]
    pub time: Option<Duration>,

    /// Where --for keeps when each object was read: a file outside the store
    #[arg(long, value_name = "FILE", requires = "time")]
    pub state: Option<PathBuf>,

    /// A replica that the store does not know; may be repeated
    #[arg(long, value_name = "DIR")]
    pub replica: Vec<PathBuf>,

    /// Heal what a good copy can heal
    #[arg(long)]
    pub repair: bool,

    /// With --repair: say what would be healed, and do nothing
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

/// Reads `1/7`.
fn parts(text: &str) -> Result<u64, String> {
    let parts = text.strip_prefix("1/").and_then(|parts| parts.parse().ok());
    parts.filter(|parts| (1..=MOST_PARTS).contains(parts)).ok_or_else(|| format!("expected 1/2 to 1/{MOST_PARTS}"))
}

const MOST_PARTS: u64 = 366;

fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| error.to_string())
}

/// Verifies each target, prints what was found, and heals it when asked.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let begun = Instant::now();
    if args.time.is_some() && args.targets.len() > 1 {
        return Err(CliError::usage("`--for` verifies one store at a time, each with a state file of its own"));
    }
    let mut memory = args.state.as_deref().map(Memory::load).transpose()?;
    let mut outcome = Outcome::default();
    let mut views = Vec::new();
    for text in &args.targets {
        let target = Target::parse(text)?;
        let store = target.open_with(&args.replica, ui)?;
        let only = target.reference.as_ref().map(|_| target.sequence(&store, &ui.now())).transpose()?;
        let seen = memory.as_ref().map(|memory| memory.seen(&store)).unwrap_or_default();
        let enough = || args.time.is_some_and(|time| begun.elapsed() >= time);
        let choice = match (args.sample, args.time) {
            (Some(parts), _) => Choice::Sample(Sample { parts, day: day(ui) }),
            (None, Some(_)) => Choice::Turn { read_times: &seen, enough: &enough },
            (None, None) => Choice::All,
        };
        let options = Options { only, depth: args.depth(), choice };
        let reports = verify_with(&store, &options, &ui.progress("verifying", Unit::Bytes))?;
        if let Some(memory) = &mut memory {
            memory.note(&reports, ui.now().timestamp());
        }
        let with_place = args.targets.len() > 1 || reports.len() > 1;
        for report in &reports {
            outcome.intact &= report.is_intact();
            outcome.empty &= report.checkpoints.is_empty();
            outcome.complete &= report.is_complete();
            match ui.is_json() {
                true => views.push(ReportView::new(&text.to_string_lossy(), report)),
                false => show(report, with_place, ui)?,
            }
        }
        if args.repair {
            repair_store(args, &store, &reports, &mut outcome, ui)?;
        } else if !ui.is_json() && reports.iter().flat_map(|report| &report.findings).any(|f| f.good_copy.is_some()) {
            ui.note("there are good copies: `ckpt verify --repair` heals what they can heal");
        }
    }
    if let (Some(memory), Some(path)) = (&memory, &args.state) {
        memory.save(path)?;
    }
    if ui.is_json() {
        ui.json(&VerifyView { version: 1, intact: outcome.intact, targets: views, repair: outcome.repair.clone() })?;
    }
    Ok(outcome.exit(args))
}

/// Returns the day, in days since 1970-01-01 UTC.
fn day(ui: &Ui) -> u64 {
    u64::try_from(ui.now().timestamp().as_second().div_euclid(86_400)).unwrap_or(0)
}

/// What all targets together come to.
struct Outcome {
    intact: bool,
    /// Whether there was no checkpoint at all: then nothing was proven.
    empty: bool,
    complete: bool,
    /// Whether all that was damaged is healed.
    healed: bool,
    repair: Option<RepairView>,
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome { intact: true, empty: true, complete: true, healed: true, repair: None }
    }
}

impl Outcome {
    fn exit(&self, args: &Args) -> Exit {
        let is_whole = self.intact || (args.repair && !args.dry_run && self.healed);
        match (is_whole, self.complete) {
            (false, _) => Exit::No,
            _ if self.empty => Exit::NotFound,
            (true, false) => Exit::Incomplete,
            (true, true) => Exit::Clean,
        }
    }
}

/// Plans the repair of a store, carries it out unless it is a dry run, and says what became of it.
fn repair_store(
    args: &Args,
    store: &Store,
    reports: &[Report],
    outcome: &mut Outcome,
    ui: &mut Ui,
) -> Result<(), CliError> {
    // No prune must remove meanwhile what is about to be written.
    let holder = words::holder("`ckpt verify --repair`", &ui.now());
    let _lock = if args.dry_run { None } else { Some(store.lock_prune(&holder)?) };
    let plan = repair::plan(store, reports);
    let outcomes = match args.dry_run {
        true => Vec::new(),
        false => repair::apply(store, &plan, &ui.progress("repairing", Unit::Bytes)),
    };
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    outcome.healed &= plan.hopeless.is_empty() && failed == 0;
    // What was only behind is not behind any more.
    let is_there = |report: &Report| report.findings.iter().all(|f| f.code != FindingCode::ReplicaUnavailable);
    outcome.complete |= !args.dry_run && outcome.healed && reports.iter().all(is_there);
    let view = outcome.repair.get_or_insert_with(|| RepairView { dry_run: args.dry_run, ..RepairView::default() });
    view.add(&plan, &outcomes);
    if ui.is_json() {
        return Ok(());
    }
    let from = |step: &Step| match &step.origin {
        Origin::Copy(place) => format!("from `{place}`"),
        Origin::Made => "from the manifest and the index".to_owned(),
    };
    for step in plan.steps.iter().filter(|_| args.dry_run) {
        ui.out(format!("would heal `{}/{}` {}", step.place, step.path, from(step)))?;
    }
    for repair::Outcome { step, result } in &outcomes {
        match result {
            Ok(()) => ui.out(format!("healed `{}/{}` {}", step.place, step.path, from(step)))?,
            Err(error) => {
                ui.out(format!("could NOT heal `{}/{}`: {}", step.place, step.path, in_one_line(error)))?;
            }
        }
    }
    for (place, finding) in &plan.hopeless {
        ui.out(format!("can NOT be healed: {}: `{place}/{}`", finding.code, finding.path))?;
    }
    let (done, would) = match args.dry_run {
        true => (plan.steps.len(), "would be healed"),
        false => (outcomes.len() - failed, "were healed"),
    };
    let left = plan.hopeless.len() + failed;
    ui.out(format!("{done} {would}, {left} can not be"))
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
        if let Some(lost) = &finding.lost {
            ui.out(format!("  {}", loss(finding, lost)))?;
        }
        match &finding.good_copy {
            Some(place) => ui.out(format!("  a good copy is in `{place}`"))?,
            None => ui.out(format!("  next: {}", finding.code.next_step()))?,
        }
    }
    ui.out(format!("{place}{}", verdict(report)))
}

/// Says what is lost with a file, and since when.
fn loss(finding: &Finding, lost: &Lost) -> String {
    let here = if finding.good_copy.is_some() { "in this replica" } else { "lost" };
    let since = finding.checkpoints.first().map(|first| format!(", since checkpoint {}", first.0)).unwrap_or_default();
    match lost {
        Lost::State => format!("{here}: the state, all of it{since}"),
        Lost::Positions => format!("{here}: the positions in the input{since}"),
        Lost::Definition => format!("{here}: the definition of the job{since}"),
        Lost::Rows { first_task, last_task, rows, smallest_key, largest_key } => {
            let tasks = match first_task == last_task {
                true => format!("task {first_task}"),
                false => format!("tasks {first_task} to {last_task}"),
            };
            let shorten = |key: &str| key.chars().take(40).collect::<String>();
            let keys = format!("keys {:?} to {:?}", shorten(smallest_key), shorten(largest_key));
            format!("{here}: {} of {tasks}, {keys}{since}", counted(*rows, "row"))
        }
    }
}

/// Returns the closing line.
fn verdict(report: &Report) -> String {
    let mut looked = format!(
        "{}, {}, {} read",
        counted(report.checkpoints.len() as u64, "checkpoint"),
        counted(report.objects, "object"),
        Bytes(report.read_bytes)
    );
    if report.findings.iter().any(|finding| finding.code == FindingCode::ReplicaUnavailable) {
        return "NOT verified: it can not be looked at".to_owned();
    }
    if report.checkpoints.is_empty() {
        return "nothing verified: there is no checkpoint".to_owned();
    }
    if report.unread > 0 && report.read_bytes > 0 {
        looked += &format!(", {} only looked for", counted(report.unread, "object"));
    }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<RepairView>,
}

/// What `--repair` did, or would do.
#[derive(Debug, Clone, Default, Serialize)]
struct RepairView {
    dry_run: bool,
    steps: Vec<StepView>,
    hopeless: Vec<HopelessView>,
}

#[derive(Debug, Clone, Serialize)]
struct StepView {
    store: String,
    path: String,
    /// The replica with the good copy; nothing when the file follows from others.
    from: Option<String>,
    bytes: u64,
    done: bool,
    error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct HopelessView {
    store: String,
    code: &'static str,
    path: String,
}

impl RepairView {
    fn add(&mut self, plan: &RepairPlan, outcomes: &[repair::Outcome]) {
        for (number, step) in plan.steps.iter().enumerate() {
            let result = outcomes.get(number).map(|outcome| &outcome.result);
            self.steps.push(StepView {
                store: step.place.clone(),
                path: step.path.to_string(),
                from: match &step.origin {
                    Origin::Copy(place) => Some(place.clone()),
                    Origin::Made => None,
                },
                bytes: step.bytes,
                done: matches!(result, Some(Ok(()))),
                error: result.and_then(|result| result.as_ref().err()).map(|error| in_one_line(error)),
            });
        }
        self.hopeless.extend(plan.hopeless.iter().map(|(place, finding)| HopelessView {
            store: place.clone(),
            code: finding.code.as_str(),
            path: finding.path.clone(),
        }));
    }
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
    /// Objects that were only looked for.
    unread: u64,
    findings: Vec<FindingView>,
}

#[derive(Debug, Serialize)]
struct FindingView {
    code: &'static str,
    severity: &'static str,
    /// The replica.
    store: String,
    path: String,
    expected: String,
    found: String,
    checkpoints: Vec<u64>,
    /// The first checkpoint that it concerns.
    since: Option<u64>,
    lost: Option<LostView>,
    good_copy: Option<String>,
    next_step: &'static str,
}

/// What is lost: `state`, `positions`, `definition`, or `rows` with what they are.
#[derive(Debug, Serialize)]
struct LostView {
    what: &'static str,
    #[serde(flatten)]
    rows: Option<RowsView>,
}

#[derive(Debug, Serialize)]
struct RowsView {
    first_task: u32,
    last_task: u32,
    rows: u64,
    smallest_key: String,
    largest_key: String,
}

impl LostView {
    fn new(lost: &Lost) -> LostView {
        let plain = |what| LostView { what, rows: None };
        match lost {
            Lost::State => plain("state"),
            Lost::Positions => plain("positions"),
            Lost::Definition => plain("definition"),
            Lost::Rows { first_task, last_task, rows, smallest_key, largest_key } => LostView {
                what: "rows",
                rows: Some(RowsView {
                    first_task: *first_task,
                    last_task: *last_task,
                    rows: *rows,
                    smallest_key: smallest_key.clone(),
                    largest_key: largest_key.clone(),
                }),
            },
        }
    }
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
            unread: report.unread,
            findings: report.findings.iter().map(|finding| FindingView::new(&report.place, finding)).collect(),
        }
    }
}

impl FindingView {
    fn new(place: &str, finding: &Finding) -> FindingView {
        let severity: Severity = finding.severity();
        FindingView {
            code: finding.code.as_str(),
            severity: severity.as_str(),
            store: place.to_owned(),
            path: finding.path.clone(),
            expected: finding.expected.clone(),
            found: finding.found.clone(),
            checkpoints: finding.checkpoints.iter().map(|sequence| sequence.0).collect(),
            since: finding.checkpoints.first().map(|first| first.0),
            lost: finding.lost.as_ref().map(LostView::new),
            good_copy: finding.good_copy.clone(),
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
