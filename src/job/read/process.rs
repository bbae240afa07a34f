//! `process:`

use crate::job::aggregate::AggregateSpec;
use crate::job::condition::Condition;
use crate::job::known_fields::KnownFields;
use crate::job::model::{ExecSpec, KeyField};
use crate::job::read::field::{condition, expression};
use crate::job::read::section::{Mistakes, Result, Section};
use crate::job::read::{aggregates, exec};
use crate::values::yaml::Node;

/// What computes the state: exactly one of the three.
#[derive(Default)]
pub(super) struct Process {
    pub(super) aggregates: Vec<AggregateSpec>,
    pub(super) delete: Option<Condition>,
    pub(super) exec: Option<ExecSpec>,
    pub(super) native: Option<String>,
}

pub(super) fn read(node: &Node, known: KnownFields<'_>, is_keyed: bool, key: &[KeyField]) -> Result<Process> {
    let section = Section::new("process", node, "a map with `aggregate` or `exec`")?;
    if let Some(exec) = exec::read(&section)? {
        return Ok(Process { exec: Some(exec), ..Process::default() });
    }
    if let Some(native) = exec::read_native(&section)? {
        return Ok(Process { native: Some(native), ..Process::default() });
    }
    let node = section.require("aggregate", "what to compute for each key, or `exec`: a program of your own")?;
    let mut mistakes = Mistakes::default();
    let aggregates = mistakes.take(aggregates::read(node, known, is_keyed, key));
    let delete = mistakes.take(section.get("delete").map(|node| delete(node, &section, known, is_keyed)).transpose());
    mistakes.none()?;
    Ok(Process { aggregates, delete, ..Process::default() })
}

/// Reads `delete:`, which needs rows that one record can name.
fn delete(node: &Node, process: &Section<'_>, known: KnownFields<'_>, is_keyed: bool) -> Result<Condition> {
    if !is_keyed {
        return Err(node.unfit("`delete` needs `key`: without a key each partition is a row of its own"));
    }
    if process.get("window").is_some() {
        let reason = "`delete` and `window` cannot be used together: a window leaves the state when it closes";
        return Err(node.unfit(reason));
    }
    condition(node, 0, &expression(node, "op == \"d\"")?, known)
}
