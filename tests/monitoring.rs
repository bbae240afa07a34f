//! The alert rules and the dashboard, with the tools of Prometheus.
//!
//! The tests with `promtool` and `prometheus` are skipped without them, unless `CKPT_REQUIRE_PROMETHEUS` is 1.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Ending, Env, repository};

/// How long Prometheus may take to start and to read what is expected, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns whether `program` is installed.
fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    let required = std::env::var_os("CKPT_REQUIRE_PROMETHEUS").is_some_and(|value| value == "1");
    assert!(found || !required, "CKPT_REQUIRE_PROMETHEUS=1, and there is no `{program}`");
    if !found {
        println!("skipped: there is no `{program}`");
    }
    found
}

/// Returns the names of metrics in an expression, without what Prometheus adds to the names of histograms.
fn metrics(expression: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !is_name(c)).filter(|word| word.starts_with("ckpt_"));
    words.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

/// Returns the expressions of the dashboard.
fn dashboard() -> Vec<String> {
    let text = fs::read_to_string(repository::path("monitoring/dashboard.json")).expect("readable");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets.map(|target| target["expr"].as_str().expect("an expression").to_owned()).collect()
}

#[test]
fn alerts_and_dashboard_use_metrics_that_exist_and_every_alert_is_described() {
    let document = fs::read_to_string(repository::path("docs/metrics.md")).expect("readable");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let described: BTreeSet<String> = rows.map(str::to_owned).collect();
    let alerts = fs::read_to_string(repository::path("monitoring/alerts.yaml")).expect("readable");
    let expressions = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).map(str::to_owned);
    for expression in expressions.chain(dashboard()) {
        let used = metrics(&expression);
        assert!(!used.is_empty() && used.is_subset(&described), "{expression}");
    }
    let names = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    let in_document: BTreeSet<String> = described.into_iter().filter(|name| name.starts_with("Ckpt")).collect();
    assert_eq!(names, in_document);
    let tests = fs::read_to_string(repository::path("monitoring/alerts-test.yaml")).expect("readable");
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}\n")), "no test of {name} expects an alarm");
    }
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    if !is_installed("promtool") {
        return;
    }
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts-test.yaml"]] {
        let output = Command::new("promtool").args(arguments).current_dir(repository::path("monitoring")).output();
        let output = output.expect("started");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

/// Asks Prometheus, and returns its answer if it is ready.
fn ask(port: u16, path: &str, query: &str) -> Option<Value> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    write!(stream, "GET {path}?query={query} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}

#[test]
fn a_prometheus_reads_a_run_and_answers_the_dashboard() {
    if !is_installed("prometheus") {
        return;
    }
    let env = Env::new();
    env.write(
        "job.yaml",
        "job: clicks\ninput: {files: '-', format: json, on_error: skip}\nkey: k\nprocess: {aggregate: {n: count}}\n\
         checkpoint: {store: store, schedule: 100ms}\n",
    );
    let mut command = env.command(&["run", "job.yaml", "--metrics", "0"]);
    let mut run = Ending(command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started"));
    let mut line = String::new();
    BufReader::new(run.0.stderr.take().expect("piped")).read_line(&mut line).expect("a line");
    let target = line.trim().split_once("http://").and_then(|(_, url)| url.strip_suffix("/metrics")).expect("a URL");

    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound").local_addr().expect("an address").port();
    let rules = repository::path("monitoring/alerts.yaml");
    env.write(
        "prometheus.yaml",
        format!(
            "global: {{scrape_interval: 500ms}}\nrule_files: ['{}']\n\
             scrape_configs: [{{job_name: ckpt, static_configs: [{{targets: ['{target}']}}]}}]\n",
            rules.display()
        ),
    );
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", env.path("prometheus.yaml").display()));
    command.arg(format!("--storage.tsdb.path={}", env.path("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _prometheus = Ending(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started"));

    let begun = Instant::now();
    let mut number = 0;
    let result = |query: &str| Some(ask(port, "/api/v1/query", query)?["data"]["result"].as_array()?.clone());
    // Rates need two samples of a histogram that has changed in between.
    while result("rate(ckpt_checkpoint_phase_seconds_count[1m]) > 0").is_none_or(|found| found.is_empty()) {
        assert!(begun.elapsed() < PATIENCE, "Prometheus has read nothing");
        let input = run.0.stdin.as_mut().expect("piped");
        let lines: String = (0..20_000).map(|i| format!("{{\"k\":\"{}\"}}\n", (i + number) % 999)).collect();
        input.write_all(format!("bad\n{lines}").as_bytes()).expect("read");
        number += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    let records = result("ckpt_records_total").expect("an answer");
    let labels = records[0]["metric"].as_object().expect("labels");
    assert_eq!(labels["job_name"], "clicks", "{labels:?}");
    assert!(!labels.keys().any(|name| name.starts_with("exported_")), "Prometheus had to rename a label: {labels:?}");
    let kinds = ask(port, "/api/v1/metadata", "").expect("an answer");
    assert_eq!(kinds["data"]["ckpt_checkpoint_phase_seconds"][0]["type"], "histogram", "{kinds}");

    for expression in dashboard() {
        let found = result(&expression.replace("$job_name", ".*")).unwrap_or_else(|| panic!("{expression}"));
        // Standard input has no size, so no lag is known. What other commands write is not read here.
        let may_be_absent =
            ["ckpt_input_lag", "ckpt_verify", "ckpt_store"].iter().any(|name| expression.contains(name));
        assert!(!found.is_empty() || may_be_absent, "{expression}");
    }
    let rules = ask(port, "/api/v1/rules", "").expect("an answer");
    let rules = rules["data"]["groups"][0]["rules"].as_array().expect("rules").clone();
    assert_eq!(rules.len(), 11);
    for rule in rules {
        assert!(rule["lastError"].is_null(), "{rule}");
        assert_ne!(rule["state"], "firing", "{rule}");
    }
    drop(run.0.stdin.take());
    run.0.wait().expect("ended");
}
