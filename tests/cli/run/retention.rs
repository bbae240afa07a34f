//! Inputs that are gone after they were read: archived, compressed, deleted.

use std::fs;
use std::time::Duration;

use super::data::{gzip, zstandard};
use super::follow::{append, expected, job, lines, start, state, stop, until_applied};
use crate::support::Env;

/// Writes a job that reads `files` to their ends.
fn batch(env: &Env, files: &str, more: &str) {
    job(env, files, more);
    env.write("job.yaml", env.read("job.yaml").replace(", follow: true", ""));
}

#[test]
fn a_file_that_was_read_to_its_end_may_go_and_come_back() {
    for more in ["", "key: k\n"] {
        let env = Env::new();
        batch(&env, "['logs/*.log', last.log]", more);
        fs::create_dir(env.path("logs")).unwrap();
        append(&env.path("logs/a.log"), &lines(0, 10));
        append(&env.path("last.log"), &lines(10, 20));
        env.run(&["run", "job.yaml"]).expect(0);
        // The path and the glob match nothing now; then they match another file, and the same one.
        fs::rename(env.path("logs/a.log"), env.path("a")).unwrap();
        fs::rename(env.path("last.log"), env.path("last")).unwrap();
        let gone = env.run(&["run", "job.yaml"]).expect(0);
        assert!(gone.stderr.contains("2 inputs are gone; they were read before: `last.log`, `logs/a.log`"), "{gone}");
        append(&env.path("logs/b.log"), &lines(20, 30));
        env.run(&["run", "job.yaml"]).expect(0);
        fs::rename(env.path("a"), env.path("logs/a.log")).unwrap();
        append(&env.path("logs/a.log"), &lines(30, 40));
        let checked = env.run(&["check", "job.yaml", "--json"]).expect(0);
        assert!(checked.stdout.contains("\"partition\":\"last.log\",\"state\":\"gone\""), "{checked}");
        env.run(&["run", "job.yaml"]).expect(0);
        let found = state(&env);
        if more.is_empty() {
            assert_eq!(found["logs/a.log"], (20, 45 + 345));
            assert_eq!(found["last.log"], (10, 145));
        } else {
            assert_eq!(found, expected(40));
        }
        env.run(&["verify", "--deep", "store"]).expect(0);
        // Another file under the name is not what was read.
        fs::write(env.path("logs/a.log"), lines(50, 99)).unwrap();
        env.run(&["run", "job.yaml"]).expect(4);
    }
}

