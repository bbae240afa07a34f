//! Whole commands on a bucket, with a fault at one of their requests: the result is that of an undisturbed command.

use std::time::Duration;

use super::scene::{COPY, PRUNE, REPAIR, ROLL_BACK, RUN, RUN_WITH_REPLICA, Scene, Story, moments};
use crate::support::lossy::Fate;

/// Faults after which a command must end as if nothing had happened.
fn fates() -> [Fate; 4] {
    [Fate::LoseAnswer, Fate::AnswerAfter(503, "SlowDown"), Fate::AnswerInstead(500, "InternalError"), Fate::Cut(1)]
}

/// Runs the command of `story` with a fault at its requests.
fn at_requests(story: &Story) {
    for (at, kind) in moments(story, fates().len()) {
        let scene = (story.prepare)().expect("a server");
        let fate = fates()[kind].clone();
        let output = scene.disturbed(story.arguments, &fate, at);
        assert_eq!(output.status, 0, "{fate:?} at request {at}: {output}\n{:?}", scene.proxy.seen().get(at));
        (story.check)(&scene);
    }
}

#[test]
fn a_run_is_not_disturbed_by_one_fault_at_a_request() {
    at_requests(&RUN);
}

#[test]
fn a_replica_catches_up_whatever_happens_to_one_request() {
    at_requests(&RUN_WITH_REPLICA);
}

#[test]
fn a_prune_is_not_disturbed_by_one_fault_at_a_request() {
    at_requests(&PRUNE);
}

#[test]
fn a_copy_is_not_disturbed_by_one_fault_at_a_request() {
    at_requests(&COPY);
}

#[test]
fn a_rollback_is_not_disturbed_by_one_fault_at_a_request() {
    at_requests(&ROLL_BACK);
}

#[test]
fn a_repair_is_not_disturbed_by_one_fault_at_a_request() {
    at_requests(&REPAIR);
}

#[test]
fn a_fault_that_stays_ends_a_run_with_an_error_and_the_next_run_resumes() {
    let Some(scene) = Scene::new("{store: '$BUCKET'}") else { return };
    scene.input(9);
    for kind in ["CREATE", "PUT", "GET", "LIST"] {
        let begun = std::time::Instant::now();
        scene.proxy.decide(move |request| match request.kind() == kind {
            true => Fate::AnswerInstead(503, "ServiceUnavailable"),
            false => Fate::Pass,
        });
        let mut command = scene.env.command(&["run", "job.yaml"]);
        let output = command.env("CKPT_BUCKET_PATIENCE", "500ms").output().expect("run");
        assert_eq!(output.status.code(), Some(4), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    scene.proxy.decide(|_| Fate::Pass);
    scene.run(&["run", "job.yaml"]).expect(0);
    scene.has_state("$BUCKET", 9);
}
