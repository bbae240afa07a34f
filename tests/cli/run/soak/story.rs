//! The stories: jobs of every kind, and what may happen to them besides being struck.

use super::super::data::{AGGREGATES, clicks, csv, gzip, json, zstandard};
use super::input::{File, in_time, many, spoil, words};
use crate::support::bucket::Bucket;

/// A job, its input, and what may happen to it.
pub(super) struct Story {
    /// Its name, which is also the name of its test.
    pub(super) name: &'static str,
    /// The text of the job file, or of the script that is the job.
    pub(super) job: String,
    pub(super) job_file: &'static str,
    /// Creates its input.
    files: fn() -> Vec<File>,
    /// The file that it gets as standard input.
    pub(super) standard_input: Option<&'static str>,
    /// The files whose bytes count.
    pub(super) written: &'static [&'static str],
    pub(super) published: Published,
    /// The exit code of a run that reaches the end of the input.
    pub(super) status: i32,
    /// Whether a run may also end with the exit code that reports that something is missing or behind.
    pub(super) may_be_incomplete: bool,
    /// Whether it starts programs, and whether it restarts them when one has failed.
    pub(super) program: bool,
    pub(super) restarts: bool,
    /// Whether every checkpoint takes everything, even when nothing changed.
    pub(super) is_complete: bool,
    /// Whether it keeps its store, or the other copy of it, in a bucket, which the job calls `$BUCKET`.
    pub(super) in_bucket: bool,
    /// Whether its stores disappear and come back.
    pub(super) moves: bool,
    /// What may happen between two lives, and during one.
    pub(super) between: &'static [Act],
    pub(super) beside: &'static [Act],
}

/// What a job publishes in `out` besides the files whose bytes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    Nothing,
    /// Files of changes, which together yield the state.
    Changes,
    /// Rows, each once.
    Rows,
}

/// What happens to a job or its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Someone runs `ckpt`.
    Command(&'static [&'static str]),
    /// The job file gets another number of tasks.
    ChangeTasks,
    /// The job is rolled back to a random checkpoint.
    RollBack,
    /// A bit of the latest checkpoint flips, and the job resumes from an earlier one.
    Damage,
    /// The replica disappears or comes back.
    Replica,
    /// The first replica of the store is lost when the other one has everything.
    LoseStore,
}

impl Story {
    /// Returns whether it follows a log that is written in the meantime.
    pub(super) fn is_followed(&self) -> bool {
        self.name == "following"
    }

    /// Returns whether there is what it needs: it may be a server of buckets.
    pub(super) fn can_be_tried(&self) -> bool {
        !self.in_bucket || Bucket::fresh().is_some()
    }

    /// Returns how many places its store has.
    pub(super) fn place_count(&self) -> usize {
        self.stores().len() + usize::from(self.in_bucket)
    }

    /// Returns the directories of its store.
    pub(super) fn stores(&self) -> &'static [&'static str] {
        if self.moves { &["store", "r"] } else { &["store"] }
    }

    pub(super) fn input(&self) -> Vec<File> {
        (self.files)()
    }

    /// Returns the command that runs it.
    pub(super) fn arguments(&self, threads: u64) -> Vec<&'static str> {
        let threads = ["1", "2", "3", "4"][threads as usize - 1];
        vec!["run", self.job_file, "--json", "--log", "json", "--threads", threads]
    }
}

impl Default for Story {
    fn default() -> Story {
        Story {
            name: "",
            job: String::new(),
            job_file: "job.yaml",
            files: Vec::new,
            standard_input: None,
            written: &[],
            published: Published::Nothing,
            status: 0,
            may_be_incomplete: false,
            program: false,
            restarts: false,
            is_complete: false,
            in_bucket: false,
            moves: false,
            between: &[],
            beside: LOOKS,
        }
    }
}

/// Commands that only look and ask, and change nothing in the end.
const LOOKS: &[Act] = &[
    Act::Command(&["verify", "store", "--quick"]),
    Act::Command(&["list", "store"]),
    Act::Command(&["inspect", "store", "--state", "--limit", "1"]),
];

/// Returns a job file that computes all aggregates. `process` is what else it says about processing.
fn aggregates(top: &str, process: &str) -> String {
    format!("job: j\n{top}\nprocess:\n  aggregate:{AGGREGATES}\n{process}")
}

fn jsonl() -> Vec<File> {
    many("jsonl", 400, |seed, count| json(&clicks(seed, count, 3_000)).bytes)
}

fn bad_jsonl() -> Vec<File> {
    many("jsonl", 400, |seed, count| spoil(seed, &json(&clicks(seed, count, 2_000)).bytes))
}

