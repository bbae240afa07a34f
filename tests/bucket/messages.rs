//! What goes wrong between a person and a bucket, and how fast and how clearly they learn of it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use ckpt::storage::bucket::{BucketStorage, Settings};
use ckpt::storage::{BucketFault, StorageError};
use ckpt::values::error_chain::in_one_line;

use super::path;
use crate::support::Ending;
use crate::support::bucket::{Bucket, Guarded, free_port};
use crate::support::lossy::{Fate, Lossy};

const SECRET: &str = "wJalrXUtnFEMI-this-is-secret";
const TOKEN: &str = "FwoGZXIvYXdzE-so-is-this";

/// Returns the error of a client with the settings, which must come within seconds.
fn error_with(variables: &[(&str, &str)]) -> StorageError {
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", TOKEN)];
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let patience = [("CKPT_BUCKET_PATIENCE", "1s"), ("CKPT_BUCKET_TIMEOUT", "2s")];
    let settings = Settings::new(keys.iter().chain(&patience).chain(variables).map(own));
    error_of(&settings)
}

fn error_of(settings: &Settings) -> StorageError {
    let begun = Instant::now();
    let url = "s3://ckpt-tests/store".parse().unwrap();
    let error = BucketStorage::with_settings(url, settings)
        .and_then(|storage| {
            assert_hidden(&format!("{storage:?}"));
            storage.get(&path("store.yaml"), 100).map(drop)
        })
        .unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_hidden(&format!("{settings:?} {error:?} {}", in_one_line(&error)));
    error
}

fn assert_hidden(text: &str) {
    assert!(!text.contains(SECRET) && !text.contains(TOKEN), "{text}");
}

#[track_caller]
fn assert_fault(error: &StorageError, expected: BucketFault, says: &str) {
    let text = in_one_line(error);
    let StorageError::Bucket { fault, .. } = error else { panic!("{text}") };
    assert_eq!(*fault, expected, "{text}");
    assert!(text.contains(says), "{text}");
}

