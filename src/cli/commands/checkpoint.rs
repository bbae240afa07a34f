//! `ckpt checkpoint`: asks the running job for a checkpoint.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::args::StoreArg;
use crate::cli::entropy::random_id;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::StoreHead;
use crate::cli::json_schema::Document;
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::store::Store;
use crate::store::records::attempts::AttemptOutcome;
use crate::store::records::requests::Answer;
use crate::values::id::Sequence;
use crate::values::units;
use crate::values::units::{Bytes, Span};

/// Ask the running job for a checkpoint, and wait for it
///
/// The job that writes to STORE makes a checkpoint now, regardless of its
/// schedule, or as soon as the current one is done. This command reports the outcome. The job
/// may run on another machine that shares the store. If nothing has changed since
/// the latest checkpoint, no new one is made. If several workers run the job, each
/// makes a checkpoint of its own tasks; the latest one then has the newest state of
/// all.
///
/// The exit code is 4 if the checkpoint failed, if no job is running, or if there
/// was no answer in time. A request that gets no answer is withdrawn.
///
/// Examples:
///   ckpt checkpoint checkpoints/clicks
///   ckpt checkpoint checkpoints/clicks --wait 30s --json
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: StoreArg,

    /// How long to wait for the answer, such as `30s`
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration, default_value = "10m")]
    pub wait: Duration,
}

/// How often to look for the answer.
const ANSWER_EVERY: Duration = Duration::from_millis(50);

/// The same in object storage, where each look is a request that costs money.
const REMOTE_ANSWER_EVERY: Duration = Duration::from_millis(500);

/// How often to check that the job is still running.
const RUNNING_EVERY: Duration = Duration::from_secs(1);

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<AnswerView<'static>>];

/// Sends the request and waits for the answer.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let store = args.store.open(ui)?;
    if !store.may_be_held() {
        let message = format!("no job is running on `{}`", store.place());
        return Err(CliError::new(Exit::Failed, message).hint("start it with `ckpt run JOB.yaml`"));
    }
    let now = ui.now();
    let id = random_id()?;
    store.request(&id, &text::holder("`ckpt checkpoint`", &now), now.timestamp())?;
    let Some(answer) = wait(&store, &id, args.wait)? else {
        let missing: Vec<u64> = store.withdraw(&id)?.into_iter().map(u64::from).collect();
        let message = if !missing.is_empty() {
            let (place, tasks) = (store.place(), text::ranges(&missing));
            let noun = if missing.len() == 1 { "task" } else { "tasks" };
            let waited = Span(args.wait);
            let message = format!("on `{place}`, no worker has answered for {noun} {tasks} within {waited}");
            return Err(CliError::new(Exit::Failed, message).hint("`ckpt workers STORE` shows who committed them last"));
        } else if store.may_be_held() {
            format!("the job on `{}` did not answer within {}", store.place(), Span(args.wait))
        } else {
            format!("the job on `{}` ended without an answer", store.place())
        };
        return Err(CliError::new(Exit::Failed, message).hint("`ckpt log STORE` shows its attempts at checkpoints"));
    };
    show(&store, &answer, ui)
}

/// Waits for the answer; `None` if it does not come in time or the job has ended.
fn wait(store: &Store, id: &str, patience: Duration) -> Result<Option<Answer>, CliError> {
    let begun = Instant::now();
    let mut looked = begun;
    loop {
        if let Some(answer) = store.take_answer(id)? {
            return Ok(Some(answer));
        }
        if looked.elapsed() >= RUNNING_EVERY {
            if !store.may_be_held() {
                // It may have answered just before it ended.
                return Ok(store.take_answer(id)?);
            }
            looked = Instant::now();
        }
        if begun.elapsed() >= patience {
            return Ok(None);
        }
        let pause = if store.is_remote() { REMOTE_ANSWER_EVERY } else { ANSWER_EVERY };
        std::thread::sleep(pause.min(patience.saturating_sub(begun.elapsed())));
    }
}

fn show(store: &Store, answer: &Answer, ui: &mut Ui) -> Result<Exit, CliError> {
    if ui.is_json() {
        ui.json(&AnswerView {
            head: StoreHead::new(store),
            outcome: answer.outcome,
            checkpoint: answer.sequence,
            time: answer.time,
            new_bytes: answer.new_bytes,
            total_micros: answer.total_micros,
            error: answer.error.as_deref(),
        })?;
        return Ok(if answer.outcome == AttemptOutcome::Failed { Exit::Failed } else { Exit::Clean });
    }
    let latest =
        answer.sequence.map_or_else(|| "there is no checkpoint yet".to_owned(), |it| format!("the latest is {}", it.0));
    match answer.outcome {
        AttemptOutcome::Failed => {
            let mut error = CliError::new(Exit::Failed, "the checkpoint failed");
            error.causes = answer.error.iter().cloned().collect();
            Err(error)
        }
        AttemptOutcome::Elided => {
            ui.out(format!("no new checkpoint, because nothing has changed: {latest}"))?;
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

#[derive(Debug, Serialize, JsonSchema)]
struct AnswerView<'a> {
    #[serde(flatten)]
    head: StoreHead,
    outcome: AttemptOutcome,
    checkpoint: Option<Sequence>,
    time: Timestamp,
    new_bytes: u64,
    total_micros: u64,
    error: Option<&'a str>,
}
