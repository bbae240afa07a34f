//! Explanations for runs that failed.

use super::job::{JobArgs, job_error};
use super::summary::bad_reason;
use crate::cli::error::{CliError, bucket_hint};
use crate::cli::exit::Exit;
use crate::cli::progress::Unit;
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::input::InputError;
use crate::job::{JobFileError, JobSpec};
use crate::kafka::KafkaError;
use crate::ops::latest::newest_intact;
use crate::runner::error::{JobError, RecordError, ResumeError, RunError};
use crate::runner::output::error::OutputError;
use crate::runner::process::exec::failure::ProgramFailure;
use crate::storage::StorageError;
use crate::values::error_chain::in_one_line;
use crate::values::units::Age;

/// Explains that the latest checkpoint is damaged, and names the newest intact one.
pub(super) fn explain_damage(error: &RunError, job: &JobSpec, ui: &Ui) -> CliError {
    let explained = CliError::of(Exit::Damaged, error);
    let RunError::Resume(ResumeError::LatestDamaged { sequence, .. }) = error else { return explained };
    let store = job.resolve(&job.checkpoint.store);
    let newest = Target { store: store.clone(), reference: None, job_directory: None }
        .open(ui)
        .ok()
        .and_then(|store| newest_intact(&store, Some(*sequence), &ui.progress("verifying", Unit::Bytes)).ok());
    let explained = match newest.map(|newest| newest.committed) {
        // An older checkpoint could not be read: it may be intact.
        None => explained,
        Some(Some(older)) => explained.hint(format!(
            "`ckpt run --latest-good` resumes from checkpoint {} ({}), the newest intact one, and reports what is lost",
            older.manifest.sequence.0,
            Age::between(older.manifest.created, ui.now().timestamp())
        )),
        Some(None) => explained.hint("no older checkpoint is intact; a copy of the store may have a good one"),
    };
    explained.hint(format!("`ckpt verify {}` lists all damage", store.display()))
}

/// The state after any failure.
const RESUMES: &str =
    "nothing uncommitted was published; the next run resumes from the latest checkpoint, if there is one";

/// What becomes of messages that were not sent.
const LATER: &str = "the next run sends what the topic lacks, and resumes from the latest checkpoint";

/// How to start over.
const START_OVER: &str = "start over in a new store (`checkpoint: store:`)";

/// How to continue without an input.
fn let_go(job: impl std::fmt::Display) -> String {
    format!(
        "to continue without what it had left, run `ckpt restore STORE --forget PARTITION`, or set `input: on_gone: \
         warn` in {job}"
    )
}

