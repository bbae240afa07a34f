//! `ckpt run`: run a job, or go on with it.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use metrics::Metrics;
use serde::Serialize;
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;
use watcher::{All, LogWriter, Watcher};

use crate::cli::clock::NOW_VARIABLE;
use crate::cli::commands::run::metrics_http::Scrape;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::log::Level;
use crate::cli::progress::Unit;
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words;
use crate::format::manifest::Output;
use crate::input::InputError;
use crate::job::{GivenInput, JobFileError, JobSpec};
use crate::ops::latest::newest_intact;
use crate::runner::error::{JobError, RecordError, ResumeError, RunError};
use crate::runner::observer::{Observer, PublishedChanges, Summary};
use crate::runner::options::{Control, Options};
use crate::runner::output::error::OutputError;
use crate::runner::pipeline::restart::run as run_job;
use crate::runner::process::exec::failure::ProgramFailure;
use crate::runner::process::processor::Processors;
use crate::runner::storage_opener::StorageOpener;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units::{Age, Bytes, Count, Rate, Span};

mod metrics;
pub mod metrics_http;
pub mod run_events;
mod script;
mod watcher;

/// Run a job, or go on with it from its latest checkpoint
///
/// Reads the input that the job file names, keeps the state of every key, and
/// checkpoints both on the job's schedule, at the end of the input and when it
/// is stopped. A run that was killed is started again in the same way: it goes
/// on from the latest checkpoint, and ends with the result of a run that was
/// never killed.
///
/// SIGINT, SIGTERM and SIGHUP end the run with a last checkpoint; a second one ends it
/// at once, and nothing that was committed is lost. SIGUSR1 takes a checkpoint
/// now. The answer is a summary on standard output.
///
/// A Python script is a job as well: it has a class that extends SamzaJob, and says
/// what to read, or leaves that to the command line or to standard input.
///
/// Examples:
///   ckpt run examples/clicks.yaml
///   ckpt run words.yaml data/words.txt
///   ckpt run visits.py data/clicks-0.jsonl
///   ckpt run --must-resume job.yaml
///   ckpt run --latest-good job.yaml
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The job.
    #[command(flatten)]
    pub source: JobArgs,

    /// Fail when there is no checkpoint to go on from
    #[arg(long)]
    pub must_resume: bool,

    /// When the latest checkpoint is damaged, go back to the newest that is intact: say what that loses, and move an
    /// output aside that a checkpoint has published which is left behind
    #[arg(long)]
    pub latest_good: bool,

    /// Threads that parse and apply records [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// How events, warnings and errors are written to standard error: for people, or a JSON object a line
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log: LogFormat,

    /// Serve metrics for Prometheus at http://ADDR/metrics while the run goes on: HOST:PORT, or a port of this machine alone
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
}

/// Which job, and what it reads.
#[derive(Debug, Clone, clap::Args)]
pub struct JobArgs {
    /// The job file, or a Python script with a SamzaJob
    #[arg(value_name = "JOB")]
    pub job: PathBuf,

    /// Files to read instead of those that the job names, or `-` for standard input
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
}

/// How the conversation of a run is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

