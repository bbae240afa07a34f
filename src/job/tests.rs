use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::job::model::TopicStart;
use crate::values::value::ColumnType;
use crate::values::yaml;
use crate::values::yaml::{Entry, Kind, Node};

const FULL: &str = r#"
job: spend.per-user_1
input:
  files: [data/a b.csv.gz, "x-*.csv"]
  delimiter: ";"
  types: {ts: int, '"unit price"': number}
  on_error: {dead_letter: bad.csv, max: 0.250%}
  on_gone: warn
  max_record_bytes: 1.5MiB
  follow: false
where: |
  amount > 0
    && country == "DE"
key: user
tasks: 1000000
process:
  aggregate:
    clicks: count()
    spent: sum( round(amount,2) )
    home: first(city by ts)
    seen: max(ts)
    price: max("unit price")
    größe: approx_distinct("a.b")
checkpoint:
  enabled: true
  schedule: 90m
  state_bytes: 64MiB
  records: 5000000
  min_pause: 500ms
  jitter: 10s
  timeout: 2m
  tolerate: 3
  mode: elided
  store: ../stores/x
  replicas: [/mnt/other, "no"]
  min_copies: 2
  keep: {last: 10, hourly: 24, daily: 7, weekly: 4, monthly: 12, within: 36h, bytes: 10GiB, grace: 90m}
output: {files: out/, format: csv, emit: final}
"#;

fn parse(text: &str) -> JobSpec {
    JobSpec::parse(text, Path::new("jobs/job.yaml")).unwrap()
}

#[test]
fn every_key_ends_up_where_it_belongs() {
    let job = parse(FULL);
    assert_eq!(job.job, "spend.per-user_1");
    assert_eq!(job.input.files, ["data/a b.csv.gz", "x-*.csv"]);
    assert_eq!(job.input.format, InputFormat::Csv { delimiter: b';' });
    assert_eq!(
        job.input.types,
        [(FieldPath::of("ts"), ColumnType::Int), (FieldPath::of("unit price"), ColumnType::Number)]
    );
    assert_eq!(job.input.on_error, OnError::DeadLetter(PathBuf::from("bad.csv")));
    assert_eq!(job.input.max_bad, Some(MaxBad::Share(2_500)));
    assert_eq!(job.input.on_gone, OnGone::Warn);
    assert_eq!(job.input.max_record_bytes, 3 << 19);
    assert_eq!(job.filter.as_deref(), Some("amount > 0\n  && country == \"DE\"\n"));
    assert_eq!((job.key_fields().collect::<Vec<_>>(), job.tasks), (vec![&FieldPath::of("user")], 1_000_000));
    let names: Vec<&str> = job.aggregates.iter().map(|aggregate| aggregate.name.as_str()).collect();
    assert_eq!(names, ["clicks", "spent", "home", "seen", "price", "größe"]);
    assert_eq!(job.checkpoint.schedule, Some(Schedule::Every(Duration::from_secs(5_400))));
    assert_eq!(job.checkpoint.records, Some(5_000_000));
    let (min_pause, jitter) = (Duration::from_millis(500), Duration::from_secs(10));
    assert_eq!((job.checkpoint.min_pause, job.checkpoint.jitter), (min_pause, jitter));
    assert_eq!(job.checkpoint.state_bytes, Some(64 << 20));
    assert_eq!((job.checkpoint.timeout, job.checkpoint.tolerate), (Some(Duration::from_secs(120)), 3));
    assert_eq!(job.checkpoint.replicas, [Path::new("/mnt/other"), Path::new("no")]);
    assert_eq!(job.checkpoint.min_copies, 2);
    let keep = job.checkpoint.keep.clone().unwrap();
    let rules = "--keep-last 10 --keep-hourly 24 --keep-daily 7 --keep-weekly 4 --keep-monthly 12";
    assert_eq!(keep.policy.to_string(), format!("{rules} --keep-within 1d12h --keep-bytes 10GiB"));
    assert_eq!(keep.grace, Duration::from_secs(5_400));
    let output = OutputSpec {
        files: PathBuf::from("out/"),
        topic: None,
        format: OutputFormat::Csv,
        emit: Emit::Final,
        columns: Vec::new(),
        having: None,
    };
    assert_eq!(job.output, Some(output));
    assert_eq!(job.resolve(&job.checkpoint.store), Path::new("jobs/../stores/x"));
    assert_eq!(job.resolve(Path::new("/abs")), Path::new("/abs"));
    assert_eq!(job.key_names(), ["user"]);
}