const KEYED: &str = "input: data-*.jsonl\nkey: user.id\n";

/// Classes of which few are written each time, so that the shards of nearly every checkpoint have cuts of their own.
const PRIORITY: &str = "mode: priority, max_staleness: 300ms, budget: 20KiB, priorities: [{name: first, tasks: 0-7, weight: 9}, \
     {name: often, key: 'key == \"u7\"', weight: 5, every: 2}, {name: seldom, weight: 1, every: 5}]";

/// Returns all stories.
pub(super) fn all() -> Vec<Story> {
    [aggregating(), publishing(), by_time(), in_modes(), with_stores(), with_programs(), in_buckets()]
        .into_iter()
        .flatten()
        .collect()
}

fn aggregating() -> Vec<Story> {
    let totals = aggregates(&format!("{KEYED}checkpoint: {{store: store, schedule: 15ms}}\noutput: out"), "");
    let tasks = aggregates(
        &format!("{KEYED}tasks: 64\ncheckpoint: {{store: store, schedule: 10ms}}\noutput: {{files: out, format: csv}}"),
        "",
    );
    let csv_job = "input: data-*.csv.gz\ncheckpoint: {store: store, schedule: 10ms}\noutput: {files: out, format: csv}";
    let words_job = "job: j\ninput: {files: data-*.txt.zst, split: words}\nkey: word\ntasks: 1000000\nprocess: {aggregate: {n: count}}\n\
                     checkpoint: {store: store, schedule: 50ms, state_bytes: 100KiB}\noutput: {files: out, format: parquet}\n";
    let bad_job = "input: {files: data-*.jsonl, types: {amount: number}, on_error: {dead_letter: out/bad.jsonl}}\nkey: user.id\n\
                   checkpoint: {store: store, schedule: 10ms}\noutput: out";
    vec![
        Story { name: "totals", job: totals, files: jsonl, written: &["out/j.jsonl"], ..Story::default() },
        Story {
            name: "tasks_that_change",
            job: tasks,
            files: jsonl,
            written: &["out/j.csv"],
            between: &[Act::ChangeTasks],
            ..Story::default()
        },
        Story {
            name: "no_key_and_compressed_csv",
            job: aggregates(csv_job, ""),
            files: || many("csv.gz", 400, |seed, count| gzip(&csv(&clicks(seed, count, 10)).bytes)),
            written: &["out/j.csv"],
            ..Story::default()
        },
        Story {
            name: "words_and_state_bytes",
            job: words_job.to_owned(),
            files: || many("txt.zst", 400, |seed, count| zstandard(&words(seed, count))),
            written: &["out/j.parquet"],
            ..Story::default()
        },
        Story {
            name: "dead_letters",
            job: aggregates(bad_job, ""),
            files: bad_jsonl,
            written: &["out/j.jsonl", "out/bad.jsonl"],
            status: 3,
            may_be_incomplete: true,
            ..Story::default()
        },
    ]
}

fn publishing() -> Vec<Story> {
    let job = |format: &str| {
        let top = format!(
            "{KEYED}checkpoint: {{store: store, schedule: 10ms}}\noutput: {{files: out, emit: changes, format: {format}}}"
        );
        aggregates(&top, "")
    };
    let story = |name: &'static str, format: &str| Story {
        name,
        job: job(format),
        files: jsonl,
        published: Published::Changes,
        ..Story::default()
    };
    vec![story("changes_in_json", "json"), story("changes_in_csv", "csv"), story("changes_in_parquet", "parquet")]
}

fn by_time() -> Vec<Story> {
    let window =
        "  window: {time: ts, unit: ms, every: 500ms, length: 1s, late: 30ms, on_late: {dead_letter: late.jsonl}}\n";
    let whole = "  window: {time: ts, unit: ms, every: 500ms}\n";
    let sliding = "input: data-*.jsonl\nkey: country\ntasks: 8\ncheckpoint: {store: store, schedule: 5ms}\noutput: {files: out, emit: changes}";
    let final_windows = "input: data-*.jsonl\nkey: country\ntasks: 8\ncheckpoint: {store: store, schedule: 5ms}\noutput: {files: out, format: csv}";
    let expiring = format!("{KEYED}checkpoint: {{store: store, schedule: 5ms}}\noutput: {{files: out, emit: changes}}");
    vec![
        Story {
            name: "windows",
            job: aggregates(sliding, window),
            files: || in_time(8, 9_000),
            written: &["late.jsonl"],
            published: Published::Rows,
            status: 3,
            may_be_incomplete: true,
            ..Story::default()
        },
        Story {
            name: "windows_at_the_end",
            job: aggregates(final_windows, whole),
            files: || in_time(8, 4_000),
            written: &["out/j.csv"],
            ..Story::default()
        },
        Story {
            name: "expiry",
            job: aggregates(&expiring, "  ttl: 1s\n  time: ts\n  unit: ms\n"),
            files: || in_time(10, 5_000),
            published: Published::Changes,
            status: 3,
            may_be_incomplete: true,
            ..Story::default()
        },
    ]
}

