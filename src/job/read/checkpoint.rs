//! `checkpoint:`

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::format::manifest::Mode;
use crate::job::calendar::Calendar;
use crate::job::model::{CheckpointSpec, KeepSpec, Schedule};
use crate::job::read::priority;
use crate::job::read::scalar::{bytes, bytes_above_zero, choose, duration, longer_than_zero, path};
use crate::job::read::section::{Mistakes, Result, Section};
use crate::store::prune::DEFAULT_GRACE;
use crate::store::prune::policy::Policy;
use crate::values::units;
use crate::values::yaml::Node;

const DEFAULT_SCHEDULE: Duration = Duration::from_secs(60);
const MAX_SCHEDULE: Duration = Duration::from_secs(366 * 86_400);

/// Reads `checkpoint:`, if there is one, of the job named `job`. `tasks` is that of a job with a key.
pub(super) fn read(node: Option<&Node>, job: &str, tasks: Option<u32>) -> Result<CheckpointSpec> {
    let default_store = Path::new("checkpoints").join(job);
    let Some(node) = node else { return Ok(default(default_store)) };
    let section = Section::new("checkpoint", node, "a map such as `{schedule: 10m}`")?;
    let mut mistakes = Mistakes::default();
    let enabled = mistakes.take(section.get("enabled").map_or(Ok(true), Node::boolean));
    let state_bytes = mistakes.take(section.get("state_bytes").map(bytes_above_zero).transpose());
    let records = mistakes.take(section.get("records").map(records).transpose());
    let mode = mistakes.get(section.get("mode").map_or(Ok(Mode::Elided), mode));
    let has_others = section.get("state_bytes").or(section.get("records")).is_some();
    let schedule = mode.map(|mode| mistakes.take(read_schedule(&section, mode, has_others)));
    let min_pause = mistakes.take(section.get("min_pause").map_or(Ok(Duration::ZERO), duration));
    let jitter = mistakes.take(section.get("jitter").map_or(Ok(Duration::ZERO), duration));
    let timeout = mistakes.take(section.get("timeout").map(longer_than_zero).transpose());
    let tolerate = mistakes.take(section.get("tolerate").map_or(Ok(0), tolerate));
    let priority = mode.map(|mode| mistakes.take(priority::read(&section, mode, tasks)));
    let store = mistakes.take(section.get("store").map_or(Ok(default_store), path));
    let replicas = mistakes.get(replicas(section.get("replicas"), &store));
    let copies = replicas.as_ref().map(|replicas| 1 + replicas.len());
    let min_copies = copies
        .map(|copies| mistakes.take(section.get("min_copies").map_or(Ok(copies), |node| min_copies(node, copies))));
    let keep = mistakes.take(section.get("keep").map(keep).transpose());
    mistakes.none()?;
    let everything = (mode, schedule, priority, replicas, min_copies);
    let (Some(mode), Some(schedule), Some(priority), Some(replicas), Some(min_copies)) = everything else {
        unreachable!("what could not be read is a mistake");
    };
    if let (Some(node), None) = (section.get("jitter"), &schedule) {
        return Err(node.unfit("`jitter` delays scheduled checkpoints; it needs a `schedule`"));
    }
    Ok(CheckpointSpec {
        enabled,
        schedule,
        state_bytes,
        records,
        min_pause,
        jitter,
        timeout,
        tolerate,
        mode,
        priority,
        store,
        replicas,
        min_copies,
        keep,
    })
}

fn default(store: PathBuf) -> CheckpointSpec {
    CheckpointSpec {
        enabled: true,
        schedule: Some(Schedule::Every(DEFAULT_SCHEDULE)),
        state_bytes: None,
        records: None,
        min_pause: Duration::ZERO,
        jitter: Duration::ZERO,
        timeout: None,
        tolerate: 0,
        mode: Mode::Elided,
        priority: None,
        store,
        replicas: Vec::new(),
        min_copies: 1,
        keep: None,
    }
}

fn mode(node: &Node) -> Result<Mode> {
    choose(node, "mode", &[Mode::Elided, Mode::Priority, Mode::Scheduled].map(|mode| (mode.name(), mode)))
}

