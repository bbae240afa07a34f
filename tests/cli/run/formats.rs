//! `input.format` and `input.delimiter`: what the names of the files show.

use super::data::gzip;
use crate::support::Env;

/// Runs a job that sums `n` of `input`, and returns its output.
fn sums(env: &Env, input: &str) -> String {
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: {input}\nkey: k\nprocess: {{aggregate: {{s: sum(n)}}}}\ncheckpoint: {{enabled: false}}\n\
             output: out\n"
        ),
    );
    env.run(&["run", "job.yaml"]).expect(0);
    env.read("out/j.jsonl")
}

#[test]
fn the_files_that_a_glob_matches_show_the_format() {
    let env = Env::new();
    let expected = "{\"k\":\"a\",\"s\":1}\n{\"k\":\"b\",\"s\":2}\n";
    env.write("tabs/x.tsv", "k\tn\na\t1\nb\t2\n");
    env.write("tabs/readme", "k\tn\n");
    for input in ["tabs/*", "{files: 'tabs/*', format: csv}", "{files: ['tabs/?.tsv'], format: csv, on_error: skip}"] {
        assert_eq!(sums(&env, input), expected, "{input}");
    }
    env.write("packed/x.tsv.gz", gzip(b"k\tn\na\t1\nb\t2\n"));
    assert_eq!(sums(&env, "packed/*.gz"), expected);
    env.write("lines/x.jsonl", "{\"k\":\"a\",\"n\":1}\n{\"k\":\"b\",\"n\":2}\n");
    assert_eq!(sums(&env, "lines/*"), expected);
}

#[test]
fn files_of_different_formats_are_an_error_that_names_them() {
    let env = Env::new();
    env.write("data/a.csv", "k,n\na,1\n");
    env.write("data/b.tsv", "k\tn\nb\t2\n");
    env.write("more/c.jsonl", "{\"k\":\"c\",\"n\":3}\n");
    let refused = |input: &str, words: &str| {
        env.write("job.yaml", format!("job: j\ninput: {input}\nkey: k\nprocess: {{aggregate: {{s: sum(n)}}}}\n"));
        let output = env.run(&["run", "job.yaml"]).expect(2);
        assert!(output.stderr.contains(words), "{input}\n{output}");
    };
    refused("data/*", "job.yaml:2:8: `data/a.csv` and `data/b.tsv` have different delimiters");
    refused("{files: 'data/*', format: csv}", "`data/a.csv` and `data/b.tsv` have different delimiters");
    refused("[data/a.csv, 'more/*']", "`data/a.csv` is csv and `more/c.jsonl` is json, but a job reads one format");
    refused("'none/*'", "the name `none/*` does not show the format");
}
