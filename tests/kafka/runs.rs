//! `ckpt run` on a topic: it gives what the messages give in files, whatever interrupts it.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::kafka::{Broker, Sent};
use crate::support::{Ending, Env, Output};

const PATIENCE: Duration = Duration::from_secs(60);

/// A state: the count and the total of each key.
pub(super) type Rows = BTreeMap<String, (u64, u64)>;

/// Writes a job that reads `topic`. `kafka` follows in its section, and `more` at the end.
fn job(env: &Env, broker: &Broker, topic: &str, kafka: &str, more: &str) {
    let address = broker.address();
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: {{kafka: {{brokers: '{address}', topic: {topic}{kafka}}}, format: json}}\nkey: k\n\
             process: {{aggregate: {{n: count, total: sum(i)}}}}\n\
             checkpoint: {{store: store, schedule: 100ms}}\n{more}"
        ),
    );
}

/// Sends the messages from `first` up to, but not including, `end`, to the partitions in turn.
fn send(broker: &Broker, topic: &str, partitions: u64, first: u64, end: u64) {
    let texts: Vec<String> = (first..end).map(|i| format!("{{\"k\":\"{}\",\"i\":{i}}}", i % 7)).collect();
    let messages = texts.iter().zip(first..).map(|(text, i)| Sent {
        partition: (i % partitions) as i32,
        value: Some(text),
        ..Sent::default()
    });
    broker.send(topic, messages);
}

/// The state after the messages up to, but not including, `end`, each once.
fn expected(end: u64) -> Rows {
    expected_of(0..end)
}

fn expected_of(messages: impl Iterator<Item = u64>) -> Rows {
    totals(7, messages)
}

/// The state after these messages, each once, if there are `keys` keys in turn.
pub(super) fn totals(keys: u64, messages: impl Iterator<Item = u64>) -> Rows {
    let mut rows = Rows::new();
    for i in messages {
        let row = rows.entry((i % keys).to_string()).or_default();
        *row = (row.0 + 1, row.1 + i);
    }
    rows
}

/// The state of the latest checkpoint.
pub(super) fn state(env: &Env) -> Rows {
    let _ = fs::remove_dir_all(env.path("state"));
    env.run(&["restore", "store", "--to", "state", "--format", "jsonl"]).expect(0);
    let mut rows = Rows::new();
    for file in fs::read_dir(env.path("state")).expect("listed") {
        for line in fs::read_to_string(file.expect("listed").path()).expect("read").lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let number = |name: &str| row[name].to_string().trim_matches('"').parse().expect("a number");
            rows.insert(row["key"].as_str().expect("a key").to_owned(), (number("n"), number("total")));
        }
    }
    rows
}

/// The number of records of the latest checkpoint.
pub(super) fn records(env: &Env) -> u64 {
    records_in(env, "store")
}

/// The same for a store that is elsewhere.
pub(super) fn records_in(env: &Env, store: &str) -> u64 {
    let output = env.run(&["inspect", store, "--json"]);
    let Ok(view) = serde_json::from_str::<serde_json::Value>(&output.stdout) else { return 0 };
    view["totals"]["records"].as_u64().unwrap_or_default()
}

/// Returns the positions: of each partition, the offset in the topic and whether it has ended.
fn positions(env: &Env) -> Vec<(String, u64, bool)> {
    let view = env.run(&["inspect", "store", "--positions", "--json"]).expect(0);
    let view: serde_json::Value = serde_json::from_str(&view.stdout).expect("JSON");
    let row = |row: &serde_json::Value| {
        let name = row["partition"].as_str().expect("a name").to_owned();
        assert!(row["topic_id"].is_string(), "{row}");
        (name, row["topic_offset"].as_u64().expect("an offset"), row["ended"].as_bool().expect("a bool"))
    };
    view["positions"].as_array().expect("a list").iter().map(row).collect()
}

