//! The types of fields, and what happens to one that was decided before any value was seen.

use crate::support::Env;

/// Writes a job over `data` that computes `aggregates`.
fn job(env: &Env, data: &str, aggregates: &str) {
    let text = format!(
        "job: j\ninput: {{files: {data}}}\nkey: k\ntasks: 4\nprocess: {{aggregate: {aggregates}}}\n\
         checkpoint: {{store: store}}\noutput: out\n"
    );
    env.write("job.yaml", text);
}

#[test]
fn a_sum_decides_the_type_of_a_field_that_the_first_records_do_not_have() {
    let first = "{\"k\":\"a\"}\n".repeat(1000);
    for (aggregates, values) in [
        ("{s: sum(n), l: last(n)}", "\"s\":5,\"l\":5"),
        ("{l: last(n), s: sum(n)}", "\"l\":5,\"s\":5"),
        ("{f: first(n), a: avg(n)}", "\"f\":5,\"a\":5"),
        ("{f: first(n), m: 'min(round(n, 1))'}", "\"f\":5,\"m\":5"),
        ("{l: last(n), m: max(n)}", "\"l\":5,\"m\":5"),
        ("{l: last(k by n), f: first(n)}", "\"l\":\"a\",\"f\":5"),
    ] {
        let env = Env::new();
        job(&env, "data.jsonl", aggregates);
        env.write("data.jsonl", first.clone() + "{\"k\":\"a\",\"n\":5}\n");
        env.run(&["run", "job.yaml"]).expect(0);
        env.write("data.jsonl", first.clone() + "{\"k\":\"a\",\"n\":5}\n{\"k\":\"a\"}\n");
        env.run(&["run", "job.yaml"]).expect(0);
        assert_eq!(env.read("out/j.jsonl"), format!("{{\"k\":\"a\",{values}}}\n"), "{aggregates}");
    }
}

#[test]
fn a_type_that_no_value_has_shown_is_decided_again_when_the_run_resumes() {
    for (name, empty, lines) in [("data.jsonl", "", "{\"k\":\"a\",\"n\":5}\n"), ("data.csv", "k,n\n", "a,5\n")] {
        for (aggregates, values) in [
            ("{s: sum(n), l: last(n)}", "\"s\":5,\"l\":5"),
            ("{l: last(n)}", "\"l\":5"),
            ("{m: min(n), l: last(n)}", "\"m\":5,\"l\":5"),
        ] {
            let env = Env::new();
            job(&env, name, aggregates);
            env.write(name, empty);
            env.run(&["run", "job.yaml"]).expect(0);
            env.run(&["verify", "store", "--deep"]).expect(0);
            env.write(name, empty.to_owned() + lines);
            env.run(&["check", "job.yaml"]).expect(0);
            env.run(&["run", "job.yaml"]).expect(0);
            assert_eq!(env.read("out/j.jsonl"), format!("{{\"k\":\"a\",{values}}}\n"), "{name} {aggregates}");
            env.run(&["run", "job.yaml"]).expect(0);
        }
    }
}

#[test]
fn a_type_may_be_declared_until_the_state_has_a_value_of_the_field() {
    let env = Env::new();
    let without = "{\"k\":\"a\"}\n".repeat(1001);
    job(&env, "data.jsonl", "{l: last(n)}");
    env.write("data.jsonl", &without);
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("field `n` is in none of the first records"), "{output}");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(!output.stderr.contains("field `n`"), "the run that assumed the type has said so: {output}");
    env.write("data.jsonl", without.clone() + "{\"k\":\"a\",\"n\":7}\n");
    let output = env.run(&["run", "job.yaml"]).expect(5);
    assert!(output.stderr.contains("field `n` is a number, expected text"), "{output}");
    env.write("job.yaml", env.read("job.yaml").replace("data.jsonl}", "data.jsonl, types: {n: number}}"));
    env.run(&["check", "job.yaml"]).expect(0);
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"l\":7}\n");
    env.write("job.yaml", env.read("job.yaml").replace("number", "text"));
    let refused = "the type of `n`";
    for verb in ["check", "run"] {
        let output = env.run(&[verb, "job.yaml"]);
        assert!(output.status != 0 && format!("{output}").contains(refused), "{output}");
    }
}

#[test]
fn text_that_a_csv_file_has_shown_stays_text_beside_a_sum() {
    let env = Env::new();
    job(&env, "data.csv", "{s: sum(n), l: last(n)}");
    env.write("data.csv", "k,n\na,5\na,007\n");
    env.run(&["run", "job.yaml"]).expect(0);
    env.run(&["verify", "store", "--deep"]).expect(0);
    env.write("data.csv", "k,n\na,5\na,007\na,08\n");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"s\":20,\"l\":\"08\"}\n");
}

#[test]
fn numbers_and_texts_beside_a_sum_leave_a_store_that_resumes() {
    let env = Env::new();
    job(&env, "data.jsonl, on_error: skip", "{s: sum(n), l: last(n)}");
    let lines = "{\"k\":\"a\",\"n\":\"x\"}\n{\"k\":\"a\",\"n\":5}\n";
    env.write("data.jsonl", lines);
    env.run(&["run", "job.yaml"]).expect(3);
    env.write("data.jsonl", lines.to_owned() + "{\"k\":\"a\",\"n\":6}\n");
    env.run(&["run", "job.yaml"]);
    assert_eq!(env.read("out/j.jsonl"), "{\"k\":\"a\",\"s\":11,\"l\":6}\n");
}
