//! Finds the rows of a checkpoint that a run would refuse, or that a run or a reader would misread.

use std::collections::HashSet;

use crate::format::layout::ObjectName;
use crate::format::manifest::Manifest;
use crate::format::rows::{RowCodec, RowEstimate};
use crate::format::segment::SegmentReader;
use crate::format::segment::merge::Merge;
use crate::format::sketch;
use crate::ops::finding::{FindingCode, Findings, Subject};
use crate::ops::verify::chains::Chain;
use crate::ops::verify::read_object::{Buffers, read_object};
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::value::{Column, Value};

/// Rows that are wrong in the same way.
#[derive(Default)]
struct Refused {
    count: u64,
    first: String,
}

impl Refused {
    fn add(&mut self, key: &[u8]) {
        if self.count == 0 {
            self.first = String::from_utf8_lossy(key).chars().take(80).collect();
        }
        self.count += 1;
    }
}

/// Returns findings about the live rows of `chain` whose sketches cannot be read or estimate something else, or whose keys do not end with the
/// start of a window of the job or do not have the parts of its key. `users` are the checkpoints that have the chain.
///
/// Segments that cannot be read have findings of their own.
pub(super) fn refused_rows(
    store: &Store,
    manifest: &Manifest,
    chain: &Chain,
    intact: &HashSet<ObjectName>,
    buffers: &Buffers,
    users: &[Sequence],
) -> Findings {
    let mut findings = Findings::default();
    let mut sources = Vec::with_capacity(chain.rows.len());
    for row in &chain.rows {
        let bytes = match read_object(store, row.object_ref(), intact, buffers) {
            Ok(bytes) => bytes,
            Err(error) => {
                findings.note_refusal(&error);
                return findings;
            }
        };
        let Ok(reader) = SegmentReader::open(bytes, &manifest.columns) else { return findings };
        sources.push(reader);
    }
    let codec = RowCodec::new(manifest.columns.clone());
    let [mut sketches, mut estimates, mut keys, mut parts] = [const { Refused { count: 0, first: String::new() } }; 4];
    let read = Merge::new(sources).for_each(|row| {
        let Some(packed) = row.value else { return true };
        let is_bad = |(value, column): (&Value, &Column)| match value {
            Value::Sketch(bytes) => sketch::estimate(column.column_type, bytes, None).is_none(),
            _ => false,
        };
        let values = codec.unpack(packed);
        if values.iter().zip(&manifest.columns).any(is_bad) {
            sketches.add(row.key);
        } else if codec.estimates().iter().any(|estimate| !is_of_sketch(&values, &manifest.columns, estimate)) {
            estimates.add(row.key);
        }
        if chain.has_no_window(row.key) {
            keys.add(row.key);
        } else if chain.refuses(manifest.key.as_ref(), row.key) {
            parts.add(row.key);
        }
        true
    });
    if read.is_err() {
        return findings;
    }
    let refusal = FindingCode::NotResumable;
    for (refused, code, expected, what) in [
        (sketches, refusal, "sketches that a run can read", "with a sketch that cannot be read"),
        (estimates, FindingCode::EstimateWrong, "what the sketches estimate", "with another value than their sketch"),
        (keys, refusal, "keys that end with the start of a window", "whose key does not"),
        (parts, refusal, "keys with the parts of the job's key", "whose key does not have them"),
    ] {
        for &sequence in users.iter().filter(|_| refused.count > 0) {
            let shard = chain.rows[0].shard;
            let found = format!("{} rows of shard {shard} {what}, the first is {:?}", refused.count, refused.first);
            findings.add(code, Subject::Manifest(sequence), expected, found, [sequence]);
        }
    }
    findings
}

/// Returns whether a row with these values has what its sketch, which can be read, estimates.
fn is_of_sketch(values: &[Value], columns: &[Column], estimate: &RowEstimate) -> bool {
    let stored = &values[estimate.column];
    match &values[estimate.sketch] {
        Value::Sketch(bytes) => {
            let computed = sketch::estimate(columns[estimate.sketch].column_type, bytes, estimate.quantile);
            computed.is_some_and(|computed| sketch::agrees(stored, &computed))
        }
        _ => *stored == Value::Null,
    }
}
