//! `process: exec:` and `process: native:`

use std::time::Duration;

use crate::job::model::ExecSpec;
use crate::job::read::columns;
use crate::job::read::scalar::longer_than_zero;
use crate::job::read::section::{Mistakes, Result, Section, unfit};
use crate::values::units::shown;
use crate::values::yaml::{Kind, Node};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_BACKOFF: Duration = Duration::from_secs(1);
const MAX_RESTARTS: u64 = 1_000_000;
const MAX_ARGUMENTS: usize = 1_000;
const MAX_NATIVE_CHARS: usize = 100;

/// The keys that only go with `exec`.
const COMPANIONS: [&str; 5] = ["timeout", "restarts", "backoff", "tick", "columns"];

/// The keys that exclude `exec`, and what the program does instead of them.
const EXCLUDED: [(&str, &str); 5] = [
    ("aggregate", "decides what to compute"),
    ("native", "decides what to compute"),
    ("delete", "deletes its own keys"),
    ("window", "forms its own windows"),
    ("ttl", "decides what expires"),
];

/// Reads the program of the section `process`, if it has one.
pub(super) fn read(process: &Section<'_>) -> Result<Option<ExecSpec>> {
    let Some(node) = process.get("exec") else {
        return match COMPANIONS.iter().find_map(|name| Some((name, process.get(name)?))) {
            Some((name, node)) => Err(node.unfit(format!("`{name}` needs `exec`: it configures a program"))),
            None => Ok(None),
        };
    };
    for (other, meaning) in EXCLUDED {
        if let Some(other_node) = process.get(other) {
            let reason = format!("`{other}` and `exec` cannot be used together: the program {meaning}");
            return Err(other_node.unfit(reason));
        }
    }
    let mut mistakes = Mistakes::default();
    let command = mistakes.take(command(node));
    let restarts = mistakes.take(process.get("restarts").map_or(Ok(0), restarts));
    let timeout = mistakes.take(process.get("timeout").map_or(Ok(DEFAULT_TIMEOUT), longer_than_zero));
    let backoff = mistakes.take(process.get("backoff").map_or(Ok(DEFAULT_BACKOFF), longer_than_zero));
    let tick = mistakes.take(process.get("tick").map(longer_than_zero).transpose());
    let columns = mistakes.get(process.get("columns").map_or(Ok(Vec::new()), columns::of_state));
    mistakes.none()?;
    if let (Some(node), 0) = (process.get("backoff"), restarts) {
        return Err(node.unfit("`backoff` needs `restarts`: without it nothing is restarted"));
    }
    Ok(Some(ExecSpec { command, timeout, restarts, backoff, tick, columns: columns.unwrap_or_default() }))
}

fn restarts(node: &Node) -> Result<u32> {
    match node.integer("a whole number of restarts")? {
        restarts @ 0..=MAX_RESTARTS => Ok(restarts as u32),
        _ => Err(node.wrong("at most 1000000 restarts")),
    }
}

/// Reads `native:`, the name of a processor compiled into the runner, if the section `process` has one.
pub(super) fn read_native(process: &Section<'_>) -> Result<Option<String>> {
    let Some(node) = process.get("native") else { return Ok(None) };
    for other in ["aggregate", "delete", "window", "ttl"] {
        if let Some(other_node) = process.get(other) {
            return Err(other_node.unfit(format!("`{other}` and `native` cannot be used together")));
        }
    }
    let expected = "the name of a built-in processor";
    let name = node.text(expected)?;
    if name.trim().is_empty() || name.chars().count() > MAX_NATIVE_CHARS {
        Err(node.wrong(expected))
    } else {
        Ok(Some(name.to_owned()))
    }
}