#[test]
fn what_is_left_out_has_its_default() {
    let job = parse("job: 42\ninput: data.jsonl\nkey: no\nprocess: {aggregate: {n: count}}\n");
    assert_eq!((job.job.as_str(), &job.key_names()[..], job.tasks), ("42", &["no"][..], 64));
    assert_eq!((job.input.format, job.input.on_error), (InputFormat::Json, OnError::Fail));
    assert_eq!(job.input.max_record_bytes, 16 << 20);
    assert_eq!((job.filter, job.output), (None, None));
    assert!(job.checkpoint.enabled);
    assert_eq!(job.checkpoint.schedule, Some(Schedule::Every(Duration::from_secs(60))));
    assert_eq!((job.checkpoint.state_bytes, job.checkpoint.keep), (None, None));
    assert_eq!(job.checkpoint.store, Path::new("checkpoints/42"));
    assert_eq!(job.checkpoint.min_copies, 1);
    let job = parse("job: a\ninput: b.txt\nprocess: {aggregate: {n: count}}\ncheckpoint: {state_bytes: 1}\n");
    assert_eq!((&job.key_names()[..], job.tasks, &job.checkpoint.schedule), (&["partition"][..], 0, &None));
}

#[test]
fn the_format_follows_from_the_first_file() {
    for (file, format) in [
        ("a.jsonl", InputFormat::Json),
        ("a.ndjson.gz", InputFormat::Json),
        ("*.JSON", InputFormat::Json),
        ("a.csv.zst", InputFormat::Csv { delimiter: b',' }),
        ("a.tsv", InputFormat::Csv { delimiter: b'\t' }),
        ("a.txt", InputFormat::Text),
        ("var/x.log.gz", InputFormat::Text),
        ("x.log-20261024.gz", InputFormat::Text),
        ("x.log-2026-10-24", InputFormat::Text),
        ("x.log.1", InputFormat::Text),
        ("x.log.2026-10-24.zst", InputFormat::Text),
        ("x.json-*.gz", InputFormat::Json),
    ] {
        let job = parse(&format!("job: a\ninput: '{file}'\nprocess: {{aggregate: {{n: count}}}}\n"));
        assert_eq!(job.input.format, format, "{file}");
    }
    let job = "job: a\ninput: {files: x.tsv, format: csv}\nprocess: {aggregate: {n: count}}\n";
    assert_eq!(parse(job).input.format, InputFormat::Csv { delimiter: b'\t' });
    let job = "job: a\ninput: {files: \"-\", format: text, split: words}\nprocess: {aggregate: {n: count}}\n";
    assert_eq!(parse(job).input.format, InputFormat::Words);
}

#[test]
fn a_definition_is_the_same_job_and_its_own_definition() {
    let short = "job: a\ninput: b.txt\nprocess: {aggregate: {n: count}}\n";
    let words = "job: a\ninput: {files: x.txt, split: words}\nkey: word\nprocess: {aggregate: {n: count}}\n";
    for text in [FULL, short, words] {
        let job = parse(text);
        let definition = job.definition();
        assert_eq!(parse(&definition), job, "{definition}");
        assert_eq!(parse(&definition).definition(), definition);
        assert!(!definition.contains("jobs/"), "{definition}");
    }
    assert_eq!(
        parse(short).definition(),
        "job: a\ninput:\n  files:\n    - b.txt\n  format: text\n  on_error: fail\n  max_record_bytes: 16MiB\n  \
             follow: false\nprocess:\n  aggregate:\n    \"n\": count\ncheckpoint:\n  enabled: true\n  schedule: 1m\n  \
             mode: elided\n  store: checkpoints/a\n"
    );
}

