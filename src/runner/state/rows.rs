//! Rows and their keys, in pages that never move.

use std::collections::BTreeMap;

use prefetch_index::prefetch_index;

use crate::runner::state::bitmap::Bitmap;

/// Rows of equal size. Adding rows never moves the others.
#[derive(Debug)]
pub(crate) struct Rows {
    pages: Vec<Box<[u8]>>,
    row_bytes: usize,
    /// The number of slots that were ever used, and those of them that are free again.
    pub(crate) len: usize,
    pub(crate) free: Vec<u32>,
}

const PAGE_ROWS: usize = 1024;

impl Rows {
    pub(crate) fn new(value_bytes: usize) -> Rows {
        Rows { pages: Vec::new(), row_bytes: HELD_KEY_BYTES + value_bytes, len: 0, free: Vec::new() }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.pages.len() * PAGE_ROWS * self.row_bytes
    }

    /// Returns the size of a row in bytes, including a short key.
    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Adds a row without values and returns its index.
    pub(crate) fn push(&mut self, key: HeldKey) -> usize {
        let index = match self.free.pop() {
            Some(index) => index as usize,
            None => {
                if self.len.is_multiple_of(PAGE_ROWS) {
                    self.pages.push(vec![0; PAGE_ROWS * self.row_bytes].into_boxed_slice());
                }
                self.len += 1;
                self.len - 1
            }
        };
        self.row_mut(index)[..HELD_KEY_BYTES].copy_from_slice(&key);
        index
    }

    /// Removes a row and frees its slot.
    pub(crate) fn remove(&mut self, index: usize) {
        let row = self.row_mut(index);
        row.fill(0);
        row[0] = FREE;
        self.free.push(index as u32);
    }

    pub(crate) fn is_taken(&self, index: usize) -> bool {
        self.row(index)[0] != FREE
    }

    /// Returns the set of all rows.
    pub(crate) fn taken(&self) -> Bitmap {
        let mut taken = Bitmap::full(self.len);
        for &index in &self.free {
            taken.remove(index as usize);
        }
        taken
    }

    #[inline]
    pub(crate) fn row(&self, index: usize) -> &[u8] {
        let at = index % PAGE_ROWS * self.row_bytes;
        &self.pages[index / PAGE_ROWS][at..at + self.row_bytes]
    }

    /// Fetches a row into the cache.
    #[inline]
    pub(crate) fn fetch(&self, index: usize) {
        let row = self.row(index);
        // It may span two cache lines.
        prefetch_index(row, 0);
        prefetch_index(row, row.len() - 1);
    }

    #[inline]
    pub(crate) fn key(&self, index: usize) -> &HeldKey {
        self.row(index).first_chunk().expect("a row begins with its key")
    }

    #[inline]
    pub(crate) fn value(&self, index: usize) -> &[u8] {
        &self.row(index)[HELD_KEY_BYTES..]
    }

    #[inline]
    pub(crate) fn row_mut(&mut self, index: usize) -> &mut [u8] {
        let at = index % PAGE_ROWS * self.row_bytes;
        &mut self.pages[index / PAGE_ROWS][at..at + self.row_bytes]
    }

    #[inline]
    pub(crate) fn value_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.row_mut(index)[HELD_KEY_BYTES..]
    }
}

/// A key as its row holds it: a short key with its length, or the address of a long key in [`Keys`].
type HeldKey = [u8; HELD_KEY_BYTES];

const HELD_KEY_BYTES: usize = 16;

/// The length that means that the key is in [`Keys`].
const ELSEWHERE: u8 = u8::MAX;

/// The length that means that the slot is free.
const FREE: u8 = u8::MAX - 1;

/// Long keys, each preceded by its length, in pages that never move.
///
/// A key takes a multiple of [`KEY_GRAIN_BYTES`], so that its slot can be reused by keys of about the same length.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pages: Vec<Vec<u8>>,
    pub(crate) memory_bytes: usize,
    /// The free slots, as page and offset, by their size in bytes.
    free: BTreeMap<usize, Vec<(u32, u64)>>,
}