#[test]
fn without_credentials_nothing_is_waited_for() {
    let settings = Settings::new([("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned())]);
    assert_fault(&error_of(&settings), BucketFault::NoCredentials, "no credentials were found");
    // What answers for the machine gives no keys.
    let role = Lossy::before("http://127.0.0.1:9", |_| Fate::AnswerInstead(403, ""));
    let settings = Settings::new([("AWS_METADATA_ENDPOINT".to_owned(), role.endpoint())]);
    assert_fault(&error_of(&settings), BucketFault::NoCredentials, "the service that gives credentials answered 403");
    // A key without its secret.
    let settings = Settings::new([("AWS_ACCESS_KEY_ID".to_owned(), "AKIDEXAMPLE".to_owned())]);
    assert_fault(&error_of(&settings), BucketFault::Configuration, "SecretAccessKey");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let cases = [
        ("AWS_ENDPOINT_URL", "minio:9000", "AWS_ENDPOINT_URL is not a URL"),
        ("AWS_ENDPOINT_URL", "http://198.51.100.1:9000", "AWS_ALLOW_HTTP=true"),
        ("AWS_CA_BUNDLE", "/does/not/exist.pem", "cannot read AWS_CA_BUNDLE `/does/not/exist.pem`"),
        ("CKPT_BUCKET_TIMEOUT", "soon", "CKPT_BUCKET_TIMEOUT is not a duration"),
    ];
    for (name, value, says) in cases {
        assert_fault(&error_with(&[(name, value)]), BucketFault::Configuration, says);
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_given_up_on_within_seconds() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    assert_fault(&error_with(&[("AWS_ENDPOINT_URL", &nobody)]), BucketFault::Unreachable, "refused");
    let unknown = error_with(&[("AWS_ENDPOINT_URL", "https://no-such-host.invalid")]);
    assert_fault(&unknown, BucketFault::Unreachable, "the server cannot be reached");
}

#[test]
fn a_server_that_never_answers_is_given_up_on() {
    // A socket that accepts connections and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    assert_fault(&error_with(&[("AWS_ENDPOINT_URL", &endpoint)]), BucketFault::TimedOut, "in time");
}

#[test]
fn an_address_that_is_not_one_of_s3_is_recognized() {
    let page = |status: &str| {
        let body = "<!doctype html><html><title>Console</title></html>";
        format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    for status in ["200 OK", "404 Not Found", "403 Forbidden", "302 Found"] {
        let answer = page(status);
        let server = Lossy::before("http://127.0.0.1:9", move |_| Fate::Raw(answer.clone()));
        let error = error_with(&[("AWS_ENDPOINT_URL", &server.endpoint())]);
        assert_fault(&error, BucketFault::NotS3, "does not speak the S3 API");
    }
}

#[test]
fn a_bucket_in_another_region_is_named() {
    let moved = "HTTP/1.1 301 Moved Permanently\r\nx-amz-bucket-region: eu-west-1\r\nContent-Length: 0\r\n\r\n";
    let server = Lossy::before("http://127.0.0.1:9", move |_| Fate::Raw(moved.to_owned()));
    let error = error_with(&[("AWS_ENDPOINT_URL", &server.endpoint())]);
    assert_fault(&error, BucketFault::WrongRegion, "the bucket is in region `eu-west-1`");
}

#[test]
fn what_the_server_says_is_passed_on() {
    let cases = [
        (403, "RequestTimeTooSkewed", BucketFault::ClockSkew, "the clock of this machine"),
        (400, "ExpiredToken", BucketFault::ExpiredToken, "the credentials have expired"),
        (503, "SlowDown", BucketFault::Throttled, "503 SlowDown: Made up"),
        (500, "InternalError", BucketFault::Server, "500 InternalError: Made up"),
    ];
    for (status, code, fault, says) in cases {
        let server = Lossy::before("http://127.0.0.1:9", move |_| Fate::AnswerInstead(status, code));
        assert_fault(&error_with(&[("AWS_ENDPOINT_URL", &server.endpoint())]), fault, says);
    }
}

#[test]
fn a_token_that_expires_in_the_middle_ends_the_wait_at_once() {
    let Some(mut bucket) = Bucket::fresh() else { return };
    let endpoint = bucket.variable("AWS_ENDPOINT_URL").to_owned();
    let proxy = Lossy::before(&endpoint, |_| Fate::Pass);
    let storage = bucket.set("AWS_ENDPOINT_URL", &proxy.endpoint()).storage();
    storage.create(&path("file"), b"x").unwrap();
    proxy.decide(|_| Fate::AnswerInstead(400, "ExpiredToken"));
    let begun = Instant::now();
    assert_fault(&storage.get(&path("file"), 1).unwrap_err(), BucketFault::ExpiredToken, "have expired");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn new_keys_in_a_profile_are_used_without_a_new_start() {
    let server = Lossy::before("http://127.0.0.1:9", |request| {
        let is_new = request.headers["authorization"].contains("NEWKEY");
        if is_new { Fate::AnswerInstead(404, "NoSuchKey") } else { Fate::AnswerInstead(400, "ExpiredToken") }
    });
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("credentials");
    let write = |id| fs::write(&file, format!("[p]\naws_access_key_id={id}\naws_secret_access_key=s\n")).unwrap();
    write("OLDKEY");
    let (endpoint, file_name) = (server.endpoint(), file.to_str().unwrap());
    let variables =
        [("AWS_ENDPOINT_URL", &*endpoint), ("AWS_PROFILE", "p"), ("AWS_SHARED_CREDENTIALS_FILE", file_name)];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let settings = Settings::new(variables.map(own));
    let storage = BucketStorage::with_settings("s3://data".parse().unwrap(), &settings).unwrap();
    assert_fault(&storage.get(&path("a"), 1).unwrap_err(), BucketFault::ExpiredToken, "have expired");
    write("NEWKEY");
    assert!(storage.get(&path("a"), 1).unwrap_err().is_not_found());
}

#[test]
fn wrong_keys_missing_rights_and_missing_buckets_are_told_apart() {
    let Some(server) = Guarded::start() else { return };
    let with = |id: &str, secret: &str, bucket: &str| {
        let mut settings = server.settings(id, secret);
        settings.push(("CKPT_BUCKET_PATIENCE".to_owned(), "1s".to_owned()));
        let url = format!("s3://{bucket}/store").parse().unwrap();
        BucketStorage::with_settings(url, &Settings::new(settings)).unwrap()
    };
    let (id, secret) = server.keys();
    let errors = |storage: &BucketStorage| {
        let create = storage.create(&path("a"), b"x").unwrap_err();
        let [read, size] = [storage.get(&path("a"), 9).unwrap_err(), storage.size(&path("a")).unwrap_err()];
        [create, read, size, storage.list(None).unwrap_err()]
    };
    for error in errors(&with("AKIAUNKNOWN", secret, "ckpt-tests")) {
        assert_fault(&error, BucketFault::WrongCredentials, "InvalidAccessKeyId");
    }
    for error in errors(&with(id, SECRET, "ckpt-tests")) {
        assert_fault(&error, BucketFault::WrongCredentials, "SignatureDoesNotMatch");
        assert_hidden(&format!("{error:?} {}", in_one_line(&error)));
    }
    // Before 5.2.5, moto computes another signature for listings.
    for error in &errors(&with(id, secret, "ckpt-tests"))[..3] {
        assert_fault(error, BucketFault::Denied, "AccessDenied");
    }
    let Some(mut bucket) = Bucket::fresh() else { return };
    bucket.url = "s3://ckpt-there-is-none/store".parse().unwrap();
    let storage = bucket.storage();
    let errors = [storage.create(&path("a"), b"x").unwrap_err(), storage.list(None).unwrap_err()];
    for error in errors.into_iter().chain([storage.get(&path("a"), 9).unwrap_err()]) {
        assert_fault(&error, BucketFault::NoBucket, "the bucket does not exist");
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_and_one_of_a_bundle_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let openssl = |line: &str| {
        let mut command = Command::new("openssl");
        command.args(line.split(' ')).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -subj /CN=localhost \
                -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
    if !openssl(make).status().is_ok_and(|status| status.success()) {
        println!("skipped: `openssl` is needed to make a certificate");
        return;
    }
    let port = free_port();
    let serve = format!("s_server -accept {port} -cert cert -key key -www -quiet");
    let _server = Ending(openssl(&serve).spawn().unwrap());
    let endpoint = format!("https://localhost:{port}");
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let unknown = error_with(&[("AWS_ENDPOINT_URL", &endpoint)]);
    assert_fault(&unknown, BucketFault::Encryption, "certificate");
    let bundle = dir.path().join("cert");
    let trusted = error_with(&[("AWS_ENDPOINT_URL", &endpoint), ("AWS_CA_BUNDLE", bundle.to_str().unwrap())]);
    assert_fault(&trusted, BucketFault::NotS3, "");
}

#[test]
fn a_server_without_encryption_behind_https_is_an_encryption_fault() {
    let answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            use std::io::{Read as _, Write as _};
            let mut stream = stream;
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    assert_fault(&error_with(&[("AWS_ENDPOINT_URL", &endpoint)]), BucketFault::Encryption, "");
}
