//! Commands that are killed at one of their requests, before or after the server does it: the next one finds all that
//! was committed, and ends as if nothing had happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::scene::{COPY, PRUNE, REPAIR, ROLL_BACK, RUN, RUN_WITH_REPLICA, Scene, Story, moments};
use crate::support::bucket::Bucket;
use crate::support::code;
use crate::support::lossy::{Fate, Request};

/// Runs a command and kills it at its request number `at`, before or after the server does it. Returns whether that was
/// before its end.
fn killed(scene: &Scene, arguments: &[&str], at: usize, after: bool) -> bool {
    let process = Arc::new(AtomicI32::new(0));
    let of_proxy = Arc::clone(&process);
    scene.proxy.forget();
    scene.proxy.decide(move |request| {
        if request.earlier < at {
            return Fate::Pass;
        }
        if after {
            return Fate::LoseAnswer;
        }
        kill(&of_proxy);
        Fate::Reset
    });
    let arguments: Vec<String> = arguments.iter().map(|word| word.replace("$BUCKET", &scene.url)).collect();
    let mut command = scene.env.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().expect("started");
    process.store(child.id() as i32, Ordering::SeqCst);
    if after {
        // The proxy answers nothing from this request on, so the command cannot do more than that.
        while child.try_wait().expect("waited").is_none() && scene.proxy.done() <= at {
            thread::sleep(Duration::from_millis(1));
        }
        kill(&process);
    }
    let status = code(child.wait().expect("waited"));
    scene.proxy.decide(|_| Fate::Pass);
    assert!(matches!(status, 0 | 137), "{status}");
    status == 137
}

/// Kills the process once its number is known.
fn kill(process: &AtomicI32) {
    loop {
        if let Some(process) = Pid::from_raw(process.load(Ordering::SeqCst)) {
            let _ = kill_process(process, Signal::KILL);
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Kills the command of `story` at its requests, and runs it again.
fn at_requests(story: &Story) {
    let mut kills = 0;
    for (at, kind) in moments(story, 2) {
        let scene = (story.prepare)().expect("a server");
        kills += u32::from(killed(&scene, story.arguments, at, kind == 1));
        scene.run(story.arguments).expect(0);
        (story.check)(&scene);
    }
    if Bucket::fresh().is_some() {
        assert!(kills > 3, "{kills} kills");
    }
}

#[test]
fn a_run_that_is_killed_at_a_request_resumes() {
    at_requests(&RUN);
}

#[test]
fn a_run_with_a_replica_in_a_bucket_that_is_killed_at_a_request_resumes() {
    at_requests(&RUN_WITH_REPLICA);
}

#[test]
fn a_prune_that_is_killed_at_a_request_is_finished_by_the_next() {
    at_requests(&PRUNE);
}

#[test]
fn a_copy_that_is_killed_at_a_request_is_finished_by_the_next() {
    at_requests(&COPY);
}

#[test]
fn a_repair_that_is_killed_at_a_request_is_finished_by_the_next() {
    at_requests(&REPAIR);
}

#[test]
fn a_rollback_that_is_killed_leaves_a_pin_that_names_the_command_to_remove_it() {
    let Some(scene) = (ROLL_BACK.prepare)() else { return };
    scene.proxy.forget();
    scene.run(ROLL_BACK.arguments).expect(0);
    let is_commit = |request: &Request| request.kind() == "CREATE" && request.path.contains("/manifest.yaml");
    let commit = scene.proxy.seen().iter().position(is_commit).expect("a commit");
    let scene = (ROLL_BACK.prepare)().expect("a server");
    assert!(killed(&scene, ROLL_BACK.arguments, commit, false));
    let shown = scene.run(&["inspect", "$BUCKET@1"]).expect(0).stdout;
    let command = format!("ckpt unpin {}@1", scene.url);
    assert!(shown.contains("`ckpt restore`, process ") && shown.contains(&command), "{shown}");
    scene.run(&["unpin", "$BUCKET@1"]).expect(0);
    scene.run(ROLL_BACK.arguments).expect(0);
    let shown = scene.run(&["inspect", "$BUCKET@1"]).expect(0).stdout;
    assert!(!shown.contains("unpin"), "{shown}");
    (ROLL_BACK.check)(&scene);
}

#[test]
fn a_rollback_that_is_killed_at_a_request_can_be_repeated() {
    at_requests(&ROLL_BACK);
}
