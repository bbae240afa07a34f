//! Each request of the client, against a real server.

use std::time::Duration;

use ckpt::storage::{Storage as _, StorageError, remote};

use super::path;
use crate::support::Env;
use crate::support::bucket::{Bucket, is_a_real_server};
use crate::support::lossy::{Fate, Lossy};
use crate::support::object_server::{ObjectServer, rounds};

#[test]
fn what_is_created_is_read_back_and_not_replaced_by_another_create() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = bucket.storage();
    let file = path("a/file");
    storage.create(&file, b"first").unwrap();
    assert!(storage.create(&file, b"second").unwrap_err().is_exists());
    assert_eq!(storage.get(&file, 5).unwrap(), "first");
    assert!(matches!(storage.get(&file, 4), Err(StorageError::TooLarge { limit: 4, found: 5, .. })));
    storage.replace(&file, b"third").unwrap();
    assert_eq!((storage.get(&file, 5).unwrap(), storage.size(&file).unwrap()), ("third".into(), 5));
    storage.delete(&file).unwrap();
    assert!(storage.get(&file, 5).unwrap_err().is_not_found());
    assert!(storage.size(&file).unwrap_err().is_not_found());
}

#[test]
fn prefixes_are_separate_and_commands_get_the_same_environment() {
    let (Some(mut one), Some(other)) = (Bucket::fresh(), Bucket::fresh()) else { return };
    one.storage().create(&path("file"), b"x").unwrap();
    assert!(other.storage().list(None).unwrap().is_empty());
    let endpoint = one.variable("AWS_ENDPOINT_URL").to_owned();
    let mut env = Env::new();
    one.set("AWS_REGION", "eu-west-1").unset("AWS_SECRET_ACCESS_KEY").reach_from(&mut env);
    let seen = env.shell("echo $AWS_ENDPOINT_URL $AWS_REGION $AWS_SECRET_ACCESS_KEY").expect(0);
    assert_eq!(seen.stdout, format!("{endpoint} eu-west-1\n"));
}

#[test]
fn a_range_ends_where_the_object_does() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = bucket.storage();
    let (file, empty) = (path("file"), path("empty"));
    storage.create(&file, b"0123456789").unwrap();
    storage.create(&empty, b"").unwrap();
    let cases = [(0..4, "0123"), (3..4, "3"), (8..99, "89"), (8..u64::MAX, "89"), (10..11, ""), (99..u64::MAX, "")];
    for (range, expected) in cases {
        assert_eq!(storage.get_range(&file, range.clone()).unwrap(), expected, "{range:?}");
    }
    assert_eq!(storage.get_range(&file, 5..5).unwrap(), "");
    assert_eq!((storage.get_range(&empty, 0..10).unwrap(), storage.size(&empty).unwrap()), ("".into(), 0));
    assert_eq!((storage.get(&empty, 0).unwrap(), storage.get(&file, 10).unwrap().len()), ("".into(), 10));
    for range in [0..0, 0..1, 7..9] {
        assert!(storage.get_range(&path("none"), range).unwrap_err().is_not_found());
    }
    assert_eq!(storage.list(None).unwrap().iter().map(|entry| entry.bytes).collect::<Vec<_>>(), [0, 10]);
}

#[test]
fn a_scan_hands_out_every_byte_up_to_the_limit() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = bucket.storage();
    let content: Vec<u8> = (0..20_u32 << 20).map(|at| (at / 1000 + at % 251) as u8).collect();
    let file = path("large");
    storage.replace(&file, &content).unwrap();
    assert_eq!(storage.size(&file).unwrap(), content.len() as u64);
    assert!(storage.get(&file, 20 << 20).unwrap() == content);
    for limit in [0, 1, 1_000_000, content.len() as u64, u64::MAX] {
        let mut seen = Vec::new();
        let count = storage.scan(&file, limit, &mut |piece| seen.extend_from_slice(piece)).unwrap();
        let expected = &content[..content.len().min(usize::try_from(limit).unwrap_or(usize::MAX))];
        assert!(count == expected.len() as u64 && seen == expected, "{limit}");
    }
    assert!(storage.get_range(&file, 9_999_999..10_000_099).unwrap() == content[9_999_999..10_000_099]);
    assert!(storage.scan(&path("none"), 1, &mut |_| ()).unwrap_err().is_not_found());
}

#[test]
fn a_large_object_is_uploaded_in_parts_and_replaces_a_smaller_one() {
    let Some(mut bucket) = Bucket::fresh() else { return };
    let storage = bucket.set("CKPT_BUCKET_PART", "5MiB").storage();
    let content: Vec<u8> = (0..17_u32 << 20).map(|at| (at / 999) as u8).collect();
    let file = path("objects/large");
    storage.replace(&file, b"small").unwrap();
    storage.replace(&file, &content).unwrap();
    assert!(storage.get(&file, 17 << 20).unwrap() == content);
    assert_eq!(storage.list(None).unwrap().len(), 1);
    storage.replace(&file, &content[..5 << 20]).unwrap();
    assert_eq!(storage.size(&file).unwrap(), 5 << 20);
}

