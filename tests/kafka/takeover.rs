//! A worker whose share changes loads only what is new to it, and does so while it works on the rest.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ckpt::job::JobSpec;
use ckpt::runner::observer::{Observer, RunEvent, Stage, Status};
use ckpt::runner::options::{Control, Options};
use ckpt::runner::pipeline::group::{WorkerName, run_worker};
use ckpt::runner::process::processor::Processors;
use ckpt::runner::storage_opener::StorageOpener;
use ckpt::runner::wall_clock::WallClock;
use jiff::Timestamp;
use rustix::process::Signal;

use super::runs::{records, signal, state};
use super::workers::{MESSAGES, PARTITIONS, end, has_partitions, job, start, until};
use crate::support::Env;
use crate::support::kafka::{Broker, Sent};

/// What a worker says that it does.
#[derive(Default)]
struct Heard {
    stages: Mutex<Vec<String>>,
    /// Its partitions.
    partitions: Mutex<Vec<u32>>,
    /// The records that it has applied since its share changed last.
    records: AtomicU64,
}

impl Observer for Heard {
    fn event(&self, event: &RunEvent) {
        let text = match event {
            RunEvent::Assigned { partitions } => {
                self.partitions.lock().expect("no panic").clone_from(partitions);
                format!("has {}", partitions.len())
            }
            RunEvent::Stage(Stage::Opening) => "opens".to_owned(),
            RunEvent::Stage(Stage::Restoring { shards, .. }) => format!("loads {shards}"),
            RunEvent::Stage(Stage::Reading) => "reads".to_owned(),
            RunEvent::Stage(Stage::Ending) => "ends".to_owned(),
            _ => return,
        };
        self.stages.lock().expect("no panic").push(text);
    }

    fn status(&self, status: &Status) {
        self.records.store(status.records_of_run, Ordering::Relaxed);
    }
}

impl Heard {
    fn has(&self, texts: &[&str]) -> bool {
        *self.stages.lock().expect("no panic") == texts
    }

    fn forget(&self) {
        self.stages.lock().expect("no panic").clear();
    }
}

fn options() -> Options {
    Options {
        threads: 2,
        must_resume: false,
        latest_good: false,
        holder: "a test".to_owned(),
        clock: WallClock::new(Timestamp::now),
        random: [9; 16],
        processors: Processors::default(),
        storages: StorageOpener::default(),
        environment: Vec::new(),
        share: None,
        assumed_output: None,
    }
}

fn read_job(path: &Path) -> JobSpec {
    JobSpec::from_bytes(&std::fs::read(path).expect("read"), path).expect("a job")
}

#[test]
fn a_worker_loads_what_it_is_given_while_it_works_and_nothing_that_it_has() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(PARTITIONS as i32));
    job(&env, broker, &topic, "job.yaml", "", "store");
    let (job, control, heard) = (read_job(&env.path("job.yaml")), Arc::new(Control::default()), Heard::default());
    let worker = WorkerName { name: "a".to_owned(), leaves: false };
    MESSAGES.send(broker, &topic, 0, 3_000);
    std::thread::scope(|scope| {
        let (options, of_worker, heard) = (options(), Arc::clone(&control), &heard);
        let a = scope.spawn(move || run_worker(&job, &options, &of_worker, heard, &worker));
        // Whatever fails, the other thread has to end.
        let stop = StopAtEnd(&control);
        until(&env, "the first are applied", || records(&env) == 3_000);
        assert!(heard.has(&["has 6", "opens", "reads"]), "{:?}", heard.stages);
        heard.forget();

        let b = start(&env, "b");
        until(&env, "the other has partitions", || has_partitions(&env, &["b"]));
        assert!(heard.has(&["ends", "has 3", "opens", "loads 0", "reads"]), "{:?}", heard.stages);
        heard.forget();
        MESSAGES.send(broker, &topic, 3_000, 6_000);
        until(&env, "both have applied more", || records(&env) == 6_000);

        signal(&b.0, Signal::KILL);
        drop(b);
        MESSAGES.send(broker, &topic, 6_000, 9_000);
        until(&env, "all is applied", || records(&env) == 9_000);
        let ahead = ["loads 3", "loads 2", "loads 1", "loads 0"];
        let then = ["ends", "has 6", "opens", "loads 0", "reads"];
        assert!(heard.has(&[&ahead[..], &then].concat()), "{:?}", heard.stages);
        drop(stop);
        a.join().expect("no panic").expect("it ends well");
    });
    assert_eq!(state(&env), MESSAGES.expected(9_000));
    env.run(&["verify", "--deep", "store"]).expect(0);
    // What it had in memory was right: a worker that has to load everything continues from it.
    let c = start(&env, "c");
    MESSAGES.send(broker, &topic, 9_000, 12_000);
    until(&env, "all is applied", || records(&env) == 12_000);
    end(&env, c);
    assert_eq!(state(&env), MESSAGES.expected(12_000));
}

#[test]
fn a_worker_that_is_stopped_commits_what_it_has_whatever_the_others_have_committed() {
    let Some(broker) = Broker::shared() else { return };
    let (env, topic) = (Env::new(), broker.topic(2));
    job(&env, broker, &topic, "job.yaml", "", "store");
    env.write("job.yaml", env.read("job.yaml").replace("100ms", "1h"));
    let (job, control, heard) = (read_job(&env.path("job.yaml")), Arc::new(Control::default()), Heard::default());
    let worker = WorkerName { name: "a".to_owned(), leaves: false };
    let send = |partition: u32| {
        let key = partition.to_string();
        let value = format!("{{\"user\":{partition},\"i\":1}}");
        let message = Sent { partition: partition as i32, key: Some(&key), value: Some(&value), ..Sent::default() };
        broker.send(&topic, [message]);
    };
    let until_committed = |count: u64| {
        until(&env, "it is committed", || {
            env.run(&["checkpoint", "store"]).expect(0);
            records(&env) == count
        });
    };
    std::thread::scope(|scope| {
        let (options, of_worker, heard) = (options(), Arc::clone(&control), &heard);
        let a = scope.spawn(move || run_worker(&job, &options, &of_worker, heard, &worker));
        let stop = StopAtEnd(&control);
        until(&env, "the first one reads", || heard.has(&["has 2", "opens", "reads"]));
        heard.forget();
        let b = start(&env, "b");
        until(&env, "the other has a partition", || has_partitions(&env, &["b"]));
        until(&env, "the first one reads again", || heard.has(&["ends", "has 1", "opens", "reads"]));
        let own = heard.partitions.lock().expect("no panic")[0];
        // Each message is a block. The first one has read two of them when there are two in the latest checkpoint, and yet it
        // has something new.
        send(1 - own);
        until_committed(1);
        send(own);
        until_committed(2);
        send(own);
        until(&env, "it is applied", || heard.records.load(Ordering::Relaxed) == 2);
        drop(stop);
        a.join().expect("no panic").expect("it ends well");
        assert_eq!(records(&env), 3);
        end(&env, b);
    });
}

struct StopAtEnd<'a>(&'a Control);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