pub(super) fn start(env: &Env) -> Ending {
    let stderr = fs::File::create(env.path("stderr")).expect("created");
    let mut command = env.command(&["run", "job.yaml"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    Ending(command.spawn().expect("started"))
}

#[track_caller]
pub(super) fn until(env: &Env, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: {}", env.read("stderr"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(super) fn signal(child: &Child, signal: Signal) {
    let process = Pid::from_raw(child.id().try_into().expect("a process")).expect("a process");
    kill_process(process, signal).expect("running");
}

/// Waits for the end of a run. Returns its exit code.
#[track_caller]
pub(super) fn ended(env: &Env, run: &mut Ending) -> Option<i32> {
    let mut status = None;
    until(env, "the run ends", || {
        status = run.0.try_wait().expect("waited");
        status.is_some()
    });
    status.and_then(|status| status.code())
}

/// Ends a run with a checkpoint.
#[track_caller]
pub(super) fn stop(env: &Env, mut run: Ending) {
    // Before it has printed something it does not listen for signals.
    until(env, "the run has started", || !env.read("stderr").is_empty());
    signal(&run.0, Signal::TERM);
    assert_eq!(ended(env, &mut run), Some(0), "{}", env.read("stderr"));
}

pub(super) fn run(env: &Env) -> Output {
    env.run(&["run", "job.yaml"])
}

const UNTIL: &str = ", until: latest";

#[test]
fn a_topic_gives_what_its_messages_give_in_files() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(3));
    send(broker, &topic, 3, 0, 10_000);
    job(&env, broker, &topic, UNTIL, "output: out/\n");
    run(&env).expect(0);
    assert_eq!(state(&env), expected(10_000));
    let ends: Vec<(String, u64, bool)> =
        [3_334, 3_333, 3_333].iter().zip(0..).map(|(end, number)| (format!("{topic}/{number}"), *end, true)).collect();
    assert_eq!(positions(&env), ends);
    let of_topic = env.read("out/j.jsonl");
    let lines: String = (0..10_000).map(|i| format!("{{\"k\":\"{}\",\"i\":{i}}}\n", i % 7)).collect();
    env.write("data.jsonl", lines);
    let files = "job: j\ninput: data.jsonl\nkey: k\nprocess: {aggregate: {n: count, total: sum(i)}}\n\
                 checkpoint: {store: other}\noutput: files/\n";
    env.write("files.yaml", files);
    env.run(&["run", "files.yaml"]).expect(0);
    assert_eq!(of_topic, env.read("files/j.jsonl"));
    // The next run reads what came since.
    send(broker, &topic, 3, 10_000, 10_500);
    run(&env).expect(0);
    assert_eq!(state(&env), expected(10_500));
    env.run(&["verify", "--deep", "store"]).expect(0);
    let table = env.run(&["inspect", "store", "--positions"]).expect(0).stdout;
    assert!(table.contains("TOPIC OFFSET") && table.contains("3,500"), "{table}");
}

#[test]
fn a_topic_is_followed_and_sigterm_ends_with_a_checkpoint() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    send(broker, &topic, 2, 0, 100);
    job(&env, broker, &topic, "", "");
    let child = start(&env);
    until(&env, "the first are applied", || records(&env) == 100);
    send(broker, &topic, 2, 100, 250);
    until(&env, "the next are applied", || records(&env) == 250);
    send(broker, &topic, 2, 250, 260);
    std::thread::sleep(Duration::from_millis(50));
    stop(&env, child);
    let known = records(&env);
    assert!((250..=260).contains(&known));
    let child = start(&env);
    until(&env, "the rest is applied", || records(&env) == 260);
    stop(&env, child);
    assert_eq!(state(&env), expected(260));
}

