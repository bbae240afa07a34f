//! `input.pattern`: text with structure, compared with what plain Python computes.

use crate::support::Env;

/// Writes an untidy access log and what a regular expression of Python makes of it.
const ACCESS: &str = r#"
import collections, datetime, json, random, re
r = random.Random(7)
agents = ["curl/8.5.0", "-", "", r'Mozilla/5.0 \"x\" \\', "Gr\u00fc\u00dfe", "a [b] c"]
requests = ["GET /a HTTP/1.1", "GET /a b HTTP/1.1", "POST /c", "-", "", r"\x16\x03", "GET", "get /a HTTP/1.1", r'GET /\"q HTTP/2']
with open("access.log-20261024", "w", encoding="utf-8", newline="") as f:
    for i in range(5000):
        line = '%s - %s [%02d/%s/2026:%02d:00:59 %s] "%s" %s %s "%s" "%s"' % (
            r.choice(["192.0.2.1", "2001:db8::1", "h.example"]), r.choice(["-", "a user", "x"]), r.randint(1, 28),
            r.choice(["Jan", "Oct", "Dec"]), r.randint(0, 23), r.choice(["+0000", "-0730"]), r.choice(requests),
            r.choice(["200", "404", "-"]), r.choice(["-", "0", "00", "12345"]), r.choice(agents), r.choice(agents))
        if r.random() < 0.05:
            at = r.randrange(len(line))
            line = r.choice([line[:at], line + " 0.12", line.replace("2026", "202"), line.replace(" [", "["), "", "x"])
        f.write(line + r.choice(["\n", "\r\n"]))
quoted = r'"((?:[^"\\]|\\.)*)"'
form = re.compile(r'(\S+) (\S+) (\S.*?) \[(\d\d)/(\w{3})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)\] ' + quoted +
    r' (\d+|-) (\d+|-) ' + quoted + ' ' + quoted, re.ASCII)
rows = collections.defaultdict(lambda: {"n": 0, "bytes": None, "last": None, "agents": 0, "users": 0, "status": None})
bad = 0
for line in open("access.log-20261024", encoding="utf-8", newline=""):
    line = line.rstrip("\r\n")
    if not line:
        continue
    m = form.fullmatch(line)
    if not m:
        bad += 1
        continue
    host, ident, user, day, month, year, clock, zh, zm, request, status, size, referer, agent = m.groups()
    req = re.fullmatch(r"([A-Z_-]+) (.*?)(?: (HTTP/\S*))?", request) if request != "-" else None
    path = req.group(2) if req else None
    if path is None or path == "":
        path = "none"
    row = rows[path]
    row["n"] += 1
    if size != "-":
        row["bytes"] = (row["bytes"] or 0) + int(size)
    number = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split().index(month) + 1
    time = "%s-%02d-%sT%s%s:%s" % (year, number, day, clock, zh, zm)
    row["last"] = max(row["last"] or "", time)
    row["agents"] += agent not in ("-", "")
    row["users"] += user != "-"
    if status != "-":
        row["status"] = int(status)
with open("expected.jsonl", "w", encoding="utf-8") as f:
    for path in sorted(rows, key=lambda path: path.encode()):
        if path != "none":
            f.write(json.dumps({"path": path, **rows[path]}, ensure_ascii=False, separators=(",", ":")) + "\n")
print(bad, rows["none"]["n"])
"#;

#[test]
fn an_untidy_access_log_gives_what_python_computes() {
    let env = Env::new();
    env.write("access.py", ACCESS);
    let output = env.shell("python3 access.py").expect(0);
    let (bad, _) = output.stdout.trim().split_once(' ').expect("two numbers");
    env.write(
        "job.yaml",
        "job: j\ninput: {files: 'access.log-*', pattern: combined, on_error: {dead_letter: bad.jsonl}}\n\
         where: path != null\nkey: path\nprocess:\n  aggregate:\n    n: count\n    bytes: sum(bytes)\n    \
         last: max(time)\n    agents: count(agent)\n    users: count(user)\n    status: last(status)\n\
         output: out\n",
    );
    env.run(&["run", "job.yaml", "--threads", "2"]).expect(3);
    assert_eq!(env.read("bad.jsonl").lines().count().to_string(), bad);
    assert_eq!(env.read("out/j.jsonl"), env.read("expected.jsonl"));
}

