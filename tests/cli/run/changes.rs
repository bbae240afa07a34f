//! A job file that changes between two runs: tasks, aggregates, files.

use super::data::{clicks, json};
use super::{checkpoints, manifest};
use crate::support::Env;

/// A job over `data-*.jsonl` with these lines for key, tasks and aggregates.
fn job(env: &Env, routing: &str, aggregates: &str) {
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: data-*.jsonl\n{routing}\nprocess: {{aggregate: {{{aggregates}}}}}\ncheckpoint: {{store: store, schedule: 10ms}}\noutput: out\n"
        ),
    );
}

fn data(env: &Env, number: u64) {
    env.write(&format!("data-{number}.jsonl"), json(&clicks(number, 2_000, 300)).bytes);
}

#[test]
fn tasks_go_up_and_down_and_nothing_is_lost() {
    let env = Env::in_memory();
    data(&env, 1);
    job(&env, "key: user.id\ntasks: 64", "n: count, spent: sum(amount), page: last(page)");
    env.run(&["run", "job.yaml"]).expect(0);
    let rows = env.read("out/j.jsonl");
    for (old, new, shards) in [(64, 128, 16), (128, 3, 3), (3, 1_000_000, 16), (1_000_000, 64, 16)] {
        job(&env, &format!("key: user.id\ntasks: {new}"), "n: count, spent: sum(amount), page: last(page)");
        let before = *checkpoints(&env.path("store")).last().unwrap();
        let output = env.run(&["run", "job.yaml"]).expect(0);
        let keys = rows.lines().count();
        let told = format!("j: re-routed {keys} keys from {old} to {new} tasks; key count and digest match\n");
        assert!(output.stderr.contains(&told), "{output}");
        assert_eq!(env.read("out/j.jsonl"), rows);
        // There was nothing to read, but the new layout is worth a checkpoint.
        assert_eq!(*checkpoints(&env.path("store")).last().unwrap(), before + 1);
        let written = manifest(&env.path("store"), before + 1);
        assert!(written.contains(&format!("tasks: {new}\nshards: {shards}\n")), "{written}");
        assert!(written.contains(&format!("keys: {keys}\n  changed_keys: {keys}\n")), "{written}");
        env.run(&["diff", &format!("store@{before}"), "store"]).expect(0);
        let again = env.run(&["run", "job.yaml"]).expect(0);
        assert!(!again.stderr.contains("re-routed"), "{again}");
    }
    env.run(&["verify", "--deep", "store"]).expect(0);
}

#[test]
fn aggregates_come_start_empty_move_and_go() {
    let env = Env::in_memory();
    env.write("data-1.jsonl", "{\"k\":\"a\",\"v\":1,\"t\":\"x\"}\n{\"k\":\"b\",\"v\":2,\"t\":\"y\"}\n");
    job(&env, "key: k", "n: count, spent: sum(v), m: max(v), t: last(t)");
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("data-2.jsonl", "{\"k\":\"a\",\"v\":5,\"t\":\"z\"}\n");
    job(&env, "key: k", "t: last(t), n: count, mean: avg(v), all: count, top: max(v)");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    for told in [
        "warning: j: aggregate `mean` is new: it starts empty and does not include the 2 records applied before\n",
        "warning: j: aggregate `all` is new: it starts empty and does not include the 2 records applied before\n",
        "warning: j: aggregate `spent` is no longer in the job file: its values are dropped\n",
        "warning: j: aggregate `m` is no longer in the job file: its values are dropped\n",
    ] {
        assert!(output.stderr.contains(told), "{told}{output}");
    }
    assert_eq!(
        env.read("out/j.jsonl"),
        "{\"k\":\"a\",\"t\":\"z\",\"n\":2,\"mean\":5,\"all\":1,\"top\":5}\n\
         {\"k\":\"b\",\"t\":\"y\",\"n\":1,\"mean\":null,\"all\":0,\"top\":null}\n"
    );
    env.run(&["verify", "--deep", "store"]).expect(0);
    job(&env, "key: k", "t: last(t), n: sum(v)");
    let refused = env.run(&["run", "job.yaml"]).expect(2);
    assert!(refused.stderr.contains("caused by: aggregate `n` was count, is now sum(v)\nhint: "), "{refused}");
}

#[test]
fn a_job_without_a_key_takes_more_files_later() {
    let env = Env::in_memory();
    (1..=3).for_each(|number| data(&env, 2 * number));
    job(&env, "", "n: count, spent: sum(amount)");
    env.run(&["run", "job.yaml"]).expect(0);
    (0..=20).for_each(|number| data(&env, 2 * number + 1));
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("j: re-routed 3 keys from 3 to 24 tasks; key count and digest match\n"), "{output}");
    let fresh = Env::in_memory();
    (1..=3).for_each(|number| data(&fresh, 2 * number));
    (0..=20).for_each(|number| data(&fresh, 2 * number + 1));
    job(&fresh, "", "n: count, spent: sum(amount)");
    fresh.run(&["run", "job.yaml"]).expect(0);
    let sorted = |env: &Env| {
        let mut lines: Vec<String> = env.read("out/j.jsonl").lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&env), sorted(&fresh));
    env.run(&["verify", "--deep", "store"]).expect(0);
}