/// Runs the job.
pub fn run(args: &Args, ui: &mut Ui, processors: &Processors) -> Result<Exit, CliError> {
    if args.log == LogFormat::Json {
        ui.log_as_json(None);
    }
    let (job, bytes, environment) = read_job(&args.source)?;
    let mut random = [0; 16];
    getrandom(&mut random)?;
    let options = Options {
        threads: match args.threads {
            Some(threads) => usize::from(threads),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        },
        must_resume: args.must_resume,
        latest_good: args.latest_good,
        holder: words::holder(&format!("`ckpt run` of job {}", job.job), &ui.now()),
        clock: now,
        random,
        environment,
        processors: processors.clone(),
        storages: StorageOpener::default(),
    };
    let control = listen()?;
    let now = ui.now().timestamp();
    let watcher: Box<dyn Observer> = match args.log {
        LogFormat::Text => Box::new(Watcher { line: ui.live_line(), job: job.job.clone(), now }),
        LogFormat::Json => Box::new(LogWriter::new(ui.log_as_json(Some(&job.job)), now)),
    };
    let scrape = args.metrics.as_ref().map(|address| Scrape::start(address, Metrics::new(&job.job))).transpose()?;
    let mut observers = vec![&*watcher];
    if let Some(scrape) = &scrape {
        ui.note(format!("{}: metrics at {}", job.job, scrape.url()));
        observers.push(scrape.metrics());
    }
    let outcome = run_job(&job, &options, &control, &All(observers));
    drop((watcher, scrape));
    let summary = outcome.map_err(|error| match error {
        RunError::Resume(ResumeError::LatestDamaged { .. }) => damaged(&error, &job, ui),
        error => explain(error, &args.source, &bytes),
    })?;
    if let Some(journal) = ui.journal()
        && let Ok(Value::Object(mut fields)) = serde_json::to_value(View::new(&job, &summary))
    {
        // Every line names the job already.
        fields.retain(|name, _| name != "job" && name != "version");
        journal.write(Level::Info, "finished", end_of(&summary), &fields);
    }
    show(&job, &summary, ui)?;
    let mut exit = Exit::Clean;
    if summary.ended && summary.skipped_in_all > 0 {
        let left_out = words::counted(summary.skipped_in_all, "bad record");
        let verb = if summary.skipped_in_all == 1 { "was" } else { "were" };
        ui.warn(format!("{left_out} {verb} left out"));
        exit = Exit::Incomplete;
    }
    if summary.ended && summary.late_in_all > 0 {
        let late = words::counted(summary.late_in_all, "record");
        let verb = if summary.late_in_all == 1 { "was" } else { "were" };
        ui.warn(format!("{late} {verb} late and left out"));
        exit = Exit::Incomplete;
    }
    for place in &summary.replicas_behind {
        ui.warn(format!("replica `{place}` is behind; the next run makes it equal when it is back"));
        exit = Exit::Incomplete;
    }
    Ok(exit)
}

/// Reads the job: its definition, the text that says it, and what its programs find in their environment.
pub(super) fn read_job(args: &JobArgs) -> Result<(JobSpec, Vec<u8>, Environment), CliError> {
    let inputs = script::inputs(&args.inputs, &args.job)?;
    let is_script = script::is_script(&args.job);
    let mut environment = if is_script { script::environment() } else { Environment::new() };
    let bytes = if is_script {
        script::describe(&args.job, &environment)?
    } else {
        // It may be a pipe or a device: what is too long is refused after so many bytes.
        let limit = crate::values::yaml::MAX_BYTES as u64 + 1;
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&args.job).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        read.map_err(|error| {
            CliError::usage(format!("cannot read job file `{}`", args.job.display())).caused_by(&error)
        })?;
        bytes
    };
    let given = match inputs.is_empty() {
        false => GivenInput::Files(&inputs),
        true if is_script && !std::io::stdin().is_terminal() => GivenInput::StandardInput,
        true => GivenInput::None,
    };
    let job = JobSpec::from_bytes_given(&bytes, &args.job, given)
        .map_err(|error| unfit(&error, &String::from_utf8_lossy(&bytes), args))?;
    if job.exec.is_some() && environment.is_empty() {
        environment = script::environment();
    }
    Ok((job, bytes, environment))
}

/// Variables for the environment of programs.
pub(super) type Environment = Vec<(OsString, OsString)>;

/// Says what is wrong with a job: at its place in the job file, or in the part of a script's `configs` that says it.
fn unfit(error: &JobFileError, text: &str, args: &JobArgs) -> CliError {
    if !script::is_script(&args.job) {
        return CliError::usage(error.to_string());
    }
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default().trim().trim_end_matches([',', '{']);
    let place = if error.line > 1 { format!(" at `{line}`") } else { String::new() };
    let unfit = CliError::usage(format!("{}: configs{place}: {}", error.file, error.message));
    match error.message.starts_with("missing key `input`") {
        true => unfit.hint("set `self.configs['input']`, name files on the command line, or pipe records into it"),
        false => unfit,
    }
}

/// Gives the time as checkpoints have it: milliseconds. A clock that stands still, see [`NOW_VARIABLE`], does so here too.
fn now() -> Timestamp {
    let fixed = std::env::var(NOW_VARIABLE).ok().and_then(|text| text.parse().ok());
    let now = fixed.unwrap_or_else(Timestamp::now);
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

pub(super) fn getrandom(random: &mut [u8]) -> Result<(), CliError> {
    let filled = rustix::rand::getrandom(&mut *random, rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(length) if length == random.len() => Ok(()),
        Ok(_) => Err(CliError::new(Exit::Failed, "cannot draw random bytes")),
        Err(error) => Err(CliError::new(Exit::Failed, "cannot draw random bytes").caused_by(&error)),
    }
}

/// Listens to the signals that ask something of a run.
fn listen() -> Result<Control, CliError> {
    let control = Control::default();
    let register = || {
        // A lost terminal ends a run as a friendly kill does.
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated), (SIGHUP, Exit::Terminated)] {
            // In this order: the first signal sets the flag, and only a second one finds it set.
            flag::register_conditional_shutdown(signal, i32::from(exit.code()), Arc::clone(&control.stop))?;
            flag::register(signal, Arc::clone(&control.stop))?;
        }
        flag::register(SIGUSR1, Arc::clone(&control.checkpoint))?;
        // A file that grows beyond the limit of the process is then an error of the write, as a full disk is.
        flag::register(SIGXFSZ, Arc::default()).map(|_| ())
    };
    register()
        .map_err(|error: std::io::Error| CliError::new(Exit::Failed, "cannot listen to signals").caused_by(&error))?;
    Ok(control)
}

