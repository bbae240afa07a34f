//! `follow: true`: files that were rotated and compressed before the run has read them, whether it was stalled or down.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::Signal;

use super::follow::{append, compress, expected, job, lines, records, rotate, start, state, stop, until_applied};
use super::{signal, wait};
use crate::support::Env;

/// How a job is kept from reading.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pause {
    /// It is stopped with SIGSTOP.
    Stalled,
    Down,
}

impl Pause {
    const BOTH: [Pause; 2] = [Pause::Stalled, Pause::Down];

    fn begin(self, env: &Env, child: Child) -> Option<Child> {
        if self == Pause::Down {
            stop(env, child);
            return None;
        }
        signal(&child, Signal::STOP);
        Some(child)
    }

    fn end(self, env: &Env, child: Option<Child>) -> Child {
        match child {
            None => start(env),
            Some(child) => {
                signal(&child, Signal::CONT);
                child
            }
        }
    }
}

/// Waits until the run ends with this exit code, and returns what it said.
fn ends_with(env: &Env, mut child: Child, code: i32) -> String {
    let ended = wait(&mut child, Duration::from_secs(20));
    assert_eq!(ended, code, "{}", env.read("stderr"));
    env.read("stderr")
}

fn has_logrotate() -> bool {
    let found = Command::new("logrotate").arg("--version").output().is_ok();
    if !found {
        println!("skipped: there is no logrotate");
    }
    found
}

/// Rotates `logs/app.log` with the real logrotate.
fn logrotate(env: &Env, options: &str) {
    let log = env.path("logs/app.log").display().to_string();
    env.write("rotate.conf", format!("{log} {{\nsu root root\n{options}\n}}\n"));
    let state = env.path("rotated").display().to_string();
    env.shell(&format!("logrotate --force --state {state} rotate.conf")).expect(0);
}

/// The number of records of the job without a key, each in its partition.
fn counts(env: &Env) -> Vec<(String, u64)> {
    state(env).into_iter().map(|(name, row)| (name, row.0)).collect()
}

fn write_job(env: &Env, files: &str, format: &str) {
    job(env, files, "");
    let aggregates = if format == "text" { "n: count, total: count" } else { "n: count, total: sum(i)" };
    let text = env.read("job.yaml").replace("n: count, total: sum(i)", aggregates);
    env.write("job.yaml", text.replace("format: json", &format!("format: {format}")));
    fs::create_dir(env.path("logs")).expect("created");
}

#[test]
fn what_was_rotated_and_compressed_before_it_was_read_is_read_in_the_compressed_files() {
    if !has_logrotate() {
        return;
    }
    let delayed = "rotate 9\ncompress\ndelaycompress\ncreate";
    let at_once = "rotate 9\ncompress\ncreate";
    let zstd = "rotate 9\ncompress\ncompresscmd /usr/bin/zstd\ncompressext .zst\ncompressoptions -q\ncreate";
    let dated = "rotate 9\ncompress\ndateext\ndateformat -%Y%m%d-%s\ncreate";
    for (files, format, options) in [
        ("'logs/app.log*'", "json", delayed),
        ("logs/app.log", "csv", delayed),
        ("logs/app.log", "text", at_once),
        ("'logs/*.log'", "json", zstd),
        ("'logs/app.log*'", "csv", at_once),
        ("logs/app.log", "json", dated),
    ] {
        for pause in Pause::BOTH {
            for has_unread in [true, false] {
                let env = Env::new();
                write_job(&env, files, format);
                let log = env.path("logs/app.log");
                let write = |first: u64, end: u64| {
                    let header = if format == "csv" && fs::metadata(&log).map_or(0, |log| log.len()) == 0 {
                        "k,i\n"
                    } else {
                        ""
                    };
                    let csv = |first: u64| (first..end).map(|i| format!("{},{i}\n", i % 7)).collect::<String>();
                    let text = if format == "csv" { csv(first) } else { lines(first, end) };
                    append(&log, &(header.to_owned() + &text));
                };
                write(0, 10);
                let mut child = start(&env);
                until_applied(&env, &mut child, 10);
                let child = pause.begin(&env, child);
                let mut end = 10;
                for round in 0..3 {
                    if has_unread || round > 0 {
                        write(end, end + 5);
                        end += 5;
                    }
                    if options.contains("dateext") {
                        // The names have the seconds.
                        std::thread::sleep(Duration::from_millis(1010));
                    }
                    logrotate(&env, options);
                }
                write(end, end + 5);
                let mut child = pause.end(&env, child);
                until_applied(&env, &mut child, end + 5);
                // What was read in compressed files is not read again, in this run or the next.
                std::thread::sleep(Duration::from_millis(1300));
                stop(&env, child);
                let mut child = start(&env);
                write(end + 5, end + 6);
                until_applied(&env, &mut child, end + 6);
                stop(&env, child);
                let case = format!("{files} {format} {options:?} {pause:?} unread: {has_unread}");
                assert_eq!(counts(&env), [("logs/app.log".to_owned(), end + 6)], "{case}");
                assert!(!env.read("stderr").contains("warning"), "{case}: {}", env.read("stderr"));
                env.run(&["verify", "--deep", "store"]).expect(0);
            }
        }
    }
}

