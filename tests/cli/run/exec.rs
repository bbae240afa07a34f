//! `process: exec`: programs that work, and programs that do not.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, checkpoints, manifest, until, wait};
use crate::support::Env;

/// Counts records by user, hands over what changed at each checkpoint, and does what the job file asks for.
const COUNT: &str = r#"
import json, os, sys, time
state, changed = {}, set()

def say(**message):
    sys.stdout.write(json.dumps(message) + '\n')
    sys.stdout.flush()

trick = sys.argv[1] if len(sys.argv) > 1 else ''
seen = 0
for line in sys.stdin:
    message = json.loads(line)
    kind, number = message['type'], message.get('number')
    if kind == 'restore':
        for task, key, value in message['rows']:
            state[task, key] = value
    elif kind == 'start':
        if trick == 'mute':
            time.sleep(60)
        say(type='ready', protocol=2 if trick == 'newer' else 1)
    elif kind == 'batch':
        for index, (task, offset, data) in enumerate(message['records']):
            if trick == 'die' and data['k'] == 'poison':
                print('this record is poison', file=sys.stderr)
                sys.exit(3)
            if trick == 'killed' and data['k'] == 'poison':
                os.kill(os.getpid(), 9)
            if trick == 'hang' and data['k'] == 'poison':
                time.sleep(60)
            if trick == 'garbage' and data['k'] == 'poison':
                print('Traceback \x1b[31m', flush=True)
            if trick == 'refuse' and data['k'] == 'poison':
                say(type='error', message='no poison, please', record=index)
            if trick == 'once' and data['k'] == 'poison' and not os.path.exists('died'):
                open('died', 'w').close()
                sys.exit(1)
            key = task, data['k']
            state[key] = state.get(key, 0) + 1
            changed.add(key)
            seen += 1
        if trick == 'slow':
            time.sleep(0.05)
        if trick == 'emit':
            say(type='part', emit=[[0, {}]])
        if trick == 'stray':
            say(type='part', changed=[[4000000, 'x', 1]])
        if trick == 'deep':
            say(type='part', changed=[[task, 'x', json.loads('[' * 900 + ']' * 900)]])
        say(type='done', number=number + 1 if trick == 'number' else number)
    elif kind == 'checkpoint':
        say(type='done', number=number, changed=[[task, key, state[task, key]] for task, key in changed])
        changed.clear()
    elif kind == 'tick':
        say(type='done', number=number)
    elif kind == 'close' and trick == 'late':
        sys.exit(9)
"#;

fn write(env: &Env, records: usize, trick: &str, more: &str) {
    env.write("count.py", COUNT);
    let line = |i: usize| match i {
        _ if i == records / 2 => "{\"k\":\"poison\"}\n".to_owned(),
        _ => format!("{{\"k\":\"k{}\", \"n\": [{i}, \"\\u00e4\"]}}\n", i * i % 97),
    };
    env.write("data.jsonl", (0..records).map(line).collect::<String>());
    let (process, top) = more.split_once('/').unwrap_or((more, ""));
    env.write(
        "job.yaml",
        format!(
            "job: j\ninput: data.jsonl\nkey: k\ntasks: 8\n\
             process: {{exec: [python3, count.py, '{trick}']{process}}}\ncheckpoint: {{store: s, schedule: 100ms}}\n{top}"
        ),
    );
}

/// Returns the state that `ckpt` shows, as JSON lines.
fn state(env: &Env) -> String {
    env.run(&["restore", "s", "--to", "state", "--format", "jsonl"]).expect(0);
    let mut files: Vec<_> =
        fs::read_dir(env.path("state")).expect("listed").map(|entry| entry.expect("read").path()).collect();
    files.sort();
    let texts: Vec<String> = files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    fs::remove_dir_all(env.path("state")).expect("removed");
    texts.concat()
}

