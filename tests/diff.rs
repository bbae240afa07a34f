//! Comparisons of checkpoints, checked against a model that keeps the states as maps.

use std::collections::BTreeMap;

use ckpt::format::index;
use ckpt::format::manifest::Routing;
use ckpt::ops::diff::{Change, ChangeKind, Comparison, Limits, Scope, Side};
use ckpt::ops::key_filter::KeyFilter;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use ckpt::values::value::Value;
use proptest::prelude::*;

use crate::support::store_builder::{Change as Edit, StoreBuilder};

type State = BTreeMap<(u32, String), Vec<Value>>;
type Found = Vec<(u32, String, ChangeKind)>;

/// The edits of each commit.
type History = Vec<Vec<(String, Option<i64>)>>;

fn any_history() -> impl Strategy<Value = History> {
    let edit = ("[a-d]{1,2}|x[0-9]", prop::option::weighted(0.8, 0..3i64));
    prop::collection::vec(prop::collection::vec(edit, 0..12), 1..6)
}

/// A store with the states of its checkpoints.
struct Played {
    _dir: tempfile::TempDir,
    builder: StoreBuilder,
    states: Vec<State>,
}

fn play(history: &History, tasks: u32, shards: u32) -> Played {
    let dir = tempfile::tempdir().expect("a directory");
    let mut builder = StoreBuilder::create(&dir.path().join("s"), tasks, shards, Routing::KeyHash);
    let mut states = Vec::new();
    for edits in history {
        let edits: BTreeMap<&str, Option<i64>> = edits.iter().map(|(key, clicks)| (key.as_str(), *clicks)).collect();
        let filled: Vec<u32> = builder.state().keys().map(|(task, _)| index::shard_of(*task, tasks, shards)).collect();
        // The first segment of a shard is a base, which has no tombstones.
        let edits: Vec<Edit<'_>> = edits
            .into_iter()
            .filter(|(key, clicks)| {
                clicks.is_some() || filled.contains(&index::shard_of(builder.task(key), tasks, shards))
            })
            .collect();
        builder.commit(&edits);
        states.push(builder.state().clone());
    }
    Played { _dir: dir, builder, states }
}

impl Played {
    fn side(&self, at: usize) -> Side {
        Side::open(self.builder.store.clone(), Sequence(at as u64 + 1)).expect("the checkpoint exists")
    }
}

fn expected(old: &State, new: &State, task_of: impl Fn(&str) -> u32, scope: &Scope) -> Found {
    let by_key = |state: &State| -> BTreeMap<(u32, String), Vec<Value>> {
        state.iter().map(|((_, key), values)| ((task_of(key), key.clone()), values.clone())).collect()
    };
    let (old, new) = (by_key(old), by_key(new));
    let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
    keys.into_iter()
        .filter(|(task, key)| {
            scope.task.is_none_or(|only| only == *task)
                && match &scope.keys {
                    KeyFilter::All => true,
                    KeyFilter::Only(keys) => keys.contains(key),
                    KeyFilter::StartsWith(prefix) => key.starts_with(prefix),
                }
        })
        .filter_map(|at| {
            let kind = match (old.get(&at), new.get(&at)) {
                (None, Some(_)) => ChangeKind::Added,
                (Some(_), None) => ChangeKind::Removed,
                (old, new) if old != new => ChangeKind::Changed,
                _ => return None,
            };
            Some((at.0, at.1, kind))
        })
        .collect()
}

fn found(comparison: &Comparison) -> Found {
    let mut found = Found::new();
    let totals = comparison
        .changes(&Silent, |change: Change<'_>| {
            let key = String::from_utf8(change.key.to_vec()).expect("UTF-8");
            found.push((change.task, key, change.kind()));
            true
        })
        .expect("readable");
    assert_eq!(totals.keys.all(), found.len() as u64);
    found
}

fn any_scope() -> impl Strategy<Value = Scope> {
    let keys = prop_oneof![
        2 => Just(KeyFilter::All),
        1 => "[a-dx]".prop_map(KeyFilter::StartsWith),
        1 => prop::collection::vec("[a-dx][0-9]?", 1..3).prop_map(KeyFilter::Only),
    ];
    (prop::option::weighted(0.3, 0..8u32), keys).prop_map(|(task, keys)| Scope { task, keys })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_two_checkpoints_differ_by_what_their_states_differ_by(
        history in any_history(),
        scope in any_scope(),
        look_up in any::<bool>(),
    ) {
        let played = play(&history, 8, 3);
        for old in 0..played.states.len() {
            for new in 0..played.states.len() {
                let mut comparison = Comparison::new(played.side(old), played.side(new), scope.clone());
                if !look_up {
                    comparison.limits = Limits { lookup_rows: 0, ..comparison.limits };
                }
                let task_of = |key: &str| played.builder.task(key);
                let expected = expected(&played.states[old], &played.states[new], task_of, &scope);
                prop_assert_eq!(found(&comparison), expected, "{} to {}", old, new);
            }
        }
    }

    #[test]
    fn checkpoints_of_two_stores_differ_by_what_their_states_differ_by_whatever_the_layout(
        histories in (any_history(), any_history()),
        layout in prop::sample::select(vec![(8, 3), (8, 5), (5, 2), (16, 1)]),
        scope in any_scope(),
        window_rows in 1..8u64,
    ) {
        let (old, new) = (play(&histories.0, 8, 3), play(&histories.1, layout.0, layout.1));
        let (old_last, new_last) = (old.states.len() - 1, new.states.len() - 1);
        let mut comparison = Comparison::new(old.side(old_last), new.side(new_last), scope.clone());
        comparison.limits = Limits { window_rows, ..comparison.limits };
        let task_of = |key: &str| new.builder.task(key);
        let expected = expected(&old.states[old_last], &new.states[new_last], task_of, &scope);
        prop_assert_eq!(found(&comparison), expected);
    }
}
