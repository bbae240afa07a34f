//! Runs the examples in documents.
//!
//! In a block marked `console`, a line that begins with `$ ` is a shell command. The lines after it are what the
//! command prints, standard error included. A command that ends with `\` continues on the next line. A line `...`
//! matches any number of lines. What differs from run to run is compared by its form only: digests, dates and times,
//! durations, rates, sizes. After the line `<!-- numbers vary -->`, so are all numbers of the next block.
//!
//! All commands of one document run in one shell. Like a clone of the repository, its directory contains `examples/` and
//! `tests/samza/golden/`.
//! Where a command prints its absolute path, the document says `/home/you/ckpt`. The progress lines that a run prints
//! every ten seconds are left out. Cargo is not started: the one command that documents may give it is `cargo run -q
//! --release --example generate -- …`, which runs inside the test.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::{env, fs};

use regex::Regex;

use super::{path_with_binary, repository};

#[path = "../../examples/generate.rs"]
#[allow(dead_code)]
pub mod generate;

/// The directory that the commands run in, as documents show it.
const SHOWN_DIR: &str = "/home/you/ckpt";

/// Placed before a block whose numbers differ from run to run.
const NUMBERS_VARY: &str = "<!-- numbers vary -->";

/// What the shell prints after each command.
const END_OF_STEP: &str = "== end of step";

/// The only Cargo command that documents may use.
const GENERATE: &str = "cargo run -q --release --example generate -- ";

/// A command and what it should print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line in the document, from 1.
    pub line: usize,
    pub command: String,
    /// The lines that the command should print.
    pub expected: Vec<String>,
    pub numbers_vary: bool,
}

/// Returns the commands of a document, in order.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    let mut continued = false;
    let mut numbers_vary = false;
    for (at, line) in text.lines().enumerate() {
        match (inside, line.trim_end()) {
            (false, "```console") => inside = true,
            (false, NUMBERS_VARY) => numbers_vary = true,
            (true, "```") => (inside, continued, numbers_vary) = (false, false, false),
            (true, _) if continued => {
                let step = steps.last_mut().expect("a command is continued");
                step.command.push('\n');
                step.command += line;
                continued = line.ends_with('\\');
            }
            (true, _) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    continued = command.ends_with('\\');
                    let (command, expected) = (command.to_owned(), Vec::new());
                    steps.push(Step { line: at + 1, command, expected, numbers_vary });
                }
                (None, Some(step)) => step.expected.push(line.to_owned()),
                (None, None) => panic!("line {}: output without a command", at + 1),
            },
            (false, _) => {}
        }
    }
    steps
}

/// Runs the commands of a document and returns a report for each command that prints something else.
///
/// With UPDATE=1 in the environment, what was printed is written into the document instead, except where it has `...`.
pub fn check(name: &str, text: &str) -> Vec<String> {
    let steps = steps(text);
    if steps.is_empty() {
        return Vec::new();
    }
    let above = tempfile::tempdir().expect("a temporary directory");
    let dir = above.path().canonicalize().expect("the directory exists").join("ckpt");
    copy("examples", &dir);
    copy("tests/samza/golden", &dir);
    let is_update = repository::updates() && repository::path(name).exists();
    let mut wrong = Vec::new();
    let mut printed_by_step = Vec::new();
    for (step, printed) in steps.iter().zip(run(&steps, &dir)) {
        let lines: Vec<&str> = printed.trim_end().lines().collect();
        if !matches(&step.expected, &lines, step.numbers_vary) {
            if is_update && !step.expected.iter().any(|line| line == "...") {
                printed_by_step.push((step, printed));
                continue;
            }
            let expected = step.expected.join("\n");
            wrong.push(format!(
                "{name}:{}: $ {}\n--- expected\n{expected}\n--- printed\n{printed}",
                step.line, step.command
            ));
        }
    }
    if !printed_by_step.is_empty() {
        let mut updated: Vec<&str> = text.lines().collect();
        // From last to first, so that the earlier lines keep their numbers.
        for (step, printed) in printed_by_step.iter().rev() {
            let first = step.line + step.command.matches('\n').count();
            updated.splice(first..first + step.expected.len(), printed.trim_end().lines());
        }
        fs::write(repository::path(name), updated.join("\n") + "\n").expect("written");
    }
    wrong
}

/// Runs the commands in one shell, as if someone had pasted them, and returns what each printed.
fn run(steps: &[Step], dir: &Path) -> Vec<String> {
    let mut script = "exec 2>&1\n".to_owned();
    for (at, Step { command, .. }) in steps.iter().enumerate() {
        match command.strip_prefix(GENERATE) {
            Some(arguments) => {
                let (to, lines) = arguments.split_once(' ').expect("a directory and a number");
                generate::generate(&dir.join(to), lines.parse().expect("a number"), 4, 1).expect("written");
            }
            None => script += &format!("{command}\n"),
        }
        script += &format!("echo '{END_OF_STEP} {at}'\n");
    }
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(dir)
        .env_clear()
        .envs([("LC_ALL", "C.UTF-8"), ("TZ", "UTC"), ("COLUMNS", "80")])
        .env("HOME", env::var_os("HOME").unwrap_or_default())
        .env("PATH", path_with_binary())
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let mut rest = String::from_utf8_lossy(&output.stdout).replace(&dir.display().to_string(), SHOWN_DIR);
    let mut printed = Vec::new();
    for at in 0..steps.len() {
        let end = format!("{END_OF_STEP} {at}\n");
        let (this, others) = rest.split_once(&end).unwrap_or_else(|| panic!("the shell ended in step {at}: {rest}"));
        printed.push(without_progress(this));
        rest = others.to_owned();
    }
    printed
}