#[test]
fn a_run_that_is_killed_at_any_time_loses_and_repeats_nothing() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(4));
    job(&env, broker, &topic, "", "");
    env.write("job.yaml", env.read("job.yaml").replace("100ms", "20ms"));
    let mut sent = 0;
    for turn in 0..12 {
        let mut child = start(&env);
        send(broker, &topic, 4, sent, sent + 4_000);
        sent += 4_000;
        let before = records(&env);
        if turn % 3 != 0 {
            until(&env, "something is applied", || records(&env) > before);
        }
        std::thread::sleep(Duration::from_millis(turn * 7));
        signal(&child.0, Signal::KILL);
        let _ = child.0.wait();
    }
    job(&env, broker, &topic, UNTIL, "");
    run(&env).expect(0);
    assert_eq!(state(&env), expected(sent));
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn everything_that_a_message_has_is_a_field() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    let time = 1_795_000_000_000_i64;
    let headers = [("source", "web"), ("size", "12")];
    let sent =
        |key, value, offset| Sent { partition: 1, key: Some(key), value, time: Some(time + offset), headers: &headers };
    broker.send(
        &topic,
        [
            sent("a", Some("{\"_key\":\"hidden\",\"v\":1}"), 0),
            sent("a", Some("{\n  \"v\": 2\n}\n"), 1_000),
            sent("b", Some("{\"v\":5}"), 2_000),
            sent("b", None, 3_000),
            sent("c", None, 4_000),
            sent("d", Some("{\"v\":7}"), 5_000),
        ],
    );
    let text = format!(
        "job: j\ninput: {{kafka: {{brokers: '{}', topic: {topic}, until: latest}}, format: json}}\nkey: _key\n\
         where: _partition == 1 && _offset < 5 && _headers.source == \"web\"\n\
         process:\n  delete: _tombstone\n  aggregate: {{v: sum(v), last: max(_time), size: max(_headers.size), none: max(_headers.none)}}\n\
         checkpoint: {{store: store}}\noutput: out/\n",
        broker.address()
    );
    env.write("job.yaml", text);
    run(&env).expect(0);
    let expected = format!("{{\"_key\":\"a\",\"v\":3,\"last\":{},\"size\":\"12\",\"none\":null}}\n", time + 1_000);
    assert_eq!(env.read("out/j.jsonl"), expected);
}

#[test]
fn windows_go_by_the_time_of_messages() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(1));
    let times = [0, 30_000, 61_000, 125_000];
    let sent = times.map(|time| Sent {
        key: Some("a"),
        value: Some("x"),
        time: Some(1_795_000_020_000 + time),
        ..Sent::default()
    });
    broker.send(&topic, sent);
    let text = format!(
        "job: j\ninput: {{kafka: {{brokers: '{}', topic: {topic}, until: latest}}, format: text}}\nkey: _key\n\
         process: {{aggregate: {{n: count}}, window: {{time: _time, unit: ms, every: 1m}}}}\n\
         checkpoint: {{store: store}}\noutput: out/\n",
        broker.address()
    );
    env.write("job.yaml", text);
    run(&env).expect(0);
    let counts: Vec<u64> = env
        .read("out/j.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_u64().unwrap())
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), 4);
    assert_eq!(counts, [2, 1, 1]);
}

#[test]
fn csv_and_text_are_read_and_bad_messages_are_named_by_their_offsets() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(1));
    let value = |value| Sent { value: Some(value), ..Sent::default() };
    broker.send(&topic, ["u1,5", "u2,\"6\"", "u1,7\n", "u1,8\nu1,9", "u1"].map(value));
    let text = |format: &str, kafka: &str, rest: &str| {
        format!(
            "job: j\ninput: {{kafka: {{brokers: '{}', topic: {topic}, until: latest{kafka}}}, format: {format}}}\n{rest}\
             checkpoint: {{store: store-{format}}}\noutput: out-{format}/\n",
            broker.address()
        )
    };
    let rest = "key: user\nprocess: {aggregate: {n: sum(amount)}}\n";
    env.write("job.yaml", text("csv", ", columns: [user, amount]", rest));
    let failed = run(&env).expect(5);
    assert!(
        failed.stderr.contains(&format!("bad record 3 of `{topic}/0` at offset 3: has more than one row")),
        "{failed}"
    );
    let skipping = text("csv", ", columns: [user, amount]", rest).replace("format: csv", "on_error: skip, format: csv");
    env.write("job.yaml", skipping);
    let skipped = run(&env).expect(3);
    assert!(skipped.stdout.contains(&format!("record 3 of `{topic}/0` at offset 3")), "{skipped}");
    assert_eq!(env.read("out-csv/j.jsonl"), "{\"user\":\"u1\",\"n\":12}\n{\"user\":\"u2\",\"n\":6}\n");
    env.write("job.yaml", text("csv", ", columns: [user, price]", rest));
    let missing = run(&env).expect(2);
    assert!(missing.stderr.contains("no column `amount`"), "{missing}");
    env.write("job.yaml", text("text", "", "key: line\nprocess: {aggregate: {n: count}}\n"));
    run(&env).expect(0);
    assert_eq!(env.read("out-text/j.jsonl").lines().count(), 5);
}

