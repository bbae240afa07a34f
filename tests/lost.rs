//! A store without checkpoints is new only if its history names none. Otherwise every command says what is missing, and
//! no run starts over in silence.

use std::fs;
use std::sync::Arc;

use ckpt::storage::Storage;
use ckpt::storage::memory::MemoryStorage;
use ckpt::store::{Store, StoreError};
use ckpt::values::id::Sequence;
use ckpt::values::relpath::RelPath;

use crate::support::failing::Failing;
use crate::support::store_builder::three_checkpoints;
use crate::support::{Env, Output, tree};

/// A job that ran three times, once to each end of its growing input.
fn env(more: &str) -> Env {
    let env = Env::new();
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: {{files: data.jsonl}}\nkey: k\nprocess: {{aggregate: {{n: count}}}}\n\
             checkpoint: {{store: s{more}}}\n"
        ),
    );
    for records in 1..=3 {
        env.write("data.jsonl", "{\"k\":\"a\"}\n".repeat(records));
        env.run(&["run", "job.yaml"]).expect(0);
    }
    env
}

/// Deletes the files of `s/history` whose names start with one of `names`.
fn forget(env: &Env, names: &[&str]) {
    for entry in fs::read_dir(env.path("s/history")).expect("listed") {
        let path = entry.expect("listed").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if names.iter().any(|start| name.starts_with(start)) {
            fs::remove_file(path).expect("deleted");
        }
    }
}

const LOST: &str = "`s` has no checkpoint, but its history names checkpoint ";

/// Checks that every command says that the checkpoints of `s` are missing, and that nothing changes.
#[track_caller]
fn is_lost(env: &Env, newest: u64) {
    let before = tree(env.dir());
    let lost = format!("{LOST}{newest}: the checkpoints are missing");
    let hints = "hint: run the job with a replica that has them, or put them back with `ckpt copy COPY --to s`\n\
                 hint: to start from scratch, move `s` away, with its `history/`\n";
    for line in [
        &["run", "job.yaml", "--quiet"][..],
        &["run", "job.yaml", "--quiet", "--must-resume"],
        &["run", "job.yaml", "--quiet", "--latest-good"],
        &["latest", "s"],
        &["latest", "s", "--verified"],
        &["inspect", "s"],
        &["restore", "s", "--to", "state"],
        &["copy", "s", "--to", "copy"],
        &["prune", "s", "--keep-last", "1", "--grace", "0s"],
    ] {
        let refused = env.run(line).expect(10);
        assert!(refused.stderr.starts_with(&format!("error: {lost}\n{hints}")), "{line:?}: {refused}");
    }
    let Output { stderr, .. } = env.run(&["list", "s"]).expect(1);
    assert_eq!(stderr, format!("warning: {lost}\n{hints}"));
    let listed = env.run(&["list", "s", "--json"]).expect(1).stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&listed).expect("JSON")["lost"], newest);
    let check = env.run(&["check", "job.yaml"]).expect(1);
    assert!(check.stdout.contains(&lost), "{check}");
    let verify = env.run(&["verify", "s"]).expect(1);
    assert!(verify.stdout.contains("checkpoints-lost"), "{verify}");
    assert!(verify.stdout.contains("NOT intact: the checkpoints are missing"), "{verify}");
    env.run(&["report", "s", "--output", "-"]).expect(1);
    assert_eq!(tree(env.dir()), before);
}

#[test]
fn a_store_whose_checkpoints_were_deleted_is_not_a_new_one() {
    // What is left that names them: the log of attempts, that of operations, and events.
    for (forgotten, newest) in
        [(&[][..], 3), (&["operations-", "0"], 3), (&["attempts-", "0"], 3), (&["attempts-", "operations-"], 2)]
    {
        let env = env("");
        env.run(&["prune", "s", "--keep-last", "1", "--yes"]).expect(0);
        forget(&env, forgotten);
        fs::rename(env.path("s/checkpoints"), env.path("away")).expect("moved");
        is_lost(&env, newest);
        fs::create_dir(env.path("s/checkpoints")).expect("created");
        is_lost(&env, newest);
        // Put back, it is what it was.
        fs::remove_dir(env.path("s/checkpoints")).expect("deleted");
        fs::rename(env.path("away"), env.path("s/checkpoints")).expect("moved");
        if !forgotten.contains(&"0") {
            env.run(&["verify", "s", "--deep"]).expect(0);
        }
        env.write("data.jsonl", "{\"k\":\"a\"}\n".repeat(4));
        let resumed = env.run(&["run", "job.yaml"]).expect(0);
        assert!(resumed.stderr.starts_with("j: resumes from checkpoint 3 of s"), "{resumed}");
    }
}

#[test]
fn what_was_pruned_last_can_still_be_brought_back_to_a_store_that_lost_its_checkpoints() {
    let env = env("");
    env.run(&["prune", "s", "--keep-last", "1", "--yes"]).expect(0);
    fs::remove_dir_all(env.path("s/checkpoints")).expect("deleted");
    let latest = env.run(&["inspect", "s"]).expect(10);
    assert!(latest.stderr.contains("`ckpt prune s --undo` can bring back"), "{latest}");
    env.run(&["prune", "s", "--undo", "--yes"]).expect(0);
    assert_eq!(env.run(&["latest", "s"]).expect(0).stdout, "s/checkpoints/00000002\n");
    let resumed = env.run(&["run", "job.yaml"]).expect(0);
    assert!(resumed.stderr.starts_with("j: resumes from checkpoint 2 of s"), "{resumed}");
}

