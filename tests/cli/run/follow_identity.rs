//! `follow: true`: which file a position belongs to, and which files are none of its business.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use super::follow::{append, expected, job, lines, records, start, state, stop, until_applied};
use super::wait;
use crate::support::Env;

/// How long a run is given to do what it must not do: longer than from one look at the directories to the next.
const LOOK: Duration = Duration::from_millis(1600);

#[test]
fn a_live_sibling_is_not_taken_for_a_rotated_file() {
    for (more, rows) in [("", 3), ("key: k\n", 7)] {
        let env = Env::new();
        job(&env, "'logs/app.log*'", more);
        fs::create_dir(env.path("logs")).unwrap();
        let names = ["app.log", "app.log-errors", "app.log.wf"];
        for name in names {
            append(&env.path("logs").join(name), &lines(0, 7));
        }
        let mut child = start(&env);
        until_applied(&env, &mut child, 21);
        for name in names {
            append(&env.path("logs").join(name), &lines(7, 14));
        }
        until_applied(&env, &mut child, 42);
        stop(&env, child);
        let found = state(&env);
        assert_eq!(found.len(), rows, "{found:?}");
        if more.is_empty() {
            assert_eq!(found["logs/app.log-errors"].0, 14);
        }
        let positions = env.run(&["inspect", "store", "--positions", "--json"]).expect(0);
        assert!(!positions.stdout.contains("\"generation_of\":\"logs/app.log\""), "{positions}");
    }
}

#[test]
fn a_file_that_the_job_does_not_name_is_not_read_because_it_begins_like_the_one_that_is_gone() {
    for name in ["app.log-errors", "app.log.orig", "app.log_bak", "app.log.1"] {
        let env = Env::new();
        job(&env, "logs/app.log", "key: k\n");
        fs::create_dir(env.path("logs")).unwrap();
        let banner = lines(0, 1);
        append(&env.path("logs").join(name), &(banner.clone() + &lines(5, 9)));
        append(&env.path("logs/app.log"), &banner);
        std::thread::sleep(Duration::from_millis(50));
        let mut child = start(&env);
        until_applied(&env, &mut child, 1);
        stop(&env, child);
        fs::write(env.path("logs/new"), lines(1, 3)).unwrap();
        fs::rename(env.path("logs/new"), env.path("logs/app.log")).unwrap();
        let refused = env.run(&["run", "job.yaml"]).expect(4);
        assert!(refused.stderr.contains("error: input `logs/app.log` was rotated away: "), "{name}: {refused}");
        assert_eq!(records(&env), 1);
    }
}

#[test]
fn a_file_that_was_replaced_by_a_longer_copy_is_counted_once_whether_the_job_runs_or_not() {
    // What `sed -i` and `rsync` do; what editors do that keep the old file; and the same with half a line.
    for (backup, half) in [(false, ""), (true, ""), (false, "{\"k\":\"3\",")] {
        for is_alive in [true, false] {
            let env = Env::new();
            job(&env, "logs/app.log", "key: k\n");
            fs::create_dir(env.path("logs")).unwrap();
            let log = env.path("logs/app.log");
            append(&log, &(lines(0, 10) + half));
            let mut child = Some(start(&env));
            until_applied(&env, child.as_mut().expect("it runs"), 10);
            if !is_alive {
                stop(&env, child.take().expect("it runs"));
            }
            fs::write(env.path("logs/new"), lines(0, 12)).unwrap();
            if backup {
                fs::rename(&log, env.path("logs/app.log~")).unwrap();
            }
            fs::rename(env.path("logs/new"), &log).unwrap();
            let mut child = child.unwrap_or_else(|| start(&env));
            until_applied(&env, &mut child, 12);
            append(&log, &lines(12, 20));
            until_applied(&env, &mut child, 20);
            std::thread::sleep(LOOK);
            stop(&env, child);
            assert_eq!(state(&env), expected(20), "alive: {is_alive}, backup: {backup}, half: {half}");
        }
    }
}

#[test]
fn a_file_that_was_replaced_by_another_one_is_reported() {
    let env = Env::new();
    job(&env, "logs/app.log", "key: k\n");
    fs::create_dir(env.path("logs")).unwrap();
    let log = env.path("logs/app.log");
    append(&log, &lines(0, 10));
    let mut child = start(&env);
    until_applied(&env, &mut child, 10);
    fs::write(env.path("logs/new"), lines(10, 15)).unwrap();
    fs::rename(env.path("logs/new"), &log).unwrap();
    // Further files may have had the name in between.
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 4);
    assert!(env.read("stderr").contains("input `logs/app.log` was rotated away: "), "{}", env.read("stderr"));
    assert_eq!(records(&env), 10);
    env.write("job.yaml", env.read("job.yaml").replace("format: json", "format: json, on_gone: warn"));
    let mut child = start(&env);
    until_applied(&env, &mut child, 15);
    fs::write(env.path("logs/new"), lines(15, 18)).unwrap();
    fs::rename(env.path("logs/new"), &log).unwrap();
    until_applied(&env, &mut child, 18);
    stop(&env, child);
    assert!(env.read("stderr").contains("input `logs/app.log` was replaced: "), "{}", env.read("stderr"));
    assert_eq!(state(&env), expected(18));
}

