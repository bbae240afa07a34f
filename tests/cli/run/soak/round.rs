//! A round: a job from beginning to end, in several lives.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::super::data::Random;
use super::super::{PATIENCE, checkpoints, manifest};
use super::following;
use super::input::File;
use super::life::{Figures, Life, Pace};
use super::outcome::{Outcome, assert_tidy};
use super::story::{Act, Story};
use crate::support::bucket::Bucket;
use crate::support::{Env, repository};

/// Knows the result of an undisturbed run of a story.
pub(super) struct Teller {
    input: Vec<File>,
    /// `None` for a story that has no undisturbed run.
    calm: Option<(Env, Outcome)>,
}

/// What was done to a job in a round, besides the blows.
#[derive(Default)]
struct Fate {
    /// Whether a checkpoint was damaged.
    damaged: bool,
    /// Whether the lists of checkpoints were edited by hand.
    by_hand: bool,
}

/// Keeps the files of a failed round for inspection.
struct Evidence<'a> {
    env: &'a Env,
    name: String,
}

impl Drop for Evidence<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let place = repository::path("target/soak");
            let kept = place.join(&self.name);
            let _ = fs::create_dir_all(&place);
            let _ = fs::remove_dir_all(&kept);
            let _ = Command::new("cp").arg("-a").arg(self.env.dir()).arg(&kept).status();
            println!("its files are kept in {}", kept.display());
        }
    }
}

impl Teller {
    /// Runs the job of `story` undisturbed.
    pub(super) fn new(story: &Story) -> Teller {
        let input = story.input();
        if story.is_followed() {
            return Teller { input, calm: None };
        }
        let env = prepare(story, &input, Env::in_memory());
        let mut command = env.command(&story.arguments(2));
        if let Some(name) = story.standard_input {
            command.stdin(fs::File::open(env.path(name)).expect("opened"));
        }
        let output = command.output().expect("started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(story.status), "{}: {said}", story.name);
        let outcome = Outcome::read(&env, story);
        outcome.assert_worthwhile(story);
        Teller { input, calm: Some((env, outcome)) }
    }

    /// Runs the job of `story` in a fresh directory, in several lives, and checks the end result.
    pub(super) fn round(&self, story: &Story, seed: u64, most_blows: u64, figures: &mut Figures) {
        let mut random = Random(seed);
        // Mostly in memory: a disk that is slow to flush leaves little to cut short.
        let env = prepare(story, &self.input, if random.below(6) == 0 { Env::new() } else { Env::in_memory() });
        let _evidence = Evidence { env: &env, name: format!("{}-{seed}", story.name) };
        figures.rounds += 1;
        let blows = 3 + random.below(most_blows - 3);
        let Some((calm, outcome)) = &self.calm else {
            return following::round(&env, story, blows, &mut random, figures);
        };
        let fate = live(&env, story, blows, &mut random, figures);
        settle(&env, story);
        Outcome::read(&env, story).expect(outcome);
        let calm_store = calm.path("store").display().to_string();
        env.run(&["diff", &calm_store, "store", "--limit", "5"]).expect(0);
        assert_whole(&env, story, &fate);
        assert_tidy(&env, story.stores());
        assert_no_program(&env);
        if !fate.damaged && random.below(3) == 0 {
            self.resume_from_some(&env, story, &calm_store, &mut random);
            figures.resumed += 1;
        }
    }

    /// Resumes the job from some of its checkpoints, each alone in a store of its own, and checks that it ends with the
    /// state of the undisturbed run.
    fn resume_from_some(&self, env: &Env, story: &Story, calm_store: &str, random: &mut Random) {
        let there = checkpoints(&env.path("store"));
        for _ in 0..2 {
            let number = there[random.below(there.len() as u64) as usize];
            let alone = prepare(story, &self.input, Env::in_memory());
            // What earlier lives wrote beside the store is not there.
            let job = if story.in_bucket { &alone } else { env }.read(story.job_file);
            let mut job = job.replace("{dead_letter: late.jsonl}", "drop");
            for file in ["out/bad.jsonl", "bad.jsonl"] {
                job = job.replace(&format!("{{dead_letter: {file}}}"), "skip");
            }
            alone.write(story.job_file, job);
            let store = alone.path("store").display().to_string();
            env.run(&["copy", &format!("store@{number}"), "--to", &store]).expect(0);
            let mut command = alone.command(&[&story.arguments(2)[..], &["--must-resume"]].concat());
            if let Some(name) = story.standard_input {
                command.stdin(fs::File::open(alone.path(name)).expect("opened"));
            }
            let output = command.output().expect("started");
            let said = String::from_utf8_lossy(&output.stderr);
            // Only a run that leaves records out itself ends with the story's status.
            let is_fine = output.status.code() == Some(0) || output.status.code() == Some(story.status);
            assert!(is_fine, "{} from checkpoint {number}: {said}", story.name);
            alone.run(&["diff", calm_store, "store", "--limit", "5"]).expect(0);
        }
    }
}

/// Writes the job and its input.
fn prepare(story: &Story, input: &[File], mut env: Env) -> Env {
    for (name, content) in input {
        env.write(name, content);
    }
    let mut job = story.job.clone();
    if story.in_bucket {
        let bucket = Bucket::fresh().expect("a server");
        bucket.reach_from(&mut env);
        job = job.replace("$BUCKET", &bucket.url.to_string());
    }
    env.write(story.job_file, job);
    env
}

/// Runs the job until it is finished, with `blows` blows.
fn live(env: &Env, story: &Story, blows: u64, random: &mut Random, figures: &mut Figures) -> Fate {
    let mut pace = Pace::new(story);
    let mut fate = Fate::default();
    let end = figures.blows() + blows;
    loop {
        if !story.between.is_empty() && random.below(3) == 0 {
            let act = story.between[random.below(story.between.len() as u64) as usize];
            do_act(env, story, act, random, &mut fate, figures);
        }
        let mut arguments = story.arguments(1 + random.below(4));
        if fate.damaged {
            arguments.push("--latest-good");
        }
        let mut life = Life::start(env, story, &arguments, fate.damaged);
        if !story.beside.is_empty() && random.below(3) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(80_000)));
            if life.goes_on() {
                let act = story.beside[random.below(story.beside.len() as u64) as usize];
                do_act(env, story, act, random, &mut fate, figures);
            }
        }
        if figures.blows() < end {
            life.strike(random, &pace, figures);
        }
        if life.end(&mut pace, figures).finished {
            return fate;
        }
    }
}

