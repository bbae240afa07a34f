//! `ckpt samza diff`: shows what differs between checkpoints of Samza.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::open::{BrokerArgs, PATH_HELP, open, parse_version, warn_of_unreadable};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::VERSION;
use crate::cli::table::{Column, Table};
use crate::cli::text::{counted, or_dash};
use crate::cli::ui::Ui;
use crate::ops::samza::diff::{Difference, Subject, differences};
use crate::ops::samza::found::Found;
use crate::samza::checkpoint::Version;

/// Show what differs between checkpoints of Samza
///
/// Compares the offsets of inputs, the state markers, and the files of the latest
/// snapshots of each task. The exit code is 0 if everything is equal, 1 if
/// something differs, 10 if there is nothing of Samza, and 12 if a file cannot be
/// read.
///
/// With a file of offsets for `checkpoint-tool.sh`, only the tasks that it names
/// are compared: this shows what the tool would change.
///
/// Examples:
///   ckpt samza diff yesterday/checkpoints samza/checkpoints
///   ckpt samza diff yesterday/topic.jsonl samza/topic.jsonl --read-version 2
///   ckpt samza diff samza/topic.jsonl offsets.properties
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(value_name = "A", help = PATH_HELP)]
    pub old: PathBuf,

    /// What to compare with A
    #[arg(value_name = "B")]
    pub new: PathBuf,

    /// The version to use where a task has both, as `task.checkpoint.read.versions` of the job says
    #[arg(long, value_name = "1|2", value_parser = parse_version, default_value = "1")]
    pub read_version: Version,

    #[command(flatten)]
    pub brokers: BrokerArgs,
}

/// Compares the two and prints the differences.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let (old, new) = (open_whole(&args.old, args, ui)?, open_whole(&args.new, args, ui)?);
    let differences = differences(&old, &new, args.read_version);
    if ui.is_json() {
        let views = differences.iter().map(DifferenceView::from).collect();
        ui.json(&View { version: VERSION, equal: differences.is_empty(), differences: views })?;
    } else {
        show(&differences, ui)?;
    }
    Ok(if differences.is_empty() { Exit::Clean } else { Exit::No })
}

/// Reads one side. What cannot be read cannot be compared.
fn open_whole(path: &PathBuf, args: &Args, ui: &Ui) -> Result<Found, CliError> {
    let found = open(std::slice::from_ref(path), &args.brokers)?;
    if warn_of_unreadable(&found, ui) {
        let error = CliError::new(Exit::Damaged, format!("cannot compare `{}`: a file cannot be read", path.display()));
        return Err(error.hint("`ckpt samza verify PATH` lists all damage"));
    }
    Ok(found)
}

fn show(differences: &[Difference], ui: &mut Ui) -> Result<(), CliError> {
    if differences.is_empty() {
        return ui.out("equal");
    }
    let mut table = Table::new([
        Column::name("TASK"),
        Column::name("WHAT"),
        Column::name("A"),
        Column::name("B"),
        Column::number("CHANGE"),
    ]);
    for difference in differences {
        table.row([
            difference.task.clone(),
            what(&difference.subject),
            or_dash(difference.old.as_ref()),
            or_dash(difference.new.as_ref()),
            change(difference).map_or_else(String::new, |change| format!("{change:+}")),
        ]);
    }
    ui.table(&table)?;
    ui.out(counted(differences.len() as u64, "difference"))
}

fn what(subject: &Subject) -> String {
    match subject {
        Subject::Input(partition) => format!("input {partition}"),
        Subject::State(store) => format!("state {store}"),
        Subject::SnapshotFile { store, path } => format!("file {store}/{path}"),
        Subject::Checkpoint => "checkpoint".to_owned(),
    }
}

/// Returns by how much a number grew.
fn change(difference: &Difference) -> Option<i128> {
    let number = |text: &Option<String>| text.as_ref()?.parse::<i64>().ok().map(i128::from);
    Some(number(&difference.new)? - number(&difference.old)?)
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct View<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    equal: bool,
    differences: Vec<DifferenceView<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct DifferenceView<'a> {
    task: &'a str,
    /// `input`, `state`, `file` or `checkpoint`.
    kind: &'static str,
    /// The partition, the store or changelog, or the file.
    name: String,
    a: Option<&'a str>,
    b: Option<&'a str>,
}

impl<'a> From<&'a Difference> for DifferenceView<'a> {
    fn from(difference: &'a Difference) -> DifferenceView<'a> {
        let (kind, name) = match &difference.subject {
            Subject::Input(partition) => ("input", partition.clone()),
            Subject::State(store) => ("state", store.clone()),
            Subject::SnapshotFile { store, path } => ("file", format!("{store}/{path}")),
            Subject::Checkpoint => ("checkpoint", String::new()),
        };
        let Difference { task, old, new, .. } = difference;
        DifferenceView { task, kind, name, a: old.as_deref(), b: new.as_deref() }
    }
}
