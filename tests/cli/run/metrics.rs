//! `ckpt run --metrics`: what Prometheus reads.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::{until, wait};
use crate::support::Env;
use crate::support::repository;

/// Requests `path` as Prometheus does, and returns the status line and the body.
fn get(address: &str, method: &str, path: &str) -> (String, String) {
    let accept = "text/html, application/openmetrics-text;version=1.0.0;q=0.75, text/plain;version=0.0.4;q=0.5";
    let (head, body) = request(address, method, path, accept);
    (head.lines().next().expect("a status line").to_owned(), body)
}

/// Requests `path` and returns the head and the body.
fn request(address: &str, method: &str, path: &str, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("the run listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\naccept: {accept}\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

/// Returns the names and types that a text in OpenMetrics or in the older format declares, as rows of the document.
fn rows(text: &str) -> BTreeSet<String> {
    let declared = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let row = |(name, kind): (&str, &str)| {
        let suffix = match kind {
            "counter" if !name.ends_with("_total") => "_total",
            "info" => "_info",
            _ => "",
        };
        format!("| `{name}{suffix}` | {kind} |")
    };
    declared.map(row).collect()
}

/// Returns the value of the only sample that begins with `name`.
#[track_caller]
fn sample(text: &str, name: &str) -> f64 {
    let mut found = text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| rest.starts_with(' '));
    let value = found.next().unwrap_or_else(|| panic!("no sample {name} in {text}"));
    assert_eq!(found.next(), None, "{name}");
    value.trim().parse().expect("a number")
}

/// Starts a job on standard input that serves its metrics, and returns their address.
fn serving(env: &Env) -> (Child, String) {
    env.write(
        "job.yaml",
        "job: piped\ninput: {files: '-', format: json, on_error: skip}\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: store, schedule: 50ms}\n",
    );
    started(env)
}

/// Starts the job, whose name is `piped`, and returns the address of its metrics.
fn started(env: &Env) -> (Child, String) {
    let mut command = env.command(&["run", "job.yaml", "--metrics", "0"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("piped: metrics at http://").and_then(|url| url.strip_suffix("/metrics"));
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    (child, address)
}

#[test]
fn the_metrics_show_what_the_run_did_and_match_the_document() {
    let env = Env::new();
    let (mut child, address) = serving(&env);
    let lines: String = (0..50_000).map(|i| format!("{{\"k\":\"key {}\"}}\n", i % 100)).collect();
    child.stdin.as_mut().expect("piped").write_all(format!("not JSON\n{lines}").as_bytes()).expect("read");
    let committed = r#"ckpt_checkpoints_total{job_name="piped",cause="schedule",outcome="committed"}"#;
    until("a checkpoint is in the metrics", || get(&address, "GET", "/metrics").1.contains(committed));
    let (status, text) = get(&address, "GET", "/metrics?x=1");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert_eq!(sample(&text, r#"ckpt_records_skipped_total{job_name="piped"}"#), 1.0);
    assert_eq!(sample(&text, r#"ckpt_state_keys{job_name="piped"}"#), 100.0);
    assert!(sample(&text, r#"ckpt_records_total{job_name="piped"}"#) > 1_000.0);
    assert!(sample(&text, committed) >= 1.0);
    assert!(sample(&text, r#"ckpt_last_checkpoint_sequence{job_name="piped"}"#) >= 1.0);
    let total = r#"ckpt_checkpoint_phase_seconds_count{phase="total",job_name="piped"}"#;
    let other = r#"ckpt_checkpoint_phase_seconds_count{job_name="piped",phase="total"}"#;
    assert!(text.contains(total) || text.contains(other), "{text}");

    let (head, older) = request(&address, "GET", "/metrics", "*/*");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(older.contains("# TYPE ckpt_records_total counter\n") && !older.contains("# EOF"), "{older}");

    assert_eq!(get(&address, "GET", "/").0, "HTTP/1.1 404 Not Found");
    assert_eq!(get(&address, "POST", "/metrics").0, "HTTP/1.1 405 Method Not Allowed");
    drop(child.stdin.take());
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 3);
    assert!(TcpStream::connect(&address).is_err(), "nothing listens after the end");
}

#[test]
fn a_run_says_that_it_is_alive_and_ready() {
    let env = Env::new();
    let (mut child, address) = serving(&env);
    until("the run is ready", || get(&address, "GET", "/readyz").0 == "HTTP/1.1 200 OK");
    for path in ["/livez", "/readyz?verbose"] {
        assert_eq!(get(&address, "GET", path), ("HTTP/1.1 200 OK".to_owned(), "running\n".to_owned()), "{path}");
        assert_eq!(get(&address, "HEAD", path).1, "", "{path}");
    }
    drop(child.stdin.take());
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
}

#[test]
fn a_run_whose_main_loop_is_stuck_is_not_alive() {
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: piped\ninput: {files: '-', format: json}\nkey: k\nprocess: {aggregate: {n: count}}\n\
         checkpoint: {store: store, schedule: 10ms}\n",
    );
    let mut command = env.command(&["run", "job.yaml", "--log", "json", "--metrics", "0"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let mut log = BufReader::with_capacity(1, child.stderr.take().expect("piped"));
    let mut line = String::new();
    log.read_line(&mut line).expect("a line");
    let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    until("the run is alive", || get(&address, "GET", "/livez").1 == "running\n");
    // Nobody reads the log, so the loop waits for the pipe after some checkpoints.
    let mut stdin = child.stdin.take().expect("piped");
    until("the loop is stuck", || {
        let _ = stdin.write_all(b"{\"k\":1}\n");
        get(&address, "GET", "/livez").0 == "HTTP/1.1 503 Service Unavailable"
    });
    assert!(get(&address, "GET", "/livez").1.starts_with("the main loop has been silent for 1"));
    let reading = std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    until("the loop turns again", || get(&address, "GET", "/livez").1 == "running\n");
    drop(stdin);
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
    reading.join().expect("ended").expect("read");
}

#[test]
fn a_client_that_never_reads_does_not_keep_the_run_from_ending() {
    let env = Env::new();
    let (mut child, address) = serving(&env);
    let mut idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&address).expect("connected")).collect();
    idle[0].write_all(b"GET /metrics HT").expect("sent");
    assert_eq!(get(&address, "GET", "/metrics").0, "HTTP/1.1 200 OK");
    drop(child.stdin.take());
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
    drop(idle);
}

#[test]
fn an_unusable_address_is_an_error_before_anything_is_written() {
    let env = Env::new();
    super::counting(&env, "checkpoint: {store: store}\n");
    env.write("data.jsonl", "{\"k\":1}\n");
    let wrong = env.run(&["run", "job.yaml", "--metrics", "nonsense"]).expect(2);
    assert!(wrong.stderr.contains("error: `--metrics nonsense`: expected HOST:PORT"), "{wrong}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("an address").to_string();
    let busy = env.run(&["run", "job.yaml", "--metrics", &address]).expect(4);
    assert!(busy.stderr.contains(&format!("cannot listen on {address} for metrics")), "{busy}");
    assert!(!env.path("store").exists());
}

#[test]
fn attempts_that_failed_or_had_nothing_to_do_are_counted_and_logged() {
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: piped\ninput: {files: '-', format: json}\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: store, schedule: 30ms, tolerate: 100000}\n",
    );
    let arguments = ["run", "job.yaml", "--metrics", "0", "--log", "json"];
    let mut child = env
        .command(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut log = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    log.read_line(&mut line).expect("a line");
    let note: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let message = note["message"].as_str().expect("a text").to_owned();
    let address = message.trim_start_matches("piped: metrics at http://").trim_end_matches("/metrics").to_owned();
    let reading = std::thread::spawn(move || {
        let mut rest = String::new();
        log.read_to_string(&mut rest).expect("UTF-8");
        rest
    });
    let lines: String = (0..50_000).map(|i| format!("{{\"k\":\"key {}\"}}\n", i % 100)).collect();
    child.stdin.as_mut().expect("piped").write_all(lines.as_bytes()).expect("read");
    let count = |outcome: &str| {
        let text = get(&address, "GET", "/metrics").1;
        let label = format!("cause=\"schedule\",outcome=\"{outcome}\"}}");
        text.lines()
            .find(|line| line.contains(&label))
            .map_or(0.0, |line| line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number"))
    };
    until("nothing changes anymore", || count("elided") >= 1.0);
    std::fs::rename(env.path("store"), env.path("away")).expect("moved");
    child.stdin.as_mut().expect("piped").write_all(lines.as_bytes()).expect("read");
    until("an attempt fails", || count("failed") >= 1.0);
    assert!(
        sample(&get(&address, "GET", "/metrics").1, r#"ckpt_checkpoint_failures_in_a_row{job_name="piped"}"#) >= 1.0
    );
    std::fs::rename(env.path("away"), env.path("store")).expect("moved back");
    until("an attempt succeeds again", || {
        sample(&get(&address, "GET", "/metrics").1, r#"ckpt_checkpoint_failures_in_a_row{job_name="piped"}"#) == 0.0
    });
    drop(child.stdin.take());
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
    let log = reading.join().expect("read");
    assert!(log.contains(r#""event":"checkpoint_elided","job":"piped""#), "{log}");
    assert!(log.contains(r#""event":"checkpoint_failed","job":"piped""#), "{log}");
}

#[test]
fn the_document_describes_every_metric_of_runs_and_their_files() {
    let env = Env::new();
    env.write("data.jsonl", "{\"k\":\"a\",\"t\":1}\n{\"k\":\"b\",\"t\":90}\nbad\n");
    env.write(
        "job.yaml",
        "job: windows\ninput: {files: data.jsonl, on_error: skip}\nkey: k\nprocess: {aggregate: {n: count}, window: \
         {time: t, every: 1m}}\ncheckpoint: {store: store}\n",
    );
    env.run(&["run", "job.yaml", "--metrics-file", "run.prom"]).expect(3);
    let run = env.read("run.prom");
    assert_eq!(sample(&run, r#"ckpt_run_exit_code{job_name="windows"}"#), 3.0);
    let label = r#"{job_name="windows"}"#;
    let end = sample(&run, &format!("ckpt_run_end_timestamp_seconds{label}"));
    assert!(end >= sample(&run, &format!("ckpt_last_success_timestamp_seconds{label}")), "{run}");
    env.run(&["verify", "store", "--metrics-file", "verify.prom"]).expect(0);
    env.run(&["stats", "store", "--metrics-file", "stats.prom"]).expect(0);
    let other = Env::new();
    let (mut child, address) = serving(&other);
    child.stdin.as_mut().expect("piped").write_all(b"{\"k\":1}\n").expect("read");
    let served = || get(&address, "GET", "/metrics").1;
    until("a checkpoint is in the metrics", || served().contains("ckpt_last_checkpoint_bytes"));
    let mut described = rows(&served());
    for file in ["run.prom", "verify.prom", "stats.prom"] {
        described.extend(rows(&env.read(file)));
    }
    // The older format has no type for it.
    assert!(described.remove("| `ckpt_build_info` | gauge |"));
    // `tests/kafka/operations.rs` finds those that only workers have.
    described.extend(["partition_lag_messages", "partitions"].map(|name| format!("| `ckpt_{name}` | gauge |")));
    drop(child.stdin.take());
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
    let document = std::fs::read_to_string(repository::path("docs/metrics.md")).expect("readable");
    let in_document = document.lines().filter(|line| line.starts_with("| `ckpt_"));
    let in_document: BTreeSet<String> =
        in_document.map(|row| row.splitn(4, '|').take(3).collect::<Vec<_>>().join("|") + "|").collect();
    assert_eq!(described, in_document);
}

#[test]
fn what_has_no_value_yet_is_absent_and_a_quiet_job_stays_up_to_date() {
    let env = Env::new();
    let (mut child, address) = serving(&env);
    let served = || get(&address, "GET", "/metrics").1;
    until("the run answers", || served().contains("ckpt_build_info"));
    for name in ["ckpt_last_checkpoint_timestamp_seconds", "ckpt_watermark_timestamp_seconds", "ckpt_input_lag_bytes"] {
        assert!(!served().contains(name), "{name}");
    }
    child.stdin.as_mut().expect("piped").write_all(b"{\"k\":1}\n").expect("read");
    let value = |name: &str| {
        let text = served();
        text.contains(&format!("{name}{{")).then(|| sample(&text, &format!("{name}{{job_name=\"piped\"}}")))
    };
    until("a checkpoint is made", || value("ckpt_last_success_timestamp_seconds").is_some());
    let (created, success) =
        (value("ckpt_last_checkpoint_timestamp_seconds"), value("ckpt_last_success_timestamp_seconds"));
    until("an attempt finds nothing new", || value("ckpt_last_success_timestamp_seconds") > success);
    assert_eq!(value("ckpt_last_checkpoint_timestamp_seconds"), created);
    assert_eq!(value("ckpt_replicas_behind"), Some(0.0));
    drop(child.stdin.take());
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
}

#[test]
fn a_replica_that_is_lost_is_behind_until_it_is_back() {
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: piped\ninput: {files: '-', format: json}\nkey: k\nprocess: {aggregate: {n: count}}\ncheckpoint: {store: \
         store, replicas: [r], min_copies: 1, schedule: 50ms}\n",
    );
    let (mut child, address) = started(&env);
    let behind = || sample(&get(&address, "GET", "/metrics").1, r#"ckpt_replicas_behind{job_name="piped"}"#);
    let mut number = 0;
    let mut until_behind = |count: f64, what: &str| {
        until(what, || {
            number += 1;
            // At least a block.
            let lines = format!("{{\"k\":{number}}}\n").repeat(40_000);
            child.stdin.as_mut().expect("piped").write_all(lines.as_bytes()).expect("read");
            behind() == count
        });
    };
    until("the replica is there", || env.path("r").exists());
    until_behind(0.0, "the run has begun");
    std::fs::rename(env.path("r"), env.path("away")).expect("moved");
    until_behind(1.0, "the replica is behind");
    std::fs::rename(env.path("away"), env.path("r")).expect("moved");
    until_behind(0.0, "the replica is back");
    drop(child.stdin.take());
    assert_eq!(wait(&mut child, Duration::from_secs(20)), 0);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_the_run_begins() {
    let env = Env::new();
    super::counting(&env, "checkpoint: {store: store}\n");
    env.write("data.jsonl", "{\"k\":1}\n");
    let refused = env.run(&["run", "job.yaml", "--metrics-file", "none/run.prom"]).expect(4);
    assert!(refused.stderr.starts_with("error: cannot write `none/run.prom`"), "{refused}");
    assert!(!env.path("store").exists());
    env.write("data.jsonl", "bad\n");
    env.run(&["run", "job.yaml", "--metrics-file", "run.prom"]).expect(5);
    assert_eq!(sample(&env.read("run.prom"), r#"ckpt_run_exit_code{job_name="counting"}"#), 5.0);
    env.run(&["verify", "nothing", "--metrics-file", "verify.prom"]).expect(10);
    assert_eq!(sample(&env.read("verify.prom"), "ckpt_verify_exit_code"), 10.0);
}
