//! The result matches an independent computation.

use super::data::{
    AGGREGATES, Click, Rendered, as_csv, as_json, clicks, compute, csv, gzip, in_order, json, zstandard,
};
use super::{checkpoints, files, manifest};
use crate::support::Env;

fn user(click: &Click) -> String {
    click.user.clone()
}

#[test]
fn all_aggregates_over_nested_json_in_several_files_are_right_for_any_number_of_threads() {
    let env = Env::new();
    let parts: Vec<Vec<Click>> = (0..18).map(|seed| clicks(seed, if seed == 3 { 5000 } else { 900 }, 150)).collect();
    let rendered: Vec<Rendered> = parts.iter().map(|part| json(part)).collect();
    for (i, rendered) in rendered.iter().enumerate() {
        env.write(&format!("data/part-{i:02}.jsonl"), &rendered.bytes);
    }
    let files: Vec<_> = parts.iter().map(Vec::as_slice).zip(&rendered).collect();
    let expected = compute(in_order(&files), user);
    for threads in ["1", "3", "40"] {
        let job = format!(
            "job: t{threads}\ninput: data/part-*.jsonl\nkey: user.id\nprocess:\n  aggregate:{AGGREGATES}\noutput: out\n"
        );
        env.write("job.yaml", job);
        env.run(&["run", "job.yaml", "--threads", threads]).expect(0);
        assert!(env.read(&format!("out/t{threads}.jsonl")) == as_json(&expected, "id"), "{threads} threads");
    }
}

#[test]
fn all_aggregates_over_csv_gz_and_zst_in_a_list_are_right_and_written_as_csv() {
    let env = Env::new();
    let parts: Vec<Vec<Click>> = (30..33).map(|seed| clicks(seed, 12_000, 700)).collect();
    let rendered: Vec<Rendered> = parts.iter().map(|part| csv(part)).collect();
    env.write("c.csv", &rendered[2].bytes);
    env.write("a.csv.gz", gzip(&rendered[0].bytes));
    env.write("b.csv.zst", zstandard(&rendered[1].bytes));
    env.write(
        "job.yaml",
        format!(
            "job: sales\ninput: [c.csv, b.csv.zst, a.csv.gz]\nkey: user\ntasks: 3\nprocess:\n  aggregate:{AGGREGATES}\noutput: {{files: out, format: csv}}\n"
        ),
    );
    env.run(&["run", "job.yaml"]).expect(0);
    let files: Vec<_> = parts.iter().map(Vec::as_slice).zip(&rendered).collect();
    assert!(env.read("out/sales.csv") == as_csv(&compute(in_order(&files), user), "user"));
}

#[test]
fn a_job_without_a_key_has_a_row_for_each_partition() {
    let env = Env::new();
    let parts: Vec<Vec<Click>> = (50..53).map(|seed| clicks(seed, 4_000, 10)).collect();
    let rendered: Vec<Rendered> = parts.iter().map(|part| json(part)).collect();
    for (name, rendered) in ["x.jsonl", "y.jsonl", "z.jsonl"].iter().zip(&rendered) {
        env.write(name, &rendered.bytes);
    }
    env.write("job.yaml", format!("job: parts\ninput: '?.jsonl'\nprocess:\n  aggregate:{AGGREGATES}\noutput: out\n"));
    env.run(&["run", "job.yaml"]).expect(0);
    let mut expected = String::new();
    for (name, part) in ["x", "y", "z"].iter().zip(&parts) {
        expected += &as_json(&compute(part, |_| format!("{name}.jsonl")), "partition");
    }
    assert_eq!(env.read("out/parts.jsonl"), expected);
}

#[test]
fn where_leaves_out_records_and_counts_them_as_read() {
    let env = Env::new();
    let part = clicks(70, 5_000, 90);
    env.write("data.jsonl", json(&part).bytes);
    env.write(
        "job.yaml",
        format!(
            "job: some\ninput: data.jsonl\nwhere: country in [\"DE\", \"AT\"] && user.id != \"u3\" && (amount == null || amount >= 0.5)\nkey: user.id\nprocess:\n  aggregate:{AGGREGATES}\noutput: out\n"
        ),
    );
    let summary = env.run(&["run", "job.yaml", "--json"]).expect(0).stdout;
    let kept = |click: &&Click| click.country != "FR" && click.user != "u3" && click.cents.is_none_or(|c| c >= 50);
    assert!(env.read("out/some.jsonl") == as_json(&compute(part.iter().filter(kept), user), "id"));
    assert!(summary.contains("\"records\":5000,"), "{summary}");
}

#[test]
fn standard_input_gives_the_same_result_as_a_file() {
    let env = Env::new();
    let part = clicks(80, 9_000, 300);
    let rendered = csv(&part);
    env.write(
        "job.yaml",
        format!(
            "job: piped\ninput: {{files: '-', format: csv, types: {{amount: number, page: text, ts: int}}}}\nkey: user\nprocess:\n  aggregate:{AGGREGATES}\noutput: out\n"
        ),
    );
    env.run_with_input(&["run", "job.yaml"], &rendered.bytes).expect(0);
    let expected = as_json(&compute(&part, user), "user");
    assert!(env.read("out/piped.jsonl") == expected);
    // Fed the same input again, it has nothing to do; fed something else, it reports that.
    let again = env.run_with_input(&["run", "job.yaml", "--json"], &rendered.bytes).expect(0);
    assert!(again.stdout.contains("\"records\":0,\"records_in_all\":9000,"), "{again}");
    let changed = env.run_with_input(&["run", "job.yaml"], &rendered.bytes.to_ascii_uppercase()).expect(4);
    assert!(changed.stderr.contains("error: input `-` was replaced or changed"), "{changed}");
    let short = env.run_with_input(&["run", "job.yaml"], b"").expect(4);
    assert!(short.stderr.contains("error: input `-` has shrunk"), "{short}");
}

