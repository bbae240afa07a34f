//! The log files of RocksDB, its manifest and its write-ahead logs: records in blocks of 32 KiB.
//!
//! RocksDB takes the end of such a file for the end of what was written, even in the middle of a record of a manifest,
//! and a changed type of a record for that of an older file. Then it shows fewer rows without an error. So the files are
//! checked before it opens them. The format is in `db/log_format.h` of RocksDB.

/// Where a log file is damaged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogFault {
    /// In bytes.
    pub at: usize,
    pub reason: &'static str,
}

const BLOCK: usize = 32 << 10;
/// The checksum, the length and the type.
const HEADER: usize = 4 + 2 + 1;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Checks that a file consists of whole records with the checksums that they should have.
///
/// A file that was cut off between two records looks like one that ended there: its length is not recorded.
pub(super) fn check(bytes: &[u8]) -> Result<(), LogFault> {
    let mut at = 0;
    let mut is_open = false;
    while at < bytes.len() {
        let fault = |reason| Err(LogFault { at, reason });
        let in_block = BLOCK - at % BLOCK;
        let rest = &bytes[at..bytes.len().min(at + in_block)];
        if in_block < HEADER {
            if rest.iter().any(|byte| *byte != 0) {
                return fault("expected zeros at the end of a block");
            }
            at += rest.len();
            continue;
        }
        if rest.len() < HEADER {
            return fault("it ends in the middle of a record");
        }
        let checksum = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]);
        let end = HEADER + usize::from(u16::from_le_bytes([rest[4], rest[5]]));
        if end > in_block {
            return fault("a record is longer than its block");
        }
        if end > rest.len() {
            return fault("it ends in the middle of a record");
        }
        if masked(crc32c(&rest[6..end])) != checksum {
            return fault("a record does not match its checksum");
        }
        is_open = match (rest[6], is_open) {
            (FULL, false) | (LAST, true) => false,
            (FIRST, false) | (MIDDLE, true) => true,
            (FULL..=LAST, _) => return fault("a part of a record is missing"),
            _ => return fault("a record is of a kind that Samza does not write"),
        };
        at += end;
    }
    if is_open { Err(LogFault { at, reason: "it ends in the middle of a record" }) } else { Ok(()) }
}

/// A checksum as RocksDB stores it, so that the checksum of bytes with checksums in them is not a special one.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The CRC-32 with Castagnoli's polynomial.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)])
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
        let covered = [&[kind], payload].concat();
        let length = (payload.len() as u16).to_le_bytes();
        [&masked(crc32c(&covered)).to_le_bytes()[..], &length, &covered].concat()
    }

    fn reason(parts: &[&[u8]]) -> Option<(usize, &'static str)> {
        check(&parts.concat()).err().map(|fault| (fault.at, fault.reason))
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // From RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn records_are_whole_and_in_order() {
        let large = vec![7; BLOCK - HEADER - 3];
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&[&record(FULL, b"a"), &record(FULL, b"")]), None);
        assert_eq!(reason(&[&record(FIRST, b"a"), &record(MIDDLE, b"b"), &record(LAST, b"c")]), None);
        assert_eq!(reason(&[&record(FULL, &large), &[0; 3], &record(FULL, b"a")]), None);
        assert_eq!(
            reason(&[&record(FULL, &large), &[0, 1, 0]]),
            Some((BLOCK - 3, "expected zeros at the end of a block"))
        );
        let cut = "it ends in the middle of a record";
        assert_eq!(reason(&[&record(FULL, b"a")[..7]]), Some((0, cut)));
        assert_eq!(reason(&[&record(FULL, b"a"), &[0; 6]]), Some((8, cut)));
        assert_eq!(reason(&[&record(FIRST, b"a")]), Some((8, cut)));
        let missing = "a part of a record is missing";
        assert_eq!(reason(&[&record(FIRST, b"a"), &record(FULL, b"b")]), Some((8, missing)));
        assert_eq!(reason(&[&record(LAST, b"b")]), Some((0, missing)));
        let kind = "a record is of a kind that Samza does not write";
        assert_eq!(reason(&[&record(5, b"1234")]), Some((0, kind)));
        assert_eq!(reason(&[&[0; 7]]), Some((0, "a record does not match its checksum")));
    }
}
