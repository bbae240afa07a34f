//! `ckpt run`: runs a job, or resumes it.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use schemars::SchemaGenerator;

use crate::cli::commands::run::http::MetricsServer;
use crate::cli::entropy::random;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json_schema::Document;
use crate::cli::log::Level;
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::job::JobSpec;
use crate::runner::error::{ResumeError, RunError};
use crate::runner::observer::{Observer, Summary};
use crate::runner::options::Options;
use crate::runner::output::error::OutputError;
use crate::runner::output::topic::AssumedOutput;
use crate::runner::pipeline::group::{WorkerName, run_worker};
use crate::runner::pipeline::restart::run as run_job;
use crate::runner::process::processor::Processors;
use crate::runner::storage_opener::StorageOpener;
use crate::runner::wall_clock::WallClock;

mod events;
pub mod explain;
mod health;
mod http;
pub mod job;
mod metrics;
mod observer;
mod python;
mod signals;
mod summary;
mod topic_metrics;

use health::Health;
use job::{Environment, JobArgs, read_job};
use metrics::{Metrics, MetricsFile};
use observer::{All, LogWriter, StatusPrinter};
use summary::SummaryView;

/// Run a job, or resume it from its latest checkpoint
///
/// Reads the input that the job file names, keeps the state of every key, and
/// makes checkpoints on schedule, at the end of the input, and when the run is
/// stopped. To continue after a crash, run the same command again. The run then
/// resumes from the latest checkpoint and ends with the same result as a run that
/// was never interrupted.
///
/// SIGINT, SIGTERM and SIGHUP stop the run after a last checkpoint. A second
/// signal stops it at once; committed checkpoints are unaffected. SIGUSR1 makes a
/// checkpoint now. A summary is printed at the end.
///
/// A job can also be a Python script with a class that extends SamzaJob. The
/// class, the command line, or standard input supplies the input.
///
/// Examples:
///   ckpt run examples/clicks.yaml
///   ckpt run words.yaml data/words.txt
///   ckpt run visits.py data/clicks-0.jsonl
///   ckpt run job.yaml --set checkpoint.schedule=1s
///   ckpt run --must-resume job.yaml
///   ckpt run --latest-good job.yaml
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    pub source: JobArgs,

    /// Fail if there is no checkpoint to resume from
    #[arg(long)]
    pub must_resume: bool,

    /// If the latest checkpoint is damaged, resume from the newest intact one; report what is lost, and move away
    /// outputs that the skipped checkpoints published
    #[arg(long)]
    pub latest_good: bool,

    /// Be one of several workers that share the partitions of the job's topic, under a name that no other has
    #[arg(long, value_name = "NAME", conflicts_with_all = ["must_resume", "latest_good"])]
    pub worker: Option<String>,

    /// Leave the group of workers at the end, so that others get the partitions at once
    #[arg(long, requires = "worker")]
    pub leave: bool,

    /// If it is unknown whether the topic of the output has the messages of the latest checkpoint, assume that it has
    /// them, or send them, perhaps again
    #[arg(long, value_name = "STATE", conflicts_with = "worker")]
    pub assume_output: Option<AssumeOutput>,

    /// The number of threads that parse and apply records [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// The format of events, warnings and errors on standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log: LogFormat,

    /// Serve metrics for Prometheus at http://ADDR/metrics, and whether the run is alive and ready at /livez and /readyz;
    /// ADDR is HOST:PORT, or a port on this machine
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,

    /// Write the metrics to this file, for the textfile collector of Prometheus's node exporter: every 15 seconds, and
    /// at the end of the run
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
}

/// The format of messages on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text for people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// What a topic has of the messages of the latest checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AssumeOutput {
    /// The topic has them
    Sent,
    /// The topic lacks them
    Missing,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<summary::SummaryView<'static>>];

