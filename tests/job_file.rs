//! Job files: the examples, the reference, and the messages about wrong ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ckpt::job::{AggregateFunction, JobSpec, KEYS};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn examples() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    files.sort();
    files
}

#[test]
fn every_example_is_a_job_file() {
    let examples = examples();
    assert!(examples.len() >= 4, "{examples:?}");
    for file in examples {
        let job = JobSpec::from_bytes(&fs::read(&file).unwrap(), &file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Some(job.job.as_str()), file.file_stem().and_then(|stem| stem.to_str()));
        assert_eq!(JobSpec::parse(&job.definition(), &file), Ok(job.clone()));
        for pattern in &job.input.files {
            // Each pattern in the examples has at most one star, in the last name.
            let path = job.resolve(Path::new(pattern));
            let name = path.file_name().unwrap().to_str().unwrap();
            let (before, after) = name.split_once('*').unwrap_or((name, ""));
            let names = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
            let matching = names.filter_map(|name| name.into_string().ok());
            assert!(
                matching.filter(|name| name.starts_with(before) && name.ends_with(after)).count() >= 1,
                "{pattern}"
            );
        }
    }
}

#[test]
fn the_reference_has_a_row_for_every_key() {
    let document = read("docs/job-file.md");
    let (_, keys) = document.split_once("\n## Keys\n").expect("the reference has a section on keys");
    let table = keys.split("\n#").next().unwrap_or_default();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let described: BTreeSet<String> = rows.map(|(key, _)| key.to_owned()).collect();
    let known: BTreeSet<String> = KEYS
        .iter()
        .flat_map(|(section, keys)| {
            keys.iter().map(move |key| if section.is_empty() { (*key).to_owned() } else { format!("{section}.{key}") })
        })
        .collect();
    assert_eq!(described, known);
    for function in AggregateFunction::ALL {
        assert!(document.contains(&format!("| `{function}")), "{function}");
    }
}

#[test]
fn every_job_in_the_reference_is_a_job_file() {
    let document = read("docs/job-file.md");
    let mut count = 0;
    for block in document.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        if text.contains("job:") {
            JobSpec::parse(text, Path::new("docs/job-file.md")).unwrap_or_else(|error| panic!("{error} in\n{text}"));
            count += 1;
        }
    }
    assert!(count >= 2, "{count}");
}

/// A whole job file that contains `lines`; everything the test does not set is filled in.
fn job_file(lines: &str) -> String {
    let has = |key: &str| lines.lines().any(|line| line.starts_with(key));
    let mut text = lines.to_owned();
    for (key, line) in
        [("job:", "job: j\n"), ("input:", "input: a.jsonl\n"), ("process:", "process: {aggregate: {n: count}}\n")]
    {
        if !has(key) {
            text += line;
        }
    }
    text
}