/// Explains why a run failed, with the position in the job file if that is what must be changed.
pub fn explain(error: RunError, args: &JobArgs, text: &[u8]) -> CliError {
    let text = String::from_utf8_lossy(text);
    let in_job_file = |key: &str, value: Option<&str>, message: String| {
        job_error(&JobFileError::about(&text, &args.job, key, value, message), &text, args)
    };
    let job = args.job.display();
    match error {
        RunError::Store(error) => error.into(),
        RunError::Job(JobError::Filter(error)) => {
            job_error(&JobFileError::about_filter(&text, &args.job, &error), &text, args)
        }
        RunError::Input(InputError::NothingMatches { ref pattern } | InputError::Glob { ref pattern, .. }) => {
            in_job_file("input.files", Some(pattern), error.to_string())
        }
        RunError::Input(InputError::Storage(error @ StorageError::Bucket { .. })) => error.into(),
        RunError::Input(InputError::Object { source: StorageError::Bucket { fault, .. }, .. }) => {
            CliError::of(Exit::Failed, &error).hint(RESUMES).hints_of(bucket_hint(fault).map(str::to_owned))
        }
        RunError::Input(InputError::Replaced { .. } | InputError::ReplacedInRun { .. }) => {
            CliError::of(Exit::Failed, &error)
                .hint(format!("give the new object a name of its own and restore the old one, or {START_OVER}"))
                .hint("or run `ckpt restore STORE --forget PARTITION` to read the object as a new one")
        }
        RunError::Input(InputError::Truncated { .. }) => CliError::of(Exit::Failed, &error).hint(format!(
            "rotate by renaming the file (logrotate: `create` instead of `copytruncate`), and {START_OVER}"
        )),
        RunError::Input(InputError::RotatedAway { .. }) => {
            CliError::of(Exit::Failed, &error).hint("put the rotated file back next to the others").hint(let_go(job))
        }
        RunError::Input(InputError::Gone { .. }) => {
            CliError::of(Exit::Failed, &error).hint("put the input back under its name").hint(let_go(job))
        }
        RunError::Input(InputError::Shrunk { .. } | InputError::Changed { .. }) => CliError::of(Exit::Failed, &error)
            .hint(format!("restore the input, or {START_OVER}: its records cannot be separated from the state"))
            .hint("or run `ckpt restore STORE --forget PARTITION` to read the file as a new one"),
        RunError::Input(InputError::MessagesGone { .. }) => CliError::of(Exit::Failed, &error)
            .hint(format!("to continue without the messages that are gone, set `input: on_gone: warn` in {job}"))
            .hint("keep messages longer than a job may stand still: `retention.ms` of the topic"),
        RunError::Input(
            InputError::TopicShrunk { .. } | InputError::TopicMadeAgain { .. } | InputError::OtherMessage { .. },
        ) => CliError::of(Exit::Failed, &error)
            .hint(format!("{START_OVER}: the messages of the old topic cannot be separated from the state")),
        RunError::Input(InputError::PartitionAdded { .. }) => CliError::of(Exit::Failed, &error)
            .hint(format!("{START_OVER}: with `tasks: partitions`, the rows of a key are where its messages were"))
            .hint(format!("with a number as `tasks` in {job}, partitions can be added later")),
        RunError::Input(InputError::Kafka(KafkaError::Unavailable)) => {
            in_job_file("input.kafka", None, error.to_string())
        }
        RunError::Input(InputError::Kafka(KafkaError::UnknownTopic { ref topic })) => {
            in_job_file("input.kafka.topic", Some(topic), error.to_string())
        }
        RunError::Input(InputError::Kafka(KafkaError::Replaced { .. })) => {
            CliError::of(Exit::Failed, &error).hint("give each worker a name of its own: `--worker NAME`")
                .hint("if there is no other, its own request may have been on its way for long: start it again")
        }
        RunError::Input(InputError::Kafka(KafkaError::Away { .. })) => CliError::of(Exit::Failed, &error)
            .hint(format!("check `input: kafka: brokers` in {job}, and whether the brokers run"))
            .hint(RESUMES),
        RunError::Record(RecordError::Bad { ref beginning, .. }) => {
            let begins = format!("the record starts with `{beginning}`");
            CliError::of(Exit::BadRecord, &error).hint(begins).hint(format!(
                "fix the input, or set `input: on_error: skip` or `dead_letter: FILE` in {job}; the next run resumes from \
                 the latest checkpoint, if there is one"
            ))
        }
        RunError::Record(RecordError::Late { ref beginning, .. }) => {
            let begins = format!("the record starts with `{beginning}`");
            CliError::of(Exit::BadRecord, &error).hint(begins).hint(format!(
                "increase `late`, or set `on_late: drop` or `dead_letter: FILE` in `window` of {job}; the next run resumes \
                 from the latest checkpoint, if there is one"
            ))
        }
        RunError::Record(RecordError::TooManyBad { ref reasons, .. }) => {
            let mut too_many = CliError::of(Exit::BadRecord, &error);
            too_many.causes.extend(reasons.iter().map(bad_reason));
            too_many.hint(format!(
                "fix the input, or raise `input: on_error: max` in {job}; nothing uncommitted was published; the \
                 next run resumes from the latest checkpoint, if there is one"
            ))
        }
        RunError::Record(RecordError::Unapplied { .. }) => CliError::of(Exit::BadRecord, &error),
        RunError::Resume(ResumeError::Unfit { sequence, ref differences }) => {
            let message = format!("{job} does not fit the state in checkpoint {}", sequence.0);
            let mut unfit = CliError::usage(message);
            unfit.causes = differences.iter().map(ToString::to_string).collect();
            unfit.hint(format!("undo the change, or {START_OVER}"))
        }
        RunError::Resume(ResumeError::SeveralCuts { .. }) => CliError::of(Exit::Usage, &error).hint(format!(
            "run {job} once without the change and stop it: the last checkpoint of a run has all shards at one cut"
        )),
        RunError::Job(JobError::Worker { .. }) => {
            CliError::of(Exit::Usage, &error).hint(format!("change {job}, or run it without `--worker`"))
        }
        RunError::Job(JobError::SamePath { .. }) => {
            CliError::of(Exit::Usage, &error).hint(format!("give it its own path in {job}"))
        }
        RunError::Job(JobError::StoreNotADirectory { .. }) => {
            CliError::of(Exit::Usage, &error).hint(format!("change `checkpoint: store:` in {job}"))
        }
        RunError::Job(JobError::PlaceNotUtf8 { .. }) => {
            CliError::of(Exit::Usage, &error).hint("rename the directory, or use the store without replicas")
        }
        RunError::Job(JobError::InStore { .. }) => {
            CliError::of(Exit::Usage, &error).hint(format!("give it a path outside of the store in {job}"))
        }
        RunError::Resume(ResumeError::OtherJob { .. }) => {
            CliError::of(Exit::Usage, &error).hint(format!("change `job:` or `checkpoint: store:` in {job}"))
        }
        RunError::Output(OutputError::DeadLetterShort { .. }) => CliError::of(Exit::Failed, &error)
            .hint(format!("put the file back, or start another one: change the name of the dead-letter file in {job}")),
        RunError::Input(InputError::NoColumn { .. }) => {
            CliError::of(Exit::Usage, &error).hint(format!("fix the name in {job}, or the header line of the file"))
        }
        RunError::Input(InputError::Lengthened { .. }) => CliError::of(Exit::Failed, &error)
            .hint("restore the file; a growing file must end with a line break whenever a run reaches its end"),
        RunError::Input(InputError::Unquoted { .. }) => CliError::of(Exit::Failed, &error)
            .hint("restore the file; a growing file must end with a whole record whenever a run reaches its end"),
        RunError::Job(JobError::MixedTypes { ref field, .. }) => {
            let hint = format!("declare its type: `input: types: {{{field}: number}}` or `text`");
            CliError::of(Exit::Usage, &error).hint(hint)
        }
        RunError::Resume(ResumeError::NoneIntact { ref causes, .. }) => {
            let mut none = CliError::of(Exit::Damaged, &error);
            none.causes = causes
                .iter()
                .map(|(sequence, error)| format!("checkpoint {}: {}", sequence.0, in_one_line(error)))
                .collect();
            none.hint("`ckpt verify STORE` lists all damage; a copy of the store may have a good checkpoint")
        }
        RunError::Job(JobError::Unordered { .. }) => CliError::of(Exit::Usage, &error),
        RunError::Resume(ResumeError::NothingToResume { .. }) => {
            CliError::of(Exit::NotFound, &error).hint("omit `--must-resume` to start from scratch")
        }
        RunError::Resume(ResumeError::StoreMissing { ref output, .. }) => CliError::of(Exit::NotFound, &error)
            .hint(format!("put the store back, or move `{output}` away to start from scratch")),
        RunError::Resume(ResumeError::StoreOfLinesMissing { ref file, .. }) => CliError::of(Exit::NotFound, &error)
            .hint(format!("put the store back, or move `{file}` away to start from scratch")),
        RunError::Resume(ResumeError::CheckpointsMissing { ref output, .. }) => CliError::of(Exit::NotFound, &error)
            .hint(format!("put the checkpoints back, or move `{output}` away to start from scratch")),
        RunError::Output(OutputError::Bucket(error)) => error.into(),
        RunError::Output(OutputError::Taken { ref path }) => CliError::of(Exit::Failed, &error)
            .hint(format!("move `{path}` away, or change `output: files:` or `job:` in {job}")),
        RunError::Output(OutputError::Altered { .. }) => CliError::of(Exit::Failed, &error).hint(
            "put its bytes back; or go back to an earlier checkpoint with `ckpt restore`, which makes the next run publish \
             what follows again",
        ),
        RunError::Outpaced { .. } => CliError::of(Exit::Failed, &error).hint(format!(
            "let `checkpoint: keep: grace:` in {job}, and `--grace` of other prunes, be longer than a checkpoint takes"
        )),
        RunError::Output(OutputError::Having(_)) => CliError::of(Exit::Failed, &error)
            .hint("write `having` so that it can be computed for every row; the run continues from its checkpoints"),
        RunError::Output(OutputError::Topic(KafkaError::Unavailable)) => {
            in_job_file("output.kafka", None, error.to_string())
        }
        RunError::Output(OutputError::Topic(KafkaError::UnknownTopic { ref topic })) => {
            in_job_file("output.kafka.topic", Some(topic), error.to_string())
        }
        RunError::Output(OutputError::Topic(KafkaError::Away { .. } | KafkaError::Unsent { .. })) => {
            CliError::of(Exit::Failed, &error).hint(LATER)
        }
        RunError::Output(OutputError::Topic(KafkaError::Fenced { .. })) => CliError::of(Exit::Failed, &error)
            .hint("the other run continues; jobs that write to the same brokers need different names")
            .hint(LATER),
        RunError::Output(OutputError::Unclear { checkpoint: None, ref topic, .. }) => CliError::of(
            Exit::Failed,
            &error,
        )
        .hint(format!(
            "write to another topic (`output: kafka: topic` in {job}), or let the messages follow what `{topic}` has: \
                 `ckpt run --assume-output sent`"
        )),
        RunError::Output(OutputError::Unclear { ref topic, .. }) => CliError::of(Exit::Failed, &error)
            .hint(format!("if `{topic}` has them, run `ckpt run --assume-output sent`"))
            .hint("if it lacks them, run `ckpt run --assume-output missing`, which sends them, perhaps again"),
        RunError::Output(OutputError::OtherTopic { .. }) => CliError::of(Exit::Failed, &error)
            .hint("run all workers with the same job file; the next one that starts sends what the other topic lacks"),
        RunError::Output(OutputError::OtherFile { .. }) => CliError::of(Exit::Failed, &error)
            .hint("run all workers with the same job file; the next one that starts publishes what is not in place"),
        RunError::Output(OutputError::NotShared { ref sign, .. }) => CliError::of(Exit::Failed, &error)
            .hint(format!("write the output of {job} to a directory that all workers share, or to a bucket"))
            .hint(format!("if they share it, and it was emptied, create the empty file `{sign}`")),
        RunError::Output(OutputError::LinesOfRunAlone { .. }) => CliError::of(Exit::Usage, &error)
            .hint(format!("name another file in {job}: with `--worker`, each checkpoint has a file of its own")),
        RunError::Output(OutputError::Place { .. }) => CliError::of(Exit::Usage, &error),
        RunError::Output(OutputError::DeadLetterTaken { .. }) => CliError::of(Exit::Usage, &error)
            .hint(format!("name another file in {job} (`input: on_error: dead_letter`), or move this one away")),
        RunError::Checkpoint(_) => {
            CliError::of(Exit::Damaged, &error).hint("`ckpt verify --deep STORE` lists all damage")
        }
        RunError::Job(JobError::Processor { .. }) => in_job_file("process.native", None, error.to_string()),
        RunError::Resume(ResumeError::NativeColumns { .. }) => {
            CliError::of(Exit::Usage, &error).hint(format!("{START_OVER}: the columns of a processor cannot change"))
        }
        RunError::Program { ref failure, .. } => match &**failure {
            ProgramFailure::Start { source } => in_job_file("process.exec", None, format!("{error}: {source}")),
            _ => CliError::of(Exit::Failed, &error).hint(RESUMES),
        },
        RunError::RestartsSpent { .. } | RunError::NoRestart { .. } => CliError::of(Exit::Failed, &error).hint(RESUMES),
        _ => CliError::of(Exit::Failed, &error),
    }
}
