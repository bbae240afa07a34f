//! The files in `deploy/`, with the programs that read them where they are installed.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use ckpt::cli::exit::Exit;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::repository;
use crate::support::{Ending, Env, binary};

fn text(name: &str) -> String {
    fs::read_to_string(repository::path(&format!("deploy/{name}"))).expect("readable")
}

/// Returns the numbers after `start` in the only line that has it.
fn codes(text: &str, start: &str) -> Vec<u8> {
    let mut lines = text.lines().filter_map(|line| line.split_once(start));
    let (_, rest) = lines.next().unwrap_or_else(|| panic!("no {start}"));
    assert!(lines.next().is_none(), "{start}");
    let numbers = rest.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().expect("a code")).collect()
}

#[test]
fn supervisors_leave_a_run_that_would_end_in_the_same_way() {
    let expected = [Exit::Usage, Exit::BadRecord, Exit::NotFound, Exit::Damaged].map(Exit::code);
    assert_eq!(codes(&text("ckpt@.service"), "RestartPreventExitStatus="), expected);
    assert_eq!(codes(&text("cronjob.yaml"), "operator: In, values: "), expected);
    let document = fs::read_to_string(repository::path("docs/operations.md")).expect("readable");
    let row = document.lines().find(|line| line.ends_with("about damage (12) |")).expect("a row");
    assert_eq!(codes(row.split(" | ").next().expect("a cell"), "| "), expected);
    assert_eq!(codes(&text("ckpt-worker@.service"), "RestartPreventExitStatus="), expected);
    for name in ["ckpt@.service", "ckpt-worker@.service", "ckpt-batch@.service", "ckpt-verify@.service"] {
        assert_eq!(codes(&text(name), "SuccessExitStatus="), [Exit::Incomplete.code()], "{name}");
    }
}

#[test]
fn every_command_in_the_units_is_one_that_ckpt_has() {
    let env = Env::new();
    for name in ["ckpt@.service", "ckpt-worker@.service", "ckpt-batch@.service", "ckpt-verify@.service"] {
        for command in text(name).lines().filter_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/ckpt ")) {
            // The job and the store do not exist, but the arguments are understood.
            let command = command.replace("127.0.0.1:9184", "127.0.0.1:0").replace("/var/lib/ckpt/metrics/", "");
            let output = env.run(&command.split(' ').collect::<Vec<_>>());
            let is_missing = output.stderr.contains("/etc/ckpt/%i.yaml") || output.status == 10;
            assert!(is_missing, "{command}: {output}");
        }
    }
}

#[test]
fn the_pods_of_workers_have_the_names_and_the_port_that_ckpt_expects() {
    let text = text("workers.yaml");
    let mut documents = text.split("\n---\n");
    let set: Value = ckpt::values::yaml::from_str(documents.next().expect("the set")).expect("YAML");
    let service: Value = ckpt::values::yaml::from_str(documents.next().expect("the service")).expect("YAML");
    assert_eq!(set["spec"]["serviceName"], service["metadata"]["name"]);
    let pod = &set["spec"]["template"];
    for selector in [&set["spec"]["selector"]["matchLabels"], &service["spec"]["selector"]] {
        assert_eq!(*selector, pod["metadata"]["labels"]);
    }
    let container = &pod["spec"]["containers"][0];
    assert_eq!(container["env"][0]["name"], "POD_NAME");
    let arguments = container["args"].as_array().expect("a list").iter().map(|it| it.as_str().expect("text"));
    let port = format!("0.0.0.0:{}", container["ports"][0]["containerPort"]);
    assert_eq!(arguments.clone().next_back(), Some(port.as_str()));
    let arguments: Vec<String> =
        arguments.map(|it| it.replace("$(POD_NAME)", "clicks-0").replace(&port, "127.0.0.1:0")).collect();
    // The job does not exist, but the arguments are understood.
    let output = Env::new().run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.stderr.contains("/etc/ckpt/clicks.yaml"), "{output}");
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], container["ports"][0]["name"]);
    }
}

#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("skipped: there is no systemd-analyze");
        return;
    }
    let env = Env::new();
    let mut units = Vec::new();
    for name in repository::files("deploy") {
        let Some((name, kind)) = name.rsplit('/').next().expect("a name").split_once("@.") else { continue };
        let unit = text(&format!("{name}@.{kind}"));
        let unit = unit.replace("/usr/local/bin/ckpt", binary().to_str().expect("UTF-8"));
        env.write(&format!("{name}@clicks.{kind}"), unit);
        units.push(env.path(&format!("{name}@clicks.{kind}")));
    }
    assert_eq!(units.len(), 6);
    let output = Command::new("systemd-analyze").arg("verify").args(units).output().expect("started");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn logrotate_renames_a_log_and_the_job_reads_every_line() {
    if Command::new("logrotate").arg("--version").output().is_err() {
        println!("skipped: there is no logrotate");
        return;
    }
    let env = Env::new();
    let rotate = text("logrotate.conf");
    let (_, rest) = rotate.split_once('{').expect("a section");
    let keep = |line: &&str| !line.contains("postrotate") && !line.contains("systemctl") && !line.contains("endscript");
    let rest = rest.lines().filter(keep).collect::<Vec<_>>().join("\n");
    let rest = rest.replace("create 0640 shop ckpt", "create 0640");
    env.write("rotate.conf", format!("{} {{{rest}\n", env.path("app.log").display()));
    env.write(
        "job.yaml",
        "job: lines\ninput: {files: 'app.log*', format: text, follow: true}\nprocess: {aggregate: {n: count}}\n\
         checkpoint: {schedule: 50ms, store: store}\n",
    );
    env.write("app.log", "one\ntwo\n");
    let mut run = Ending(env.command(&["run", "job.yaml", "-q"]).spawn().expect("started"));
    let state = env.path("rotated").display().to_string();
    let counted = || {
        let state = env.run(&["inspect", "store", "--state", "--json", "--limit", "0"]).stdout;
        let state: Value = serde_json::from_str(&state).unwrap_or_default();
        let rows = state["rows"].as_array().cloned().unwrap_or_default();
        rows.iter().map(|row| row["values"]["n"].as_u64().unwrap_or_else(|| panic!("{row}"))).sum::<u64>()
    };
    let until_counted = |lines: u64| {
        let begun = Instant::now();
        while counted() < lines {
            assert!(begun.elapsed() < Duration::from_secs(60), "the job has read {} lines of {lines}", counted());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until_counted(2);
    for round in 1..=3 {
        // A program that still has the old file open writes to it until it is told to open the new one.
        let mut old = OpenOptions::new().append(true).open(env.path("app.log")).expect("opened");
        env.shell(&format!("logrotate --force --state {state} rotate.conf")).expect(0);
        old.write_all(b"late\n").expect("written");
        let mut new = OpenOptions::new().append(true).open(env.path("app.log")).expect("opened");
        writeln!(new, "round {round}").expect("written");
        // It is compressed with the next rotation, a day later.
        until_counted(2 + round * 2);
    }
    kill_process(Pid::from_child(&run.0), Signal::TERM).expect("sent");
    assert!(run.0.wait().expect("ended").success());
    assert_eq!(counted(), 8);
}
