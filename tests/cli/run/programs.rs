//! What programs emit, and the examples.

use std::fs;

use super::kill_slow_runs;
use crate::support::{Env, repository};

/// Returns the rows that job `job` published into `dir`, in the order of the files.
fn rows(env: &Env, dir: &str, job: &str) -> Vec<String> {
    let entries = fs::read_dir(env.path(dir)).expect("an output").map(|entry| entry.expect("listed").path());
    let mut files: Vec<_> =
        entries.filter(|path| !path.file_name().expect("a name").to_string_lossy().starts_with('.')).collect();
    files.sort();
    assert!(files.iter().all(|path| path.file_name().expect("a name").to_string_lossy().starts_with(job)), "{files:?}");
    let texts = files.iter().map(|path| fs::read_to_string(path).expect("readable"));
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

const EVENS: &str = "import os, time
from samza import SamzaJob

class Evens(SamzaJob):
    def setup(self):
        self.configs.update(key='k', tasks=8, output='out/', checkpoint={'schedule': '100ms', 'store': 's'})

    def process(self, data):
        if os.environ.get('SLOW') and data['n'] % 50 == 0:
            time.sleep(0.01)
        seen = self.state[data['k']] = self.state.get(data['k'], 0) + 1
        if seen % 2 == 0:
            self.emit({'k': data['k'], 'n': data['n'], 'seen': seen})

    def window(self):
        self.emit({'task': self.task, 'keys': len(self.state)})

if __name__ == '__main__':
    Evens().run()
";

#[test]
fn rows_are_published_once_with_their_checkpoints_whatever_happens() {
    let mut env = Env::new();
    env.write("evens.py", EVENS);
    let line = |i: usize| format!("{{\"k\":\"k{}\",\"n\":{i}}}\n", i * i % 97);
    env.write("data.jsonl", (0..20_000).map(line).collect::<String>());
    let output = env.run(&["run", "evens.py", "data.jsonl", "--threads", "1"]).expect(0);
    let mut undisturbed = rows(&env, "out", "evens-0");
    assert!(undisturbed.len() > 9_000, "{output}");
    undisturbed.sort();
    let again = |env: &Env| {
        fs::remove_dir_all(env.path("s")).expect("removed");
        fs::remove_dir_all(env.path("out")).expect("removed");
    };
    again(&env);
    kill_slow_runs(&mut env, &["run", "evens.py", "data.jsonl", "--threads", "2"]);
    env.run(&["run", "evens.py", "data.jsonl", "--threads", "2"]).expect(0);
    let mut found = rows(&env, "out", "evens-0");
    found.sort();
    assert!(found == undisturbed, "{} rows, expected {}", found.len(), undisturbed.len());
    // The order within a file is the same for any number of workers.
    again(&env);
    let slowly = EVENS.replace("100ms", "1h");
    env.write("evens.py", &slowly);
    env.run(&["run", "evens.py", "data.jsonl", "--threads", "1"]).expect(0);
    let one = rows(&env, "out", "evens-0");
    again(&env);
    env.run(&["run", "evens.py", "data.jsonl", "--threads", "3"]).expect(0);
    assert!(rows(&env, "out", "evens-0") == one);
    env.run(&["verify", "s", "--deep"]).expect(0);
}

#[test]
fn an_output_that_does_not_fit_a_program_is_refused() {
    let env = Env::new();
    env.write("data.jsonl", "");
    for (output, more, expected) in [
        (
            "{files: out/, emit: final, columns: {n: int}}",
            "",
            "job.yaml:4:45: `columns` of `output` are those of emitted rows, which only `emit: rows` writes",
        ),
        (
            "{files: out/, format: csv}",
            "",
            "job.yaml:4:31: `format: csv` needs `columns`: those of the rows that the program emits",
        ),
        (
            "out/",
            "checkpoint: {enabled: false}\n",
            "`emit: rows` publishes rows with each checkpoint, but `checkpoint: enabled` is false",
        ),
    ] {
        env.write("job.yaml", format!("job: j\ninput: data.jsonl\nprocess: {{exec: [cat]}}\noutput: {output}\n{more}"));
        let output = env.run(&["run", "job.yaml"]).expect(2);
        assert!(output.stderr.contains(expected), "{output}");
    }
}

#[test]
fn the_examples_run_and_their_checkpoints_show_their_state() {
    let env = Env::new();
    env.shell(&format!(
        "cp -r '{}' examples && rm -rf examples/programs/out examples/programs/checkpoints",
        repository::path("examples").display()
    ))
    .expect(0);
    let readme = env.read("examples/programs/README.md");
    for (name, row, state) in [
        ("sessions", "{\"user\":\"u000", "\"pages\":["),
        ("clean", "\"email\":\"c0", "value"),
        ("join", "\"section\":\"clothes\",\"owner\":\"Mara\"}", "clothes"),
        ("campaigns", "{\"campaign\":\"spring\",\"top\":[{\"page\":\"/shoes\",\"visits\":", "\"/shoes\":"),
    ] {
        let commands: Vec<&str> =
            readme.split('`').filter(|code| code.starts_with("ckpt ") && code.contains(name)).collect();
        let [run, inspect] = commands[..] else { panic!("{name}: {commands:?}") };
        let script = env.read(&format!("examples/programs/{name}.py"));
        assert!(script.contains(run) && script.contains(inspect), "{name}.py shows other commands than the README");
        env.shell(run).expect(0);
        let rows = rows(&env, "examples/programs/out", "");
        assert!(rows.iter().any(|found| found.contains(row)), "{name}: {rows:?}");
        fs::remove_dir_all(env.path("examples/programs/out")).expect("removed");
        let output = env.shell(inspect).expect(0);
        assert!(output.stdout.contains(state), "{output}");
        env.shell(&format!("ckpt verify --deep examples/programs/checkpoints/{name}")).expect(0);
    }
}
