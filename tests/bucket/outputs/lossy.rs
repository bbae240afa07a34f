//! Runs whose requests are lost, refused, cut or delayed: what they publish is the same.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::{Scene, path, records};
use crate::support::lossy::{Fate, Lossy, Request};
use crate::support::random::{Random, seed, variable};

const JOB: &str = "job: lossy\ninput: {files: data.jsonl, on_error: {dead_letter: BUCKET/out/bad.jsonl}}\nkey: k\n\
                   process: {aggregate: {n: count, s: sum(v)}}\n\
                   checkpoint: {store: store}\noutput: {files: BUCKET/out, EMIT}\n";

/// How long a late request takes to arrive, and how long a client waits.
const LATE: Duration = Duration::from_secs(3);
const PATIENCE: &str = "1s";

fn fates() -> [Fate; 8] {
    [
        Fate::LoseAnswer,
        Fate::Reset,
        Fate::AnswerAfter(503, "SlowDown"),
        Fate::AnswerAfter(500, "InternalError"),
        Fate::AnswerInstead(503, "SlowDown"),
        Fate::AnswerInstead(403, "AccessDenied"),
        Fate::DelayAndLose(LATE),
        Fate::Cut(3),
    ]
}

/// A job that has made one checkpoint and has records for another one.
fn scene(emit: &str) -> Option<Scene> {
    let scene = Scene::new(&JOB.replace("EMIT", emit))?;
    scene.env.write("data.jsonl", records(0, 300, 20, true));
    scene.run().expect(3);
    scene.env.write("data.jsonl", records(0, 600, 20, true));
    Some(scene)
}

/// Runs the job behind a proxy that does `fate` to the request of this number and, if it `persists`, to all that
/// follow; then once more without the proxy. Returns the objects, and how many requests the first run sent.
fn run(emit: &str, number: usize, fate: &Fate, persists: bool) -> Option<(BTreeMap<String, Vec<u8>>, usize)> {
    let mut scene = scene(emit)?;
    let endpoint = scene.bucket.variable("AWS_ENDPOINT_URL").to_owned();
    let of_proxy = fate.clone();
    let decide = move |request: &Request| {
        let is_struck = request.earlier == number || (persists && request.earlier > number);
        if is_struck { of_proxy.clone() } else { Fate::Pass }
    };
    let proxy = Lossy::before(&endpoint, decide);
    scene.env.set("AWS_ENDPOINT_URL", &proxy.endpoint());
    scene.env.set("CKPT_BUCKET_TIMEOUT", PATIENCE).set("CKPT_BUCKET_PATIENCE", "2s");
    let output = scene.run();
    assert!(matches!(output.status, 3 | 4), "{fate:?} at {number}: {output}");
    let requests = proxy.seen().len();
    if matches!(fate, Fate::DelayAndLose(_)) {
        thread::sleep(LATE);
    }
    scene.env.set("AWS_ENDPOINT_URL", &endpoint);
    let output = scene.run();
    assert!(matches!(output.status, 0 | 3), "{fate:?} at {number}: {output}");
    assert_eq!(scene.outputs().len(), 4, "two checkpoints with two objects each");
    Some((scene.objects("out"), requests))
}

#[test]
fn whatever_happens_to_a_request_the_next_run_completes_what_is_published() {
    let mut random = Random(seed(20_261_127));
    let rounds = variable("CKPT_LOSSY_ROUNDS").unwrap_or(6);
    for emit in ["emit: changes", "format: csv"] {
        let Some((expected, requests)) = run(emit, usize::MAX, &Fate::Pass, false) else { return };
        for _ in 0..rounds {
            let number = random.below(requests as u64) as usize;
            let fate = random.choose(&fates()).clone();
            let persists = random.below(2) == 1;
            let (found, _) = run(emit, number, &fate, persists).expect("a server");
            assert!(found == expected, "{emit}, {fate:?} at {number}, {persists}: {:?}", found.keys());
        }
    }
}

#[test]
fn large_objects_are_sent_and_copied_in_parts_whose_answers_are_lost() {
    let Some(mut scene) = Scene::new("") else { return };
    let endpoint = scene.bucket.variable("AWS_ENDPOINT_URL").to_owned();
    let bytes: Vec<u8> = (0..(23 << 20) + 5_u32).map(|number| (number * 7 / 5) as u8).collect();
    for kind in ["none", "BEGIN", "PART", "COMPLETE", "GET"] {
        for fate in [Fate::LoseAnswer, Fate::AnswerInstead(503, "SlowDown")] {
            let of_proxy = fate.clone();
            let proxy = Lossy::before(&endpoint, move |request: &Request| {
                if request.kind() == kind && request.earlier_of_kind == 0 { of_proxy.clone() } else { Fate::Pass }
            });
            scene.bucket.set("AWS_ENDPOINT_URL", &proxy.endpoint()).set("CKPT_BUCKET_PART", "5MiB");
            let storage = scene.storage("parts");
            let mut upload = storage.upload(&path("staged"));
            bytes.chunks(100_000).for_each(|piece| upload.write(piece).unwrap());
            let holds = |name: &str| storage.get(&path(name), 1 << 30).is_ok_and(|found| found == bytes);
            // An answer that says that the upload is gone leaves open whether it is complete.
            assert!(upload.finish().is_ok() || holds("staged"), "{kind}, {fate:?}");
            assert!(holds("staged"), "{kind}, {fate:?}");
            let size = bytes.len() as u64;
            assert!(storage.rewrite(&path("staged"), &path("rewritten"), size).is_ok() || holds("rewritten"));
            storage.copy(&path("staged"), &path("copied"), size).unwrap();
            assert!(holds("rewritten") && holds("copied"), "{kind}, {fate:?}");
            assert!(storage.rewrite(&path("staged"), &path("short"), size + 1).is_err());
            assert_eq!(storage.names("").unwrap(), ["copied", "rewritten", "staged"]);
            for name in ["copied", "rewritten", "staged"] {
                storage.delete(&path(name)).unwrap();
            }
            drop(storage.upload(&path("given-up")).write(&bytes));
            assert!(storage.names("").unwrap().is_empty());
        }
    }
}
