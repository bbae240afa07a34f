//! Samza itself, killed while it works, and then continued by `ckpt` and by Samza.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::samza_import::{Clicks, WORDS, expected, job, rows};
use crate::support::kafka::Broker;
use crate::support::{Env, repository};

/// How many clicks there are, half of them in each of two partitions. Samza commits a task after every 5,000.
const MESSAGES: u64 = 200_000;

/// How long Samza may take to reach an offset.
const PATIENCE: Duration = Duration::from_secs(240);

/// A Samza job that ends with its owner.
struct Samza(Child);

impl Drop for Samza {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the job `totals` of `tests/samza/make_files`, or says that there is no Samza.
fn start(broker: &Broker, env: &Env) -> Samza {
    let log = File::create(env.path("samza.log")).expect("created");
    let mut command = Command::new("python3");
    command.arg(repository::path("tests/samza/make_files")).args(["--run", "totals", &broker.address()]);
    command.arg(env.path("samza")).args(["600", "files.commit.every=5000"]);
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
    Samza(command.spawn().expect("python3"))
}

/// Returns the smallest offset that a task of the job has committed, if both have one.
fn committed(env: &Env, address: &str) -> Option<u64> {
    let output = env.run(&["samza", "inspect", address, "--json"]);
    let document: Value = serde_json::from_str(&output.stdout).ok()?;
    let tasks = document["tasks"].as_array()?;
    let offset = |task: &Value| task["v1"]["inputs"][0]["offset"].as_str()?.parse::<u64>().ok();
    let offsets: Option<Vec<u64>> = tasks.iter().map(offset).collect();
    offsets.filter(|offsets| offsets.len() == 2)?.into_iter().min()
}

fn wait_for(env: &Env, address: &str, offset: u64) {
    let begun = Instant::now();
    while committed(env, address).is_none_or(|found| found < offset) {
        assert!(begun.elapsed() < PATIENCE, "no offset {offset}: {}", env.read("samza.log"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn ckpt_and_samza_have_the_same_result_after_a_kill() {
    if !repository::path("target/tools/samza/lib").is_dir() {
        let required = std::env::var_os("CKPT_REQUIRE_SAMZA").is_some_and(|value| value == "1");
        assert!(!required, "CKPT_REQUIRE_SAMZA=1, and there is no Samza in target/tools/samza/lib");
        println!("skipped: Apache Samza was not found in target/tools/samza/lib, see tests/samza/README.md");
        return;
    }
    let Some(broker) = Broker::start() else { return };
    let env = Env::new();
    broker.make("clicks", 2);
    let clicks = Clicks { broker: &broker, topic: "clicks" };
    clicks.send(0, MESSAGES);
    let address = format!("kafka://{}/totals/1", broker.address());
    let each = MESSAGES / 2;

    let samza = start(&broker, &env);
    wait_for(&env, &address, 4_999);
    drop(samza);
    let at = committed(&env, &address).expect("an offset");
    assert!(at + 1 < each, "Samza was killed too late, at offset {at}");

    env.write("job.yaml", job(&broker, "clicks", "store"));
    // A commit writes V1 first, so the kill may have come in between.
    let imported =
        env.run(&[&["samza", "import", &address, "--read-version", "1", "--json"][..], &WORDS].concat()).expect(0);
    let imported: Value = serde_json::from_str(&imported.stdout).expect("JSON");
    let next = |number: usize| imported["partitions"][number]["offset"].as_u64().expect("an offset");
    assert_eq!(rows(&env, "store"), expected(MESSAGES, [next(0), next(1)]));
    env.run(&["run", "--must-resume", "job.yaml"]).expect(0);
    let whole = expected(MESSAGES, [each, each]);
    assert_eq!(rows(&env, "store"), whole);
    env.run(&["verify", "store", "--deep"]).expect(0);

    env.write("whole.yaml", job(&broker, "clicks", "whole"));
    env.run(&["run", "whole.yaml"]).expect(0);
    assert_eq!(rows(&env, "whole"), whole);

    let samza = start(&broker, &env);
    wait_for(&env, &address, each - 1);
    drop(samza);
    env.write("samza.yaml", job(&broker, "clicks", "of-samza"));
    let words = WORDS.map(|word| if word == "job.yaml" { "samza.yaml" } else { word });
    env.run(&[&["samza", "import", &address, "--read-version", "1"][..], &words].concat()).expect(0);
    assert_eq!(rows(&env, "of-samza"), whole);
}