#[test]
fn a_file_that_was_not_read_to_its_end_may_go_only_if_the_job_says_so() {
    let env = Env::new();
    batch(&env, "'*.log'", "key: k\n");
    append(&env.path("a.log"), &lines(0, 10));
    append(&env.path("b.log"), &lines(10, 20));
    env.run(&["run", "job.yaml"]).expect(0);
    env.run(&["restore", "store", "--seek", "a.log=record:4"]).expect(0);
    fs::remove_file(env.path("a.log")).unwrap();
    let refused = env.run(&["run", "job.yaml"]).expect(4);
    assert!(refused.stderr.contains("error: input `a.log` is gone: the checkpoint has read "), "{refused}");
    assert!(refused.stderr.contains("on_gone: warn"), "{refused}");
    env.run(&["check", "job.yaml"]).expect(1);
    env.write("job.yaml", env.read("job.yaml").replace("format: json", "format: json, on_gone: warn"));
    env.run(&["check", "job.yaml"]).expect(0);
    append(&env.path("b.log"), &lines(20, 25));
    let warned = env.run(&["run", "job.yaml"]).expect(0);
    assert!(warned.stderr.contains("warning: j: input `a.log` is gone: what it had after byte "), "{warned}");
    // It is only reported once.
    let again = env.run(&["run", "job.yaml"]).expect(0);
    assert!(!again.stderr.contains("warning"), "{again}");
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn a_file_that_was_compressed_after_it_was_read_is_not_read_again() {
    for (ending, pack) in [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("zst", zstandard)] {
        let env = Env::new();
        batch(&env, "'*.log*'", "");
        let whole = lines(0, 100);
        append(&env.path("a.log"), &whole);
        append(&env.path("b.log"), &lines(0, 10));
        env.run(&["run", "job.yaml"]).expect(0);
        // While both exist, and when only the compressed one is left.
        env.write(&format!("a.log.{ending}"), pack(whole.as_bytes()));
        env.run(&["run", "job.yaml"]).expect(0);
        fs::remove_file(env.path("a.log")).unwrap();
        env.run(&["run", "job.yaml"]).expect(0);
        assert_eq!(state(&env)["a.log"].0, 100, "{ending}");
        // It had grown before it was compressed.
        env.write(&format!("a.log.{ending}"), pack((whole + &lines(100, 120)).as_bytes()));
        env.run(&["run", "job.yaml"]).expect(0);
        env.run(&["run", "job.yaml"]).expect(0);
        let found = state(&env);
        assert_eq!((found.len(), found["a.log"].0), (2, 120), "{ending}");
        // What begins otherwise is a file of its own.
        env.write(&format!("b.log.{ending}"), pack(lines(50, 60).as_bytes()));
        env.run(&["run", "job.yaml"]).expect(0);
        let found = state(&env);
        assert_eq!((found.len(), found["b.log"].0), (3, 10), "{ending}");
        env.run(&["verify", "--deep", "store"]).expect(0);
    }
}

#[test]
fn a_followed_file_that_was_read_to_its_end_may_go_and_come_back() {
    for more in ["", "key: k\n"] {
        let env = Env::new();
        job(&env, "'logs/*.log'", more);
        let (a, b) = (env.path("logs/a.log"), env.path("logs/b.log"));
        fs::create_dir(env.path("logs")).unwrap();
        append(&a, &lines(0, 10));
        let mut child = start(&env);
        until_applied(&env, &mut child, 10);
        stop(&env, child);
        fs::rename(&a, env.path("a")).unwrap();
        append(&b, &lines(10, 20));
        let mut child = start(&env);
        until_applied(&env, &mut child, 20);
        let said = env.read("stderr");
        assert!(said.contains("input `logs/a.log` is gone; it was read before"), "{said}");
        stop(&env, child);
        // It comes back while the job is down, and goes and comes back while it runs.
        fs::rename(env.path("a"), &a).unwrap();
        append(&a, &lines(20, 30));
        let mut child = start(&env);
        until_applied(&env, &mut child, 30);
        fs::rename(&a, env.path("a")).unwrap();
        std::thread::sleep(Duration::from_millis(1600));
        fs::copy(env.path("a"), &a).unwrap();
        append(&a, &lines(30, 40));
        until_applied(&env, &mut child, 40);
        stop(&env, child);
        let found = state(&env);
        if more.is_empty() {
            assert_eq!((found["logs/a.log"].0, found["logs/b.log"].0), (30, 10));
        } else {
            assert_eq!(found, expected(40));
        }
        env.run(&["verify", "--deep", "store"]).expect(0);
    }
}

#[test]
fn a_followed_file_with_half_a_line_may_go_only_if_the_job_says_so() {
    let env = Env::new();
    job(&env, "'logs/*.log'", "key: k\n");
    let log = env.path("logs/a.log");
    fs::create_dir(env.path("logs")).unwrap();
    append(&log, &lines(0, 10));
    let mut child = start(&env);
    until_applied(&env, &mut child, 10);
    append(&log, "{\"k\":\"half");
    std::thread::sleep(Duration::from_millis(300));
    stop(&env, child);
    fs::remove_file(&log).unwrap();
    let refused = env.run(&["run", "job.yaml"]).expect(4);
    assert!(refused.stderr.contains("error: input `logs/a.log` is gone: "), "{refused}");
    env.write("job.yaml", env.read("job.yaml").replace("format: json", "format: json, on_gone: warn"));
    append(&env.path("logs/b.log"), &lines(10, 20));
    let mut child = start(&env);
    until_applied(&env, &mut child, 20);
    stop(&env, child);
    let said = env.read("stderr");
    assert!(said.contains("warning: j: input `logs/a.log` is gone: what it had after byte "), "{said}");
    assert_eq!(state(&env), expected(20));
}

#[test]
fn a_partition_that_is_forgotten_leaves_its_records_in_the_state() {
    for (more, follow) in [("", false), ("key: k\n", false), ("", true), ("key: k\n", true)] {
        let env = Env::new();
        batch(&env, "'*.log'", more);
        if follow {
            job(&env, "'*.log'", more);
        }
        let run = |count: u64| {
            if follow {
                let mut child = start(&env);
                until_applied(&env, &mut child, count);
                stop(&env, child);
            } else {
                env.run(&["run", "job.yaml"]).expect(0);
            }
        };
        append(&env.path("a.log"), &lines(0, 10));
        append(&env.path("b.log"), &lines(10, 20));
        run(20);
        // Another file has its name: only a person can know that this is meant.
        fs::write(env.path("new"), lines(20, 25)).unwrap();
        fs::rename(env.path("new"), env.path("a.log")).unwrap();
        let refused = env.run(&["run", "job.yaml"]).expect(4);
        assert!(refused.stderr.contains("--forget"), "{refused}");
        let planned = env.run(&["restore", "store", "--forget", "a.log", "--dry-run"]).expect(0);
        let done = env.run(&["restore", "store", "--forget", "a.log"]).expect(0);
        assert_eq!(done.stdout, planned.stdout.replace("would commit", "committed"));
        assert!(done.stdout.ends_with("  a.log: no position any more; 10 records of it stay in the state\n"), "{done}");
        env.run(&["verify", "--deep", "store"]).expect(0);
        run(25);
        let found = state(&env);
        if more.is_empty() {
            assert_eq!((found["a.log"].0, found["b.log"].0), (15, 10));
        } else {
            assert_eq!(found, expected(25));
        }
        // A file that is gone can be forgotten, too, and none comes in its place.
        fs::remove_file(env.path("b.log")).unwrap();
        env.run(&["restore", "store", "--forget", "b.log", "--json"]).expect(0);
        append(&env.path("a.log"), &lines(25, 30));
        run(30);
        env.run(&["verify", "--deep", "store"]).expect(0);
        let positions = env.run(&["inspect", "store", "--json"]).expect(0);
        assert!(positions.stdout.contains("\"records\":30"), "{positions}");
        let unknown = env.run(&["restore", "store", "--forget", "c.log"]).expect(2);
        assert!(unknown.stderr.contains("`c.log`"), "{unknown}");
    }
}
