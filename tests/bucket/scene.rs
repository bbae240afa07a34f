//! A job and its store in a bucket, and what is expected of it.

use ckpt::storage::bucket::BucketStorage;

use crate::support::bucket::Bucket;
use crate::support::lossy::{Fate, Lossy};
use crate::support::{Env, Output};

/// The job, but for its store.
pub const JOB: &str = "job: clicks
input:
  files: [in.jsonl]
key: user
process: {aggregate: {n: count}}
output: out
";

/// A directory with a job, a bucket, and a proxy in front of it.
pub struct Scene {
    pub env: Env,
    pub proxy: Lossy,
    pub url: String,
    bucket: Bucket,
}

impl Scene {
    /// `checkpoint` is what the job file says about its store; `$BUCKET` stands for the bucket.
    pub fn new(checkpoint: &str) -> Option<Scene> {
        let bucket = Bucket::fresh()?;
        let proxy = Lossy::before(bucket.variable("AWS_ENDPOINT_URL"), |_| Fate::Pass);
        let mut env = Env::in_memory();
        bucket.reach_from(&mut env);
        env.set("AWS_ENDPOINT_URL", &proxy.endpoint()).set("CKPT_BUCKET_TIMEOUT", "2s");
        let url = bucket.url.to_string();
        env.write("job.yaml", format!("{JOB}checkpoint: {}\n", checkpoint.replace("$BUCKET", &url)));
        let scene = Scene { env, proxy, url, bucket };
        scene.input(3);
        scene.run(&["run", "job.yaml"]).expect(0);
        scene.input(6);
        scene.run(&["run", "job.yaml"]).expect(0);
        Some(scene)
    }

    /// Does the same for a job that has more input since its last run.
    fn with_input(checkpoint: &str) -> Option<Scene> {
        let scene = Scene::new(checkpoint)?;
        scene.input(9);
        Some(scene)
    }

    /// Returns a client for the bucket that does not go through the proxy.
    pub fn storage(&self) -> BucketStorage {
        self.bucket.storage()
    }

    /// Damages files of the store in the bucket: one object is gone, one has other bytes, and so has a manifest.
    fn damaged(self) -> Scene {
        let storage = self.storage();
        let mut names = Vec::new();
        storage.list_deep(None, &mut |entry| names.push(entry.name)).expect("listed");
        let mut objects = names.iter().filter(|name| name.starts_with("objects/"));
        let (one, other) = (objects.next().expect("an object"), objects.next().expect("another"));
        storage.delete(&super::path(one)).expect("deleted");
        for name in [other, "checkpoints/00000001/manifest.yaml"] {
            storage.replace(&super::path(name), b"damage").expect("written");
        }
        self.run(&["verify", "$BUCKET"]).expect(1);
        self
    }

    /// Writes the first `count` records of the input.
    pub fn input(&self, count: usize) {
        let records = (0..count).map(|number| format!("{{\"user\":\"u{}\"}}\n", number % 4));
        self.env.write("in.jsonl", records.collect::<String>());
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let named: Vec<String> = arguments.iter().map(|word| word.replace("$BUCKET", &self.url)).collect();
        self.env.run(&named.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs a command with `fate` for its request number `at`.
    pub fn disturbed(&self, arguments: &[&str], fate: &Fate, at: usize) -> Output {
        self.proxy.forget();
        let fate = fate.clone();
        self.proxy.decide(move |request| if request.earlier == at { fate.clone() } else { Fate::Pass });
        let output = self.run(arguments);
        self.proxy.decide(|_| Fate::Pass);
        output
    }

    /// Checks that a store is whole, and that its newest checkpoint has the state of `records` records.
    pub fn has_state(&self, store: &str, records: usize) {
        self.run(&["verify", "--deep", store]).expect(0);
        self.run(&["restore", store, "--to", "now", "--format", "csv"]).expect(0);
        let text = self.env.shell("cat now/*.csv | grep -v ^task | cut -d, -f2- | sort; rm -r now").expect(0).stdout;
        let counts = (0..4).map(|user| (user, (0..records).filter(|number| number % 4 == user).count()));
        let expected: String = counts.filter(|(_, n)| *n > 0).map(|(user, n)| format!("u{user},{n}\n")).collect();
        assert_eq!(text, expected);
    }
}

/// A command that something happens to, the scene before it, and what holds afterwards.
pub struct Story {
    pub arguments: &'static [&'static str],
    /// Returns nothing if no server is installed.
    pub prepare: fn() -> Option<Scene>,
    pub check: fn(&Scene),
}

/// A job with its store in a bucket runs again.
pub const RUN: Story = Story {
    arguments: &["run", "job.yaml"],
    prepare: || Scene::with_input("{store: '$BUCKET'}"),
    check: |scene| scene.has_state("$BUCKET", 9),
};

/// The same with a replica in a bucket.
pub const RUN_WITH_REPLICA: Story = Story {
    arguments: &["run", "job.yaml"],
    prepare: || Scene::with_input("{store: local, replicas: ['$BUCKET']}"),
    check: |scene| {
        scene.has_state("local", 9);
        scene.has_state("$BUCKET", 9);
    },
};

pub const PRUNE: Story = Story {
    arguments: &["prune", "$BUCKET", "--keep-last", "1", "--yes"],
    prepare: || Scene::new("{store: '$BUCKET'}"),
    check: |scene| scene.has_state("$BUCKET", 6),
};

pub const COPY: Story = Story {
    arguments: &["copy", "local", "--to", "$BUCKET"],
    prepare: || Scene::new("{store: local}"),
    check: |scene| scene.has_state("$BUCKET", 6),
};

pub const ROLL_BACK: Story = Story {
    arguments: &["restore", "$BUCKET@1"],
    prepare: || Scene::new("{store: '$BUCKET'}"),
    check: |scene| scene.has_state("$BUCKET", 3),
};

pub const REPAIR: Story = Story {
    arguments: &["verify", "--repair", "$BUCKET"],
    prepare: || Scene::new("{store: '$BUCKET', replicas: [local]}").map(Scene::damaged),
    check: |scene| {
        scene.has_state("$BUCKET", 6);
        scene.has_state("local", 6);
    },
};

/// Returns at which requests of the command of `story` something happens, and which of `kinds` it is: eight spread over
/// the command, or everything at each request if `CKPT_BUCKET_THOROUGH` is 1. Nothing if no server is installed.
pub fn moments(story: &Story, kinds: usize) -> Vec<(usize, usize)> {
    const MOMENTS: usize = 8;
    let Some(scene) = (story.prepare)() else { return Vec::new() };
    scene.proxy.forget();
    scene.run(story.arguments).expect(0);
    let count = scene.proxy.seen().len();
    assert!(count > MOMENTS, "{:?}: {count} requests", story.arguments);
    if std::env::var("CKPT_BUCKET_THOROUGH").is_ok_and(|value| value == "1") {
        return (0..count).flat_map(|at| (0..kinds).map(move |kind| (at, kind))).collect();
    }
    (0..MOMENTS).map(|number| (number * count / MOMENTS, number % kinds)).collect()
}
