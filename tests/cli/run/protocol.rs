//! `docs/protocol.md`: its transcript shows what really happens, from both sides.

use crate::support::{Env, repository};

/// Plays the program's side of a transcript, and fails when it receives something else than the transcript shows.
const REPLAY: &str = "import sys
for line in open('transcript'):
    side, text = line[0], line[2:]
    if side == '<':
        print(text, end='', flush=True)
    else:
        told = sys.stdin.readline()
        if told != text:
            print('expected', text, 'found', told, file=sys.stderr)
            sys.exit(9)
if sys.stdin.read():
    sys.exit('something was told after the end')
";

fn document() -> String {
    std::fs::read_to_string(repository::path("docs/protocol.md")).expect("readable")
}

fn block(language: &str) -> String {
    let document = document();
    let (_, rest) = document.split_once(&format!("```{language}\n")).expect("a block");
    rest.split_once("```").expect("its end").0.to_owned()
}

fn transcript() -> String {
    block("transcript").replace("\"version\":\"0.1.0\"", &format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION")))
}

fn job(env: &Env, program: &str) {
    env.write(
        "job.yaml",
        format!("job: visits\ninput: clicks.jsonl\nkey: user\ntasks: 8\nprocess: {{exec: [python3, {program}]}}\ncheckpoint: {{store: s}}\n"),
    );
}

#[test]
fn the_transcript_is_what_a_run_sends() {
    let env = Env::new();
    env.write("replay.py", REPLAY);
    env.write("visits_plain.py", std::fs::read(repository::path("examples/visits_plain.py")).expect("readable"));
    env.write("transcript", transcript());
    env.write("clicks.jsonl", "{\"user\":\"ann\",\"page\":\"/\"}\n{\"user\":\"bob\",\"page\":\"/shirts\"}\n");
    job(&env, "visits_plain.py");
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("clicks.jsonl", env.read("clicks.jsonl") + "{\"user\":\"bob\",\"page\":\"/cart\"}\n");
    job(&env, "replay.py");
    let output = env.run(&["run", "job.yaml", "--threads", "1"]).expect(0);
    assert!(!output.stderr.contains("expected"), "{output}");
    assert!(!output.stderr.contains("when it was asked to close"), "{output}");
    let row = env.run(&["inspect", "s", "--state", "--key", "bob", "--json"]).expect(0);
    assert!(row.stdout.contains(r#""task":5,"key":"bob","values":{"value":2}"#), "{row}");
}

#[test]
fn the_programs_of_the_examples_answer_as_the_transcript_says() {
    let transcript = transcript();
    let side = |mark: &str| -> String {
        let lines = transcript.lines().filter_map(|line| line.strip_prefix(mark)?.strip_prefix(' '));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let mut env = Env::new();
    env.set("CKPT_PROGRAM", "1").set("PYTHONPATH", &repository::path("python").display().to_string());
    env.set("PYTHONDONTWRITEBYTECODE", "1");
    env.write("told", side(">"));
    for program in ["visits_plain.py", "visits.py"] {
        let path = repository::path("examples").join(program);
        let output = env.shell(&format!("python3 '{}' < told", path.display())).expect(0);
        assert_eq!(output.stdout, side("<"), "{program}: {output}");
    }
}

#[test]
fn the_program_in_the_document_is_the_one_in_the_examples() {
    let example = std::fs::read_to_string(repository::path("examples/visits_plain.py")).expect("readable");
    assert!(example.ends_with(&block("python")), "docs/protocol.md and examples/visits_plain.py differ");
    assert!(block("python").lines().count() <= 35);
}

#[test]
fn a_custom_runner_runs_its_jobs_and_ckpt_inspects_them() {
    // `cargo test` builds the examples; building a single test binary does not.
    let runner = crate::support::binary().with_file_name("examples").join("runner");
    let env = Env::new();
    let examples = repository::path("examples");
    env.shell(&format!("cp -r '{}' examples", examples.display())).expect(0);
    let output = env.run(&["run", "examples/sessions.yaml"]).expect(2);
    assert!(output.stderr.contains("examples/sessions.yaml:5:19: no processor `sessions` is built in"), "{output}");
    if !runner.exists() {
        return;
    }
    let run = format!("'{}' run examples/sessions.yaml", runner.display());
    let output = env.shell(&run).expect(0);
    assert!(output.stdout.contains("records       20,000"), "{output}");
    let output = env.shell(&run).expect(0);
    assert!(output.stdout.contains("resumed from  checkpoint 1"), "{output}");
    assert!(env.read("examples/out/sessions.jsonl").contains("\"sessions\":"), "{output}");
    let output = env.run(&["inspect", "examples/checkpoints/sessions", "--state", "--limit", "1"]).expect(0);
    assert!(output.stdout.starts_with("TASK  KEY      sessions  clicks  longest    last_millis\n"), "{output}");
    env.run(&["verify", "examples/checkpoints/sessions", "--deep"]).expect(0);
}