#[test]
fn a_job_starts_at_the_latest_message_if_it_is_told_to_and_then_misses_none() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(1));
    send(broker, &topic, 1, 0, 50);
    job(&env, broker, &topic, ", start: latest, until: latest", "");
    run(&env).expect(0);
    send(broker, &topic, 1, 50, 60);
    run(&env).expect(0);
    assert_eq!(state(&env), expected_of(50..60));
    // A partition that appears later has no old messages.
    broker.add_partitions(&topic, 2);
    send(broker, &topic, 2, 60, 80);
    run(&env).expect(0);
    assert_eq!(state(&env), expected_of(50..80));
}

#[test]
fn aborted_transactions_are_not_applied_and_their_offsets_are_no_gap() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(1));
    let texts: Vec<String> = (0..30).map(|i| format!("{{\"k\":\"{}\",\"i\":{i}}}", i % 7)).collect();
    let sent =
        |range: std::ops::Range<usize>| texts[range].iter().map(|text| Sent { value: Some(text), ..Sent::default() });
    job(&env, broker, &topic, UNTIL, "");
    broker.send_in_transaction(&topic, true, sent(0..10));
    run(&env).expect(0);
    broker.send_in_transaction(&topic, false, sent(20..30));
    run(&env).expect(0);
    broker.send_in_transaction(&topic, true, sent(10..20));
    run(&env).expect(0);
    assert_eq!(state(&env), expected(20));
    assert!(run(&env).expect(0).stderr.contains("up to date") || records(&env) == 20);
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn messages_that_are_gone_stop_the_run_unless_the_job_allows_it() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(1));
    send(broker, &topic, 1, 0, 20);
    job(&env, broker, &topic, UNTIL, "");
    run(&env).expect(0);
    send(broker, &topic, 1, 20, 50);
    // What was read may go.
    broker.delete_before(&topic, 0, 20);
    env.run(&["check", "job.yaml"]).expect(0);
    broker.delete_before(&topic, 0, 30);
    let failed = run(&env).expect(4);
    let gone = format!("10 messages of `{topic}/0` are gone: the checkpoint has read up to offset 20");
    assert!(failed.stderr.contains(&gone) && failed.stderr.contains("on_gone: warn"), "{failed}");
    let checked = env.run(&["check", "job.yaml"]);
    assert!(checked.status == 1 && checked.stdout.contains(&gone), "{checked}");
    env.write("job.yaml", env.read("job.yaml").replace("format: json", "format: json, on_gone: warn"));
    let warned = run(&env).expect(0);
    assert!(warned.stderr.contains("from offset 20 to 30 are gone"), "{warned}");
    assert_eq!(state(&env), expected_of((0..20).chain(30..50)));
}

