//! Jobs that are Python classes.

use std::fs;

use super::{checkpoints, kill_slow_runs};
use crate::support::{Env, binary, repository};

/// The job of the module's documentation, verbatim.
const LISTING: &str = "from samza import SamzaJob

class MyJob(SamzaJob):
    def setup(self):
        self.configs['checkpoint'] = {'enabled': True, 'schedule': '10m', 'mode': 'elided'}

    def process(self, data):
        pass

if __name__ == '__main__':
    MyJob().run()
";

/// Counts, and keeps a list inside a dictionary for each key.
const VISITS: &str = "import os, time
from samza import SamzaJob

class Visits(SamzaJob):
    def setup(self):
        self.configs['key'] = 'k'
        self.configs['tasks'] = 8
        self.configs['checkpoint'] = {'schedule': '100ms', 'store': 's'}

    def process(self, data):
        if os.environ.get('SLOW') and data['n'] % 50 == 0:
            time.sleep(0.01)
        print('seen', end='')
        visits = self.state.setdefault(data['k'], {'n': 0, 'last': []})
        visits['n'] += 1
        visits['last'].append(data['n'])
        del visits['last'][:-3]
        if visits['n'] % 40 == 0:
            del self.state[data['k']]

if __name__ == '__main__':
    Visits().run()
";

fn records(env: &Env, count: usize) {
    let line = |i: usize| format!("{{\"k\":\"k{}\",\"n\":{i}}}\n", i * i % 97);
    env.write("data.jsonl", (0..count).map(line).collect::<String>());
}

fn state(env: &Env, store: &str) -> String {
    env.run(&["inspect", store, "--state", "--limit", "0"]).expect(0).stdout
}

/// Checks that an undisturbed run over all the input publishes the same rows as the runs so far, `count` of them.
fn assert_unbroken(env: &Env, count: usize) {
    let rows = || env.shell("cat out/*.jsonl").expect(0).stdout;
    let resumed = rows();
    assert_eq!(resumed.lines().count(), count, "{resumed}");
    for directory in ["out", "checkpoints"] {
        fs::remove_dir_all(env.path(directory)).expect("removed");
    }
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    assert_eq!(rows(), resumed);
}

