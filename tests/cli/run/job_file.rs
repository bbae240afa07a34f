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
    for (wrong, place) in [("v > ", "4:11"), ("nothing(v)", "4:15")] {
        env.write("job.yaml", JOB.replace("v > 0", wrong));
        let output = env.run(&["run", "job.yaml"]).expect(2);
        assert!(output.stderr.starts_with(&format!("error: job.yaml:{place}: ")), "{output}");
        assert_eq!(files(env.dir()).len(), 2, "no store was created");
    }
    env.write(
        "job.yaml",
        JOB.replace("v > 0", "nothing(v) || v > null").replace("count", "count where foo(v) && bar(v)"),
    );
    let expected = "error: job.yaml:4:15: `where`: unknown function `nothing`, or the wrong number of arguments\n\
                    error: job.yaml:4:24: `where`: `>` cannot compare null; to test for a missing value, use `isNull(x)`\n\
                    error: job.yaml:6:41: unknown function `foo`, or the wrong number of arguments\n\
                    error: job.yaml:6:51: unknown function `bar`, or the wrong number of arguments\n";
    assert_eq!(env.run(&["run", "job.yaml"]).expect(2).stderr, expected);
    env.write("job.yaml", JOB.replace("v > 0", "nothing(v) || v > null"));
    let problems = env.run(&["check", "job.yaml", "--json"]).expect(1).stdout;
    assert!(problems.contains("job.yaml:4:15: ") && problems.contains("job.yaml:4:24: "), "{problems}");
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

#[test]
fn a_wrong_expression_is_shown_at_its_character_in_the_job_file() {
    let env = Env::new();
    env.write("data.jsonl", "{\"k\":\"a\",\"v\":1}\n");
    for (filter, place, reason) in [
        ("v > ", "4:11", "the expression is incomplete"),
        ("'v >> 0'", "4:12", "unexpected `>`"),
        ("\"k == \\\"a\\\" && no(v)\"", "4:25", "unknown function `no`, or the wrong number of arguments"),
        ("|\n  v > 0\n    && (k == 'a'", "6:17", "expected ')' at the end"),
        (">\n  v > 0\n    && no(k)", "6:10", "unknown function `no`, or the wrong number of arguments"),
        ("v > 0 &&\n  k.matches('[')", "5:12", "`matches`: error: unclosed character class"),
        ("&w !!str v >", "4:20", "the expression is incomplete"),
    ] {
        env.write("job.yaml", JOB.replace("v > 0", filter));
        let expected = format!("job.yaml:{place}: `where`: {reason}");
        let output = env.run(&["run", "job.yaml"]).expect(2);
        assert_eq!(output.stderr, format!("error: {expected}\n"), "{filter}");
        let output = env.run(&["check", "job.yaml"]).expect(1);
        assert!(output.stdout.contains(&format!("  problem  {expected}\n")), "{filter}: {output}");
    }
}

#[test]
fn numbers_may_have_a_tag_and_in_quotes_they_are_text() {
    let env = Env::new();
    env.write("data.jsonl", "{\"k\":\"a\",\"v\":1}\n");
    for tasks in ["!!int \"8\"", "!<tag:yaml.org,2002:int> '8'"] {
        env.write("job.yaml", JOB.replace("key: k", &format!("key: k\ntasks: {tasks}")));
        env.run(&["check", "job.yaml"]).expect(0);
    }
    is_refused(
        "key: k",
        "key: k\ntasks: \"8\"",
        "error: jobs/job.yaml:6:8: expected a whole number of tasks from 1 to 1000000, found `8`, which is text: remove the \
         quotes\n",
    );
}
