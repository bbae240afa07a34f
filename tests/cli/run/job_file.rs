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
    assert!(!env.path("jobs/out").exists() && files(&env.path("jobs")).len() == 1, "nothing was started");
}

#[test]
fn unknown_keys_and_impossible_values_are_refused() {
    is_refused("output:", "outputs:", "error: jobs/job.yaml:7:1: unknown key `outputs`, did you mean `output`?\n");
    is_refused(
        "[data.jsonl]",
        "{}",
        "error: jobs/job.yaml:3:10: expected a path, a glob or a list of them, found a map\n",
    );
    is_refused(
        "n: count",
        "n: counts",
        "error: jobs/job.yaml:6:26: unknown aggregate `counts`, did you mean `count`?\n",
    );
    is_refused(
        "key: k",
        "key: k\ntasks: 1000001",
        "error: jobs/job.yaml:6:8: expected a whole number of tasks from 1 to 1000000, found `1000001`\n",
    );
}

#[test]
fn an_invalid_expression_is_refused() {
    let env = Env::new();
    env.write("data.jsonl", "{\"k\":\"a\",\"v\":1}\n");
    for wrong in ["v > ", "nothing(v)"] {
        env.write("job.yaml", JOB.replace("v > 0", wrong));
        let output = env.run(&["run", "job.yaml"]).expect(2);
        assert!(output.stderr.starts_with("error: job.yaml:4:8: "), "{output}");
        assert_eq!(files(env.dir()).len(), 2, "no store was created");
    }
}

#[test]
fn missing_input_is_refused() {
    is_refused(
        "[data.jsonl]",
        "[data.jsonl, nothing-*.jsonl]",
        "error: jobs/job.yaml:3:26: no input: `nothing-*.jsonl` matches no file\n",
    );
    is_refused(
        "[data.jsonl]",
        "[data.jsonl, nothing.jsonl]",
        "error: jobs/job.yaml:3:26: no input: `nothing.jsonl` matches no file\n",
    );
    is_refused(
        "[data.jsonl]",
        "[data.jsonl, '-']",
        "error: jobs/job.yaml:3:26: standard input, `-`, cannot be read together with other files\n",
    );
}

#[test]
fn a_missing_job_file_is_refused() {
    let output = Env::new().run(&["run", "nothing.yaml"]).expect(2);
    assert_eq!(
        output.stderr,
        "error: cannot read job file `nothing.yaml`\n  caused by: No such file or directory (os error 2)\n"
    );
}
