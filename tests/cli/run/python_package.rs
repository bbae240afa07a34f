//! The Python package that is built into the binary.

use std::fs;

use crate::support::{Env, repository};

const JOB: &str = "from samza import SamzaJob


class Job(SamzaJob):
    def setup(self):
        self.configs['key'] = 'k'
        self.configs['tasks'] = 64

    def process(self, data):
        self.add(data['absent'])

    def add(self, amount):
        pass


if __name__ == '__main__':
    Job().run()
";

#[test]
fn a_mistake_has_one_traceback_with_the_lines_of_the_job() {
    let env = Env::new();
    env.write("data.jsonl", (0..1000).map(|i| format!("{{\"k\":{i}}}\n")).collect::<String>());
    env.write("job.py", JOB);
    let files = |stderr: &str| -> Vec<String> {
        let lines = stderr.lines().filter_map(|line| line.split_once("  File \"")).map(|(_, place)| place);
        lines.filter_map(|place| Some(place.rsplit_once('/')?.1.to_owned())).collect()
    };
    // Each worker fails at its first record.
    for threads in ["1", "4"] {
        let output = env.run(&["run", "job.py", "data.jsonl", "--threads", threads]).expect(4);
        assert_eq!(output.stderr.matches("Traceback").count(), 1, "{output}");
        assert_eq!(files(&output.stderr), ["job.py\", line 10, in process"], "{output}");
        assert!(output.stderr.contains("it says: KeyError: 'absent', at the record at byte"), "{output}");
    }
    env.write("job.py", JOB.replace("self.configs['tasks']", "self.confgs['tasks']"));
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(2);
    assert_eq!(files(&output.stderr), ["job.py\", line 7, in setup"], "{output}");
}

#[test]
fn the_package_is_written_whole() {
    let mut env = Env::new();
    env.write("data.jsonl", "{\"k\":1,\"absent\":1}\n");
    env.write("job.py", JOB);
    env.set("XDG_CACHE_HOME", &env.path("cache").display().to_string());
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    let names = |directory: &std::path::Path| {
        let entries = fs::read_dir(directory).expect("listed").map(|entry| entry.expect("read").file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().expect("text")).collect();
        names.retain(|name| name != "__pycache__");
        names.sort();
        names
    };
    let digest = &names(&env.path("cache/ckpt/python"))[0];
    let written = env.path(&format!("cache/ckpt/python/{digest}/samza"));
    let source = repository::path("python/samza");
    assert_eq!(names(&written), names(&source));
    for name in names(&source) {
        assert_eq!(fs::read(written.join(&name)).unwrap(), fs::read(source.join(&name)).unwrap(), "{name}");
    }
    // A file that was damaged is written again.
    fs::write(written.join("_state.py"), "damaged").expect("written");
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
}
