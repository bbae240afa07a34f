//! `ckpt samza`.

use std::fs;

use crate::support::{Env, repository};

mod diff;
mod directories;
mod inspect;
mod state;
mod verify;

/// Returns an environment with the files that Samza wrote in `samza/`.
fn env() -> Env {
    let mut env = Env::new();
    env.at("2026-11-28T12:00:00Z");
    for file in repository::files("tests/samza/golden") {
        let to = env.path("samza").join(file.strip_prefix("tests/samza/golden/").expect("below it"));
        fs::create_dir_all(to.parent().expect("a parent")).expect("created");
        fs::copy(repository::path(&file), to).expect("copied");
    }
    env
}

#[test]
fn without_a_subcommand_the_help_goes_to_standard_error() {
    let output = Env::new().run(&["samza"]).expect(2);
    assert!(output.stderr.contains("Usage: ckpt samza") && output.stdout.is_empty(), "{output}");
}

#[test]
fn what_is_not_of_samza_is_not_found() {
    let env = env();
    env.write("empty/file", "nothing");
    for verb in ["inspect", "verify"] {
        let output = env.run(&["samza", verb, "empty"]).expect(10);
        assert!(output.stderr.contains("found nothing that Samza wrote in `empty`"), "{output}");
        let output = env.run(&["samza", verb, "samza/files", "missing"]).expect(10);
        assert!(output.stderr.contains("`missing` does not exist"), "{output}");
    }
    env.run(&["samza", "diff", "samza/files", "empty"]).expect(10);
}

#[test]
fn an_address_of_a_topic_that_is_not_whole_is_refused_before_anything_is_read() {
    let env = env();
    for verb in ["inspect", "verify"] {
        for address in ["kafka://", "kafka://localhost:1/j", "kafka://localhost:1/j/1/2", "kafka:///j/1"] {
            let output = env.run(&["samza", verb, "samza/files", address]).expect(2);
            let message = format!("expected `kafka://BROKERS/JOB/ID`, found `{address}`");
            assert!(output.stderr.contains(&message) && output.stdout.is_empty(), "{output}");
        }
        let twice = ["samza", verb, "kafka://localhost:1/my_job/1", "kafka://localhost:1/my-job/2"];
        let output = env.run(&twice).expect(2);
        assert!(output.stderr.contains("cannot be told apart"), "{output}");
        env.write("settings", "sasl.username=a\nnone\n");
        let bad = ["samza", verb, "kafka://localhost:1/j/1", "--kafka-settings", "settings"];
        let output = env.run(&bad).expect(2);
        assert!(output.stderr.contains("line 2 of `settings` is not `name=value`"), "{output}");
    }
}
