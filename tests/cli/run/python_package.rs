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

#[test]
fn the_package_has_the_version_of_the_program() {
    let init = fs::read_to_string(repository::path("python/samza/__init__.py")).expect("readable");
    assert!(init.contains(concat!("\n__version__ = '", env!("CARGO_PKG_VERSION"), "'\n")), "{init}");
}

/// In a virtual environment that is not activated, the programs beside the package are not on the PATH.
#[test]
fn the_package_starts_the_ckpt_that_was_installed_with_it() {
    let mut env = Env::new();
    env.write("job.py", JOB);
    let package = repository::path("python/samza").display().to_string();
    env.shell(&format!("mkdir -p venv/lib copy && cp -r '{package}' venv/lib && cp -r '{package}' copy")).expect(0);
    let info = "venv/lib/samza-0.1.0.dist-info";
    env.write(&format!("{info}/METADATA"), "Metadata-Version: 2.1\nName: samza\nVersion: 0.1.0\n");
    env.write(&format!("{info}/RECORD"), "../bin/ckpt,,\nsamza/_start.py,,\n");
    env.write("venv/bin/ckpt", "#!/bin/sh\necho \"installed: $*\"\n");
    env.shell("chmod +x venv/bin/ckpt").expect(0);
    env.set("PYTHONPATH", "venv/lib");
    let output = env.shell("python3 job.py a.jsonl").expect(0);
    assert!(output.stdout.starts_with("installed: run ") && output.stdout.ends_with("job.py a.jsonl\n"), "{output}");
    // Another copy of the package was not installed with it.
    env.set("PYTHONPATH", "copy:venv/lib");
    let output = env.shell("python3 job.py --help").expect(0);
    assert!(output.stdout.contains("Usage: ckpt run"), "{output}");
    env.set("PYTHONPATH", "venv/lib").set("CKPT", "/bin/echo");
    let output = env.shell("python3 job.py").expect(0);
    assert!(output.stdout.starts_with("run "), "{output}");
}
