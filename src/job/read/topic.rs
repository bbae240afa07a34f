//! `input: kafka:` and `output: kafka:`

use std::time::Duration;

use crate::job::model::{InputFormat, TopicSpec, TopicStart};
use crate::job::read::scalar::{choose, longer_than_zero, path};
use crate::job::read::section::{Mistakes, Result, Section};
use crate::kafka;
use crate::values::units::shown;
use crate::values::yaml::{Kind, Node};

/// How long a run waits for brokers that do not answer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// The longest name of a topic.
const MAX_TOPIC_CHARS: usize = 249;

/// Reads the section. Returns the topic, and whether it is followed.
pub(super) fn read(node: &Node) -> Result<(TopicSpec, bool)> {
    let section = Section::new("input.kafka", node, "a map with `brokers` and `topic`")?;
    let mut mistakes = Mistakes::default();
    let brokers = mistakes.take(section.require("brokers", "such as `localhost:9092`").and_then(brokers));
    let topic = mistakes.take(section.require("topic", "the name of the topic").and_then(topic));
    let start = section.get("start").map(|node| choose(node, "start", &TopicStart::NAMED));
    let start = mistakes.get(start.unwrap_or(Ok(TopicStart::Earliest))).unwrap_or(TopicStart::Earliest);
    let until = mistakes.take(section.get("until").map(|node| choose(node, "until", &[("latest", ())])).transpose());
    let columns = mistakes.take(section.get("columns").map_or(Ok(Vec::new()), columns));
    let settings = mistakes.take(section.get("settings").map_or(Ok(Vec::new()), settings));
    let settings_file = mistakes.take(section.get("settings_file").map(path).transpose());
    let timeout = mistakes.take(section.get("timeout").map_or(Ok(DEFAULT_TIMEOUT), longer_than_zero));
    mistakes.none()?;
    let spec = TopicSpec { brokers, topic, start, columns, settings, settings_file, timeout };
    Ok((spec, until.is_none()))
}

/// Reads the topic of an output. What it does not say about the brokers, `input` says, unless it names brokers of its own.
pub(super) fn read_output(node: &Node, input: Option<&TopicSpec>) -> Result<TopicSpec> {
    let section = Section::new("output.kafka", node, "a map with `topic`")?;
    let mut mistakes = Mistakes::default();
    let topic = mistakes.take(section.require("topic", "the name of the topic").and_then(topic));
    let input = input.filter(|_| section.get("brokers").is_none());
    let own_brokers = || section.require("brokers", "such as `localhost:9092`").and_then(brokers);
    let brokers = mistakes.take(input.map_or_else(own_brokers, |input| Ok(input.brokers.clone())));
    let settings = match (section.get("settings"), input) {
        (Some(node), _) => mistakes.take(settings_of_output(node)),
        (None, Some(input)) => input.settings.clone(),
        (None, None) => Vec::new(),
    };
    let settings_file = match (section.get("settings_file"), input) {
        (Some(node), _) => mistakes.take(path(node).map(Some)),
        (None, input) => input.and_then(|input| input.settings_file.clone()),
    };
    let default = input.map_or(DEFAULT_TIMEOUT, |input| input.timeout);
    let timeout = mistakes.take(section.get("timeout").map_or(Ok(default), longer_than_zero));
    mistakes.none()?;
    let (start, columns) = (TopicStart::Earliest, Vec::new());
    Ok(TopicSpec { brokers, topic, start, columns, settings, settings_file, timeout })
}

/// Rejects keys of files that say nothing about a topic, and columns that do not fit the format.
pub(super) fn check(input: &Section<'_>, node: &Node, topic: &TopicSpec, format: &InputFormat) -> Result<()> {
    for (key, instead) in [
        ("files", "a job reads files or a topic"),
        ("follow", "a topic is followed unless `until: latest` is set"),
        ("encoding", "messages are UTF-8"),
    ] {
        if let Some(node) = input.get(key) {
            return Err(node.unfit(format!("`{key}` cannot be used with `kafka`: {instead}")));
        }
    }
    match (format, topic.columns.is_empty()) {
        (InputFormat::Csv { .. }, true) => {
            Err(node.unfit("CSV in a topic has no header line: add `columns` with the names of the fields"))
        }
        (InputFormat::Csv { .. }, false) | (_, true) => Ok(()),
        (_, false) => Err(node.unfit("`columns` needs `format: csv`")),
    }
}

fn brokers(node: &Node) -> Result<String> {
    let expected = "brokers such as `localhost:9092`, separated by commas";
    let text = node.text(expected)?;
    let is_broker = |broker: &str| {
        let port = broker.trim().rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        port.is_some_and(|port| port.parse::<u16>().is_ok())
    };
    if text.split(',').all(is_broker) { Ok(text.to_owned()) } else { Err(node.wrong(expected)) }
}

fn topic(node: &Node) -> Result<String> {
    let expected = "a name of at most 249 letters, digits, `.`, `_` and `-`";
    let name = node.text(expected)?;
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && (1..=MAX_TOPIC_CHARS).contains(&name.len())
        && !matches!(name, "." | "..");
    if fits { Ok(name.to_owned()) } else { Err(node.wrong(expected)) }
}

fn columns(node: &Node) -> Result<Vec<String>> {
    let expected = "a list of column names, such as `[user, amount]`";
    let Kind::List(items) = &node.kind else { return Err(node.wrong(expected)) };
    let mut columns: Vec<String> = Vec::new();
    for item in items {
        let name = item.text(expected)?;
        if name.is_empty() || columns.iter().any(|known| known == name) {
            return Err(item.unfit(format!("each column needs a name of its own, found `{}` again", shown(name))));
        }
        columns.push(name.to_owned());
    }
    if columns.is_empty() { Err(node.wrong(expected)) } else { Ok(columns) }
}

fn settings_of_output(node: &Node) -> Result<Vec<(String, String)>> {
    for entry in node.map("a map of properties")? {
        if kafka::WRITER_PROPERTIES.contains(&entry.key.as_str()) {
            return Err(entry.value.unfit(format!("`{}` cannot be set: ckpt sets it itself", entry.key)));
        }
    }
    settings(node)
}

fn settings(node: &Node) -> Result<Vec<(String, String)>> {
    let expected = "a map of properties such as `security.protocol: SASL_SSL`";
    let mut settings = Vec::new();
    for entry in node.map(expected)? {
        let name = &entry.key;
        if kafka::is_secret(name) {
            let reason = "is a secret, and each checkpoint stores the job: put it in the file `settings_file`";
            return Err(entry.value.unfit(format!("`{}` {reason}", shown(name))));
        }
        if kafka::OWN_PROPERTIES.contains(&name.as_str()) {
            return Err(entry.value.unfit(format!("`{name}` cannot be set: ckpt sets it itself")));
        }
        settings.push((name.clone(), entry.value.text(expected)?.to_owned()));
    }
    Ok(settings)
}