#[test]
fn a_rotated_file_that_nothing_is_left_of_is_an_error_whether_the_job_was_stalled_or_down() {
    for (files, remove) in [
        ("'logs/app.log*'", "rm logs/app.log"),
        ("logs/app.log", "rm logs/app.log"),
        ("'logs/app.log*'", "mv logs/app.log elsewhere"),
        ("logs/app.log", "mv logs/app.log logs/app.log.1 && gzip logs/app.log.1 && mv logs/app.log.1.gz elsewhere"),
        // A compressed file with other content is not the one that is gone.
        ("logs/app.log", "rm logs/app.log && echo '{\"k\":\"a\",\"i\":1}' > logs/app.log.1 && gzip logs/app.log.1"),
    ] {
        for pause in Pause::BOTH {
            let env = Env::new();
            write_job(&env, files, "json");
            let log = env.path("logs/app.log");
            append(&log, &lines(0, 10));
            let mut child = start(&env);
            until_applied(&env, &mut child, 10);
            let child = pause.begin(&env, child);
            env.shell(remove).expect(0);
            append(&log, &lines(20, 25));
            let said = ends_with(&env, pause.end(&env, child), 4);
            assert!(said.contains("error: input `logs/app.log` was rotated away: "), "{remove} {pause:?}: {said}");
            assert_eq!(records(&env), 10);
            // So does the next run, and `check` says so, until the job file allows it.
            env.run(&["run", "job.yaml"]).expect(4);
            env.run(&["check", "job.yaml"]).expect(1);
            env.write("job.yaml", env.read("job.yaml").replace("format: json", "format: json, on_gone: warn"));
            let mut child = start(&env);
            until_applied(&env, &mut child, 15 + u64::from(remove.contains("echo")));
            stop(&env, child);
            assert!(env.read("stderr").contains("warning: j: input `logs/app.log` "), "{}", env.read("stderr"));
        }
    }
}

