//! `ckpt stats`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::support::Env;
use crate::support::headed::Headed;
use crate::support::store_builder::{StoreBuilder, with_three_checkpoints as env};

type View = Headed<Sizes>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Sizes {
    logical_bytes: u64,
    objects: u64,
    stored_bytes: u64,
    older_bytes: u64,
    unused_objects: Option<u64>,
    unused_bytes: Option<u64>,
    pruned_checkpoints: u64,
    pruned_bytes: Option<u64>,
    older: u64,
    checkpoints: Vec<Checkpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
#[allow(dead_code)]
enum Checkpoint {
    Read {
        sequence: u64,
        created: String,
        bytes: u64,
        new_bytes: u64,
        shared_bytes: u64,
        reclaimable_bytes: u64,
        growth_bytes: Option<i64>,
    },
    Damaged {
        sequence: u64,
        error: String,
    },
}

fn view(env: &Env, arguments: &[&str], status: i32) -> View {
    serde_json::from_str(&env.run(arguments).expect(status).stdout).expect("a view")
}

/// The objects of each checkpoint with their sizes, as the files state them.
fn objects(env: &Env, checkpoints: u64) -> Vec<BTreeMap<String, u64>> {
    let of = |sequence: u64| {
        let sums = env.read(&format!("s/checkpoints/{sequence:08}/SHA256SUMS"));
        let paths = sums.lines().filter_map(|line| line.split_once("../../")).map(|(_, path)| path.to_owned());
        paths.map(|path| (path.clone(), env.path("s").join(&path).metadata().expect("a file").len())).collect()
    };
    (1..=checkpoints).map(of).collect()
}

#[test]
fn the_numbers_are_those_of_the_files() {
    let env = env();
    let view = view(&env, &["stats", "s", "--json"], 0);
    let all = objects(&env, 3);
    let sum = |objects: &BTreeMap<String, u64>| objects.values().sum::<u64>();
    let union: BTreeMap<String, u64> = all.iter().flatten().map(|(path, bytes)| (path.clone(), *bytes)).collect();
    assert_eq!((view.head.version, view.logical_bytes), (1, all.iter().map(sum).sum()));
    assert_eq!((view.objects, view.stored_bytes), (union.len() as u64, sum(&union)));
    assert_eq!(view.older_bytes, sum(&union) - sum(&all[2]));
    assert_eq!((view.unused_objects, view.unused_bytes), (Some(0), Some(0)));
    for (place, checkpoint) in view.checkpoints.iter().enumerate() {
        let Checkpoint::Read { bytes, shared_bytes, reclaimable_bytes, growth_bytes, .. } = checkpoint else {
            panic!("{checkpoint:?}")
        };
        let others: BTreeSet<&String> =
            all.iter().enumerate().filter(|(other, _)| *other != place).flat_map(|(_, one)| one.keys()).collect();
        let own: u64 = all[place].iter().filter(|(path, _)| !others.contains(path)).map(|(_, bytes)| bytes).sum();
        assert_eq!((*bytes, *reclaimable_bytes, *shared_bytes), (sum(&all[place]), own, sum(&all[place]) - own));
        let before = place.checked_sub(1).map(|before| sum(&all[place]) as i64 - sum(&all[before]) as i64);
        assert_eq!(*growth_bytes, before);
    }
}

#[test]
fn the_table_and_the_totals_fit_a_terminal() {
    let env = env();
    env.write(&format!("s/objects/sha256/ab/{}.parquet", "ab".repeat(32)), "left over");
    let output = env.run(&["stats", "s"]).expect(0);
    let lines: Vec<&str> = output.stdout.lines().collect();
    let header: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(header, ["NUMBER", "TIME", "AGE", "SIZE", "NEW", "SHARED", "FREES"]);
    let starts: Vec<&str> = lines[5..].iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(starts, ["logical", "stored", "older", "unused"]);
    assert!(lines[8].ends_with("9 B  1 object that no checkpoint needs"), "{output}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{output}");
    let limited = env.run(&["stats", "s", "--totals"]).expect(0);
    assert_eq!(limited.stdout.lines().collect::<Vec<_>>(), lines[5..]);
    let limited = view(&env, &["stats", "s", "--limit", "1", "--json"], 0);
    assert_eq!((limited.older, limited.checkpoints.len()), (2, 1));
}

#[test]
fn a_checkpoint_that_cannot_be_read_is_a_line_and_unused_bytes_are_unknown() {
    let env = env();
    env.write("s/checkpoints/00000002/manifest.yaml", "format: 1\n\u{1b}[2J");
    let output = env.run(&["stats", "s"]).expect(1);
    assert!(output.stderr.starts_with("warning: checkpoint 2: "), "{output}");
    assert!(output.stdout.contains("unused           -  unknown"), "{output}");
    let view = view(&env, &["stats", "s", "--json"], 1);
    assert!(matches!(&view.checkpoints[1], Checkpoint::Damaged { sequence: 2, .. }));
    assert_eq!(view.unused_bytes, None);
}

#[test]
fn an_empty_store_has_totals_of_zero() {
    let env = Env::new();
    StoreBuilder::keyed(&env.path("s"));
    let view = view(&env, &["stats", "s", "--json"], 0);
    assert_eq!((view.logical_bytes, view.stored_bytes, view.older_bytes, view.unused_bytes), (0, 0, 0, Some(0)));
    assert_eq!(env.run(&["stats", "s"]).expect(0).stdout.lines().count(), 4);
    env.run(&["stats", "nothing"]).expect(10);
    env.run(&["stats", "s@1"]).expect(2);
}
