//! Runs that are killed at any moment: each object is published once, and no reader ever sees a part of it.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ckpt::values::digest::Digest;

use super::{Scene, get, records};
use crate::support::AtEnd;
use crate::support::random::Random;

const JOB: &str = "job: struck\ninput: {files: data.jsonl, on_error: {dead_letter: BUCKET/out/bad.jsonl}}\nkey: k\n\
                   process: {aggregate: {n: count, s: sum(v)}}\n\
                   checkpoint: {store: STORE, schedule: 30ms}\noutput: {files: BUCKET/out, EMIT}\n";

/// Watches a prefix until it is told to stop, and returns the digest of every object that it has seen.
///
/// Panics if an object changes, or disappears, once it is in place.
fn watch(scene: &Scene, is_over: &AtomicBool) -> BTreeMap<String, Digest> {
    let storage = scene.storage("out");
    let mut seen: BTreeMap<String, Digest> = BTreeMap::new();
    loop {
        let is_last = is_over.load(Ordering::Relaxed);
        let names = storage.names("struck").expect("listed").into_iter().chain(storage.names("bad").expect("listed"));
        let names: Vec<String> = names.collect();
        assert!(seen.keys().all(|name| names.contains(name)), "{names:?} had {seen:?}");
        for name in names {
            let digest = Digest::of(&get(&storage, &name).unwrap_or_else(|| panic!("{name} was there")));
            let before = *seen.entry(name.clone()).or_insert(digest);
            assert_eq!(before, digest, "{name} has changed");
        }
        if is_last {
            return seen;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Starts a run that leaves its messages in `log`.
fn start(scene: &Scene, log: &str) -> Child {
    let log = fs::File::create(scene.env.path(log)).expect("created");
    scene.env.command(&["run", "job.yaml"]).stdout(Stdio::null()).stderr(log).spawn().expect("started")
}

/// Runs the job again and again until a run ends by itself. Returns how many were killed. With a `rival`, two runs work
/// at the same time, until one of them stops or both are killed.
fn lives(scene: &Scene, random: &mut Random, rival: bool) -> u32 {
    let mut kills = 0;
    loop {
        let mut other = (rival && kills < 12).then(|| start(scene, "rival.log"));
        let mut child = start(scene, "run.log");
        let moment = if kills < 12 { random.below(2000) } else { 600_000 };
        for _ in 0..moment {
            if child.try_wait().expect("waited").is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        if let Some(other) = &mut other {
            other.kill().expect("killed");
            other.wait().expect("waited");
        }
        match child.try_wait().expect("waited") {
            Some(status) if status.code() == Some(3) => return kills,
            // A run was killed after its last checkpoint: nothing was left to do, and so nothing to leave out.
            Some(status) if status.code() == Some(0) && kills > 0 => return kills,
            // Of two runs, one stops.
            Some(status) => assert!(rival, "{status}: {}", scene.env.read("run.log")),
            None => {
                child.kill().expect("killed");
                child.wait().expect("waited");
            }
        }
        kills += 1;
    }
}

#[test]
fn a_run_that_is_killed_at_any_moment_publishes_each_object_once_and_whole() {
    let stories = [
        ("emit: changes", "store", false, 1),
        ("format: csv", "store", false, 2),
        ("emit: changes", "BUCKET/store", false, 3),
        ("emit: changes", "BUCKET/store", true, 4),
    ];
    for (emit, store, rival, seed) in stories {
        let Some(scene) = Scene::new(&JOB.replace("EMIT", emit).replace("STORE", store)) else { return };
        scene.env.write("data.jsonl", records(0, 400_000, 200, true));
        let is_over = AtomicBool::new(false);
        let (kills, seen) = thread::scope(|scope| {
            let watcher = scope.spawn(|| watch(&scene, &is_over));
            let watched = AtEnd(|| is_over.store(true, Ordering::Relaxed));
            let kills = lives(&scene, &mut Random(seed), rival);
            drop(watched);
            (kills, watcher.join().expect("no object changed"))
        });
        let url = scene.bucket.url.to_string();
        let named = scene.outputs().into_iter().map(|output| {
            (output.path.strip_prefix(&format!("{url}/out/")).expect("in the prefix").to_owned(), output.sha256)
        });
        assert_eq!(seen, named.collect::<BTreeMap<_, _>>(), "the objects are those that the checkpoints name");
        let (staged, names): (Vec<_>, Vec<_>) = scene.names("out").into_iter().partition(|name| name.starts_with('.'));
        assert_eq!(names, seen.into_keys().collect::<Vec<_>>());
        // A rival may have staged for a number that nobody came to.
        let newest = names.iter().filter_map(|name| name.split('-').nth(1)?.get(..8)).max().unwrap_or_default();
        let is_later = |name: &String| rival && name.split(".ckpt-").nth(1).is_some_and(|number| &number[..8] > newest);
        assert!(staged.iter().all(is_later), "nothing staged is left: {staged:?}");
        println!("{emit}, {store}, {rival}: {kills} kills, {} objects", scene.names("out").len());
        // Dead letters, put together, are those of a run that was not killed.
        let dead: Vec<u8> = scene
            .objects("out")
            .into_iter()
            .filter(|(name, _)| name.starts_with("bad"))
            .flat_map(|(_, bytes)| bytes)
            .collect();
        let store = store.replace("BUCKET", &url);
        scene.job_file(&format!("store: {store},"), "store: undisturbed,");
        scene.job_file(&format!("{url}/out/bad.jsonl"), "bad.jsonl");
        scene.job_file(&format!("files: {url}/out"), "files: out");
        scene.run().expect(3);
        assert!(dead == fs::read(scene.env.path("bad.jsonl")).unwrap());
        scene.env.run(&["diff", &store, "undisturbed"]).expect(0);
    }
}