#[test]
fn a_store_that_never_had_a_checkpoint_is_a_new_one() {
    let env = env("");
    let job = env.read("job.yaml");
    // A run that dies before its first commit, and a prune that has deleted what it left.
    env.write("new.yaml", job.replace("store: s", "store: t").replace("data.jsonl", "bad.jsonl"));
    env.write("bad.jsonl", "no record\n");
    env.run(&["run", "new.yaml"]).expect(5);
    env.write("t/objects/sha256/ab/.tmp-1", "x");
    env.run(&["prune", "t", "--keep-last", "1", "--grace", "0s", "--yes"]).expect(0);
    fs::create_dir(env.path("t/pins")).expect("created");
    env.write("t/pins/00000001.yaml", "format: 1\nsequence: 1\ncreated: 2026-11-22T14:00:00Z\n");
    let history: Vec<String> = fs::read_dir(env.path("t/history"))
        .expect("listed")
        .map(|entry| format!("{:?}", entry.expect("listed").file_name()))
        .collect();
    assert!(history.iter().any(|name| name.contains("operations-")), "{history:?}");
    assert_eq!(env.run(&["list", "t"]).expect(0).stderr, "no checkpoint yet\n");
    assert_eq!(env.run(&["latest", "t"]).expect(10).stderr, "error: `t` has no checkpoint yet\n");
    let verify = env.run(&["verify", "t"]).expect(10);
    assert!(verify.stdout.contains("nothing to verify: there is no checkpoint"), "{verify}");
    env.write("bad.jsonl", "{\"k\":\"a\"}\n");
    let check = env.run(&["check", "new.yaml"]).expect(0);
    assert!(check.stdout.contains("t, no checkpoint yet"), "{check}");
    let fresh = env.run(&["run", "new.yaml"]).expect(0);
    assert!(fresh.stderr.starts_with("j: starts from scratch"), "{fresh}");
    assert_eq!(env.run(&["latest", "t"]).expect(0).stdout, "t/checkpoints/00000001\n");
}

#[test]
fn a_replica_that_lost_its_checkpoints_gets_them_from_one_that_has_them() {
    let env = env(", replicas: [b], min_copies: 1");
    let lose = |place: &str| fs::remove_dir_all(env.path(&format!("{place}/checkpoints"))).expect("deleted");
    for place in ["s", "b"] {
        lose(place);
        // It is only behind.
        let verify = env.run(&["verify", "s"]).expect(3);
        assert!(verify.stdout.contains("replica-behind") && !verify.stdout.contains("checkpoints-lost"), "{verify}");
        env.run(&["list", "s"]).expect(0);
        env.run(&["check", "job.yaml"]).expect(0);
        let filled = env.run(&["run", "job.yaml"]).expect(0);
        assert!(filled.stderr.contains("resumes from checkpoint 3 of s"), "{filled}");
        env.run(&["verify", "s", "--deep"]).expect(0);
    }
    lose("b");
    env.run(&["verify", "s", "--repair"]).expect(0);
    env.run(&["verify", "s", "--deep"]).expect(0);
    // Alone, it is refused, and nothing is made in the place of the others.
    fs::rename(env.path("s"), env.path("away")).expect("moved");
    lose("b");
    let refused = env.run(&["run", "job.yaml", "--quiet"]).expect(10);
    assert!(refused.stderr.contains("has no checkpoint, but its history names checkpoint 3"), "{refused}");
    assert!(!env.path("s").exists(), "a refused run made a store");
    // A copy puts them back.
    env.run(&["copy", "away", "--to", "b"]).expect(0);
    let resumed = env.run(&["run", "job.yaml"]).expect(0);
    assert!(resumed.stderr.contains("resumes from checkpoint 3"), "{resumed}");
}

#[test]
fn a_history_that_is_not_read_decides_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(three_checkpoints(dir.path()));
    let file = Store::open(vec![Arc::new(ckpt::storage::local::LocalStorage::new(dir.path()))]).expect("opened").file;
    let open = |storage: Arc<dyn Storage>| Store::new(file.clone(), vec![storage]);
    let names: [(&'static str, &[u8]); 3] = [
        ("history/00000001.yaml", b"format: 1\nnumber: 1\ntime: 2026-11-22T15:00:00Z\nevent: pruned\ncheckpoints:\n- sequence: 7\n  sha256: 4e1243bd22c66e76c2ba9eddc1f91394e57f9f83a3f3a2b4c5d6e7f8091a2b3c\nbytes: 1\n"),
        ("history/attempts-00000001.jsonl", b""),
        ("history/operations-00000001.jsonl", b""),
    ];
    for (name, bytes) in names {
        let storage = MemoryStorage::new();
        storage.create(&RelPath::new(name).expect("a path"), bytes).expect("written");
        let refusing = open(Arc::new(Failing::new(storage.clone()).refuse(name)));
        let error = refusing.newest_lost().expect_err("it was not read");
        assert!(matches!(&error, StoreError::Storage(_)) && error.is_inconclusive(), "{name}: {error}");
        let known = open(Arc::new(storage)).newest_lost().expect("read");
        assert_eq!(known, (!bytes.is_empty()).then_some(Sequence(7)), "{name}");
    }
}