/// Adds the keys of `node`, which is the section `section`, and of the sections in it.
fn add_keys(node: &Node, section: &str, found: &mut BTreeSet<(String, String)>) {
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter().for_each(|item| add_keys(item, section, found)),
        Kind::Map(entries) => {
            for Entry { key, value, .. } in entries {
                if KEYS.iter().any(|(name, _)| *name == section) {
                    found.insert((section.to_owned(), key.clone()));
                }
                let below = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
                add_keys(value, &below, found);
            }
        }
    }
}

#[test]
fn definitions_have_exactly_the_known_keys() {
    let mut found = BTreeSet::new();
    for text in [
        FULL,
        "job: a\ninput: {files: x.txt, split: words}\nkey: word\nprocess: {exec: [a], restarts: 1, tick: 1s, columns: {n: int}}\noutput: {files: o, format: csv, columns: {m: text}}\n",
        "job: a\ninput: {files: x.log, pattern: logfmt, encoding: latin-1, nulls: [NA], numbers: {thousands: \"'\", strip: €}}\nlet: {y: x + 1}\nprocess: {native: x}\n",
        "job: a\ninput:\n  kafka: {brokers: 'a:1,b:2', topic: t, start: latest, until: latest, columns: [k, n], settings: {a: b}, \
         settings_file: s, timeout: 1m}\n  format: csv\nprocess: {aggregate: {n: count}}\n\
         output: {kafka: {topic: o}}\n",
        "job: a\ninput: x.jsonl\nkey: k\nprocess: {aggregate: {n: count}, delete: d, ttl: 1d, time: t}\noutput: {files: o, having: n > 1}\n",
        "job: a\ninput: x.jsonl\nkey: k\nprocess:\n  aggregate: {n: count}\n  \
         window: {time: t, every: 1m, on_late: {dead_letter: l}}\n",
        "job: a\ninput: x.jsonl\nkey: k\nprocess: {aggregate: {n: count}}\n\
         checkpoint: {mode: priority, budget: 1MiB, priorities: [{tasks: 0-7}, {key: key != 'a'}]}\n",
        "job: a\ninput: x.jsonl\nprocess: {aggregate: {n: count}}\n\
         checkpoint: {mode: priority, priorities: [{partitions: x*}]}\n",
    ] {
        add_keys(&yaml::parse(&parse(text).definition()).unwrap(), "", &mut found);
    }
    let known = KEYS.iter().flat_map(|(section, keys)| keys.iter().map(|key| (section.to_string(), key.to_string())));
    assert_eq!(found, known.collect());
}

