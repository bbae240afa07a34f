//! Event time with `tasks: partitions`: windows and expiry follow from the messages of each partition alone, whichever worker
//! reads them and whatever happens to it. The expected results are computed here, one partition after another.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;

use super::outputs::{committed, proves};
use super::runs::{self, Rows, records, signal, state};
use super::workers::{self, Fate, NAMES, PARTITIONS, befall, end, finish, start, until};
use crate::support::Env;
use crate::support::kafka::{Broker, Sent};
use crate::support::random::Random;

const MINUTE: i64 = 60_000;
/// Windows are as long as two of their steps.
const LENGTH: i64 = 2 * MINUTE;
const LATE: i64 = 5_000;
const AHEAD: i64 = 60 * MINUTE;
const TTL: i64 = 90_000;
const BEGIN: i64 = 1_795_356_000_000;

const WINDOW: &str = "window: {time: t, unit: ms, every: 1m, length: 2m, late: 5s, ahead: 1h}";
const EXPIRY: &str = "ttl: 90s, time: t, unit: ms, ahead: 1h";

/// A message.
#[derive(Debug, Clone, Copy)]
struct Event {
    user: u64,
    time: i64,
    number: u64,
}

impl Event {
    fn partition(self) -> u64 {
        self.user % PARTITIONS
    }
}

/// What happens, partition by partition in the order of the messages.
#[derive(Debug)]
struct Events {
    random: Random,
    /// The time that each partition has come to. They are far apart, and some go faster than others.
    times: Vec<i64>,
    sent: Vec<Event>,
}

impl Events {
    fn new(seed: u64) -> Events {
        let times = (0..PARTITIONS as i64).map(|partition| BEGIN + partition * 17 * MINUTE).collect();
        Events { random: Random(seed), times, sent: Vec::new() }
    }

    /// Sends `count` more: mostly in the order of time, some late, some far ahead. One partition has next to none.
    fn send(&mut self, broker: &Broker, topic: &str, count: u64) {
        let mut events = Vec::new();
        for _ in 0..count {
            let random = &mut self.random;
            let user = match random.below(10 * PARTITIONS) {
                0 => PARTITIONS - 1,
                n => n % (PARTITIONS - 1) + PARTITIONS * random.below(30),
            };
            let now = &mut self.times[(user % PARTITIONS) as usize];
            *now += random.below(1_500 * (1 + user % PARTITIONS)) as i64;
            let time = match random.below(100) {
                0 => *now + 10 * AHEAD,
                1..20 => *now - random.below(2 * LENGTH as u64) as i64,
                _ => *now - random.below(LATE as u64) as i64,
            };
            events.push(Event { user, time, number: (self.sent.len() + events.len()) as u64 });
        }
        let text = |event: &Event| format!("{{\"user\":{},\"t\":{},\"i\":{}}}", event.user, event.time, event.number);
        let texts: Vec<(String, String)> = events.iter().map(|event| (event.user.to_string(), text(event))).collect();
        broker.send(
            topic,
            texts.iter().zip(&events).map(|((key, text), event)| Sent {
                partition: event.partition() as i32,
                key: Some(key),
                value: Some(text),
                ..Sent::default()
            }),
        );
        self.sent.extend(events);
    }

    fn count(&self) -> u64 {
        self.sent.len() as u64
    }
}

/// The largest time of a partition that counts.
#[derive(Default)]
struct Reached(Option<i64>);

impl Reached {
    fn take(&mut self, time: i64) -> i64 {
        let known = self.0.unwrap_or(time);
        let reached = if time > known + AHEAD { known } else { known.max(time) };
        *self.0.insert(reached)
    }
}

/// What should come out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    /// The rows of closed windows: key, start, count and total, sorted.
    closed: Vec<(String, String, u64, u64)>,
    state: Rows,
    late: u64,
}

fn windows(events: &Events) -> Expected {
    windows_and_late(events).0
}

/// Returns the numbers of the late events, too, sorted.
fn windows_and_late(events: &Events) -> (Expected, Vec<u64>) {
    let (mut expected, mut late) = (Expected::default(), Vec::new());
    for partition in 0..PARTITIONS {
        let (mut reached, mut open) = (Reached::default(), BTreeMap::<(i64, u64), (u64, u64)>::new());
        for event in events.sent.iter().filter(|event| event.partition() == partition) {
            let watermark = reached.take(event.time) - LATE;
            let still_open = open.split_off(&(watermark - LENGTH + 1, 0));
            for ((start, user), (n, total)) in std::mem::replace(&mut open, still_open) {
                expected.closed.push((user.to_string(), stamp(start), n, total));
            }
            let first = event.time.div_euclid(MINUTE) * MINUTE;
            let starts = [first, first - MINUTE].into_iter().filter(|start| start + LENGTH > watermark);
            if starts.clone().next().is_none() {
                late.push(event.number);
            }
            for start in starts {
                let row = open.entry((start, event.user)).or_default();
                *row = (row.0 + 1, row.1 + event.number);
            }
        }
        let rows = open.into_iter().map(|((start, user), row)| (format!("{user}@{}", stamp(start)), row));
        expected.state.extend(rows);
    }
    expected.closed.sort();
    late.sort_unstable();
    expected.late = late.len() as u64;
    (expected, late)
}

