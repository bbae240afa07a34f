//! `ckpt copy`: copies checkpoints to another store.

use std::path::PathBuf;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::args::{TARGETS_HELP, TargetArg};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::DryRunHead;
use crate::cli::json_schema::Document;
use crate::cli::progress::Unit;
use crate::cli::table::{Column, Table};
use crate::cli::text::{self, counted};
use crate::cli::ui::Ui;
use crate::ops::copy::{Copied, CopyError, CopyPlan, Step, apply, plan, target};
use crate::store::{Store, StoreError};
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units::Bytes;

/// Copy checkpoints to another store
///
/// If TARGET is a store, all its checkpoints are copied. The other store is
/// created if it does not exist. It becomes a full store of the same job, and all
/// commands work with it. Only missing objects and checkpoints are written. If it
/// already has a checkpoint with the same number, the two must be identical.
/// Every byte is verified while it is copied. Pins of these checkpoints are
/// copied too; removing one later does not remove its copy.
///
/// If a copy is interrupted, run it again: it continues where it stopped. A
/// damaged checkpoint is skipped with a warning, and the exit code is then 3.
/// What the other store already has is not verified; `ckpt verify` does that.
///
/// Examples:
///   ckpt copy checkpoints/clicks --to /mnt/backup/clicks
///   ckpt copy checkpoints/clicks@latest --to /mnt/backup/clicks --dry-run
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(required = true, value_name = "TARGET", help = TARGETS_HELP)]
    pub targets: Vec<TargetArg>,

    /// The store to copy to
    #[arg(long, value_name = "STORE")]
    pub to: PathBuf,

    /// Show what would be copied, without copying
    #[arg(long)]
    pub dry_run: bool,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<CopyView>];

/// Copies the checkpoints and reports what was copied.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let now = ui.now();
    let (source, sequences, named) = chosen(args, ui)?;
    let plan = plan(&source, &sequences, target(&args.to)?)?;
    let copied = if args.dry_run {
        None
    } else {
        let holder = text::holder("`ckpt copy`", &now);
        Some(apply(&source, &plan, now.timestamp(), &holder, &ui.progress("copying", Unit::Bytes))?)
    };
    let unreadable = unreadable(&plan, copied.as_ref());
    for &sequence in sequences.iter().filter(|sequence| is_removed(**sequence, &plan, copied.as_ref())) {
        if named.contains(&sequence) {
            return Err(StoreError::NoCheckpoint { place: source.place(), sequence }.into());
        }
        ui.note(format!("checkpoint {} was pruned before it was copied", sequence.0));
    }
    if ui.is_json() {
        ui.json(&CopyView::new(&source, &plan, copied.as_ref(), &unreadable))?;
    } else {
        show(&plan, copied.as_ref(), ui)?;
    }
    for (sequence, error) in &unreadable {
        ui.warn(format!("checkpoint {} was not copied: {error}", sequence.0));
    }
    Ok(if unreadable.is_empty() { Exit::Clean } else { Exit::Incomplete })
}

/// Tells whether a checkpoint was neither copied nor found damaged, because it was pruned meanwhile.
fn is_removed(sequence: Sequence, plan: &CopyPlan, copied: Option<&Copied>) -> bool {
    match (plan.steps.get(&sequence), copied) {
        (None, _) => true,
        (Some(Step::Copy { .. }), Some(copied)) => copied.removed.contains(&sequence),
        _ => false,
    }
}

/// Returns the store of the targets, the numbers of their checkpoints, and those that were named one by one.
fn chosen(args: &Args, ui: &Ui) -> Result<(Store, Vec<Sequence>, Vec<Sequence>), CliError> {
    let targets = args.targets.iter().map(TargetArg::parse).collect::<Result<Vec<_>, _>>()?;
    let first = targets.first().ok_or_else(|| CliError::usage("expected a store or a checkpoint"))?;
    if let Some(other) = targets.iter().find(|target| target.store != first.store) {
        let (first, other) = (first.store.display(), other.store.display());
        return Err(CliError::usage(format!("expected checkpoints of one store, found `{first}` and `{other}`"))
            .hint("copy each store separately"));
    }
    let store = first.open_branch(ui)?;
    let (mut sequences, mut named) = (Vec::new(), Vec::new());
    for target in &targets {
        match target.reference {
            None => sequences.extend(store.sequences()?),
            Some(_) => named.push(target.sequence(&store, &ui.now())?),
        }
    }
    sequences.extend_from_slice(&named);
    Ok((store, sequences, named))
}

/// Returns the checkpoints that cannot be copied, with the reasons.
fn unreadable(plan: &CopyPlan, copied: Option<&Copied>) -> Vec<(Sequence, String)> {
    let planned = plan.steps.iter().filter_map(|(sequence, step)| match step {
        Step::Unreadable(error) => Some((*sequence, in_one_line(error))),
        Step::Copy { .. } | Step::Present => None,
    });
    let found = copied.iter().flat_map(|copied| &copied.unreadable);
    let mut all: Vec<_> = planned.chain(found.map(|(sequence, error)| (*sequence, in_one_line(error)))).collect();
    all.sort();
    all
}