fn in_modes() -> Vec<Story> {
    let priority = format!(
        "input: {{files: data-*.jsonl, types: {{amount: number}}, on_error: {{dead_letter: out/bad.jsonl}}}}\nkey: user.id\ntasks: 64\n\
         checkpoint: {{store: store, schedule: 15ms, {PRIORITY}}}\noutput: out"
    );
    let changes = format!(
        "{KEYED}tasks: 64\ncheckpoint: {{store: store, schedule: 15ms, {PRIORITY}}}\noutput: {{files: out, emit: changes}}"
    );
    let scheduled = format!("{KEYED}checkpoint: {{store: store, mode: scheduled, schedule: 40ms}}\noutput: out");
    vec![
        Story {
            name: "priority",
            job: aggregates(&priority, ""),
            files: bad_jsonl,
            written: &["out/j.jsonl", "out/bad.jsonl"],
            status: 3,
            may_be_incomplete: true,
            ..Story::default()
        },
        Story {
            name: "priority_and_changes",
            job: aggregates(&changes, ""),
            files: jsonl,
            published: Published::Changes,
            ..Story::default()
        },
        Story {
            name: "scheduled",
            job: aggregates(&scheduled, ""),
            files: jsonl,
            written: &["out/j.jsonl"],
            is_complete: true,
            ..Story::default()
        },
    ]
}

fn in_buckets() -> Vec<Story> {
    let kept_in = |places: &str| {
        aggregates(
            &format!(
                "{KEYED}tasks: 4\ncheckpoint: {{{places}, schedule: 50ms}}\noutput: {{files: out, emit: changes}}"
            ),
            "",
        )
    };
    vec![
        Story {
            name: "store_in_a_bucket",
            job: kept_in("store: '$BUCKET', replicas: [store]"),
            files: jsonl,
            published: Published::Changes,
            in_bucket: true,
            between: &[Act::RollBack],
            ..Story::default()
        },
        Story {
            name: "replica_in_a_bucket",
            job: kept_in("store: store, replicas: ['$BUCKET']"),
            files: jsonl,
            published: Published::Changes,
            in_bucket: true,
            between: &[Act::Command(&["prune", "store", "--keep-last", "2", "--yes"])],
            ..Story::default()
        },
    ]
}

fn with_stores() -> Vec<Story> {
    let replicated =
        format!("{KEYED}checkpoint: {{store: store, replicas: [r], min_copies: 1, schedule: 10ms}}\noutput: out");
    let kept = format!(
        "{KEYED}checkpoint: {{store: store, schedule: 5ms, keep: {{last: 3, grace: 0s}}}}\noutput: {{files: out, emit: changes}}"
    );
    let rolled = "input: {files: data-*.jsonl, types: {amount: number}, on_error: {dead_letter: bad.jsonl}}\nkey: user.id\n\
                  checkpoint: {store: store, schedule: 10ms}\noutput: {files: out, emit: changes}";
    let behind = format!("{KEYED}checkpoint: {{store: store, schedule: 10ms}}\noutput: {{files: out, emit: changes}}");
    let piped = "input: {files: '-', format: json, types: {amount: number, page: text, ts: number}}\nkey: user.id\n\
                 checkpoint: {store: store, schedule: 10ms}\noutput: out";
    vec![
        Story {
            name: "replicas",
            job: aggregates(&replicated, ""),
            files: jsonl,
            written: &["out/j.jsonl"],
            may_be_incomplete: true,
            moves: true,
            between: &[Act::Replica, Act::LoseStore],
            beside: &[Act::Replica, Act::Command(&["verify", "r", "--quick"])],
            ..Story::default()
        },
        Story {
            name: "pruned",
            job: aggregates(&kept, ""),
            files: jsonl,
            published: Published::Changes,
            between: &[Act::Command(&["prune", "store", "--keep-last", "1", "--grace", "0s", "--yes"])],
            beside: &[
                Act::Command(&["prune", "store", "--keep-last", "1", "--grace", "0s", "--yes"]),
                Act::Command(&["prune", "store", "--keep-last", "2", "--yes"]),
                Act::Command(&["list", "store"]),
            ],
            ..Story::default()
        },
        Story {
            name: "rolled_back",
            job: aggregates(rolled, ""),
            files: bad_jsonl,
            written: &["bad.jsonl"],
            published: Published::Changes,
            status: 3,
            may_be_incomplete: true,
            between: &[Act::RollBack],
            ..Story::default()
        },
        Story {
            name: "left_behind",
            job: aggregates(&behind, ""),
            files: jsonl,
            published: Published::Changes,
            between: &[Act::Damage],
            ..Story::default()
        },
        Story {
            name: "standard_input",
            job: aggregates(piped, ""),
            files: || vec![("all.jsonl".to_owned(), json(&clicks(1, 40_000, 3_000)).bytes)],
            standard_input: Some("all.jsonl"),
            written: &["out/j.jsonl"],
            ..Story::default()
        },
    ]
}