#[test]
fn a_log_that_appears_and_is_compressed_before_it_is_seen_is_read() {
    for pause in Pause::BOTH {
        let env = Env::new();
        write_job(&env, "'logs/*.log'", "json");
        let dir = env.path("logs");
        let write = |name: &str, first: u64, end: u64| append(&dir.join(name), &lines(first, end));
        // These were there before the job.
        write("old.log.1", 0, 5);
        write("old-2026-11-25.log", 0, 5);
        env.shell("gzip logs/old.log.1 logs/old-2026-11-25.log").expect(0);
        write("empty.log", 0, 0);
        write("a.log", 0, 1);
        std::thread::sleep(Duration::from_millis(50));
        let mut child = start(&env);
        until_applied(&env, &mut child, 1);
        let child = pause.begin(&env, child);
        // Another one appears and rotates twice, one has a date in its name, and one was still empty.
        write("b.log", 0, 3);
        env.shell("cd logs && mv b.log b.log.1 && gzip b.log.1 && mv b.log.1.gz b.log.2.gz").expect(0);
        write("b.log", 3, 5);
        env.shell("cd logs && mv b.log b.log.1 && gzip b.log.1").expect(0);
        write("b.log", 5, 6);
        write("day-2026-11-26.log", 0, 4);
        env.shell("gzip logs/day-2026-11-26.log").expect(0);
        write("empty.log", 0, 7);
        env.shell("cd logs && mv empty.log empty.log.1 && gzip empty.log.1").expect(0);
        write("empty.log", 7, 8);
        let mut child = pause.end(&env, child);
        until_applied(&env, &mut child, 19);
        std::thread::sleep(Duration::from_millis(1300));
        stop(&env, child);
        let expected = [("a.log", 1), ("b.log", 6), ("day-2026-11-26.log", 4), ("empty.log", 8)];
        let expected = expected.map(|(name, count)| (format!("logs/{name}"), count));
        assert_eq!(counts(&env), expected, "{pause:?}");
        // The next run has nothing to do.
        let child = start(&env);
        std::thread::sleep(Duration::from_millis(1300));
        stop(&env, child);
        assert_eq!(counts(&env), expected, "{pause:?}");
        env.run(&["verify", "--deep", "store"]).expect(0);
    }
}

#[test]
fn a_generation_that_logrotate_has_deleted_unread_is_an_error_whether_the_job_was_stalled_or_down() {
    if !has_logrotate() {
        return;
    }
    for pause in Pause::BOTH {
        for files in ["'logs/app.log*'", "logs/app.log"] {
            let env = Env::new();
            write_job(&env, files, "json");
            let log = env.path("logs/app.log");
            append(&log, &lines(0, 10));
            let mut child = start(&env);
            until_applied(&env, &mut child, 10);
            let child = pause.begin(&env, child);
            for round in 1..4 {
                logrotate(&env, "rotate 1\ncompress\ndelaycompress\ncreate");
                append(&log, &lines(round * 10, round * 10 + 5));
            }
            let said = ends_with(&env, pause.end(&env, child), 4);
            assert!(said.contains("error: input `logs/app.log` was rotated away: "), "{files} {pause:?}: {said}");
        }
    }
}

#[test]
fn a_log_that_is_truncated_in_place_is_an_error_whether_the_job_was_stalled_or_down() {
    if !has_logrotate() {
        return;
    }
    for options in ["rotate 9\ncopytruncate", "rotate 9\ncompress\ncopytruncate"] {
        for (more, is_longer) in [(5, false), (50, true)] {
            let env = Env::new();
            write_job(&env, "'logs/app.log*'", "json");
            let log = env.path("logs/app.log");
            append(&log, &lines(0, 10));
            let mut child = start(&env);
            until_applied(&env, &mut child, 10);
            // Long enough to know that the inode was not reused.
            std::thread::sleep(Duration::from_secs(11));
            append(&log, &lines(10, 11));
            until_applied(&env, &mut child, 11);
            let stalled = Pause::Stalled.begin(&env, child);
            logrotate(&env, options);
            append(&log, &lines(100, 100 + more));
            let said = ends_with(&env, Pause::Stalled.end(&env, stalled), 4);
            assert!(said.contains("`logs/app.log` was truncated or overwritten"), "{options:?}: {said}");
            let refused = env.run(&["run", "job.yaml"]).expect(4);
            let expected =
                if is_longer { "`logs/app.log` was replaced or changed" } else { "`logs/app.log` has shrunk" };
            assert!(refused.stderr.contains(expected), "{options:?}: {refused}");
            assert_eq!(records(&env), 11);
        }
    }
}