#[test]
fn a_large_object_is_created_in_parts_and_replaces_nothing() {
    let Some(mut bucket) = Bucket::fresh() else { return };
    let proxy = Lossy::before(bucket.variable("AWS_ENDPOINT_URL"), |_| Fate::Pass);
    let storage = bucket.set("CKPT_BUCKET_PART", "5MiB").set("AWS_ENDPOINT_URL", &proxy.endpoint()).storage();
    let content: Vec<u8> = (0..17_u32 << 20).map(|at| (at / 999) as u8).collect();
    let file = path("objects/large");
    storage.create(&file, &content).unwrap();
    let counts = proxy.counts();
    assert_eq!((counts["BEGIN"], counts["PART"], counts["COMPLETE"]), (1, 4, 1), "{counts:?}");
    assert!(!counts.contains_key("CREATE"), "{counts:?}");
    // A Ceph gateway ignores the condition on the request that completes an upload.
    if !is_a_real_server() {
        let mut other = content.clone();
        other[7 << 20] ^= 1;
        assert!(storage.create(&file, &other).unwrap_err().is_exists());
    }
    assert!(storage.get(&file, 17 << 20).unwrap() == content);
    // The same bytes count as created.
    storage.create(&file, &content).unwrap();
    assert_eq!(storage.list(None).unwrap().len(), 1);
}

#[test]
fn what_does_not_exist_is_deleted_already() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = bucket.storage();
    storage.delete(&path("none")).unwrap();
    storage.create(&path("a/b"), b"x").unwrap();
    // A directory is not an object.
    assert!(storage.get(&path("a"), 1).unwrap_err().is_not_found());
    storage.delete(&path("a")).unwrap();
    assert_eq!(storage.get(&path("a/b"), 1).unwrap(), "x");
}

#[test]
fn names_before_the_first_one_wanted_cost_no_requests() {
    let server = ObjectServer::start(&mut Env::new());
    for number in 1..=1500 {
        for file in ["SHA256SUMS", "manifest.yaml"] {
            server.put(&format!("store/checkpoints/{number:08}/{file}"), "x");
        }
    }
    let storage = remote::Bucket::of(server.storage("store"));
    let listed = |after: &str| {
        let listed = storage.list_dirs_after(&path("checkpoints"), "manifest.yaml", after).unwrap();
        (listed.len(), server.take_requests("LIST").len())
    };
    assert_eq!(listed(""), (1500, 3));
    assert_eq!(listed("00000400"), (1100, 3));
    assert_eq!(listed("00001499"), (1, 1));
    assert_eq!(listed("00001500"), (0, 1));
    // Where that is not known, they are left out all the same.
    server.ignore_start_after();
    assert_eq!(listed("00000400"), (1100, 3));
    assert_eq!(listed("00001500"), (0, 3));
}

#[test]
fn names_are_listed_from_a_given_one_by_every_server() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = remote::Bucket::of(bucket.storage());
    for number in 8..=12 {
        storage.create(&path(&format!("checkpoints/{number:08}/manifest.yaml")), b"x").unwrap();
    }
    let listed = |after: &str| {
        let listed = storage.list_dirs_after(&path("checkpoints"), "manifest.yaml", after).unwrap();
        listed.into_iter().map(|entry| entry.name).collect::<Vec<String>>()
    };
    assert_eq!(listed("00000010"), ["00000011", "00000012"]);
    assert_eq!(listed("00000012"), [""; 0]);
    assert_eq!(listed("").len(), 5);
}

#[test]
fn many_objects_are_deleted_at_once() {
    let server = ObjectServer::start(&mut Env::new());
    let names: Vec<_> = (0..200).map(|number| path(&format!("objects/{number}"))).collect();
    names.iter().for_each(|name| server.put(&format!("store/{name}"), "x"));
    server.set_latency(Duration::from_millis(20));
    let storage = remote::Bucket::of(server.storage("store"));
    storage.delete_all(&names).unwrap();
    assert_eq!(server.take_requests("DELETE").len(), 200);
    let rounds = rounds(&server.take_times());
    assert!(rounds < 50, "{rounds} deletions came one after another");
    assert!(storage.list(None).unwrap().is_empty());
}

#[test]
fn a_run_probes_a_server_once_for_everything_in_its_bucket() {
    let mut env = Env::new();
    let server = ObjectServer::start(&mut env);
    env.write("in.jsonl", "{\"k\":\"a\"}\n");
    env.write(
        "job.yaml",
        "job: counting\ninput: {files: [in.jsonl]}\nkey: k\nprocess: {aggregate: {n: count}}\n\
         output: {files: \"s3://data/out/\"}\n\
         checkpoint: {store: \"s3://data/store\", replicas: [\"s3://data/one\", \"s3://data/other\"]}\n",
    );
    env.run(&["run", "job.yaml"]).expect(0);
    let puts = server.take_requests("PUT");
    let probes: Vec<&String> = puts.iter().filter(|put| put.contains("/.tmp-probe-")).collect();
    assert!(probes.len() == 2 && probes[0] == probes[1], "{probes:?}");
}

#[test]
fn a_probe_learns_the_time_and_leaves_nothing() {
    let Some(bucket) = Bucket::fresh() else { return };
    let storage = bucket.storage();
    let seconds = storage.probe().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((seconds - now).abs() < 60, "{seconds} {now}");
    assert!(storage.list(None).unwrap().is_empty());
}
