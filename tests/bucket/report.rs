//! `ckpt report` on a store in a bucket shows what it shows on its replica on disk.

use crate::support::Env;
use crate::support::bucket::Bucket;

#[test]
fn the_page_about_a_bucket_is_the_page_about_its_replica_on_disk() {
    let Some(bucket) = Bucket::fresh() else { return };
    let mut env = Env::new();
    bucket.reach_from(&mut env);
    let url = format!("{}/s", bucket.url);
    env.write(
        "job.yaml",
        format!(
            "job: clicks\ninput: '*.jsonl'\nkey: k\nprocess: {{aggregate: {{n: count}}}}\n\
             checkpoint: {{store: '{url}', replicas: [r], min_copies: 2}}\n"
        ),
    );
    for number in 0..4 {
        let records: String = (0..100).map(|key| format!("{{\"k\":\"key{}\"}}\n", key * number)).collect();
        env.write(&format!("{number}.jsonl"), records);
        env.run(&["run", "job.yaml", "-q"]).expect(0);
    }
    env.at("2126-11-22T14:00:00Z");
    let page = |store: &str| {
        let page = env.run(&["report", store, "--verify", "-o", "-"]).expect(0).stdout;
        // What of a page is about the place.
        page.replace(&url, "STORE").replace("$DIR/r", "REPLICA")
    };
    let (remote, local) = (page(&url), page(&env.path("r").display().to_string()));
    for text in ["<span class=\"word\">intact</span>, 4 checkpoints", "key297", "STORE", "REPLICA"] {
        assert!(remote.contains(text), "{text}");
    }
    let lines = |page: &str| {
        let mut lines: Vec<String> = page.replace("><", ">\n<").lines().map(str::to_owned).collect();
        lines.retain(|line| !line.contains("STORE") && !line.contains("REPLICA"));
        lines
    };
    let (remote, local) = (lines(&remote), lines(&local));
    let different: Vec<_> = remote.iter().zip(&local).filter(|(one, other)| one != other).collect();
    assert!(different.is_empty() && remote.len() == local.len(), "{different:#?}");
}