fn command(node: &Node) -> Result<Vec<String>> {
    let expected = "a list of a program and its arguments such as `[python3, sessions.py]`";
    let Kind::List(nodes) = &node.kind else {
        // One word is a program without arguments. Several words are not split, since quoting rules would be a guess.
        let text = node.text(expected)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        return match words.as_slice() {
            [program] if *program == text => Ok(vec![text.to_owned()]),
            [] => Err(node.wrong(expected)),
            words => Err(node.unfit(format!("expected {expected}: write `[{}]`", shown(&words.join(", "))))),
        };
    };
    let mut command = Vec::with_capacity(nodes.len().min(MAX_ARGUMENTS));
    for node in nodes {
        let text = node.text("a program or an argument")?;
        if text.contains('\0') || (command.is_empty() && text.is_empty()) {
            return Err(node.wrong(expected));
        }
        command.push(text.to_owned());
    }
    match command.len() {
        0 => Err(unfit(node.mark, format!("expected {expected}, found an empty list"))),
        1..=MAX_ARGUMENTS => Ok(command),
        count => Err(unfit(node.mark, format!("expected at most {MAX_ARGUMENTS} arguments, found {count}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::job::JobSpec;

    fn parse(process: &str) -> Result<JobSpec, String> {
        let text = format!("job: j\ninput: a.jsonl\nkey: k\nprocess: {process}\n");
        JobSpec::parse(&text, Path::new("job.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_program_is_read_with_its_defaults_and_written_again() {
        let job = parse("{exec: [python3, -u, \"a b.py\"]}").unwrap();
        let expected = ExecSpec {
            command: ["python3", "-u", "a b.py"].map(str::to_owned).to_vec(),
            timeout: Duration::from_secs(60),
            restarts: 0,
            backoff: Duration::from_secs(1),
            tick: None,
            columns: Vec::new(),
        };
        assert_eq!(job.exec.as_ref(), Some(&expected));
        assert!(job.aggregates.is_empty());
        let full = parse("{exec: ./count, timeout: 250ms, restarts: 3, backoff: 2s, tick: 10s}").unwrap();
        let exec = full.exec.clone().unwrap();
        assert_eq!((exec.to_string().as_str(), exec.restarts), ("./count", 3));
        assert_eq!((exec.timeout, exec.tick), (Duration::from_millis(250), Some(Duration::from_secs(10))));
        let typed = parse("{exec: ./count, columns: {clicks: int, spent: number, 'é-1': json}}").unwrap();
        let names: Vec<_> =
            typed.exec.iter().flat_map(|exec| &exec.columns).map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["clicks", "spent", "é-1"]);
        for job in [job, full, typed] {
            let definition = job.definition();
            let again =
                JobSpec::parse(&definition, Path::new("job.yaml")).unwrap_or_else(|e| panic!("{e}\n{definition}"));
            assert_eq!(again, job, "{definition}");
        }
    }

    #[test]
    fn what_cannot_be_combined_is_rejected_at_its_place() {
        for (process, message) in [
            (
                "{}",
                "job.yaml:4:10: missing key `aggregate` in `process`: what to compute for each key, \
                 or `exec`: a program of your own",
            ),
            ("{timeout: 1s, aggregate: {n: count}}", "job.yaml:4:20: `timeout` needs `exec`: it configures a program"),
            (
                "{exec: [a], aggregate: {n: count}}",
                "job.yaml:4:33: `aggregate` and `exec` cannot be used together: the program decides what to compute",
            ),
            (
                "{exec: []}",
                "job.yaml:4:17: expected a list of a program and its arguments such as \
                 `[python3, sessions.py]`, found an empty list",
            ),
            (
                "{exec: python3 a.py}",
                "job.yaml:4:17: expected a list of a program and its arguments such as \
                 `[python3, sessions.py]`: write `[python3, a.py]`",
            ),
            ("{exec: [a], timeout: 0s}", "job.yaml:4:31: expected a duration longer than zero, found `0s`"),
            ("{exec: [a], backoff: 2s}", "job.yaml:4:31: `backoff` needs `restarts`: without it nothing is restarted"),
            (
                "{columns: {n: int}, aggregate: {n: count}}",
                "job.yaml:4:20: `columns` needs `exec`: it configures a program",
            ),
            ("{exec: [a], columns: {}}", "job.yaml:4:31: expected 1 to 1000 columns, found 0"),
            (
                "{exec: [a], columns: {n: float}}",
                "job.yaml:4:35: unknown type `float`, expected one of `number`, `text`, `bool`, `int`, `json`",
            ),
            (
                "{exec: [a], columns: {n: int, N: int}}",
                "job.yaml:4:40: `N` and `n` differ only in case; rename one of them",
            ),
            (
                "{exec: [a], columns: {Key: text}}",
                "job.yaml:4:32: the name `Key` is reserved: every state table has the columns `task`, `key`, `deleted`",
            ),
            ("{exec: [a], restarts: -1}", "job.yaml:4:32: expected a whole number of restarts, found `-1`"),
        ] {
            assert_eq!(parse(process).unwrap_err(), message, "{process}");
        }
    }
}