#[test]
fn words_and_lines_of_text_are_counted() {
    let env = Env::new();
    let line = |i: usize| ["the cat", "The dog, the cat", "", "é\u{0301}tude 3.14 don't"][i % 4];
    let text: String = (0..1000).map(|i| format!("{}\n", line(i))).collect();
    env.write("data.txt", text);
    let aggregate = "process: {aggregate: {times: count}}\noutput: out\n";
    env.write("words.yaml", format!("job: words\ninput: {{files: data.txt, split: words}}\nkey: word\n{aggregate}"));
    let summary = env.run(&["run", "words.yaml", "--json"]).expect(0).stdout;
    assert!(summary.contains("\"records\":750,"), "a record is a line that is not empty: {summary}");
    assert_eq!(
        env.read("out/words.jsonl"),
        [("3.14", 250), ("The", 250), ("cat", 500), ("dog", 250), ("don't", 250), ("the", 500), ("é\u{0301}tude", 250)]
            .map(|(word, times)| format!("{{\"word\":\"{word}\",\"times\":{times}}}\n"))
            .concat()
    );
    env.write("lines.yaml", format!("job: lines\ninput: data.txt\nkey: line\n{aggregate}"));
    env.run(&["run", "lines.yaml"]).expect(0);
    assert_eq!(
        env.read("out/lines.jsonl"),
        [line(2), line(1), line(0), line(3)].map(|line| format!("{{\"line\":\"{line}\",\"times\":250}}\n")).concat()
    );
}

#[test]
fn a_million_tasks_make_few_files_and_a_small_manifest() {
    let env = Env::new();
    let part = clicks(90, 20_000, 5_000);
    env.write("data.jsonl", json(&part).bytes);
    env.write(
        "job.yaml",
        format!(
            "job: many\ninput: data.jsonl\nkey: user.id\ntasks: 1000000\nprocess:\n  aggregate:{AGGREGATES}\ncheckpoint: {{store: store, schedule: 5ms}}\noutput: out\n"
        ),
    );
    env.run(&["run", "job.yaml"]).expect(0);
    assert!(env.read("out/many.jsonl") == as_json(&compute(&part, user), "id"));
    let store = env.path("store");
    let made = checkpoints(&store);
    let objects = files(&store.join("objects")).len();
    assert!(objects <= made.len() * 20, "{objects} objects for {} checkpoints", made.len());
    for number in made {
        assert!(manifest(&store, number).len() < 8 * 1024);
    }
}

#[test]
fn empty_files_and_files_without_records_are_empty_input() {
    for content in ["", "\n\n  \n"] {
        let env = Env::new();
        super::counting(&env, "");
        env.write("data.jsonl", content);
        for _ in 0..2 {
            let output = env.run(&["run", "job.yaml", "--json"]).expect(0);
            assert!(output.stdout.contains("\"ended\":true"), "{output}");
            assert!(output.stdout.contains("\"latest\":1,\"records\":0,\"records_in_all\":0"), "{output}");
            assert_eq!(env.read("out/counting.jsonl"), "");
        }
    }
}

#[test]
fn keys_of_a_megabyte_survive_a_checkpoint() {
    let env = Env::new();
    super::counting(&env, "checkpoint: {state_bytes: 1}\n");
    let long = "k".repeat(1 << 20);
    let records = |keys: &[&str]| keys.iter().map(|key| format!("{{\"k\":\"{key}\"}}\n")).collect::<String>();
    let other = format!("{long}x");
    env.write("data.jsonl", records(&[&long, "a", &other, &long]));
    env.run(&["run", "job.yaml"]).expect(0);
    env.append("data.jsonl", records(&[&long, "b", "a"]));
    env.run(&["run", "--must-resume", "job.yaml"]).expect(0);
    let row = |key: &str, n| format!("{{\"k\":\"{key}\",\"n\":{n}}}\n");
    assert!(env.read("out/counting.jsonl") == row("a", 2) + &row("b", 1) + &row(&long, 3) + &row(&other, 1));
}

#[test]
fn csv_distinguishes_empty_text_from_a_missing_value() {
    let env = Env::new();
    env.write("data.jsonl", "{\"k\":\"\",\"t\":\"\"}\n{\"k\":\"a\"}\n{\"k\":\"b\",\"t\":\"x\"}\n");
    let process = "key: k\ntasks: 1\nprocess:\n  aggregate: {n: count, first: min(t)}\n";
    let rest = "checkpoint: {store: store}\noutput: {files: out, format: csv}\n";
    env.write("job.yaml", format!("job: texts\ninput: data.jsonl\n{process}{rest}"));
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(env.read("out/texts.csv"), "k,n,first\n\"\",1,\"\"\na,1,\nb,1,x\n");
    env.run(&["restore", "store", "--to", "state", "--format", "csv"]).expect(0);
    assert_eq!(env.read("state/state.csv"), "task,key,n,first\n0,\"\",1,\"\"\n0,a,1,\n0,b,1,x\n");
}
