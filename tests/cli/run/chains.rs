//! What a checkpoint shares with its parent, and how long chains of segments become.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ckpt::runner::resume::recover::{Recovered, recover};
use ckpt::storage::local::LocalStorage;
use ckpt::store::Store;

use super::data::Random;
use super::{checkpoints, counting};
use crate::support::Env;

fn latest(place: &Path) -> Recovered {
    let store = Store::open(vec![Arc::new(LocalStorage::new(place.to_owned()))]).expect("a store");
    let latest = store.latest().expect("whole").expect("a checkpoint");
    recover(&store, latest, 2).expect("recovered")
}

/// Names that do not compress well: a base is much larger than a delta with a few rows.
fn name(key: usize) -> String {
    format!("{:016x}", Random(key as u64).next())
}

fn append(env: &Env, keys: impl Iterator<Item = usize>) {
    let lines: String = keys.map(|key| format!("{{\"k\":\"{}\"}}\n", name(key))).collect();
    env.append("data.jsonl", lines);
}

#[test]
fn shards_that_did_not_change_are_shared_and_without_changes_there_is_no_checkpoint() {
    let env = Env::new();
    counting(&env, "checkpoint: {store: store}\n");
    let store = env.path("store");
    append(&env, 0..20_000);
    env.run(&["run", "job.yaml"]).expect(0);
    let before = latest(&store).lineage;
    append(&env, 7..8);
    env.run(&["run", "job.yaml"]).expect(0);
    let after = latest(&store).lineage;
    let longer = before.chains.iter().zip(&after.chains).filter(|(before, after)| before != after);
    let longer: Vec<_> = longer.map(|(before, after)| (before.len(), after.len(), before[0] == after[0])).collect();
    assert_eq!(longer, [(1, 2, true)], "one shard got a delta on its base");
    let new: BTreeSet<_> = after.objects.difference(&before.objects).collect();
    assert_eq!(new.len(), 3, "the delta, the index and the positions");
    let totals = after.last.expect("a checkpoint").manifest.totals;
    assert_eq!((totals.keys, totals.changed_keys, totals.records), (20_000, 1, 20_001));
    assert!(totals.new_bytes * 5 < totals.bytes, "{totals:?}");

    env.run(&["run", "job.yaml"]).expect(0);
    assert_eq!(checkpoints(&store), [1, 2]);
}

#[test]
fn chains_stay_short_over_hundreds_of_checkpoints_and_hold_the_right_state() {
    let env = Env::in_memory();
    let store = env.path("store");
    counting(
        &env,
        "checkpoint: {store: store}
",
    );
    env.write("job.yaml", env.read("job.yaml").replace("tasks: 8", "tasks: 1").replace("output: out/\n", ""));
    let mut counts = vec![1; 8_000];
    append(&env, 0..counts.len());
    env.run(&["run", "job.yaml", "--quiet"]).expect(0);
    let (mut merges, mut rebases) = (0, 0);
    let mut before = latest(&store).lineage.chains[0].clone();
    for round in 1..=200 {
        // Mostly a few keys; now and then many, but fewer than half.
        let step = if round % 60 > 55 { 3 } else { 1_999 };
        let keys = (round..counts.len()).step_by(step);
        keys.clone().for_each(|key| counts[key] += 1);
        append(&env, keys);
        env.run(&["run", "--must-resume", "job.yaml", "--quiet"]).expect(0);
        if round % 5 == 0 || before.len() > 40 {
            let chain = latest(&store).lineage.chains[0].clone();
            assert!(chain.len() <= 64, "round {round}: {}", chain.len());
            assert!(chain.iter().enumerate().all(|(level, segment)| segment.level as usize == level));
            rebases += usize::from(chain[0] != before[0]);
            merges += usize::from(chain[0] == before[0] && chain.len() < before.len());
            before = chain;
        }
    }
    assert!(merges >= 3 && rebases >= 3, "{merges} merges, {rebases} rebases were seen");
    assert_eq!(checkpoints(&store).len(), 201);
    let mut found = Vec::new();
    let recovered = latest(&store);
    let manifest = &recovered.lineage.last.as_ref().expect("a checkpoint").manifest;
    let codec = ckpt::format::rows::RowCodec::new(manifest.columns.clone());
    for shard in &recovered.shards {
        shard.for_each(|key, value| {
            found.push((String::from_utf8(key.to_vec()).expect("UTF-8"), codec.unpack(value)[0].to_string()));
        });
    }
    found.sort();
    let mut expected: Vec<_> = counts.iter().enumerate().map(|(key, count)| (name(key), count.to_string())).collect();
    expected.sort();
    assert!(found == expected);
}
