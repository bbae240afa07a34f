//! Names that a store never has: what is not UTF-8, links that lead nowhere or to themselves.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::support::Env;
use crate::support::store_builder::three_checkpoints;

const NAMES: [&[u8]; 4] = [b"odd\xfe", b"odd\xff", b".tmp-odd\xfe", b".tmp-odd\xff"];
const DIRECTORIES: [&str; 3] = ["s", "s/objects/sha256", "s/checkpoints"];

/// Puts files with odd names, and a link to itself, into the directories of a store.
fn env() -> (Env, Vec<PathBuf>) {
    let env = Env::new();
    three_checkpoints(&env.path("s"));
    let mut odd = Vec::new();
    for directory in DIRECTORIES {
        symlink("loop", env.path(directory).join("loop")).expect("linked");
        odd.extend(NAMES.map(|name| env.path(directory).join(OsStr::from_bytes(name))));
    }
    if let Err(error) = odd.iter().try_for_each(|path| fs::write(path, "x")) {
        println!("skipped: the file system refuses such names: {error}");
        odd.clear();
    }
    (env, odd)
}

#[test]
fn verify_reports_each_name_that_is_not_utf8_once() {
    let (env, odd) = env();
    let text = env.run(&["verify", "s", "--deep"]).expect(0).stdout;
    assert_eq!(text.matches("\\xfe`").count() + text.matches("\\xff`").count(), odd.len(), "{text}");
    assert_eq!(
        text.matches("foreign-file").count(),
        odd.len() + DIRECTORIES.len(),
        "none is called a leftover: {text}"
    );
}

#[test]
fn prune_keeps_what_is_not_utf8_and_says_so() {
    let (env, odd) = env();
    let arguments = ["prune", "s", "--keep-last", "1", "--grace", "0s", "--yes"];
    for removed in [2, 0] {
        let output = env.run(&arguments).expect(0);
        assert!(!output.stdout.contains("temporary file"), "{output}");
        assert!(output.stdout.contains(&format!("remove {removed}")), "{output}");
        let kept = format!("keep {} files that are not part of the store", odd.len() + DIRECTORIES.len());
        assert!(output.stdout.contains(&kept), "{output}");
    }
    assert!(odd.iter().all(|path| path.exists()));
    env.run(&["verify", "s", "--deep"]).expect(0);
}

#[test]
fn a_store_with_odd_names_can_be_copied_and_restored() {
    let (env, _) = env();
    env.run(&["copy", "s", "--to", "copy"]).expect(0);
    assert!(!env.run(&["verify", "copy"]).expect(0).stdout.contains("foreign-file"));
    env.run(&["restore", "s", "--to", "out"]).expect(0);
}

#[test]
fn targets_that_are_not_utf8_are_filled() {
    let (env, _) = env();
    for line in ["o=$(printf 'odd\\377')", "o=$(printf 'odd\\377') && mkdir \"$o\""] {
        let line = format!("{line} && ckpt restore s --to \"$o\" -q && ls \"$o\" && rm -r \"$o\"");
        assert!(env.shell(&line).expect(0).stdout.ends_with("state-00000.parquet\nstate-00001.parquet\n"));
    }
    env.shell("o=$(printf 'copy\\377') && ckpt copy s --to \"$o\" && ckpt verify \"$o\"").expect(0);
}

/// Writes a job with this output directory, and one record.
fn job(env: &Env, directory: &str, checkpoint: &str) {
    env.write(&format!("{directory}data.jsonl"), "{\"k\":\"a\"}\n");
    let text = format!("input: {{files: data.jsonl}}\nkey: k\nprocess: {{aggregate: {{n: count}}}}\n{checkpoint}");
    env.write(&format!("{directory}job.yaml"), format!("job: j\n{text}"));
}

#[test]
fn an_output_directory_may_have_any_name() {
    for (given, file) in [
        ("out", "out/j.jsonl"),
        ("out/", "out/j.jsonl"),
        ("out//", "out/j.jsonl"),
        ("out/.", "out/j.jsonl"),
        ("./out/./", "out/j.jsonl"),
        ("made/../out", "out/j.jsonl"),
        ("..", "../j.jsonl"),
        (".", "j.jsonl"),
        ("'out dir'", "out dir/j.jsonl"),
        ("' '", " /j.jsonl"),
        ("-rf", "-rf/j.jsonl"),
        ("'--'", "--/j.jsonl"),
        ("\"a\\nb\"", "a\nb/j.jsonl"),
    ] {
        let env = Env::new();
        fs::create_dir_all(env.path("d")).expect("made");
        job(&env, "d/", &format!("checkpoint: {{store: s}}\noutput: {given}\n"));
        let output = env.run(&["run", "d/job.yaml"]).expect(0);
        assert_eq!(env.read(&format!("d/{file}")), "{\"k\":\"a\",\"n\":1}\n", "{given}: {output}");
        assert!(output.stdout.lines().all(|line| line.starts_with("j: ") || line.starts_with("  ")), "{output}");
        // A second run finds what the first has published.
        env.run(&["run", "d/job.yaml"]).expect(0);
        env.run(&["verify", "d/s", "--deep"]).expect(0);
    }
    let env = Env::new();
    for wrong in ["''", "\"a\\0b\""] {
        job(&env, "", &format!("checkpoint: {{store: s}}\noutput: {wrong}\n"));
        assert!(env.run(&["run", "job.yaml"]).expect(2).stderr.contains("expected a path"));
    }
}

#[test]
fn a_job_in_a_directory_that_is_not_utf8_can_run_but_cannot_have_replicas() {
    let env = Env::new();
    job(&env, "", "checkpoint: {store: s}\noutput: out/\n");
    let made = "o=$(printf 'odd\\377') && mkdir \"$o\" && cp data.jsonl job.yaml \"$o\" && cd \"$o\"";
    if env.shell(made).status != 0 {
        println!("skipped: the file system refuses such names");
        return;
    }
    let run = "cd \"$(printf 'odd\\377')\" && ckpt run job.yaml";
    env.shell(run).expect(0);
    env.shell("cd \"$(printf 'odd\\377')\" && cat out/j.jsonl && ckpt verify s --deep").expect(0);
    // From outside, its store and its checkpoints have names that are not UTF-8.
    for target in ["s", "s@1", "s@latest", "job.yaml@1", "s/checkpoints/00000001"] {
        let restored = env.shell(&format!("rm -rf state; ckpt restore \"$(printf 'odd\\377')/{target}\" --to state"));
        restored.expect(0);
        env.shell("test -e state/*.parquet").expect(0);
    }
    env.shell("cd odd* && sed -i 's/store: s/store: s, replicas: [r]/' job.yaml").expect(0);
    let output = env.shell(run).expect(2);
    assert!(output.stderr.starts_with("error: the path of a store with replicas must be UTF-8: `"), "{output}");
    env.shell("test ! -e odd*/r && test ! -e odd*/s/replicas.yaml").expect(0);
}