/// The summary as JSON.
#[derive(Debug, Serialize)]
struct View<'a> {
    version: u32,
    job: &'a str,
    ended: bool,
    resumed_from: Option<Sequence>,
    left_behind: &'a [Sequence],
    latest: Option<Sequence>,
    records: u64,
    records_in_all: u64,
    records_per_second: u64,
    skipped: u64,
    skipped_in_all: u64,
    late: u64,
    late_in_all: u64,
    input_bytes: u64,
    keys: u64,
    checkpoints: u64,
    checkpoint_bytes: u64,
    pruned: u64,
    restarts: u64,
    pause_micros_median: Option<u64>,
    pause_micros_p99: Option<u64>,
    pause_micros_max: Option<u64>,
    loading_seconds: f64,
    elapsed_seconds: f64,
    outputs: &'a [Output],
    changes: ChangesView,
    replicas_behind: &'a [String],
}

/// Files of changes, in sum.
#[derive(Debug, Serialize)]
struct ChangesView {
    files: u64,
    rows: u64,
    bytes: u64,
}

impl<'a> View<'a> {
    fn new(job: &'a JobSpec, summary: &'a Summary) -> View<'a> {
        let pauses = &summary.pauses_micros;
        View {
            version: 1,
            job: &job.job,
            ended: summary.ended,
            resumed_from: summary.resumed_from,
            left_behind: &summary.skipped_checkpoints,
            latest: summary.latest,
            records: summary.records,
            records_in_all: summary.records_in_all,
            records_per_second: Rate { count: summary.records, elapsed: summary.elapsed }.per_second(),
            skipped: summary.skipped,
            skipped_in_all: summary.skipped_in_all,
            late: summary.late,
            late_in_all: summary.late_in_all,
            input_bytes: summary.input_bytes,
            keys: summary.keys,
            checkpoints: summary.checkpoints,
            checkpoint_bytes: summary.checkpoint_bytes,
            pruned: summary.pruned,
            restarts: summary.restarts,
            pause_micros_median: quantile(pauses, 50),
            pause_micros_p99: quantile(pauses, 99),
            pause_micros_max: quantile(pauses, 100),
            loading_seconds: summary.loading.as_secs_f64(),
            elapsed_seconds: summary.elapsed.as_secs_f64(),
            outputs: &summary.outputs,
            changes: {
                let PublishedChanges { files, rows, bytes } = summary.changes;
                ChangesView { files, rows, bytes }
            },
            replicas_behind: &summary.replicas_behind,
        }
    }
}

fn show(job: &JobSpec, summary: &Summary, ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        return ui.json(&View::new(job, summary));
    }
    let rate = Rate { count: summary.records, elapsed: summary.elapsed };
    let pauses = &summary.pauses_micros;
    ui.heading(format!("{}: {}", job.job, end_of(summary)))?;
    let resumed = match summary.resumed_from {
        None => "nothing".to_owned(),
        Some(sequence) => format!("checkpoint {}", sequence.0),
    };
    ui.out(format!("  resumed from  {resumed}"))?;
    let mut records = format!("{} in {} ({rate})", Count(summary.records), Span(summary.elapsed));
    if summary.records != summary.records_in_all {
        records += &format!(", {} in all", Count(summary.records_in_all));
    }
    if summary.skipped_in_all > 0 {
        records += &format!(", {} of them bad and left out", Count(summary.skipped_in_all));
    }
    if summary.late_in_all > 0 {
        records += &format!(", {} of them late", Count(summary.late_in_all));
    }
    ui.out(format!("  records       {records}"))?;
    ui.out(format!("  keys          {}", Count(summary.keys)))?;
    let mut checkpoints =
        if job.checkpoint.enabled { Count(summary.checkpoints).to_string() } else { "disabled".to_owned() };
    if let Some(latest) = summary.latest {
        checkpoints += &format!(", the latest is {}, {} written", latest.0, Bytes(summary.checkpoint_bytes));
    }
    if summary.pruned > 0 {
        checkpoints += &format!(", {} pruned", Count(summary.pruned));
    }
    if let Some(pause) = quantile(pauses, 99) {
        checkpoints += &format!(", pause {}", Span(Duration::from_micros(pause)));
    }
    ui.out(format!("  checkpoints   {checkpoints}"))?;
    if summary.restarts > 0 {
        ui.out(format!("  restarts      {}", Count(summary.restarts)))?;
    }
    if let (Some(output), PublishedChanges { files: 1.., rows, bytes, .. }) = (&job.output, summary.changes) {
        let (dir, files) = (job.resolve(&output.files), words::counted(summary.changes.files, "file"));
        ui.out(format!("  output        {} ({files}, {} rows, {})", dir.display(), Count(rows), Bytes(bytes)))?;
    }
    for output in &summary.outputs {
        let path = job.resolve(Path::new(&output.path));
        ui.out(format!("  output        {} ({} rows, {})", path.display(), Count(output.rows), Bytes(output.bytes)))?;
    }
    Ok(())
}

