//! `checkpoint: priorities:`, `budget:` and `max_staleness:`, for mode priority

use std::time::Duration;

use crate::format::manifest::Mode;
use crate::input::globs::PartitionGlob;
use crate::job::key_filter::key_filter;
use crate::job::model::{PriorityClass, PrioritySpec, Selector};
use crate::job::read::scalar::{bytes_above_zero, longer_than_zero, within_range};
use crate::job::read::section::{Mistakes, Result, Section, all, unfit};
use crate::values::yaml::Node;

const DEFAULT_STALENESS: Duration = Duration::from_secs(600);
const MAX_CLASSES: usize = 100;
const MAX_NAME_CHARS: usize = 100;

/// Reads the keys of mode priority in the section `checkpoint`. `tasks` is that of a job with a key.
pub(super) fn read(section: &Section<'_>, mode: Mode, tasks: Option<u32>) -> Result<Option<PrioritySpec>> {
    let keys = ["priorities", "budget", "max_staleness"];
    let found = keys.iter().find_map(|key| Some((key, section.get(key)?)));
    match (mode, found) {
        (Mode::Priority, _) => {}
        (_, None) => return Ok(None),
        (_, Some((key, node))) => return Err(node.unfit(format!("`{key}` needs `mode: priority`"))),
    }
    let mut mistakes = Mistakes::default();
    let budget_bytes = mistakes.take(section.get("budget").map(bytes_above_zero).transpose());
    let max_staleness = mistakes.take(section.get("max_staleness").map_or(Ok(DEFAULT_STALENESS), longer_than_zero));
    let classes = mistakes.take(section.get("priorities").map_or(Ok(Vec::new()), |node| classes(node, tasks)));
    mistakes.none()?;
    if classes.is_empty() && budget_bytes.is_none() {
        return Err(section.unfit("mode", "`mode: priority` needs `priorities`, a `budget`, or both"));
    }
    Ok(Some(PrioritySpec { classes, budget_bytes, max_staleness }))
}

/// Rejects what does not work while shards are at different cuts: windows and expiry, which depend on how far the whole
/// input has come, and programs, which hand over all of their state at one cut.
pub(super) fn check_process(process: &Node) -> Result<()> {
    let entries = process.map("a map with `aggregate`")?;
    match entries.iter().find(|entry| ["exec", "window", "ttl"].contains(&entry.key.as_str())) {
        None => Ok(()),
        Some(entry) => {
            let reason = format!("`{}` cannot be used with `mode: priority`; use `mode: elided`", entry.key);
            Err(unfit(entry.key_mark, reason))
        }
    }
}

fn classes(node: &Node, tasks: Option<u32>) -> Result<Vec<PriorityClass>> {
    let nodes = node.list("a list of classes")?;
    if nodes.len() > MAX_CLASSES {
        return Err(node.unfit(format!("expected at most {MAX_CLASSES} classes, found {}", nodes.len())));
    }
    let mut classes: Vec<PriorityClass> = Vec::new();
    for (class, node) in all(nodes.iter().map(|node| class(node, tasks)))?.into_iter().zip(nodes) {
        if classes.iter().any(|other| other.name == class.name) {
            return Err(node.unfit(format!("there are two classes `{}`; give one of them another `name`", class.name)));
        }
        classes.push(class);
    }
    Ok(classes)
}

fn class(node: &Node, tasks: Option<u32>) -> Result<PriorityClass> {
    let section = Section::new("checkpoint.priorities", node, "a map such as `{tasks: 0-7, weight: 10}`")?;
    let selector = selector(&section, tasks)?;
    let name = match section.get("name") {
        None => selector.to_string(),
        Some(node) => {
            let name = node.text("a name")?;
            if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
                return Err(node.wrong("a name of at most 100 characters"));
            }
            name.to_owned()
        }
    };
    let number = |key| section.get(key).map_or(Ok(1), |node| within_range(node, 1, 1000));
    Ok(PriorityClass { name, selector, weight: number("weight")?, every: number("every")? })
}

fn selector(section: &Section<'_>, tasks: Option<u32>) -> Result<Selector> {
    let selectors: Vec<(&str, &Node)> =
        ["tasks", "key", "partitions"].into_iter().filter_map(|key| Some((key, section.get(key)?))).collect();
    if let [(first, _), (second, node), ..] = selectors[..] {
        return Err(node.unfit(format!("a class has either `{first}` or `{second}`, not both")));
    }
    match selectors.first() {
        None => Ok(Selector::Others),
        Some((key @ "partitions", node)) if tasks.is_some() => {
            Err(node.unfit(format!("`{key}` needs a job without a `key`; use `tasks` or `key`")))
        }
        Some((key @ ("tasks" | "key"), node)) if tasks.is_none() => {
            Err(node.unfit(format!("`{key}` needs a job with a `key`; use `partitions`")))
        }
        Some(("tasks", node)) => task_range(node, tasks.unwrap_or(1)),
        Some(("key", node)) => {
            let text = node.text("an expression such as `key.startsWith(\"vip-\")`")?;
            key_filter(text).map_err(|error| {
                match error.index_in(text).and_then(|index| node.exact_mark_within(index)) {
                    Some(mark) => unfit(mark, error.reason),
                    None => node.unfit(error.to_string()),
                }
            })?;
            Ok(Selector::Key(text.to_owned()))
        }
        Some((_, node)) => {
            let text = node.text("a glob such as `data/eu-*.jsonl`")?;
            PartitionGlob::new(text).map_err(|reason| node.unfit(format!("invalid glob: {reason}")))?;
            Ok(Selector::Partitions(text.to_owned()))
        }
    }
}

/// Reads `0-7`, or a single task.
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