#[test]
fn messages_that_go_while_a_run_sleeps_stop_it_unless_the_job_allows_it() {
    let Some(broker) = Broker::shared() else { return };
    for on_gone in ["stop", "warn"] {
        let (env, topic) = (Env::new(), broker.topic(1));
        send(broker, &topic, 1, 0, 100);
        job(&env, broker, &topic, "", "");
        env.write(
            "job.yaml",
            env.read("job.yaml").replace("format: json", &format!("format: json, on_gone: {on_gone}")),
        );
        let mut child = start(&env);
        until(&env, "the first are applied", || records(&env) == 100);
        signal(&child.0, Signal::STOP);
        // The broker answers the request that waits for messages.
        std::thread::sleep(Duration::from_secs(2));
        send(broker, &topic, 1, 100, 150);
        broker.delete_before(&topic, 0, 130);
        signal(&child.0, Signal::CONT);
        if on_gone == "stop" {
            assert_eq!(ended(&env, &mut child), Some(4), "{}", env.read("stderr"));
            assert!(
                env.read("stderr").contains(&format!("30 messages of `{topic}/0` are gone")),
                "{}",
                env.read("stderr")
            );
            assert_eq!(state(&env), expected(100));
        } else {
            until(&env, "the rest is applied", || records(&env) == 120);
            stop(&env, child);
            assert!(env.read("stderr").contains("from offset 100 to 130 are gone"), "{}", env.read("stderr"));
            assert_eq!(state(&env), expected_of((0..100).chain(130..150)));
        }
        env.run(&["verify", "--deep", "store"]).expect(0);
    }
}

#[test]
fn another_topic_under_the_same_name_is_refused() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(1));
    send(broker, &topic, 1, 0, 20);
    job(&env, broker, &topic, UNTIL, "");
    run(&env).expect(0);
    broker.delete(&topic);
    let unknown = run(&env).expect(2);
    assert!(unknown.stderr.contains(&format!("topic `{topic}` does not exist")), "{unknown}");
    broker.make(&topic, 1);
    send(broker, &topic, 1, 0, 40);
    let refused = run(&env).expect(4);
    assert!(refused.stderr.contains("was deleted and made again"), "{refused}");
    assert_eq!(state(&env), expected(20));
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn check_says_what_each_partition_would_do_and_verify_needs_no_broker() {
    let Some(mut broker) = Broker::start() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    send(&broker, &topic, 2, 0, 20);
    job(&env, &broker, &topic, ", until: latest, timeout: 2s", "");
    let fresh = env.run(&["check", "job.yaml"]).expect(0);
    assert!(fresh.stdout.contains("would start from scratch and read 2 partitions (20 messages)"), "{fresh}");
    run(&env).expect(0);
    send(&broker, &topic, 1, 20, 25);
    let checked = env.run(&["check", "job.yaml", "--json"]).expect(0);
    let view: serde_json::Value = serde_json::from_str(&checked.stdout).unwrap();
    let input = |index: usize, name: &str| view["inputs"][index][name].clone();
    assert_eq!(
        (input(0, "topic_offset"), input(0, "unread_messages"), input(0, "state")),
        (10.into(), 5.into(), "unread".into())
    );
    assert_eq!(
        (input(1, "topic_offset"), input(1, "unread_messages"), input(1, "state")),
        (10.into(), 0.into(), "read".into())
    );
    broker.kill();
    env.run(&["verify", "--deep", "store"]).expect(0);
    env.run(&["inspect", "store", "--positions"]).expect(0);
    let begun = Instant::now();
    let away = run(&env).expect(4);
    assert!(away.stderr.contains("no Kafka broker at") && begun.elapsed() < PATIENCE, "{away}");
}

#[test]
fn a_run_waits_for_brokers_that_come_back_and_gives_up_on_those_that_do_not() {
    let Some(mut broker) = Broker::start() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    send(&broker, &topic, 2, 0, 100);
    job(&env, &broker, &topic, "", "");
    let child = start(&env);
    until(&env, "the first are applied", || records(&env) == 100);
    broker.kill();
    until(&env, "it is noticed", || env.read("stderr").contains("answers; waiting up to 5m"));
    broker.start_again();
    send(&broker, &topic, 2, 100, 200);
    until(&env, "the next are applied", || records(&env) == 200);
    until(&env, "it is noticed", || env.read("stderr").contains("answer again"));
    stop(&env, child);
    assert_eq!(state(&env), expected(200));
    job(&env, &broker, &topic, ", timeout: 3s", "");
    let mut child = start(&env);
    until(&env, "it has resumed", || env.read("stderr").contains("j: resumes"));
    broker.kill();
    assert_eq!(ended(&env, &mut child), Some(4));
    assert!(env.read("stderr").contains("has answered for"), "{}", env.read("stderr"));
    assert_eq!(state(&env), expected(200));
}
