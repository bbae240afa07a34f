//! The largest of many items.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The largest of many items, with as many in memory as are kept.
#[derive(Debug)]
pub(super) struct Top<T> {
    limit: usize,
    kept: BinaryHeap<Reverse<T>>,
}

impl<T: Ord> Top<T> {
    pub(super) fn new(limit: usize) -> Top<T> {
        Top { limit, kept: BinaryHeap::new() }
    }

    /// Adds an item that `make` makes, unless there are enough items for which `is_larger` is true.
    pub(super) fn offer(&mut self, is_larger: impl Fn(&T) -> bool, make: impl FnOnce() -> T) {
        let is_full = self.kept.len() >= self.limit;
        if is_full && self.kept.peek().is_none_or(|Reverse(least)| is_larger(least)) {
            return;
        }
        self.kept.push(Reverse(make()));
        if is_full {
            self.kept.pop();
        }
    }

    /// Returns the items, the largest first.
    pub(super) fn finish(self) -> Vec<T> {
        let mut items: Vec<T> = self.kept.into_iter().map(|Reverse(item)| item).collect();
        items.sort_by(|a, b| b.cmp(a));
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_in_order() {
        let mut top = Top::new(3);
        for number in [5, 1, 9, 7, 3, 9] {
            top.offer(|least| *least >= number, || number);
        }
        assert_eq!(top.finish(), [9, 9, 7]);
        let mut none = Top::new(0);
        none.offer(|least: &u32| *least > 1, || 1);
        assert!(none.finish().is_empty());
    }
}
