//! What a store should be, in plain maps.

use std::collections::{BTreeMap, BTreeSet};

use ckpt::format::rows::RowCodec;
use ckpt::ops::read::Snapshot;
use ckpt::store::Store;
use ckpt::values::id::Sequence;
use ckpt::values::value::Value;

use crate::crash::rows;

/// The state by key: the number of records, and the sum of their amounts.
pub type State = BTreeMap<String, (i64, i64)>;

/// A full copy of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Full {
    pub state: State,
    /// The number of applied records, by input.
    pub positions: BTreeMap<String, u64>,
}

/// What the store should be.
#[derive(Debug, Default)]
pub struct Model {
    /// The inputs, and their records.
    pub inputs: BTreeMap<String, Vec<(String, i64)>>,
    pub checkpoints: BTreeMap<u64, Full>,
    /// What each prune removed, the most recent one at the end.
    pub pruned: Vec<BTreeMap<u64, Full>>,
    pub pins: BTreeSet<u64>,
    /// The replica in which something is damaged.
    pub damaged: Option<usize>,
}

impl Model {
    pub fn latest(&self) -> Full {
        self.checkpoints.values().next_back().cloned().unwrap_or_default()
    }

    pub fn nth(&self, which: u8) -> Option<u64> {
        let count = self.checkpoints.len();
        self.checkpoints.keys().nth(usize::from(which) % count.max(1)).copied()
    }

    /// Returns what a run that began at `from` holds at `positions`.
    pub fn at(&self, from: &Full, positions: &BTreeMap<String, u64>) -> Full {
        let mut state = from.state.clone();
        for (name, &record) in positions {
            let begun = from.positions.get(name).copied().unwrap_or(0);
            assert!(begun <= record, "input {name} moved back from {begun} to {record}");
            for (key, amount) in &self.inputs[name][begun as usize..record as usize] {
                let (count, sum) = state.entry(key.clone()).or_default();
                (*count, *sum) = (*count + 1, *sum + amount);
            }
        }
        Full { state, positions: positions.clone() }
    }
}

/// Reads a whole checkpoint.
pub fn read(store: &Store, sequence: Sequence) -> Full {
    let snapshot = Snapshot::open(store, sequence).expect("the checkpoint can be opened");
    let codec = RowCodec::new(snapshot.manifest().columns.clone());
    let mut state = State::new();
    for (_, key, packed) in rows(store, sequence) {
        let values = codec.unpack(&packed);
        let [Value::Int(count), Value::Number(sum)] = &values[..] else { panic!("two columns: {values:?}") };
        let sum = sum.to_string().parse().expect("whole");
        state.insert(String::from_utf8(key).expect("UTF-8"), (*count, sum));
    }
    let positions = snapshot.positions(store).expect("read");
    Full { state, positions: positions.into_iter().map(|row| (row.partition, row.record)).collect() }
}