/// Reads `schedule:`. `has_others` says whether other keys trigger checkpoints.
fn read_schedule(section: &Section<'_>, mode: Mode, has_others: bool) -> Result<Option<Schedule>> {
    match section.get("schedule") {
        Some(node) => schedule(node, mode).map(Some),
        None if mode == Mode::Scheduled => {
            let reason = "`mode: scheduled` needs a `schedule`, such as `6h` or `\"0 */6 * * *\"`";
            Err(section.unfit("mode", reason))
        }
        None => Ok((!has_others).then_some(Schedule::Every(DEFAULT_SCHEDULE))),
    }
}

fn schedule(node: &Node, mode: Mode) -> Result<Schedule> {
    let text = node.text(units::DURATION_FORM)?;
    let is_cron = text.starts_with('@') || text.split_whitespace().count() >= 5 || text.contains('*');
    if is_cron {
        if mode != Mode::Scheduled {
            let reason = "a cron expression needs `mode: scheduled`; the other modes take an interval such as `10m`";
            return Err(node.unfit(reason));
        }
        Calendar::cron(text).map_err(|reason| node.unfit(format!("invalid cron expression: {reason}")))?;
        return Ok(Schedule::Cron(text.to_owned()));
    }
    let schedule = duration(node)?;
    if schedule.is_zero() || schedule > MAX_SCHEDULE {
        return Err(node.wrong("a duration longer than zero and at most `366d`"));
    }
    Ok(Schedule::Every(schedule))
}

fn records(node: &Node) -> Result<u64> {
    let expected = "a whole number of records, at least 1";
    match node.integer(expected)? {
        0 => Err(node.wrong(expected)),
        records => Ok(records),
    }
}

fn tolerate(node: &Node) -> Result<u32> {
    let expected = "a whole number of failed attempts in a row, at most 1000000";
    let number = node.integer(expected)?;
    u32::try_from(number).ok().filter(|number| *number <= 1_000_000).ok_or_else(|| node.wrong(expected))
}

fn replicas(node: Option<&Node>, store: &Path) -> Result<Vec<PathBuf>> {
    let mut replicas = Vec::new();
    let nodes = node.map_or(Ok(&[][..]), |node| node.list("a list of directories"))?;
    for node in nodes {
        let replica = path(node)?;
        if replica == store {
            return Err(node.unfit(format!("the replica {node} is the store itself")));
        }
        if replicas.contains(&replica) {
            return Err(node.unfit(format!("{node} is listed twice")));
        }
        replicas.push(replica);
    }
    Ok(replicas)
}

/// Reads how many of `copies`, the store and its replicas, must have a checkpoint.
fn min_copies(node: &Node, copies: usize) -> Result<usize> {
    let number = node.text("a number")?.parse().ok().filter(|number| (1..=copies).contains(number));
    number.ok_or_else(|| node.wrong(&format!("a number from 1 to {copies}, which is the store and its replicas")))
}

fn keep(node: &Node) -> Result<KeepSpec> {
    let section = Section::new("checkpoint.keep", node, "a map such as `{last: 10, daily: 7}`")?;
    let mut mistakes = Mistakes::default();
    let within = mistakes.take(section.get("within").map(duration).transpose());
    let grace = mistakes.take(section.get("grace").map(duration).transpose());
    let bytes = mistakes.take(section.get("bytes").map(bytes).transpose());
    let mut count =
        |key| mistakes.take(section.get(key).map_or(Ok(0), |node| node.integer("a whole number of checkpoints")));
    let policy = Policy {
        all: false,
        last: count("last"),
        hourly: count("hourly"),
        daily: count("daily"),
        weekly: count("weekly"),
        monthly: count("monthly"),
        within,
        bytes,
    };
    mistakes.none()?;
    if policy.check().is_err() {
        return Err(node.unfit("`keep` needs a rule that keeps something, such as `last: 10`"));
    }
    Ok(KeepSpec { policy, grace: grace.unwrap_or(DEFAULT_GRACE) })
}
