//! What a run publishes, what the next one completes, and what a rollback takes back.

use std::fs;

use super::{Scene, get, path, records};
use crate::support::tree;

const CHANGES: &str = "job: counting\ninput: data.jsonl\nkey: k\nprocess: {aggregate: {n: count, s: sum(v)}}\n\
                       checkpoint: {store: store}\noutput: {files: BUCKET/out/, emit: changes}\n";

/// A job that has run twice: the second time with more records.
fn twice() -> Option<Scene> {
    let scene = Scene::new(CHANGES)?;
    for to in [20, 30] {
        scene.env.write("data.jsonl", records(0, to, 9, false));
        scene.run().expect(0);
    }
    Some(scene)
}

#[test]
fn a_bucket_gets_the_bytes_that_a_directory_gets() {
    const JOB: &str = "job: both\ninput: {files: data.jsonl, on_error: {dead_letter: OUT/dead/bad.jsonl}}\nkey: k\n\
                       process: {aggregate: {n: count, s: sum(v)}}\ncheckpoint: {store: store}\n\
                       output: {files: OUT/rows, EMIT}\n";
    for emit in ["format: json", "format: csv", "format: parquet", "emit: changes", "emit: changes, format: parquet"] {
        let Some(scene) = Scene::new(&JOB.replace("OUT", "BUCKET").replace("EMIT", emit)) else { return };
        let env = &scene.env;
        env.write(
            "local.yaml",
            JOB.replace("OUT", "out").replace("store: store", "store: local").replace("EMIT", emit),
        );
        for to in [200, 400] {
            env.write("data.jsonl", records(0, to, 20, true));
            let [there, here] = ["job.yaml", "local.yaml"].map(|job| env.run(&["run", job]).expect(3));
            assert!(there.stdout.contains(&format!("{}/rows", scene.bucket.url)), "{there}");
            assert!(here.stdout.contains("out/rows"), "{here}");
        }
        assert_eq!(scene.objects("rows"), tree(&env.path("out/rows")), "{emit}");
        let dead = scene.objects("dead");
        assert_eq!(dead.keys().collect::<Vec<_>>(), ["bad-00000001.jsonl", "bad-00000002.jsonl"]);
        assert_eq!(
            dead.into_values().flatten().collect::<Vec<u8>>(),
            fs::read(env.path("out/dead/bad.jsonl")).unwrap()
        );
        let named: Vec<String> = scene.outputs().into_iter().map(|output| output.path).collect();
        assert!(named.contains(&format!("{}/dead/bad-00000002.jsonl", scene.bucket.url)), "{named:?}");
        assert_eq!(env.run(&["run", "job.yaml"]).expect(0).stdout.matches("latest 2").count(), 1, "nothing is new");
    }
}

#[test]
fn late_records_go_to_a_bucket() {
    let job = "job: late\ninput: data.jsonl\nkey: k\ncheckpoint: {store: store}\noutput: {files: out, emit: changes}\n\
               process:\n  aggregate: {n: count}\n  window: {time: t, every: 10s, on_late: {dead_letter: LATE}}\n";
    let Some(scene) = Scene::new(&job.replace("LATE", "BUCKET/late/late.jsonl")) else { return };
    let env = &scene.env;
    let local = job.replace("LATE", "late.jsonl").replace("store: store", "store: local").replace("out,", "local-out,");
    env.write("local.yaml", local);
    for times in ["1000 2000", "1000 2000 5 3000", "1000 2000 5 3000 6 7"] {
        let lines = times.split(' ').map(|time| format!("{{\"k\":\"a\",\"t\":{time}}}\n"));
        env.write("data.jsonl", lines.collect::<String>());
        let codes = ["job.yaml", "local.yaml"].map(|job| env.run(&["run", job]).status);
        assert_eq!(codes[0], codes[1]);
    }
    let late = scene.objects("late");
    assert_eq!(late.len(), 2, "a checkpoint without late records has no object: {:?}", late.keys());
    assert_eq!(late.into_values().flatten().collect::<Vec<u8>>(), fs::read(env.path("late.jsonl")).unwrap());
}