/// Counts records by user, emits a row for every second one, and hands over what changed at each checkpoint.
const COUNT: &str = r#"
import json, sys, time
state, changed, rows = {}, set(), []

def say(**message):
    sys.stdout.write(json.dumps(message) + '\n')
    sys.stdout.flush()

for line in sys.stdin:
    message = json.loads(line)
    kind, number = message['type'], message.get('number')
    if kind == 'restore':
        for task, key, value in message['rows']:
            state[task, key] = value
    elif kind == 'start':
        say(type='ready')
    elif kind == 'batch':
        for task, offset, data in message['records']:
            key = task, data['k']
            state[key] = state.get(key, 0) + 1
            changed.add(key)
            if state[key] % 2 == 0:
                rows.append([task, {'k': data['k'], 'n': data['n'], 'seen': state[key]}])
        time.sleep(0.002)
        say(type='done', number=number, emit=rows)
        rows = []
    elif kind == 'checkpoint':
        say(type='done', number=number, changed=[[task, key, state[task, key]] for task, key in changed])
        changed.clear()
    elif kind == 'tick':
        say(type='done', number=number)
"#;

/// Counts, keeps a list for each key, and emits rows.
const VISITS: &str = "import time
from samza import SamzaJob

class Visits(SamzaJob):
    def setup(self):
        self.configs.update(job='j', input='data-*.jsonl', key='k', tasks=8, output='out/', checkpoint={'schedule': '30ms', 'store': 'store'})

    def process(self, data):
        if data['n'] % 50 == 0:
            time.sleep(0.001)
        visits = self.state.setdefault(data['k'], {'n': 0, 'last': []})
        visits['n'] += 1
        visits['last'].append(data['n'])
        del visits['last'][:-3]
        if visits['n'] % 2 == 0:
            self.emit({'k': data['k'], 'n': data['n']})
        if visits['n'] % 40 == 0:
            del self.state[data['k']]

    def window(self):
        pass

if __name__ == '__main__':
    Visits().run()
";

fn numbered_jsonl() -> Vec<File> {
    let numbered = |seed: u64, count: usize| {
        let line = |i: usize| format!("{{\"k\":\"k{}\",\"n\":{}}}\n", i * i % 97, seed as usize * 10_000 + i);
        (0..count).map(line).collect::<String>().into_bytes()
    };
    many("jsonl", 100, numbered)
}

fn with_programs() -> Vec<Story> {
    let plain = "job: j\ninput: data-*.jsonl\nkey: k\ntasks: 8\nprocess: {exec: [python3, count.py], restarts: 1000, backoff: 1ms}\n\
                 checkpoint: {store: store, schedule: 30ms}\noutput: out/\n";
    vec![
        Story {
            name: "plain_program",
            job: plain.to_owned(),
            files: || {
                let mut files = numbered_jsonl();
                files.push(("count.py".to_owned(), COUNT.as_bytes().to_vec()));
                files
            },
            published: Published::Rows,
            program: true,
            restarts: true,
            ..Story::default()
        },
        Story {
            name: "python",
            job: VISITS.to_owned(),
            job_file: "visits.py",
            files: numbered_jsonl,
            published: Published::Rows,
            program: true,
            ..Story::default()
        },
        Story { name: "following", job: following_job("'logs/app.log*'"), ..Story::default() },
    ]
}

/// Returns the job that follows `files`.
pub(super) fn following_job(files: &str) -> String {
    format!(
        "job: j\ninput: {{files: {files}, format: json, follow: true}}\nkey: k\ntasks: 7\nprocess: {{aggregate: {{n: count, total: sum(i)}}}}\n\
         checkpoint: {{store: store, schedule: 30ms}}\noutput: {{files: out, emit: changes, format: csv}}\n"
    )
}