/// Says how a run has ended.
fn end_of(summary: &Summary) -> &'static str {
    if summary.ended { "the input was read to its end" } else { "stopped; run it again to go on" }
}

/// Returns the value below which so many in a hundred of the ascending `values` lie.
fn quantile(values: &[u64], percent: usize) -> Option<u64> {
    let last = values.len().checked_sub(1)?;
    Some(values[(last * percent).div_ceil(100)])
}

/// Says that the latest checkpoint is damaged, and what there is to go back to.
fn damaged(error: &RunError, job: &JobSpec, ui: &Ui) -> CliError {
    let explained = CliError::of(Exit::Damaged, error);
    let RunError::Resume(ResumeError::LatestDamaged { sequence, .. }) = error else { return explained };
    let store = job.resolve(&job.checkpoint.store);
    let older = Target { store: store.clone(), reference: None }.open(ui).ok().and_then(|store| {
        newest_intact(&store, Some(*sequence), &ui.progress("verifying", Unit::Bytes)).ok()?.committed
    });
    let explained = match older {
        Some(older) => explained.hint(format!(
            "`ckpt run --latest-good` goes back to checkpoint {} ({}), the newest that is intact, and says what that loses",
            older.manifest.sequence.0,
            Age::between(older.manifest.created, ui.now().timestamp())
        )),
        None => explained.hint("no older checkpoint is intact; a copy of the store may be good"),
    };
    explained.hint(format!("`ckpt verify {}` lists everything that is damaged", store.display()))
}

/// What holds after any failure.
const GOES_ON: &str = "nothing uncommitted was published; the next run goes on from the latest checkpoint";

