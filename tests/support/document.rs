//! Documents whose examples are run.
//!
//! In a block that is marked `console`, a line that begins with `$ ` is a command of the shell, and what follows is what it prints, standard error
//! included. A command that ends with `\` goes on in the next line. A line `...` stands for any lines. What varies from run to run is compared by
//! its form only: digests, dates and times, durations, rates, sizes. The commands of one document share a directory, which begins as a copy of
//! `examples/` and calls itself `examples` too.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::{env, fs};

use regex::Regex;

use super::{path_with_binary, repository};

/// A command and what it should print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line of the document, from 1.
    pub line: usize,
    /// The command.
    pub command: String,
    /// The lines that it prints.
    pub expected: Vec<String>,
}

/// Returns the commands of a document, in order.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    let mut continued = false;
    for (at, line) in text.lines().enumerate() {
        match (inside, line.trim_end()) {
            (false, "```console") => inside = true,
            (true, "```") => (inside, continued) = (false, false),
            (true, _) if continued => {
                let step = steps.last_mut().expect("a command is continued");
                step.command.push('\n');
                step.command += line;
                continued = line.ends_with('\\');
            }
            (true, _) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    continued = command.ends_with('\\');
                    steps.push(Step { line: at + 1, command: command.to_owned(), expected: Vec::new() });
                }
                (None, Some(step)) => step.expected.push(line.to_owned()),
                (None, None) => panic!("line {}: output without a command", at + 1),
            },
            (false, _) => {}
        }
    }
    steps
}

/// Runs the commands of a document and returns what is not as it says.
pub fn check(name: &str, text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    copy("examples", dir.path());
    std::os::unix::fs::symlink(".", dir.path().join("examples")).expect("linked");
    let mut wrong = Vec::new();
    for step in steps(text) {
        let printed = run(&step.command, dir.path());
        let lines: Vec<&str> = printed.trim_end().lines().collect();
        if !matches(&step.expected, &lines) {
            let expected = step.expected.join("\n");
            wrong.push(format!(
                "{name}:{}: $ {}\n--- expected\n{expected}\n--- printed\n{printed}",
                step.line, step.command
            ));
        }
    }
    wrong
}

fn run(command: &str, dir: &Path) -> String {
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(dir)
        .env_clear()
        .envs([("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("COLUMNS", "80")])
        .env("HOME", env::var_os("HOME").unwrap_or_default())
        .env("PATH", path_with_binary())
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.replace(&dir.display().to_string(), "$DIR")
}

/// Copies what git has in `from`, and nothing that an example has left behind.
fn copy(from: &str, to: &Path) {
    let left_behind = |name: &str| ["out/", "checkpoints/"].iter().any(|dir| name.starts_with(dir));
    for file in repository::files(from) {
        let name = file.strip_prefix(from).and_then(|name| name.strip_prefix('/')).expect("it is below");
        if !left_behind(name) {
            let target = to.join(name);
            fs::create_dir_all(target.parent().expect("a file has a directory")).expect("created");
            fs::copy(repository::path(&file), target).expect("copied");
        }
    }
}

/// Tells whether the lines that were printed are those that were expected.
fn matches(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "..." => (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..])),
        Some((first, rest)) => match printed.split_first() {
            Some((line, others)) => mask(first) == mask(line) && matches(rest, others),
            None => false,
        },
    }
}

/// Replaces what varies from run to run by a word for its kind.
fn mask(line: &str) -> String {
    static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let mask = |pattern: &str, kind: &'static str| (Regex::new(pattern).expect("well formed"), kind);
        let number = r"\b\d[\d,]*(?:\.\d+)?";
        let size = r"(?:[KMGT]i?B|kB|B|bytes?)";
        vec![
            mask(r"\b[0-9a-f]{12,64}\b", "DIGEST"),
            mask(r"\bjust now\b|\b\d+[smhd](?: \d+[smhd])? ago\b", "AGE"),
            mask(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d|\[[\w/]+\])*", "TIME"),
            mask(r"\b\d\d:\d\d(?::\d\d(?:\.\d+)?)?\b", "TIME"),
            mask(&format!(r"{number} ?(?:[KMG]|million|thousand)? ?(?:{size}|[a-z]+)?/s\b"), "RATE"),
            mask(&format!(r"{number} ?{size}\b"), "SIZE"),
            mask(
                &format!(
                    r"{number} ?(?:ns|µs|us|ms|s|m|h|d|w|seconds?|minutes?|hours?|days?)\b(?: ?\d+ ?(?:ms|s|m|h|d)\b)*"
                ),
                "DURATION",
            ),
            // What is masked has had a width, and columns with it.
            mask(r" {2,}", "  "),
            mask(r"-{3,}", "---"),
        ]
    });
    MASKS
        .iter()
        .fold(line.trim_end().to_owned(), |line, (pattern, kind)| pattern.replace_all(&line, *kind).into_owned())
}

#[test]
fn steps_are_the_commands_of_console_blocks() {
    let text =
        "# T\n```sh\n$ no\n```\n```console\n$ echo a \\\n  b\na b\n\n$ true\n```\n```console\n$ date\n...\n```\n";
    let step = |line, command: &str, expected: &[&str]| Step {
        line,
        command: command.to_owned(),
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(
        steps(text),
        [step(6, "echo a \\\n  b", &["a b", ""]), step(10, "true", &[]), step(13, "date", &["..."])]
    );
}

#[test]
fn what_varies_is_compared_by_its_form() {
    let cases = [
        ("object 3fa8d1e0b2c4.parquet", "object aaaaaaaaaaaa.parquet"),
        ("took 12 ms, 1,234 records/s", "took 1.5 s, 9 records/s"),
        ("created 2026-11-22T14:00:00.123Z, 2h ago", "created 2025-01-01T00:00:00Z, 1h 30m ago"),
        ("1    4.1 KiB  elided", "1  913 B  elided"),
        ("at 14:00:01", "at 03:59:59"),
    ];
    for (one, other) in cases {
        assert_eq!(mask(one), mask(other));
    }
    for (one, other) in [("3 keys", "4 keys"), ("checkpoint 1", "checkpoint 2"), ("12 ms", "12 KiB"), ("a b", "a c")] {
        assert_ne!(mask(one), mask(other));
    }
}

#[test]
fn three_dots_stand_for_any_lines() {
    let expected = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(matches(&expected(&["a", "...", "d"]), &["a", "b", "c", "d"]));
    assert!(matches(&expected(&["...", "a"]), &["a"]));
    assert!(!matches(&expected(&["a", "...", "d"]), &["a", "b"]));
    assert!(!matches(&expected(&["a"]), &["a", "b"]));
    assert!(!matches(&expected(&["a", "b"]), &["a"]));
}

#[test]
fn a_document_that_says_something_else_is_found_wrong() {
    let text = "```console\n$ echo kept > file; echo to people >&2\nto people\n$ cat file\nkept\n$ ckpt --version\nckpt 9.9.9\n```\n";
    let wrong = check("T.md", text);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(
        wrong[0].starts_with("T.md:6: $ ckpt --version\n--- expected\nckpt 9.9.9\n--- printed\nckpt "),
        "{}",
        wrong[0]
    );
}