fn expiry(events: &Events) -> Expected {
    let mut expected = Expected::default();
    let deadline = |last: i64| (last + TTL + 999).div_euclid(1_000) * 1_000;
    for partition in 0..PARTITIONS {
        let (mut reached, mut rows) = (Reached::default(), BTreeMap::<u64, (u64, u64, i64)>::new());
        for event in events.sent.iter().filter(|event| event.partition() == partition) {
            let watermark = reached.take(event.time);
            rows.retain(|_, (_, _, last)| deadline(*last) > watermark);
            if deadline(event.time) <= watermark && !rows.contains_key(&event.user) {
                expected.late += 1;
                continue;
            }
            let row = rows.entry(event.user).or_insert((0, 0, event.time));
            *row = (row.0 + 1, row.1 + event.number, row.2.max(event.time));
        }
        expected.state.extend(rows.into_iter().map(|(user, (n, total, _))| (user.to_string(), (n, total))));
    }
    expected
}

fn stamp(millis: i64) -> String {
    Timestamp::from_millisecond(millis).expect("a time").to_string()
}

fn late(env: &Env) -> u64 {
    let view = env.run(&["inspect", "store", "--json"]).expect(0).stdout;
    let view: serde_json::Value = serde_json::from_str(&view).expect("JSON");
    view["totals"]["late"].as_u64().unwrap_or_default()
}

/// Writes the job that reads `input` and writes `output`; `time` says what it uses the time for.
fn job(env: &Env, broker: &Broker, input: &str, output: &str, time: &str) {
    workers::job(env, broker, input, "job.yaml", "", "store");
    let text = env.read("job.yaml").replace("sum(i)}}", &format!("sum(i)}}, {time}}}"));
    let text = text.replace("job: j-", &format!("job: {output}-"));
    env.write("job.yaml", format!("{text}output: {{kafka: {{topic: {output}}}, emit: changes}}\n"));
}

/// What has come out, if each message of the output is a closed window.
fn windows_found(env: &Env, broker: &Broker, output: &str) -> Expected {
    let mut closed = Vec::new();
    for message in committed(broker, output) {
        let row: serde_json::Value = serde_json::from_str(message.value.as_ref().expect("a value")).expect("JSON");
        let number = |name: &str| row[name].to_string().parse().expect("a number");
        let start = row["window_start"].as_str().expect("a time").to_owned();
        closed.push((message.key.expect("a key"), start, number("n"), number("total")));
    }
    closed.sort();
    Expected { closed, state: state(env), late: late(env) }
}

/// What has come out, if the messages of the output are changes of rows. The last ones are the state.
fn expiry_found(env: &Env, broker: &Broker, output: &str) -> Expected {
    let mut rows = Rows::new();
    for message in committed(broker, output) {
        let key = message.key.expect("a key");
        let Some(value) = message.value else {
            rows.remove(&key).expect("a row that was sent");
            continue;
        };
        let row: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        let number = |name: &str| row[name].to_string().parse().expect("a number");
        rows.insert(key, (number("n"), number("total")));
    }
    assert_eq!(rows, state(env));
    Expected { closed: Vec::new(), state: rows, late: late(env) }
}

/// Lets workers come and go while events happen.
fn work_together(env: &Env, broker: &Broker, input: &str, events: &mut Events) {
    let mut running = NAMES.map(|name| Some(start(env, name)));
    let mut random = events.random.clone();
    for _ in 0..20 {
        for _ in 0..5 {
            events.send(broker, input, 60);
            std::thread::sleep(Duration::from_millis(random.below(200)));
        }
        befall(env, &mut running, [Fate::Killed, Fate::Killed, Fate::Ended, Fate::Stopped], &mut random);
    }
    finish(env, running, events.count());
}

/// The same. Then a run alone continues, and is killed now and then.
fn come_and_go(env: &Env, broker: &Broker, input: &str, events: &mut Events, check: impl Fn(&Events)) {
    work_together(env, broker, input, events);
    check(events);
    let mut random = events.random.clone();
    for _ in 0..4 {
        let mut alone = runs::start(env);
        events.send(broker, input, 300);
        std::thread::sleep(Duration::from_millis(random.below(1_500)));
        signal(&alone.0, Signal::KILL);
        let _ = alone.0.wait();
    }
    let alone = runs::start(env);
    until(env, "all is applied", || records(env) == events.count());
    end(env, alone);
    check(events);
    // And workers continue what it has done.
    let workers = ["a", "b"].map(|name| start(env, name));
    events.send(broker, input, 600);
    until(env, "all is applied again", || records(env) == events.count());
    workers.into_iter().for_each(|worker| end(env, worker));
    check(events);
}

