//! `ckpt run --latest-good`: back to the newest intact checkpoint, never silently.

use std::fs;

use super::{checkpoints, counting, manifest};
use crate::support::Env;

const STORE: &str = "checkpoint: {store: store}\n";
const OUTPUT: &str = "out/counting.jsonl";

/// Three checkpoints, each of which published its output. The runs had the key `a`, then also `b`, then also `c`.
fn three() -> Env {
    let env = Env::new();
    counting(&env, STORE);
    let mut data = String::new();
    for key in ["a", "b", "c"] {
        data += &format!("{{\"k\":\"{key}\"}}\n");
        env.write("data.jsonl", &data);
        env.run(&["run", "job.yaml"]).expect(0);
    }
    assert_eq!(checkpoints(&env.path("store")), [1, 2, 3]);
    env
}

/// Damages an object that checkpoint `number` has and the previous one does not.
fn damage(env: &Env, number: u64) {
    let sums = |number: u64| env.read(&format!("store/checkpoints/{number:08}/SHA256SUMS"));
    let (old, new) = (sums(number - 1), sums(number));
    let own = new.lines().find(|line| line.contains("objects") && !old.contains(*line)).expect("an object of its own");
    let path = env.path("store").join(own.split_once("../../").expect("a path").1);
    let mut bytes = fs::read(&path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
}

#[test]
fn without_the_flag_a_damaged_latest_checkpoint_is_an_error_that_names_the_newest_intact_one() {
    let env = three();
    damage(&env, 3);
    let output = env.run(&["run", "job.yaml"]).expect(12);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.starts_with("error: cannot resume from checkpoint 3, the latest\n  caused by: "), "{output}");
    assert!(output.stderr.contains("\nhint: `ckpt run --latest-good` resumes from checkpoint 2 ("), "{output}");
    damage(&env, 2);
    let output = env.run(&["run", "job.yaml"]).expect(12);
    assert!(output.stderr.contains("resumes from checkpoint 1 ("), "{output}");
    assert_eq!(checkpoints(&env.path("store")), [1, 2, 3]);
    assert_eq!(env.read(OUTPUT).lines().count(), 3, "the output stays");
}

#[test]
fn with_the_flag_the_run_goes_back_says_so_and_ends_as_if_nothing_had_happened() {
    let env = three();
    let published = env.read(OUTPUT);
    damage(&env, 3);
    damage(&env, 2);
    let before = [2, 3].map(|number| manifest(&env.path("store"), number));
    let output = env.run(&["run", "job.yaml", "--latest-good", "--quiet"]).expect(0);
    let lines: Vec<&str> = output.stderr.lines().collect();
    for (line, beginning) in lines.iter().zip([
        "warning: counting: skipping damaged checkpoint 3 (",
        "warning: counting: skipping damaged checkpoint 2 (",
        "warning: counting: going back to checkpoint 1 (",
        "warning: counting: `out/counting.jsonl` was published by skipped checkpoint 3: moved to `out/counting.jsonl.withdrawn-00000003`",
    ]) {
        assert!(line.starts_with(beginning), "{output}");
    }
    assert_eq!(lines.len(), 4, "{output}");
    assert!(lines[0].contains("): object `") && lines[0].contains("is damaged"), "{output}");
    assert!(lines[2].ends_with("2 records of the skipped checkpoints will be applied again"), "{output}");
    assert_eq!(env.read("out/counting.jsonl.withdrawn-00000003"), published);
    assert_eq!(env.read(OUTPUT), published);

    // The damaged ones stay as they are, and the new one descends from the good one.
    assert_eq!(checkpoints(&env.path("store")), [1, 2, 3, 4]);
    assert_eq!([2, 3].map(|number| manifest(&env.path("store"), number)), before);
    assert!(manifest(&env.path("store"), 4).contains("\nparent:\n  sequence: 1\n"));
    env.run(&["verify", "store@4", "--deep"]).expect(0);
    let verified = env.run(&["verify", "store"]);
    assert!(!verified.stdout.contains("chain-"), "{verified}");
    let next = env.run(&["run", "job.yaml"]).expect(0);
    assert!(next.stderr.contains("resumes from checkpoint 4"), "{next}");
}

#[test]
fn a_run_that_has_nothing_new_to_apply_still_leaves_a_good_latest_checkpoint() {
    let env = three();
    // A checkpoint with the same content, made by hand, and then damaged.
    env.run(&["restore", "store", "--seek", "data.jsonl=end"]).expect(0);
    env.write("store/checkpoints/00000004/manifest.yaml", "no manifest");
    let text = env.run(&["run", "job.yaml", "--latest-good", "--json"]).expect(0);
    let view: serde_json::Value = serde_json::from_str(&text.stdout).expect("JSON");
    assert_eq!((view["resumed_from"].as_u64(), view["latest"].as_u64()), (Some(3), Some(5)));
    assert_eq!(view["left_behind"], serde_json::json!([4]));
    let unknown = "left `out/counting.jsonl` in place: checkpoint 4 may or may not have published it";
    assert!(text.stderr.contains(unknown), "{text}");
    assert!(text.stderr.contains("an unknown number of records"), "{text}");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(checkpoints(&env.path("store")), [1, 2, 3, 4, 5]);
}

#[test]
fn an_output_that_someone_changed_is_not_moved() {
    let env = three();
    damage(&env, 3);
    let mut data = env.read("data.jsonl");
    data += "broken\n";
    env.write("data.jsonl", data);
    env.write(OUTPUT, "mine");
    let output = env.run(&["run", "job.yaml", "--latest-good"]).expect(5);
    assert!(output.stderr.contains("warning: counting: going back to checkpoint 2"), "{output}");
    assert_eq!(env.read(OUTPUT), "mine");
    assert_eq!(fs::read_dir(env.path("out")).expect("a directory").count(), 1);
    assert_eq!(checkpoints(&env.path("store")), [1, 2, 3], "nothing is committed until there is something new");
}

#[test]
fn an_intact_latest_checkpoint_is_resumed_as_usual_and_no_intact_checkpoint_is_an_error() {
    let env = three();
    let output = env.run(&["run", "job.yaml", "--latest-good"]).expect(0);
    assert!(!output.stderr.contains("warning"), "{output}");
    assert_eq!(checkpoints(&env.path("store")), [1, 2, 3]);
    for number in 1..=3 {
        env.write(&format!("store/checkpoints/{number:08}/manifest.yaml"), "no manifest");
    }
    let output = env.run(&["run", "job.yaml", "--latest-good"]).expect(12);
    assert!(
        output.stderr.starts_with("error: `store` has no intact checkpoint\n  caused by: checkpoint 3: "),
        "{output}"
    );
    assert_eq!(env.read(OUTPUT).lines().count(), 3);
    env.run(&["run", "job.yaml"]).expect(12);
}

#[test]
fn a_checkpoint_of_a_newer_format_is_not_damage_and_is_never_skipped() {
    let env = three();
    let path = "store/checkpoints/00000003/manifest.yaml";
    let newer = env.read(path).replace("format: 1\n", "format: 2\n");
    let sums = env.read("store/checkpoints/00000003/SHA256SUMS");
    let last = sums.lines().last().expect("a line").to_owned();
    let digest = ckpt::values::digest::Digest::of(newer.as_bytes());
    env.write("store/checkpoints/00000003/SHA256SUMS", sums.replace(&last, &format!("{digest}  manifest.yaml")));
    env.write(path, newer);
    let output = env.run(&["run", "job.yaml", "--latest-good"]).expect(4);
    assert!(output.stderr.contains("hint: use the version of ckpt that wrote it, or a later one"), "{output}");
}
