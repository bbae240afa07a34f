//! The names that the next record probably has.

use crate::input::record::json::words::sixteen_bytes;

/// The names of the previous record, in their order.
///
/// Most files have the same names in the same order on every line. So each name is first expected where it was: two
/// comparisons of 16 bytes replace a scan and a search.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout(Vec<KnownName>);

/// A name with its quotes and colon, as the bytes that may come next in a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownName {
    bytes: u128,
    mask: u128,
    pub(super) length: usize,
    /// The requested name that it is.
    pub(super) node: Option<usize>,
}

impl Layout {
    const MAX_NAMES: usize = 64;

    /// Expects `name`, with quotes and colon, at `place` from now on, if it is short enough.
    #[cold]
    pub(super) fn learn(&mut self, place: usize, name: &[u8], node: Option<usize>) {
        // The names after another name are not expected after this one.
        self.0.truncate(place);
        let length = name.len();
        if place < Layout::MAX_NAMES && self.0.len() == place {
            // A long name never matches, because no bytes masked by 0 are 1.
            let mask = u128::MAX.checked_shr(8 * (16 - length.min(16)) as u32).filter(|_| length <= 16);
            let (bytes, mask) = mask.map_or((1, 0), |mask| (sixteen_bytes(name, 0) & mask, mask));
            self.0.push(KnownName { bytes, mask, length, node });
        }
    }

    /// Returns the name expected at `place`, if the record continues with it at `at`.
    #[inline(always)]
    pub(super) fn known(&self, place: usize, record: &[u8], at: usize) -> Option<KnownName> {
        let known = self.0.get(place)?;
        (sixteen_bytes(record, at) & known.mask == known.bytes).then_some(*known)
    }
}