#[test]
fn windows_close_by_the_time_of_their_partition_whichever_worker_has_it() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(PARTITIONS as i32), broker.topic(2));
    job(&env, broker, &input, &output, WINDOW);
    come_and_go(&env, broker, &input, &mut Events::new(23), |events| {
        let expected = windows(events);
        assert!(expected.closed.len() > 100 && !expected.state.is_empty() && expected.late > 20);
        assert_eq!(windows_found(&env, broker, &output), expected);
        proves(&env, broker, &output);
    });
}

#[test]
fn keys_expire_by_the_time_of_their_partition_whichever_worker_has_it() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(PARTITIONS as i32), broker.topic(2));
    job(&env, broker, &input, &output, EXPIRY);
    come_and_go(&env, broker, &input, &mut Events::new(24), |events| {
        let expected = expiry(events);
        assert!(!expected.state.is_empty() && expected.late > 20);
        assert_eq!(expiry_found(&env, broker, &output), expected);
        proves(&env, broker, &output);
    });
    let deleted = committed(broker, &output).iter().filter(|message| message.value.is_none()).count();
    assert!(deleted > 5, "{deleted} rows have expired");
}

#[test]
fn each_partition_has_its_watermark_and_the_smallest_one_is_shown() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(PARTITIONS as i32), broker.topic(1));
    job(&env, broker, &input, &output, WINDOW);
    let worker = start(&env, "a");
    let send = |partition: u64, minutes: i64| {
        let text = format!("{{\"user\":{partition},\"t\":{},\"i\":1}}", BEGIN + minutes * MINUTE);
        let (key, partition) = (partition.to_string(), partition as i32);
        broker.send(&input, [Sent { partition, key: Some(&key), value: Some(&text), ..Sent::default() }]);
    };
    [(0, 1), (1, 50), (1, 20), (2, 7)].into_iter().for_each(|(partition, minutes)| send(partition, minutes));
    until(&env, "all is applied", || records(&env) == 4);
    end(&env, worker);
    let view = |what: &[&str]| -> serde_json::Value {
        let view = env.run(&[&["inspect", "store", "--json"], what].concat()).expect(0).stdout;
        serde_json::from_str(&view).expect("JSON")
    };
    let at = |minutes: i64| serde_json::Value::from(stamp(BEGIN + minutes * MINUTE - LATE));
    assert_eq!(view(&[])["watermark"], at(1));
    let positions = view(&["--positions"]);
    let watermarks: Vec<_> = (0..4).map(|partition| positions["positions"][partition]["watermark"].clone()).collect();
    assert_eq!(watermarks, [at(1), at(50), at(7), serde_json::Value::Null]);
    assert_eq!(late(&env), 1, "a partition is late by its own time");
    let shown = env.run(&["inspect", "store"]).expect(0).stdout;
    assert!(shown.contains(", the smallest of all partitions"), "{shown}");
    let shown = env.run(&["inspect", "store", "--positions"]).expect(0).stdout;
    assert!(shown.contains("  WATERMARK") && shown.contains("2026-11-22T14:49:55Z"), "{shown}");
    env.run(&["verify", "--deep", "store"]).expect(0);
    env.run(&["check", "job.yaml"]).expect(0);
}

#[test]
fn each_late_record_is_in_one_file_whichever_worker_has_read_it() {
    let Some(broker) = Broker::shared() else { return };
    let (env, input, output) = (Env::new(), broker.topic(PARTITIONS as i32), broker.topic(2));
    let window = WINDOW.replace("ahead: 1h", "ahead: 1h, on_late: {dead_letter: late/records.jsonl}");
    job(&env, broker, &input, &output, &window);
    let mut events = Events::new(25);
    work_together(&env, broker, &input, &mut events);
    let (expected, expected_late) = windows_and_late(&events);
    assert!(expected.late > 20);
    assert_eq!(windows_found(&env, broker, &output), expected);
    let lines = env.shell("cat late/records-*.jsonl").expect(0).stdout;
    let number = |line: &str| -> u64 {
        let late: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let record: serde_json::Value = serde_json::from_str(late["data"].as_str().expect("text")).expect("JSON");
        record["i"].as_u64().expect("a number")
    };
    let mut found: Vec<u64> = lines.lines().map(number).collect();
    found.sort_unstable();
    assert_eq!(found, expected_late);
}
