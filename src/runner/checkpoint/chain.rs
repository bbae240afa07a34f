//! How a shard's chain of segments stays short: when deltas are merged, and when they are folded into a new base.
//!
//! The rules are pure functions of sizes. `docs/format.md` states them in the section "Chains".

/// The most segments that a shard's chain has after a checkpoint.
pub const MAX_SEGMENTS: usize = 64;

/// This many deltas of about the same size are merged into one.
pub const MERGE_WIDTH: usize = 16;

/// Deltas are of about the same size if they are within a factor of 16, starting at this size in bytes.
const SMALLEST_TIER_BYTES: u64 = 4096;

/// What happens to a shard's new delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// It is appended to the chain.
    Append,
    /// It is merged with all segments from this level, which is not 0, upward: the result is a delta.
    Merge { from_level: usize },
    /// It is folded with the whole chain into a new base.
    Rebase,
}

/// Decides about a new delta of about `new_bytes` on a chain of segments of `chain` bytes, the base first.
///
/// Deltas that have outgrown the base are folded into it only if `may_rebase`, so that not all shards pay in the same
/// checkpoint. Over many checkpoints, each changed byte is written about three times: in a delta, a merge, and a base.
pub fn decide(chain: &[u64], new_bytes: u64, may_rebase: bool) -> Fold {
    let Some((base_bytes, deltas)) = chain.split_first() else { return Fold::Append };
    if may_rebase && outgrown(*base_bytes, deltas, new_bytes) {
        return Fold::Rebase;
    }
    let new_tier = tier(new_bytes);
    let highest = deltas.iter().map(|&bytes| tier(bytes)).max().unwrap_or(0);
    for limit in new_tier..=highest.max(new_tier) {
        let run: Vec<u32> = deltas.iter().rev().map(|&bytes| tier(bytes)).take_while(|&tier| tier <= limit).collect();
        // Smaller deltas are merged as well, but only those of the tier itself make a merge due.
        let alike = run.iter().filter(|&&tier| tier == limit || limit == new_tier).count();
        if alike + usize::from(limit == new_tier) >= MERGE_WIDTH {
            return Fold::Merge { from_level: chain.len() - run.len() };
        }
    }
    if chain.len() >= MAX_SEGMENTS {
        return Fold::Merge { from_level: 1 };
    }
    Fold::Append
}

fn outgrown(base_bytes: u64, deltas: &[u64], new_bytes: u64) -> bool {
    deltas.iter().sum::<u64>() + new_bytes >= base_bytes
}

/// Returns the tier of a size: 0 below 4 KiB, and one more for each factor of 16.
fn tier(bytes: u64) -> u32 {
    (bytes / SMALLEST_TIER_BYTES).checked_ilog2().map_or(0, |log| log / 4 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `checkpoints` deltas of `delta_bytes` on a base. Returns the bytes written and the longest chain. No two
    /// deltas share a key.
    fn play(base_bytes: u64, delta_bytes: u64, checkpoints: usize) -> (u64, usize) {
        let (mut chain, mut written, mut longest) = (vec![base_bytes], 0, 0);
        for _ in 0..checkpoints {
            match decide(&chain, delta_bytes, true) {
                Fold::Append => {
                    written += delta_bytes;
                    chain.push(delta_bytes);
                }
                Fold::Merge { from_level } => {
                    let merged = chain.split_off(from_level).iter().sum::<u64>() + delta_bytes;
                    written += merged;
                    chain.push(merged);
                }
                Fold::Rebase => {
                    written += base_bytes;
                    chain = vec![base_bytes];
                }
            }
            longest = longest.max(chain.len());
        }
        (written, longest)
    }

    #[test]
    fn a_chain_stays_short_whatever_the_size_of_the_deltas() {
        for delta_bytes in [100, 5_000, 100_000, 3_000_000, 99_000_000, 200_000_000] {
            let (_, longest) = play(100_000_000, delta_bytes, 5_000);
            assert!(longest <= MAX_SEGMENTS, "{delta_bytes}: {longest}");
        }
    }

    #[test]
    fn changed_bytes_are_written_about_three_times_at_most() {
        let (base_bytes, delta_bytes) = (1_000_000_000, 10_000_000);
        let (written, _) = play(base_bytes, delta_bytes, 100);
        let factor = written as f64 / (100 * delta_bytes) as f64;
        assert!(factor <= 3.0, "{factor}");
    }

    #[test]
    fn the_first_segment_of_a_shard_is_appended_and_small_bases_are_replaced() {
        assert_eq!(decide(&[], 10, true), Fold::Append);
        assert_eq!(decide(&[100], 100, true), Fold::Rebase);
        assert_eq!(decide(&[100], 100, false), Fold::Append);
    }

    #[test]
    fn deltas_are_merged_with_those_of_their_size_and_not_with_larger_ones() {
        let mut chain = vec![1 << 40, 1 << 30];
        chain.extend([1000; MERGE_WIDTH - 1]);
        assert_eq!(decide(&chain, 1000, true), Fold::Merge { from_level: 2 });
        assert_eq!(decide(&chain[..chain.len() - 1], 1000, true), Fold::Append);
    }
}
