//! The example whose store is in a bucket.

use crate::support::bucket::{free_port, moto};
use crate::support::{Env, repository};

#[test]
fn the_example_is_killed_and_resumes_from_a_bucket() {
    let Some(program) = moto() else {
        println!("skipped: no `moto_server` was found, which the example would install");
        return;
    };
    let env = Env::new();
    let examples = repository::path("examples");
    let copied = "mkdir bucket && cp '$0'/bucket/run '$0'/bucket/clicks.yaml bucket/ && cp -r '$0/data' data";
    env.shell(&copied.replace("$0", &examples.display().to_string())).expect(0);
    let (directory, port) = (program.parent().expect("a directory").display(), free_port());
    let output = env.shell(&format!("PATH=$PATH:{directory} PORT={port} bucket/run")).expect(0);
    assert!(output.stdout.contains("20,000 in total") && output.stdout.contains("intact: "), "{output}");
    assert!(output.stdout.contains("resumed from  checkpoint "), "{output}");
    assert_eq!(env.read("bucket/out/clicks.jsonl").lines().count(), 1_044);
}