#[test]
fn the_listing_runs_unchanged_however_it_is_started() {
    let mut env = Env::new();
    env.write("my_job.py", LISTING);
    records(&env, 100);
    let output = env.run_with_input(&["run", "my_job.py"], env.read("data.jsonl").as_bytes()).expect(0);
    assert!(output.stdout.contains("my_job: the input was read to its end"), "{output}");
    assert!(output.stdout.contains("records       100 "), "{output}");
    let output = env.run_with_input(&["run", "my_job.py"], env.read("data.jsonl").as_bytes()).expect(0);
    assert!(output.stdout.contains("resumed from  checkpoint 1"), "{output}");
    // Started by Python, with the module from the repository and the binary under test.
    fs::remove_dir_all(env.path("checkpoints")).expect("removed");
    let module = repository::path("python").display().to_string();
    env.set("PYTHONPATH", &module).set("CKPT", &binary().display().to_string());
    let output = env.shell("python3 my_job.py --json data.jsonl").expect(0);
    assert!(output.stdout.contains(r#""job":"my_job","ended":true"#), "{output}");
    env.run(&["verify", "checkpoints/my_job", "--deep"]).expect(0);
}

#[test]
fn the_state_of_a_class_survives_being_killed() {
    let mut env = Env::new();
    env.write("visits.py", VISITS);
    records(&env, 20_000);
    env.run(&["run", "visits.py", "data.jsonl"]).expect(0);
    let undisturbed = state(&env, "s");
    assert!(undisturbed.contains(r#""last":["#), "{undisturbed}");
    fs::remove_dir_all(env.path("s")).expect("removed");
    kill_slow_runs(&mut env, &["run", "visits.py", "data.jsonl", "--threads", "2"]);
    let output = env.run(&["run", "visits.py", "data.jsonl"]).expect(0);
    assert!(!output.stdout.contains("resumed from  nothing"), "{output}");
    assert_eq!(state(&env, "s"), undisturbed);
    env.run(&["verify", "s", "--deep"]).expect(0);
}

#[test]
fn a_mistake_in_a_class_is_reported_with_its_place() {
    let env = Env::new();
    records(&env, 100);
    let job = |body: &str| LISTING.replace("pass", body);
    for (script, code, expected) in [
        (
            job("self.state[7] = 1"),
            4,
            vec!["TypeError: the keys of state must be text, found int: 7", "the record at byte 0 of `data.jsonl`"],
        ),
        (
            job("self.state['x'] = {1, 2}"),
            4,
            vec!["TypeError: the state of key 'x' is not JSON: Object of type set is not JSON serializable"],
        ),
        (
            job("self.state['x'] = (1, 2)"),
            4,
            vec!["TypeError: the state of key 'x' is not JSON: it would be [1,2] after a restart (tuple becomes list)"],
        ),
        (job("self.state['x'] = float('nan')"), 4, vec!["the state of key 'x' is not JSON: Out of range float values"]),
        (
            job("return data['absent']"),
            4,
            vec![
                "job: job.py[0]: Traceback",
                "it says: KeyError: 'absent', at the record at byte 0 of `data.jsonl`, which begins `{\"k\":\"k0\",\"n\":0}`",
            ],
        ),
        (job("raise SystemExit(5)"), 4, vec!["it ended with exit status 5"]),
        (
            LISTING.replace("'schedule'", "'schedul'"),
            2,
            vec![
                "job.py: configs at `\"schedul\": \"10m\"`: unknown key `schedul` in `checkpoint`, did you mean `schedule`?",
            ],
        ),
        (
            LISTING.replace("    MyJob().run()", "    MyJob()"),
            2,
            vec!["`job.py` did not describe its job", "call `run()`"],
        ),
        (
            LISTING.replace("def setup(self):", "def setup(self)"),
            2,
            vec!["SyntaxError", "`job.py` did not describe its job: it ended with exit status: 1"],
        ),
        (LISTING.replace("True", "{1}"), 2, vec!["configs['checkpoint'] is not JSON"]),
    ] {
        env.write("job.py", &script);
        let output = env.run(&["run", "job.py", "data.jsonl"]).expect(code);
        for part in expected {
            assert!(output.stderr.contains(part), "expected {part}\n{script}\n{output}");
        }
        let _ = fs::remove_dir_all(env.path("checkpoints"));
    }
    env.write("job.py", LISTING);
    let output = env.run(&["run", "job.py", "nowhere.jsonl"]).expect(2);
    assert!(output.stderr.contains("cannot read input `nowhere.jsonl`"), "{output}");
    let output = env.run(&["run", "gone.py", "data.jsonl"]).expect(2);
    assert!(output.stderr.contains("cannot read job `gone.py`"), "{output}");
}

#[test]
fn a_value_that_would_come_back_as_another_type_is_refused() {
    let env = Env::new();
    records(&env, 10);
    let job = LISTING.replace("pass", "self.state.setdefault('c', collections.Counter()).update(x=1)");
    env.write("job.py", format!("import collections\n{job}"));
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(4);
    let expected = "the state of key 'c' is not JSON: it would be {} after a restart (Counter becomes dict), at the record \
                    at byte 0 of `data.jsonl`";
    assert!(output.stderr.contains(expected), "{output}");
    assert_eq!(checkpoints(&env.path("checkpoints/job")), [0; 0]);
}

#[test]
fn the_order_of_the_state_is_the_same_after_a_restart() {
    let env = Env::new();
    let body = "self.state[data['k']] = 1
        self.emit({'order': list(self.state), 'first': next(iter(self.state.items()))[0]})";
    env.write(
        "job.py",
        LISTING.replace("pass", body).replace("'elided'}", "'elided'}; self.configs['output'] = 'out/'"),
    );
    let (early, late) = ("{\"k\":\"z\"}\n{\"k\":\"a\"}\n", "{\"k\":\"y\"}\n{\"k\":\"b\"}\n");
    env.write("data.jsonl", early);
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    env.write("data.jsonl", [early, late].concat());
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    assert_unbroken(&env, 4);
}

#[test]
fn what_a_job_prints_while_it_is_loaded_does_no_harm() {
    let env = Env::new();
    records(&env, 10);
    env.write("greeting.py", "print('Hello from a library')\nprint({'type': 1}, end='')\n");
    env.write("job.py", format!("import greeting\n{LISTING}"));
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    assert!(output.stderr.contains("job.py[0]: Hello from a library\n"), "{output}");
    assert!(output.stderr.contains("job.py[0]: {'type': 1}\n"), "{output}");
    assert!(!output.stdout.contains("Hello"), "{output}");
    env.write("job.py", "print('no job here')\n");
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(2);
    assert!(output.stderr.contains("no job here\n"), "{output}");
    assert!(output.stderr.contains("`job.py` did not describe its job"), "{output}");
}

#[test]
fn what_a_script_starts_in_the_background_delays_nothing() {
    let env = Env::new();
    records(&env, 10);
    // It inherits the standard streams, and would keep them open for a minute.
    env.write("job.py", format!("import subprocess\nsubprocess.Popen(['sleep', '60'])\n{LISTING}"));
    let begun = std::time::Instant::now();
    env.run(&["check", "job.py", "data.jsonl"]).expect(0);
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    assert!(begun.elapsed().as_secs() < 50, "{:?}", begun.elapsed());
    env.write("job.py", format!("while True: print('x' * 100_000)\n{LISTING}"));
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(2);
    assert!(output.stderr.contains("it printed more than 16777216 bytes"), "{output}");
}

#[test]
fn every_value_comes_back_as_it_was() {
    let env = Env::new();
    let values = r#"[True, 0, 1.0, -0.0, 1e16, 5e-324, 2 ** 70, 0.1 + 0.2, '', '\0', '\u2028', '1', 'e\u0301', None, [], {},
        {'b': 1, 'a': {'z': [1, 1.0, True], '': None}}]"#;
    let body = format!(
        "for i, value in enumerate({values}):
            self.state.setdefault('v%02d' % i, value)
        for key in ['', '\\0', ' ', '1', '1.0', 'null', 'e\\u0301', '\\u00e9', '\\U0001f600']:
            self.state.setdefault(key, key)
        order = self.state.setdefault('order', {{'a': 1, 'b': 2}})
        order['a'] = order.pop('a')
        del self.state['v00']
        self.state['v00'] = True
        self.emit({{'n': data['n'], 'state': repr(self.state)}})"
    );
    env.write(
        "job.py",
        LISTING.replace("pass", &body).replace("'elided'}", "'elided'}; self.configs['output'] = 'out/'"),
    );
    for count in 1..=4 {
        records(&env, count);
        env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    }
    assert_unbroken(&env, 4);
}

#[test]
fn a_state_that_is_replaced_is_refused() {
    let env = Env::new();
    records(&env, 10);
    env.write("job.py", LISTING.replace("pass", "self.state = {data['k']: 1}"));
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(4);
    assert!(output.stderr.contains("self.state cannot be replaced"), "{output}");
    assert!(output.stderr.contains("at the record at byte 0 of `data.jsonl`"), "{output}");
}

#[test]
fn the_name_of_a_script_may_look_like_an_option() {
    let env = Env::new();
    records(&env, 10);
    env.write("-c.py", LISTING);
    env.run(&["run", "./-c.py", "data.jsonl"]).expect(0);
}

#[test]
fn a_job_finds_the_module_without_a_home() {
    let mut env = Env::new();
    records(&env, 10);
    env.write("job.py", LISTING);
    fs::create_dir(env.path("temporary")).expect("created");
    let temporary = env.path("temporary").display().to_string();
    env.set("HOME", "/proc/nowhere").set("XDG_CACHE_HOME", "").set("PYTHONPATH", "").set("TMPDIR", &temporary);
    for _ in 0..2 {
        env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    }
    assert_eq!(fs::read_dir(env.path("temporary")).expect("listed").count(), 1);
    // A colon would end the path in PYTHONPATH.
    fs::remove_dir_all(env.path("temporary/")).and_then(|()| fs::create_dir(env.path("temporary"))).expect("emptied");
    env.set("HOME", &env.path("a:b").display().to_string());
    env.run(&["run", "job.py", "data.jsonl"]).expect(0);
    assert_eq!(fs::read_dir(env.path("temporary")).expect("listed").count(), 1);
    env.set("HOME", "/proc/nowhere").set("TMPDIR", "/proc/nowhere");
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(2);
    assert!(output.stderr.contains("No module named 'samza'"), "{output}");
    assert!(
        output.stderr.contains("could not be provided (cannot write `/proc/nowhere/.cache/ckpt/python/"),
        "{output}"
    );
}

#[test]
fn a_method_that_would_not_run_is_refused() {
    let env = Env::new();
    records(&env, 10);
    for (script, reason) in [
        (LISTING.replace("pass", "yield data"), "process must not be a generator: use self.emit(row) instead of yield"),
        (LISTING.replace("def process", "async def process"), "process must not be async: it is called without await"),
    ] {
        env.write("job.py", script);
        let output = env.run(&["run", "job.py", "data.jsonl"]).expect(2);
        assert!(output.stderr.contains(reason), "{output}");
    }
}

#[test]
fn an_exception_with_half_a_surrogate_is_reported_with_its_record() {
    let env = Env::new();
    records(&env, 10);
    env.write("job.py", LISTING.replace("pass", r"raise ValueError('no such file: caf\udce9.txt')"));
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(4);
    let expected = r"it says: ValueError: no such file: caf\udce9.txt, at the record at byte 0 of `data.jsonl`";
    assert!(output.stderr.contains(expected), "{output}");
    env.write("job.py", LISTING.replace("pass", r"self.state['caf\udce9'] = 1"));
    let output = env.run(&["run", "job.py", "data.jsonl"]).expect(4);
    let expected = r"the key 'caf\udce9' of the state is not Unicode text";
    assert!(output.stderr.contains(expected) && output.stderr.contains("at the record at byte 0"), "{output}");
}

#[test]
fn files_on_the_command_line_replace_those_of_the_job() {
    let env = Env::new();
    records(&env, 100);
    env.write(
        "jobs/job.yaml",
        "job: j\ninput: absent.csv\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: s}\n",
    );
    env.write("jobs/here[1].jsonl", "{\"k\":1}\n");
    let output = env.run(&["run", "jobs/job.yaml", "jobs/here[1].jsonl", "data.jsonl"]).expect(0);
    assert!(output.stdout.contains("records       101 "), "{output}");
    let positions = env.run(&["inspect", "jobs/s", "--positions"]).expect(0);
    assert!(positions.stdout.contains("here[1].jsonl"), "{positions}");
    assert!(positions.stdout.contains("/data.jsonl"), "{positions}");
}

#[test]
fn the_module_passes_its_own_tests() {
    let env = Env::new();
    let python = repository::path("python");
    let output = env.shell(&format!("cd '{}' && python3 -B -m unittest discover -s tests 2>&1", python.display()));
    assert!(output.status == 0 && output.stdout.contains("\nOK"), "{output}");
}