#[test]
fn differences_name_what_no_longer_fits() {
    let old = parse(FULL);
    let changes = |from: &str, to: &str| -> Vec<String> {
        assert!(FULL.contains(from), "{from}");
        let new = parse(&FULL.replace(from, to));
        differences(&old, &new).iter().map(Difference::to_string).collect()
    };
    assert!(differences(&old, &old).is_empty());
    for (from, to) in [
        ("amount > 0", "amount > 1"),
        ("90m", "5m"),
        ("../stores/x", "y"),
        ("out/", "other/"),
        ("x-*.csv", "y-*.csv"),
        ("{dead_letter: bad.csv, max: 0.250%}", "skip"),
        ("count()", "count"),
        ("  min_copies: 2\n", ""),
    ] {
        assert_eq!(changes(from, to), [""; 0], "{from}");
    }
    for (from, to, difference) in [
        ("sum( round(amount,2) )", "avg(amount)", "aggregate `spent` was sum(round(amount, 2)), is now avg(amount)"),
        ("city by ts", "city", "aggregate `home` was first(city by ts), is now first(city)"),
        ("tasks: 1000000", "tasks: 64", "`tasks` was 1000000, is now 64"),
        ("key: user", "key: account", "the key was `user`, is now `account`"),
        ("key: user\ntasks: 1000000", "", "the key `user` was removed"),
        ("    clicks: count()\n", "", "aggregate `clicks` (count) was removed"),
        ("    clicks: count()\n", "    clicks: count\n    all: count\n", "aggregate `all` is new: count"),
        ("\";\"", "tab", "the input format was csv separated by `;`, is now csv separated by tabs"),
        ("ts: int", "ts: text", "the type of `ts` was int, is now text"),
    ] {
        assert_eq!(changes(from, to), [difference], "{from}");
    }
    // A field that has no values in the state can get any type.
    let unused = FULL.replace("    home: first(city by ts)\n    seen: max(ts)\n", "    late: max(ts)\n");
    let found = differences(&old, &parse(&unused.replace("ts: int", "ts: text")));
    assert!(found.iter().all(|difference| difference.effect() != Effect::Unfit), "{found:?}");
    let words = "job: a\ninput: {files: x.txt, split: words}\nprocess: {aggregate: {n: count, m: count(word)}}\n";
    let lines = "job: a\ninput: x.txt\nprocess: {aggregate: {m: count(line), n: count}}\n";
    let found = differences(&parse(words), &parse(lines));
    assert_eq!(
        found.iter().map(Difference::to_string).collect::<Vec<_>>(),
        [
            "the input format was text split into words, is now text",
            "aggregate `m` was count(word), is now count(line)",
            "the order of the aggregates was n, m, is now m, n"
        ]
    );
    let swapped = words.replace("n: count, m: count(word)", "m: count(word), n: count");
    assert_eq!(
        differences(&parse(words), &parse(&swapped)).iter().map(Difference::to_string).collect::<Vec<_>>(),
        ["the order of the aggregates was n, m, is now m, n"]
    );
}

#[test]
fn an_error_of_the_run_stands_at_its_value() {
    let place = |text: &str, key: &str, value: Option<&str>| {
        let error = JobFileError::about(text, Path::new("job.yaml"), key, value, "no");
        (error.line, error.column)
    };
    assert_eq!(place(FULL, "input.files", Some("x-*.csv")), (4, 28));
    assert_eq!(place(FULL, "input.files", Some("gone")), (4, 10));
    assert_eq!(place(FULL, "key", None), (14, 6));
    assert_eq!(place("input: a.csv", "input.files", Some("a.csv")), (1, 8));
    assert_eq!(place("input: a.csv", "where", None), (1, 1));
    assert_eq!(place("[", "where", None), (1, 1));
    let error = JobFileError::about(FULL, Path::new("job.yaml"), "where", None, "is wrong");
    assert_eq!(error.to_string(), "job.yaml:12:3: is wrong");
}

#[test]
fn bytes_that_are_no_text_are_an_error_with_a_place() {
    let error = JobSpec::from_bytes(b"job: a\nkey: \xff", Path::new("job.yaml")).unwrap_err();
    assert_eq!(error.to_string(), "job.yaml:2:6: expected UTF-8 text, found the byte 0xff");
}

