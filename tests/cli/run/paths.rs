//! Which paths of a job can be used together.

use crate::support::{Env, tree};

#[test]
fn a_job_that_would_write_into_a_store_is_refused() {
    let env = Env::new();
    env.write("in.jsonl", "{\"k\":\"a\"}\n");
    let job = |store: &str, rest: &str| {
        format!("job: w\ninput: in.jsonl\nkey: k\nprocess: {{aggregate: {{n: count}}}}\ncheckpoint: {store}\n{rest}")
    };
    env.write("other.yaml", job("{store: other}", ""));
    env.run(&["run", "other.yaml", "-q"]).expect(0);
    std::os::unix::fs::symlink("other/objects", env.path("link")).expect("linked");
    let before = tree(env.dir());
    for (store, rest, what) in [
        ("{store: s}", "output: s/out\n", "the output"),
        ("{store: s, replicas: [r]}", "output: r\n", "the output"),
        ("{store: s}", "output: other/out\n", "the output"),
        ("{store: s}", "output: link/x\n", "the output"),
        ("{store: s}", "output: x/../other/y\n", "the output"),
        ("{store: other/inner}", "", "the store"),
        ("{store: s, replicas: [s/replica]}", "", "a replica"),
        ("{store: s/inner, replicas: [s]}", "", "the store"),
    ] {
        env.write("job.yaml", job(store, rest));
        let refused = env.run(&["run", "job.yaml"]).expect(2);
        let message = format!("error: {what} of a job cannot be in a store: `");
        assert!(refused.stderr.contains(&message), "{store} {rest}: {refused}");
        let checked = env.run(&["check", "job.yaml"]).expect(1);
        assert!(checked.stdout.contains("cannot be in a store"), "{store} {rest}: {checked}");
    }
    std::fs::remove_file(env.path("job.yaml")).expect("removed");
    env.write(
        "bad.yaml",
        job("{store: s}", "").replace("in.jsonl", "{files: in.jsonl, on_error: {dead_letter: s/bad.jsonl}}"),
    );
    let refused = env.run(&["run", "bad.yaml"]).expect(2);
    assert!(refused.stderr.contains("the dead-letter file of a job cannot be in a store"), "{refused}");
    std::fs::remove_file(env.path("bad.yaml")).expect("removed");
    assert_eq!(tree(env.dir()), before);

    for store in ["in.jsonl", "in.jsonl/s"] {
        env.write("file.yaml", job(&format!("{{store: {store}}}"), ""));
        let refused = env.run(&["run", "file.yaml"]).expect(2);
        assert!(refused.stderr.contains("in.jsonl` is not"), "{refused}");
        env.run(&["check", "file.yaml"]).expect(1);
    }

    // A store in a directory with other files is fine.
    env.write("job.yaml", job("{store: out/s}", "output: out\n"));
    env.run(&["run", "job.yaml", "-q"]).expect(0);
}