/// Says why a run could not go on, in terms of the job file where that is what has to be changed.
fn explain(error: RunError, args: &JobArgs, text: &[u8]) -> CliError {
    let text = String::from_utf8_lossy(text);
    let in_job_file = |key: &str, value: Option<&str>, message: String| {
        unfit(&JobFileError::about(&text, &args.job, key, value, message), &text, args)
    };
    let job = args.job.display();
    match error {
        RunError::Store(error) => error.into(),
        RunError::Job(JobError::Filter { reason }) => in_job_file("where", None, reason),
        RunError::Input(InputError::NothingMatches { ref pattern } | InputError::Glob { ref pattern, .. }) => {
            in_job_file("input.files", Some(pattern), error.to_string())
        }
        RunError::Input(InputError::Truncated { .. }) => CliError::of(Exit::Failed, &error).hint(
            "rotate by renaming the file (logrotate: `create` in place of `copytruncate`), and begin anew in another store (`checkpoint: store:`)",
        ),
        RunError::Input(InputError::RotatedAway { .. }) => CliError::of(Exit::Failed, &error).hint(
            "put the rotated file back beside the others, unpacked, or begin anew in another store (`checkpoint: store:`)",
        ),
        RunError::Input(InputError::Gone { .. } | InputError::Shrunk { .. } | InputError::Changed { .. }) => {
            CliError::of(Exit::Failed, &error).hint(
                "put the input back as it was, or begin anew in another store (`checkpoint: store:`): what was counted of it can not be told apart",
            )
        }
        RunError::Record(RecordError::Bad { ref beginning, .. }) => {
            let begins = format!("the record begins `{beginning}`");
            CliError::of(Exit::Failed, &error).hint(begins).hint(format!(
                "mend the input, or set `input: on_error: skip` or `dead_letter: FILE` in {job}; the run goes on from its latest checkpoint"
            ))
        }
        RunError::Record(RecordError::Late { ref beginning, .. }) => {
            let begins = format!("the record begins `{beginning}`");
            CliError::of(Exit::Failed, &error).hint(begins).hint(format!(
                "allow for more with `late`, or set `on_late: drop` or `dead_letter: FILE` in `window` of {job}; the run goes on from its latest checkpoint"
            ))
        }
        RunError::Resume(ResumeError::Unfit { sequence, ref differences }) => {
            let message = format!("{job} does not fit the state in checkpoint {}", sequence.0);
            let mut unfit = CliError::usage(message);
            unfit.causes = differences.iter().map(ToString::to_string).collect();
            unfit.hint("change it back, or begin anew in another store (`checkpoint: store:`)")
        }
        RunError::Resume(ResumeError::SeveralCuts { .. }) => CliError::of(Exit::Usage, &error).hint(format!(
            "run {job} once as it was and stop it: the last checkpoint of a run takes all shards at one cut"
        )),
        RunError::Job(JobError::SamePath { .. }) => CliError::of(Exit::Usage, &error).hint(format!("give it a place of its own in {job}")),
        RunError::Resume(ResumeError::OtherJob { .. }) => {
            CliError::of(Exit::Usage, &error).hint(format!("change `job:` or `checkpoint: store:` in {job}"))
        }
        RunError::Output(OutputError::DeadLetterShort { .. }) => CliError::of(Exit::Failed, &error).hint(format!(
            "put the file back, or begin another: change the name of the dead-letter file in {job}"
        )),
        RunError::Input(InputError::Lengthened { .. }) => CliError::of(Exit::Failed, &error).hint(
            "put the file back as it was; a file that grows must end with a line's end whenever a run reaches it",
        ),
        RunError::Job(JobError::MixedTypes { ref field, .. }) => {
            let hint = format!("say which type it has: `input: types: {{{field}: number}}` or `text`");
            CliError::of(Exit::Usage, &error).hint(hint)
        }
        RunError::Resume(ResumeError::NoneIntact { ref causes, .. }) => {
            let mut none = CliError::of(Exit::Damaged, &error);
            none.causes = causes.iter().map(|(sequence, error)| {
                format!("checkpoint {}: {}", sequence.0, in_one_line(error))
            }).collect();
            none.hint("`ckpt verify STORE` lists everything that is damaged; a copy of the store may be good")
        }
        RunError::Job(JobError::Unordered { .. }) => CliError::of(Exit::Usage, &error),
        RunError::Resume(ResumeError::NothingToResume { .. }) => {
            CliError::of(Exit::NotFound, &error).hint("leave out `--must-resume` to start from nothing")
        }
        RunError::Resume(ResumeError::StoreMissing { ref output, .. }) => CliError::of(Exit::NotFound, &error)
            .hint(format!("put the store back; or move `{output}` away to start from nothing")),
        RunError::Resume(ResumeError::CheckpointsMissing { ref output, .. }) => CliError::of(Exit::NotFound, &error)
            .hint(format!("put the checkpoints back; or move `{output}` away to start from nothing")),
        RunError::Output(OutputError::DeadLetterTaken { .. }) => CliError::of(Exit::Failed, &error)
            .hint(format!("name another file in {job} (`input: on_error: dead_letter`), or move this one away")),
        RunError::Checkpoint(_) => {
            CliError::of(Exit::Damaged, &error).hint("`ckpt verify --deep STORE` lists everything that is wrong")
        }
        RunError::Job(JobError::Processor { .. }) => in_job_file("process.native", None, error.to_string()),
        RunError::Resume(ResumeError::NativeColumns { .. }) => CliError::of(Exit::Usage, &error)
            .hint("begin anew in another store (`checkpoint: store:`): columns of a processor can not change"),
        RunError::Program { failure: ProgramFailure::Start { ref source }, .. } => {
            in_job_file("process.exec", None, format!("{error}: {source}"))
        }
        RunError::Program { .. } | RunError::RestartsSpent { .. } | RunError::NoRestart { .. } => {
            CliError::of(Exit::Failed, &error).hint(GOES_ON)
        }
        _ => CliError::of(Exit::Failed, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(
            [quantile(&values, 0), quantile(&values, 50), quantile(&values, 99), quantile(&values, 100)],
            [Some(1), Some(51), Some(100), Some(100)]
        );
        assert_eq!((quantile(&[7], 99), quantile(&[], 99)), (Some(7), None));
    }
}
