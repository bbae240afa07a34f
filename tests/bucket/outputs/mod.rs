//! Outputs in a bucket: the same bytes as in a directory, each object published once and whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use ckpt::format::manifest::Output;
use ckpt::storage::bucket::{BucketStorage, BucketUrl};
use ckpt::storage::local::LocalStorage;
use ckpt::storage::remote;
use ckpt::store::Store;
use ckpt::values::relpath::RelPath;

use crate::support::Env;
use crate::support::bucket::Bucket;

mod kills;
mod lossy;
mod places;
mod published;
mod restored;

/// A directory with a job that writes below a prefix of a bucket.
struct Scene {
    env: Env,
    bucket: Bucket,
}

impl Scene {
    /// Makes a job with this output, in which `BUCKET` stands for the URL of an empty prefix. Returns nothing if there
    /// is no server.
    fn new(job: &str) -> Option<Scene> {
        let bucket = Bucket::fresh()?;
        let mut env = Env::new();
        bucket.reach_from(&mut env);
        env.write("job.yaml", job.replace("BUCKET", &bucket.url.to_string()));
        Some(Scene { env, bucket })
    }

    fn job_file(&self, from: &str, to: &str) {
        let text = self.env.read("job.yaml").replace(from, &to.replace("BUCKET", &self.bucket.url.to_string()));
        self.env.write("job.yaml", text);
    }

    fn run(&self) -> crate::support::Output {
        self.env.run(&["run", "job.yaml"])
    }

    /// Returns a client for what is below `dir` in the prefix.
    fn storage(&self, dir: &str) -> BucketStorage {
        let url: BucketUrl = format!("{}/{dir}", self.bucket.url).parse().expect("an address");
        BucketStorage::with_settings(url, &self.bucket.settings()).expect("a client")
    }

    /// Returns the names below `dir`, hidden ones too.
    fn names(&self, dir: &str) -> Vec<String> {
        self.storage(dir).names("").expect("listed")
    }

    /// Returns every object below `dir` with its bytes.
    fn objects(&self, dir: &str) -> BTreeMap<String, Vec<u8>> {
        let storage = self.storage(dir);
        let names = storage.names("").expect("listed");
        names.into_iter().map(|name| (name.clone(), get(&storage, &name).expect("an object"))).collect()
    }

    /// Returns the files that each checkpoint names. Its store is in the directory or, without one, in the bucket.
    fn outputs(&self) -> Vec<Output> {
        let store = match self.env.path("store").exists() {
            true => Store::open(vec![Arc::new(LocalStorage::new(self.env.path("store")))]),
            false => Store::open(vec![Arc::new(remote::Bucket::of(self.storage("store")))]),
        };
        let store = store.expect("a store");
        let sequences = store.sequences().expect("listed");
        let manifests = sequences.into_iter().map(|sequence| store.manifest(sequence).expect("read").manifest);
        manifests.flat_map(|manifest| manifest.outputs).collect()
    }
}

fn path(name: &str) -> RelPath {
    RelPath::new(name).expect("a name")
}

fn get(storage: &BucketStorage, name: &str) -> Option<Vec<u8>> {
    storage.get(&path(name), 1 << 30).ok().map(|bytes| bytes.to_vec())
}

/// Returns records of `keys` keys; every 97th is bad if there are `bad` ones.
fn records(from: u64, to: u64, keys: u64, bad: bool) -> String {
    (from..to).fold(String::new(), |mut text, number| {
        if bad && number.is_multiple_of(97) {
            text += "{bad\n";
        }
        let _ = writeln!(text, "{{\"k\":\"k{}\",\"v\":{number}}}", number * 7919 % keys);
        text
    })
}