/// Two generations were read, of which the newer one is compressed and the older one is not, and no file has the name
/// of the log when the job is stopped.
#[test]
fn what_was_read_before_it_was_compressed_is_not_read_again_after_a_restart() {
    for forgotten in [false, true] {
        let env = Env::new();
        job(&env, "['logs/app.log*', logs/other.log]", "key: k\n");
        fs::create_dir(env.path("logs")).expect("created");
        let log = env.path("logs/app.log");
        append(&log, &lines(0, 10));
        let mut child = start(&env);
        until_applied(&env, &mut child, 10);
        rotate(&env.path("logs"), "app.log", 9);
        append(&log, &lines(10, 20));
        until_applied(&env, &mut child, 20);
        rotate(&env.path("logs"), "app.log", 9);
        std::thread::sleep(Duration::from_secs(1));
        compress(&env.path("logs/app.log.1"));
        // A file that is gone has a position for ten seconds.
        std::thread::sleep(Duration::from_secs(if forgotten { 12 } else { 1 }));
        // Without a record there is no checkpoint.
        append(&env.path("logs/other.log"), &lines(20, 21));
        until_applied(&env, &mut child, 21);
        stop(&env, child);
        let positions = env.run(&["inspect", "store", "--positions"]).expect(0).stdout;
        assert!(positions.contains("logs/app.log.2 "), "{positions}");
        append(&log, &lines(21, 30));
        let mut child = start(&env);
        until_applied(&env, &mut child, 30);
        stop(&env, child);
        assert_eq!(state(&env), expected(30), "forgotten: {forgotten}, {positions}");
    }
}

#[test]
fn a_compressed_file_between_two_rotated_ones_that_the_glob_matches_is_read() {
    for files in ["'logs/app.log*'", "logs/app.log"] {
        for pause in Pause::BOTH {
            let env = Env::new();
            job(&env, files, "key: k\n");
            let (dir, log) = (env.path("logs"), env.path("logs/app.log"));
            fs::create_dir(&dir).expect("created");
            append(&log, &lines(0, 10));
            let mut child = start(&env);
            until_applied(&env, &mut child, 10);
            let child = pause.begin(&env, child);
            for i in 1..5 {
                rotate(&dir, "app.log", 9);
                append(&log, &lines(10 * i, 10 * i + 10));
            }
            // The file that was read is `app.log.4` now.
            for number in [1, 3] {
                compress(&dir.join(format!("app.log.{number}")));
            }
            let mut child = pause.end(&env, child);
            until_applied(&env, &mut child, 50);
            stop(&env, child);
            assert_eq!(state(&env), expected(50), "{files} {pause:?}");
        }
    }
}

/// Starts a job that is down while its unread, rotated file with half a line grows. The files are then `app.log.4`, of
/// which everything was read, `app.log.3`, which has grown, `app.log.2`, which was being read, and `app.log.1`.
fn rotated_with_half_a_line() -> Env {
    let env = Env::new();
    job(&env, "logs/app.log", "key: k\n");
    let (dir, log) = (env.path("logs"), env.path("logs/app.log"));
    fs::create_dir(&dir).expect("created");
    append(&log, &lines(0, 10));
    let mut child = start(&env);
    until_applied(&env, &mut child, 10);
    rotate(&dir, "app.log", 9);
    let line = lines(10, 11);
    let (half, rest) = line.split_at(9);
    append(&log, half);
    std::thread::sleep(Duration::from_millis(1200));
    rotate(&dir, "app.log", 9);
    append(&log, &lines(11, 20));
    until_applied(&env, &mut child, 19);
    stop(&env, child);
    append(&dir.join("app.log.1"), rest);
    for i in 2..4 {
        rotate(&dir, "app.log", 9);
        append(&log, &lines(10 * i, 10 * i + 10));
    }
    env
}

#[test]
fn a_file_that_grew_and_was_compressed_before_anything_was_read_of_it_is_known_by_the_number_in_its_name() {
    let env = rotated_with_half_a_line();
    compress(&env.path("logs/app.log.3"));
    let mut child = start(&env);
    until_applied(&env, &mut child, 40);
    stop(&env, child);
    assert_eq!(state(&env), expected(40));
}

#[test]
fn another_compressed_file_is_not_taken_for_one_of_which_nothing_was_read() {
    let env = rotated_with_half_a_line();
    fs::remove_file(env.path("logs/app.log.3")).expect("removed");
    compress(&env.path("logs/app.log.1"));
    let said = ends_with(&env, start(&env), 4);
    assert!(said.contains("error: input `logs/app.log.1` is gone: the checkpoint has read 0 bytes of it"), "{said}");
}
