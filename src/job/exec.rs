//! `process: exec:`, a program in any language.

use std::fmt;
use std::time::Duration;

use super::read::{Section, duration, unfit};
use crate::job::write::Lines;
use crate::values::units::{exact_duration, shown};
use crate::values::yaml::{Kind, Node, YamlError, quote};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const DEFAULT_BACKOFF: Duration = Duration::from_secs(1);
const MAX_RESTARTS: u64 = 1_000_000;
const MAX_ARGUMENTS: usize = 1_000;

/// `process: exec:` and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecSpec {
    /// `exec:` the program and its arguments, at least the program.
    pub command: Vec<String>,
    /// `timeout:` how long it may take over an answer; default `1m`.
    pub timeout: Duration,
    /// `restarts:` how often the run begins again from the latest checkpoint when a program fails, without a checkpoint in between; default 0.
    pub restarts: u32,
    /// `backoff:` the wait before the first restart, which doubles with each; default `1s`.
    pub backoff: Duration,
    /// `tick:` how often it is told the time.
    pub tick: Option<Duration>,
}

impl fmt::Display for ExecSpec {
    /// Writes the command as a shell would show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.command.join(" "))
    }
}

/// The keys that go with `exec`.
const COMPANIONS: [&str; 4] = ["timeout", "restarts", "backoff", "tick"];

/// Reads `process:` of a program; nothing when it has none.
pub(super) fn read(process: &Section<'_>) -> Result<Option<ExecSpec>, YamlError> {
    let Some(node) = process.get("exec") else {
        return match COMPANIONS.iter().find_map(|name| Some((name, process.get(name)?))) {
            Some((name, node)) => Err(node.unfit(format!("`{name}` needs `exec`: it is about a program"))),
            None => Ok(None),
        };
    };
    for (other, meaning) in [
        ("aggregate", "what to compute"),
        ("native", "what to compute"),
        ("window", "windows"),
        ("ttl", "what expires"),
    ] {
        if let Some(other_node) = process.get(other) {
            let reason = format!("`{other}` and `exec` exclude each other: {meaning} is the program's own business");
            return Err(other_node.unfit(reason));
        }
    }
    let positive = |name: &str, default: Duration| match process.get(name) {
        None => Ok(default),
        Some(node) => match duration(node)? {
            Duration::ZERO => Err(node.wrong("a duration longer than zero")),
            duration => Ok(duration),
        },
    };
    let restarts = match process.get("restarts") {
        None => 0,
        Some(node) => match node.integer("a whole number of restarts")? {
            restarts @ 0..=MAX_RESTARTS => restarts as u32,
            _ => return Err(node.wrong("a number of restarts up to 1000000")),
        },
    };
    if let (Some(node), 0) = (process.get("backoff"), restarts) {
        return Err(node.unfit("`backoff` needs `restarts`: nothing is started again without"));
    }
    Ok(Some(ExecSpec {
        command: command(node)?,
        timeout: positive("timeout", DEFAULT_TIMEOUT)?,
        restarts,
        backoff: positive("backoff", DEFAULT_BACKOFF)?,
        tick: process.get("tick").map(|_| positive("tick", DEFAULT_TIMEOUT)).transpose()?,
    }))
}

/// Reads `native:`, the name of a processor that is built in.
pub(super) fn read_native(process: &Section<'_>) -> Result<Option<String>, YamlError> {
    let Some(node) = process.get("native") else { return Ok(None) };
    for other in ["aggregate", "window", "ttl"] {
        if let Some(other_node) = process.get(other) {
            return Err(other_node.unfit(format!("`{other}` and `native` exclude each other")));
        }
    }
    let expected = "the name of a processor that the runner has built in";
    let name = node.text(expected)?;
    if name.trim().is_empty() || name.chars().count() > 100 {
        Err(node.wrong(expected))
    } else {
        Ok(Some(name.to_owned()))
    }
}

fn command(node: &Node) -> Result<Vec<String>, YamlError> {
    let expected = "a list of a program and its arguments such as `[python3, sessions.py]`";
    let Kind::List(nodes) = &node.kind else {
        // One word is a program without arguments; where others begin is not guessed.
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

/// Writes what [`read`] reads.
pub(super) fn write(lines: &mut Lines, exec: &ExecSpec) {
    lines.list(1, "exec", exec.command.iter().map(|word| quote(word)));
    lines.add(1, "timeout", &exact_duration(exec.timeout));
    lines.add(1, "restarts", &exec.restarts.to_string());
    if exec.restarts > 0 {
        lines.add(1, "backoff", &exact_duration(exec.backoff));
    }
    if let Some(tick) = exec.tick {
        lines.add(1, "tick", &exact_duration(tick));
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
        };
        assert_eq!(job.exec.as_ref(), Some(&expected));
        assert!(job.aggregates.is_empty());
        let full = parse("{exec: ./count, timeout: 250ms, restarts: 3, backoff: 2s, tick: 10s}").unwrap();
        let exec = full.exec.clone().unwrap();
        assert_eq!((exec.to_string().as_str(), exec.restarts), ("./count", 3));
        assert_eq!((exec.timeout, exec.tick), (Duration::from_millis(250), Some(Duration::from_secs(10))));
        for job in [job, full] {
            let definition = job.definition();
            let again =
                JobSpec::parse(&definition, Path::new("job.yaml")).unwrap_or_else(|e| panic!("{e}\n{definition}"));
            assert_eq!(again, job, "{definition}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_at_its_place() {
        for (process, message) in [
            (
                "{}",
                "job.yaml:4:10: missing key `aggregate` in `process`: what to compute for each key, or `exec`: a program of your own",
            ),
            ("{timeout: 1s, aggregate: {n: count}}", "job.yaml:4:20: `timeout` needs `exec`: it is about a program"),
            (
                "{exec: [a], aggregate: {n: count}}",
                "job.yaml:4:33: `aggregate` and `exec` exclude each other: what to compute is the program's own business",
            ),
            (
                "{exec: []}",
                "job.yaml:4:17: expected a list of a program and its arguments such as `[python3, sessions.py]`, found an empty list",
            ),
            (
                "{exec: python3 a.py}",
                "job.yaml:4:17: expected a list of a program and its arguments such as `[python3, sessions.py]`: write `[python3, a.py]`",
            ),
            ("{exec: [a], timeout: 0s}", "job.yaml:4:31: expected a duration longer than zero, found `0s`"),
            ("{exec: [a], backoff: 2s}", "job.yaml:4:31: `backoff` needs `restarts`: nothing is started again without"),
            ("{exec: [a], restarts: -1}", "job.yaml:4:32: expected a whole number of restarts, found `-1`"),
        ] {
            assert_eq!(parse(process).unwrap_err(), message, "{process}");
        }
    }
}