#[test]
fn a_file_that_appears_and_rotates_before_it_is_seen_is_read() {
    for (format, header, line) in [("json", "", "{\"i\":1,\"k\":\"a\"}\n"), ("csv", "k,i\n", "a,1\n")] {
        let env = Env::new();
        job(&env, "'logs/*.log'", "");
        env.write("job.yaml", env.read("job.yaml").replace("json", format));
        let dir = env.path("logs");
        fs::create_dir(&dir).unwrap();
        let write = |name: &str, count: usize| append(&dir.join(name), &(header.to_owned() + &line.repeat(count)));
        // It was there before the job, which does not name it.
        write("old.log.1", 5);
        write("a.log", 1);
        std::thread::sleep(Duration::from_millis(50));
        let mut child = start(&env);
        until_applied(&env, &mut child, 1);
        // While the job runs, faster than anyone looks; no file has the name in the end.
        write("b.log", 3);
        fs::rename(dir.join("b.log"), dir.join("b.log.1")).unwrap();
        until_applied(&env, &mut child, 4);
        stop(&env, child);
        // While it is down, twice.
        write("c.log", 3);
        fs::rename(dir.join("c.log"), dir.join("c.log.1")).unwrap();
        write("c.log", 2);
        fs::rename(dir.join("c.log.1"), dir.join("c.log.2")).unwrap();
        fs::rename(dir.join("c.log"), dir.join("c.log.1")).unwrap();
        write("c.log", 1);
        let mut child = start(&env);
        until_applied(&env, &mut child, 10);
        std::thread::sleep(LOOK);
        stop(&env, child);
        let counts: Vec<(String, u64)> = state(&env).into_iter().map(|(name, row)| (name, row.0)).collect();
        let expected = [("logs/a.log", 1), ("logs/b.log", 3), ("logs/c.log", 6)];
        assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)), "{format}");
    }
}

#[test]
fn lines_that_only_a_compressed_file_still_has_are_not_left_out() {
    for (pattern, new) in [("logs/app.log", 2), ("'logs/app.log*'", 2), ("'logs/app.log*'", 20)] {
        let env = Env::new();
        job(&env, pattern, "key: k\n");
        fs::create_dir(env.path("logs")).unwrap();
        append(&env.path("logs/app.log"), &lines(0, 5));
        let mut child = start(&env);
        until_applied(&env, &mut child, 5);
        stop(&env, child);
        // What was written since then is in the compressed file only.
        append(&env.path("logs/app.log"), &lines(5, 9));
        env.shell("cd logs && mv app.log app.log.1 && gzip app.log.1").expect(0);
        append(&env.path("logs/app.log"), &lines(9, 9 + new));
        let mut child = start(&env);
        until_applied(&env, &mut child, 9 + new);
        stop(&env, child);
        assert_eq!(state(&env), expected(9 + new), "{pattern}");
        // It is the same if it is unpacked again.
        env.shell("gunzip logs/app.log.1.gz").expect(0);
        append(&env.path("logs/app.log"), &lines(9 + new, 10 + new));
        let mut child = start(&env);
        until_applied(&env, &mut child, 10 + new);
        stop(&env, child);
        assert_eq!(state(&env), expected(10 + new), "{pattern}");
    }
}

#[test]
fn a_rotated_file_whose_name_is_not_utf8_is_read_on_during_a_run_and_after_it() {
    let env = Env::new();
    job(&env, "'logs/*.log'", "key: k\n");
    fs::create_dir(env.path("logs")).unwrap();
    let (log, rotated) = (env.path("logs/app.log"), env.path("logs").join(OsStr::from_bytes(b"app.log.\xff")));
    append(&log, &lines(0, 3));
    if fs::rename(&log, &rotated).is_err() {
        println!("skipped: the file system refuses such names");
        return;
    }
    fs::rename(&rotated, &log).unwrap();
    let run_until = |count| {
        let mut child = start(&env);
        until_applied(&env, &mut child, count);
        stop(&env, child);
    };
    run_until(3);
    // Nothing else has the name of the log, and what was written to it last is in this file only.
    append(&log, &lines(3, 5));
    fs::rename(&log, &rotated).unwrap();
    run_until(5);
    let positions = env.run(&["inspect", "store", "--positions"]).expect(0).stdout;
    assert!(positions.contains("logs/app.log.\\xff"), "{positions}");
    let checked = env.run(&["check", "job.yaml"]).expect(0).stdout;
    assert!(checked.contains("logs/app.log.\\xff") && !checked.contains("gone"), "{checked}");
    append(&rotated, &lines(5, 6));
    append(&log, &lines(6, 9));
    run_until(9);
    append(&rotated, &lines(9, 11));
    env.shell("gzip logs/app.log.?").expect(0);
    run_until(11);
    // While the job runs.
    let mut child = start(&env);
    append(&log, &lines(11, 12));
    until_applied(&env, &mut child, 12);
    fs::rename(&log, &rotated).unwrap();
    std::thread::sleep(LOOK);
    append(&rotated, &lines(12, 14));
    until_applied(&env, &mut child, 14);
    stop(&env, child);
    assert_eq!(state(&env), expected(14));
    let positions = env.run(&["inspect", "store", "--positions"]).expect(0).stdout;
    assert!(positions.contains("logs/app.log.\\xff"), "{positions}");
}
