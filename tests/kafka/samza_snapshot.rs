//! `ckpt samza import --rocksdb`: a job continues from the snapshots that a real Samza job left on its machine.

use std::fs;

use serde_json::{Value, json};

use super::samza_import::{Clicks, WORDS, expected, job, rows};
use crate::support::kafka::Broker;
use crate::support::{Env, Output, repository};

/// The input of the Samza job, as its checkpoints name it, and how many messages `files.ProduceClicks` wrote to it.
const TOPIC: &str = "many-clicks";
const MESSAGES: u64 = 6600;

/// Returns an environment with what the killed job `rocks` left, in `samza/`.
fn env() -> Env {
    let env = Env::new();
    for file in repository::files("tests/samza/golden/rocks") {
        let to = env.path("samza").join(file.strip_prefix("tests/samza/golden/rocks/").expect("below it"));
        fs::create_dir_all(to.parent().expect("a parent")).expect("created");
        fs::copy(repository::path(&file), to).expect("copied");
    }
    env
}

fn import(env: &Env, store: &str) -> Output {
    let words = WORDS.map(|word| if word == "totals" { store } else { word });
    env.run(&[&["samza", "import", "samza", "--rocksdb", "--json"][..], &words].concat())
}

/// The directory of the snapshot of `store` of the first task.
fn snapshot(env: &Env, store: &str) -> std::path::PathBuf {
    let entries = fs::read_dir(env.path(&format!("samza/stores/{store}"))).expect("listed");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    paths.find(|path| path.to_string_lossy().contains("Partition_0-")).expect("a snapshot")
}

#[test]
fn a_job_continues_from_the_snapshots_of_a_killed_job_and_from_nothing_else() {
    let Some(broker) = Broker::shared() else { return };
    broker.make(TOPIC, 2);
    Clicks { broker, topic: TOPIC }.send(0, MESSAGES);
    let env = env();
    env.write("job.yaml", job(broker, TOPIC, "store"));
    let refuse = |store: &str, message: &str| {
        let output = import(&env, store).expect(4);
        assert!(output.stderr.contains(message), "{message}\n{output}");
        assert!(!env.path("store").exists(), "{message}");
    };
    // The values of `clicks` are numbers, and not JSON, but that is not the reason.
    refuse("clicks", "expire, and those of the job would not");
    refuse("other", "there is no snapshot of store `other` of task `Partition 0` at its checkpoint");
    let directory = snapshot(&env, "totals");
    let hidden = directory.with_file_name("hidden");
    fs::rename(&directory, &hidden).expect("renamed");
    // Only the files in use are left, and they are ahead of the checkpoint.
    refuse("totals", "there is no snapshot of store `totals` of task `Partition 0` at its checkpoint");
    fs::rename(&hidden, &directory).expect("renamed");
    let own = directory.join("CHECKPOINT-V2");
    let bytes = fs::read(&own).expect("readable");
    fs::remove_file(&own).expect("removed");
    refuse("totals", "has no CHECKPOINT-V2 that says the same as the checkpoint of task `Partition 0`: the id differs");
    fs::write(&own, bytes).expect("written");
    fs::copy(directory.with_file_name("Partition_0").join("000015.sst"), directory.join("000015.sst")).expect("copied");
    refuse("totals", "has tables that its manifest does not name, such as `000015.sst`");
    fs::remove_file(directory.join("000015.sst")).expect("removed");

    let output = import(&env, "totals").expect(0);
    let document: Value = serde_json::from_str(&output.stdout).expect("JSON");
    for (number, partition) in (0..).zip(document["partitions"].as_array().expect("partitions")) {
        // Samza had committed after 2000 messages of each partition.
        assert_eq!((&partition["offset"], &partition["changelog"]), (&json!(2000), &Value::Null));
        let place = partition["snapshot"].as_str().expect("a path");
        assert!(place.contains(&format!("/totals/Partition_{number}-")), "{place}");
    }
    assert_eq!(rows(&env, "store"), expected(MESSAGES, [2000, 2000]));
    let run = env.run(&["run", "--must-resume", "job.yaml"]).expect(0);
    assert!(run.stdout.contains("2,600 in"), "{run}");
    assert_eq!(rows(&env, "store"), expected(MESSAGES, [3300, 3300]));
    env.run(&["verify", "store", "--deep"]).expect(0);
}
