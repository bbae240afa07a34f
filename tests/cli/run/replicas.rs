//! Replicas: what a run does when one disappears, comes back, is new, or is the only one left.

use std::fs;
use std::io::Write as _;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::data::Random;
use super::{PATIENCE, checkpoints, counting, until, wait};
use crate::support::{Env, Output, tree};

/// Writes the job file of a job with the replicas `store` and `r`.
fn replicated(env: &Env, more: &str) {
    counting(env, &format!("checkpoint: {{store: store, replicas: [r], schedule: 20ms{more}}}\n"));
}

/// A run that is fed until it is told to end.
pub(super) struct Live<'a> {
    env: &'a Env,
    child: Child,
    feeder: JoinHandle<()>,
    end: Arc<AtomicBool>,
}

impl<'a> Live<'a> {
    /// Starts the job with standard input as its only partition.
    pub(super) fn start(env: &'a Env) -> Live<'a> {
        let text = env.read("job.yaml").replace("{files: data.jsonl}", "{files: '-', format: json}");
        env.write("job.yaml", text);
        let stderr = fs::File::create(env.path("stderr")).expect("created");
        let mut command = env.command(&["run", "job.yaml"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(stderr).spawn().expect("started");
        let end = Arc::new(AtomicBool::new(false));
        let stdin = child.stdin.take().expect("piped");
        let told = Arc::clone(&end);
        let feeder = thread::spawn(move || feed(stdin, &told));
        Live { env, child, feeder, end }
    }

    /// Waits until `store` has `count` more checkpoints.
    pub(super) fn more(&self, store: &str, count: usize) {
        let store = self.env.path(store);
        let before = checkpoints(&store).len();
        until("there are more checkpoints", || checkpoints(&store).len() >= before + count);
    }

    /// Ends the input and returns how the run ended, and what it printed.
    pub(super) fn end(mut self) -> (i32, String) {
        self.end.store(true, Ordering::Relaxed);
        self.feeder.join().expect("fed");
        (wait(&mut self.child, PATIENCE), self.env.read("stderr"))
    }

    /// Waits for a run that ends on its own.
    pub(super) fn fail(mut self) -> (i32, String) {
        let status = wait(&mut self.child, PATIENCE);
        self.end.store(true, Ordering::Relaxed);
        self.feeder.join().expect("fed");
        (status, self.env.read("stderr"))
    }
}

fn feed(mut stdin: ChildStdin, end: &AtomicBool) {
    let mut random = Random(7);
    while !end.load(Ordering::Relaxed) {
        let lines: String = (0..2_000).map(|_| format!("{{\"k\":\"k{}\"}}\n", random.below(500))).collect();
        // A run that failed stops reading.
        if stdin.write_all(lines.as_bytes()).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Checks that two replicas hold the same checkpoints and objects, byte for byte.
#[track_caller]
fn assert_equal(env: &Env) {
    let content = |name: &str| {
        let mut files = tree(&env.path(name));
        // A replica that was away lacks lines of the log of attempts.
        files.retain(|name, _| !name.ends_with("lock") && !name.contains(".tmp-") && !name.ends_with(".jsonl"));
        files
    };
    let (store, replica) = (content("store"), content("r"));
    assert_eq!(store.keys().collect::<Vec<_>>(), replica.keys().collect::<Vec<_>>());
    assert!(store == replica, "a file differs");
}

/// A job with one input file that has run to its end, with one checkpoint in both replicas.
fn finished() -> Env {
    let env = Env::new();
    replicated(&env, "");
    // On a busy machine a short run would make another checkpoint on the way.
    env.write("job.yaml", env.read("job.yaml").replace("schedule: 20ms", "schedule: 1h"));
    env.write("data.jsonl", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"a\"}\n");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(output.stderr, "counting: starts from scratch; checkpoints go to store\n");
    assert_equal(&env);
    env
}

fn run(env: &Env, status: i32) -> Output {
    env.run(&["run", "job.yaml"]).expect(status)
}

#[test]
fn a_replica_that_vanishes_and_comes_back_catches_up_while_the_run_continues() {
    let env = Env::in_memory();
    replicated(&env, ", min_copies: 1");
    let live = Live::start(&env);
    live.more("r", 2);
    fs::rename(env.path("r"), env.path("away")).expect("renamed");
    live.more("store", 3);
    assert!(!env.path("r").exists());
    let listed = env.run(&["list", "store"]).expect(0);
    assert!(listed.stderr.contains("warning: replica `$DIR/r` cannot be used: "), "{listed}");
    fs::rename(env.path("away"), env.path("r")).expect("renamed");
    live.more("r", 5);
    let (status, said) = live.end();
    assert_eq!(status, 0, "{said}");
    let lost = said.lines().filter(|line| line.starts_with("warning: counting: replica `r` is lost: ")).count();
    let back = said.lines().filter(|line| line.starts_with("warning: counting: replica `r` has caught up: ")).count();
    assert_eq!((lost, back), (1, 1), "{said}");
    assert_equal(&env);
    for store in ["store", "r"] {
        let verified = env.run(&["verify", store, "--deep"]).expect(0);
        assert_eq!(verified.stdout.lines().filter(|line| line.contains(": intact: ")).count(), 2, "{verified}");
    }
}

#[test]
fn a_run_that_ends_without_a_replica_says_so_and_a_repair_catches_it_up() {
    let env = Env::in_memory();
    replicated(&env, ", min_copies: 1");
    let live = Live::start(&env);
    live.more("r", 2);
    fs::rename(env.path("r"), env.path("away")).expect("renamed");
    live.more("store", 3);
    let (status, said) = live.end();
    assert_eq!(status, 3, "{said}");
    assert!(
        said.ends_with("warning: replica `r` is behind; it catches up in the next run, when it is available\n"),
        "{said}"
    );
    let output = env.run(&["verify", "store"]).expect(3);
    assert!(output.stdout.contains("note: replica-unavailable: `.`"), "{output}");

    fs::rename(env.path("away"), env.path("r")).expect("renamed");
    let listed = env.run(&["list", "store"]).expect(0);
    let behind = checkpoints(&env.path("store")).len() - checkpoints(&env.path("r")).len();
    assert!(listed.stderr.contains(&format!("warning: replica `$DIR/r` is {behind} checkpoints behind\n")), "{listed}");
    let listed = env.run(&["list", "r", "--json"]).expect(0);
    assert!(
        listed
            .stdout
            .contains(&format!("\"store\":\"r\",\"newest\":{},\"behind\":{behind}", checkpoints(&env.path("r")).len())),
        "{listed}"
    );
    env.run(&["verify", "r"]).expect(3);
    let planned = env.run(&["verify", "r", "--repair", "--dry-run"]).expect(3);
    assert_eq!(planned.stdout.lines().filter(|line| line.starts_with("would repair `r/checkpoints/")).count(), behind);
    env.run(&["verify", "r", "--repair"]).expect(0);
    env.run(&["verify", "r"]).expect(0);
    assert_equal(&env);
}

#[test]
fn a_run_that_asks_for_all_copies_fails_with_the_name_of_the_replica() {
    let env = Env::in_memory();
    replicated(&env, "");
    let live = Live::start(&env);
    live.more("r", 2);
    fs::rename(env.path("r"), env.path("away")).expect("renamed");
    let (status, said) = live.fail();
    assert_eq!(status, 4, "{said}");
    assert!(said.contains("error: only 1 of 2 copies can be made: replica `r`: `r"), "{said}");
    assert!(said.contains("hint: bring the replica back, or lower `checkpoint: min_copies:`"), "{said}");
    env.run(&["verify", "store", "--quick"]).expect(3);
}

#[test]
fn a_replica_whose_disk_is_broken_is_lost_like_one_that_is_gone() {
    let env = Env::in_memory();
    replicated(&env, ", min_copies: 1");
    let live = Live::start(&env);
    live.more("r", 2);
    fs::rename(env.path("r/objects"), env.path("away")).expect("renamed");
    env.write("r/objects", "no directory");
    live.more("store", 3);
    fs::remove_file(env.path("r/objects")).expect("removed");
    fs::rename(env.path("away"), env.path("r/objects")).expect("renamed");
    live.more("r", 5);
    let (status, said) = live.end();
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("warning: counting: replica `r` is lost: "), "{said}");
    assert!(env.run(&["verify", "r"]).expect(0).stdout.contains("intact"));
    let names = |store: &str| checkpoints(&env.path(store));
    assert_eq!(names("store"), names("r"));
}

#[test]
fn a_lost_store_catches_up_from_the_replica_and_the_job_resumes() {
    let env = finished();
    fs::remove_dir_all(env.path("store")).expect("removed");
    let output = run(&env, 0);
    assert!(
        output.stderr.starts_with("warning: counting: replica `store` was empty and has caught up: 1 checkpoint, "),
        "{output}"
    );
    assert!(output.stderr.contains("counting: resumes from checkpoint 1 of store ("), "{output}");
    assert_equal(&env);
    // Even with `--must-resume`.
    fs::remove_dir_all(env.path("store")).expect("removed");
    env.run(&["run", "job.yaml", "--must-resume"]).expect(0);
    assert_equal(&env);
}

#[test]
fn a_new_disk_gets_every_checkpoint() {
    let env = finished();
    env.write("data.jsonl", env.read("data.jsonl") + "{\"k\":\"c\"}\n");
    fs::remove_dir_all(env.path("r")).expect("removed");
    fs::create_dir(env.path("r")).expect("created");
    let output = run(&env, 0);
    assert!(
        output.stderr.starts_with("warning: counting: replica `r` was empty and has caught up: 1 checkpoint, "),
        "{output}"
    );
    assert_eq!(checkpoints(&env.path("r")), [1, 2]);
    assert_equal(&env);
}

#[test]
fn every_command_works_on_a_replica() {
    let env = finished();
    fs::remove_dir_all(env.path("store")).expect("removed");
    assert!(env.run(&["list", "r", "--quiet"]).expect(0).stdout.contains("end of input"));
    assert!(env.run(&["inspect", "r"]).expect(0).stdout.contains("counting"));
    env.run(&["inspect", "r", "--state", "--key", "a"]).expect(0);
    env.run(&["restore", "r", "--to", "state", "--format", "csv"]).expect(0);
    // Use a replica as the store of the job.
    env.write("job.yaml", env.read("job.yaml").replace("store: store, replicas: [r], ", "store: r, "));
    env.write("data.jsonl", env.read("data.jsonl") + "{\"k\":\"c\"}\n");
    let output = run(&env, 0);
    assert!(output.stderr.contains("resumes from checkpoint 1 of r "), "{output}");
    assert_eq!(env.run(&["verify", "r"]).expect(0).stdout.lines().count(), 1, "it has no replicas now");
}

#[test]
fn reading_falls_back_to_the_other_replica_and_says_so() {
    let env = finished();
    let objects: Vec<_> = super::files(&env.path("store/objects"));
    let export = |to: &str| {
        let output = env.run(&["restore", "store", "--to", to, "--format", "csv"]).expect(0);
        (env.read(&format!("{to}/state.csv")), output)
    };
    let (whole, output) = export("whole");
    assert_eq!(output.stderr, "");
    for object in &objects {
        fs::write(object, b"x").expect("written");
    }
    let (state, output) = export("state");
    assert_eq!(state, whole);
    let warnings = output.stderr.lines().filter(|line| {
        line.starts_with("warning: cannot use `$DIR/store/objects/")
            || line.starts_with("warning: cannot use `store/objects/")
    });
    assert!(warnings.count() >= 2, "{output}");
    assert!(output.stderr.contains(", reading it from `$DIR/r` instead: object `"), "{output}");
    let output = run(&env, 0);
    assert!(output.stderr.contains("warning: counting: cannot use `store/"), "{output}");
    let healed = env.run(&["verify", "store", "--repair"]).expect(0);
    assert!(healed.stdout.ends_with(&format!("repaired {} files; 0 cannot be repaired\n", objects.len())), "{healed}");
    let verified = env.run(&["verify", "store"]).expect(0);
    assert_eq!(verified.stdout.matches("note: object-set-aside").count(), objects.len(), "{verified}");
}

#[test]
fn directories_that_cannot_be_replicas_are_refused() {
    let env = finished();
    let refuse = |replicas: &str, status: i32| {
        let text = env.read("job.yaml").replace("[r]", replicas);
        env.write("other.yaml", text);
        env.run(&["run", "other.yaml"]).expect(status).stderr
    };
    assert_eq!(
        refuse("[./store/../store]", 2).lines().next(),
        Some("error: `./store/../store` and `store` are the same directory")
    );
    std::os::unix::fs::symlink("store", env.path("link")).expect("linked");
    assert!(refuse("[link]", 2).starts_with("error: `link` and `store` are the same directory\n"));
    env.write("other/job.yaml", "job: other\ninput: {files: data.txt}\nkey: line\nprocess: {aggregate: {n: count}}\n");
    env.write("other/data.txt", "a\n");
    env.run(&["run", "other/job.yaml"]).expect(0);
    let said = refuse("[other/checkpoints/other]", 2);
    assert!(
        said.starts_with("error: `other/checkpoints/other` holds the checkpoints of job `other`, not of "),
        "{said}"
    );
    env.write("same.yaml", env.read("job.yaml").replace("store: store, replicas: [r], ", "store: same, "));
    fs::remove_file(env.path("out/counting.jsonl")).expect("removed");
    env.run(&["run", "same.yaml"]).expect(0);
    let said = refuse("[same]", 12);
    assert!(said.starts_with("error: `same/store.yaml` says store "), "{said}");
    for (more, message) in
        [("min_copies: 0", "expected a number from 1 to 2"), ("min_copies: 3", "found"), ("min_copies: all", "found")]
    {
        env.write("other.yaml", env.read("job.yaml").replace("schedule:", &format!("{more}, schedule:")));
        let said = env.run(&["run", "other.yaml"]).expect(2).stderr;
        assert!(said.contains(message) && said.contains("other.yaml:7:"), "{said}");
    }
}

/// A finished job that continued twice, each time with only one of its replicas, and what `replicas.yaml` was before.
fn parted() -> (Env, String) {
    let env = finished();
    let places = env.read("store/replicas.yaml");
    let data = env.read("data.jsonl");
    for (store, line) in [("store", "{\"k\":\"x\"}\n"), ("r", "{\"k\":\"y\"}\n")] {
        env.write(
            "alone.yaml",
            env.read("job.yaml").replace("store: store, replicas: [r], ", &format!("store: {store}, ")),
        );
        env.write("data.jsonl", data.clone() + line);
        env.run(&["run", "alone.yaml"]).expect(0);
    }
    (env, places)
}

#[test]
fn two_runs_with_one_replica_each_end_in_an_error_that_names_both() {
    let (env, places) = parted();
    let output = run(&env, 12);
    assert!(
        output
            .stderr
            .starts_with("error: `store` and `r` have different checkpoints 2: they are not copies of each other\n"),
        "{output}"
    );
    let output = env.run(&["verify", "store", "--replica", "r"]).expect(1);
    assert!(output.stdout.contains("replica-diverged: `checkpoints/00000002/manifest.yaml`"), "{output}");
    let before = (tree(&env.path("store/checkpoints")), tree(&env.path("r/checkpoints")));
    // As if neither run had been told that it is alone.
    env.write("store/replicas.yaml", places);
    let prune = ["prune", "store", "--keep-last", "1", "--grace", "0s", "--yes"];
    for arguments in [&prune[..], &["prune", "store", "--undo", "--yes"], &["pin", "store@2"]] {
        let output = env.run(arguments).expect(12);
        assert!(output.stderr.contains(": they are not copies of each other\nhint: "), "{output}");
    }
    // What has to choose a branch refuses. What only reads uses the branch that is named, and says so.
    let both = "`store` and `$DIR/r` have different checkpoints 2";
    for (arguments, status) in [
        (&["latest", "store"][..], 12),
        (&["latest", "store", "--verified"], 12),
        (&["list", "store"], 1),
        (&["stats", "store"], 0),
        (&["inspect", "store@2"], 0),
        (&["restore", "store@2", "--to", "state"], 0),
    ] {
        let output = env.run(arguments).expect(status);
        assert!(output.stderr.contains(both), "{output}");
    }
    let inspect = ["inspect", "store@2", "--json"];
    for arguments in [&["list", "store", "--json"][..], &["stats", "store", "--json"], &inspect] {
        let output = env.run(arguments);
        let document: serde_json::Value = serde_json::from_str(&output.stdout).expect("a document");
        let diverged = document["diverged"].as_array().expect("a list");
        assert_eq!((diverged.len(), &diverged[0]["store"]), (1, &"$DIR/r".into()), "{output}");
        assert!(diverged[0]["reason"].as_str().is_some_and(|reason| reason.contains("different checkpoints 2")));
    }
    let output = env.run(&["check", "job.yaml"]).expect(1);
    assert!(output.stdout.contains("problem  `store` and `r` have different checkpoints 2"), "{output}");
    env.run(&["verify", "store", "--repair"]).expect(1);
    assert!((tree(&env.path("store/checkpoints")), tree(&env.path("r/checkpoints"))) == before);
}

#[test]
fn a_branch_is_read_and_copied_by_itself_and_then_the_other_one_continues() {
    let (env, places) = parted();
    for store in ["store", "r"] {
        env.write(&format!("{store}/replicas.yaml"), &places);
    }
    for (store, own, other) in [("store", "x", "y"), ("r", "y", "x")] {
        let output = env.run(&["inspect", store, "--state"]).expect(0);
        assert!(output.stdout.contains(own) && !output.stdout.contains(other), "{output}");
        assert!(output.stderr.contains("is not used: "), "{output}");
    }
    let output = run(&env, 12);
    assert!(output.stderr.contains("hint: to give up one of them, copy it with `ckpt copy r --to NEW`"), "{output}");
    env.run(&["copy", "r", "--to", "new"]).expect(0);
    fs::rename(env.path("r"), env.path("away")).expect("moved away");
    env.write("data.jsonl", env.read("data.jsonl").replace("\"y\"", "\"x\""));
    run(&env, 0);
    env.run(&["verify", "store", "--deep"]).expect(0);
    env.run(&["verify", "new", "--deep"]).expect(0);
    assert!(env.run(&["inspect", "new", "--state"]).expect(0).stdout.contains('y'));
}

#[test]
fn what_was_pruned_does_not_come_back_with_a_replica_that_was_away_or_a_store_that_was_lost() {
    let env = finished();
    for line in ["c", "d", "e"] {
        env.write("data.jsonl", env.read("data.jsonl") + &format!("{{\"k\":\"{line}\"}}\n"));
        run(&env, 0);
    }
    assert_eq!(checkpoints(&env.path("r")), [1, 2, 3, 4]);
    fs::rename(env.path("r"), env.path("away")).expect("renamed");
    env.run(&["prune", "store", "--keep-last", "2", "--yes"]).expect(0);
    fs::rename(env.path("away"), env.path("r")).expect("renamed");
    assert_eq!((checkpoints(&env.path("store")), checkpoints(&env.path("r"))), (vec![3, 4], vec![1, 2, 3, 4]));
    let verified = env.run(&["verify", "store"]).expect(0);
    assert!(!verified.stdout.contains("checkpoint-missing"), "{verified}");
    // Only the event that records it is copied.
    assert!(
        env.run(&["verify", "store", "--repair"]).expect(0).stdout.ends_with("repaired 1 file; 0 cannot be repaired\n")
    );
    run(&env, 0);
    assert_eq!(checkpoints(&env.path("store")), [3, 4]);

    // The recreated store knows why checkpoints are gone.
    env.run(&["prune", "store", "--keep-last", "2", "--yes"]).expect(0);
    assert_eq!(checkpoints(&env.path("r")), [3, 4]);
    env.run(&["pin", "store@3", "--reason", "audit"]).expect(0);
    fs::remove_dir_all(env.path("store")).expect("removed");
    run(&env, 0);
    assert_eq!(checkpoints(&env.path("store")), [3, 4]);
    assert!(env.run(&["list", "store", "--json"]).expect(0).stdout.contains("\"pinned\":true"));
    fs::remove_dir_all(env.path("r")).expect("removed");
    let verified = env.run(&["verify", "store"]).expect(3);
    assert!(verified.stdout.contains("note: parent-gone: "), "{verified}");
}

#[test]
fn a_repair_beside_a_running_job_heals_and_disturbs_nothing() {
    let env = Env::in_memory();
    replicated(&env, "");
    let live = Live::start(&env);
    live.more("r", 5);
    for object in super::files(&env.path("store/objects")).iter().take(20) {
        fs::write(object, b"x").expect("written");
    }
    let repaired = env.run(&["verify", "store", "--repair"]);
    assert!([0, 3].contains(&repaired.status), "{repaired}");
    live.more("r", 5);
    let (status, said) = live.end();
    assert_eq!(status, 0, "{said}");
    let verified = env.run(&["verify", "store", "--deep"]).expect(0);
    assert!(verified.stdout.contains("object-set-aside"), "{verified}");
}
