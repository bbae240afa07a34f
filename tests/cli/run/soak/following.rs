//! A round of the job that follows a log, which is written, torn and rotated in the meantime.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::data::Random;
use super::super::follow::{append, expected, lines, write_and_rotate};
use super::super::published::net;
use super::super::{PATIENCE, checkpoints, manifest};
use super::life::{Figures, Life, Pace};
use super::outcome::{assert_tidy, published, state};
use super::story::{Story, following_job};
use crate::support::{AtEnd, Env};

/// Runs the job while its log grows and rotates, and checks that every line was counted once.
pub(super) fn round(env: &Env, story: &Story, blows: u64, random: &mut Random, figures: &mut Figures) {
    let files = ["logs/app.log", "'logs/app.log*'"][random.below(2) as usize];
    env.write("job.yaml", following_job(files));
    let (dir, done) = (env.path("logs"), AtomicBool::new(false));
    fs::create_dir(&dir).expect("created");
    let mut pace = Pace::new(story);
    // A run that starts from scratch does not know about files that were renamed before it.
    append(&dir.join("app.log"), &lines(0, 1));
    let arguments = |random: &mut Random| story.arguments(1 + random.below(4));
    last_life(env, story, 1, &arguments(random), &mut pace, figures);
    let seed = random.next();
    let end = figures.blows() + blows;
    let count = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_and_rotate(dir.clone(), &done, seed));
        let ends = AtEnd(|| done.store(true, Ordering::Relaxed));
        while figures.blows() < end {
            let mut life = Life::start(env, story, &arguments(random), false);
            life.strike(random, &pace, figures);
            life.end(&mut pace, figures);
        }
        drop(ends);
        writer.join().expect("no panic")
    });
    last_life(env, story, count, &arguments(random), &mut pace, figures);
    let rows = |state: Vec<String>| -> BTreeMap<String, (u64, u64)> {
        let row = |row: String| {
            let row: Value = serde_json::from_str(&row).expect("JSON");
            let number = |name: &str| row[name].to_string().trim_matches('"').parse().expect("a number");
            (row["key"].as_str().expect("a key").to_owned(), (number("n"), number("total")))
        };
        state.into_iter().map(row).collect()
    };
    assert_eq!(rows(state(env)), expected(count), "of {files}");
    // The files of changes yield the same result.
    let net: Vec<Value> = net(&published(env)).into_values().collect();
    let sum: u64 = net.iter().map(|row| row["n"].as_str().expect("a cell").parse::<u64>().expect("a number")).sum();
    assert_eq!(sum, count, "according to the changes, of {files}");
    env.run(&["verify", "store", "--deep"]).expect(0);
    assert_tidy(env, story.stores());
}

/// Lets the job live until it has applied `count` records, and stops it.
fn last_life(env: &Env, story: &Story, count: u64, arguments: &[&str], pace: &mut Pace, figures: &mut Figures) {
    let mut life = Life::start(env, story, arguments, false);
    let begun = Instant::now();
    while records(env) < count {
        if !life.goes_on() || begun.elapsed() >= PATIENCE {
            let positions = env.run(&["inspect", "store", "--positions"]);
            let files = env.shell("ls -lirt --full-time logs; tail -qn 1 logs/app.log*[0-9g]");
            panic!("{} of {count} records are applied: {}\n{positions}\n{files}", records(env), life.said());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    life.stop(pace, figures);
    assert_eq!(records(env), count, "no line is counted twice");
}

/// Returns the records of the latest checkpoint.
fn records(env: &Env) -> u64 {
    let store = env.path("store");
    let Some(latest) = checkpoints(&store).pop() else { return 0 };
    let text = manifest(&store, latest);
    text.lines().find_map(|line| line.strip_prefix("  records: ")).expect("a total").parse().expect("a number")
}
