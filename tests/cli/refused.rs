//! A file of a store that the system refuses to read is not damaged: no command decides anything on it.
//!
//! Each test that needs root, or a tool that is missing, says so and passes.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use serde_json::json;

use crate::support::{Env, Output, tree};

/// Runs a command as a user who owns everything in the directory but what the test takes away.
const OTHER: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";

/// Three checkpoints, each of which has published its output.
fn three() -> Env {
    let env = Env::new();
    let job = "job: counting\ninput: {files: data.jsonl}\nkey: k\nprocess: {aggregate: {n: count}}\noutput: out/\n\
               checkpoint: {store: store}\n";
    env.write("job.yaml", job);
    for data in ["{\"k\":\"a\"}\n", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n", "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"c\"}\n"] {
        env.write("data.jsonl", data);
        env.run(&["run", "job.yaml"]).expect(0);
    }
    env
}

/// Tells whether a line of the shell works here; says what is skipped if not.
fn can(env: &Env, line: &str) -> bool {
    let works = env.shell(line).status == 0;
    if !works {
        println!("skipped: `{line}` does not work here");
    }
    works
}

/// Makes the other user the owner of everything, including a copy of the binary.
fn give_away(env: &Env) {
    env.shell("cp \"$(command -v ckpt)\" ckpt && chmod 755 . ckpt && chown -R 65534:65534 .").expect(0);
}

/// Returns an object that checkpoint 3 has and checkpoint 2 has not.
fn own_object(env: &Env) -> String {
    let sums = |number: u64| env.read(&format!("store/checkpoints/{number:08}/SHA256SUMS"));
    let (old, new) = (sums(2), sums(3));
    let own = new.lines().find(|line| line.contains("objects") && !old.contains(*line)).expect("an object of its own");
    format!("store/{}", own.split_once("../../").expect("a path").1)
}

#[track_caller]
fn assert_refused(output: Output, path: &str, cause: &str) {
    let output = output.expect(4);
    assert_eq!(output.stdout, "", "{output}");
    assert!(output.stderr.contains(path), "{output}");
    assert!(output.stderr.contains(&format!("caused by: {cause}")), "{output}");
    assert!(!output.stderr.contains("damaged"), "{output}");
}

/// The commands that decide which checkpoint is good. Those that read only manifests do not notice the objects.
const DECIDING: &[(&str, bool)] = &[
    ("run --latest-good job.yaml", true),
    ("latest --verified store", true),
    ("latest --verified store --json", true),
    ("copy store --to copy", true),
    ("list store", false),
    ("list store --json", false),
    ("list store --sizes", false),
    ("stats store", false),
];

#[test]
fn a_file_that_another_user_may_not_read_is_not_damaged() {
    let env = three();
    if !can(&env, &format!("{OTHER} true")) {
        return;
    }
    give_away(&env);
    let object = own_object(&env);
    let directory = "store/checkpoints/00000003";
    let manifest = format!("{directory}/manifest.yaml");
    let sums = format!("{directory}/SHA256SUMS");
    let kept = || ["out", "store/checkpoints", "store/objects"].map(|name| tree(&env.path(name)));
    let before = kept();
    for path in [directory, &manifest, &sums, &object] {
        let allowed = fs::metadata(env.path(path)).expect("it exists").permissions();
        let mode = if path == directory { 0o700 } else { 0o600 };
        chown(env.path(path), Some(0), None).expect("root");
        fs::set_permissions(env.path(path), fs::Permissions::from_mode(mode)).expect("root");
        for (command, _) in DECIDING.iter().filter(|(_, reads_objects)| *reads_objects || path != object) {
            let output = env.shell(&format!("{OTHER} ./ckpt {command}"));
            assert_refused(output, path, "Permission denied (os error 13)");
        }
        let output = env.shell(&format!("{OTHER} ./ckpt verify store --json")).expect(4);
        let document: serde_json::Value = serde_json::from_str(&output.stdout).expect("a document");
        assert_eq!((&document["intact"], &document["targets"][0]["damaged"]), (&false.into(), &json!([])), "{output}");
        assert!(document["targets"][0]["error"].as_str().is_some_and(|error| error.contains(path)), "{output}");
        let output = env.shell(&format!("{OTHER} ./ckpt verify store --repair")).expect(4);
        assert_eq!(output.stdout, "NOT verified: a file cannot be read\n");
        assert!(output.stderr.contains("caused by: Permission denied (os error 13)"), "{output}");
        assert!(output.stderr.contains("nothing was repaired"), "{output}");
        // What a copy has already is not read again, so an interrupted one left only what is intact.
        let _ = fs::remove_dir_all(env.path("copy"));
        chown(env.path(path), Some(65534), None).expect("root");
        fs::set_permissions(env.path(path), allowed).expect("root");
    }
    assert!(before == kept(), "nothing was withdrawn, written or committed");
    for (command, _) in DECIDING {
        env.shell(&format!("{OTHER} ./ckpt {command}")).expect(0);
    }
}

