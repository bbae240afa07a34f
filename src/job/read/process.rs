//! `process:`

use crate::job::aggregate::AggregateSpec;
use crate::job::model::{ExecSpec, KeyField};
use crate::job::read::field::KnownFields;
use crate::job::read::section::{Result, Section};
use crate::job::read::{aggregates, exec};
use crate::values::yaml::Node;

/// What computes the state: exactly one of the three.
#[derive(Default)]
pub(super) struct Process {
    pub(super) aggregates: Vec<AggregateSpec>,
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
    Ok(Process { aggregates: aggregates::read(node, known, is_keyed, key)?, ..Process::default() })
}
