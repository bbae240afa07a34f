//! How the positions changed recently, so that they can be had as they were before a block.

use std::collections::VecDeque;

/// The changes since the oldest block that is not accounted for. `P` is a position.
#[derive(Debug)]
pub(super) struct Recent<P> {
    /// The oldest first.
    changes: VecDeque<Change<P>>,
}

/// What changed the positions: a block was handed out, or the files changed between two blocks.
#[derive(Debug)]
struct Change<P> {
    /// The number of the block after it.
    next_number: u64,
    /// The number of streams before it.
    streams: usize,
    /// What it has moved, with the positions before it.
    moved: Vec<(usize, Option<P>)>,
}

impl<P> Recent<P> {
    pub(super) fn new() -> Recent<P> {
        Recent { changes: VecDeque::new() }
    }

    /// Notes a change. `streams` is the number of streams before it, `moved` has what it moved with the positions
    /// before, in order, and `next_number` is the number of the block after it, which is new if `is_block`.
    pub(super) fn note(
        &mut self,
        is_block: bool,
        next_number: u64,
        streams: usize,
        mut moved: Vec<(usize, Option<P>)>,
    ) {
        // With nothing to go back to, what happens between two blocks is of no interest.
        if is_block || !self.changes.is_empty() {
            moved.retain(|(stream, _)| *stream < streams);
            self.changes.push_back(Change { next_number, streams, moved });
        }
    }

    /// Notes that the blocks before `number` are accounted for.
    pub(super) fn forget_before(&mut self, number: u64) {
        while self.changes.front().is_some_and(|change| change.next_number <= number) {
            self.changes.pop_front();
        }
    }

    /// Takes back the block `number`, which is not accounted for, and all that came after it.
    pub(super) fn take_back(&mut self, number: u64, positions: &mut Vec<Option<P>>) {
        while self.changes.back().is_some_and(|change| change.next_number > number)
            && let Some(change) = self.changes.pop_back()
        {
            positions.truncate(change.streams);
            for (stream, position) in change.moved.into_iter().rev() {
                positions[stream] = position;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves the streams to new positions, and notes the change.
    fn pass(
        recent: &mut Recent<u32>,
        positions: &mut Vec<Option<u32>>,
        is_block: bool,
        next_number: u64,
        changes: &[(usize, Option<u32>)],
    ) {
        let (streams, mut moved) = (positions.len(), Vec::new());
        for (stream, position) in changes {
            match positions.get_mut(*stream) {
                Some(known) => moved.push((*stream, std::mem::replace(known, *position))),
                None => positions.push(*position),
            }
        }
        recent.note(is_block, next_number, streams, moved);
    }

    #[test]
    fn the_positions_before_a_block_come_back_with_all_that_happened_since() {
        let mut recent = Recent::new();
        let mut positions = vec![Some(0), Some(0)];
        // Before any block, changes are not kept.
        pass(&mut recent, &mut positions, false, 7, &[(1, Some(1))]);
        assert!(recent.changes.is_empty());
        let mut before = vec![positions.clone()];
        pass(&mut recent, &mut positions, true, 8, &[(0, Some(10))]);
        // A file is over, and another appears, without a block.
        pass(&mut recent, &mut positions, false, 8, &[(1, None), (2, Some(0))]);
        before.push(positions.clone());
        pass(&mut recent, &mut positions, true, 9, &[(2, Some(5)), (2, Some(6)), (3, Some(1)), (3, Some(2))]);
        before.push(positions.clone());
        pass(&mut recent, &mut positions, true, 10, &[(0, Some(20))]);
        pass(&mut recent, &mut positions, false, 10, &[(0, None)]);
        recent.forget_before(8);
        for number in [9, 8] {
            recent.take_back(number, &mut positions);
            assert_eq!(positions, before[number as usize - 7], "{number}");
        }
        assert!(recent.changes.is_empty());
    }

    #[test]
    fn what_is_accounted_for_is_forgotten() {
        let mut recent = Recent::new();
        let mut positions = vec![Some(0)];
        for number in 1..100 {
            pass(&mut recent, &mut positions, true, number, &[(0, Some(number as u32))]);
            pass(&mut recent, &mut positions, false, number, &[(0, Some(number as u32))]);
            recent.forget_before(number.saturating_sub(3));
            assert!(recent.changes.len() <= 6);
        }
        recent.forget_before(99);
        assert!(recent.changes.is_empty());
    }
}