/// Runs the job.
pub fn run(args: &Args, ui: &mut Ui, processors: &Processors) -> Result<Exit, CliError> {
    if args.log == LogFormat::Json {
        ui.log_as_json(None);
    }
    let (job, bytes, environment) = read_job(&args.source)?;
    let options = options(args, &job, environment, processors, ui)?;
    let control = signals::listen()?;
    let clock = options.clock.clone();
    let observer: Box<dyn Observer> = match args.log {
        LogFormat::Text => {
            let (line, has_checkpoints) = (ui.live_line(), job.checkpoint.enabled);
            Box::new(StatusPrinter { line, job: job.job.clone(), clock, has_checkpoints })
        }
        LogFormat::Json => Box::new(LogWriter::new(ui.log_as_json(Some(&job.job)), clock)),
    };
    let metrics = Arc::new(Metrics::new(&job.job, options.clock.clone()));
    let health = Arc::new(Health::new());
    let server = args.metrics.as_ref().map(|address| MetricsServer::start(address, &metrics, &health)).transpose()?;
    let file = args.metrics_file.as_ref().map(|path| MetricsFile::start(&metrics, path)).transpose()?;
    let mut observers = vec![&*observer, &*metrics, &*health];
    if let Some(server) = &server {
        ui.note(format!("{}: metrics at {}", job.job, server.url()));
    }
    if let Some(file) = &file {
        observers.push(file);
    }
    let outcome = match &args.worker {
        Some(name) => {
            let worker = WorkerName { name: name.clone(), leaves: args.leave };
            run_worker(&job, &options, &control, &All(observers), &worker)
        }
        None => run_job(&job, &options, &control, &All(observers)),
    };
    drop((observer, server));
    let ended = end(outcome, args, &job, &bytes, ui);
    if let Some(file) = &file {
        metrics.ended(ended.as_ref().map_or_else(|error| error.exit, |exit| *exit).code());
        if let Err(error) = file.write() {
            ui.warn(error.message);
        }
    }
    ended
}

/// Follows the hint to assume what a topic has, if the run is a worker.
const ASSUME_ALONE: &str = "run that once without `--worker`, while no worker runs, and then start the workers again";

/// Reports how the run ended.
fn end(
    outcome: Result<Summary, RunError>,
    args: &Args,
    job: &JobSpec,
    bytes: &[u8],
    ui: &mut Ui,
) -> Result<Exit, CliError> {
    let summary = outcome.map_err(|error| match error {
        RunError::Resume(ResumeError::LatestDamaged { .. }) => explain::explain_damage(&error, job, ui),
        error => {
            let is_for_run_alone =
                args.worker.is_some() && matches!(error, RunError::Output(OutputError::Unclear { .. }));
            let explained = explain::explain(error, &args.source, bytes);
            if is_for_run_alone { explained.hint(ASSUME_ALONE) } else { explained }
        }
    })?;
    log_summary(job, &summary, ui);
    summary::show(job, &summary, ui)?;
    Ok(summary::warn(&summary, ui))
}

fn options(
    args: &Args,
    job: &JobSpec,
    environment: Environment,
    processors: &Processors,
    ui: &Ui,
) -> Result<Options, CliError> {
    let clock = ui.clock().clone();
    let command = args.worker.as_ref().map_or("`ckpt run`".to_owned(), |name| format!("`ckpt run --worker {name}`"));
    Ok(Options {
        threads: match args.threads {
            Some(threads) => usize::from(threads),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        },
        must_resume: args.must_resume,
        latest_good: args.latest_good,
        holder: text::holder(&format!("{command} of job {}", job.job), &ui.now()),
        clock: WallClock::new(move || clock.now_in_millis()),
        random: random()?,
        environment,
        processors: processors.clone(),
        storages: StorageOpener::default(),
        share: None,
        assumed_output: args.assume_output.map(|assumed| match assumed {
            AssumeOutput::Sent => AssumedOutput::Sent,
            AssumeOutput::Missing => AssumedOutput::Missing,
        }),
    })
}

/// Writes the summary to the log, if there is one.
fn log_summary(job: &JobSpec, summary: &Summary, ui: &Ui) {
    let Some(journal) = ui.journal() else { return };
    if let Ok(Value::Object(mut fields)) = serde_json::to_value(SummaryView::new(job, summary)) {
        // Every line names the job already.
        fields.retain(|name, _| name != "job" && name != "version");
        journal.write(Level::Info, "finished", summary::end_of(summary), &fields);
    }
}
