//! Objects in a bucket as input: the result is that of files.

use std::io::Write as _;

use crate::support::Env;
use crate::support::bucket::Bucket;
use crate::support::object_server::ObjectServer;
use ckpt::values::relpath::RelPath;

/// Writes a job that counts by key, as `NAME.yaml` with the store `NAME` and the output `NAME-out/`.
pub(super) fn job(env: &Env, name: &str, input: &str, more: &str) {
    let text = format!(
        "job: counting\ninput: {input}\nkey: k\ntasks: 8\nprocess: {{aggregate: {{n: count, last: last(v)}}}}\n\
         output: {name}-out/\ncheckpoint: {{store: {name}{more}}}\n"
    );
    env.write(&format!("{name}.yaml"), text);
}

/// Returns `count` JSON lines, which differ with `seed`.
pub(super) fn lines(seed: usize, count: usize) -> String {
    (0..count).map(|i| format!("{{\"k\":\"k{}\",\"v\":\"{seed}-{i}\"}}\n", (i * i + seed) % 97)).collect()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("compressed");
    packed.finish().expect("compressed")
}

pub(super) fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("compressed")
}

/// Returns the published rows of the job `name`.
pub(super) fn output(env: &Env, name: &str) -> String {
    env.shell(&format!("cat {name}-out/*")).expect(0).stdout
}

/// A glob, its format, and the files that it matches.
type Input = (&'static str, &'static str, Vec<(String, Vec<u8>)>);

/// The files of a job in each format, by their names.
fn inputs() -> Vec<Input> {
    let json = [
        ("a.jsonl", lines(1, 40_000).into_bytes()),
        ("b.jsonl.gz", gzip(lines(2, 5000).as_bytes())),
        ("c.jsonl.zst", zstandard(lines(3, 5000).as_bytes())),
        ("d.jsonl", Vec::new()),
        ("e.jsonl", lines(5, 3).trim_end().into()),
    ];
    let table = |seed: usize| format!("k,v\n{}", lines(seed, 9000).replace(['{', '}'], ""));
    let table = |seed: usize| table(seed).replace("\"k\":", "").replace("\"v\":", "");
    let csv = [("a.csv", table(1).into_bytes()), ("b.csv.zst", zstandard(table(2).as_bytes()))];
    let text = [("a.txt", lines(1, 500).into_bytes()), ("b.txt.gz", gzip(lines(2, 500).as_bytes()))];
    let owned = |files: &[(&str, Vec<u8>)]| -> Vec<(String, Vec<u8>)> {
        files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.clone())).collect()
    };
    vec![("*.jsonl*", "json", owned(&json)), ("*.csv*", "csv", owned(&csv)), ("*.txt*", "text", owned(&text))]
}

/// Runs a job on the objects below `url` and on the same files, and compares the results.
fn compare(env: &Env, url: &str, glob: &str, format: &str, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        env.write(&format!("{format}/{name}"), bytes);
    }
    let mut rows = Vec::new();
    for (place, kind) in [(url, "objects"), (format, "files")] {
        let name = format!("{format}-{kind}");
        job(env, &name, &format!("{{files: \"{place}/{glob}\", format: {format}}}"), "");
        if format == "text" {
            let text =
                env.read(&format!("{name}.yaml")).replace("key: k", "key: line").replace("last(v)", "last(line)");
            env.write(&format!("{name}.yaml"), text);
        }
        env.run(&["run", &format!("{name}.yaml")]).expect(0);
        rows.push(output(env, &name));
    }
    assert!(!rows[0].is_empty());
    assert_eq!(rows[0], rows[1], "{format}");
}

#[test]
fn objects_have_the_result_of_files_in_every_format() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    for (glob, format, files) in inputs() {
        for (name, bytes) in &files {
            server.put(&format!("in/{name}"), bytes.clone());
        }
        compare(&env, "s3://data/in", glob, format, &files);
    }
}

#[test]
fn objects_on_a_real_server_have_the_result_of_files() {
    let Some(bucket) = Bucket::fresh() else { return };
    let mut env = Env::new();
    bucket.reach_from(&mut env);
    let storage = bucket.storage();
    for (glob, format, files) in inputs() {
        for (name, bytes) in &files {
            storage.replace(&RelPath::new(name.as_str()).expect("a path"), bytes).expect("written");
        }
        compare(&env, &bucket.url.to_string(), glob, format, &files);
    }
}

