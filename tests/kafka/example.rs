//! The example of several workers, which starts a broker of its own.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::support::kafka::{Broker, Sent, free_port};
use crate::support::{Env, repository};

/// How many messages the example sends each time.
const MESSAGES: u64 = 20_000;

/// Waits for what the example asks its producer, and passes the answer of `send`.
const PRODUCE: &str =
    r#"echo "$@" > asked.new && mv asked.new asked && until [ -e sent ]; do sleep 0.05; done; rm sent"#;

/// Sends as many messages as the example asks for, to the partitions of their users.
fn send(asked: &str) {
    let [brokers, topic, partitions, messages] = &asked.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{asked}")
    };
    let port = brokers.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let (partitions, messages): (u64, u64) =
        (partitions.parse().expect("a number"), messages.parse().expect("a number"));
    let broker = Broker::of_others(port);
    broker.make_once(topic, partitions as i32);
    let texts = (0..messages).map(|number| (format!("u{}", number % 500), number % 500 % partitions));
    let texts: Vec<(String, u64)> = texts.collect();
    let value = |user: &str| format!("{{\"user\":\"{user}\",\"amount\":1.5}}");
    let values: Vec<String> = texts.iter().map(|(user, _)| value(user)).collect();
    broker.send(
        topic,
        texts.iter().zip(&values).map(|((user, partition), value)| Sent {
            partition: *partition as i32,
            key: Some(user),
            value: Some(value),
            ..Sent::default()
        }),
    );
}

#[test]
fn the_example_of_workers_ends_with_the_result_of_a_run_alone() {
    // Whether there are jars, this says.
    let Some(broker) = Broker::shared() else { return };
    let env = Env::new();
    env.write("produce", PRODUCE);
    let (jars, port) = (broker.jars().display(), free_port());
    let run = repository::path("examples/kafka/workers/run");
    let command = format!(
        "PORT={port} MESSAGES={MESSAGES} CKPT_KAFKA='{jars}' PRODUCE=\"env -C $PWD sh $PWD/produce\" timeout 300 '{}'",
        run.display()
    );
    let output = thread::scope(|scope| {
        let example = scope.spawn(|| env.shell(&command));
        while !example.is_finished() {
            if let Ok(asked) = fs::read_to_string(env.path("asked")) {
                fs::remove_file(env.path("asked")).expect("removed");
                send(&asked);
                env.write("sent", "");
            }
            thread::sleep(Duration::from_millis(50));
        }
        example.join().expect("ended")
    });
    let output = output.expect(0);
    assert!(output.stdout.ends_with("== both have the same result\n"), "{output}");
    let tables: Vec<&str> = output.stdout.split("WORKER  TASKS").skip(1).collect();
    let has = |table: &str, worker: &str| table.lines().any(|line| line.starts_with(&format!("{worker}  ")));
    let shown = tables.iter().map(|table| ["a", "b", "c"].map(|worker| has(table, worker))).collect::<Vec<_>>();
    assert_eq!(shown, [[true, true, true], [true, true, true], [true, true, false]], "{output}");
    assert!(output.stdout.contains("  records       60,000 in "), "{output}");
}
