//! Topics of a real broker.

#[cfg(feature = "kafka")]
mod batches;
#[cfg(feature = "kafka")]
mod client;
#[cfg(feature = "kafka")]
mod example;
#[cfg(feature = "kafka")]
mod keyed;
#[cfg(feature = "kafka")]
mod locks;
#[cfg(feature = "kafka")]
mod network;
#[cfg(feature = "kafka")]
mod operations;
#[cfg(feature = "kafka")]
mod outputs;
#[cfg(feature = "kafka")]
mod partitions;
#[cfg(feature = "kafka")]
mod runs;
#[cfg(feature = "kafka")]
mod samza;
#[cfg(feature = "kafka")]
mod samza_import;
#[cfg(feature = "kafka")]
mod samza_live;
#[cfg(all(feature = "kafka", feature = "rocksdb"))]
mod samza_snapshot;
#[cfg(feature = "kafka")]
mod shared_files;
#[cfg(feature = "kafka")]
mod shared_outputs;
#[cfg(feature = "kafka")]
mod takeover;
#[cfg(feature = "kafka")]
mod times;
#[cfg(feature = "kafka")]
mod workers;

#[cfg(not(feature = "kafka"))]
use crate::support::Env;

#[test]
#[cfg(not(feature = "kafka"))]
fn without_the_feature_a_topic_is_refused_with_the_command_that_builds_it() {
    println!("left out: the tests of topics need `--features kafka` and a broker, see CONTRIBUTING.md");
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: j\ninput: {kafka: {brokers: 'localhost:9092', topic: t}, format: json}\nprocess: {aggregate: {n: count}}\n",
    );
    let refused = env.run(&["run", "job.yaml"]).expect(2);
    assert!(refused.stderr.contains("job.yaml:2:16: this ckpt was built without the feature `kafka`"), "{refused}");
    assert!(refused.stderr.contains("cargo build --release --features kafka"), "{refused}");
    env.write("data.jsonl", "{}\n");
    env.write(
        "job.yaml",
        "job: j\ninput: data.jsonl\nprocess: {aggregate: {n: count}}\noutput: {kafka: {topic: t, brokers: 'a:1'}}\n",
    );
    let refused = env.run(&["run", "job.yaml"]).expect(2);
    assert!(refused.stderr.contains("job.yaml:4:17: this ckpt was built without the feature `kafka`"), "{refused}");
}

#[test]
#[cfg(not(feature = "kafka"))]
fn without_the_feature_a_checkpoint_topic_of_samza_is_refused_with_the_command_that_builds_it() {
    let refused = Env::new().run(&["samza", "inspect", "kafka://localhost:9092/j/1"]).expect(2);
    assert!(refused.stderr.contains("cargo build --release --features kafka"), "{refused}");
}