proptest::proptest! {
    #[test]
    fn a_job_file_with_slips_is_refused_or_has_a_definition(
        slips in proptest::collection::vec((0..FULL.len(), "[a-z0-9:{}()\\[\\]\"'.,#&*!|> \n-]{0,3}", 0..4usize), 1..4),
    ) {
        let mut text: Vec<char> = FULL.chars().collect();
        for (at, put, gone) in slips {
            let at = at.min(text.len());
            let end = (at + gone).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        if let Ok(job) = JobSpec::parse(&text, Path::new("jobs/job.yaml")) {
            proptest::prop_assert_eq!(JobSpec::parse(&job.definition(), Path::new("jobs/job.yaml")), Ok(job));
        }
    }
}

fn topic(kafka: &str, rest: &str) -> Result<JobSpec, String> {
    let text = format!("job: j\ninput: {{kafka: {kafka}{rest}}}\nprocess: {{aggregate: {{n: count}}}}\n");
    JobSpec::parse(&text, Path::new("job.yaml")).map_err(|error| error.to_string())
}

#[test]
fn a_topic_is_followed_unless_it_ends_at_the_latest_message() {
    let followed = topic("{brokers: 'a:1', topic: t}", ", format: json").unwrap();
    assert!(followed.input.follow && followed.input.files.is_empty());
    let batch = topic("{brokers: 'a:1', topic: t, until: latest}", ", format: json").unwrap();
    assert!(!batch.input.follow);
    for job in [followed, batch] {
        assert_eq!(JobSpec::parse(&job.definition(), Path::new("job.yaml")), Ok(job.clone()));
        assert_eq!(job.input.topic.unwrap().start, TopicStart::Earliest);
    }
}

fn output_topic(input: &str, output: &str) -> Result<JobSpec, String> {
    let text = format!("job: j\ninput: {input}\nprocess: {{aggregate: {{n: count}}}}\noutput: {output}\n");
    JobSpec::parse(&text, Path::new("job.yaml")).map_err(|error| error.to_string())
}

#[test]
fn the_topic_of_an_output_has_the_brokers_of_the_input_unless_it_has_its_own() {
    let settings = "settings: {client.rack: a}, settings_file: f, timeout: 7s";
    let input = format!("{{kafka: {{brokers: 'a:1', topic: t, {settings}}}, format: json}}");
    let read = |input: &str, output: &str| {
        let job = output_topic(input, output).unwrap();
        assert_eq!(JobSpec::parse(&job.definition(), Path::new("job.yaml")), Ok(job.clone()));
        job.output.unwrap()
    };
    let output = read(&input, "{kafka: {topic: out}}");
    assert_eq!((output.emit, output.format), (Emit::Changes, OutputFormat::Json));
    let topic = output.topic.unwrap();
    assert_eq!((topic.brokers.as_str(), topic.topic.as_str(), topic.timeout), ("a:1", "out", Duration::from_secs(7)));
    assert_eq!(topic.settings, [("client.rack".to_owned(), "a".to_owned())]);
    assert_eq!(topic.settings_file, Some(PathBuf::from("f")));
    let own = read(&input, "{kafka: {topic: t, brokers: 'b:1'}}").topic.unwrap();
    assert_eq!((own.brokers.as_str(), own.timeout), ("b:1", Duration::from_secs(300)));
    assert_eq!((own.settings, own.settings_file), (Vec::new(), None));
    let changed = read(&input, "{kafka: {topic: out, settings: {compression.type: zstd}}}").topic.unwrap();
    assert_eq!(changed.settings, [("compression.type".to_owned(), "zstd".to_owned())]);
    assert_eq!(read("data.jsonl", "{kafka: {topic: out, brokers: 'b:1'}}").topic.unwrap().brokers, "b:1");
    for (output, expected) in [
        ("{kafka: {}}", "missing key `topic` in `output.kafka`"),
        ("{kafka: {topic: t}}", "cannot be both the input and the output"),
        ("{kafka: {topic: o, start: earliest}}", "unknown key `start` in `output.kafka`"),
        ("{kafka: {topic: o}, files: x}", "a job has one output"),
        ("{kafka: {topic: o}, format: csv}", "messages are JSON"),
        ("{kafka: {topic: o}, emit: final}", "use `emit: changes`"),
        ("{kafka: {topic: o, settings: {transactional.id: x}}}", "ckpt sets it itself"),
        ("{kafka: {topic: o, settings: {sasl.password: x}}}", "in the file `settings_file`"),
        ("{kafka: {topic: o}}\ncheckpoint: {enabled: false}", "publishes rows with each checkpoint"),
    ] {
        let error = output_topic(&input, output).unwrap_err();
        assert!(error.contains(expected), "{output}: {error}");
    }
    let error = output_topic("data.jsonl", "{kafka: {topic: out}}").unwrap_err();
    assert!(error.contains("missing key `brokers` in `output.kafka`"), "{error}");
}

#[test]
fn mistakes_about_topics_are_found_where_they_are() {
    let brokers = "brokers: 'a:1', topic: t";
    for (kafka, rest, expected) in [
        ("{topic: t}", ", format: json", "missing key `brokers` in `input.kafka`"),
        ("{brokers: a, topic: t}", ", format: json", "brokers such as `localhost:9092`"),
        ("{brokers: 'a:1', topic: a/b}", ", format: json", "a name of at most 249"),
        (&format!("{{{brokers}}}"), "", "the format of the messages is unknown"),
        (&format!("{{{brokers}}}"), ", format: json, files: x", "a job reads files or a topic"),
        (&format!("{{{brokers}}}"), ", format: json, follow: true", "followed unless `until: latest`"),
        (&format!("{{{brokers}}}"), ", format: csv", "add `columns`"),
        (&format!("{{{brokers}, columns: [a]}}"), ", format: json", "`columns` needs `format: csv`"),
        (&format!("{{{brokers}, columns: [a, a]}}"), ", format: csv", "found `a` again"),
        (&format!("{{{brokers}, until: 5}}"), ", format: json", "unknown until `5`"),
        (&format!("{{{brokers}, settings: {{sasl.password: x}}}}"), ", format: json", "in the file `settings_file`"),
        (&format!("{{{brokers}, settings: {{isolation.level: x}}}}"), ", format: json", "ckpt sets it itself"),
    ] {
        let error = topic(kafka, rest).unwrap_err();
        assert!(error.contains(expected), "{kafka}{rest}: {error}");
    }
}

#[test]
fn the_fields_of_messages_are_known_in_topics_only() {
    let of = |input: &str, key: &str| {
        let text =
            format!("job: j\ninput: {{{input}, format: text}}\nkey: {key}\nprocess: {{aggregate: {{n: count}}}}\n");
        JobSpec::parse(&text, Path::new("job.yaml")).map_err(|error| error.to_string())
    };
    for key in ["_key", "_time", "_partition", "_offset", "_headers.trace", "line"] {
        assert!(of("kafka: {brokers: 'a:1', topic: t}", key).is_ok(), "{key}");
    }
    assert!(of("kafka: {brokers: 'a:1', topic: t}", "_value").unwrap_err().contains("only has the field `line`"));
    assert!(of("files: x.txt", "_key").unwrap_err().contains("only has the field `line`"));
}

#[test]
fn partitions_of_a_topic_can_be_its_tasks() {
    let text = "job: a\ninput: {kafka: {brokers: 'b:1', topic: t}, format: json}\nkey: _key\ntasks: partitions\n\
                process: {aggregate: {n: count}}\n";
    let (partitioned, hashed) = (parse(text), parse(&text.replace("tasks: partitions", "tasks: 8")));
    assert_eq!((partitioned.is_partitioned, partitioned.tasks), (true, 0));
    assert_eq!((hashed.is_partitioned, hashed.tasks), (false, 8));
    assert_eq!(parse(&partitioned.definition()), partitioned);
    for (old, new, was, is) in
        [(&hashed, &partitioned, "8", "`partitions`"), (&partitioned, &hashed, "`partitions`", "8")]
    {
        let found = differences(old, new);
        assert_eq!(found[0].to_string(), format!("`tasks` was {was}, is now {is}: keys cannot move to other tasks"));
        assert_eq!((found.len(), found[0].effect()), (1, Effect::Unfit));
    }
}