#[test]
fn a_publication_that_was_cut_short_is_completed_and_what_was_never_committed_is_removed() {
    let Some(scene) = twice() else { return };
    let (before, out) = (scene.objects("out"), scene.storage("out"));
    let (last, staged) = ("counting-00000002.jsonl", ".counting-00000002.jsonl.ckpt-00000002-0123456789abcdef");
    for is_copied in [false, true] {
        out.copy(&path(last), &path(staged), before[last].len() as u64).unwrap();
        if !is_copied {
            out.delete(&path(last)).unwrap();
        }
        out.replace(&path(".counting-00000003.jsonl.ckpt-00000003-00000000000000aa"), b"torn").unwrap();
        out.replace(&path(".counting-00000002.jsonl.ckpt-00000002-00000000000000bb"), b"other").unwrap();
        out.replace(&path(".other-00000003.jsonl.ckpt-00000003-00000000000000aa"), b"not ours").unwrap();
        scene.run().expect(0);
        let mut after = scene.objects("out");
        assert_eq!(after.remove(".other-00000003.jsonl.ckpt-00000003-00000000000000aa").unwrap(), b"not ours");
        assert_eq!(after, before);
    }
}

#[test]
fn an_object_of_someone_else_is_never_overwritten() {
    let Some(scene) = twice() else { return };
    let (out, last) = (scene.storage("out"), "counting-00000002.jsonl");
    let bytes = get(&out, last).unwrap();
    // Before the commit.
    out.replace(&path("counting-00000003.jsonl"), b"theirs").unwrap();
    scene.env.write("data.jsonl", records(0, 40, 9, false));
    let refused = scene.run().expect(4);
    assert!(refused.stderr.contains("refusing to overwrite") && refused.stderr.contains("move"), "{refused}");
    assert_eq!(scene.outputs().len(), 2, "nothing was committed");
    assert_eq!(get(&out, "counting-00000003.jsonl").unwrap(), b"theirs");
    out.delete(&path("counting-00000003.jsonl")).unwrap();
    // After it.
    let staged = ".counting-00000002.jsonl.ckpt-00000002-0123456789abcdef";
    out.replace(&path(staged), &bytes).unwrap();
    out.replace(&path(last), b"theirs").unwrap();
    scene.run().expect(4);
    assert_eq!(get(&out, last).unwrap(), b"theirs");
    out.delete(&path(last)).unwrap();
    scene.run().expect(0);
    assert_eq!(scene.names("out").len(), 3);
    assert_eq!(get(&out, last).unwrap(), bytes);
}

#[test]
fn after_a_rollback_the_objects_of_abandoned_checkpoints_are_withdrawn() {
    let Some(scene) = twice() else { return };
    let (env, before) = (&scene.env, scene.objects("out"));
    env.run(&["restore", "store@1"]).expect(0);
    // A move that was cut short is not made twice.
    let out = scene.storage("out");
    let (last, moved) = (path("counting-00000002.jsonl"), path("counting-00000002.jsonl.withdrawn-00000002"));
    out.copy(&last, &moved, before["counting-00000002.jsonl"].len() as u64).unwrap();
    let output = scene.run().expect(0);
    assert!(output.stderr.contains("counting-00000002.jsonl.withdrawn-00000002`"), "{output}");
    let names = ["counting-00000001.jsonl", "counting-00000002.jsonl.withdrawn-00000002", "counting-00000004.jsonl"];
    assert_eq!(scene.names("out"), names);
    env.run(&["restore", "store@2"]).expect(0);
    scene.run().expect(0);
    let mut after = scene.objects("out");
    assert!(after.remove("counting-00000004.jsonl.withdrawn-00000004").is_some());
    assert_eq!(after, before);
}

#[test]
fn a_store_that_is_gone_is_an_error_while_its_objects_exist() {
    let Some(scene) = twice() else { return };
    fs::remove_dir_all(scene.env.path("store")).unwrap();
    let output = scene.run().expect(10);
    let first = format!("{}/out/counting-00000001.jsonl", scene.bucket.url);
    assert!(output.stderr.contains(&format!("the published output `{first}` exists")), "{output}");
    let checked = scene.env.run(&["check", "job.yaml"]);
    assert!(checked.stdout.contains(&first) || checked.stderr.contains(&first), "{checked}");
}

#[test]
fn an_output_that_moves_to_a_bucket_is_completed_where_it_was() {
    let Some(scene) = twice() else { return };
    let before = scene.objects("out");
    let (last, staged) = ("counting-00000002.jsonl", ".counting-00000002.jsonl.ckpt-00000002-0123456789abcdef");
    let out = scene.storage("out");
    out.replace(&path(staged), &before[last]).unwrap();
    out.delete(&path(last)).unwrap();
    scene.job_file(&format!("{}/out/", scene.bucket.url), "BUCKET/elsewhere");
    scene.run().expect(0);
    assert_eq!(scene.objects("out"), before);
    assert!(scene.names("elsewhere").is_empty());
}
