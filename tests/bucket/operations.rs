//! Whole commands on a bucket, with a fault at one of their requests: the result is that of an undisturbed command.

use std::time::Duration;

use super::scene::{Scene, moments};
use crate::support::lossy::Fate;

/// Faults after which a command must end as if nothing had happened.
fn fates() -> [Fate; 4] {
    [Fate::LoseAnswer, Fate::AnswerAfter(503, "SlowDown"), Fate::AnswerInstead(500, "InternalError"), Fate::Cut(1)]
}

/// Runs a command with a fault at its requests: each time `prepare` makes the scene, and `check` looks at what the
/// command did.
fn at_requests(arguments: &[&str], prepare: fn() -> Option<Scene>, check: fn(&Scene)) {
    for (at, kind) in moments(arguments, prepare, fates().len()) {
        let scene = prepare().expect("a server");
        let fate = fates()[kind].clone();
        let output = scene.disturbed(arguments, &fate, at);
        assert_eq!(output.status, 0, "{fate:?} at request {at}: {output}\n{:?}", scene.proxy.seen().get(at));
        check(&scene);
    }
}

#[test]
fn a_run_is_not_disturbed_by_one_fault_at_a_request() {
    let prepare = || {
        let scene = Scene::new("{store: '$BUCKET'}")?;
        scene.input(9);
        Some(scene)
    };
    at_requests(&["run", "job.yaml"], prepare, |scene| scene.has_state("$BUCKET", 9));
}

#[test]
fn a_replica_catches_up_whatever_happens_to_one_request() {
    let prepare = || {
        let scene = Scene::new("{store: local, replicas: ['$BUCKET']}")?;
        scene.input(9);
        Some(scene)
    };
    at_requests(&["run", "job.yaml"], prepare, |scene| {
        scene.has_state("local", 9);
        scene.has_state("$BUCKET", 9);
    });
}

#[test]
fn a_prune_is_not_disturbed_by_one_fault_at_a_request() {
    let prepare = || Scene::new("{store: '$BUCKET'}");
    let arguments = ["prune", "$BUCKET", "--keep-last", "1", "--yes"];
    at_requests(&arguments, prepare, |scene| scene.has_state("$BUCKET", 6));
}

#[test]
fn a_copy_is_not_disturbed_by_one_fault_at_a_request() {
    let prepare = || Scene::new("{store: local}");
    at_requests(&["copy", "local", "--to", "$BUCKET"], prepare, |scene| scene.has_state("$BUCKET", 6));
}

#[test]
fn a_rollback_is_not_disturbed_by_one_fault_at_a_request() {
    let prepare = || Scene::new("{store: '$BUCKET'}");
    at_requests(&["restore", "$BUCKET@1"], prepare, |scene| scene.has_state("$BUCKET", 3));
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
