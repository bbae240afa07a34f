//! `ckpt report`: writes a page about a store that can be attached to a ticket.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::args::StoreArg;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::JobHead;
use crate::cli::json_schema::Document;
use crate::cli::progress::Unit;
use crate::cli::replace_file::replace_file;
use crate::cli::ui::Ui;
use crate::ops::report::{Level, Options, Step, report};
use crate::values::units::Bytes;

mod axis;
mod changes;
mod chart;
mod checks;
mod health;
mod input;
mod page;
mod space;
mod state;
mod table;
mod timeline;

use page::Page;

/// Write a page about a store, to look at or to attach to a ticket
///
/// The page says whether the job is healthy and why, and shows the attempts to
/// make a checkpoint, the growth of the state and the store, what pruning would
/// free, the positions in the input, the replicas, the largest and fastest-growing
/// tasks and keys, and what changed between the last checkpoints. It is a single
/// file that loads nothing from elsewhere, so it can be opened anywhere. It shows
/// keys and values from the state, so share it only with people who may see them.
///
/// Reads the state of the newest checkpoint, and what differs in two older ones;
/// --quick reads neither. --verify also checks every byte and shows what it found.
/// The exit code is 1 if the store is known to be damaged; the page is written
/// all the same. The job may be running.
///
/// Examples:
///   ckpt report checkpoints/clicks
///   ckpt report checkpoints/clicks -o ticket-4711.html --verify
///   ckpt report checkpoints/clicks --quick --output - > clicks.html
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: StoreArg,

    /// The file to write, which must not exist; `-` means standard output [default: JOB-report.html]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long, short)]
    pub force: bool,

    /// Do not read the rows of the state: leave out the largest tasks and keys, and what changed
    #[arg(long)]
    pub quick: bool,

    /// Verify the store and its replicas, and show the findings
    #[arg(long)]
    pub verify: bool,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<ReportView>];

/// Writes the page.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let all = args.store.open(ui)?;
    let store = all.branch();
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    let file = args.output.clone().unwrap_or_else(|| PathBuf::from(default_name(&store.file.job)));
    if !to_stdout && !args.force && file.symlink_metadata().is_ok() {
        return Err(exists(&file));
    }
    let options = Options { reads_rows: !args.quick, verifies: args.verify, now: ui.now().timestamp() };
    let report = report(&all, &store, &options, |step| match step {
        Step::Checkpoints => ui.progress("reading", Unit::Count("checkpoints")),
        Step::State => ui.progress("reading the state", Unit::Bytes),
        Step::Changes => ui.progress("comparing", Unit::Bytes),
        Step::Verification => ui.progress("verifying", Unit::Bytes),
    })?;
    let page = Page::new(&store, &report, ui);
    let html = page.html();
    if to_stdout {
        ui.out_bytes(html.as_bytes())?;
    } else {
        write(&file, html.as_bytes(), args.force)?;
        let (level, bytes) = (report.health.level(), html.len() as u64);
        if ui.is_json() {
            ui.json(&ReportView {
                head: JobHead::new(&store),
                file: file.display().to_string(),
                bytes,
                health: health::name(level),
                concerns: page.concerns(),
            })?;
        } else {
            ui.out(format!("wrote {}: {}, {}", file.display(), health::word(level).to_lowercase(), Bytes(bytes)))?;
        }
    }
    Ok(if report.health.level() == Level::Damaged { Exit::No } else { Exit::Clean })
}

/// Returns the name of the file if none is given. A job may have characters in its name that no file name can have.
fn default_name(job: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' };
    format!("{}-report.html", job.chars().take(60).map(safe).collect::<String>())
}

/// Writes the file. Without `force`, a file that was created meanwhile stays as it is.
fn write(file: &Path, bytes: &[u8], force: bool) -> Result<(), CliError> {
    if force {
        return replace_file(file, bytes);
    }
    let mut opened =
        OpenOptions::new().write(true).create_new(true).open(file).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(file),
            _ => CliError::io("create", file, &error),
        })?;
    opened.write_all(bytes).and_then(|()| opened.sync_all()).map_err(|error| {
        // Half a page would look like a page.
        let _ = fs::remove_file(file);
        CliError::io("write", file, &error)
    })
}

fn exists(file: &Path) -> CliError {
    CliError::usage(format!("`{}` exists", file.display()))
        .hint("`--force` replaces it; `--output FILE` names another file")
}

#[derive(Debug, Serialize, JsonSchema)]
struct ReportView {
    #[serde(flatten)]
    head: JobHead,
    file: String,
    bytes: u64,
    #[schemars(extend("enum" = ["good", "attention", "damaged"]))]
    health: &'static str,
    concerns: Vec<String>,
}