#[test]
fn a_resource_that_the_system_lacks_is_not_damage() {
    let env = three();
    let manifest = "checkpoints/00000003/manifest.yaml";
    let inject = |error: &str| {
        format!("strace -f -o /dev/null -P {manifest} -e trace=openat2 -e inject=openat2:error={error} ckpt")
    };
    if !can(&env, &format!("{} --version", inject("EACCES"))) {
        return;
    }
    for (error, number) in
        [("EACCES", 13), ("EMFILE", 24), ("ENFILE", 23), ("ENOMEM", 12), ("EINTR", 4), ("ESTALE", 116)]
    {
        for (command, _) in DECIDING {
            let output = env.shell(&format!("{} {command}", inject(error))).expect(4);
            assert!(output.stderr.contains(manifest), "{error}: {output}");
            assert!(output.stderr.contains(&format!("(os error {number})")), "{error}: {output}");
        }
        let output = env.shell(&format!("{} verify store", inject(error))).expect(4);
        assert_eq!(output.stdout, "NOT verified: a file cannot be read\n", "{error}");
        assert!(output.stderr.contains(&format!("(os error {number})")), "{error}: {output}");
    }
    assert_eq!(fs::read_dir(env.path("out")).expect("a directory").count(), 1, "nothing was withdrawn");
    // A disk that fails is another matter: nobody will read these bytes there.
    let output = env.shell(&format!("{} latest --verified store", inject("EIO"))).expect(0);
    assert!(Path::new(output.stdout.trim()).ends_with("checkpoints/00000002"), "{output}");
}

#[test]
fn what_one_replica_refuses_and_another_has_damaged_is_not_damage() {
    let env = three();
    if !can(&env, &format!("{OTHER} true")) {
        return;
    }
    env.write("job.yaml", env.read("job.yaml").replace("store: store", "store: store, replicas: [replica]"));
    env.run(&["run", "job.yaml"]).expect(0);
    give_away(&env);
    env.write("replica/checkpoints/00000003/manifest.yaml", "no manifest");
    let refused = "store/checkpoints/00000003/manifest.yaml";
    chown(env.path(refused), Some(0), None).expect("root");
    fs::set_permissions(env.path(refused), fs::Permissions::from_mode(0o600)).expect("root");
    for command in ["latest --verified store", "list store"] {
        let output = env.shell(&format!("{OTHER} ./ckpt {command}")).expect(4);
        assert!(output.stderr.contains("Permission denied (os error 13)"), "{output}");
    }
    env.write(refused, "no manifest");
    env.shell(&format!("{OTHER} ./ckpt list store")).expect(4);
    chown(env.path(refused), Some(65534), None).expect("root");
    // Now the bytes were read.
    let output = env.shell(&format!("{OTHER} ./ckpt latest --verified store")).expect(0);
    assert_eq!(output.stdout, "store/checkpoints/00000002\n");
    env.shell(&format!("{OTHER} ./ckpt list store")).expect(1);
}

#[test]
fn users_of_a_group_who_may_write_every_file_share_a_store() {
    let env = three();
    let user = |id: u32| format!("setpriv --reuid {id} --regid 100 --clear-groups sh -c");
    if !can(&env, &format!("{} true", user(1001))) {
        return;
    }
    env.shell("cp \"$(command -v ckpt)\" ckpt && rm -r store out && chgrp -R 100 . && chmod 2775 . && chmod 755 ckpt")
        .expect(0);
    env.shell("chmod g+w data.jsonl").expect(0);
    for id in [1001, 1002, 1001] {
        // The object of the job definition exists already, and is of the first user.
        let line = "umask 002; echo '{\"k\":\"d\"}' >> data.jsonl; ./ckpt run -q job.yaml";
        env.shell(&format!("{} \"{}\"", user(id), line.replace('"', "\\\""))).expect(0);
    }
    env.run(&["verify", "store", "--deep"]).expect(0);
}