fn show(plan: &CopyPlan, copied: Option<&Copied>, ui: &mut Ui) -> Result<(), CliError> {
    let present = plan.steps.values().filter(|step| matches!(step, Step::Present)).count() as u64;
    let (checkpoints, objects, bytes) = match copied {
        Some(copied) => (copied.checkpoints.len() as u64, copied.objects, copied.bytes),
        None => plan.totals(),
    };
    if copied.is_none() {
        let mut table = Table::new([
            Column::number("NUMBER"),
            Column::text("WOULD BE"),
            Column::number("OBJECTS"),
            Column::number("BYTES"),
        ]);
        for (sequence, step) in &plan.steps {
            let number = sequence.0.to_string();
            table.row(match step {
                Step::Copy { missing_objects, missing_bytes, .. } => {
                    let objects = missing_objects.to_string();
                    [number, "copied".to_owned(), objects, Bytes(*missing_bytes).to_string()]
                }
                Step::Present => [number, "skipped: already there".to_owned(), "-".to_owned(), "-".to_owned()],
                Step::Unreadable(_) => [number, "skipped: damaged".to_owned(), "-".to_owned(), "-".to_owned()],
            });
        }
        ui.table(&table)?;
    }
    let verb = if copied.is_some() { "copied" } else { "would copy" };
    let created = if plan.existing.is_none() { ", a new store" } else { "" };
    ui.out(format!(
        "{verb} {} to {}{created}: {}, {}",
        counted(checkpoints, "checkpoint"),
        plan.target.place(),
        counted(objects, "object"),
        Bytes(bytes)
    ))?;
    let pins = copied.map_or(plan.pins.len(), |copied| copied.pins.len()) as u64;
    if pins > 0 {
        ui.note(format!("{verb} {}", counted(pins, "pin")));
    }
    if present > 0 {
        ui.note(format!("{} already there", counted(present, "checkpoint")));
    }
    Ok(())
}

impl From<CopyError> for CliError {
    fn from(error: CopyError) -> CliError {
        match error {
            CopyError::Target { place, source } => {
                let mut inner = CliError::from(*source);
                inner.causes.insert(0, std::mem::replace(&mut inner.message, format!("cannot copy to `{place}`")));
                inner
            }
            CopyError::Source(error) => error.into(),
            CopyError::SourceDiverged(error) => (*error).into(),
            CopyError::OtherStore { .. } | CopyError::Taken { .. } | CopyError::NotADirectory { .. } => {
                CliError::of(Exit::Usage, &error).hint("name a directory that does not exist, or a copy of this store")
            }
            CopyError::InStore { .. } => CliError::of(Exit::Usage, &error).hint("name a directory outside of it"),
            CopyError::Diverged { .. } => CliError::of(Exit::Failed, &error).hint(
                "nothing was copied: two runs have continued from the same store; keep both, and copy to another directory",
            ),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
struct CopyView {
    #[serde(flatten)]
    head: DryRunHead,
    to: String,
    /// Whether the other store is new.
    created: bool,
    checkpoints: Vec<CopiedView>,
    /// Checkpoints that got the pin that they have in the source, or would get it.
    pins: Vec<u64>,
    /// Objects that were written, or would be.
    objects: u64,
    bytes: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct CopiedView {
    sequence: u64,
    #[schemars(extend("enum" = ["copied", "present", "damaged"]))]
    state: &'static str,
    error: Option<String>,
}

impl CopyView {
    fn new(source: &Store, plan: &CopyPlan, copied: Option<&Copied>, unreadable: &[(Sequence, String)]) -> CopyView {
        let (_, objects, bytes) = plan.totals();
        let is_pruned = |sequence| copied.is_some_and(|copied| copied.removed.contains(sequence));
        let steps = plan.steps.iter().filter(|(sequence, _)| !is_pruned(sequence));
        let checkpoints = steps.map(|(sequence, step)| {
            let error = unreadable.iter().find(|(damaged, _)| damaged == sequence).map(|(_, error)| error.clone());
            let state = match (&error, step) {
                (Some(_), _) | (None, Step::Unreadable(_)) => "damaged",
                (None, Step::Copy { .. }) => "copied",
                (None, Step::Present) => "present",
            };
            CopiedView { sequence: sequence.0, state, error }
        });
        let pins: Vec<Sequence> = match copied {
            None => plan.pins.iter().map(|pin| pin.sequence).collect(),
            Some(copied) => copied.pins.clone(),
        };
        CopyView {
            head: DryRunHead::new(source, copied.is_none()),
            to: plan.target.place(),
            created: plan.existing.is_none(),
            checkpoints: checkpoints.collect(),
            pins: pins.iter().map(|sequence| sequence.0).collect(),
            objects: copied.map_or(objects, |copied| copied.objects),
            bytes: copied.map_or(bytes, |copied| copied.bytes),
        }
    }
}
