//! Which files a glob lists.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::{Env, Output};

/// Returns an environment with a job that counts the records of the files that `glob` matches.
fn counting(glob: &str) -> Env {
    let env = Env::new();
    let text = format!(
        "job: j\ninput: {{files: {glob}, format: json}}\nkey: k\nprocess: {{aggregate: {{n: count}}}}\n\
         checkpoint: {{store: store}}\noutput: out/\n"
    );
    env.write("job.yaml", text);
    env
}

#[track_caller]
fn counts(env: &Env, expected: &str) -> Output {
    let checked = env.run(&["check", "job.yaml"]).expect(0);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), expected);
    checked
}

#[test]
fn a_name_that_is_not_utf_8_matters_only_if_it_matches() {
    let env = counting("'a*.log'");
    env.write("a.log", "{\"k\":\"a\"}\n");
    fs::write(env.dir().join(OsStr::from_bytes(b"z\xff.log")), "x\n").unwrap();
    counts(&env, "{\"k\":\"a\",\"n\":1}\n");
    fs::write(env.dir().join(OsStr::from_bytes(b"a\xff.log")), "x\n").unwrap();
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("invalid glob `a*.log`: `a\u{fffd}.log` is not UTF-8\n"), "{output}");
}

#[test]
fn two_stars_do_not_follow_a_link_to_a_directory_and_one_does() {
    let env = counting("'**/*.log'");
    env.write("x/a.log", "{\"k\":\"a\"}\n");
    symlink("..", env.path("x/up")).unwrap();
    counts(&env, "{\"k\":\"a\",\"n\":1}\n");
    let env = counting("'*/a.log'");
    env.write("elsewhere/in/a.log", "{\"k\":\"a\"}\n");
    symlink("elsewhere/in", env.path("link")).unwrap();
    symlink("self", env.path("self")).unwrap();
    symlink("nowhere", env.path("dangling")).unwrap();
    counts(&env, "{\"k\":\"a\",\"n\":1}\n");
}

#[test]
fn a_directory_that_cannot_be_entered_is_an_error_for_every_glob_that_needs_it() {
    for (glob, refused) in
        [("'*/a.log'", "sec/a.log"), ("'*/sub/*.log'", "sec/sub"), ("'*/*.log'", "sec"), ("'**/a.log'", "sec")]
    {
        let env = counting(glob);
        env.write("pub/a.log", "{\"k\":\"a\"}\n");
        env.write("pub/sub/a.log", "{\"k\":\"a\"}\n");
        env.write("sec/a.log", "{\"k\":\"a\"}\n");
        fs::set_permissions(env.path("sec"), fs::Permissions::from_mode(0o000)).unwrap();
        // Root may enter every directory.
        let is_root = fs::read_dir(env.path("sec")).is_ok();
        let output = env.run(&["run", "job.yaml"]);
        fs::set_permissions(env.path("sec"), fs::Permissions::from_mode(0o755)).unwrap();
        if !is_root {
            let output = output.expect(4);
            assert!(output.stderr.contains(&format!("cannot read input `{refused}")), "{glob}: {output}");
        }
    }
}

#[test]
fn a_file_with_several_names_is_read_once_by_the_name_that_is_not_a_link() {
    for (glob, link) in [("'*.log'", "a.log"), ("['*.log', x/../b.log]", "c.log"), ("'*.log'", "z.log")] {
        let env = counting(glob);
        env.write("x/none", "");
        env.write("b.log", "{\"k\":\"b\"}\n");
        symlink("b.log", env.path(link)).unwrap();
        let checked = counts(&env, "{\"k\":\"b\",\"n\":1}\n");
        assert!(checked.stdout.contains("b.log") && !checked.stdout.contains(link), "{glob}: {checked}");
    }
    // A checkpoint has read `b.log`, so a further name before it changes nothing.
    let env = counting("'*.log'");
    env.write("b.log", "{\"k\":\"b\"}\n");
    counts(&env, "{\"k\":\"b\",\"n\":1}\n");
    fs::hard_link(env.path("b.log"), env.path("a.log")).unwrap();
    env.write("c.log", "{\"k\":\"c\"}\n");
    counts(&env, "{\"k\":\"b\",\"n\":1}\n{\"k\":\"c\",\"n\":1}\n");
}