/// Does something to the job or its store, whether or not the job is running.
#[track_caller]
fn do_act(env: &Env, story: &Story, act: Act, random: &mut Random, fate: &mut Fate, figures: &mut Figures) {
    let there = checkpoints(&env.path("store"));
    let (store, replica, away) = (env.path("store"), env.path("r"), env.path("away"));
    match act {
        Act::Command(arguments) => {
            let output = env.run(arguments);
            // Nothing is done before the store exists, or while it is in use.
            let is_fine = [0, 10, 11].contains(&output.status)
                || (output.status == 3 && story.moves)
                || ([1, 12].contains(&output.status) && fate.damaged);
            assert!(is_fine, "{arguments:?}: {output}");
            fate.by_hand = true;
        }
        Act::ChangeTasks => {
            let tasks = 1 + random.below(200);
            let lines = story.job.lines().map(|line| match line.starts_with("tasks: ") {
                true => format!("tasks: {tasks}\n"),
                false => format!("{line}\n"),
            });
            env.write("job.yaml", lines.collect::<String>());
        }
        Act::RollBack => {
            let Some((_, older @ [_, ..])) = there.split_last() else { return };
            let number = older[random.below(older.len() as u64) as usize];
            env.run(&["restore", &format!("store@{number}")]).expect(0);
            fate.by_hand = true;
        }
        Act::Damage => {
            if damage(env, &there, random) {
                fate.damaged = true;
            }
        }
        Act::Replica if away.exists() => {
            // A run that was started in the meantime has created a new one.
            if replica.exists() {
                fs::remove_dir_all(&away).expect("removed");
            } else {
                fs::rename(&away, &replica).expect("renamed");
            }
        }
        // One replica must have the result of the job.
        Act::Replica if there.is_empty() || there.last() < checkpoints(&replica).last() => return,
        Act::Replica => drop(fs::rename(&replica, &away)),
        Act::LoseStore => {
            if !there.is_empty() && there == checkpoints(&replica) {
                fs::remove_dir_all(&store).expect("removed");
            }
        }
    }
    figures.acts += 1;
}

