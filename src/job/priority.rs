//! `checkpoint: priorities:`, `budget:` and `max_staleness:`, for mode priority.

use std::time::Duration;

use crate::format::manifest::Mode;
use crate::input::record::Filter;
use crate::job::FieldPath;
use crate::job::read::{Result, Section, bytes, longer_than_zero, unfit, within_range};
use crate::values::yaml::Node;

/// How long a shard waits at most when the job file does not say it.
const DEFAULT_STALENESS: Duration = Duration::from_secs(600);
/// The most classes.
const MAX_CLASSES: usize = 100;

/// What mode priority takes first, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrioritySpec {
    /// `priorities:` in the order of the file.
    pub classes: Vec<PriorityClass>,
    /// `budget:` about so many bytes of changed rows in one checkpoint.
    pub budget_bytes: Option<u64>,
    /// `max_staleness:` no shard waits longer, default `10m`.
    pub max_staleness: Duration,
}

/// One of the classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityClass {
    /// `name:` for messages, default what it selects.
    pub name: String,
    /// What belongs to it.
    pub selector: Selector,
    /// `weight:` 1 to 1000, default 1: the heavier come first.
    pub weight: u32,
    /// `every:` 1 to 1000, default 1: it is taken in each so manyth checkpoint.
    pub every: u32,
}

/// What belongs to a class. A shard belongs to the most important class that anything in it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `tasks:` from the first to the last.
    Tasks(u32, u32),
    /// `key:` a CEL expression over `key`.
    Key(String),
    /// `partitions:` a glob, for a job without a key.
    Partitions(String),
    /// Everything that no other class has.
    Others,
}

/// Reads the keys of mode priority in the section `checkpoint`. `tasks` is that of a job with a key.
pub(super) fn read(section: &Section<'_>, mode: Mode, tasks: Option<u32>) -> Result<Option<PrioritySpec>> {
    let keys = ["priorities", "budget", "max_staleness"];
    let found = keys.iter().find_map(|key| Some((key, section.get(key)?)));
    match (mode, found) {
        (Mode::Priority, _) => {}
        (_, None) => return Ok(None),
        (_, Some((key, node))) => return Err(node.unfit(format!("`{key}` needs `mode: priority`"))),
    }
    let budget_bytes = match section.get("budget") {
        None => None,
        Some(node) => match bytes(node)? {
            0 => return Err(node.wrong("a size larger than zero")),
            bytes => Some(bytes),
        },
    };
    let max_staleness = section.get("max_staleness").map_or(Ok(DEFAULT_STALENESS), longer_than_zero)?;
    let nodes = section.get("priorities").map_or(Ok(&[][..]), |node| node.list("a list of classes"))?;
    if nodes.len() > MAX_CLASSES {
        let node = section.get("priorities").expect("there are classes");
        return Err(node.unfit(format!("expected at most {MAX_CLASSES} classes, found {}", nodes.len())));
    }
    if nodes.is_empty() && budget_bytes.is_none() {
        let reason = "`mode: priority` needs `priorities`, a `budget`, or both";
        return Err(section.get("mode").map_or_else(|| unfit(section.mark, reason), |node| node.unfit(reason)));
    }
    let mut classes: Vec<PriorityClass> = Vec::new();
    for node in nodes {
        let class = class(node, tasks)?;
        if classes.iter().any(|other| other.name == class.name) {
            return Err(node.unfit(format!("there are two classes `{}`; give one of them another `name`", class.name)));
        }
        classes.push(class);
    }
    Ok(Some(PrioritySpec { classes, budget_bytes, max_staleness }))
}

/// Refuses what can not be done with shards that are at different cuts: what depends on the time that the whole input has come to, and programs, which
/// hand over all of their state at a cut.
pub(super) fn check_process(process: &Node) -> Result<()> {
    let entries = process.map("a map with `aggregate`")?;
    match entries.iter().find(|entry| ["exec", "window", "ttl"].contains(&entry.key.as_str())) {
        None => Ok(()),
        Some(entry) => {
            let reason = format!("`{}` does not go with `mode: priority`; use `mode: elided`", entry.key);
            Err(unfit(entry.key_mark, reason))
        }
    }
}

fn class(node: &Node, tasks: Option<u32>) -> Result<PriorityClass> {
    let section = Section::new("checkpoint.priorities", node, "a map such as `{tasks: 0-7, weight: 10}`")?;
    let selectors: Vec<(&str, &Node)> =
        ["tasks", "key", "partitions"].into_iter().filter_map(|key| Some((key, section.get(key)?))).collect();
    if let [(first, _), (second, node), ..] = selectors[..] {
        return Err(node.unfit(format!("a class is chosen by `{first}` or by `{second}`, not by both")));
    }
    let selector = match selectors.first() {
        None => Selector::Others,
        Some((key @ "partitions", node)) if tasks.is_some() => {
            return Err(
                node.unfit(format!("`{key}` chooses among the tasks of a job without a `key`; use `tasks` or `key`"))
            );
        }
        Some((key @ ("tasks" | "key"), node)) if tasks.is_none() => {
            return Err(node.unfit(format!("`{key}` needs a job with a `key`; use `partitions`")));
        }
        Some(("tasks", node)) => task_range(node, tasks.unwrap_or(1))?,
        Some(("key", node)) => {
            let text = node.text("an expression such as `key.startsWith(\"vip-\")`")?;
            key_filter(text).map_err(|reason| node.unfit(reason))?;
            Selector::Key(text.to_owned())
        }
        Some((_, node)) => {
            let text = node.text("a glob such as `data/eu-*.jsonl`")?;
            glob::Pattern::new(text).map_err(|error| node.unfit(format!("no glob: {}", error.msg)))?;
            Selector::Partitions(text.to_owned())
        }
    };
    let name = match section.get("name") {
        None => selector.to_string(),
        Some(node) => {
            let name = node.text("a name")?;
            if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
                return Err(node.wrong("a name of at most 100 characters"));
            }
            name.to_owned()
        }
    };
    let number = |key| section.get(key).map_or(Ok(1), |node| within_range(node, 1, 1000));
    Ok(PriorityClass { name, selector, weight: number("weight")?, every: number("every")? })
}

/// Reads `0-7`, or one task.
fn task_range(node: &Node, tasks: u32) -> Result<Selector> {
    let expected = format!("a range of tasks such as `0-7`, within 0 to {}", tasks - 1);
    let text = node.text(&expected)?;
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let task = |text: &str| text.trim().parse::<u32>().ok().filter(|task| *task < tasks);
    match (task(first), task(last)) {
        (Some(first), Some(last)) if first <= last => Ok(Selector::Tasks(first, last)),
        _ => Err(node.wrong(&expected)),
    }
}

/// Compiles the expression of a class by key.
pub fn key_filter(expression: &str) -> std::result::Result<Filter, String> {
    let filter = Filter::new(expression)?;
    match filter.fields().iter().find(|field| **field != FieldPath::of("key")) {
        Some(field) => Err(format!("the expression knows only `key`, found `{field}`")),
        None if filter.fields().is_empty() => Err("the expression does not look at `key`".to_owned()),
        None => Ok(filter),
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Selector::Tasks(first, last) if first == last => write!(f, "task {first}"),
            Selector::Tasks(first, last) => write!(f, "tasks {first}-{last}"),
            Selector::Key(expression) => f.write_str(expression),
            Selector::Partitions(glob) => f.write_str(glob),
            Selector::Others => f.write_str("others"),
        }
    }
}
