//! The counts of a DDSketch as bytes: the encoding of the libraries sketches-go and sketches-java.

/// How many numbers are zero, and how many are in each bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) zeros: u64,
    pub(super) positive: Buckets,
    /// By magnitude.
    pub(super) negative: Buckets,
}

/// How many numbers are in each bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Buckets {
    /// The buckets that are not empty, ascending.
    pub(super) indexes: Vec<i16>,
    pub(super) counts: Vec<u64>,
}

impl Buckets {
    pub(super) fn add(&mut self, index: i16) {
        match self.indexes.binary_search(&index) {
            Ok(place) => self.counts[place] += 1,
            Err(place) => {
                self.indexes.insert(place, index);
                self.counts.insert(place, 1);
            }
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (i16, u64)> + ExactSizeIterator {
        self.indexes.iter().copied().zip(self.counts.iter().copied())
    }
}

/// The index of a bucket is a logarithm that is interpolated linearly, and 128 buckets are between a number and its
/// double: the ratio between buckets is the 128th root of 2. The offset of the indexes is 0.
const MAPPING: [u8; 17] = [0x06, 0x35, 0x33, 0xFB, 0xA9, 0x3D, 0x16, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0];

/// What precedes the number of zeros, and the buckets of positive and of negative numbers: each bucket with the distance
/// from the one before it, and its count.
const ZEROS: u8 = 0x04;
const POSITIVE: u8 = 0x05;
const NEGATIVE: u8 = 0x07;

/// The highest count: the encoding holds counts as floating-point numbers.
pub(super) const MAX_COUNT: u64 = (1 << 53) - 1;

pub(super) fn encode(counts: &Counts) -> Vec<u8> {
    let mut bytes = MAPPING.to_vec();
    if counts.zeros > 0 {
        bytes.push(ZEROS);
        push_count(counts.zeros, &mut bytes);
    }
    for (flag, buckets) in [(POSITIVE, &counts.positive), (NEGATIVE, &counts.negative)] {
        if buckets.indexes.is_empty() {
            continue;
        }
        bytes.push(flag);
        push_varint(buckets.indexes.len() as u64, &mut bytes);
        let mut before = 0;
        for (index, count) in buckets.iter() {
            let distance = i64::from(index) - before;
            push_varint(((distance << 1) ^ (distance >> 63)) as u64, &mut bytes);
            push_count(count, &mut bytes);
            before = i64::from(index);
        }
    }
    bytes
}

/// Reads what [`encode`] wrote. Returns `None` if anything but the order of the three parts is wrong.
pub(super) fn decode(bytes: &[u8]) -> Option<Counts> {
    let mut rest = bytes.strip_prefix(&MAPPING)?;
    let mut counts = Counts::default();
    while let Some((flag, after)) = rest.split_first() {
        rest = after;
        match *flag {
            ZEROS => counts.zeros = take_count(&mut rest)?,
            POSITIVE => counts.positive = take_buckets(&mut rest)?,
            NEGATIVE => counts.negative = take_buckets(&mut rest)?,
            _ => return None,
        }
    }
    Some(counts)
}

fn take_buckets(bytes: &mut &[u8]) -> Option<Buckets> {
    let mut buckets = Buckets::default();
    let mut index = 0i64;
    for _ in 0..take_varint(bytes)? {
        let distance = take_varint(bytes)?;
        index = index.checked_add((distance >> 1) as i64 ^ -((distance & 1) as i64))?;
        let is_after = buckets.indexes.last().is_none_or(|last| i64::from(*last) < index);
        buckets.indexes.push(i16::try_from(index).ok().filter(|_| is_after)?);
        buckets.counts.push(take_count(bytes)?);
    }
    Some(buckets)
}

/// Appends a number, 7 bits per byte, the lowest first. The highest bit says that more bytes follow, except in the
/// ninth, which has 8 bits.
fn push_varint(mut number: u64, bytes: &mut Vec<u8>) {
    for _ in 0..8 {
        if number < 0x80 {
            break;
        }
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..8 {
        let byte = take_byte(bytes)?;
        number |= u64::from(byte & 0x7F) << (7 * place);
        if byte < 0x80 {
            return Some(number);
        }
    }
    Some(number | u64::from(take_byte(bytes)?) << 56)
}

/// Appends a count: one more as a 64-bit floating-point number, less the bits of 1.0, rotated so that the bits that
/// small whole numbers use come first. Then 7 bits per byte, the highest first, as far as there are any.
fn push_count(count: u64, bytes: &mut Vec<u8>) {
    let mut bits = ((count + 1) as f64).to_bits().wrapping_sub(1f64.to_bits()).rotate_left(6);
    for _ in 0..8 {
        let byte = (bits >> 57) as u8;
        bits <<= 7;
        if bits == 0 {
            bytes.push(byte);
            return;
        }
        bytes.push(byte | 0x80);
    }
    bytes.push((bits >> 56) as u8);
}

/// Takes a count that is a whole number from 1 to [`MAX_COUNT`].
fn take_count(bytes: &mut &[u8]) -> Option<u64> {
    let mut bits = 0;
    for place in 1..=9 {
        let byte = take_byte(bytes)?;
        if place == 9 {
            bits |= u64::from(byte);
            break;
        }
        bits |= u64::from(byte & 0x7F) << (64 - 7 * place);
        if byte < 0x80 {
            break;
        }
    }
    let count = f64::from_bits(bits.rotate_right(6).wrapping_add(1f64.to_bits())) - 1.0;
    (count >= 1.0 && count <= MAX_COUNT as f64 && count.fract() == 0.0).then_some(count as u64)
}

fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_distances_are_read_back() {
        let powers = (0..53).flat_map(|bits| [(1u64 << bits), (1 << bits) + 1]).filter(|count| *count < MAX_COUNT);
        for number in powers.chain([MAX_COUNT]) {
            let mut bytes = Vec::new();
            push_count(number, &mut bytes);
            push_varint(number, &mut bytes);
            let mut rest = bytes.as_slice();
            assert_eq!((take_count(&mut rest), take_varint(&mut rest)), (Some(number), Some(number)));
            assert!(rest.is_empty());
        }
        let mut bytes = Vec::new();
        push_varint(u64::MAX, &mut bytes);
        assert_eq!((take_varint(&mut bytes.as_slice()), bytes.len()), (Some(u64::MAX), 9));
    }

    #[test]
    fn a_sketch_has_the_bytes_that_other_libraries_write() {
        // What sketches-go has for 0, 1, 1, 2 and -1 in a LinearlyInterpolatedMapping, in the order of sketches-java.
        let counts = Counts {
            zeros: 1,
            positive: Buckets { indexes: vec![0, 128], counts: vec![2, 1] },
            negative: Buckets { indexes: vec![0], counts: vec![1] },
        };
        let expected = [&MAPPING[..], &[4, 2, 5, 2, 0, 3, 0x80, 2, 2, 7, 1, 0, 2]].concat();
        assert_eq!(encode(&counts), expected);
        assert_eq!(decode(&expected), Some(counts));
    }
}
