//! Opens what Samza wrote, for all subcommands.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::kafka::{KafkaError, parse_properties};
use crate::ops::finding::Severity;
use crate::ops::samza::finding::SamzaFinding;
use crate::ops::samza::found::Found;
use crate::ops::samza::read::{self, ReadError, Sources};
use crate::ops::samza::topic::TopicAddress;
use crate::samza::checkpoint::Version;
use crate::samza::topic::topic_name;

/// The help of an argument that names what Samza wrote.
pub(super) const PATH_HELP: &str = "A directory of checkpoint files, of local stores or of a blob store, a dump of a \
    checkpoint topic, a directory with any of them, a file of offsets for `checkpoint-tool.sh`, or the topic itself, `kafka://BROKERS/JOB/ID`";

/// How the brokers of a checkpoint topic are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct BrokerArgs {
    /// A file with properties of librdkafka for `kafka://`, one `name=value` per line, such as a login
    #[arg(long, value_name = "FILE")]
    pub kafka_settings: Option<PathBuf>,
}

/// Reads `paths`. Fails if nothing there is of Samza.
pub(super) fn open(paths: &[PathBuf], brokers: &BrokerArgs) -> Result<Found, CliError> {
    let found = read::read(&sources(paths, brokers)?).map_err(explain)?;
    if found.is_empty() && found.refused.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
        return Err(CliError::not_found(format!("found nothing that Samza wrote in {}", paths.join(", ")))
            .hint("docs/samza.md says which files, dumps and topics can be read"));
    }
    Ok(found)
}

/// Tells the topics from the paths.
fn sources(paths: &[PathBuf], brokers: &BrokerArgs) -> Result<Sources, CliError> {
    let mut sources = Sources::default();
    for path in paths {
        match path.to_str().and_then(TopicAddress::parse) {
            Some(address) => sources.topics.push(address.map_err(CliError::usage)?),
            None => sources.paths.push(path.clone()),
        }
    }
    let mut jobs = BTreeMap::new();
    for address in &sources.topics {
        if let Some(other) = jobs.insert(topic_name(&address.job, ""), address) {
            let message = format!("the tasks of `{other}` and `{address}` cannot be told apart");
            return Err(CliError::usage(message).hint("read one at a time, or compare them with `ckpt samza diff`"));
        }
    }
    sources.properties = properties(brokers)?;
    Ok(sources)
}

/// Reads the properties of librdkafka.
pub(super) fn properties(brokers: &BrokerArgs) -> Result<Vec<(String, String)>, CliError> {
    let Some(path) = &brokers.kafka_settings else { return Ok(Vec::new()) };
    let text = fs::read_to_string(path).map_err(|error| CliError::io("read", path, &error))?;
    parse_properties(&text)
        .map_err(|line| CliError::usage(format!("line {line} of `{}` is not `name=value`", path.display())))
}

/// Adds the exit code and hints to an error.
fn explain(error: ReadError) -> CliError {
    match error {
        ReadError::Path { path, source } if source.kind() == io::ErrorKind::NotFound => {
            CliError::not_found(format!("`{}` does not exist", path.display()))
        }
        ReadError::Path { path, source } => CliError::io("read", path, &source),
        ReadError::SeveralIds { .. } => {
            CliError::usage(error.to_string()).hint("read one at a time, or compare them with `ckpt samza diff`")
        }
        ReadError::Topic(error) => explain_topic(
            error,
            "check the name and the id of the job, and that it uses `KafkaCheckpointManagerFactory`",
        ),
    }
}

/// Does the same for a topic; `missing` is the hint if there is no such topic.
pub(super) fn explain_topic(error: KafkaError, missing: &str) -> CliError {
    match error {
        KafkaError::Unavailable | KafkaError::Setting { .. } => CliError::usage(error.to_string()),
        KafkaError::UnknownTopic { .. } => CliError::of(Exit::NotFound, &error).hint(missing),
        KafkaError::Away { .. } => CliError::of(Exit::Failed, &error)
            .hint("check the addresses of the brokers, and `--kafka-settings` if they ask for TLS or a login"),
        KafkaError::Refused { .. }
        | KafkaError::Unwritable { .. }
        | KafkaError::Unsent { .. }
        | KafkaError::Replaced { .. }
        | KafkaError::Fenced { .. } => CliError::of(Exit::Failed, &error),
    }
}

/// Prints a warning for each file that could not be read. Returns whether there is one.
pub(super) fn warn_of_unreadable(found: &Found, ui: &Ui) -> bool {
    for SamzaFinding { path, expected, found, .. } in unreadable(found) {
        ui.warn(format!("`{path}` is not {expected}: {found}"));
    }
    for (path, reason) in &found.refused {
        ui.warn(format!("cannot read `{path}`: {reason}"));
    }
    unreadable(found).next().is_some() || !found.refused.is_empty()
}

/// Returns what was read and is not what it should be.
pub(super) fn unreadable(found: &Found) -> impl Iterator<Item = &SamzaFinding> {
    found.findings.iter().filter(|finding| finding.code.severity() == Severity::Damage)
}

/// Parses the version of checkpoints that is preferred.
pub(super) fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "1" => Ok(Version::V1),
        "2" => Ok(Version::V2),
        _ => Err("expected 1 or 2".to_owned()),
    }
}
