//! A repair that gets no answer to some of its reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ckpt::format::manifest::Routing;
use ckpt::ops::repair::{apply, plan};
use ckpt::storage::Storage;
use ckpt::storage::local::LocalStorage;
use ckpt::store::Store;
use ckpt::values::progress::Silent;
use ckpt::values::relpath::RelPath;

use super::{directory, verified};
use crate::support::failing::Failing;
use crate::support::objects::Objects;
use crate::support::store_builder::StoreBuilder;

type Files = BTreeMap<String, Bytes>;

fn files(place: &dyn Storage) -> Files {
    let mut names = Vec::new();
    for entry in place.list(None).expect("listed") {
        let dir = RelPath::new(entry.name.clone()).expect("a name");
        match place.list_deep(&dir) {
            Ok(below) if !below.is_empty() => names.extend(below.iter().map(|file| format!("{dir}/{}", file.name))),
            _ => names.push(entry.name),
        }
    }
    let read = |name: String| {
        let bytes = place.get(&RelPath::new(name.clone()).expect("a name"), u64::MAX).ok()?;
        Some((name, bytes))
    };
    names.into_iter().filter_map(read).filter(|(name, _)| !name.ends_with(".lock") && !name.contains("lock")).collect()
}

/// Repairs one damaged file of a replica as often as it takes requests, and leaves another one without an answer each
/// time.
fn repair_with_a_read_unanswered<S: Storage + 'static>(open: impl Fn(&Path, &Objects) -> S, target: &str) {
    let mut replaced = 0;
    let mut at = 0;
    loop {
        let dir = directory();
        let objects = [Objects::default(), Objects::default()];
        let one = |index: usize| open(&dir.path().join(["a", "b"][index]), &objects[index]);
        let all = || vec![Arc::new(one(0)) as Arc<dyn Storage>, Arc::new(one(1))];
        let mut builder = StoreBuilder::on(all(), 8, 3, Routing::KeyHash);
        builder.commit(&[("ann", Some(1)), ("bob", Some(2))]);
        builder.commit(&[("cyd", Some(3))]);
        let whole = files(&one(1));
        let target = match target {
            "an object" => whole.keys().find(|name| name.ends_with("parquet")).expect("an object").as_str(),
            target => target,
        };
        let path = RelPath::new(target).expect("a name");
        one(1).replace(&path, b"damage").expect("written");

        let failing = Arc::new(Failing::new(one(1)).fail_between(at, 1));
        let reports = verified(&Store::open(all()).expect("opened"));
        let store =
            Store::new(builder.store.file.clone(), vec![all().remove(0), Arc::clone(&failing) as Arc<dyn Storage>]);
        let plan = plan(&store, &reports);
        let is_wanted = |step: &&ckpt::ops::repair::Step| step.path == path;
        assert!(plan.steps.iter().all(|step| is_wanted(&step)), "{target} {at}: {plan:?}");
        apply(&store, &plan, &Silent);
        if failing.calls() <= at {
            break;
        }
        let mut after = files(&one(1));
        let set_aside: Vec<String> = after.keys().filter(|name| name.starts_with("damaged/")).cloned().collect();
        let copies: Vec<Bytes> = set_aside.iter().filter_map(|name| after.remove(name)).collect();
        assert!(copies.iter().all(|copy| copy == "damage"), "{target} {at}: an intact file was moved away");
        let found = after.insert(target.to_owned(), whole[target].clone());
        if found.as_ref() == Some(&whole[target]) {
            assert!(!copies.is_empty(), "{target} {at}: nobody can examine what was there");
            replaced += 1;
        }
        assert!(after == whole, "{target} {at}: another file changed");
        at += 1;
    }
    assert!(replaced > 0 && at > replaced, "{target}: {replaced} of {at}");
}

#[test]
fn only_bytes_that_were_read_decide_what_a_repair_replaces() {
    for target in ["checkpoints/00000001/manifest.yaml", "checkpoints/00000002/SHA256SUMS", "an object"] {
        repair_with_a_read_unanswered(|dir, _| LocalStorage::new(dir), target);
        repair_with_a_read_unanswered(|_, objects| objects.client(None), target);
    }
}