#[test]
fn globs_match_objects_with_odd_names_and_leave_out_hidden_ones_and_folders() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    let odd = ["a b+c%20d.jsonl", "ü#?&=.jsonl", "x[1]*.jsonl", "<'\">.jsonl", "a\\b~{}^|.jsonl"];
    for name in odd {
        server.put(&format!("in/{name}"), format!("{{\"k\":{:?},\"v\":\"x\"}}\n", name));
    }
    server.put("in/sub/.hidden/a.jsonl", "bad");
    server.put("in/.a.jsonl", "bad");
    server.put("in/folder.jsonl/", "");
    server.put("in/sub/deep/b.jsonl", lines(1, 1));
    server.put("input/a.jsonl", "bad");
    job(&env, "flat", "\"s3://data/in/*.jsonl\"", "");
    env.run(&["run", "flat.yaml"]).expect(0);
    let found = output(&env, "flat");
    assert_eq!(found.lines().count(), odd.len(), "{found}");
    let names = env.run(&["inspect", "flat", "--positions", "--json"]).expect(0).stdout;
    let names: serde_json::Value = serde_json::from_str(&names).expect("JSON");
    let names: Vec<&str> =
        names["positions"].as_array().expect("a list").iter().filter_map(|row| row["partition"].as_str()).collect();
    assert!(odd.iter().all(|name| names.contains(&format!("s3://data/in/{name}").as_str())), "{names:?}");

    job(&env, "deep", "{files: [\"s3://data/in/**/b.jsonl\", \"s3://data/in/x[1]*.jsonl\"]}", "");
    env.run(&["run", "deep.yaml"]).expect(0);
    assert_eq!(output(&env, "deep").lines().count(), 2);
    job(&env, "none", "\"s3://data/in/z*.jsonl\"", "");
    let refused = env.run(&["run", "none.yaml"]).expect(2);
    assert!(refused.stderr.contains("no input: `s3://data/in/z*.jsonl` matches no"), "{refused}");
}

#[test]
fn a_hundred_thousand_objects_are_listed_page_by_page() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    for i in 0..100_000 {
        server.put(&format!("many/part-{i:06}.jsonl"), format!("{{\"k\":\"k{}\",\"v\":\"x\"}}\n", i % 10));
    }
    job(&env, "all", "\"s3://data/many/*.jsonl\"", "");
    let checked = env.run(&["check", "all.yaml", "--json"]).expect(0).stdout;
    assert!(checked.contains("s3://data/many/part-099999.jsonl"));
    assert_eq!(server.take_requests("").len(), 100, "a page has 1,000 names");
    // The names before the first wildcard are listed, and nothing else.
    job(&env, "some", "\"s3://data/many/part-0420*.jsonl\"", "");
    env.run(&["run", "some.yaml"]).expect(0);
    assert_eq!(output(&env, "some").lines().count(), 10);
    assert_eq!(server.take_requests("LIST"), ["LIST many/part-0420"]);
}

#[test]
fn objects_and_files_are_read_together_by_a_python_job_too() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    let packed = gzip(lines(1, 700).as_bytes());
    server.put("in/a.jsonl.gz", packed.clone());
    env.write("in/a.jsonl.gz", packed);
    env.write("b.jsonl", lines(2, 300));
    let script = "from samza import SamzaJob\n\nclass Count(SamzaJob):\n    def setup(self):\n        \
                  self.configs['key'] = 'k'\n        self.configs['checkpoint'] = {'store': 'python'}\n\n    \
                  def process(self, data):\n        self.state[data['k']] = self.state.get(data['k'], 0) + 1\n\n\
                  if __name__ == '__main__':\n    Count().run()\n";
    env.write("count.py", script);
    let ran = env.run(&["run", "count.py", "s3://data/in/*.jsonl.gz", "b.jsonl"]).expect(0);
    assert!(ran.stdout.contains("1,000"), "{ran}");
    job(&env, "both", "{files: [\"s3://data/in/*.jsonl.gz\", b.jsonl]}", "");
    env.run(&["run", "both.yaml"]).expect(0);
    job(&env, "files", "{files: [in/a.jsonl.gz, b.jsonl]}", "");
    env.run(&["run", "files.yaml"]).expect(0);
    // The order of the inputs is that of their names, so `last` is another one.
    let counts = |name: &str| -> Vec<String> {
        output(&env, name).lines().map(|row| row.split(",\"last\"").next().expect("a row").to_owned()).collect()
    };
    assert_eq!(counts("both"), counts("files"));
}

#[test]
fn what_cannot_be_read_from_a_bucket_is_refused_in_the_job_file() {
    let env = Env::new();
    for (input, reason) in [
        ("gs://data/a.jsonl", "cannot read `gs://data/a.jsonl`: ckpt reads s3://BUCKET/OBJECT, not gs://"),
        ("s3://data", "it names no object; for all objects below it, write `s3://data/*`"),
        ("s3://data//a.jsonl", "the name of an object cannot have an empty part"),
        ("s3://x/a.jsonl", "`x` cannot be the name of a bucket"),
    ] {
        job(&env, "refused", &format!("\"{input}\""), "");
        let refused = env.run(&["check", "refused.yaml"]).expect(2);
        assert!(refused.stderr.contains(reason), "{refused}");
        assert!(refused.stderr.contains("refused.yaml:2:"), "{refused}");
    }
    job(&env, "followed", "{files: \"s3://data/*.jsonl\", follow: true}", "");
    let refused = env.run(&["check", "followed.yaml"]).expect(2);
    assert!(refused.stderr.contains("`s3://data/*.jsonl` cannot be followed: objects never grow"), "{refused}");
}
