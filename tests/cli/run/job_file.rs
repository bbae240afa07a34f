//! Mistakes in the job file: one message with file, line and column, and exit code 2.

use super::files;
use crate::support::Env;

const JOB: &str = "job: j
input:
  files: [data.jsonl]
where: v > 0
key: k
process: {aggregate: {n: count}}
output: out
";

#[track_caller]
fn is_refused(from: &str, to: &str, stderr: &str) {
    let env = Env::new();
    env.write("data.jsonl", "{\"k\":\"a\",\"v\":1}\n");
    let job = JOB.replace(from, to);
    assert_ne!(job, JOB);
    env.write("jobs/job.yaml", job.replace("[data", "[../data"));
    let output = env.run(&["run", "jobs/job.yaml"]).expect(2);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", stderr));
    assert!(!env.path("jobs/out").exists() && files(&env.path("jobs")).len() == 1, "nothing was begun");
}

#[test]
fn unknown_keys_and_impossible_values_are_refused() {
    is_refused("output:", "outputs:", "error: jobs/job.yaml:7:1: unknown key `outputs`, did you mean `output`?\n");
    is_refused("[data.jsonl]", "7", "?2");
    is_refused("n: count", "n: counts", "?3");
    is_refused("key: k", "key: k\ntasks: 1000001", "?4");
}

#[test]
fn an_expression_that_is_none_is_refused() {
    is_refused("v > 0", "v > ", "?5");
}

#[test]
fn input_that_is_not_there_is_refused() {
    is_refused(
        "[data.jsonl]",
        "[data.jsonl, nothing-*.jsonl]",
        "error: jobs/job.yaml:3:26: no input: `nothing-*.jsonl` matches no file\n",
    );
    is_refused("[data.jsonl]", "[data.jsonl, nothing.jsonl]", "?7");
    is_refused("[data.jsonl]", "[data.jsonl, '-']", "?8");
}

#[test]
fn a_job_file_that_is_not_there_is_refused() {
    let output = Env::new().run(&["run", "nothing.yaml"]).expect(2);
    assert_eq!(
        output.stderr,
        "error: cannot read job file `nothing.yaml`\n  caused by: No such file or directory (os error 2)\n"
    );
}
