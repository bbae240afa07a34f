//! Checks every row: order, routing and counts.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};

use crate::format::error::TableError;
use crate::format::index;
use crate::format::layout::ObjectName;
use crate::format::manifest::Routing;
use crate::format::segment::SegmentReader;
use crate::format::segment::keys;
use crate::format::segment::keys::KeyBatch;
use crate::ops::finding::{FindingCode, Findings, Subject};
use crate::ops::verify::chains::{Chain, group};
use crate::ops::verify::read_object::{Buffers, read_object};
use crate::ops::verify::refused_rows::refused_rows;
use crate::ops::verify::segment_rows::SegmentRows;
use crate::store::{RootRead, Store, StoreError};
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::parallel;
use crate::values::progress::Progress;
use crate::values::value::Column;

/// The outcome of checking one chain.
struct ChainCheck {
    /// How many keys are live in it; nothing if they could not be counted.
    live_keys: Option<u64>,
    findings: Findings,
}

/// Reads every row of every different chain, and returns how many bytes were read.
///
/// `intact` are objects whose bytes have just been verified.
pub(super) fn check_rows(
    store: &Store,
    roots: &[RootRead],
    chains: &[Chain],
    intact: &HashSet<ObjectName>,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> u64 {
    let groups = group(roots, chains);
    let buffers = Buffers::default();
    let checked = parallel::map(&groups, |group| {
        let chains: Vec<&Chain> = group.iter().map(|&index| &chains[index]).collect();
        check_group(store, roots, &chains, intact, &buffers, progress)
    });
    let mut read_bytes = 0u64;
    let mut checks: Vec<Option<ChainCheck>> = chains.iter().map(|_| None).collect();
    for (group, (group_checks, read)) in groups.iter().zip(checked) {
        read_bytes = read_bytes.saturating_add(read);
        for (&index, check) in group.iter().zip(group_checks) {
            checks[index] = Some(check);
        }
    }
    let mut keys: BTreeMap<usize, Option<u64>> = BTreeMap::new();
    for (chain, check) in chains.iter().zip(checks) {
        let check = check.expect("every chain is in a group");
        findings.append(check.findings);
        for &user in &chain.users {
            let sum = keys.entry(user).or_insert(Some(0));
            *sum = sum.zip(check.live_keys).map(|(sum, live)| sum.saturating_add(live));
        }
    }
    for (user, keys) in keys {
        let (Some(keys), Some(manifest)) = (keys, roots[user].usable()) else { continue };
        if keys != manifest.totals.keys {
            let subject = Subject::Manifest(manifest.sequence);
            let expected = format!("{} keys as the manifest says", manifest.totals.keys);
            findings.add(FindingCode::TotalsWrong, subject, expected, format!("{keys} keys"), [manifest.sequence]);
        }
    }
    read_bytes
}

/// Checks chains that are prefixes of the first, and returns how many bytes were read as well.
fn check_group(
    store: &Store,
    roots: &[RootRead],
    chains: &[&Chain],
    intact: &HashSet<ObjectName>,
    buffers: &Buffers,
    progress: &dyn Progress,
) -> (Vec<ChainCheck>, u64) {
    if let Ok(checks) = check_chains(store, roots, chains, intact, buffers, progress) {
        return (checks, chains[0].bytes());
    }
    // Damage in the longest chain must not hide what is wrong in a shorter one.
    let (mut checks, mut read_bytes) = (Vec::new(), 0u64);
    for chain in chains {
        match check_chains(store, roots, &[chain], intact, buffers, progress) {
            Ok(alone) => {
                checks.extend(alone);
                read_bytes = read_bytes.saturating_add(chain.bytes());
            }
            Err(findings) => checks.push(ChainCheck { live_keys: None, findings }),
        }
    }
    (checks, read_bytes)
}

/// Checks the rows of chains that are prefixes of the first. If the first cannot be read to its end, returns the
/// findings about it as an error.
fn check_chains(
    store: &Store,
    roots: &[RootRead],
    chains: &[&Chain],
    intact: &HashSet<ObjectName>,
    buffers: &Buffers,
    progress: &dyn Progress,
) -> Result<Vec<ChainCheck>, Findings> {
    let longest = chains[0];
    // All users route alike: a chain is known by everything that routing depends on, and partitions keep their tasks.
    let first_user = longest.users.first().map(|&user| &roots[user]);
    let Some(manifest) = first_user.and_then(RootRead::usable) else { return Err(Findings::default()) };
    let seen = RefCell::new(vec![SegmentRows::default(); longest.rows.len()]);
    let owner = |task: u32, key: &[u8]| match manifest.routing {
        // A partition is a shard, whose only task is compared with that of each row.
        Routing::Program | Routing::KeyedPartition => Some(task),
        Routing::KeyHash => Some(index::task_of_key(key, manifest.tasks)),
        Routing::Partition => std::str::from_utf8(key).ok().and_then(|key| longest.partitions.get(key).copied()),
    };
    // Most keys can be anything.
    let can_refuse = longest.windows.is_some() || manifest.key.is_some();
    let is_refused = |key: &[u8]| longest.refuses(manifest.key.as_ref(), key);
    let inspect = |place: usize, batch: &KeyBatch| {
        let has_refused = can_refuse && (0..batch.len()).any(|row| is_refused(batch.key(row)));
        seen.borrow_mut()[place].observe(batch, &longest.rows[place], has_refused, owner);
    };
    let live = count_live_keys(store, &manifest.columns, longest, intact, buffers, progress, &inspect)
        .map_err(|error| error.into_findings(users(longest, roots)))?;
    // Progress counts the other chains too.
    progress.advance(chains[1..].iter().fold(0, |sum, chain| sum.saturating_add(chain.bytes())));
    let seen = seen.into_inner();
    let check = |chain: &&Chain| {
        let mut findings = row_findings(chain, &seen, &users(chain, roots));
        if seen[..chain.rows.len()].iter().any(|seen| seen.is_suspicious) {
            findings.append(refused_rows(store, manifest, chain, intact, buffers, &users(chain, roots)));
        }
        ChainCheck { live_keys: Some(live[chain.rows.len() - 1]), findings }
    };
    Ok(chains.iter().map(check).collect())
}

/// Returns the checkpoints that have a chain.
fn users(chain: &Chain, roots: &[RootRead]) -> Vec<Sequence> {
    chain.users.iter().map(|&user| roots[user].sequence).collect()
}

/// Why a chain cannot be read to its end.
enum ChainError {
    /// An object is missing or damaged, which is a finding of its own, or the system refused to read it.
    Store(StoreError),
    /// An object is not a segment.
    Table { object: ObjectName, source: TableError },
}

impl ChainError {
    fn into_findings(self, users: Vec<Sequence>) -> Findings {
        let mut findings = Findings::default();
        match self {
            ChainError::Store(error) => findings.note_refusal(&error),
            ChainError::Table { object, source } => {
                let (expected, found) = ("sorted rows of the state", in_one_line(&source));
                findings.add(FindingCode::ContentWrong, object, expected, found, users);
            }
        }
        findings
    }
}

/// Returns what is wrong in the rows that were seen in each segment of `chain`.
fn row_findings(chain: &Chain, seen: &[SegmentRows], users: &[Sequence]) -> Findings {
    let mut findings = Findings::default();
    for (row, seen) in chain.rows.iter().zip(seen) {
        for (expected, found) in seen.count_problems(row) {
            findings.add(FindingCode::CountWrong, row.object, expected, found, users.iter().copied());
        }
        if let Some(first) = &seen.first_misrouted {
            let found = format!("{} rows of other tasks, the first with {first}", seen.misrouted);
            let expected = format!("rows of tasks {} to {} by their keys", row.first_task, row.last_task);
            findings.add(FindingCode::RowMisrouted, row.object, expected, found, users.iter().copied());
        }
    }
    findings
}

/// Hands the keys of every segment of `chain`, with the segment's index, to `inspect`, and counts the keys that are
/// live in the base, in the base with the first delta, and so on.
fn count_live_keys(
    store: &Store,
    columns: &[Column],
    chain: &Chain,
    intact: &HashSet<ObjectName>,
    buffers: &Buffers,
    progress: &dyn Progress,
    inspect: &dyn Fn(usize, &KeyBatch),
) -> Result<Vec<u64>, ChainError> {
    let table_error = |place: usize, source| ChainError::Table { object: chain.rows[place].object, source };
    let failed = Cell::new(0);
    let failed = &failed;
    let mut sources = Vec::with_capacity(chain.rows.len());
    let mut objects = Vec::with_capacity(chain.rows.len());
    for (place, row) in chain.rows.iter().enumerate() {
        let bytes = read_object(store, row.object_ref(), intact, buffers).map_err(ChainError::Store)?;
        progress.advance(row.bytes);
        objects.push(bytes.clone());
        let reader = SegmentReader::open(bytes, columns).map_err(|source| table_error(place, source))?;
        sources.push(reader.into_keys().inspect(move |batch| match batch {
            Ok(batch) => inspect(place, batch),
            Err(_) => failed.set(place),
        }));
    }
    let base = sources.remove(0);
    let live = keys::count_live(base, sources).map_err(|source| table_error(failed.get(), source))?;
    buffers.put(objects);
    Ok(live)
}