#[test]
fn the_state_of_a_program_is_checkpointed_shown_and_compared() {
    let env = Env::new();
    write(&env, 5000, "", "");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stdout.contains("records       5,000"), "{output}");
    assert!(output.stdout.contains("keys          50\n"), "{output}");
    env.run(&["verify", "s", "--deep"]).expect(0);
    let row = env.run(&["inspect", "s", "--state", "--key", "poison", "--json"]).expect(0);
    assert!(row.stdout.contains(r#""key":"poison","values":{"value":1}"#), "{row}");
    assert!(manifest(&env.path("s"), 1).contains("routing: program\n"));
    // More input: the difference shows only what changed.
    let path = env.path("data.jsonl");
    fs::write(&path, format!("{}{{\"k\":\"poison\"}}\n", env.read("data.jsonl"))).expect("written");
    env.run(&["run", "job.yaml"]).expect(0);
    let latest = checkpoints(&env.path("s")).pop().expect("a checkpoint");
    let diff = env.run(&["diff", &format!("s@{}", latest - 1), &format!("s@{latest}"), "--json"]).expect(1);
    assert!(diff.stdout.contains(r#""old":{"value":1},"new":{"value":2}"#), "{diff}");
    assert!(diff.stdout.contains(r#""changed":1"#), "{diff}");
    env.run(&["verify", "s", "--deep"]).expect(0);
    // A rollback restores the program's state as well.
    env.run(&["restore", "s@1"]).expect(0);
    assert!(state(&env).contains(r#""value":1"#));
}

#[test]
fn a_program_that_misbehaves_ends_the_run_and_the_error_says_how() {
    let at = "of `data.jsonl`";
    for (trick, process, expected) in [
        (
            "die",
            "",
            vec![
                "it ended with exit status 3, at the records at bytes",
                at,
                "last line of standard error: this record is poison",
            ],
        ),
        ("killed", "", vec!["it ended by signal 9, at the records", at]),
        ("hang", ", timeout: 4s", vec!["it has not answered for 4 s, at the records", at]),
        ("mute", ", timeout: 300ms", vec!["it has not answered for 300 ms"]),
        (
            "garbage",
            "",
            vec!["it wrote a line that is not an answer: expected value at byte 1: `Traceback \\u{1b}[31m`"],
        ),
        ("number", "", vec!["it answered request 2, expected an answer to request 1"]),
        (
            "refuse",
            "",
            vec!["it says: no poison, please, at the record at byte", at, "which begins `{\"k\":\"poison\"}`"],
        ),
        ("newer", "", vec!["it speaks version 2 of the protocol, expected 1"]),
        ("emit", "", vec!["it emitted a row, but the job has no `output`"]),
        ("stray", "", vec!["it handed over something for task 4000000, which is not one of its own"]),
        ("deep", "", vec!["it handed over a value that is not JSON: recursion limit exceeded", "key `x`"]),
    ] {
        let env = Env::new();
        write(&env, 1000, trick, process);
        let output = env.run(&["run", "job.yaml"]).expect(4);
        assert!(output.stderr.contains("program `count.py` of worker"), "{trick}: {output}");
        for part in expected {
            assert!(output.stderr.contains(part), "{trick}: expected {part}\n{output}");
        }
        assert_eq!(checkpoints(&env.path("s")), [0; 0], "{trick}");
    }
}

#[test]
fn a_missing_program_is_a_mistake_in_the_job_file() {
    let env = Env::new();
    write(&env, 10, "", ", restarts: 5");
    env.write("job.yaml", env.read("job.yaml").replace("python3", "./nowhere"));
    let output = env.run(&["run", "job.yaml"]).expect(2);
    assert!(output.stderr.contains("job.yaml:5:17: program `count.py` of worker"), "{output}");
    assert!(output.stderr.contains("No such file or directory"), "{output}");
}

#[test]
fn a_run_restarts_after_a_failure_and_ends_like_an_undisturbed_one() {
    let env = Env::new();
    write(&env, 3000, "", "");
    env.run(&["run", "job.yaml"]).expect(0);
    let undisturbed = state(&env);
    fs::remove_dir_all(env.path("s")).expect("removed");
    write(&env, 3000, "once", ", restarts: 2, backoff: 10ms");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("; restart 1 of 2 in 10 ms"), "{output}");
    assert!(output.stdout.contains("records       3,000"), "{output}");
    assert!(output.stdout.contains("restarts      1\n"), "{output}");
    assert_eq!(state(&env), undisturbed);
    // A program that always fails uses up its restarts.
    fs::remove_dir_all(env.path("s")).expect("removed");
    write(&env, 3000, "die", ", restarts: 2, backoff: 10ms");
    let output = env.run(&["run", "job.yaml"]).expect(4);
    assert!(output.stderr.contains("error: the job has failed 3 times without a checkpoint in between\n"), "{output}");
    assert!(output.stderr.contains("restart 2 of 2 in 20 ms"), "{output}");
}

#[test]
fn a_job_whose_input_cannot_be_read_again_is_not_restarted() {
    let env = Env::new();
    write(&env, 100, "die", ", restarts: 2");
    env.write("job.yaml", env.read("job.yaml").replace("input: data.jsonl", "input: {files: '-', format: json}"));
    let output = env.run_with_input(&["run", "job.yaml"], env.read("data.jsonl").as_bytes()).expect(4);
    assert!(output.stderr.contains("error: cannot restart the job"), "{output}");
    assert!(output.stderr.contains("it ended with exit status 3"), "{output}");
}

#[test]
fn a_run_with_programs_survives_being_killed_and_leaves_no_program_running() {
    let env = Env::new();
    write(&env, 40_000, "", "");
    env.run(&["run", "job.yaml"]).expect(0);
    let undisturbed = state(&env);
    fs::remove_dir_all(env.path("s")).expect("removed");
    write(&env, 40_000, "slow", "");
    for last in [1, 2] {
        let mut run =
            env.command(&["run", "job.yaml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        until("there is a checkpoint", || {
            checkpoints(&env.path("s")).len() >= last || run.try_wait().is_ok_and(|end| end.is_some())
        });
        run.kill().expect("killed");
        run.wait().expect("waited");
    }
    // Ctrl-C ends it with a last checkpoint: the programs stay alive for that.
    let mut run =
        env.command(&["run", "job.yaml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let before = checkpoints(&env.path("s")).len();
    until("the program works", || {
        checkpoints(&env.path("s")).len() > before || run.try_wait().is_ok_and(|end| end.is_some())
    });
    let _ = kill_process(Pid::from_child(&run), Signal::INT);
    assert_eq!(wait(&mut run, PATIENCE), 0);
    write(&env, 40_000, "", "");
    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(state(&env), undisturbed);
    env.run(&["verify", "s", "--deep"]).expect(0);
    let script = env.path("count.py").display().to_string();
    until("no program is left", || {
        let entries = fs::read_dir("/proc").expect("listed").filter_map(Result::ok);
        let there = |pid: &std::path::Path| {
            fs::read_link(pid.join("cwd"))
                .is_ok_and(|cwd| Some(cwd.as_path()) == std::path::Path::new(&script).parent())
        };
        !entries.map(|entry| entry.path()).any(|pid| there(&pid))
    });
}

/// A program whose reaction to each message is `body`; it answers every request by itself unless `body` already did.
fn program(env: &Env, body: &str) {
    let script = format!(
        "import json, os, subprocess, sys, time\n\
         def say(**message):\n    sys.stdout.write(json.dumps(message) + '\\n'); sys.stdout.flush()\n\
         for line in sys.stdin:\n    m = json.loads(line)\n    kind, number, answered = m['type'], m.get('number'), False\n\
         {body}\n    if kind == 'start': say(type='ready')\n    elif number and not answered: say(type='done', number=number)\n"
    );
    env.write("program.py", script);
    env.write("data.jsonl", "{\"k\":1}\n");
}

fn job(env: &Env, process: &str) {
    let text = format!(
        "job: j\ninput: data.jsonl\nprocess: {{exec: [python3, program.py]{process}}}\ncheckpoint: {{store: s}}\n"
    );
    env.write("job.yaml", text);
}

#[test]
fn large_state_is_sent_and_received_in_parts() {
    let env = Env::new();
    program(
        &env,
        "    if kind == 'batch':\n\
         \x20       for i in range(60): say(type='part', changed=[[0, 'k%02d' % i, 'x' * 100_000]])\n\
         \x20       say(type='part', deleted=[[0, 'k07'], [0, 'never']])\n\
         \x20   if kind == 'restore': print(len(line) < 2 << 20, len(m['rows']), file=sys.stderr)",
    );
    job(&env, "");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stdout.contains("keys          59\n"), "{output}");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    let told = output.stderr.lines().filter_map(|line| line.split_once("program.py[0]: True ")?.1.parse::<u32>().ok());
    let parts: Vec<u32> = told.collect();
    assert!(parts.len() > 4 && parts.iter().sum::<u32>() == 59, "{output}");
}

#[test]
fn a_chatty_program_is_reported_in_bounded_lines_and_slows_only_itself() {
    let env = Env::new();
    program(
        &env,
        "    if kind == 'batch': sys.stderr.write('y' * 10_000 + '\\n'); [print('line', i, file=sys.stderr) for i in range(5000)]",
    );
    job(&env, "");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("program.py[0]: line 4999\n"), "{} lines", output.stderr.lines().count());
    assert!(output.stderr.lines().all(|line| line.len() < 4200));
    assert_eq!(output.stderr.matches("yyyy\n").count(), 3);
    assert!(!env.run(&["run", "job.yaml", "--quiet"]).expect(0).stderr.contains("line"));
}

#[test]
fn an_idle_program_is_told_the_time_and_its_children_die_with_it() {
    let env = Env::new();
    program(
        &env,
        "    if kind == 'batch': child = subprocess.Popen(['sleep', '1000'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n\
         \x20   if kind == 'tick' and not m['ended']: open('child', 'w').write(str(child.pid)); print('ticked', number, file=sys.stderr)",
    );
    job(&env, ", tick: 20ms");
    env.write("job.yaml", env.read("job.yaml").replace("input: data.jsonl", "input: {files: '-', format: json}"));
    let mut command = env.command(&["run", "job.yaml"]);
    let mut run = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let mut stdin = run.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, b"{\"k\":1}\n").expect("written");
    // A block of standard input is handed out when it is full, or at the end of the input.
    drop(stdin);
    assert_eq!(wait(&mut run, PATIENCE), 0);
    if let Ok(pid) = fs::read_to_string(env.path("child")) {
        until("the child of the program has ended", || !std::path::Path::new(&format!("/proc/{pid}/cwd")).exists());
    }
}

#[test]
fn a_program_that_has_ended_is_reported_though_a_process_of_its_own_keeps_the_stream_open() {
    for (when, at) in [("batch", ", at the record at byte 0 of `data.jsonl`"), ("start", "")] {
        let env = Env::new();
        program(&env, &format!("    if kind == '{when}': subprocess.Popen(['sleep', '30']); sys.exit(3)"));
        job(&env, ", timeout: 25s");
        let begun = Instant::now();
        let output = env.run(&["run", "job.yaml"]).expect(4);
        assert!(output.stderr.contains(&format!("it ended with exit status 3{at}\n")), "{when}: {output}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{when}: {:?}", begun.elapsed());
    }
}

#[test]
fn what_a_program_prints_before_its_first_answer_is_a_note() {
    let env = Env::new();
    program(
        &env,
        "    if kind == 'hello': print('Hello from a library'); print({'a': 1}); print('no end', end=' ', flush=True)",
    );
    job(&env, "");
    let output = env.run(&["run", "job.yaml"]).expect(0);
    for note in ["Hello from a library", "{'a': 1}", "no end "] {
        assert!(output.stderr.contains(&format!("program.py[0]: {note}\n")), "{note}: {output}");
    }
    // More than fits into all buffers, while the state is sent.
    program(
        &env,
        "    if kind == 'hello':\n\
         \x20       for i in range(20_000): print('line', i)\n\
         \x20   if kind == 'batch': say(type='part', changed=[[0, 'k', 'x' * 3_000_000]])",
    );
    env.write("data.jsonl", env.read("data.jsonl").repeat(2));
    env.run(&["run", "job.yaml"]).expect(0);
    let output = env.run(&["run", "job.yaml"]).expect(0);
    assert!(output.stderr.contains("program.py[0]: line 19999\n"), "{} lines", output.stderr.lines().count());
}

#[test]
fn a_program_without_requests_is_not_too_late() {
    let env = Env::new();
    program(&env, "");
    job(&env, ", timeout: 3s");
    let text = env.read("job.yaml").replace("input: data.jsonl", "input: {files: data.jsonl, follow: true}");
    env.write("job.yaml", text);
    let stderr = fs::File::create(env.path("stderr")).expect("created");
    let mut run = env.command(&["run", "job.yaml"]).stdout(Stdio::null()).stderr(stderr).spawn().expect("started");
    std::thread::sleep(Duration::from_secs(5));
    let _ = kill_process(Pid::from_child(&run), Signal::TERM);
    assert_eq!(wait(&mut run, PATIENCE), 0, "{}", env.read("stderr"));
}

#[test]
fn csv_and_text_records_arrive_as_objects() {
    let env = Env::new();
    env.write("echo.py", "import json, sys\nfor line in sys.stdin:\n  m = json.loads(line)\n  t = m['type']\n  if t == 'start': print('{\"type\":\"ready\"}', flush=True)\n  elif t == 'batch': print(json.dumps({'type': 'done', 'number': m['number'], 'changed': [[r[0], 'at %d' % r[1], r[2]] for r in m['records']]}, separators=(',', ':')), flush=True)\n  elif 'number' in m: print(json.dumps({'type': 'done', 'number': m['number']}), flush=True)\n");
    for (name, content, more, expected) in [
        (
            "a.csv",
            "k,x y,n\na,\"b\"\"\n,\",\nc,,1\n",
            "",
            vec![r#"{"k":"a","x y":"b\"\n,","n":""}"#, r#"{"k":"c","x y":"","n":"1"}"#],
        ),
        ("a.txt", "Hello \"you\"\n\ttwo\n", "", vec![r#"{"line":"Hello \"you\""}"#, r#"{"line":"\ttwo"}"#]),
        ("b.txt", "one two\n", ", split: words", vec![r#"{"word":"two"}"#]),
    ] {
        env.write(name, content);
        env.write("job.yaml", format!("job: j\ninput: {{files: {name}{more}}}\nprocess: {{exec: [python3, echo.py]}}\ncheckpoint: {{store: s}}\n"));
        env.run(&["run", "job.yaml"]).expect(0);
        let rows = state(&env);
        for row in expected {
            assert!(rows.contains(&format!("\"value\":{row}")), "{name}: {rows}");
        }
        fs::remove_dir_all(env.path("s")).expect("removed");
    }
}

#[test]
fn a_program_follows_growing_input_and_is_told_the_time_meanwhile() {
    let env = Env::new();
    write(&env, 100, "", ", tick: 20ms");
    let text = env.read("job.yaml").replace("input: data.jsonl", "input: {files: 'data*.jsonl', follow: true}");
    env.write("job.yaml", text.replace("key: k\ntasks: 8\n", ""));
    let stderr = fs::File::create(env.path("stderr")).expect("created");
    let mut run = env.command(&["run", "job.yaml"]).stdout(Stdio::null()).stderr(stderr).spawn().expect("started");
    let latest =
        || checkpoints(&env.path("s")).pop().map(|number| manifest(&env.path("s"), number)).unwrap_or_default();
    until("the first lines are in a checkpoint", || latest().contains("records: 100\n"));
    env.write("data-2.jsonl", "{\"k\":\"new\"}\n");
    until("the lines of a new file are in a checkpoint", || latest().contains("records: 101\n"));
    let _ = kill_process(Pid::from_child(&run), Signal::TERM);
    assert_eq!(wait(&mut run, PATIENCE), 0, "{}", env.read("stderr"));
    let row = env.run(&["inspect", "s", "--state", "--key", "new", "--json"]).expect(0);
    assert!(row.stdout.contains(r#""values":{"value":1}"#), "{row}");
    env.run(&["verify", "s", "--deep"]).expect(0);
}

#[test]
fn what_a_program_says_last_is_reported_though_it_does_not_read_what_it_is_told() {
    let env = Env::new();
    program(
        &env,
        "    if kind == 'start': os.close(0); say(type='ready'); time.sleep(0.5); say(type='error', message='no luck'); os._exit(1)",
    );
    env.write("data.jsonl", "{\"k\":1}\n".repeat(150_000));
    job(&env, "");
    let output = env.run(&["run", "job.yaml"]).expect(4);
    assert!(output.stderr.contains("it says: no luck\n"), "{output}");
}
