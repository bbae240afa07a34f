//! `ckpt checkpoint`: ask the running job for a checkpoint.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words;
use crate::store::Store;
use crate::store::records::attempts::AttemptOutcome;
use crate::store::records::requests::Answer;
use crate::values::id::Sequence;
use crate::values::units;
use crate::values::units::{Bytes, Span};

/// Ask the running job for a checkpoint, and wait for it
///
/// The job that writes to STORE takes a checkpoint as soon as the one under way is
/// done, whatever its schedule says, and this command tells what became of it. The
/// job may run on another machine that shares the store. Where nothing has
/// changed since the latest checkpoint, the answer is that one.
///
/// The exit code is 4 when the checkpoint failed, when no job is running, and when
/// there was no answer in time; a request that was not answered is taken back.
///
/// Examples:
///   ckpt checkpoint checkpoints/clicks
///   ckpt checkpoint checkpoints/clicks --wait 30s --json
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: OsString,

    /// How long to wait for the answer: `30s`, `5m`
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration, default_value = "10m")]
    pub wait: Duration,
}

/// How often it looks for the answer, and whether the job is still there.
const EVERY: Duration = Duration::from_millis(50);
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// Asks, and waits.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let target = Target::parse(&args.store)?;
    if target.reference.is_some() {
        return Err(CliError::usage("expected a store, found a checkpoint"));
    }
    let store = target.open(ui)?;
    if !is_running(&store) {
        let message = format!("no job is running on `{}`: nobody can take a checkpoint", store.place());
        return Err(CliError::new(Exit::Failed, message).hint("`ckpt run JOB.yaml` runs the job, or goes on with it"));
    }
    let now = ui.now();
    let mut random = [0; 16];
    super::run::getrandom(&mut random)?;
    let id = random.iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    });
    store.request(&id, &words::holder("`ckpt checkpoint`", &now), now.timestamp())?;
    let Some(answer) = wait(&store, &id, args.wait)? else {
        store.withdraw(&id);
        let message = match is_running(&store) {
            true => format!("the job on `{}` has not answered within {}", store.place(), Span(args.wait)),
            false => format!("the job on `{}` has ended without an answer", store.place()),
        };
        return Err(CliError::new(Exit::Failed, message).hint("`ckpt log STORE` shows what became of its checkpoints"));
    };
    show(&store, &answer, ui)
}

/// Waits for the answer; nothing when it does not come, or the job has ended.
fn wait(store: &Store, id: &str, patience: Duration) -> Result<Option<Answer>, CliError> {
    let begun = Instant::now();
    let mut looked = begun;
    loop {
        if let Some(answer) = store.take_answer(id)? {
            return Ok(Some(answer));
        }
        if looked.elapsed() >= ALIVE_EVERY {
            if !is_running(store) {
                // It may have answered just before.
                return Ok(store.take_answer(id)?);
            }
            looked = Instant::now();
        }
        if begun.elapsed() >= patience {
            return Ok(None);
        }
        std::thread::sleep(EVERY.min(patience.saturating_sub(begun.elapsed())));
    }
}

/// Tells whether somebody holds the store. Where there are no locks it is taken to be so.
fn is_running(store: &Store) -> bool {
    store.holder().map_or(true, |holder| holder.is_some())
}

fn show(store: &Store, answer: &Answer, ui: &mut Ui) -> Result<Exit, CliError> {
    if ui.is_json() {
        ui.json(&CheckpointView {
            version: 1,
            store: store.place(),
            outcome: answer.outcome,
            checkpoint: answer.sequence,
            time: answer.time,
            new_bytes: answer.new_bytes,
            total_micros: answer.total_micros,
            error: answer.error.as_deref(),
        })?;
        return Ok(if answer.outcome == AttemptOutcome::Failed { Exit::Failed } else { Exit::Clean });
    }
    let latest = answer.sequence.map_or_else(|| "there is none yet".to_owned(), |it| format!("the latest is {}", it.0));
    match answer.outcome {
        AttemptOutcome::Failed => {
            let mut error = CliError::new(Exit::Failed, "the checkpoint failed");
            error.causes = answer.error.iter().cloned().collect();
            Err(error)
        }
        AttemptOutcome::Elided => {
            ui.out(format!("nothing has changed since the latest checkpoint: {latest}"))?;
            Ok(Exit::Clean)
        }
        AttemptOutcome::Committed => {
            let number = answer.sequence.map_or_else(String::new, |sequence| format!(" {}", sequence.0));
            let took = Span(Duration::from_micros(answer.total_micros));
            ui.out(format!("checkpoint{number}: {} new, took {took}", Bytes(answer.new_bytes)))?;
            Ok(Exit::Clean)
        }
    }
}

#[derive(Debug, Serialize)]
struct CheckpointView<'a> {
    version: u32,
    store: String,
    outcome: AttemptOutcome,
    checkpoint: Option<Sequence>,
    time: Timestamp,
    new_bytes: u64,
    total_micros: u64,
    error: Option<&'a str>,
}
