//! The binary and a bucket that fails: what a person reads, how the command ends, and that it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::scene::JOB;
use crate::support::bucket::{Bucket, free_port};
use crate::support::lossy::{Fate, Lossy, Request};
use crate::support::{Env, Output};

const SECRET: &str = "wJalrXUtnFEMI-this-is-secret";
const TOKEN: &str = "FwoGZXIvYXdzE-so-is-this";

/// An environment with keys, and short times.
fn env(variables: &[(&str, &str)]) -> Env {
    let mut env = Env::new();
    env.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").set("AWS_SECRET_ACCESS_KEY", SECRET).set("AWS_SESSION_TOKEN", TOKEN);
    env.set("AWS_EC2_METADATA_DISABLED", "true").set("CKPT_BUCKET_PATIENCE", "1s").set("CKPT_BUCKET_TIMEOUT", "2s");
    for (name, value) in variables {
        match *value {
            "" => env.unset(name),
            value => env.set(name, value),
        };
    }
    env
}

/// Runs `ckpt list` on a bucket, which must end within seconds and show no secret.
fn list(variables: &[(&str, &str)]) -> Output {
    let begun = Instant::now();
    let output = env(variables).run(&["list", "s3://data/jobs/clicks"]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(!output.stderr.contains(SECRET) && !output.stderr.contains(TOKEN), "{output}");
    output
}

fn answering(fate: Fate) -> Lossy {
    Lossy::before("http://127.0.0.1:9", move |_| fate.clone())
}

#[test]
fn each_fault_has_a_message_with_a_cause_and_what_to_do() {
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    let moved = "HTTP/1.1 301 X\r\nx-amz-bucket-region: eu-west-1\r\nContent-Length: 0\r\n\r\n";
    let told = |status, code| answering(Fate::AnswerInstead(status, code));
    let cases = [
        (told(404, "NoSuchBucket"), 10, "the bucket does not exist", "create the bucket"),
        (told(403, "AccessDenied"), 4, "access denied", "docs/object-storage.md lists the rights"),
        (told(403, "InvalidAccessKeyId"), 4, "does not accept the credentials", "check AWS_ACCESS_KEY_ID"),
        (told(400, "ExpiredToken"), 4, "the credentials have expired", "get new credentials"),
        (told(403, "RequestTimeTooSkewed"), 4, "differ too much", "set the clock"),
        (told(503, "SlowDown"), 4, "asks for fewer requests", "try again later"),
        (answering(Fate::Raw(moved.to_owned())), 4, "in region `eu-west-1`", "set AWS_REGION"),
        (answering(Fate::Raw(page.to_owned())), 4, "does not speak the S3 API", "AWS_ENDPOINT_URL must lead"),
        (answering(Fate::AnswerInstead(404, "")), 4, "does not speak the S3 API", "AWS_ENDPOINT_URL must lead"),
    ];
    for (server, exit, says, hint) in cases {
        let output = list(&[("AWS_ENDPOINT_URL", &server.endpoint())]).expect(exit);
        let lines: Vec<&str> = output.stderr.lines().collect();
        assert!(lines[0].starts_with("error: cannot read `s3://data/jobs/clicks/store.yaml`: "), "{output}");
        assert!(output.stderr.contains(says) && output.stdout.is_empty(), "{output}");
        assert!(lines.iter().any(|line| line.starts_with("hint: ") && line.contains(hint)), "{output}");
        assert!(lines.len() <= 3, "{output}");
    }
}

#[test]
fn a_command_without_a_server_or_keys_ends_within_seconds() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let output = list(&[("AWS_ENDPOINT_URL", &nobody)]).expect(4);
    assert!(output.stderr.contains("the server cannot be reached\n"), "{output}");
    assert!(output.stderr.contains("caused by: tcp connect error: Connection refused"), "{output}");
    assert!(output.stderr.contains("hint: check AWS_ENDPOINT_URL, the network and the proxy"), "{output}");
    let output = list(&[("AWS_ENDPOINT_URL", "https://no-such-host.invalid")]).expect(4);
    assert!(output.stderr.contains("dns error"), "{output}");
    let output = list(&[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")]).expect(4);
    assert!(output.stderr.starts_with("error: cannot reach `s3://data/jobs/clicks`: no credentials were found\n"));
    assert!(output.stderr.contains("hint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"), "{output}");
}

#[test]
fn a_person_reads_what_a_command_waits_for() {
    let busy = answering(Fate::AnswerInstead(503, "SlowDown"));
    let long = [("AWS_ENDPOINT_URL", &*busy.endpoint().leak()), ("CKPT_BUCKET_PATIENCE", "4s")];
    let output = list(&long).expect(4);
    let line = "waiting for `s3://data/jobs/clicks`: the server asks for fewer requests (for ";
    assert!(output.stderr.starts_with(line) && output.stderr.contains(" s, up to 4 s)\n"), "{output}");
    let quiet = env(&long).run(&["--quiet", "list", "s3://data/jobs/clicks"]).expect(4);
    assert!(quiet.stderr.starts_with("error: "), "{quiet}");
}

#[test]
fn a_proxy_is_used_except_where_none_should_be() {
    let proxy = answering(Fate::AnswerInstead(404, "NoSuchBucket"));
    let through = proxy.endpoint();
    let far = [("AWS_ENDPOINT_URL", "http://bucket.invalid"), ("AWS_ALLOW_HTTP", "true")];
    let with = |more: &[(&str, &str)]| list(&[&far[..], &[("HTTP_PROXY", &through)], more].concat());
    with(&[]).expect(10);
    assert!(proxy.seen()[0].path.starts_with("http://bucket.invalid/data/jobs/clicks/"), "{:?}", proxy.seen());
    // The name cannot be resolved here, so only the proxy could have reached it.
    let output = with(&[("NO_PROXY", "bucket.invalid")]).expect(4);
    assert!(output.stderr.contains("dns error"), "{output}");
    // A server on this machine is never reached through a proxy.
    let near = answering(Fate::AnswerInstead(403, "AccessDenied"));
    let output = list(&[("AWS_ENDPOINT_URL", &near.endpoint()), ("HTTP_PROXY", &through)]).expect(4);
    assert!(output.stderr.contains("access denied"), "{output}");
    let dead = format!("http://127.0.0.1:{}", free_port());
    let output = list(&[("AWS_ENDPOINT_URL", "https://bucket.invalid"), ("HTTPS_PROXY", &dead)]).expect(4);
    assert!(output.stderr.contains("caused by: tunnel error"), "{output}");
}

/// A job with a store in a bucket that is reached through a proxy.
fn job(decide: impl Fn(&Request) -> Fate + Send + Sync + 'static) -> Option<(Env, Lossy, Bucket)> {
    let bucket = Bucket::fresh()?;
    let proxy = Lossy::before(bucket.variable("AWS_ENDPOINT_URL"), decide);
    let mut env = Env::new();
    bucket.reach_from(&mut env);
    env.set("AWS_ENDPOINT_URL", &proxy.endpoint());
    env.write("job.yaml", format!("{JOB}checkpoint: {{store: '{}'}}\n", bucket.url));
    env.write("in.jsonl", "{\"user\":\"a\"}\n{\"user\":\"b\"}\n{\"user\":\"a\"}\n");
    Some((env, proxy, bucket))
}

#[test]
fn a_run_refuses_a_server_that_ignores_conditions() {
    if std::env::var_os("CKPT_BUCKET_URL").is_some() {
        println!("skipped: conditions are signed, and only moto does not check signatures");
        return;
    }
    let ignorant = |request: &Request| if request.kind() == "CREATE" { Fate::IgnoreCondition } else { Fate::Pass };
    let Some((env, _proxy, bucket)) = job(ignorant) else { return };
    let output = env.run(&["run", "job.yaml"]).expect(4);
    assert!(output.stderr.contains("the server ignores conditions, so two writers could both commit"), "{output}");
    assert!(output.stderr.contains("docs/object-storage.md lists those"), "{output}");
    assert_eq!(names(&bucket), [""; 0]);
}

/// Returns the names of all objects below the prefix.
fn names(bucket: &Bucket) -> Vec<String> {
    let mut names = Vec::new();
    bucket.storage().list_deep(None, &mut |entry| names.push(entry.name)).expect("listed");
    names
}

#[test]
fn no_command_writes_to_a_server_that_ignores_conditions() {
    if std::env::var_os("CKPT_BUCKET_URL").is_some() {
        println!("skipped: conditions are signed, and only moto does not check signatures");
        return;
    }
    let ignorant = |request: &Request| if request.kind() == "CREATE" { Fate::IgnoreCondition } else { Fate::Pass };
    let Some((env, proxy, bucket)) = job(|_| Fate::Pass) else { return };
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("in.jsonl", "{\"user\":\"a\"}\n{\"user\":\"b\"}\n{\"user\":\"a\"}\n{\"user\":\"b\"}\n");
    env.run(&["run", "job.yaml"]).expect(0);
    let (url, before) = (bucket.url.to_string(), names(&bucket));
    env.run(&["copy", &url, "--to", "local"]).expect(0);
    proxy.decide(ignorant);
    let (first, elsewhere) = (format!("{url}@1"), format!("{url}/elsewhere"));
    for arguments in [
        &["run", "job.yaml"][..],
        &["prune", &url, "--keep-last", "1", "--yes"],
        &["restore", &first],
        &["pin", &first],
        &["copy", "local", "--to", &elsewhere],
    ] {
        let output = env.run(arguments).expect(4);
        assert!(output.stderr.contains("the server ignores conditions"), "{arguments:?}: {output}");
        assert_eq!(names(&bucket), before, "{arguments:?}");
    }
}

#[test]
fn keys_that_expire_while_a_job_runs_end_it_and_a_new_start_resumes_it() {
    let Some((env, proxy, _)) = job(|_| Fate::Pass) else { return };
    env.run(&["run", "job.yaml"]).expect(0);
    env.write("in.jsonl", "{\"user\":\"a\"}\n{\"user\":\"b\"}\n{\"user\":\"a\"}\n{\"user\":\"c\"}\n");
    let writes = |request: &Request| match request.kind() {
        "PUT" | "CREATE" if !request.path.contains(".tmp-probe") => Fate::AnswerInstead(400, "ExpiredToken"),
        _ => Fate::Pass,
    };
    proxy.decide(writes);
    let output = env.run(&["run", "job.yaml"]).expect(4);
    assert!(output.stderr.contains("the credentials have expired"), "{output}");
    proxy.decide(|_| Fate::Pass);
    env.run(&["run", "job.yaml"]).expect(0);
    let store = env.read("job.yaml").split('\'').nth(1).unwrap().to_owned();
    env.run(&["verify", "--deep", &store]).expect(0);
    let state = env.run(&["inspect", &store, "--json"]).expect(0);
    assert!(state.stdout.contains("\"sequence\":2"), "{state}");
}

#[test]
fn a_restore_that_a_run_overtakes_in_its_last_request_says_what_to_do() {
    let Some((env, proxy, bucket)) = job(|_| Fate::Pass) else { return };
    let store = bucket.url.to_string();
    for records in 1..=2 {
        env.write("in.jsonl", "{\"user\":\"a\"}\n".repeat(records));
        env.run(&["run", "job.yaml"]).expect(0);
    }
    env.write("in.jsonl", "{\"user\":\"a\"}\n".repeat(3));
    let (arrived, resumes) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (first, there, then) = (AtomicBool::new(true), Arc::clone(&arrived), Arc::clone(&resumes));
    proxy.decide(move |request| {
        let commits = request.kind() == "CREATE" && request.path.ends_with("checkpoints/00000003/manifest.yaml");
        if commits && first.swap(false, Ordering::SeqCst) {
            there.wait();
            then.wait();
        }
        Fate::Pass
    });
    let restored = thread::scope(|scope| {
        let restore = scope.spawn(|| env.run(&["restore", &format!("{store}@1")]));
        arrived.wait();
        let run = env.run(&["run", "job.yaml"]);
        resumes.wait();
        run.expect(0);
        restore.join().expect("no panic")
    });
    let restored = restored.expect(11);
    assert!(restored.stderr.contains("checkpoint 00000003 was committed by another run\n"), "{restored}");
    assert!(restored.stderr.contains("hint: stop the run first, then restore again\n"), "{restored}");
    env.run(&["verify", "--deep", &store]).expect(0);
    let state = env.run(&["inspect", &store, "--json"]).expect(0);
    assert!(state.stdout.contains("\"sequence\":3") && state.stdout.contains("\"records\":3"), "{state}");
}

#[test]
fn secrets_are_in_no_output_and_in_no_object() {
    let Some((mut env, proxy, bucket)) = job(|_| Fate::Pass) else { return };
    if std::env::var_os("CKPT_BUCKET_URL").is_some() {
        println!("skipped: the keys of this server are not secrets of the test");
        return;
    }
    env.set("AWS_SECRET_ACCESS_KEY", SECRET).set("AWS_SESSION_TOKEN", TOKEN);
    let store = bucket.url.to_string();
    let mut seen = String::new();
    let mut keep = |output: Output| seen.push_str(&format!("{output}"));
    keep(env.run(&["run", "job.yaml", "--log", "json"]).expect(0));
    for command in [&["list", &store, "--json"][..], &["inspect", &store, "--json"], &["log", &store, "--json"]] {
        keep(env.run(command).expect(0));
    }
    env.set("CKPT_BUCKET_PATIENCE", "100ms");
    for (status, code) in [(403, "SignatureDoesNotMatch"), (400, "ExpiredToken"), (500, "InternalError")] {
        proxy.decide(move |_| Fate::AnswerInstead(status, code));
        keep(env.run(&["run", "job.yaml", "--log", "json"]).expect(4));
        keep(env.run(&["verify", &store, "--json"]));
    }
    let storage = bucket.storage();
    storage.list_deep(None, &mut |entry| seen.push_str(&entry.name)).unwrap();
    let mut names = Vec::new();
    storage.list_deep(None, &mut |entry| names.push(entry.name)).unwrap();
    for name in names {
        seen.push_str(&String::from_utf8_lossy(&storage.get(&super::path(&name), 1 << 20).unwrap()));
    }
    assert!(seen.len() > 2000 && !seen.contains(SECRET) && !seen.contains(TOKEN), "{seen}");
    let sent = format!("{:?}", proxy.seen());
    assert!(sent.contains(TOKEN) && !sent.contains(SECRET));
}
