//! What messages and tables call things.

use std::fmt::Display;

use jiff::Zoned;

use crate::format::manifest::{Manifest, Routing, Trigger};
use crate::store::Lag;

/// Returns what caused a checkpoint.
pub fn cause(manifest: &Manifest) -> String {
    let word = trigger(manifest.trigger);
    match manifest.restored_from {
        Some(sequence) => format!("{word} of {}", sequence.0),
        None => word.to_owned(),
    }
}

/// Returns what a trigger is called.
pub fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "schedule",
        Trigger::StateBytes => "state bytes",
        Trigger::Records => "records",
        Trigger::Signal => "signal",
        Trigger::Request => "request",
        Trigger::EndOfInput => "end of input",
        Trigger::Shutdown => "shutdown",
        Trigger::Restore => "restore",
    }
}

/// Returns how keys find their tasks.
pub fn routing(routing: Routing) -> &'static str {
    match routing {
        Routing::KeyHash => "by hash of the key",
        Routing::Partition => "one a partition",
        Routing::Program => "by the program",
    }
}

/// Says who holds a store while `doing` something, for whoever finds it locked.
pub fn holder(doing: &str, now: &Zoned) -> String {
    let uname = rustix::system::uname();
    let since = now.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("{doing}, process {} on {}, since {since}", std::process::id(), uname.nodename().to_string_lossy())
}

/// Returns `yes` or nothing, for a cell.
pub fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "" }
}

/// Returns a number with its noun: `1 key`, `1,234 keys`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", crate::values::units::Count(number), if number == 1 { "" } else { "s" })
}

/// Returns a cell, `-` where there is nothing to say.
pub fn or_dash(cell: Option<impl Display>) -> String {
    cell.map_or_else(|| "-".to_owned(), |cell| cell.to_string())
}

/// Says how far a replica is behind, if it is.
pub fn lag(lag: &Lag) -> Option<String> {
    let place = &lag.place;
    match (&lag.error, lag.behind) {
        (Some(error), _) => Some(format!("replica `{place}` can not be used: {error}")),
        (None, Some(behind)) if behind > 0 => {
            Some(format!("replica `{place}` is {} behind", counted(behind, "checkpoint")))
        }
        _ => None,
    }
}
