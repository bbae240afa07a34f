//! Which places in a bucket are refused, and when.

use super::{Scene, path};

const JOB: &str = "job: j\ninput: {files: data.jsonl, on_error: {dead_letter: DEAD}}\nkey: k\n\
                   process: {aggregate: {n: count}}\ncheckpoint: {store: store}\noutput: {files: OUT, emit: changes}\n";

fn scene(out: &str, dead: &str) -> Option<Scene> {
    let scene = Scene::new(&JOB.replace("OUT", out).replace("DEAD", dead))?;
    scene.env.write("data.jsonl", "{\"k\":\"a\"}\n");
    Some(scene)
}

/// Returns what a run and a check say that refuse the job, after seeing that both do.
fn refused(scene: &Scene, status: i32) -> String {
    let run = scene.run().expect(status);
    assert!(!scene.env.path("store").exists(), "mistakes come first: {run}");
    let check = scene.env.run(&["check", "job.yaml"]);
    assert!(check.status != 0, "{check}");
    run.stderr
}

#[test]
fn an_output_in_a_store_is_refused() {
    let Some(scene) = scene("BUCKET/s/inner/out", "bad.jsonl") else { return };
    scene.storage("s").replace(&path("store.yaml"), b"x").unwrap();
    let text = refused(&scene, 2);
    assert!(text.contains(&format!("{}/s`", scene.bucket.url)), "{text}");
    scene.storage("s").delete(&path("store.yaml")).unwrap();
    scene.run().expect(0);
}

#[test]
fn dead_letters_that_would_have_the_name_of_an_output_are_refused() {
    let Some(scene) = scene("BUCKET/out", "BUCKET/out/j.jsonl") else { return };
    let text = refused(&scene, 2);
    assert!(text.contains("the output") && text.contains("the dead-letter file"), "{text}");
    scene.job_file("out/j.jsonl", "out/j-bad.jsonl");
    scene.run().expect(0);
}

#[test]
fn an_output_that_the_job_would_read_is_refused() {
    for (out, dead) in [("BUCKET/read", "bad.jsonl"), ("out", "BUCKET/read/bad.jsonl")] {
        let Some(scene) = scene(out, dead) else { return };
        scene.job_file("files: data.jsonl", "files: BUCKET/read/*.jsonl");
        let check = scene.env.run(&["check", "job.yaml"]);
        let text = format!("{check}");
        assert!(check.status != 0 && text.contains("an input"), "{text}");
    }
}

#[test]
fn urls_that_name_no_prefix_or_no_object_are_refused_in_their_line() {
    for (out, dead, expected) in [
        ("gs://bucket/out", "bad.jsonl", "job.yaml:6:"),
        ("s3://bucket//out", "bad.jsonl", "job.yaml:6:"),
        ("out", "s3://bucket", "job.yaml:2:"),
        ("out", "s3://bucket/bad/", "job.yaml:2:"),
    ] {
        let Some(scene) = scene(out, dead) else { return };
        let text = refused(&scene, 2);
        assert!(text.contains(expected), "{text}");
    }
    let Some(scene) = scene("out", "BUCKET/bad.jsonl") else { return };
    scene.job_file(", emit: changes", "");
    scene.job_file("store: store", "enabled: false");
    let text = refused(&scene, 2);
    assert!(text.contains("a bucket gets the dead letters with each checkpoint"), "{text}");
}

#[test]
fn a_bucket_that_does_not_exist_is_found_out_before_the_first_record() {
    let Some(scene) = scene("s3://no-such-bucket-of-ckpt/out", "bad.jsonl") else { return };
    let text = refused(&scene, 10);
    assert!(text.contains("the bucket does not exist"), "{text}");
}

#[test]
fn a_run_without_checkpoints_publishes_its_output() {
    let Some(scene) = scene("BUCKET/out", "bad.jsonl") else { return };
    scene.job_file(", emit: changes", "");
    scene.job_file("store: store", "enabled: false");
    for _ in 0..2 {
        scene.run().expect(0);
        assert_eq!(
            scene.objects("out").into_iter().collect::<Vec<_>>(),
            [("j.jsonl".to_owned(), b"{\"k\":\"a\",\"n\":1}\n".to_vec())]
        );
    }
}