#[test]
fn a_wrong_job_file_is_refused_with_the_place_and_the_reason() {
    let cases: &[(&str, &str)] = &[
        // Keys.
        ("checkpoint:\n  schedul: 10m\n", "2:3: unknown key `schedul` in `checkpoint`, did you mean `schedule`?"),
        ("taks: 4\n", "1:1: unknown key `taks`, did you mean `tasks`?"),
        (
            "colour: red\n",
            "1:1: unknown key `colour`, expected one of `job`, `input`, `let`, `where`, `key`, `tasks`, `process`, `checkpoint`, `output`",
        ),
        ("schedule: 10m\n", "1:1: unknown key `schedule`; it belongs in `checkpoint`"),
        (
            "input: {files: a.jsonl, key: user}\n",
            "1:25: unknown key `key` in `input`; it belongs at the top of the file",
        ),
        ("output: {file: out/}\n", "1:10: unknown key `file` in `output`, did you mean `files`?"),
        (
            "input:\n  files: a.jsonl\n  on_error: {dead_leter: x}\n",
            "3:14: unknown key `dead_leter` in `input.on_error`, did you mean `dead_letter`?",
        ),
        ("key: a\nkey: b\n", "2:1: duplicate key `key`, first used in line 1, column 1"),
        // Names.
        (
            "job: my job\n",
            "1:6: expected a name of at most 100 letters, digits, `-`, `_` and `.` that starts with a letter, a digit or `_`, found `my job`",
        ),
        (
            "job: .hidden\n",
            "1:6: expected a name of at most 100 letters, digits, `-`, `_` and `.` that starts with a letter, a digit or `_`, found `.hidden`",
        ),
        (
            "job: ../../etc\n",
            "1:6: expected a name of at most 100 letters, digits, `-`, `_` and `.` that starts with a letter, a digit or `_`, found `../../etc`",
        ),
        ("job:\n", "1:4: expected a name for the job, found nothing"),
        ("job: [a]\n", "1:6: expected a name for the job, found a list"),
        // Input.
        (
            "input: 7\n",
            "1:8: the name `7` does not show the format; add `format: json`, `format: csv` or `format: text`",
        ),
        ("input: {format: json}\n", "1:8: missing key `files` in `input`: a path, a glob or a list of them"),
        ("input: {files: []}\n", "1:16: expected a path, a glob or a list of them, not empty, found a list"),
        ("input: {files: [a.jsonl, {b: c}]}\n", "1:26: expected a path or a glob, found a map"),
        ("input: {files: [a.jsonl, b.jsonl, a.jsonl]}\n", "1:35: `a.jsonl` is listed twice"),
        ("input: {files: ''}\n", "1:16: expected a path or a glob, found ``"),
        ("input: {files: [a.jsonl, '-']}\n", "1:26: standard input, `-`, cannot be read together with other files"),
        ("input:\n  files:\n    -\n", "3:5: for standard input, put the `-` in quotes: `files: \"-\"`"),
        (
            "input: {files: '-'}\n",
            "1:16: the name `-` does not show the format; add `format: json`, `format: csv` or `format: text`",
        ),
        (
            "input: {files: a, format: parquet}\n",
            "1:27: unknown format `parquet`, expected one of `json`, `jsonl`, `csv`, `text`",
        ),
        ("input: {files: a, format: jsn}\n", "1:27: unknown format `jsn`, did you mean `json`?"),
        ("input: {files: a, format: [json]}\n", "1:27: expected one of `json`, `jsonl`, `csv`, `text`, found a list"),
        ("input: {files: a.jsonl, delimiter: ';'}\n", "1:36: `delimiter` needs `format: csv`"),
        (
            "input: {files: a.csv, delimiter: '||'}\n",
            "1:34: expected one ASCII character such as `;`, or `tab`, found `||`",
        ),
        ("input: {files: a.jsonl, split: words}\n", "1:32: `split` needs `format: text`"),
        ("input: {files: a.txt, split: lines}\n", "1:30: unknown split `lines`, expected `words`"),
        ("input: {files: a.jsonl, follow: yes}\n", "1:33: expected `true` or `false`, found `yes`"),
        (
            "input: {files: '-', format: json, follow: true}\n",
            "1:43: standard input cannot be followed: it is read until it is closed; remove `follow`",
        ),
        (
            "input: {files: [a.jsonl, b.jsonl.gz], follow: true}\n",
            "1:47: `b.jsonl.gz` is compressed; compressed files cannot be followed",
        ),
        (
            "input: {files: a.jsonl, on_error: ignore}\n",
            "1:35: expected `fail`, `skip` or `dead_letter: FILE`, found `ignore`",
        ),
        (
            "input: {files: a.jsonl, on_error: dead_letter}\n",
            "1:35: `dead_letter` needs a file: `on_error: {dead_letter: bad.jsonl}`",
        ),
        ("input: {files: a.jsonl, max_record_bytes: 0}\n", "1:43: expected a size from 1 byte to 32MiB, found `0`"),
        (
            "input: {files: a.jsonl, max_record_bytes: 16M}\n",
            "1:43: expected a size such as `64MiB`, `10GB` or `4096`, found unknown unit `M` (known: kB, MB, GB, TB, KiB, MiB, GiB, TiB)",
        ),
        ("input: {files: a.jsonl, types: {x: number}}\n", "1:33: no aggregate uses the field `x`"),
        (
            "input: {files: a.jsonl, types: {amont: number}}\nprocess: {aggregate: {s: max(amount)}}\n",
            "1:33: no aggregate uses the field `amont`, did you mean `amount`?",
        ),
        (
            "input: {files: a.jsonl, types: {x: float}}\n",
            "1:36: unknown type `float`, expected one of `number`, `text`, `bool`, `int`, `json`",
        ),
        (
            "input: {files: a.jsonl, types: {x: text}}\nprocess: {aggregate: {s: sum(x)}}\n",
            "1:33: `sum(x)` needs numbers, but the type of `x` is text",
        ),
        (
            "input: {files: a.jsonl, types: {x: json}}\nprocess: {aggregate: {s: last(y by x)}}\n",
            "1:33: `last(y by x)` needs ordered values, but the type of `x` is json",
        ),
        // Where, key and tasks.
        ("where: ''\n", "1:8: expected an expression such as `amount > 0`, found ``"),
        ("where: {a: b}\n", "1:8: expected an expression such as `amount > 0`, found a map"),
        ("key: [[user], page]\n", "1:7: expected a field such as `user` or `user.id`, found a list"),
        ("key: []\n", "1:6: expected a key of 1 to 8 fields, found 0"),
        ("key: [user, user]\n", "1:13: two parts of the key have the name `user`; rename one with `let`"),
        ("key: [user, page: float]\n", "1:19: unknown type `float`, expected one of `number`, `int`, `text`, `bool`"),
        ("key: user..id\n", "1:11: expected the name of a field, found `.`"),
        ("key: unit price\n", "1:11: expected the end, found `price`"),
        (
            "input: a.csv\nkey: user.id\n",
            "2:6: CSV has no nested fields; write a column name that has dots as `\"user.id\"`",
        ),
        ("input: a.txt\nkey: user\n", "2:6: text only has the field `line`, found `user`"),
        (
            "input: {files: a.txt, split: words}\nkey: line\n",
            "2:6: text split into words only has the field `word`, found `line`",
        ),
        (
            "key: user\ntasks: partitions\n",
            "2:8: `tasks: partitions` needs a topic: only its producers keep the keys of partitions apart",
        ),
        ("tasks: 4\n", "1:8: `tasks` needs `key`: without a key each partition is a task"),
        ("key: user\ntasks: 0\n", "2:8: expected a whole number of tasks from 1 to 1000000, found `0`"),
        ("key: user\ntasks: 1000001\n", "2:8: expected a whole number of tasks from 1 to 1000000, found `1000001`"),
        ("key: user\ntasks: -1\n", "2:8: expected a whole number of tasks from 1 to 1000000, found `-1`"),
        ("key: user\ntasks: many\n", "2:8: expected a whole number of tasks from 1 to 1000000, found `many`"),
        (
            "key: user\ntasks: '64'\n",
            "2:8: expected a whole number of tasks from 1 to 1000000, found `64`, which is text: remove the quotes",
        ),
        (
            "key: user\ntasks: 99999999999999999999\n",
            "2:8: expected a whole number of tasks from 1 to 1000000, found `99999999999999999999`",
        ),
        // Process.
        (
            "process: {}\n",
            "1:10: missing key `aggregate` in `process`: what to compute for each key, or `exec`: a program of your own",
        ),
        (
            "process: {aggregate: {}}\n",
            "1:22: expected a map from names to aggregates such as `clicks: count`, found an empty one",
        ),
        (
            "process: {aggregate: count}\n",
            "1:22: expected a map from names to aggregates such as `clicks: count`, found `count`",
        ),
        (
            "process: {exec: []}\n",
            "1:17: expected a list of a program and its arguments such as `[python3, sessions.py]`, found an empty list",
        ),
        (
            "process: {aggregate: {n: count}, window: {time: ts}}\n",
            "1:42: missing key `every` in `process.window`: how often a window starts, such as `1m`",
        ),
        ("process:\n  aggregate:\n    a: summ(x)\n", "3:8: unknown aggregate `summ`, did you mean `sum`?"),
        ("process:\n  aggregate:\n    a: sum(x))\n", "3:14: expected the end, found `)`"),
        ("process:\n  aggregate:\n    a: 'sum(x y)'\n", "3:15: expected `)`, found `y`"),
        (
            "process:\n  aggregate:\n    a: sum(round(x, 30))\n",
            "3:21: expected a number of decimal places from 0 to 18, found `30`",
        ),
        (
            "process: {aggregate: {a: [sum]}}\n",
            "1:26: expected an aggregate such as `count` or `sum(amount)`, found a list",
        ),
        ("process: {aggregate: {a: count, a: count}}\n", "1:33: duplicate key `a`, first used in line 1, column 23"),
        ("process: {aggregate: {a: count, A: count}}\n", "1:33: `A` and `a` differ only in case; rename one of them"),
        (
            "process: {aggregate: {a: avg(x), a_sum: sum(x)}}\n",
            "1:34: `a_sum` and `a` both need the column `a_sum`; rename one of them",
        ),
        (
            "process: {aggregate: {1st: count}}\n",
            "1:23: expected a name of at most 100 letters, digits, `_` and `-` that starts with a letter or `_`, found `1st`",
        ),
        (
            "key: u.name\nprocess: {aggregate: {name: count}}\n",
            "2:23: the column `name` is the key; rename the aggregate",
        ),
        (
            "process: {aggregate: {partition: count}}\n",
            "1:23: the column `partition` is the name of the partition; rename the aggregate",
        ),
        (
            "process: {aggregate: {key: count}}\n",
            "1:23: the name `key` is reserved: every state table has the columns `task`, `key`, `deleted`",
        ),
        (
            "input: a.csv\nprocess: {aggregate: {s: sum(a.b)}}\n",
            "2:26: CSV has no nested fields; write a column name that has dots as `\"a.b\"`",
        ),
        // Checkpoint.
        ("checkpoint: often\n", "1:13: expected a map such as `{schedule: 10m}`, found `often`"),
        ("checkpoint: {enabled: 1}\n", "1:23: expected `true` or `false`, found `1`"),
        ("checkpoint: {schedule: 0s}\n", "1:24: expected a duration longer than zero and at most `366d`, found `0s`"),
        (
            "checkpoint: {schedule: 400d}\n",
            "1:24: expected a duration longer than zero and at most `366d`, found `400d`",
        ),
        (
            "checkpoint: {schedule: [10m]}\n",
            "1:24: expected a duration such as `10m`, `1h30m` or `250ms`, found a list",
        ),
        (
            "checkpoint: {schedule: 10}\n",
            "1:24: expected a duration such as `10m`, `1h30m` or `250ms`, found `10` without a unit (ms, s, m, h, d, w)",
        ),
        (
            "checkpoint: {schedule: '0 3 * * *'}\n",
            "1:24: a cron expression needs `mode: scheduled`; the other modes take an interval such as `10m`",
        ),
        ("checkpoint: {state_bytes: 0}\n", "1:27: expected a size larger than zero, found `0`"),
        ("checkpoint: {state_bytes: -5}\n", "1:27: expected a size such as `64MiB`, `10GB` or `4096`, found `-5`"),
        ("checkpoint: {mode: priority}\n", "1:20: `mode: priority` needs `priorities`, a `budget`, or both"),
        (
            "key: user\ncheckpoint: {mode: priority, priorities: [{tasks: 0-64}]}\n",
            "2:51: expected a range of tasks such as `0-7`, within 0 to 63, found `0-64`",
        ),
        (
            "key: user\ncheckpoint: {mode: priority, priorities: [{partitions: 'a*'}]}\n",
            "2:56: `partitions` needs a job without a `key`; use `tasks` or `key`",
        ),
        (
            "key: user\ncheckpoint: {mode: priority, priorities: [{key: 'amount > 3'}]}\n",
            "2:49: the expression may only use `key`, found `amount`",
        ),
        (
            "checkpoint: {mode: priority, priorities: [{tasks: 1, key: 'key == 1'}]}\n",
            "1:59: a class has either `tasks` or `key`, not both",
        ),
        (
            "checkpoint: {mode: priority, priorities: [{}, {weight: 3}]}\n",
            "1:47: there are two classes `others`; give one of them another `name`",
        ),
        (
            "checkpoint: {mode: priority, priorities: [{every: 0}]}\n",
            "1:51: expected a whole number from 1 to 1000, found `0`",
        ),
        ("checkpoint: {budget: 64MiB}\n", "1:22: `budget` needs `mode: priority`"),
        (
            "checkpoint: {mode: scheduled}\n",
            "1:20: `mode: scheduled` needs a `schedule`, such as `6h` or `\"0 */6 * * *\"`",
        ),
        (
            "checkpoint: {mode: scheduled, schedule: '0 25 * * *'}\n",
            "1:41: invalid cron expression: value must be in range 0..=23; found 25",
        ),
        (
            "checkpoint: {state_bytes: 1KiB, jitter: 1s}\n",
            "1:41: `jitter` delays scheduled checkpoints; it needs a `schedule`",
        ),
        ("checkpoint: {records: 0}\n", "1:23: expected a whole number of records, at least 1, found `0`"),
        ("checkpoint: {timeout: 0s}\n", "1:23: expected a duration longer than zero, found `0s`"),
        (
            "checkpoint: {tolerate: 2000000}\n",
            "1:24: expected a whole number of failed attempts in a row, at most 1000000, found `2000000`",
        ),
        ("checkpoint: {mode: elide}\n", "1:20: unknown mode `elide`, did you mean `elided`?"),
        ("checkpoint: {keep: {}}\n", "1:20: `keep` needs a rule that keeps something, such as `last: 10`"),
        (
            "checkpoint: {keep: {last: 0, grace: 1h}}\n",
            "1:20: `keep` needs a rule that keeps something, such as `last: 10`",
        ),
        ("checkpoint: {keep: 10}\n", "1:20: expected a map such as `{last: 10, daily: 7}`, found `10`"),
        ("checkpoint: {keep: {last: ten}}\n", "1:27: expected a whole number of checkpoints, found `ten`"),
        ("checkpoint: {keep: {dayly: 7}}\n", "1:21: unknown key `dayly` in `checkpoint.keep`, did you mean `daily`?"),
        (
            "checkpoint: {keep: {within: 36}}\n",
            "1:29: expected a duration such as `10m`, `1h30m` or `250ms`, found `36` without a unit (ms, s, m, h, d, w)",
        ),
        ("checkpoint: {max_staleness: 1h}\n", "1:29: `max_staleness` needs `mode: priority`"),
        ("checkpoint: {store: ''}\n", "1:21: expected a path, found ``"),
        ("checkpoint: {replicas: b}\n", "1:24: expected a list of directories, found `b`"),
        ("checkpoint: {store: a, replicas: [a]}\n", "1:35: the replica `a` is the store itself"),
        ("checkpoint: {replicas: [b, b]}\n", "1:28: `b` is listed twice"),
        // Patterns.
        ("input: {files: a.log, pattern: combnied}\n", "1:32: unknown pattern `combnied`, did you mean `combined`?"),
        ("input: {files: a.log, pattern: 'a (b'}\n", "1:35: not a regular expression: unclosed group"),
        (
            "input: {files: a.log, pattern: 'a (b)'}\n",
            "1:32: the pattern `a (b)` has no named groups; write what is to be a field as `(?<user>\\S+)`",
        ),
        ("input: {files: a.jsonl, pattern: common}\n", "1:34: `pattern` needs `format: text`"),
        (
            "input: {files: a.log, pattern: common, split: words}\n",
            "1:32: `pattern` and `split` cannot be used together",
        ),
        ("input: {files: a.log, pattern: common}\nkey: hots\n", "2:6: unknown field `hots`, did you mean `host`?"),
        // Exports.
        ("input: {files: a.csv, encoding: latin1}\n", "1:33: unknown encoding `latin1`, did you mean `latin-1`?"),
        ("input: {files: a.jsonl, encoding: latin-1}\n", "1:35: JSON is always UTF-8; remove `encoding`"),
        (
            "input: {files: a.jsonl, nulls: [NA]}\n",
            "1:32: `nulls` needs `format: csv` or a `pattern`, whose fields are all text",
        ),
        ("input: {files: a.csv, nulls: NA}\n", "1:30: expected a list of texts such as `[\"NA\", \"-\"]`, found `NA`"),
        (
            "input: {files: a.csv, numbers: {decimel: ','}}\n",
            "1:33: unknown key `decimel` in `input.numbers`, did you mean `decimal`?",
        ),
        (
            "input: {files: a.csv, numbers: {thousands: '.'}}\n",
            "1:44: `thousands` and `decimal` are the same character",
        ),
        (
            "input: {files: a.csv, numbers: {decimal: x}}\n",
            "1:42: expected one character that is not a digit, a letter or a sign, found `x`",
        ),
        // Computed fields.
        ("let: {a: lowr(b)}\n", "1:14: unknown function `lowr`, did you mean `lower`?"),
        ("let: {a: 'b +'}\n", "1:14: the expression is incomplete"),
        (
            "let: {a-b: 1}\n",
            "1:7: expected a name of at most 100 letters (`A` to `Z`, `a` to `z`), digits and `_` that does not start \
          with a digit, found `a-b`",
        ),
        ("let: {in: 1}\n", "1:7: `in` is a word of expressions; choose another name"),
        ("let: {a: 1, b: a.c}\n", "1:17: `a` is computed, so it has no member `c`"),
        ("let: {a: 1}\nkey: a.b\n", "2:6: `a` is computed, so it has no member `b`"),
        ("input: {files: a.txt}\nlet: {a: lower(lin)}\n", "2:16: unknown field `lin`, did you mean `line`?"),
        ("input: {files: a.txt, split: words}\nlet: {a: w}\n", "2:10: unknown field `w`, expected `word`"),
        (
            "process: {aggregate: {p: approx_quantile(ms, 0.99)}}\n",
            "1:44: expected `,` and a fraction such as `0.99`, found the end; in braces, put an aggregate that has a comma \
             in quotes",
        ),
        (
            "input: {files: a.log, pattern: common}\nlet: {a: hots}\n",
            "2:10: unknown field `hots`, did you mean `host`?",
        ),
        // Output.
        ("output: [out/]\n", "1:9: expected a directory, or a map with `files` or `kafka`, found a list"),
        ("output: {format: csv}\n", "1:9: missing key `files` in `output`: the directory to write to"),
        (
            "output: {files: out/, format: text}\n",
            "1:31: unknown format `text`, expected one of `json`, `jsonl`, `csv`, `parquet`",
        ),
        ("output: {files: out/, emit: all}\n", "1:29: unknown emit `all`, expected one of `final`, `changes`, `rows`"),
        // YAML.
        ("key: !field user\n", "1:6: unknown tag `!field`"),
        ("where: a: b\n", "1:9: invalid YAML: a `:` is not allowed here; text with `: ` in it needs quotes"),
    ];
    assert!(cases.len() >= 40);
    let mut wrong = String::new();
    for (lines, expected) in cases {
        let expected = format!("jobs/j.yaml:{expected}");
        let found = match JobSpec::parse(&job_file(lines), Path::new("jobs/j.yaml")) {
            Ok(_) => "no error".to_owned(),
            Err(error) => error.to_string(),
        };
        if found != expected {
            wrong += &format!("{lines}  expected {expected}\n  found    {found}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_job_file_that_is_not_a_map_or_has_no_job_is_refused() {
    for (text, expected) in [
        ("", "j.yaml:1:1: the document is empty"),
        ("hello", "j.yaml:1:1: expected a job file, which is a map with `job`, `input` and `process`, found `hello`"),
        ("- a\n", "j.yaml:1:1: expected a job file, which is a map with `job`, `input` and `process`, found a list"),
        ("# a job\n\nkey: x\n", "j.yaml:3:1: missing key `job`: the job's name"),
        ("job: a\n", "j.yaml:1:1: missing key `input`: the files to read"),
        ("job: a\ninput: b.csv\n", "j.yaml:1:1: missing key `process`: what to compute"),
        ("job: a\n---\njob: b\n", "j.yaml:2:1: expected one document, found a second one"),
    ] {
        assert_eq!(JobSpec::parse(text, Path::new("j.yaml")).unwrap_err().to_string(), expected);
    }
}