const KEY_GRAIN_BYTES: usize = 8;

const KEY_PAGE_BYTES: usize = 256 * 1024;

impl Keys {
    /// Stores a key and returns what its row holds.
    pub(crate) fn push(&mut self, key: &[u8]) -> HeldKey {
        if let Some(held) = Keys::short(key) {
            return held;
        }
        let mut held = [0; HELD_KEY_BYTES];
        let length = u32::try_from(key.len()).expect("a key is below 4 GiB").to_le_bytes();
        let needed = Keys::slot_bytes(key.len());
        let (page_index, at) = match self.free.get_mut(&needed).and_then(Vec::pop) {
            Some(free) => free,
            None => {
                if self.pages.last().is_none_or(|page| page.capacity() - page.len() < needed) {
                    self.pages.push(Vec::with_capacity(needed.max(KEY_PAGE_BYTES)));
                    self.memory_bytes += needed.max(KEY_PAGE_BYTES);
                }
                let page_index = self.pages.len() - 1;
                let page = &mut self.pages[page_index];
                let at = page.len();
                page.resize(at + needed, 0);
                (u32::try_from(page_index).expect("fewer than 2^32 pages"), at as u64)
            }
        };
        held[0] = ELSEWHERE;
        held[4..8].copy_from_slice(&page_index.to_le_bytes());
        held[8..].copy_from_slice(&at.to_le_bytes());
        let slot = &mut self.pages[page_index as usize][at as usize..];
        slot[..4].copy_from_slice(&length);
        slot[4..4 + key.len()].copy_from_slice(key);
        held
    }

    /// Returns what a row holds for a key that fits into the row. Equal keys give equal bytes.
    #[inline]
    pub(crate) fn short(key: &[u8]) -> Option<HeldKey> {
        let bytes = match key.len() {
            0..8 => key.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte)),
            length @ 8..HELD_KEY_BYTES => {
                // Two overlapping numbers are faster than copying a variable number of bytes.
                let (first, last) = (key.first_chunk()?, key.last_chunk()?);
                let rest = u128::from(u64::from_le_bytes(*last)) << 64 >> (8 * (HELD_KEY_BYTES - length));
                u128::from(u64::from_le_bytes(*first)) | rest >> 64 << 64
            }
            _ => return None,
        };
        Some((bytes << 8 | key.len() as u128).to_le_bytes())
    }

    /// Frees the slot of a key.
    pub(crate) fn remove(&mut self, held: &HeldKey) {
        if held[0] == ELSEWHERE {
            let (page, at) = Keys::slot(held);
            let size = Keys::slot_bytes(self.get(held).len());
            self.free.entry(size).or_default().push((page, at));
        }
    }

    pub(crate) fn slot_bytes(key_bytes: usize) -> usize {
        (key_bytes + 4).next_multiple_of(KEY_GRAIN_BYTES)
    }

    #[inline]
    pub(crate) fn slot(held: &HeldKey) -> (u32, u64) {
        (u32_at(held, 4), u64::from_le_bytes(held[8..].try_into().expect("eight bytes")))
    }

    #[inline]
    pub(crate) fn get<'a>(&'a self, held: &'a HeldKey) -> &'a [u8] {
        if held[0] != ELSEWHERE {
            return &held[1..=usize::from(held[0])];
        }
        let (page, at) = Keys::slot(held);
        let (page, at) = (&self.pages[page as usize], at as usize);
        let length = u32_at(page, at) as usize;
        &page[at + 4..at + 4 + length]
    }
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[inline]
pub(crate) fn put_u32(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_length_is_held_as_it_is() {
        let text = b"abcdefghijklmnopqrstuvwxyz";
        let mut keys = Keys::default();
        for length in 0..text.len() {
            let held = keys.push(&text[..length]);
            assert_eq!(keys.get(&held), &text[..length]);
            assert_eq!(Keys::short(&text[..length]), (length < HELD_KEY_BYTES).then_some(held));
        }
    }
}