/// Removes the progress lines that a run prints every ten seconds: only a slow machine has them.
fn without_progress(printed: &str) -> String {
    static PROGRESS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^(?:no checkpoint|checkpoint \d+ is .* old).*, [\d,]+/s, .*\n").expect("well formed")
    });
    PROGRESS.replace_all(printed, "").into_owned()
}

/// Copies `from`, without what the examples write there.
fn copy(from: &str, to: &Path) {
    let is_written = |name: &str| name.split('/').any(|part| ["out", "checkpoints", "__pycache__"].contains(&part));
    for file in repository::files(from) {
        if !is_written(&file) {
            let target = to.join(&file);
            fs::create_dir_all(target.parent().expect("a file has a directory")).expect("created");
            fs::copy(repository::path(&file), target).expect("copied");
        }
    }
}

/// Returns whether the printed lines match the expected ones.
fn matches(expected: &[String], printed: &[&str], numbers_vary: bool) -> bool {
    let form = |line: &str| if numbers_vary { mask_numbers(&mask(line)) } else { mask(line) };
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..], numbers_vary))
        }
        Some((first, rest)) => match printed.split_first() {
            Some((line, others)) => form(first) == form(line) && matches(rest, others, numbers_vary),
            None => false,
        },
    }
}

/// Replaces every number, and words that depend on one.
fn mask_numbers(line: &str) -> String {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d[\d,.]*").expect("well formed"));
    NUMBER.replace_all(line, "N").into_owned()
}

/// Replaces what differs from run to run with a word for its kind.
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
            // The widths of columns depend on what was masked.
            mask(r" {2,}", "  "),
            mask(r"-{3,}", "---"),
        ]
    });
    MASKS
        .iter()
        .fold(line.trim_end().to_owned(), |line, (pattern, kind)| pattern.replace_all(&line, *kind).into_owned())
}

/// Returns a report for each link of a document to a file or heading that does not exist. Web links are not checked.
pub fn broken_links(name: &str) -> Vec<String> {
    static LINK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)").expect("well formed"));
    let text = fs::read_to_string(repository::path(name)).expect("readable");
    let mut broken = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for link in LINK.captures_iter(line) {
            let target = &link[1];
            if target.contains("://") {
                continue;
            }
            let here = Path::new(name);
            let path = match target {
                "" => repository::path(name),
                _ => repository::path("").join(here.parent().expect("a file has a directory")).join(target),
            };
            let anchor = link.get(2).map(|anchor| anchor.as_str());
            let exists = match anchor {
                Some(anchor) => fs::read_to_string(&path).is_ok_and(|text| anchors(&text).any(|known| known == anchor)),
                None => path.exists(),
            };
            if !exists {
                broken.push(format!("{name}:{}: {} leads nowhere", at + 1, &link[0][1..]));
            }
        }
    }
    broken
}

/// Returns the anchors under which GitHub makes the headings of a document available.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(anchor)
}

/// Returns the anchor of a heading.
pub fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn steps_are_the_commands_of_console_blocks() {
    let text = "# T\n```sh\n$ no\n```\n```console\n$ echo a \\\n  b\na b\n\n$ true\n```\n".to_owned()
        + "<!-- numbers vary -->\n```console\n$ date\n...\n```\n";
    let step = |line, command: &str, expected: &[&str]| Step {
        line,
        command: command.to_owned(),
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
        numbers_vary: line == 14,
    };
    assert_eq!(
        steps(&text),
        [step(6, "echo a \\\n  b", &["a b", ""]), step(10, "true", &[]), step(14, "date", &["..."])]
    );
}

#[test]
fn what_differs_from_run_to_run_is_compared_by_its_form() {
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
    assert_eq!(mask_numbers("checkpoint 1: 1,234 keys"), mask_numbers("checkpoint 12: 56 keys"));
    assert_ne!(mask_numbers("checkpoint 1: 1,234 keys"), mask_numbers("checkpoint 1: 1,234 rows"));
}

#[test]
fn progress_is_left_out() {
    let printed = "j: resumes\ncheckpoint 5 is 1 s old (took 633 ms), 88%, 2,640,107 records, 216,004/s, 155,865 keys, state 11.5 MiB\n  records  1 in 2 s (1/s)\n";
    assert_eq!(without_progress(printed), "j: resumes\n  records  1 in 2 s (1/s)\n");
}

#[test]
fn three_dots_match_any_lines() {
    let expected = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(matches(&expected(&["a", "...", "d"]), &["a", "b", "c", "d"], false));
    assert!(matches(&expected(&["...", "a"]), &["a"], false));
    assert!(!matches(&expected(&["a", "...", "d"]), &["a", "b"], false));
    assert!(!matches(&expected(&["a"]), &["a", "b"], false));
    assert!(!matches(&expected(&["a", "b"]), &["a"], false));
}

#[test]
fn a_wrong_example_is_reported() {
    let text =
        "```console\n$ echo kept > file; echo note >&2\nnote\n$ cat file\nkept\n$ ckpt --version\nckpt 9.9.9\n```\n";
    let wrong = check("T.md", text);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(
        wrong[0].starts_with("T.md:6: $ ckpt --version\n--- expected\nckpt 9.9.9\n--- printed\nckpt "),
        "{}",
        wrong[0]
    );
}

#[test]
fn anchors_are_headings_in_lower_case_without_punctuation() {
    let text = "# The store, version 1\ntext\n## `store.yaml`\n";
    assert_eq!(anchors(text).collect::<Vec<_>>(), ["the-store-version-1", "storeyaml"]);
}