#[test]
fn a_regular_expression_and_logfmt_give_fields_to_where_key_and_aggregates() {
    let env = Env::new();
    let lines = |form: fn(&str, u64) -> String| -> String {
        (0..1000).map(|n| form(["a", "b b", "é"][n % 3], n as u64)).collect()
    };
    env.write("app.log", lines(|user, n| format!("WARN {n}ms {user}\n")));
    env.write("pairs.log", lines(|user, n| format!("took={n} secure user=\"{user}\"\n")));
    let mut outputs = Vec::new();
    for (file, pattern) in [("app.log", r"'(?<level>\w+) (?<took>\d+)ms (?<user>.*)'"), ("pairs.log", "logfmt")] {
        env.write(
            "job.yaml",
            format!(
                "job: j\ninput: {{files: {file}, pattern: {pattern}}}\nwhere: took >= 10\nkey: user\n\
                 process: {{aggregate: {{n: count, took: sum(took), longest: max(took)}}}}\n\
                 checkpoint: {{enabled: false}}\noutput: out\n"
            ),
        );
        env.run(&["run", "job.yaml"]).expect(0);
        outputs.push(env.read("out/j.jsonl"));
    }
    let row = |user: &str, rest: u64| {
        let of: Vec<u64> = (10..1000).filter(|n| n % 3 == rest).collect();
        let (count, sum, longest) = (of.len(), of.iter().sum::<u64>(), of[of.len() - 1]);
        format!("{{\"user\":\"{user}\",\"n\":{count},\"took\":{sum},\"longest\":{longest}}}\n")
    };
    assert_eq!(outputs, vec![row("a", 0) + &row("b b", 1) + &row("é", 2); 2]);
}

#[test]
fn a_changed_pattern_is_refused_and_an_equal_one_resumes() {
    let env = Env::new();
    let job = |pattern: &str| {
        format!("job: j\ninput: {{files: a.log, pattern: {pattern}}}\nkey: k\nprocess: {{aggregate: {{n: count}}}}\n")
    };
    env.write("a.log", "k=1\n");
    env.write("job.yaml", job("'k=(?<k>.)'"));
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("a.log", "k=1\nk=2\n");
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("job.yaml", job("logfmt"));
    let output = env.run(&["run", "job.yaml"]).expect(2);
    let words = "the input format was text with the pattern `k=(?<k>.)`, is now text with the pattern `logfmt`";
    assert!(output.stderr.contains(words), "{output}");
}

/// Writes the records of the first batch to `got`.
const SHOW: &str = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message['type'] == 'start':
        print(json.dumps({'type': 'ready', 'protocol': 1}), flush=True)
    elif message['type'] == 'batch':
        open('got', 'w').write(json.dumps([data for _, _, data in message['records']]))
        sys.exit(1)
"#;

#[test]
fn a_program_gets_the_fields_of_each_line() {
    let env = Env::new();
    env.write("a.log", "k=1 note=\"x \\\"y\\\"\" empty=\n");
    env.write("b.log", "h - - [10/Oct/2026:13:55:36 -0700] \"-\" 200 1\n");
    env.write("c.log", "a=1\n");
    env.write("show.py", SHOW);
    for (file, pattern, expected) in [
        ("a.log", "logfmt", r#"[{"k": "1", "note": "x \"y\"", "empty": ""}]"#),
        ("b.log", "common", r#"[{"host": "h", "time": "2026-10-10T13:55:36-07:00", "status": "200", "bytes": "1"}]"#),
        ("c.log", "'a=(?<a>.)(?<b>.?)'", r#"[{"a": "1"}]"#),
    ] {
        let job = format!(
            "job: j\ninput: {{files: {file}, pattern: {pattern}}}\nprocess: {{exec: [python3, show.py]}}\n\
             checkpoint: {{enabled: false}}\n"
        );
        env.write("job.yaml", job);
        assert_ne!(env.run(&["run", "job.yaml"]).status, 0);
        assert_eq!(env.read("got"), expected);
    }
}

#[test]
fn a_field_of_where_that_the_pattern_does_not_have_is_an_error_with_its_place() {
    let env = Env::new();
    env.write("a.log", "");
    env.write(
        "job.yaml",
        "job: j\ninput: {files: a.log, pattern: combined}\nwhere: path != null && statsu > 1\n\
         process: {aggregate: {n: count}}\n",
    );
    for verb in ["run", "check"] {
        let output = env.run(&[verb, "job.yaml"]);
        let words = "job.yaml:3:24: `where`: unknown field `statsu`, did you mean `status`?";
        assert!(output.stderr.contains(words) || output.stdout.contains(words), "{output}");
        assert_ne!(output.status, 0, "{output}");
    }
}
