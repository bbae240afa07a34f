//! The keys of a job file, and the messages about unknown ones.

use strsim::damerau_levenshtein;

use crate::values::units::shown;

/// The keys of each section of a job file, in the order of `docs/job-file.md`. The name of the top level is empty.
///
/// A test compares them with the rows of that document.
pub const KEYS: [(&str, &[&str]); 13] = [
    ("", &["job", "input", "let", "where", "key", "tasks", "process", "checkpoint", "output"]),
    (
        "input",
        &[
            "files",
            "kafka",
            "format",
            "delimiter",
            "split",
            "pattern",
            "encoding",
            "nulls",
            "numbers",
            "types",
            "on_error",
            "on_gone",
            "max_record_bytes",
            "follow",
        ],
    ),
    ("input.kafka", &["brokers", "topic", "start", "until", "columns", "settings", "settings_file", "timeout"]),
    ("input.numbers", &["thousands", "decimal", "strip"]),
    ("input.on_error", &["dead_letter", "max"]),
    (
        "process",
        &[
            "aggregate",
            "delete",
            "exec",
            "timeout",
            "restarts",
            "backoff",
            "tick",
            "columns",
            "native",
            "window",
            "ttl",
            "time",
            "unit",
            "ahead",
        ],
    ),
    ("process.window", &["time", "unit", "every", "length", "late", "on_late", "ahead"]),
    ("process.window.on_late", &["dead_letter"]),
    (
        "checkpoint",
        &[
            "enabled",
            "schedule",
            "state_bytes",
            "records",
            "min_pause",
            "jitter",
            "timeout",
            "tolerate",
            "mode",
            "priorities",
            "budget",
            "max_staleness",
            "store",
            "replicas",
            "min_copies",
            "keep",
        ],
    ),
    ("checkpoint.priorities", &["name", "tasks", "key", "partitions", "weight", "every"]),
    ("checkpoint.keep", &["last", "hourly", "daily", "weekly", "monthly", "within", "bytes", "grace"]),
    ("output", &["files", "kafka", "format", "emit", "columns", "having"]),
    ("output.kafka", &["topic", "brokers", "settings", "settings_file", "timeout"]),
];

/// Returns what is wrong with `key` in `section`, or `None` if the section has this key.
pub(super) fn check(section: &str, key: &str) -> Option<String> {
    let known = KEYS.iter().find(|(name, _)| *name == section).map_or(&[][..], |(_, keys)| keys);
    if known.contains(&key) {
        return None;
    }
    let place = if section.is_empty() { String::new() } else { format!(" in `{section}`") };
    let elsewhere = KEYS.iter().find(|(_, keys)| keys.contains(&key));
    if let Some((home, _)) = elsewhere {
        let home = if home.is_empty() { "the top of the file".to_owned() } else { format!("`{home}`") };
        return Some(format!("unknown key `{key}`{place}; it belongs {}", at_or_in(&home)));
    }
    Some(unknown("key", key, &place, known))
}

/// Returns a message about an unknown name that suggests the nearest known one, or else lists all. `place` follows the
/// name.
pub(crate) fn unknown(what: &str, name: &str, place: &str, known: &[&str]) -> String {
    let beginning = format!("unknown {what} `{}`{place}", shown(name));
    match nearest(name, known) {
        Some(near) => format!("{beginning}, did you mean `{near}`?"),
        None => match known {
            [only] => format!("{beginning}, expected `{only}`"),
            _ => format!("{beginning}, expected one of {}", list(known)),
        },
    }
}

/// Returns the known name that `name` probably stands for. Up to a third of its letters may be wrong.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > 60 {
        return None;
    }
    let name = name.to_lowercase().replace('-', "_");
    let allowed = (name.chars().count() / 3).max(1);
    let plain = |candidate: &str| candidate.to_lowercase().replace('-', "_");
    let near = known.iter().map(|candidate| (damerau_levenshtein(&name, &plain(candidate)), *candidate));
    near.filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len()).min().map(|(_, near)| near)
}

/// Returns the names in backquotes, separated by commas.
pub(super) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn at_or_in(home: &str) -> String {
    if home.starts_with('`') { format!("in {home}") } else { format!("at {home}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_gets_the_most_helpful_answer() {
        for (section, key, answer) in [
            ("checkpoint", "schedul", "unknown key `schedul` in `checkpoint`, did you mean `schedule`?"),
            ("checkpoint", "state-bytes", "unknown key `state-bytes` in `checkpoint`, did you mean `state_bytes`?"),
            ("checkpoint", "daily", "unknown key `daily` in `checkpoint`; it belongs in `checkpoint.keep`"),
            ("", "schedule", "unknown key `schedule`; it belongs in `checkpoint`"),
            ("input", "tasks", "unknown key `tasks` in `input`; it belongs at the top of the file"),
            ("", "keep", "unknown key `keep`; it belongs in `checkpoint`"),
            ("", "Job", "unknown key `Job`, did you mean `job`?"),
            (
                "output",
                "x",
                "unknown key `x` in `output`, expected one of `files`, `kafka`, `format`, `emit`, `columns`, `having`",
            ),
            (
                "process",
                "",
                "unknown key `` in `process`, expected one of `aggregate`, `delete`, `exec`, `timeout`, `restarts`, \
                 `backoff`, `tick`, `columns`, `native`, `window`, `ttl`, `time`, `unit`, `ahead`",
            ),
        ] {
            assert_eq!(check(section, key).as_deref(), Some(answer));
        }
        assert_eq!(check("checkpoint", "schedule"), None);
        assert!(check("", &"x".repeat(100_000)).unwrap().len() < 300);
    }
}