/// Damages an object that only the latest checkpoint needs.
fn damage(env: &Env, there: &[u64], random: &mut Random) -> bool {
    let Some((latest, others)) = there.split_last() else { return false };
    let sums = |number: &u64| env.read(&format!("store/checkpoints/{number:08}/SHA256SUMS"));
    let others: String = others.iter().map(sums).collect();
    let text = sums(latest);
    let own: Vec<&str> = text.lines().filter(|line| line.contains("objects") && !others.contains(*line)).collect();
    if own.is_empty() || others.is_empty() {
        return false;
    }
    let line = own[random.below(own.len() as u64) as usize];
    let path = env.path("store").join(line.split_once("../../").expect("a path").1);
    let mut bytes = fs::read(&path).expect("readable");
    let place = random.below(bytes.len() as u64) as usize;
    bytes[place] ^= 1 << random.below(8);
    fs::write(path, bytes).expect("written");
    true
}

/// Brings back what is away, and lets the job notice.
fn settle(env: &Env, story: &Story) {
    if !story.moves {
        return;
    }
    if env.path("away").exists() {
        if env.path("r").exists() {
            fs::remove_dir_all(env.path("away")).expect("removed");
        } else {
            fs::rename(env.path("away"), env.path("r")).expect("renamed");
        }
    }
    env.run(&["run", story.job_file, "--must-resume"]).expect(story.status);
    assert_eq!(checkpoints(&env.path("store")), checkpoints(&env.path("r")), "the replicas have the same checkpoints");
}

/// Checks that every checkpoint is whole, and that none was made for nothing.
#[track_caller]
fn assert_whole(env: &Env, story: &Story, fate: &Fate) {
    let target = if fate.damaged { "store@latest" } else { "store" };
    let verified = env.run(&["verify", target, "--deep"]).expect(0);
    let intact = verified.stdout.lines().filter(|line| line.contains("intact: ")).count();
    assert_eq!(intact, story.place_count(), "{verified}");
    if fate.by_hand || fate.damaged || story.is_complete {
        return;
    }
    let (mut previous, mut was_behind) = (None, false);
    for number in checkpoints(&env.path("store")) {
        let manifest = manifest(&env.path("store"), number);
        let line = |name: &str| manifest.lines().find_map(|line| line.strip_prefix(name)).expect("a field").to_owned();
        let place = (line("block: ").parse::<u64>().expect("a number"), line("ended: "), line("tasks: "));
        // Shards that were behind may be written without any new block.
        let is_new = was_behind
            || previous.as_ref().is_none_or(|previous: &(u64, String, String)| {
                (previous.0, &previous.1) < (place.0, &place.1) || previous.2 != place.2
            });
        assert!(is_new, "checkpoint {number} has nothing new");
        was_behind = manifest.contains("older_cuts:");
        previous = Some(place);
    }
}

/// Waits until no program that the job started is left.
#[track_caller]
fn assert_no_program(env: &Env) {
    let home = env.dir().canonicalize().expect("the directory exists");
    let begun = Instant::now();
    let is_left = || {
        let entries = fs::read_dir("/proc").expect("listed").filter_map(Result::ok);
        entries.map(|entry| entry.path()).any(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == home))
    };
    while is_left() {
        assert!(begun.elapsed() < PATIENCE, "a program is still running");
        std::thread::sleep(Duration::from_millis(5));
    }
}
